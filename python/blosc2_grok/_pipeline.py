# From an array that comes in pieces to coded chunks, on all cores, in bounded memory; and where the chunks go.
# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import itertools
import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from enum import Enum
from typing import TYPE_CHECKING, Any

from ._arrays import storage
from ._chunks import make_chunk
from ._codec import encode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import numpy as np

    from ._sinks import Sink
    from ._sources import Source

Shape = tuple[int, ...]


class ChunkCoder:
    """Codes chunks of one array; thread safe.

    shape: of the array. chunks, blocks: shapes, by default those of ``asarray``. given: parameters of ``encode``; threads are not used inside, since
    chunks are coded side by side. ``dtype`` is in this machine's byte order. Raises ValueError for what ``encode`` would refuse.
    """

    def __init__(
        self,
        shape: Sequence[int],
        dtype: Any,
        given: Mapping[str, Any],
        chunks: Sequence[int] | None = None,
        blocks: Sequence[int] | None = None,
    ) -> None:
        import numpy as np

        self.shape = tuple(int(length) for length in shape)
        self.dtype = np.dtype(dtype).newbyteorder("=")
        self.given = dict(given)
        self.storage = storage(self.shape, self.dtype, chunks=chunks, blocks=blocks, **self.given)
        self.chunks: Shape = self.storage["chunks"]
        self.blocks: Shape = self.storage["blocks"]
        self._params = {**self.given, "num_threads": 1}

    def array(self, shape: Sequence[int] | None = None, **kwargs: Any) -> Any:
        """A Blosc2 array whose chunks are still to come; it stores the parameters, for what is appended later."""
        import blosc2

        return blosc2.uninit(shape or self.shape, dtype=self.dtype, **self.storage, **kwargs)

    def chunk(self, elements: np.ndarray) -> bytes:
        """A Blosc2 chunk. elements: the chunk, or what the array's end leaves of it."""
        elements = self._padded(elements, [-(-c // b) * b for c, b in zip(self.chunks, self.blocks, strict=True)])
        blocksize = self.dtype.itemsize
        for length in self.blocks:
            blocksize *= length
        grid = [range(0, length, b) for length, b in zip(elements.shape, self.blocks, strict=True)]
        coded = []
        for start in itertools.product(*grid):
            part = elements[tuple(slice(s, s + b) for s, b in zip(start, self.blocks, strict=True))]
            stream = encode(part, **self._params)
            coded.append(stream if len(stream) < blocksize else part.tobytes())
        nbytes = blocksize * len(coded)
        return make_chunk(coded, typesize=self.dtype.itemsize, blocksize=blocksize, nbytes=nbytes)

    def image(self, elements: np.ndarray) -> bytes:
        """A chunk as one JPEG 2000 file."""
        return encode(self._padded(elements, self.chunks), **self._params)

    def _padded(self, elements: np.ndarray, shape: Any) -> np.ndarray:
        """Repeats the edge, which costs less than zeros would."""
        import numpy as np

        if elements.shape == tuple(shape):
            return np.ascontiguousarray(elements)
        missing = [(0, full - length) for full, length in zip(shape, elements.shape, strict=True)]
        return np.pad(elements, missing, mode="edge")


def chunk_grid(shape: Shape, chunks: Shape) -> Shape:
    return tuple(-(-length // chunk) for length, chunk in zip(shape, chunks, strict=True))


def _bands(source: Source, chunks: Shape) -> Iterator[tuple[int, np.ndarray]]:
    """The source's first axis in pieces of one chunk's length."""
    for start in range(0, source.shape[0], chunks[0]):
        yield start // chunks[0], source.read(start, min(start + chunks[0], source.shape[0]))


def run(
    source: Source,
    coder: ChunkCoder,
    sink: Sink,
    *,
    num_threads: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Read, code and store everything. progress(raw, coded) is told the bytes of every chunk that is done.

    At most twice as many chunks as threads are in memory, and the part of the source that they come from. On any error, also an
    interrupt, the sink is aborted: nothing is left where the output would be.
    """
    num_threads = num_threads or os.cpu_count() or 1
    grid = chunk_grid(source.shape, coder.chunks)
    waiting: deque[tuple[Shape, int, int, Future[bytes]]] = deque()
    number = 0

    def settle() -> None:
        index, chunk_number, raw, future = waiting.popleft()
        data = future.result()
        sink.put(index, chunk_number, data)
        if progress:
            progress(raw, len(data))

    pool = ThreadPoolExecutor(num_threads)
    try:
        for first, band in _bands(source, coder.chunks):
            band = band.astype(coder.dtype, copy=False)
            for rest in itertools.product(*(range(count) for count in grid[1:])):
                place = (slice(None), *(slice(i * c, (i + 1) * c) for i, c in zip(rest, coder.chunks[1:], strict=True)))
                elements = band[place]
                while len(waiting) >= 2 * num_threads:
                    settle()
                waiting.append(((first, *rest), number, elements.nbytes, pool.submit(sink.coding, coder, elements)))
                number += 1
        while waiting:
            settle()
        sink.finish()
    except BaseException:
        pool.shutdown(wait=True, cancel_futures=True)
        sink.abort()
        raise
    pool.shutdown()


def plain(value: Any) -> Any:
    """An attribute or parameter as plain Python values, as JSON and msgpack take them."""
    import numpy as np

    if isinstance(value, (np.generic, np.ndarray)):
        return plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, Enum):
        return plain(value.value)
    return value
