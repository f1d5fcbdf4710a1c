# Quality targets and what comes of them: compression ratios, PSNRs, maximum errors.
# SPDX-License-Identifier: BSD-3-Clause
"""usage: python bench/targets.py [--quick] [--only ratio|psnr|error] [--json FILE]

Every row encodes with the command-line tool (build/j2k) and decodes with OpenJPEG, and is inside its bounds or not:

ratio      the file takes at most bytes/ratio, and at least 99% of that unless everything is in it; the layers likewise
psnr       from the target to 0.2 dB above it, or exact; decoded by the tool itself, since OpenJPEG's 9/7 is inexact above 80 dB
error      no sample is off by more than the target, as the tool and (up to 12 bits exactly) OpenJPEG decode it

The exit status is 1 when any row is outside. Images: crops of examples/kodim23.png and of scikit-image's photographs, at 8 bits and
scaled to 12 and 16; a 16-bit tomography slice when ../shared or $J2K_SHARED has one.
"""

from __future__ import annotations

import argparse
import json
import math
import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "interop"), str(ROOT / "bench")]

from rd import all_images  # noqa: E402

import images  # noqa: E402
import ours  # noqa: E402
import peer_openjpeg  # noqa: E402

RATIOS = (1.5, 2, 3, 5, 8, 13, 20, 40, 75, 150, 400, 1000)
PSNRS = (25, 30, 35, 40, 45, 50, 55, 60, 70, 80, 90)  # up to where less than some hundred samples would be off
ERRORS = (0, 1, 2, 3, 5, 8, 16, 40)
WAVELETS = {"9/7": True, "5/3": False}


def as_image(samples: np.ndarray, depth: int, signed: bool = False) -> images.Image:
    stack = samples.reshape(*samples.shape[:2], -1)
    planes = [images.Plane(stack[:, :, c].astype(np.int32), depth, signed) for c in range(stack.shape[2])]
    return images.Image(planes, 0, 0, samples.shape[1], samples.shape[0])


def deepened(samples: np.ndarray, depth: int) -> np.ndarray:
    """More bits, filled from the neighbourhood: not just zeros below the old ones."""
    blurred = samples.astype(np.float64)
    for axis in (0, 1):
        blurred = (np.roll(blurred, 1, axis) + 2 * blurred + np.roll(blurred, -1, axis)) / 4
    value = (samples + np.clip(blurred - samples, -0.5, 0.5)) / 255
    return np.clip(np.rint(value * (2**depth - 1)), 0, 2**depth - 1).astype(np.int32)


def cases(quick: bool) -> Iterator[tuple[str, images.Image]]:
    found = dict(all_images())
    crop = (slice(0, 192), slice(0, 256))
    if quick:
        yield "kodim23 8 bit", as_image(found["kodim23"][crop], 8)
        yield "camera 64x64", as_image(found["camera"][200:264, 200:264], 8)
        yield "coffee grey 12 bit", as_image(deepened(found["coffee grey"][crop], 12), 12)
        return
    for name in ("kodim23", "kodim23 grey", "camera", "chelsea", "coffee grey", "gravel"):
        yield f"{name} 8 bit", as_image(found[name], 8)
    for name in ("kodim23", "coffee grey"):
        for depth in (12, 16):
            yield f"{name} {depth} bit", as_image(deepened(found[name], depth), depth)
    yield "camera signed 12 bit", as_image(deepened(found["camera"], 12) - 2048, 12, True)
    yield "moon 64x64", as_image(found["moon"][200:264, 200:264], 8)
    yield "astronaut 64x64", as_image(found["astronaut"][100:164, 200:264], 8)
    yield "brick 100x70", as_image(found["brick"][100:200, 200:270], 8)
    yield "page", as_image(found["page"], 8)
    if "tomography" in found:
        yield "tomography", as_image(found["tomography"], 16)


def raw_bytes(image: images.Image) -> int:
    return sum(p.data.size * (1 if p.depth <= 8 else 2) for p in image.planes)


def layer_bytes(data: bytes, layers: int) -> list[int]:
    """Bytes of the file without the packets of higher layers, from the lengths of the tile-parts, one a layer."""
    start = data.index(b"\xff\x4f\xff\x51")
    position, bodies = start + 2, [0] * layers
    while data[position : position + 2] != b"\xff\xd9":
        marker, length = struct.unpack(">HH", data[position : position + 4])
        if marker == 0xFF90:
            psot, part = struct.unpack(">IB", data[position + 6 : position + 11])
            header = data.index(b"\xff\x93", position) + 2 - position
            bodies[part] += psot - header
            position += psot
        else:
            position += 2 + length
    return [len(data) - sum(bodies[k + 1 :]) for k in range(layers)]


def errors(image: images.Image, data: bytes, decode: Callable = peer_openjpeg.decode) -> tuple[float, int]:
    """(PSNR over all components, greatest difference)."""
    decoded = decode(data)
    square = peak = 0.0
    worst = 0
    for p, d in zip(image.planes, decoded, strict=True):
        difference = p.data.astype(np.int64) - d.data
        square += float((difference**2).sum())
        peak += (2.0**p.depth - 1) ** 2 * difference.size
        worst = max(worst, int(np.abs(difference).max()))
    return (10 * math.log10(peak / square) if square else math.inf), worst


def ratio_row(image: images.Image, options: dict, ratio: float, layers: int) -> dict:
    targets = [ratio * 2 ** (0.5 * (layers - 1 - k)) for k in range(layers)]
    options = dict(options, **({"tile_parts": "L"} if layers > 1 else {}))
    data = ours.encode(image, ratio=targets, format="jp2", **options)
    smallest = ours.encode(image, ratio=[1e9 - k for k in range(layers)], format="jp2", **options)
    sizes = layer_bytes(data, layers) if layers > 1 else [len(data)]
    least = layer_bytes(smallest, layers) if layers > 1 else [len(smallest)]
    exact = errors(image, data)[1] == 0
    ok, used = True, []
    for size, minimum, target in zip(sizes, least, targets, strict=True):
        budget = math.floor(raw_bytes(image) / target)
        used.append(size / budget)
        full = size >= 0.99 * budget or exact
        ok = ok and ((size <= budget and full) or (minimum > budget and size <= minimum))
    return {"got": raw_bytes(image) / len(data), "used": used, "exact": exact, "ok": ok, "bytes": len(data)}


def psnr_row(image: images.Image, options: dict, target: float, layers: int) -> dict:
    targets = [target - 4 * (layers - 1 - k) for k in range(layers)]
    data = ours.encode(image, psnr=targets, format="jp2", **options)
    got, _ = errors(image, data, ours.decode)
    ok = target <= got <= target + 0.2 or (math.isinf(got) and target > 55)
    return {"got": got, "ok": ok, "bytes": len(data)}


def error_row(image: images.Image, options: dict, target: int, layers: int) -> dict:
    data = ours.encode(image, max_error=target, format="jp2", **options)
    _, worst = errors(image, data, ours.decode)
    _, elsewhere = errors(image, data)
    inexact = images.lossy_tolerance(image.planes[0].depth) if image.planes[0].depth > 12 else 0
    return {"got": worst, "ok": worst <= target and elsewhere <= target + inexact, "bytes": len(data)}


def highest_psnr(image: images.Image) -> float:
    """Where a hundred samples are off by one; beyond it coding passes are coarser than 0.2 dB."""
    samples = sum(p.data.size for p in image.planes)
    return 20 * math.log10(2 ** image.planes[0].depth - 1) + 10 * math.log10(samples / 100) - 6


KINDS = {"ratio": (ratio_row, RATIOS), "psnr": (psnr_row, PSNRS), "error": (error_row, ERRORS)}


def rows(quick: bool, only: list[str]) -> Iterator[dict]:
    for name, image in cases(quick):
        for kind in only:
            measure, targets = KINDS[kind]
            for wavelet, irreversible in WAVELETS.items() if kind != "error" else [("any", None)]:
                for layers in (1, 5) if kind != "error" else (1,):
                    for target in targets[::3] if quick else targets:
                        if kind == "psnr" and target > highest_psnr(image):
                            continue
                        options = {"irreversible": irreversible}
                        row = {"kind": kind, "image": name, "wavelet": wavelet, "layers": layers, "target": target}
                        yield row | measure(image, options, target, layers)
                    if kind == "ratio" and layers == 1:
                        row = {"kind": "ratio", "image": name + ", tiles", "wavelet": wavelet, "layers": 1, "target": 9}
                        yield row | ratio_row(image, {"irreversible": irreversible, "tile": (61, 50)}, 9, 1)


def main() -> int:
    parser = argparse.ArgumentParser(description="Targets and what comes of them.")
    parser.add_argument("--quick", action="store_true", help="few images and targets")
    parser.add_argument("--only", nargs="*", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--bad", action="store_true", help="print rows outside their bounds only")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    found = []
    for row in rows(arguments.quick, arguments.only):
        found.append(row)
        if row["ok"] and arguments.bad:
            continue
        used = " ".join(f"{100 * u:.1f}%" for u in row.get("used", []))
        print(
            f"{row['kind']:6}{row['image']:24}{row['wavelet']:5}{row['layers']:2} {row['target']:8g}{row['got']:10.3f}"
            f"{row['bytes']:9} {used} {'' if row['ok'] else 'OUTSIDE'}",
            flush=True,
        )
    outside = sum(not row["ok"] for row in found)
    print(f"{len(found)} rows, {outside} outside their bounds")
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1))
    return int(outside > 0)


if __name__ == "__main__":
    sys.exit(main())
