# Reading parts of Blosc2 arrays: slices that decode only the code-blocks they need, and lower resolutions.
# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import operator
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

from ._chunks import Block, ChunkReader
from ._decode import decode, describe, view

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np

Span = tuple[int, int]  # start and stop along one axis


def open(source: Any, *, num_threads: int = 0) -> Array:
    """Open an array for reading parts of it.

    source: the path of a ``.b2nd`` file, a cframe (bytes), a ``blosc2.NDArray``, or any object with ``shape``, ``dtype``,
    ``chunks``, ``blocks`` and ``get_chunk(n)`` (or ``get_lazychunk(n)``) such as ``blosc2.C2Array``. Nothing is decoded yet.
    num_threads: blocks decoded at once; 0 means one a processor.

    The array must be a Blosc2 array (not a bare super-chunk). Blocks of other codecs are read as well, as whole chunks.
    Raises FileNotFoundError for paths that do not exist and ValueError for what is not an array.
    """
    import blosc2

    if isinstance(source, (str, os.PathLike)):
        path = os.fspath(source)
        if not os.path.exists(path):
            raise FileNotFoundError(f"{path}: there is no such file")
        source = blosc2.open(path, mode="r")
    elif isinstance(source, (bytes, bytearray, memoryview)):
        source = blosc2.ndarray_from_cframe(bytes(source), copy=True)
    missing = [name for name in ("shape", "dtype", "chunks", "blocks") if not hasattr(source, name)]
    if missing or not any(hasattr(source, name) for name in ("get_chunk", "get_lazychunk", "schunk")):
        raise ValueError(f"{type(source).__name__} is not an array: it has no {', '.join(missing) or 'get_chunk'}")
    return Array(source, num_threads=num_threads)


@dataclass(frozen=True)
class _Stream:
    """How a block of an array lies in its JPEG 2000 image."""

    x_axis: int
    y_axis: int | None  # None: the block is one row
    planes: int  # stacked from top to bottom
    channels: int  # samples interleaved; 1: the array has no such axis
    num_levels: int  # decompositions


def _reopen(source: Any, num_threads: int) -> Array:
    return open(source, num_threads=num_threads)


def _ceil_shift(value: int, shift: int) -> int:
    return -(-value >> shift)


class Array:
    """A Blosc2 array of JPEG 2000 blocks, read in parts.

    ``array[key]`` takes integers, slices (any step) and an ellipsis, as NumPy does, and decodes only the blocks, and in them
    only the code-blocks, that the key touches. Thread safe: nothing is changed by reading.

    Attributes: ``shape``, ``dtype``, ``ndim``, ``size``, ``nbytes``, ``chunks`` and ``blocks`` (shapes), ``attrs`` (the variable-length
    metadata), ``levels``.
    """

    def __init__(self, source: Any, *, num_threads: int = 0) -> None:
        import numpy as np

        self._source = source
        self.reader = ChunkReader(source)
        self._num_threads = num_threads or os.cpu_count() or 1
        self.shape: tuple[int, ...] = tuple(source.shape)
        self.dtype = np.dtype(source.dtype)
        self.chunks: tuple[int, ...] = tuple(source.chunks)
        self.blocks: tuple[int, ...] = tuple(source.blocks)
        self.ndim = len(self.shape)
        self.size = int(np.prod(self.shape, dtype=np.int64))
        self.nbytes = self.size * self.dtype.itemsize
        self._stream_cache: _Stream | None = None

    def __reduce__(self) -> Any:
        """Arrays in files are pickled as their paths, others with all their data."""
        schunk = getattr(self._source, "schunk", None)
        if schunk is None:
            return _reopen, (self._source, self._num_threads)
        path = getattr(schunk, "urlpath", None)
        return _reopen, (os.path.abspath(path) if path else self._source.to_cframe(), self._num_threads)

    def __repr__(self) -> str:
        return f"<blosc2_grok.Array shape={self.shape} dtype={self.dtype} chunks={self.chunks} blocks={self.blocks}>"

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of an array without dimensions")
        return self.shape[0]

    @property
    def attrs(self) -> dict[str, Any]:
        """A copy of the array's variable-length metadata."""
        if isinstance(getattr(self._source, "attrs", None), dict):
            return dict(self._source.attrs)
        vlmeta = getattr(getattr(self._source, "schunk", self._source), "vlmeta", None)
        return dict(vlmeta[:]) if vlmeta is not None and len(vlmeta) else {}

    @property
    def parameters(self) -> str | None:
        """The coding parameters stored with the array, in their text form; None when there are none."""
        meta = getattr(getattr(self._source, "schunk", None), "meta", {})
        text = meta["jpeg2000"] if "jpeg2000" in meta else None
        return text.decode("latin-1") if isinstance(text, bytes) else text

    @property
    def image_axes(self) -> int:
        """How many of the last axes are one image: 2, 3 with colour, 1 without rows."""
        stream = self._stream()
        if stream is None:
            return min(self.ndim, 2)
        return self.ndim - (stream.x_axis if stream.y_axis is None else stream.y_axis)

    # ---- geometry ----

    def _stream(self) -> _Stream | None:
        """The layout of the blocks, from the first one that is a JPEG 2000 image; None when there is none, or none that follows the
        rule "the image's raster order is the block's memory order"."""
        if self._stream_cache is None:
            self._stream_cache = self._find_stream()
        return self._stream_cache

    def _find_stream(self) -> _Stream | None:
        for chunk in range(self.num_chunks):
            for block in self.reader.blocks(chunk):
                if block.is_stream:
                    return self._layout(describe(view(block.data)))
        return None

    def _layout(self, header: dict[str, Any]) -> _Stream | None:
        """Match an image with the blocks' shape; leading dimensions count as planes."""
        width, height = header["x1"] - header["x0"], header["y1"] - header["y0"]
        channels = len(header["components"])
        axes = [axis for axis, length in enumerate(self.blocks) if length > 1] or [self.ndim - 1]
        if channels > 1:
            if self.blocks[axes[-1]] != channels or len(axes) < 2:
                return None
            axes.pop()
        # Dimensions of length 1 may stand anywhere; the image's width is the fastest varying axis that is left.
        if width == 1 and self.blocks[axes[-1]] != 1:
            axes.append(axes[-1] + 1)
        x_axis = axes[-1]
        if x_axis >= self.ndim or self.blocks[x_axis] != width:
            return None
        y_axis = x_axis - 1 if x_axis else None
        rows = self.blocks[y_axis] if y_axis is not None else 1
        if height % rows or header["x0"] or header["y0"]:
            return None
        planes = height // rows
        expected = 1
        for axis in range(y_axis or 0):
            expected *= self.blocks[axis]
        if planes != expected:
            return None
        return _Stream(x_axis, y_axis, planes, channels, header["num_resolutions"] - 1)

    @property
    def num_chunks(self) -> int:
        count = 1
        for length, chunk in zip(self.shape, self.chunks, strict=True):
            count *= -(-length // chunk) if chunk else 0
        return count

    def _max_reduce(self) -> int:
        """Levels that all blocks have and at which their samples lie on one grid: the place of every block and plane must be
        divisible by 2 ** level."""
        stream = self._stream()
        if stream is None:
            return 0
        level = stream.num_levels
        for axis in (stream.x_axis, stream.y_axis):
            if axis is None:
                continue
            steps = []
            if self.chunks[axis] < self.shape[axis]:
                steps.append(self.chunks[axis])
            if self.blocks[axis] < min(self.chunks[axis], self.shape[axis]):
                steps.append(self.blocks[axis])
            if axis == stream.y_axis and stream.planes > 1:
                steps.append(self.blocks[axis])
            for step in steps:
                level = min(level, (step & -step).bit_length() - 1)
        return level

    @property
    def levels(self) -> list[Level]:
        """The array at full, half, quarter ... resolution: what the wavelet transform keeps anyway, read without decoding more.

        Each one has ``shape``, ``dtype``, ``ndim``, ``chunks`` and slicing, which is what napari (``add_image(multiscale=True)``)
        and ``dask.array.from_array`` take. Level n is ``ceil(length / 2**n)`` long along the image's two axes; there are as many as the
        streams have and as blocks meet on one grid.
        """
        return [Level(self, reduce) for reduce in range(self._max_reduce() + 1)]

    # ---- reading ----

    def __getitem__(self, key: Any) -> Any:
        return self._read(key, 0)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        import numpy as np

        if copy is False:
            raise ValueError("reading decodes: an array without a copy is not possible")
        return np.asarray(self[...], dtype)

    def read(self, key: Any = ..., *, reduce: int = 0) -> Any:
        """``array[key]`` at a lower resolution: key counts samples at full resolution, the result has every 2**reduce-th of them along
        the image's axes (a slice ``start:stop`` becomes ``ceil(start / 2**reduce) : ceil(stop / 2**reduce)``)."""
        reduce = operator.index(reduce)
        largest = self._max_reduce()
        if not 0 <= reduce <= largest:
            raise ValueError(f"reduce: {reduce} is not allowed; allowed: 0 to {largest} for this array")
        if reduce == 0:
            return self[key]
        selection = normalize_key(key, self.shape)
        scaled: list[Any] = []
        for axis, item in enumerate(selection):
            if axis not in self._spatial():
                scaled.append(item)
            elif isinstance(item, int):
                scaled.append(item >> reduce)
            elif item.step not in (None, 1):
                raise ValueError(f"axis {axis}: steps are not possible together with reduce")
            else:
                scaled.append(slice(_ceil_shift(item.start, reduce), _ceil_shift(item.stop, reduce)))
        return self._read(tuple(scaled), reduce)

    def _spatial(self) -> tuple[int | None, ...]:
        stream = self._stream()
        return () if stream is None else (stream.y_axis, stream.x_axis)

    def level_shape(self, reduce: int) -> tuple[int, ...]:
        """Shape of ``levels[reduce]``."""
        spatial = self._spatial() if reduce else ()
        return tuple(
            _ceil_shift(length, reduce) if axis in spatial else length for axis, length in enumerate(self.shape)
        )

    def _read(self, key: Any, reduce: int) -> Any:
        import numpy as np

        selection = normalize_key(key, self.level_shape(reduce))
        spans, after = bounding_spans(selection)
        result = np.zeros([stop - start for start, stop in spans], self.dtype)
        if result.size:
            jobs = list(self._jobs(spans, reduce))
            threads = max(1, self._num_threads // len(jobs)) if len(jobs) < self._num_threads else 1

            def run(job: Callable[[np.ndarray, int], None]) -> None:
                job(result, threads)

            if len(jobs) > 1 and self._num_threads > 1:
                with ThreadPoolExecutor(min(self._num_threads, len(jobs))) as pool:
                    list(pool.map(run, jobs))
            else:
                for job in jobs:
                    run(job)
        return result[after]

    def _jobs(self, spans: list[Span], reduce: int) -> Iterator[Callable[[np.ndarray, int], None]]:
        """One job for every block that the spans (of the level) touch."""
        shift = [reduce if axis in self._spatial() else 0 for axis in range(self.ndim)]
        full = [
            (start << s, min(stop << s, length))
            for (start, stop), s, length in zip(spans, shift, self.shape, strict=True)
        ]
        for chunk in _touched(full, self.shape, self.chunks):
            origin = [index * length for index, length in zip(chunk, self.chunks, strict=True)]
            number = 0
            for index, length, size in zip(chunk, self.shape, self.chunks, strict=True):
                number = number * -(-length // size) + index
            inside = [
                (max(start - o, 0), min(stop - o, size))
                for (start, stop), o, size in zip(full, origin, self.chunks, strict=True)
            ]
            grid = [-(-size // block) for size, block in zip(self.chunks, self.blocks, strict=True)]
            touched = list(_touched(inside, self.chunks, self.blocks))
            numbers = []
            for block_index in touched:
                block_number = 0
                for index, count in zip(block_index, grid, strict=True):
                    block_number = block_number * count + index
                numbers.append(block_number)
            blocks = self.reader.some_blocks(number, numbers)
            for block_index, block in zip(touched, blocks, strict=True):
                start = [o + i * b for o, i, b in zip(origin, block_index, self.blocks, strict=True)]
                stop = [
                    min(s + b, o + size) for s, b, o, size in zip(start, self.blocks, origin, self.chunks, strict=True)
                ]
                yield self._job(block, start, stop, full, spans, shift)

    def _job(
        self,
        block: Block,
        start: list[int],
        stop: list[int],
        full: list[Span],
        spans: list[Span],
        shift: list[int],
    ) -> Callable[[np.ndarray, int], None]:
        # What is wanted of the block, in its own coordinates, and where that goes in the result.
        wanted = [(max(f[0], a) - a, min(f[1], b) - a) for f, a, b in zip(full, start, stop, strict=True)]
        target = tuple(
            slice(_ceil_shift(a + w[0], s) - span[0], _ceil_shift(a + w[1], s) - span[0])
            for a, w, s, span in zip(start, wanted, shift, spans, strict=True)
        )

        def job(result: np.ndarray, threads: int) -> None:
            result[target] = self._decode_block(block, wanted, shift, threads)

        return job

    def _decode_block(self, block: Block, wanted: list[Span], shift: list[int], threads: int) -> np.ndarray:
        import numpy as np

        stream = self._stream()
        reduce = max(shift)
        if not block.is_stream or stream is None:
            whole = np.frombuffer(self._elements(block), self.dtype).reshape(self.blocks)
            if not reduce or whole.min() == whole.max():
                part = [
                    _ceil_shift(stop, s) - _ceil_shift(start, s) for (start, stop), s in zip(wanted, shift, strict=True)
                ]
                return whole[tuple(slice(start, start + n) for (start, _), n in zip(wanted, part, strict=True))]
            return self._reduce_raw(whole, wanted, reduce)
        return self._decode_stream(block.data, stream, wanted, reduce, threads)

    def _elements(self, block: Block) -> bytes | memoryview:
        """A whole block's elements in the array's byte order, whatever way it is stored."""
        if not block.is_stream:
            return block.raw()
        # An image whose shape does not tell where its samples lie in the block: in memory order all the same.
        return as_dtype(decode(block.data), self.dtype).astype(self.dtype, copy=False).tobytes()

    def _reduce_raw(self, whole: np.ndarray, wanted: list[Span], reduce: int) -> np.ndarray:
        """A block that was stored as it is, at a lower resolution: what it would be had it been coded."""
        from ._codec import encode

        stream = self._stream()
        assert stream is not None
        rows = self.blocks[stream.y_axis] if stream.y_axis is not None else 1
        image = whole.astype(self.dtype.newbyteorder("="))
        shape = (-1, self.blocks[stream.x_axis]) + ((stream.channels,) if stream.channels > 1 else ())
        data = encode(
            image.reshape(shape),
            quality_mode=None,
            num_resolutions=stream.num_levels + 1,
            tile_size=(self.blocks[stream.x_axis], rows),
        )
        return self._decode_stream(data, stream, wanted, reduce, 1)

    def _decode_stream(
        self, data: memoryview | bytes, stream: _Stream, wanted: list[Span], reduce: int, threads: int
    ) -> np.ndarray:
        import numpy as np

        left, right = wanted[stream.x_axis]
        top, bottom = wanted[stream.y_axis] if stream.y_axis is not None else (0, 1)
        rows = self.blocks[stream.y_axis] if stream.y_axis is not None else 1
        leading = stream.y_axis or 0
        result_shape = [stop - start for start, stop in wanted]
        result_shape[stream.x_axis] = _ceil_shift(right, reduce) - _ceil_shift(left, reduce)
        if stream.y_axis is not None:
            result_shape[stream.y_axis] = _ceil_shift(bottom, reduce) - _ceil_shift(top, reduce)
        result = np.empty(result_shape, self.dtype)
        lines, columns = _ceil_shift(bottom, reduce) - _ceil_shift(top, reduce), result_shape[stream.x_axis]
        first, last = wanted[-1] if stream.channels > 1 else (0, 1)
        planes = result.reshape(-1, lines, columns, last - first)
        counts = self.blocks[:leading]
        for i, place in enumerate(product(*(range(start, stop) for start, stop in wanted[:leading]))):
            plane = 0
            for index, count in zip(place, counts, strict=True):
                plane = plane * count + index
            region = (left, plane * rows + top, right, plane * rows + bottom)
            values = decode(data, region=region, reduce=reduce, num_threads=threads)
            samples = as_dtype(values, self.dtype).reshape(lines, columns, stream.channels)
            planes[i] = samples[:, :, first:last]
        return result


def as_dtype(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Decoded samples as elements of the array: other plugins code signed and other types as unsigned integers of their size."""
    import numpy as np

    if values.dtype.kind == "u" and dtype.kind in "if" and values.dtype.itemsize == dtype.itemsize:
        return values.view(dtype.newbyteorder("="))
    return values.astype(dtype.newbyteorder("="), copy=False) if values.dtype != np.bool_ else values


@dataclass(frozen=True)
class Level:
    """An array at a lower resolution: ``shape``, ``dtype``, ``ndim``, ``chunks`` and slicing. Made by ``Array.levels``."""

    array: Array
    reduce: int

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.level_shape(self.reduce)

    @property
    def dtype(self) -> np.dtype:
        return self.array.dtype

    @property
    def ndim(self) -> int:
        return self.array.ndim

    @property
    def size(self) -> int:
        size = 1
        for length in self.shape:
            size *= length
        return size

    @property
    def chunks(self) -> tuple[int, ...]:
        """Shape of the parts in which reading is cheapest."""
        spatial = self.array._spatial()
        return tuple(
            min(_ceil_shift(chunk, self.reduce) if axis in spatial else chunk, length)
            for axis, (chunk, length) in enumerate(zip(self.array.chunks, self.shape, strict=True))
        )

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> Any:
        return self.array._read(key, self.reduce)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        import numpy as np

        if copy is False:
            raise ValueError("reading decodes: an array without a copy is not possible")
        return np.asarray(self[...], dtype)


def normalize_key(key: Any, shape: tuple[int, ...]) -> tuple[Any, ...]:
    """One non-negative integer or slice with start and stop an axis. Raises IndexError for anything else."""
    items = list(key) if isinstance(key, tuple) else [key]
    if sum(item is Ellipsis for item in items) > 1:
        raise IndexError("an index can have only one ellipsis")
    if Ellipsis in [item for item in items if item is Ellipsis]:
        at = next(i for i, item in enumerate(items) if item is Ellipsis)
        items[at : at + 1] = [slice(None)] * (len(shape) - len(items) + 1)
    if len(items) > len(shape):
        raise IndexError(f"there are {len(items)} indices, but the array has {len(shape)} dimensions")
    items += [slice(None)] * (len(shape) - len(items))
    result: list[Any] = []
    for axis, (item, length) in enumerate(zip(items, shape, strict=True)):
        if isinstance(item, slice):
            start, stop, step = item.indices(length)
            result.append(slice(start, max(stop, start), 1) if step == 1 else slice(start, stop, step))
            continue
        try:
            index = operator.index(item)
        except TypeError:
            raise IndexError(
                f"axis {axis}: {type(item).__name__} is not possible; allowed: integers, slices and an ellipsis"
            ) from None
        if not -length <= index < length:
            raise IndexError(f"axis {axis}: index {index} is out of bounds for length {length}")
        result.append(index % length)
    return tuple(result)


def bounding_spans(selection: tuple[Any, ...]) -> tuple[list[Span], tuple[Any, ...]]:
    """The contiguous part that holds a normalized key, and what to select of it."""
    spans: list[Span] = []
    after: list[Any] = []
    for item in selection:
        if isinstance(item, int):
            spans.append((item, item + 1))
            after.append(0)
            continue
        indices = range(item.start, item.stop, item.step)
        if not indices:
            spans.append((0, 0))
            after.append(slice(None))
            continue
        low, high = min(indices[0], indices[-1]), max(indices[0], indices[-1])
        spans.append((low, high + 1))
        after.append(slice(None, None, item.step))
    return spans, tuple(after)


def _touched(spans: list[Span], shape: tuple[int, ...], part: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Indices of the parts (chunks of an array, blocks of a chunk) that the spans touch."""
    ranges = []
    for (start, stop), length, size in zip(spans, shape, part, strict=True):
        stop = min(stop, length)
        ranges.append(range(start // size, -(-stop // size)) if start < stop else range(0))
    return product(*ranges)
