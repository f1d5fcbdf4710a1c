# Rate-distortion curves beside OpenJPEG's and Grok's: PSNR and SSIM at equal bytes.
# SPDX-License-Identifier: BSD-3-Clause
"""usage: python bench/rd.py [--images NAME...] [--ratios R...] [--json FILE] [--plot FILE]

For every image, wavelet and ratio each rival encodes first; then this project encodes into as many bytes as the rival took,
JP2 boxes included, or fewer. OpenJPEG decodes all streams. The exit status is 1 when any point is below its rival.

Images: examples/kodim23.png, the photographs that come with scikit-image, in colour and grey, and a 16-bit tomography slice when
../shared or $J2K_SHARED has one. Rivals: OpenJPEG as Pillow carries it, grk_compress when it is installed, and the Grok in
the package blosc2-grok 0.3.5 (grey images: its colour transform is broken) when its environment can be built.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import skimage
from PIL import Image
from skimage.metrics import structural_similarity

import blosc2_grok

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "interop")]

import images as plane_images  # noqa: E402
import peer_grok  # noqa: E402
import peer_openjpeg  # noqa: E402
import rivals  # noqa: E402

RATIOS = (2, 4, 8, 10, 16, 32, 64, 100)
WAVELETS = ("9/7", "5/3")
PHOTOGRAPHS = "astronaut chelsea coffee ihc retina rocket hubble_deep_field motorcycle_left".split()
GREY_PHOTOGRAPHS = "camera brick grass gravel moon coins cell page".split()
CROP = 640  # of larger ones the middle is taken


def middle(image: np.ndarray) -> np.ndarray:
    y, x = ((max(n - CROP, 0) // 2) for n in image.shape[:2])
    return np.ascontiguousarray(image[y : y + CROP, x : x + CROP])


def all_images() -> Iterator[tuple[str, np.ndarray]]:
    """(name, samples): colour photographs also as luma."""
    colour = [("kodim23", ROOT / "examples" / "kodim23.png")]
    folder = Path(skimage.__file__).parent / "data"
    for name in PHOTOGRAPHS:
        colour += [(name, path) for path in (folder / f"{name}.png", folder / f"{name}.jpg") if path.exists()]
    for name, path in colour:
        with Image.open(path) as file:
            whole = file if name == "kodim23" else Image.fromarray(middle(np.asarray(file.convert("RGB"))))
            yield name, np.asarray(whole.convert("RGB"))
            yield name + " grey", np.asarray(whole.convert("L"))
    for name in GREY_PHOTOGRAPHS:
        if (folder / f"{name}.png").exists():
            with Image.open(folder / f"{name}.png") as file:
                yield name, middle(np.asarray(file.convert("L")))
    shared = Path(os.environ.get("J2K_SHARED") or ROOT.parent / "shared")
    if (shared / "images" / "MI04_020751.tif").exists():
        import tifffile

        yield "tomography", tifffile.imread(shared / "images" / "MI04_020751.tif")
    else:
        print("no 16-bit slice: set J2K_SHARED", file=sys.stderr)


def as_planes(image: np.ndarray) -> plane_images.Image:
    stack = image[:, :, None] if image.ndim == 2 else image
    planes = [plane_images.Plane(stack[:, :, c].astype(np.int32), 8 * image.itemsize) for c in range(stack.shape[2])]
    return plane_images.Image(planes, 0, 0, image.shape[1], image.shape[0])


def decode(data: bytes, like: np.ndarray) -> np.ndarray:
    planes = peer_openjpeg.decode(data)
    return np.stack([plane.data for plane in planes], -1).reshape(like.shape)


# ---- coders


def ours(image: np.ndarray, wavelet: str, ratio: float) -> bytes:
    return blosc2_grok.encode(
        image, quality_mode="rates", quality_layers=[ratio], irreversible=wavelet == "9/7", num_threads=1
    )


def openjpeg(image: np.ndarray, wavelet: str, ratio: float) -> bytes:
    return peer_openjpeg.encode(as_planes(image), format="jp2", ratio=[ratio], irreversible=wavelet == "9/7")


def grk_compress(image: np.ndarray, wavelet: str, ratio: float) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        name = f"in.{'ppm' if image.ndim == 3 else 'pgm'}"
        samples = image if image.itemsize == 1 else image.astype(">u2")
        header = f"P{6 if image.ndim == 3 else 5}\n{image.shape[1]} {image.shape[0]}\n{256**image.itemsize - 1}\n"
        (Path(folder) / name).write_bytes(header.encode() + samples.tobytes())
        command = ["grk_compress", "-i", name, "-o", "out.jp2", "-r", f"{ratio}", "-H", "1"]
        command += ["-I"] if wavelet == "9/7" else []
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=120)
        return (Path(folder) / "out.jp2").read_bytes()


class PublishedPlugin:
    """The Grok that blosc2-grok 0.3.5 carries."""

    def __init__(self) -> None:
        self.worker = peer_grok.Grok("grok", str(rivals.build("grok")))

    def __call__(self, image: np.ndarray, wavelet: str, ratio: float) -> bytes:
        parameters = {"quality_mode": "rates", "quality_layers": [ratio], "cod_format": "GRK_FMT_JP2"}
        return self.worker.encode(image, irreversible=wavelet == "9/7", **parameters)


def available_rivals() -> dict[str, Callable[[np.ndarray, str, float], bytes]]:
    found: dict[str, Callable[[np.ndarray, str, float], bytes]] = {}
    if peer_openjpeg.library():
        found[f"OpenJPEG {peer_openjpeg.version()}"] = openjpeg
    if shutil.which("grk_compress"):
        text = subprocess.run(["grk_compress", "-h"], capture_output=True, text=True).stdout
        found["Grok " + text.split("libgrokj2k v")[1].split("\n")[0].strip(". ")] = grk_compress
    try:
        found["blosc2-grok 0.3.5"] = PublishedPlugin()
    except rivals.Unavailable as error:
        print(f"blosc2-grok 0.3.5 is left out: {error}", file=sys.stderr)
    return found


# ---- measures


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    error = np.mean((a.astype(np.float64) - b) ** 2)
    return math.inf if error == 0 else 10 * math.log10(float(256**a.itemsize - 1) ** 2 / error)


def ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Mean over the components; the range is that of the samples, which in 16 bits is far from all of it."""
    channels = {"channel_axis": 2} if a.ndim == 3 else {}
    value = structural_similarity(
        a.astype(np.float32), b.astype(np.float32), data_range=float(np.ptp(a)) or 1.0, **channels
    )
    return float(value)


def measure(data: bytes, image: np.ndarray) -> dict[str, float]:
    decoded = decode(data, image)
    return {"bytes": len(data), "psnr": psnr(image, decoded), "ssim": ssim(image, decoded)}


def compare(name: str, image: np.ndarray, wavelet: str, ratio: float, rival: str, encode: Callable) -> dict:
    """One point. `gain` is ours less the rival's, 0 where both are exact."""
    theirs = measure(encode(image, wavelet, ratio), image)
    data = ours(image, wavelet, image.nbytes / theirs["bytes"])
    mine = measure(data, image)
    gains = {key: 0.0 if mine[key] == theirs[key] else mine[key] - theirs[key] for key in ("psnr", "ssim")}
    return {
        "image": name,
        "wavelet": wavelet,
        "ratio": ratio,
        "rival": rival,
        "theirs": theirs,
        "ours": mine,
        "gain": gains,
        "below": [key for key in gains if gains[key] < 0] + (["bytes"] if mine["bytes"] > theirs["bytes"] else []),
    }


# ---- reports


def print_row(row: dict) -> None:
    mine, theirs, gain = row["ours"], row["theirs"], row["gain"]
    quality = f"{mine['psnr']:8.3f}{theirs['psnr']:8.3f}{gain['psnr']:+8.3f}"
    similarity = f"{mine['ssim']:9.5f}{theirs['ssim']:9.5f}{gain['ssim']:+9.5f}"
    size = f"{mine['bytes']:9}{theirs['bytes']:9}"
    print(
        f"{row['image']:24}{row['wavelet']:5}{row['ratio']:5g} {row['rival']:18}{size}{quality}{similarity}"
        f"  {'BELOW: ' + ' '.join(row['below']) if row['below'] else ''}",
        flush=True,
    )


def plot(rows: list[dict], path: Path) -> None:
    """Above: gains in PSNR of all images; below: the curves of two images."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    names = list(dict.fromkeys(row["image"] for row in rows))
    coders = list(dict.fromkeys(row["rival"] for row in rows))
    figure, axes = plt.subplots(2, 2, figsize=(11, 8), layout="constrained")
    for axis, wavelet in zip(axes[0], WAVELETS, strict=True):
        for k, rival in enumerate(coders):
            chosen = [r for r in rows if r["wavelet"] == wavelet and r["rival"] == rival]
            points = [(r["ratio"], r["gain"]["psnr"]) for r in chosen if math.isfinite(r["gain"]["psnr"])]
            if points:
                ratio, gain = np.array(points).T
                shift = 1 + 0.06 * (k - (len(coders) - 1) / 2)
                axis.scatter(ratio * shift, gain, s=14, alpha=0.6, label=f"{rival}", color=f"C{k + 1}")
        axis.axhline(0, color="black", linewidth=0.8)
        axis.set_xscale("log")
        axis.set_yscale("symlog", linthresh=0.5)
        axis.set_xticks(RATIOS, [str(r) for r in RATIOS], minor=False)
        axis.set_xticks([], minor=True)
        axis.set_title(f"{wavelet}: PSNR above the rival's, {len(names)} images")
        axis.set_ylabel("dB at equal bytes")
        axis.legend(loc="upper left", fontsize=8)
    for axis, name in zip(axes[1], ("kodim23", "tomography"), strict=True):
        for wavelet, line in zip(WAVELETS, ("-", ":"), strict=True):
            chosen = [r for r in rows if r["image"] == name and r["wavelet"] == wavelet and r["rival"] == coders[0]]
            for k, who in enumerate(("ours", "theirs")):
                points = [(r["ratio"], r[who]["psnr"]) for r in chosen if math.isfinite(r[who]["psnr"])]
                if points:
                    label = f"{'blosc2-grok' if who == 'ours' else coders[0]}, {wavelet}"
                    axis.plot(*np.array(points).T, line, marker=".", color=f"C{k}", label=label)
        axis.set_xscale("log")
        axis.set_xticks(RATIOS, [str(r) for r in RATIOS], minor=False)
        axis.set_xticks([], minor=True)
        axis.set_title(name)
        axis.set_xlabel("compression ratio")
        axis.set_ylabel("PSNR, dB")
        if axis.lines:
            axis.legend()
    for axis in axes.flat:
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=90)


def summary(rows: list[dict]) -> None:
    """One line a rival and wavelet: least and mean gains."""
    for rival in dict.fromkeys(row["rival"] for row in rows):
        for wavelet in WAVELETS:
            chosen = [r for r in rows if r["rival"] == rival and r["wavelet"] == wavelet]
            db = [r["gain"]["psnr"] for r in chosen if math.isfinite(r["gain"]["psnr"])]
            similar = [r["gain"]["ssim"] for r in chosen]
            if not db:
                continue
            below = sum(bool(r["below"]) for r in chosen)
            print(
                f"{rival:20}{wavelet}: {len(chosen)} points, PSNR at least {min(db):+.3f} dB, mean {np.mean(db):+.3f} dB; "
                f"SSIM at least {min(similar):+.5f}, mean {np.mean(similar):+.5f}; below: {below}"
            )


def main() -> int:
    parser = argparse.ArgumentParser(description="Rate-distortion curves beside the rivals'.")
    parser.add_argument("--images", nargs="*", help="only these (default: all)")
    parser.add_argument("--ratios", nargs="*", type=float, default=RATIOS)
    parser.add_argument("--wavelets", nargs="*", choices=WAVELETS, default=WAVELETS)
    parser.add_argument("--rivals", nargs="*", help="only those whose name begins so")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path, help="PNG file")
    parser.add_argument("--replot", type=Path, help="do not measure: take the rows of an earlier --json")
    arguments = parser.parse_args()
    if arguments.replot:
        rows = json.loads(arguments.replot.read_text())
    else:
        rows = []
        coders = available_rivals()
        if arguments.rivals:
            coders = {k: v for k, v in coders.items() if any(k.startswith(r) for r in arguments.rivals)}
        for name, image in all_images():
            if arguments.images and name not in arguments.images:
                continue
            for rival, encode in coders.items():
                if rival.startswith("blosc2") and image.ndim == 3:
                    continue
                for wavelet in arguments.wavelets:
                    for ratio in arguments.ratios:
                        rows.append(compare(name, image, wavelet, ratio, rival, encode))
                        print_row(rows[-1])
    summary(rows)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1))
    if arguments.plot:
        plot(rows, arguments.plot)
    return int(any(row["below"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
