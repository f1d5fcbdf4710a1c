# The compressed blocks of a Blosc2 array, one by one: taken out of chunks and put into them.
# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

# Codec ids under which JPEG 2000 blocks are stored: the registered ones and those of the documentation's examples.
JPEG2000_CODECS = {36, 37, 39, 40, 160, 161}

# The chunk header (C-Blosc2, README_CHUNK_FORMAT): version, versionlz, flags, typesize, nbytes, blocksize, cbytes, filters[6],
# user codec, codec meta, filter meta[6], reserved, flags of Blosc2.
_HEADER = struct.Struct("<BBBBiii6sBB6sBB")
_STORED_RAW, _NOT_SPLIT, _USER_CODEC = (
    0x02,
    0x10,
    6,
)  # flags: memcpyed, not split into bytes; codec in the upper three bits
_EXTENDED, _FORMAT = 0x05, 5  # flags: the header is the long one; version of the format
_SPECIAL_SHIFT, _SPECIAL_MASK = 4, 0x07  # flags of Blosc2: a chunk of one value
_SPECIAL_ZERO = 1


@dataclass(frozen=True)
class Block:
    """One block: a JPEG 2000 file or codestream (``is_stream``), or something that ``raw`` turns into elements."""

    is_stream: bool
    data: memoryview
    expand: Callable[[], bytes] | None = None

    def raw(self) -> bytes | memoryview:
        return self.expand() if self.expand else self.data


@dataclass(frozen=True)
class _Header:
    flags: int
    typesize: int
    nbytes: int
    blocksize: int
    cbytes: int
    filters: bytes
    codec: int
    special: int

    @property
    def num_blocks(self) -> int:
        return -(-self.nbytes // self.blocksize)


def _parse(chunk: bytes | memoryview) -> _Header:
    if len(chunk) < _HEADER.size:
        raise ValueError(f"a chunk of {len(chunk)} bytes is too short for its header")
    fields = _HEADER.unpack_from(chunk)
    flags, typesize, nbytes, blocksize, cbytes, filters, codec = fields[2:9]
    header = _Header(
        flags, typesize, nbytes, blocksize, cbytes, filters, codec, fields[12] >> _SPECIAL_SHIFT & _SPECIAL_MASK
    )
    if nbytes < 0 or blocksize <= 0 or cbytes < _HEADER.size:
        raise ValueError("a chunk header contradicts itself")
    return header


class ChunkReader:
    """The chunks of an array-like with ``get_chunk(n)`` or ``get_lazychunk(n)``, or with a ``schunk`` that has them.

    For a contiguous frame on disk, only the blocks asked for are read.
    """

    def __init__(self, source: Any) -> None:
        self._schunk = source if hasattr(source, "get_chunk") else getattr(source, "schunk", source)
        chunks = getattr(source, "schunk", source)
        self._lazy = getattr(chunks, "get_lazychunk", None)
        path = getattr(chunks, "urlpath", None)
        self._path = path if path and getattr(chunks, "contiguous", False) and os.path.isfile(path) else None

    def _whole(self, number: int) -> bytes:
        get = getattr(self._schunk, "get_chunk", None) or self._lazy
        return get(number)

    def size(self, number: int) -> int:
        """Coded bytes of a chunk."""
        return _parse(self._lazy(number) if self._lazy else self._whole(number)).cbytes

    def blocks(self, number: int) -> Iterator[Block]:
        """All blocks of a chunk, in order."""
        chunk = self._whole(number)
        header = _parse(chunk)
        yield from self._from_chunk(chunk, header, range(header.num_blocks))

    def some_blocks(self, number: int, wanted: Sequence[int]) -> list[Block]:
        """Some blocks of a chunk."""
        if self._path and self._lazy:
            found = self._from_file(number, wanted)
            if found is not None:
                return found
        chunk = self._whole(number)
        return list(self._from_chunk(chunk, _parse(chunk), wanted))

    def _from_file(self, number: int, wanted: Sequence[int]) -> list[Block] | None:
        """Blocks read from the frame's file, at the places that a lazy chunk tells; None when it does not."""
        lazy = self._lazy(number)
        header = _parse(lazy)
        count = header.num_blocks
        trailer = _HEADER.size + 4 * count
        if header.special or header.flags & _STORED_RAW or not self._is_ours(header):
            return None
        if len(lazy) != trailer + 12 + 4 * count:
            return None
        (offset,) = struct.unpack_from("<q", lazy, trailer + 4)
        sizes = struct.unpack_from(f"<{count}i", lazy, trailer + 12)
        starts = struct.unpack_from(f"<{count}i", lazy, _HEADER.size)
        found = []
        with open(self._path, "rb") as file:
            for block in wanted:
                file.seek(offset + starts[block])
                found.append(self._stream(memoryview(file.read(sizes[block])), header, block))
        return found

    @staticmethod
    def _is_ours(header: _Header) -> bool:
        """Whether blocks are streams of JPEG 2000 and nothing else was done to them."""
        user_codec = header.flags >> 5 == _USER_CODEC and header.codec in JPEG2000_CODECS
        return user_codec and bool(header.flags & _NOT_SPLIT) and not any(header.filters)

    def _from_chunk(self, chunk: bytes, header: _Header, wanted: Sequence[int]) -> Iterator[Block]:
        view = memoryview(chunk)
        if header.special or header.flags & _STORED_RAW or not self._is_ours(header):
            elements = _decompress(chunk, header)
            for block in wanted:
                part = elements[block * header.blocksize : (block + 1) * header.blocksize]
                yield Block(False, part)
            return
        if len(view) < _HEADER.size + 4 * header.num_blocks:
            raise ValueError(f"a chunk of {len(view)} bytes is too short for {header.num_blocks} blocks")
        starts = struct.unpack_from(f"<{header.num_blocks}i", view, _HEADER.size)
        ordered = sorted({*starts, len(view)})
        for block in wanted:
            start = starts[block]
            if not _HEADER.size <= start < len(view):
                raise ValueError(f"block {block} of a chunk begins outside of it")
            end = ordered[ordered.index(start) + 1]
            yield self._stream(view[start:end], header, block)

    @staticmethod
    def _stream(data: memoryview, header: _Header, block: int) -> Block:
        """A block: its size in four bytes, then a stream or, where that was no smaller, the elements; no bytes: zeros; a negative size:
        one byte repeated."""
        size = min(header.blocksize, header.nbytes - block * header.blocksize)
        (coded,) = struct.unpack_from("<i", data) if len(data) >= 4 else (None,)
        if coded is None or coded > len(data) - 4:
            raise ValueError(f"block {block} of a chunk ends outside of it")
        if coded == 0:
            return Block(False, data[:0], lambda: bytes(size))
        if coded < 0:
            # A token follows; when its lowest bit is set, the block is a run of the byte -coded.
            if len(data) < 5 or not data[4] & 1 or coded < -255:
                raise ValueError(f"block {block} of a chunk has an unknown encoding")
            return Block(False, data[:0], lambda: bytes([-coded]) * size)
        payload = data[4 : 4 + coded]
        return Block(coded != size, payload)


def _decompress(chunk: bytes, header: _Header) -> memoryview:
    """A whole chunk by Blosc2 itself, padded to whole blocks."""
    import blosc2
    import numpy as np

    out = np.zeros(header.num_blocks * header.blocksize, np.uint8)
    if header.nbytes:
        blosc2.decompress2(chunk, dst=out[: header.nbytes])
    return out.data


def make_chunk(blocks: Sequence[bytes], *, typesize: int, blocksize: int, nbytes: int, codec: int = 37) -> bytes:
    """A Blosc2 chunk from coded blocks (JPEG 2000 files or codestreams), for ``SChunk.append_chunk`` and ``update_chunk``.

    typesize: bytes of an element. blocksize: bytes of a block's elements. nbytes: of all blocks' elements. A block may also be its
    elements as they are, ``blocksize`` bytes: that is how what does not compress is stored.
    """
    if not blocks or nbytes > 2**31 - 1 - _HEADER.size or -(-nbytes // blocksize) != len(blocks):
        raise ValueError(f"{len(blocks)} blocks of {blocksize} bytes do not make a chunk of {nbytes} bytes")
    starts, place = [], _HEADER.size + 4 * len(blocks)
    for block in blocks:
        if not 0 < len(block) <= blocksize:
            raise ValueError(f"a coded block of {len(block)} bytes does not fit into one of {blocksize}")
        starts.append(place)
        place += 4 + len(block)
    if place > 2**31 - 1:
        raise ValueError(f"a chunk of {place} coded bytes is larger than Blosc2 allows")
    flags = _USER_CODEC << 5 | _NOT_SPLIT | _EXTENDED
    # Elements of more than 255 bytes count as bytes, as C-Blosc2 does it.
    header = _HEADER.pack(
        _FORMAT,
        1,
        flags,
        typesize if typesize < 256 else 1,
        nbytes,
        blocksize,
        place,
        bytes(6),
        codec,
        0,
        bytes(6),
        0,
        0,
    )
    parts = [header, struct.pack(f"<{len(blocks)}i", *starts)]
    for block in blocks:
        parts += (struct.pack("<i", len(block)), block)
    return b"".join(parts)


def zero_chunk(*, typesize: int, blocksize: int, nbytes: int) -> bytes:
    """A Blosc2 chunk of zeros."""
    special = _SPECIAL_ZERO << _SPECIAL_SHIFT
    return _HEADER.pack(
        _FORMAT,
        1,
        _EXTENDED,
        typesize if typesize < 256 else 1,
        nbytes,
        blocksize,
        _HEADER.size,
        bytes(6),
        0,
        0,
        bytes(6),
        0,
        special,
    )
