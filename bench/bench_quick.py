# Short comparison with OpenJPEG and OpenJPH (imagecodecs), memory to memory, all in the same run.
# SPDX-License-Identifier: BSD-3-Clause
"""usage: python bench/bench_quick.py [--repeat N] [--threads N] [--csv FILE] [--plot FILE] [IMAGE...]

Images: examples/kodim23.png (its green channel and RGB), and a 16-bit slice when ../shared or $J2K_SHARED has one. The coders
take turns, so that a machine that slows down slows both; the best time counts. MB/s are of raw samples.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
from PIL import Image

import blosc2_grok

ROOT = Path(__file__).resolve().parents[1]


def jobs(paths: list[Path]) -> list[tuple[str, np.ndarray]]:
    if paths:
        return [(p.name, np.asarray(Image.open(p))) for p in paths]
    photo = np.asarray(Image.open(ROOT / "examples" / "kodim23.png").convert("RGB"))
    out = [("kodim23 green", np.ascontiguousarray(photo[:, :, 1])), ("kodim23 RGB", photo)]
    shared = Path(os.environ.get("J2K_SHARED") or ROOT.parent / "shared")
    slice_path = shared / "images" / "MI04_020751.tif"
    if slice_path.exists():
        import tifffile

        out.append(("tomography 16 bit", tifffile.imread(slice_path)))
    else:
        print("no 16-bit slice: set J2K_SHARED", file=sys.stderr)
    return out


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    error = np.mean((a.astype(np.float64) - b) ** 2)
    return float("inf") if error == 0 else float(10 * np.log10(float(np.iinfo(a.dtype).max) ** 2 / error))


def match_level(image: np.ndarray, ratio: float, encode: Callable[[float], bytes]) -> float:
    """OpenJPEG's PSNR level, in imagecodecs the only lossy control, that gives the ratio."""
    low, high = 20.0, 120.0
    for _ in range(14):
        level = (low + high) / 2
        low, high = (low, level) if image.nbytes / len(encode(level)) < ratio else (level, high)
    return low


def part_1_coders(image: np.ndarray, lossy: bool, threads: int) -> dict[str, tuple[Callable, Callable]]:
    def grok_encode() -> bytes:
        if lossy:
            return blosc2_grok.encode(image, quality_mode="rates", quality_layers=[10], num_threads=threads)
        return blosc2_grok.encode(image, num_threads=threads)

    def openjpeg(level: float, reversible: bool) -> bytes:
        return imagecodecs.jpeg2k_encode(
            image, level=level, reversible=reversible, codecformat="jp2", numthreads=threads
        )

    level = match_level(image, 10, lambda v: openjpeg(v, False)) if lossy else 0
    return {
        "blosc2_grok": (grok_encode, lambda data: blosc2_grok.decode(data, num_threads=threads)),
        f"OpenJPEG {imagecodecs.jpeg2k_version().split()[-1]}": (
            lambda: openjpeg(level, not lossy),
            lambda data: imagecodecs.jpeg2k_decode(data, numthreads=threads),
        ),
    }


def ht_coders(image: np.ndarray, threads: int) -> dict[str, tuple[Callable, Callable]]:
    return {
        "blosc2_grok": (
            lambda: blosc2_grok.encode(image, mode=blosc2_grok.GrkMode.HT, num_threads=threads),
            lambda data: blosc2_grok.decode(data, num_threads=threads),
        ),
        f"OpenJPH {imagecodecs.htj2k_version().split()[-1]}": (
            lambda: imagecodecs.htj2k_encode(image, reversible=True),
            imagecodecs.htj2k_decode,
        ),
    }


MODES = ("lossless", "9/7 10:1", "HT lossless")


def coders(image: np.ndarray, mode: str, threads: int) -> dict[str, tuple[Callable, Callable]]:
    """Encoder and decoder of each name for this job."""
    if mode.startswith("HT"):
        return ht_coders(image, threads)
    return part_1_coders(image, mode != "lossless", threads)


def timed(function: Callable, *arguments):
    start = time.perf_counter()
    result = function(*arguments)
    return time.perf_counter() - start, result


def measure(image: np.ndarray, mode: str, threads: int, repeat: int) -> dict[str, dict[str, float]]:
    names = coders(image, mode, threads)
    best = {name: [float("inf"), float("inf")] for name in names}
    coded: dict[str, bytes] = {}
    decoded: dict[str, np.ndarray] = {}
    for _ in range(repeat):
        for name, (encode, decode) in names.items():
            seconds, coded[name] = timed(encode)
            best[name][0] = min(best[name][0], seconds)
            seconds, decoded[name] = timed(decode, coded[name])
            best[name][1] = min(best[name][1], seconds)
    out = {}
    for name in names:
        if "lossless" in mode and not np.array_equal(decoded[name], image):
            raise SystemExit(f"{name} is not lossless")
        out[name] = {
            "ratio": image.nbytes / len(coded[name]),
            "psnr": psnr(image, decoded[name]),
            "encode": image.nbytes / best[name][0] / 1e6,
            "decode": image.nbytes / best[name][1] / 1e6,
        }
    return out


def plot(rows: list[dict], path: Path) -> None:
    """Bars of encoding and decoding speed, one group a job and mode."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    groups = list(dict.fromkeys((row["job"], row["mode"]) for row in rows))
    coders_ = list(dict.fromkeys(row["coder"] for row in rows))
    figure, axes = plt.subplots(1, 2, figsize=(11, 5.5), sharey=True, layout="constrained")
    height = 0.4  # ours, and one rival in each group
    for axis, kind in zip(axes, ("encode", "decode"), strict=True):
        for k, coder in enumerate(coders_):
            mine = [(groups.index((r["job"], r["mode"])), r[kind]) for r in rows if r["coder"] == coder]
            places = [place + (0.5 if k else -0.5) * height for place, _ in mine]
            bars = axis.barh(places, [speed for _, speed in mine], height, label=coder)
            axis.bar_label(bars, fmt="%.0f", padding=3, fontsize=8)
        axis.set_title(kind)
        axis.set_xlabel("MB/s of raw samples, one thread")
        axis.margins(x=0.12)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_yticks(range(len(groups)), [f"{job}\n{mode}" for job, mode in groups])
    axes[0].invert_yaxis()
    axes[1].legend(loc="upper right")
    figure.savefig(path, dpi=110)


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare speed and size with OpenJPEG in one run.")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--csv", type=Path)
    parser.add_argument("--plot", type=Path, help="PNG file")
    parser.add_argument("images", nargs="*", type=Path)
    arguments = parser.parse_args()
    print(f"{'job':20}{'mode':13}{'coder':16}{'ratio':>8}{'PSNR dB':>9}{'enc MB/s':>10}{'dec MB/s':>10}")
    rows = []
    for job, image in jobs(arguments.images):
        for mode in MODES:
            result = measure(image, mode, arguments.threads, arguments.repeat)
            for name, r in result.items():
                quality = "exact" if np.isinf(r["psnr"]) else f"{r['psnr']:.2f}"
                print(
                    f"{job:20}{mode:13}{name:16}{r['ratio']:8.3f}{quality:>9}{r['encode']:10.1f}{r['decode']:10.1f}",
                    flush=True,
                )
                rows.append({"job": job, "mode": mode, "coder": name, **r})
            ours, theirs = result.values()
            speeds = f"{ours['encode'] / theirs['encode']:8.2f}x {ours['decode'] / theirs['decode']:8.2f}x"
            print(f"{'':57}ours: {speeds}")
    if arguments.csv:
        with open(arguments.csv, "w", newline="") as stream:
            writer = csv.DictWriter(stream, rows[0].keys())
            writer.writeheader()
            writer.writerows(rows)
    if arguments.plot:
        plot(rows, arguments.plot)
    return 0


if __name__ == "__main__":
    sys.exit(main())
