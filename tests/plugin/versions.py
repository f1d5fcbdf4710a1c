# Environments with other versions of Blosc2, and this package in them as its wheel would put it there.
# SPDX-License-Identifier: BSD-3-Clause
import functools
import os
import shutil
import subprocess
from pathlib import Path

import blosc2_grok
import rivals

# rivals.py's names; "grok" has blosc2 4.1.2, the last version with the old layout of blosc2_schunk.
ENVIRONMENTS = ["grok", "blosc2-4.4.3"]
rivals.REQUIREMENTS.setdefault("blosc2-4.4.3", ["blosc2==4.4.3"])


@functools.cache
def site_packages(name: str) -> Path:
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    output = subprocess.run([rivals.python(name), "-c", code], capture_output=True, text=True, check=True).stdout
    return Path(output.strip())


def copy_package(folder: Path) -> Path:
    """Put the installed package into a folder, alone, for use on PYTHONPATH: nothing else of this environment goes along."""
    here = Path(blosc2_grok.__file__).parent
    shutil.copytree(here, folder / "blosc2_grok", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("j2k", "htj2k", "openhtj2k"):
        shutil.copy(here.parent / f"blosc2_{name}.py", folder)
    return folder


def environment(folder: Path | None = None) -> dict[str, str]:
    """Environment variables for a process that finds the package there, or not at all."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    if folder:
        env["PYTHONPATH"] = str(folder)
    return env
