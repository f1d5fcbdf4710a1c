# doctor and bench: is this installation well, and how fast is it.
# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Any

from . import FAILED

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    import numpy as np

OPTIONAL = {
    "h5py": "HDF5 files",
    "hdf5plugin": "reading what was written into HDF5 files",
    "zarr": "Zarr arrays",
    "dask": "Dask arrays",
    "tifffile": "TIFF files",
    "pillow": "PNG and other image files, previews",
    "rich": "progress bars",
    "scikit-image": "SSIM in verify",
}


@dataclass
class Finding:
    """One line of the report. state: ok, note (something optional is missing) or problem; advice: what to do."""

    state: str
    what: str
    advice: str = ""


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _packages() -> list[Finding]:
    import numpy
    from blosc2 import __version__ as blosc2_version

    from .. import __version__, get_libpath

    found = [
        Finding("ok", f"blosc2-grok {__version__}, {get_libpath()}"),
        Finding("ok", f"Python {platform.python_version()}, {platform.platform()}, {os.cpu_count()} processors"),
        Finding("ok", f"blosc2 {blosc2_version}, NumPy {numpy.__version__}"),
    ]
    for name, purpose in OPTIONAL.items():
        version = _version(name)
        if version:
            found.append(Finding("ok", f"{name} {version}"))
        else:
            found.append(Finding("note", f"{name} is not installed", f"pip install {name} brings {purpose}"))
    return found


def _processor() -> Finding:
    from .._lib import cpu_flags

    names = cpu_flags()
    if platform.machine().lower() in ("x86_64", "amd64") and "AVX2" not in names:
        return Finding("note", "the processor has no AVX2: coding works, but several times slower than on newer ones")
    return Finding("ok", f"instruction sets used: {', '.join(names) or 'none'}")


def _other_names() -> list[Finding]:
    """Packages that share the codec's other names take precedence under those names."""
    found = []
    for name in ("blosc2-j2k", "blosc2-htj2k", "blosc2-openhtj2k"):
        version = _version(name)
        if version:
            found.append(
                Finding(
                    "note",
                    f"{name} {version} is installed: codec {name[7:]} is that package's",
                    "no harm; ids 37 and 160 are ours",
                )
            )
    return found


_FRESH = """
import sys, blosc2, numpy as np
array = blosc2.open(sys.argv[1])
assert "blosc2_grok" not in sys.modules
expected = (np.add.outer(np.arange(64) ** 2, np.arange(96)) % 251).astype("u1")
assert (array[...] == expected).all()
"""

_FRESH_HDF5 = """
import sys, h5py, hdf5plugin, numpy as np
with h5py.File(sys.argv[1]) as file:
    data = file["data"][...]
expected = (np.add.outer(np.arange(64) ** 2, np.arange(96)) % 251).astype("u1")
assert (data == expected).all()
"""


def _pattern() -> np.ndarray:
    import numpy as np

    return (np.add.outer(np.arange(64) ** 2, np.arange(96)) % 251).astype("u1")


def _fresh_process(code: str, path: str, what: str, advice: str) -> Finding:
    """Whether a process that knows nothing of this package reads a file."""
    try:
        run = subprocess.run(
            [sys.executable, "-c", code, path], capture_output=True, text=True, timeout=120, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding("problem", f"{what}: {error}", advice)
    if run.returncode:
        reason = run.stderr.strip().splitlines()[-1:] or [f"exit status {run.returncode}"]
        return Finding("problem", f"{what}: {reason[0]}", advice)
    return Finding("ok", what)


def _self_test() -> list[Finding]:
    import numpy as np

    from .. import decode, encode

    image = _pattern()
    found = []
    for name, parameters, limit in (
        ("lossless", {}, 0),
        ("High-Throughput, lossless", {"mode": 64}, 0),
        ("ratio 4", {"quality_mode": "rates", "quality_layers": [4.0]}, 128),
    ):
        back = decode(encode(image, **parameters))
        worst = int(np.abs(back.astype(int) - image).max())
        state = "ok" if worst <= limit else "problem"
        found.append(
            Finding(state, f"self-test, {name}: largest error {worst}", "" if state == "ok" else "please report this")
        )
    return found


def _readers(folder: str) -> list[Finding]:
    import blosc2

    image = _pattern()
    path = os.path.join(folder, "x.b2nd")
    cparams = {"codec": blosc2.Codec.GROK, "filters": [], "splitmode": blosc2.SplitMode.NEVER_SPLIT}
    blosc2.asarray(image, chunks=image.shape, blocks=image.shape, cparams=cparams, urlpath=path, mode="w")
    found = [
        _fresh_process(
            _FRESH, path, "a fresh process reads .b2nd files without importing this package",
            "C-Blosc2 runs `python` to find codecs: the python on PATH must be the one that has blosc2-grok",
        )
    ]  # fmt: skip
    if _version("h5py") and _version("hdf5plugin"):
        import h5py

        from ..hdf5 import create_dataset

        path = os.path.join(folder, "x.h5")
        with h5py.File(path, "w") as file:
            create_dataset(file, "data", image)
        found.append(
            _fresh_process(
                _FRESH_HDF5, path, "h5py with hdf5plugin reads datasets in a fresh process",
                "the python on PATH must be the one that has blosc2-grok, or import blosc2_grok before reading",
            )
        )  # fmt: skip
    plugins = os.environ.get("HDF5_PLUGIN_PATH")
    if plugins:
        state = "ok" if any(os.path.isdir(part) for part in plugins.split(os.pathsep)) else "problem"
        found.append(
            Finding(state, f"HDF5_PLUGIN_PATH is {plugins}", "" if state == "ok" else "there is no such folder")
        )
    return found


def doctor(args: argparse.Namespace) -> int:
    import tempfile

    findings = [*_packages(), _processor(), *_other_names(), *_self_test()]
    with tempfile.TemporaryDirectory() as folder:
        findings += _readers(folder)
    problems = sum(finding.state == "problem" for finding in findings)
    if args.json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        marks = {"ok": "ok     ", "note": "note   ", "problem": "PROBLEM"}
        for finding in findings:
            print(f"{marks[finding.state]}  {finding.what}")
            if finding.advice and finding.state != "ok":
                print(f"         {finding.advice}")
        print("everything is well" if not problems else f"{problems} problem(s), see above")
    return FAILED if problems else 0


# ---- bench ----


def _sample() -> np.ndarray:
    """A synthetic photograph-like image: smooth shapes, edges and some noise."""
    import numpy as np

    y, x = np.mgrid[0:1024, 0:1024]
    random = np.random.default_rng(1)
    image = 110 + 60 * np.sin(x / 97) * np.cos(y / 61) + 40 * ((x // 128 + y // 128) % 2) + random.normal(0, 3, x.shape)
    return np.clip(image, 0, 255).astype(np.uint8)


def _best(run: Callable[[], Any], seconds: float) -> float:
    best, end = float("inf"), time.perf_counter() + seconds
    while True:
        start = time.perf_counter()
        run()
        now = time.perf_counter()
        best = min(best, now - start)
        if now >= end:
            return best


def bench(args: argparse.Namespace) -> int:
    import numpy as np

    from .. import decode, encode
    from .._sources import open_source

    if args.input:
        with open_source([args.input]) as source:
            axes = 3 if source.colour else 2
            whole = len(source.shape) <= axes
            image = np.asarray(source.read(0, source.shape[0] if whole else 1)).squeeze()
    else:
        image = _sample()
    print(
        f"{args.input or 'a synthetic image'}: {' x '.join(map(str, image.shape))} {image.dtype}, {args.threads} thread(s)"
    )
    print(f"{'':<24}{'ratio':>8}{'encode':>12}{'decode':>12}")
    modes: dict[str, dict[str, Any]] = {
        "lossless": {},
        "ratio 10": {"quality_mode": "rates", "quality_layers": [10.0]},
        "lossless, HT": {"mode": 64},
        "ratio 10, HT": {"mode": 64, "quality_mode": "rates", "quality_layers": [10.0]},
    }
    for name, parameters in modes.items():
        stream = encode(image, num_threads=args.threads, **parameters)
        encoding = _best(lambda p=parameters: encode(image, num_threads=args.threads, **p), args.seconds)
        decoding = _best(lambda s=stream: decode(s, num_threads=args.threads), args.seconds)
        megabytes = image.nbytes / 1e6
        print(
            f"{name:<24}{image.nbytes / len(stream):>8.2f}{megabytes / encoding:>7.0f} MB/s{megabytes / decoding:>7.0f} MB/s"
        )
    return 0
