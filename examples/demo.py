# The main job in one command: a photograph into Blosc2 files in three ways, read again by another process, and judged.
# SPDX-License-Identifier: BSD-3-Clause
"""usage: python examples/demo.py [--image examples/kodim23.png] [--output demo-output]"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import blosc2
import numpy as np
from PIL import Image

HERE = Path(__file__).resolve().parent
MODES = {
    "lossless": {},
    "rates 10": {"quality_mode": "rates", "quality_layers": [10]},
    "dB 45": {"quality_mode": "dB", "quality_layers": [45]},
}
REPEATS = 3


def file_name(mode: str) -> str:
    return "kodim23-" + mode.replace(" ", "-") + ".b2nd"


def compress(image: np.ndarray, folder: Path) -> dict[str, float]:
    """Write one file a mode; returns the best time of each in seconds."""
    import blosc2_grok

    coding = {"codec": blosc2.Codec.GROK, "filters": [], "splitmode": blosc2.SplitMode.NEVER_SPLIT}
    seconds = {}
    for mode, parameters in MODES.items():
        blosc2_grok.set_params_defaults()  # back to lossless
        if parameters:
            blosc2_grok.set_params_defaults(**parameters)
        path = folder / file_name(mode)
        times = []
        for _ in range(REPEATS):
            start = time.perf_counter()
            blosc2.asarray(image, chunks=image.shape, blocks=image.shape, cparams=coding, urlpath=str(path), mode="w")
            times.append(time.perf_counter() - start)
        seconds[mode] = min(times)
    blosc2_grok.set_params_defaults()
    return seconds


def read_again(folder: Path) -> None:
    """What the fresh process does: it never imports blosc2_grok; Blosc2 finds the plugin by itself."""
    result = {}
    for mode in MODES:
        path = folder / file_name(mode)
        times = []
        for _ in range(REPEATS):
            array = blosc2.open(str(path), mode="r")
            start = time.perf_counter()
            image = array[:]
            times.append(time.perf_counter() - start)
        Image.fromarray(image).save(path.with_suffix(".png"))
        result[mode] = {"seconds": min(times), "coded": array.schunk.cbytes, "raw": array.schunk.nbytes}
    assert "blosc2_grok" not in sys.modules
    print(json.dumps(result))


def decompress_in_a_fresh_process(folder: Path) -> dict:
    environment = dict(os.environ)
    # C-Blosc2 asks the `python` on PATH where the plugin is.
    environment["PATH"] = str(Path(sys.executable).parent) + os.pathsep + environment.get("PATH", "")
    command = [sys.executable, str(Path(__file__).resolve()), "--read-again", "--output", str(folder)]
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def judge(image: np.ndarray, decoded: np.ndarray) -> tuple[float, float]:
    """PSNR in dB over all samples, and SSIM."""
    from skimage.metrics import structural_similarity

    error = np.mean((image.astype(np.float64) - decoded) ** 2)
    psnr = float("inf") if error == 0 else 10 * np.log10(255**2 / error)
    return psnr, float(structural_similarity(image, decoded, channel_axis=2, data_range=255))


def print_table(rows: list[dict]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"kodim23.png through Blosc2, times best of {REPEATS}")
    for name, justify in [
        ("mode", "left"),
        ("ratio", "right"),
        ("PSNR dB", "right"),
        ("SSIM", "right"),
        ("MB/s in", "right"),
        ("MB/s out", "right"),
        ("file", "left"),
    ]:
        table.add_column(name, justify=justify, no_wrap=name != "file", overflow="fold")
    for r in rows:
        psnr = "exact" if np.isinf(r["psnr"]) else f"{r['psnr']:.2f}"
        numbers = [f"{r['ratio']:.3f}", psnr, f"{r['ssim']:.5f}", f"{r['in']:.1f}", f"{r['out']:.1f}"]
        table.add_row(r["mode"], *numbers, r["file"])
    Console(width=max(100, Console().width)).print(table)


def draw(image: np.ndarray, rows: list[dict], path: Path) -> None:
    """The pictures above, their errors below, all error maps on one scale."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    errors = [np.abs(image.astype(np.int16) - r["image"]).max(axis=2) for r in rows]
    top = max(1, max(int(e.max()) for e in errors))
    figure, axes = plt.subplots(2, len(rows) + 1, figsize=(4.6 * (len(rows) + 1), 7.0), layout="constrained")
    axes[0, 0].imshow(image)
    axes[0, 0].set_title(f"original\n{image.nbytes} bytes")
    axes[1, 0].axis("off")
    for i, (r, error) in enumerate(zip(rows, errors, strict=True), start=1):
        quality = "exact" if np.isinf(r["psnr"]) else f"{r['psnr']:.2f} dB, SSIM {r['ssim']:.4f}"
        axes[0, i].imshow(r["image"])
        axes[0, i].set_title(f"{r['mode']}: {r['ratio']:.2f} to 1\n{quality}")
        shown = axes[1, i].imshow(error, cmap="inferno", vmin=0, vmax=top)
        axes[1, i].set_title(f"largest error {int(error.max())}")
    for axis in axes.flat:
        axis.set_xticks([])
        axis.set_yticks([])
    figure.colorbar(shown, ax=list(axes[1, 1:]), label="absolute error, worst channel", shrink=0.8)
    figure.savefig(path, dpi=110)


def main() -> int:
    parser = argparse.ArgumentParser(description="Compress a photograph into Blosc2 files in three ways.")
    parser.add_argument("--image", type=Path, default=HERE / "kodim23.png")
    parser.add_argument("--output", type=Path, default=Path("demo-output"))
    parser.add_argument("--read-again", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.read_again:
        read_again(arguments.output)
        return 0
    arguments.output.mkdir(parents=True, exist_ok=True)
    image = np.asarray(Image.open(arguments.image).convert("RGB"))
    seconds = compress(image, arguments.output)
    again = decompress_in_a_fresh_process(arguments.output)
    rows = []
    for mode, read in again.items():
        path = arguments.output / file_name(mode)
        decoded = np.asarray(Image.open(path.with_suffix(".png")))
        psnr, ssim = judge(image, decoded)
        rows.append(
            {
                "mode": mode,
                "ratio": read["raw"] / read["coded"],
                "psnr": psnr,
                "ssim": ssim,
                "in": image.nbytes / seconds[mode] / 1e6,
                "out": image.nbytes / read["seconds"] / 1e6,
                "file": str(path),
                "image": decoded,
            }
        )
    print_table(rows)
    results = [{k: v for k, v in r.items() if k != "image"} for r in rows]
    for r in results:
        r["psnr"] = None if np.isinf(r["psnr"]) else r["psnr"]
    (arguments.output / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    figure = arguments.output / "comparison.png"
    draw(image, rows, figure)
    pictures = " ".join(str((arguments.output / file_name(mode)).with_suffix(".png")) for mode in MODES)
    print(f"pictures: {pictures} {figure}")
    if not np.isinf(rows[0]["psnr"]):
        print("the lossless file is not exact", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
