# Other JPEG 2000 plugins for Blosc2, each in a virtual environment of its own: their packages collide with each other.
# SPDX-License-Identifier: BSD-3-Clause
"""Virtual environments with the published packages, built on first use under `.venv-rivals/` and kept.

`python("grok")` gives the interpreter of one, or skips the running test, with the reason, when it cannot be built.
Set J2K_RIVALS=skip to leave these tests out, J2K_RIVALS=require to turn the skip into a failure.
"""

import fcntl
import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

REQUIREMENTS = {
    "grok": ["blosc2==4.1.2", "blosc2-grok==0.3.5"],
    "j2k": ["blosc2", "blosc2-j2k==0.4.0"],
    "htj2k": ["blosc2", "blosc2-htj2k==0.4.2"],
}


class Unavailable(Exception):
    """The environment cannot be built here."""


def _build(folder: Path, requirements: list[str]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    try:
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, capture_output=True, timeout=300)
        install = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*install, *requirements], check=True, capture_output=True, text=True, timeout=900)
    except (OSError, subprocess.SubprocessError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        detail = getattr(error, "stderr", None) or str(error)
        raise Unavailable(str(detail).strip()[-300:]) from error


@functools.cache
def build(name: str) -> Path:
    """Interpreter of the environment; raises Unavailable."""
    if os.environ.get("J2K_RIVALS") == "skip":
        raise Unavailable("J2K_RIVALS=skip")
    version = f"py{sys.version_info[0]}.{sys.version_info[1]}"
    base = ROOT / ".venv-rivals"
    base.mkdir(exist_ok=True)
    folder, stamp = base / f"{name}-{version}", base / f"{name}-{version}.txt"
    wanted = "\n".join(REQUIREMENTS[name])
    with open(base / f"{name}-{version}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (stamp.exists() and stamp.read_text() == wanted and (folder / "bin" / "python").exists()):
            stamp.unlink(missing_ok=True)
            _build(folder, REQUIREMENTS[name])
            stamp.write_text(wanted)
    return folder / "bin" / "python"


def python(name: str) -> str:
    """Interpreter of the environment, or skip the running test."""
    try:
        return str(build(name))
    except Unavailable as error:
        message = f"no environment with {' '.join(REQUIREMENTS[name])}: {error}"
        if os.environ.get("J2K_RIVALS") == "require":
            pytest.fail(message)
        pytest.skip(message)
