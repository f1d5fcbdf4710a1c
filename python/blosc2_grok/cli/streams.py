# export, import and transcode: coded images as they are.
# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import itertools
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._chunks import make_chunk
from .._info import info as stream_info
from .._pipeline import ChunkCoder, chunk_grid
from .._sinks import Blosc2Sink, check_output, remove, replace, temporary_name
from .._sources import JPEG2000_SUFFIXES, natural_key
from . import fail
from .look import open_parts
from .progress import Progress, human

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from .._open import Array

_SUFFIXES = {"codestream": ".j2k", "jp2": ".jp2", "jph": ".jph"}


def suffix_of(stream: bytes | memoryview) -> str:
    """By what the stream is; a codestream with HT code-blocks is .jhc."""
    header = stream_info(stream)
    if header["format"] == "codestream" and header["codeblock_style"] & 64:
        return ".jhc"
    return _SUFFIXES[header["format"]]


def _places(array: Array) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Chunk numbers and where the chunks begin."""
    grid = chunk_grid(array.shape, array.chunks)
    for number, index in enumerate(itertools.product(*map(range, grid))):
        yield number, tuple(i * c for i, c in zip(index, array.chunks, strict=True))


def export(args: argparse.Namespace) -> int:
    """Files are called after the element at which their block begins: 12_0_0.jp2."""
    if os.path.exists(args.output) and (not os.path.isdir(args.output) or os.listdir(args.output)) and not args.force:
        fail(f"{args.output} exists and is not an empty folder; --force writes into it")
    array = open_parts(args.input)
    grid = [-(-c // b) for c, b in zip(array.chunks, array.blocks, strict=True)]
    written = left_out = nbytes = 0
    os.makedirs(args.output, exist_ok=True)
    with Progress("exporting", array.nbytes, quiet=args.quiet) as progress:
        for number, origin in _places(array):
            for index, block in zip(itertools.product(*map(range, grid)), array.reader.blocks(number), strict=True):
                start = [o + i * b for o, i, b in zip(origin, index, array.blocks, strict=True)]
                if any(s >= n for s, n in zip(start, array.shape, strict=True)):
                    continue  # wholly behind the array's end
                if not block.is_stream:
                    left_out += 1
                    continue
                path = Path(args.output) / ("_".join(map(str, start)) + suffix_of(block.data))
                temporary = temporary_name(str(path))
                Path(temporary).write_bytes(block.data)
                os.replace(temporary, path)
                written += 1
                nbytes += len(block.data)
            progress(array.nbytes // array.num_chunks, 0)
    if not args.quiet:
        print(f"{args.input} -> {args.output}: {written} files, {human(nbytes)}")
        if left_out:
            print(f"{left_out} blocks are not JPEG 2000 (constant, or stored as they are) and were left out")
    return 0


def _files(inputs: list[str]) -> list[str]:
    files: list[str] = []
    for path in inputs:
        if os.path.isdir(path):
            names = [name for name in os.listdir(path) if Path(name).suffix.lower() in JPEG2000_SUFFIXES]
            files += [os.path.join(path, name) for name in sorted(names, key=natural_key)]
        elif os.path.exists(path):
            files.append(path)
        else:
            fail(f"{path}: there is no such file")
    return files or fail(f"{inputs[0]}: there are no JPEG 2000 files in this folder")


def _image_of(path: str, data: bytes) -> tuple[tuple[int, ...], str]:
    """Shape and dtype of what a file decodes to."""
    try:
        header = stream_info(data)
    except ValueError as error:
        fail(f"{path}: {error}")
    components = header["components"]
    if len({(c["width"], c["height"], c["depth"], c["signed"]) for c in components}) > 1:
        fail(f"{path}: its components differ in size or depth, which an array cannot hold")
    depth = components[0]["depth"]
    bits = 8 if depth <= 8 else 16 if depth <= 16 else 32
    shape = (components[0]["height"], components[0]["width"])
    return shape + (
        (len(components),) if len(components) > 1 else ()
    ), f"{'i' if components[0]['signed'] else 'u'}{bits // 8}"


def import_(args: argparse.Namespace) -> int:
    import numpy as np

    check_output(args.output, args.force)
    if Path(args.output).suffix.lower() != ".b2nd":
        fail(f"{args.output}: unknown kind of output; allowed: x.b2nd")
    files = _files(args.inputs)
    shape, kind = _image_of(files[0], Path(files[0]).read_bytes())
    dtype = np.dtype(kind)
    nbytes = int(np.prod(shape)) * dtype.itemsize
    whole = shape if len(files) == 1 else (len(files), *shape)
    parts = shape if len(files) == 1 else (1, *shape)
    coder = ChunkCoder(whole, dtype, {}, parts, parts)
    sink = Blosc2Sink(args.output, coder)
    with Progress("importing", nbytes * len(files), quiet=args.quiet) as progress:
        try:
            for number, path in enumerate(files):
                data = Path(path).read_bytes()
                found = _image_of(path, data)
                if found != (shape, kind):
                    fail(f"{path}: {found[0]} {np.dtype(found[1])} differs from the first file's {shape} {dtype}")
                if len(data) >= nbytes:
                    # Blosc2 keeps no block that is larger than its samples.
                    from .._decode import decode

                    data = decode(data).astype(dtype, copy=False).tobytes()
                chunk = make_chunk([data], typesize=dtype.itemsize, blocksize=nbytes, nbytes=nbytes)
                sink.put((number,), number, chunk)
                progress(nbytes, len(chunk))
            sink.finish()
        except BaseException:
            sink.abort()
            raise
    if not args.quiet:
        print(
            f"{len(files)} files -> {args.output}: {' x '.join(map(str, whole))} {dtype}, ratio {progress.raw / progress.coded:.3f}"
        )
    return 0


# ---- transcode ----


def transcode(args: argparse.Namespace) -> int:
    options: dict[str, Any] = {}
    if args.ht or args.part1:
        options["ht"] = bool(args.ht)
    if args.progression:
        options["progression"] = args.progression
    if not options:
        fail("nothing to do; --ht, --part1 or --progression")
    from .. import transcode as transcode_stream

    check_output(args.output, args.force)
    suffix = Path(args.input).suffix.lower()
    if suffix in JPEG2000_SUFFIXES:
        data = Path(args.input).read_bytes()
        coded = transcode_stream(data, **options)
        temporary = temporary_name(args.output)
        Path(temporary).write_bytes(coded)
        os.replace(temporary, args.output)
        if not args.quiet:
            print(f"{args.input} -> {args.output}: {human(len(data))} to {human(len(coded))}")
        return 0
    if suffix != ".b2nd" or Path(args.output).suffix.lower() != ".b2nd":
        fail("transcode takes a .b2nd and makes a .b2nd, or a JPEG 2000 file and makes another")
    _transcode_array(args, lambda data: transcode_stream(data, **options))
    return 0


def _transcode_array(args: argparse.Namespace, convert: Any) -> None:
    import blosc2
    import numpy as np

    array = open_parts(args.input)
    blocksize = int(np.prod(array.blocks)) * array.dtype.itemsize
    num_blocks = int(np.prod([-(-c // b) for c, b in zip(array.chunks, array.blocks, strict=True)]))
    temporary = temporary_name(args.output)
    before = after = 0

    def one(block: Any) -> bytes:
        if not block.is_stream:
            return bytes(block.raw())
        coded = convert(block.data)
        return coded if len(coded) < blocksize else bytes(block.data)

    try:
        source = blosc2.open(args.input, mode="r")
        target = _empty_like(source, temporary)
        with (
            Progress("transcoding", array.nbytes, quiet=args.quiet) as progress,
            ThreadPoolExecutor(args.threads or os.cpu_count() or 1) as pool,
        ):
            for number, _ in _places(array):
                coded = list(pool.map(one, array.reader.blocks(number)))
                chunk = make_chunk(
                    coded, typesize=array.dtype.itemsize, blocksize=blocksize, nbytes=blocksize * num_blocks
                )
                target.schunk.update_chunk(number, chunk)
                before += array.reader.size(number)
                after += len(chunk)
                progress(array.nbytes // array.num_chunks, len(chunk))
        del target
        replace(temporary, args.output)
    except BaseException:
        remove(temporary)
        raise
    if not args.quiet:
        print(f"{args.input} -> {args.output}: {human(before)} to {human(after)}")


def _empty_like(source: Any, path: str) -> Any:
    """An array with the same shape and metadata, its chunks still to come."""
    import blosc2

    meta = {name: source.schunk.meta[name] for name in source.schunk.meta if name != "b2nd"}
    target = blosc2.uninit(
        source.shape,
        dtype=source.dtype,
        chunks=source.chunks,
        blocks=source.blocks,
        cparams={"codec": blosc2.Codec.GROK, "filters": [], "splitmode": blosc2.SplitMode.NEVER_SPLIT},
        meta=meta,
        urlpath=path,
        mode="w",
    )
    for name, value in dict(source.schunk.vlmeta[:]).items() if len(source.schunk.vlmeta) else ():
        target.schunk.vlmeta[name] = value
    return target
