# Grok, through the published Blosc2 plugins, each in a process of its own environment.
# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import json
import select
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from images import Image


class GrokError(Exception):
    pass


class Grok:
    """A worker process; a crash costs the request that caused it, and the next one starts a new worker."""

    def __init__(self, name: str, interpreter: str):
        self.name = name
        self.interpreter = interpreter
        self.process: subprocess.Popen | None = None

    def ask(self, request: dict, timeout: float = 60) -> dict:
        if self.process is None or self.process.poll() is not None:
            worker = Path(__file__).with_name("grok_worker.py")
            command = [self.interpreter, str(worker), self.name]
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            )
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        ready, _, _ = select.select([self.process.stdout], [], [], timeout)
        line = self.process.stdout.readline() if ready else ""
        if not line:
            self.close()
            raise GrokError("the worker crashed" if ready else "the worker hangs")
        answer = json.loads(line)
        if "error" in answer:
            raise GrokError(answer["error"])
        return answer

    def close(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def decode(self, data: bytes, height: int, width: int, components: int, depth: int) -> np.ndarray:
        """Samples (height, width, components), unsigned as the plugin stores them; depth is 8 or 16."""
        kind = np.uint8 if depth == 8 else np.uint16
        size = height * width * components * np.dtype(kind).itemsize
        with tempfile.TemporaryDirectory() as folder:
            source, out = Path(folder) / "in", Path(folder) / "out"
            source.write_bytes(data)
            self.ask({"op": "decode", "path": str(source), "bytes": size, "out": str(out)})
            return np.frombuffer(out.read_bytes(), kind).reshape(height, width, components)

    def encode(self, samples: np.ndarray, **parameters) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            source, out = Path(folder) / "in.npy", Path(folder) / "out"
            np.save(source, samples)
            self.ask({"op": "encode", "path": str(source), "out": str(out), "parameters": parameters})
            return out.read_bytes()


def interleaved(image: Image) -> np.ndarray:
    """The planes as one array of unsigned samples."""
    kind = np.uint8 if image.planes[0].depth == 8 else np.uint16
    return np.stack([p.data for p in image.planes], axis=-1).astype(kind)
