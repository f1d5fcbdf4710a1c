# info, verify and preview.
# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._chunks import ChunkReader
from .._info import info as stream_info
from .._open import Array
from .._open import open as open_array
from .._sinks import check_output
from .._sources import JPEG2000_SUFFIXES, open_source, split_dataset
from . import FAILED, fail
from .arrays import pieces, write_png
from .progress import Progress, human

if TYPE_CHECKING:
    import argparse

    import numpy as np

# ---- info ----


def info(args: argparse.Namespace) -> int:
    facts = (
        _stream_facts(args.input) if Path(args.input).suffix.lower() in JPEG2000_SUFFIXES else _array_facts(args.input)
    )
    if args.json:
        print(json.dumps(facts, indent=2, default=str))
    else:
        _print_facts(facts)
    return 0


def _stream_facts(path: str) -> dict[str, Any]:
    data = _read(path)
    return {"file": path, "bytes": len(data), "stream": stream_info(data)}


def _read(path: str) -> bytes:
    if not Path(path).exists():
        fail(f"{path}: there is no such file")
    return Path(path).read_bytes()


def _array_facts(name: str) -> dict[str, Any]:
    array = open_parts(name)
    reader: ChunkReader = array.reader
    kinds = {"streams": 0, "stored as they are": 0}
    coded, first = 0, None
    for chunk in range(array.num_chunks):
        coded += reader.size(chunk)
        for block in reader.blocks(chunk):
            kinds["streams" if block.is_stream else "stored as they are"] += 1
            if first is None and block.is_stream:
                first = stream_info(block.data)
    return {
        "file": name,
        "shape": list(array.shape),
        "dtype": str(array.dtype),
        "chunks": list(array.chunks),
        "blocks": list(array.blocks),
        "raw bytes": array.nbytes,
        "coded bytes": coded,
        "ratio": round(array.nbytes / max(coded, 1), 4),
        "num chunks": array.num_chunks,
        "num blocks": kinds,
        "levels": [list(level.shape) for level in array.levels],
        "parameters": array.parameters,
        "attributes": array.attrs,
        "stream": first,
    }


def open_parts(name: str) -> Array:
    """The array behind a name: Blosc2 or HDF5."""
    dataset = split_dataset(name)
    if dataset and not Path(name).exists():
        from ..hdf5 import ChunkedDataset

        return Array(ChunkedDataset.open(*dataset))
    return open_array(name)


def _print_facts(facts: dict[str, Any]) -> None:
    stream = facts.pop("stream", None)
    width = max(len(key) for key in facts) + 2
    for key, value in facts.items():
        if isinstance(value, dict):
            value = ", ".join(f"{k}: {v}" for k, v in value.items()) or "none"
        elif key.endswith("bytes"):
            value = f"{value} ({human(value)})"
        elif key == "levels":
            value = ", ".join("x".join(map(str, shape)) for shape in value)
        elif isinstance(value, list):
            value = " x ".join(map(str, value))
        print(f"{key:<{width}}{value}")
    if stream is None:
        return
    print("\nJPEG 2000" + (" (of the first block)" if "shape" in facts else ""))
    components = stream.pop("components", [])
    kinds = sorted({f"{c['depth']} bits {'signed' if c['signed'] else 'unsigned'}" for c in components})
    rows = {
        "format": stream["format"],
        "size": f"{stream['x1'] - stream['x0']} x {stream['y1'] - stream['y0']}, {len(components)} component(s), {', '.join(kinds)}",
        "tiles": f"{stream['num_tiles']} of {stream['tile_width']} x {stream['tile_height']}",
        "wavelet": "9/7 irreversible" if stream["irreversible"] else "5/3 reversible",
        "colour transform": "yes" if stream["colour_transform"] else "no",
        "resolutions": stream["num_resolutions"],
        "layers": stream["num_layers"],
        "progression": stream["progression"],
        "code-blocks": f"{stream['codeblock_width']} x {stream['codeblock_height']}, style {stream['codeblock_style']}"
        + (" (HT)" if stream["codeblock_style"] & 64 else ""),
        "boxes": " ".join(box["type"] for box in stream.get("boxes", [])) or "none",
    }
    for key, value in rows.items():
        print(f"  {key:<{width}}{value}")


# ---- verify ----


class Comparison:
    """Decoded against original samples, piece by piece."""

    def __init__(self, dtype: np.dtype) -> None:
        import numpy as np

        self._np = np
        self.dtype = dtype
        self.count = self.different = 0
        self.squares = 0.0
        self.largest: float = 0
        self.low, self.high = math.inf, -math.inf
        self.ssim_sum, self.ssim_count = 0.0, 0

    def add(self, decoded: np.ndarray, original: np.ndarray) -> None:
        np = self._np
        self.count += decoded.size
        if decoded.dtype.kind == "f":
            same = (decoded == original) | (np.isnan(decoded) & np.isnan(original))
            error = np.where(same, 0, decoded.astype("f8") - original)
        else:
            error = decoded.astype("i8") - original.astype("i8")
            same = error == 0
        self.different += int(decoded.size - np.count_nonzero(same))
        self.squares += float(np.sum(np.square(error, dtype="f8")))
        self.largest = max(self.largest, float(np.abs(error).max()))
        self.low, self.high = min(self.low, float(original.min())), max(self.high, float(original.max()))

    def add_ssim(self, decoded: np.ndarray, original: np.ndarray, colour: bool) -> None:
        """Mean SSIM (Wang et al. 2004) of the images, by scikit-image where it is installed; the range is the dtype's for 8 bits and
        the data's for others."""
        try:
            from skimage.metrics import structural_similarity
        except ImportError:
            return
        axes = 3 if colour else 2
        if decoded.ndim < axes or min(decoded.shape[-axes:][:2]) < 7:
            return
        for a, b in zip(
            decoded.reshape(-1, *decoded.shape[-axes:]), original.reshape(-1, *original.shape[-axes:]), strict=True
        ):
            spread = 255.0 if self.dtype == "u1" else float(b.max()) - float(b.min()) or 1.0
            self.ssim_sum += structural_similarity(
                b.astype("f8"), a.astype("f8"), data_range=spread, channel_axis=-1 if colour else None
            )
            self.ssim_count += 1

    def result(self) -> dict[str, Any]:
        peak = self._np.iinfo(self.dtype).max if self.dtype.kind in "iu" else max(self.high - self.low, 1e-300)
        mse = self.squares / max(self.count, 1)
        return {
            "exact": self.different == 0,
            "different samples": self.different,
            "largest error": int(self.largest) if self.dtype.kind in "iub" else self.largest,
            "psnr": 10 * math.log10(peak * peak / mse) if mse else math.inf,
            "peak": float(peak),
            "ssim": self.ssim_sum / self.ssim_count if self.ssim_count else None,
        }


def verify(args: argparse.Namespace) -> int:
    compare = bool(args.original)
    if not compare and (args.exact or args.min_psnr or args.max_error is not None):
        fail("--exact, --min-psnr and --max-error need the original")
    with open_source([args.input]) as source:
        original = (
            open_source(args.original, shape=args.shape, dtype=args.dtype, offset=args.offset) if compare else None
        )
        if original and (
            original.shape != source.shape or original.dtype.newbyteorder("=") != source.dtype.newbyteorder("=")
        ):
            fail(f"{args.input} is {source.shape} {source.dtype}, the original {original.shape} {original.dtype}")
        comparison = Comparison(source.dtype)
        with Progress("verifying", source.nbytes, quiet=args.quiet) as progress:
            for start, stop, decoded in pieces(source):
                if original:
                    reference = original.read(start, stop)
                    comparison.add(decoded, reference)
                    comparison.add_ssim(decoded, reference, original.colour)
                progress(decoded.nbytes, 0)
        result: dict[str, Any] = {"file": args.input, "decoded bytes": progress.raw}
        if original:
            result.update(comparison.result())
            original.close()
    problems = _problems(args, result)
    if args.json:
        print(json.dumps({**result, "problems": problems}, indent=2))
    elif not args.quiet:
        _print_result(result, progress)
    for problem in problems:
        print(f"blosc2-grok: {args.input}: {problem}", file=__import__("sys").stderr)
    return FAILED if problems else 0


def _problems(args: argparse.Namespace, result: dict[str, Any]) -> list[str]:
    problems = []
    if args.exact and not result["exact"]:
        problems.append(f"{result['different samples']} samples differ")
    if args.min_psnr and result["psnr"] < args.min_psnr:
        problems.append(f"the PSNR is {result['psnr']:.2f} dB, below {args.min_psnr:g}")
    if args.max_error is not None and result["largest error"] > args.max_error:
        problems.append(f"the largest error is {result['largest error']}, above {args.max_error}")
    return problems


def _print_result(result: dict[str, Any], progress: Progress) -> None:
    text = f"{result['file']}: all {human(result['decoded bytes'])} decode ({progress.figures()})"
    if "exact" in result:
        if result["exact"]:
            text += "; equal to the original, bit for bit"
        else:
            ssim = "" if result["ssim"] is None else f", SSIM {result['ssim']:.4f}"
            text += (
                f"; PSNR {result['psnr']:.2f} dB (peak {result['peak']:g}){ssim}, largest error {result['largest error']}, "
                f"{result['different samples']} samples differ"
            )
    print(text)


# ---- preview ----


def preview(args: argparse.Namespace) -> int:
    import numpy as np

    check_output(args.output, args.force)
    array = open_parts(args.input)
    axes = array.image_axes
    leading = array.shape[: array.ndim - axes]
    index = args.index or tuple(length // 2 for length in leading)
    if len(index) != len(leading) or any(not -n <= i < n for i, n in zip(index, leading, strict=True)):
        fail(f"--index: {','.join(map(str, index))} is not an image of an array of shape {array.shape}")
    levels = array.levels
    reduce = args.reduce
    if reduce is None:
        longest = [max(level.shape[len(leading) : len(leading) + 2]) for level in levels]
        reduce = next((n for n, length in enumerate(longest) if length <= args.size), len(levels) - 1)
    if reduce >= len(levels):
        fail(f"--reduce: {reduce} is not allowed; allowed: 0 to {len(levels) - 1}")
    image = np.asarray(levels[reduce][index])
    write_png(args.output, to_eight_bits(image))
    if not args.quiet:
        size = " x ".join(map(str, image.shape[1::-1]))
        print(f"{args.input} -> {args.output}: {size} pixels, resolution 1/{2**reduce}")
    return 0


def to_eight_bits(image: np.ndarray) -> np.ndarray:
    """For looking at: 8-bit images as they are, others stretched between the 0.5 and 99.5 percent quantiles."""
    import numpy as np

    if image.dtype == np.uint8 or image.dtype == bool:
        return image
    finite = image[np.isfinite(image)] if image.dtype.kind == "f" else image
    low, high = np.percentile(finite, [0.5, 99.5]) if finite.size else (0, 1)
    scaled = (np.nan_to_num(image.astype("f8")) - low) * (255 / (high - low if high > low else 1))
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
