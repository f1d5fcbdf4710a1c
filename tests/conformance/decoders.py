# Decoders that the conformance runner can drive, each file in a process of its own under time and memory limits.
# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import os
import pickle
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from samples import Plane, read_pgx

HERE = Path(__file__).resolve().parent


@dataclass
class Outcome:
    """What became of one decode: "ok", "fail" (error return), "crash" or "timeout"."""

    state: str
    planes: list[Plane] = field(default_factory=list)
    message: str = ""
    seconds: float = 0.0
    peak_mib: float = 0.0


def _limit(memory: int):
    def apply():
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if memory:
            resource.setrlimit(resource.RLIMIT_AS, (memory, memory))

    return apply


def _run(command: list[str], seconds: float, memory: int) -> Outcome:
    """Run under the limits. Sanitizers report with status 99 (see the environment) and reserve much address space."""
    environment = dict(os.environ)
    for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"):
        environment[name] = environment.get(name, "") + ":exitcode=99:allocator_may_return_null=1"
    if os.environ.get("J2K_SANITIZED"):
        memory = 0
    start = time.monotonic()
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment,
        preexec_fn=_limit(memory),
        text=True,
        errors="replace",
    )
    try:
        _, errors = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return Outcome("timeout", seconds=time.monotonic() - start, message=f"more than {seconds:.0f} s")
    taken = time.monotonic() - start
    code = process.returncode
    state = "ok" if code == 0 else "fail" if code in (1, 2) else "crash"
    lines = errors.strip().splitlines()
    message = (lines[-1] if lines else "") if state == "fail" else f"status {code}: {errors.strip()[:400]}"
    return Outcome(state, message="" if state == "ok" else message, seconds=taken)


def by_tool(path: Path, reduce: int = 0, seconds: float = 25, memory: int = 3 << 30, options: tuple = ()) -> Outcome:
    from ours import tool

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "o.pgx"
        command = [tool(), "decode", "--reduce", str(reduce), *options, "-o", str(out), str(path)]
        outcome = _run(command, seconds, memory)
        if outcome.state == "ok":
            files = [out] if out.exists() else sorted(out.parent.glob("o_*.pgx"), key=lambda p: int(p.stem[2:]))
            outcome.planes = [read_pgx(f) for f in files]
            described = subprocess.run([tool(), "info", "--json", str(path)], capture_output=True, text=True)
            if described.returncode == 0:
                import json

                for plane, info in zip(outcome.planes, json.loads(described.stdout)["components"], strict=False):
                    plane.dx, plane.dy = info["dx"], info["dy"]
        return outcome


def by_openjpeg(
    path: Path, reduce: int = 0, seconds: float = 25, memory: int = 3 << 30, options: tuple = ()
) -> Outcome:
    """OpenJPEG, to check the runner itself."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "o.pickle"
        command = [sys.executable, str(HERE / "decoders.py"), str(path), str(reduce), str(out)]
        outcome = _run(command, seconds, memory)
        if outcome.state == "ok":
            outcome.planes = pickle.loads(out.read_bytes())
        return outcome


DECODERS = {"tool": by_tool, "openjpeg": by_openjpeg}


if __name__ == "__main__":
    import peer_openjpeg

    try:
        decoded = peer_openjpeg.decode(Path(sys.argv[1]).read_bytes(), int(sys.argv[2]))
    except peer_openjpeg.OpenJPEGError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
    Path(sys.argv[3]).write_bytes(pickle.dumps(decoded))
