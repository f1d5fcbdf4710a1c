# Drives this project's command-line tool on test images.
# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import functools
import json
import os
import subprocess
import tempfile
from pathlib import Path

import pytest

from images import Image, Plane, read_pgx, write_pgx

ROOT = Path(__file__).resolve().parents[2]
THREADS = int(os.environ.get("J2K_THREADS", "1"))  # the thread sanitizer's run wants several


class ToolError(Exception):
    pass


@functools.cache
def tool() -> str:
    """Path of the j2k tool: $J2K_TOOL, or build/j2k, which is built when it is not there."""
    given = os.environ.get("J2K_TOOL")
    if given:
        return given
    path = ROOT / "build" / "j2k"
    if not path.exists():
        built = subprocess.run(["make", "-C", str(ROOT), "tool"], capture_output=True, text=True)
        if built.returncode != 0 or not path.exists():
            pytest.fail(f"cannot build the j2k tool:\n{built.stdout[-1000:]}{built.stderr[-2000:]}")
    return str(path)


def run(arguments: list[str], timeout: float = 120) -> subprocess.CompletedProcess:
    result = subprocess.run([tool(), *arguments], capture_output=True, text=True, timeout=timeout)
    if result.returncode != 0:
        raise ToolError(f"j2k {' '.join(arguments)}\nexit status {result.returncode}: {result.stderr.strip()[-500:]}")
    return result


def encode_arguments(options: dict) -> list[str]:
    """Command-line form of the options that the peers' encoders take too."""
    arguments = []

    def pair(value, separator="x"):
        return f"{value[0]}{separator}{value[1]}"

    for name, value in options.items():
        if value is None or value is False:
            if name == "irreversible" and value is False:
                arguments += ["--reversible"]
            continue
        flag = "--" + name.replace("_", "-")
        if name in ("ratio", "psnr"):
            arguments += [flag, ",".join(str(v) for v in value)]
        elif name in ("tile", "codeblock"):
            arguments += [flag, pair(value)]
        elif name in ("tile_offset", "roi"):
            arguments += [flag, pair(value, ",")]
        elif name == "precincts":
            arguments += [flag, ",".join(pair(v) for v in value)]
        elif name == "comment":
            arguments += [flag, value]
        elif name == "change":
            for change in value:
                arguments += [flag, change]
        elif value is True:
            arguments += [flag]
        else:
            arguments += [flag, str(value)]
    return arguments


def encode(image: Image, threads: int = THREADS, **options) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        names = []
        for i, plane in enumerate(image.planes):
            names.append(str(base / f"c{i}.pgx"))
            write_pgx(Path(names[-1]), plane)
        arguments = ["encode", "--threads", str(threads), "--offset", f"{image.x0},{image.y0}"]
        arguments += ["--subsampling", ",".join(f"{p.dx}x{p.dy}" for p in image.planes)]
        out = base / "out.j2k"
        run([*arguments, *encode_arguments(options), "-o", str(out), *names])
        return out.read_bytes()


def transcode(data: bytes, *arguments: str, threads: int = THREADS) -> bytes:
    """Transcode; arguments are options of `j2k transcode`."""
    with tempfile.TemporaryDirectory() as folder:
        source, result = Path(folder) / "in", Path(folder) / "out"
        source.write_bytes(data)
        run(["transcode", "--threads", str(threads), *arguments, str(source), str(result)])
        return result.read_bytes()


def info(data: bytes, *arguments: str) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "in"
        path.write_bytes(data)
        return json.loads(run(["info", "--json", *arguments, str(path)]).stdout)


def decode(data: bytes, *arguments: str, threads: int = THREADS) -> list[Plane]:
    """Decode; arguments are further options of `j2k decode`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "in"
        path.write_bytes(data)
        run(["decode", "--threads", str(threads), *arguments, "-o", str(Path(folder) / "out.pgx"), str(path)])
        single = Path(folder) / "out.pgx"
        files = [single] if single.exists() else sorted(Path(folder).glob("out_*.pgx"), key=_index)
        return [read_pgx(f) for f in files]


def _index(path: Path) -> int:
    return int(path.stem.rsplit("_", 1)[1])
