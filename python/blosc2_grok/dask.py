"""JPEG 2000 arrays and Dask: read them as Dask arrays, and write Dask arrays with all the workers of a cluster.

Any scheduler will do: threads, processes, or a ``dask.distributed`` cluster when a client is active. Workers code; the process
that calls ``store`` writes the file, chunk after chunk, so that results are those of a single process::

    stack = blosc2_grok.dask.read("scan.h5:/entry/data")        # or a folder of TIFFs, a .b2nd ...
    blosc2_grok.dask.store(stack - dark, "scan.b2nd", ratio=6)
"""
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import os
from collections import deque
from itertools import islice, product
from typing import TYPE_CHECKING, Any

import dask
import dask.array as da
import numpy as np
from dask.base import get_scheduler

from ._pipeline import ChunkCoder, chunk_grid
from ._sinks import Sink, open_sink
from ._sources import open_source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from ._open import Array, Level

__all__ = ["from_array", "read", "store"]


def from_array(array: Array | Level | str | os.PathLike[str], **kwargs: Any) -> da.Array:
    """An opened array, one of its levels, or the file of one, as a Dask array whose chunks are those that are cheap to read.

    kwargs: those of ``dask.array.from_array``. Workers open the file by its path, which they must be able to.
    """
    from ._open import open as open_array

    if isinstance(array, (str, os.PathLike)):
        array = open_array(array)
    kwargs.setdefault("chunks", array.chunks)
    return da.from_array(array, asarray=False, **kwargs)


def _read_piece(inputs: Sequence[str], options: Mapping[str, Any], start: int, stop: int) -> np.ndarray:
    with open_source(inputs, **options) as source:
        return np.ascontiguousarray(source.read(start, stop))


def read(inputs: str | Sequence[str], *, step: int = 0, **options: Any) -> da.Array:
    """What the command line reads, as a Dask array: image files, a folder of them, ``file.h5:/dataset``, ``.npy``, ``.b2nd``, Zarr.

    step: elements of the first axis in one chunk; 0: an image, or what the file keeps together. options: shape, dtype and offset of raw
    samples. Every worker opens the file itself.
    """
    inputs = [inputs] if isinstance(inputs, (str, os.PathLike)) else list(inputs)
    inputs = [os.path.abspath(path) if os.path.exists(path) else os.fspath(path) for path in inputs]
    with open_source(inputs, **options) as source:
        shape, dtype = source.shape, source.dtype
        step = step or source.step or (1 if len(shape) > 2 + source.colour else shape[0])
    piece = dask.delayed(_read_piece, pure=True)
    parts = []
    for start in range(0, shape[0], step):
        stop = min(start + step, shape[0])
        parts.append(da.from_delayed(piece(inputs, options, start, stop), (stop - start, *shape[1:]), dtype))
    return da.concatenate(parts, axis=0)


def _client() -> Any:
    """The client of dask.distributed when that is the scheduler now; else None."""
    client = getattr(get_scheduler(), "__self__", None)
    return client if hasattr(client, "nthreads") else None


def _results(tasks: Iterable[Any], window: int) -> Iterator[bytes]:
    """Results in order, at most ``window`` of them under way or waiting."""
    client = _client()
    tasks = iter(tasks)
    if client is None:
        while batch := list(islice(tasks, window)):
            yield from dask.compute(*batch)
        return
    waiting = deque(client.compute(task) for task in islice(tasks, window))
    while waiting:
        future = waiting.popleft()
        result = future.result()
        future.release()
        waiting.extend(client.compute(task) for task in islice(tasks, 1))
        yield result


def store(
    array: da.Array,
    target: str | os.PathLike[str],
    *,
    chunks: Sequence[int] | None = None,
    blocks: Sequence[int] | None = None,
    attrs: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    window: int = 0,
    progress: Callable[[int, int], None] | None = None,
    **parameters: Any,
) -> None:
    """Write a Dask array to ``x.b2nd``, ``file.h5:/dataset`` or ``x.zarr``, computing it on the way.

    chunks, blocks and parameters (``ratio``, ``psnr``, ``max_error``, ``ht``, and those of ``encode``): as in ``asarray``. attrs: metadata
    to store with it. window: chunks under way at once; 0: twice as many as there are workers' threads. progress(raw, coded): told the
    bytes of every chunk done. The output appears under its name when it is complete. A task whose worker dies is done again by another.
    """
    target = os.fspath(target)
    coder = ChunkCoder(array.shape, array.dtype, parameters, chunks, blocks)
    pieces = array.rechunk(coder.chunks).astype(coder.dtype)
    if not window:
        client = _client()
        threads = sum(client.nthreads().values()) if client else os.cpu_count() or 1
        window = 2 * max(1, threads)
    sink: Sink = open_sink(target, coder, attrs or {}, force=overwrite)
    blocks_of = pieces.to_delayed()
    code = dask.delayed(sink.coding, pure=False)
    grid = list(product(*map(range, chunk_grid(coder.shape, coder.chunks))))
    try:
        results = _results((code(coder, blocks_of[index]) for index in grid), window)
        for number, (index, data) in enumerate(zip(grid, results, strict=True)):
            sink.put(index, number, data)
            if progress:
                raw = int(np.prod([c[i] for c, i in zip(pieces.chunks, index, strict=True)])) * coder.dtype.itemsize
                progress(raw, len(data))
        sink.finish()
    except BaseException:
        sink.abort()
        raise
