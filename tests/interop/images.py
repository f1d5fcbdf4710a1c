# Test images as lists of component planes, and the PGX files that carry them.
# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass
class Plane:
    """One component: int32 samples on its own grid."""

    data: np.ndarray
    depth: int
    signed: bool = False
    dx: int = 1
    dy: int = 1

    @property
    def low(self) -> int:
        return -(1 << (self.depth - 1)) if self.signed else 0

    @property
    def high(self) -> int:
        return self.low + (1 << self.depth) - 1


@dataclass
class Image:
    """Components on a reference grid whose image area is [x0, x1) x [y0, y1)."""

    planes: list[Plane]
    x0: int
    y0: int
    x1: int
    y1: int

    def describe(self) -> str:
        parts = [f"{p.depth}{'s' if p.signed else 'u'}/{p.dx}x{p.dy}" for p in self.planes]
        return f"[{self.x0},{self.x1})x[{self.y0},{self.y1}) {' '.join(parts)}"


def ceil_div(a: int, b: int) -> int:
    return -(-a // b)


def picture(width: int, height: int, depth: int, signed: bool, seed: int) -> np.ndarray:
    """Smooth shapes, edges, a little noise and both extreme values: something of everything that a coder meets."""
    rng = np.random.default_rng([seed, width, height, depth, signed])
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    v = 0.5 + 0.2 * np.sin(x / 7.3 + seed) + 0.15 * np.cos(y / 5.1 - seed) + 0.1 * np.sin((x + y) / 23)
    v += 0.25 * (((x // 13 + y // 9 + seed) % 5) == 0)
    v += rng.normal(0, 0.01, v.shape)
    v[rng.random(v.shape) < 0.01] = 0
    v[rng.random(v.shape) < 0.01] = 1
    top = (1 << depth) - 1
    samples = np.clip(np.rint(v * top), 0, top).astype(np.int64)
    if signed:
        samples -= 1 << (depth - 1)
    return samples.astype(np.int32)


def make(
    width: int,
    height: int,
    depth: int | list[int] = 8,
    signed: bool | list[bool] = False,
    components: int = 1,
    offset: tuple[int, int] = (0, 0),
    subsampling: list[tuple[int, int]] | None = None,
    seed: int = 1,
) -> Image:
    x0, y0 = offset
    x1, y1 = x0 + width, y0 + height
    planes = []
    for i in range(components):
        dx, dy = subsampling[min(i, len(subsampling) - 1)] if subsampling else (1, 1)
        d = depth[i] if isinstance(depth, list) else depth
        s = signed[i] if isinstance(signed, list) else signed
        w, h = ceil_div(x1, dx) - ceil_div(x0, dx), ceil_div(y1, dy) - ceil_div(y0, dy)
        planes.append(Plane(picture(w, h, d, s, seed + 3 * i), d, s, dx, dy))
    return Image(planes, x0, y0, x1, y1)


def write_pgx(path: Path, plane: Plane) -> None:
    bytes_each = 1 if plane.depth <= 8 else 2 if plane.depth <= 16 else 4
    height, width = plane.data.shape
    header = f"PG ML {'-' if plane.signed else '+'} {plane.depth} {width} {height}\n"
    path.write_bytes(header.encode() + plane.data.astype(f">i{bytes_each}", casting="unsafe").tobytes())


def read_pgx(path: Path) -> Plane:
    data = path.read_bytes()
    end = data.index(b"\n")
    text = data[:end].decode("ascii").replace("+", " + ").replace("-", " - ").split()
    order, rest = text[1], text[2:]
    signed = rest[0] == "-"
    depth, width, height = (int(v) for v in rest if v not in "+-")
    bytes_each = 1 if depth <= 8 else 2 if depth <= 16 else 4
    kind = f"{'>' if order == 'ML' else '<'}{'i' if signed else 'u'}{bytes_each}"
    samples = np.frombuffer(data, kind, width * height, end + 1).reshape(height, width)
    return Plane(samples.astype(np.int32), depth, signed)


def max_difference(a: np.ndarray, b: np.ndarray) -> int:
    assert a.shape == b.shape, f"shapes {a.shape} and {b.shape}"
    return int(np.abs(a.astype(np.int64) - b.astype(np.int64)).max()) if a.size else 0


def psnr(a: np.ndarray, b: np.ndarray, depth: int) -> float:
    error = np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2)
    return float("inf") if error == 0 else float(10 * np.log10(((1 << depth) - 1) ** 2 / error))


def lossy_tolerance(depth: int) -> int:
    """How far two decoders of the irreversible path may be apart: one grey level, and beyond 14 bits what OpenJPEG's
    and Grok's own 9/7 wavelet is off. They scale the high-pass band by 1.625732422 where the standard's constant is
    2 / 1.230174105 = 1.625786132 (T.800 table F.4), a relative error of 3.3e-5 in every such coefficient;
    test_deep_samples_are_more_exact_than_openjpeg shows that the difference is on their side."""
    return 1 if depth <= 14 else 1 + round((1 << depth) * 4e-5)


def assert_same(expected: list[Plane], got: list[Plane], tolerance: int | None = 0, what: str = "") -> None:
    """Same geometry, depth and sign, and samples no further apart than the tolerance (None: lossy_tolerance)."""
    assert len(expected) == len(got), f"{what}: {len(got)} components, not {len(expected)}"
    for i, (e, g) in enumerate(zip(expected, got, strict=True)):
        assert g.data.shape == e.data.shape, f"{what}: component {i} is {g.data.shape}, not {e.data.shape}"
        assert (g.depth, g.signed) == (e.depth, e.signed), f"{what}: component {i} has another depth or sign"
        difference = np.abs(e.data.astype(np.int64) - g.data)
        limit = lossy_tolerance(e.depth) if tolerance is None else tolerance
        if difference.size and difference.max() > limit:
            y, x = np.unravel_index(difference.argmax(), difference.shape)
            count = int((difference > limit).sum())
            raise AssertionError(
                f"{what}: component {i} differs by {difference.max()} (limit {limit}) at column {x}, row {y}: "
                f"{g.data[y, x]}, not {e.data[y, x]}; {count} of {difference.size} samples are off"
            )
