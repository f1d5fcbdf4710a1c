# compress and decompress.
# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._params import Parameters
from .._pipeline import ChunkCoder, run
from .._sinks import check_output, in_hdf5, open_sink, remove, replace, temporary_name
from .._sources import Source, open_source, split_dataset
from . import fail
from .progress import Progress, human

if TYPE_CHECKING:
    import argparse

    import numpy as np


def quality_of(args: argparse.Namespace) -> dict[str, Any]:
    """The coding parameters that the options ask for."""
    parameters: dict[str, Any] = {}
    if args.param:
        text = ";".join(f"{name}={value}" for name, value in args.param)
        stated = dataclasses.asdict(Parameters.from_text(text))
        parameters = {name: stated[name] for name, _ in args.param}
    for name in ("ratio", "psnr", "max_error"):
        if getattr(args, name) is not None:
            parameters[name] = getattr(args, name)
    if args.ht:
        parameters["ht"] = True
    return parameters


def compress(args: argparse.Namespace) -> int:
    with open_source(args.inputs, shape=args.shape, dtype=args.dtype, offset=args.offset) as source:
        coder = ChunkCoder(source.shape, source.dtype, quality_of(args), args.chunks, args.blocks)
        sink = open_sink(args.output, coder, source.attrs, force=args.force)
        with Progress("compressing", source.nbytes, quiet=args.quiet) as progress:
            run(source, coder, sink, num_threads=args.threads, progress=progress)
        if not args.quiet:
            rate = progress.raw / max(progress.seconds, 1e-9)
            print(
                f"{source.name} -> {args.output}: {' x '.join(map(str, source.shape))} {source.dtype}, "
                f"{human(progress.raw)} to {human(progress.coded)}, ratio {progress.raw / max(progress.coded, 1):.3f}, {human(rate)}/s"
            )
    return 0


# ---- decompress ----


def decompress(args: argparse.Namespace) -> int:
    dataset = split_dataset(args.output)
    if not dataset:
        check_output(args.output, args.force)
    suffix = Path(args.output).suffix.lower()
    writers = {
        ".npy": _to_npy,
        ".tif": _to_tiff,
        ".tiff": _to_tiff,
        ".raw": _to_raw,
        ".bin": _to_raw,
        ".png": _to_png,
    }
    if not dataset and suffix not in writers:
        fail(f"{args.output}: unknown kind of output; allowed: {', '.join(sorted(writers))}, file.h5:/entry/data")
    with (
        open_source([args.input]) as source,
        Progress("decompressing", source.nbytes, quiet=args.quiet) as progress,
    ):
        if dataset:
            _to_hdf5(source, dataset, progress, args)
        else:
            temporary = temporary_name(args.output)
            try:
                writers[suffix](source, temporary, progress)
                replace(temporary, args.output)
            except BaseException:
                remove(temporary)
                raise
        if not args.quiet:
            print(
                f"{args.input} -> {args.output}: {' x '.join(map(str, source.shape))} {source.dtype}, {progress.figures()}"
            )
    return 0


def pieces(source: Source, nbytes: int = 1 << 26) -> Any:
    """Start and stop of pieces of about so many bytes along the first axis, and their elements; whole chunks where there are such."""
    row = source.nbytes // source.shape[0]
    step = max(1, nbytes // max(row, 1))
    if source.step:
        step = max(source.step, step // source.step * source.step)
    for start in range(0, source.shape[0], step):
        stop = min(start + step, source.shape[0])
        yield start, stop, source.read(start, stop)


def _to_npy(source: Source, path: str, progress: Progress) -> None:
    import numpy as np

    # The suffix of a temporary name is the output's.
    out = np.lib.format.open_memmap(path, "w+", source.dtype, source.shape)
    for start, stop, elements in pieces(source):
        out[start:stop] = elements
        progress(elements.nbytes, 0)
    out.flush()


def _to_raw(source: Source, path: str, progress: Progress) -> None:
    with open(path, "wb") as file:
        for _, _, elements in pieces(source):
            file.write(elements.astype(source.dtype, copy=False).tobytes())
            progress(elements.nbytes, 0)


def _to_tiff(source: Source, path: str, progress: Progress) -> None:
    from .._sources import tifffile

    colour = len(source.shape) > 2 and source.shape[-1] in (3, 4)
    image_axes = 3 if colour else 2
    photometric = "rgb" if colour else "minisblack"
    with tifffile().TiffWriter(path, bigtiff=source.nbytes > 3_900_000_000) as file:
        if len(source.shape) <= image_axes:
            image = source.read(0, source.shape[0])
            file.write(image, photometric=photometric)
            progress(image.nbytes, 0)
            return
        for _, _, elements in pieces(source):
            for image in elements.reshape(-1, *source.shape[-image_axes:]):
                file.write(image, photometric=photometric, contiguous=True)
            progress(elements.nbytes, 0)


def _to_png(source: Source, path: str, progress: Progress) -> None:
    image = source.read(0, source.shape[0])
    write_png(path, image.squeeze())
    progress(image.nbytes, 0)


def write_png(path: str, image: np.ndarray) -> None:
    """8-bit grey or colour, or 16-bit grey."""
    try:
        from PIL import Image
    except ImportError:
        fail("PNG files need the package pillow: pip install 'blosc2-grok[cli]'")
    fits = image.dtype == "u1" and (image.ndim == 2 or image.ndim == 3 and image.shape[2] in (3, 4))
    if image.dtype == bool:
        image, fits = image.astype("u1") * 255, image.ndim == 2
    if not fits and not (image.dtype == "u2" and image.ndim == 2):
        fail(f"{path}: an array of shape {image.shape} and dtype {image.dtype} is no PNG image; .npy and .tif take it")
    Image.fromarray(image).save(path, format="PNG")


def _to_hdf5(source: Source, dataset: tuple[str, str], progress: Progress, args: argparse.Namespace) -> None:
    with in_hdf5(*dataset, force=args.force) as (file, name):
        out = file.create_dataset(name, shape=source.shape, dtype=source.dtype)
        for key, value in source.attrs.items():
            out.attrs[key] = value
        for start, stop, elements in pieces(source):
            out[start:stop] = elements
            progress(elements.nbytes, 0)
