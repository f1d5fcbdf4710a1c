# Codestreams taken apart into marker segments and put together again, without the code under test.
# SPDX-License-Identifier: BSD-3-Clause
"""For tests that need streams which no encoder at hand writes: packed headers, tile-parts in odd orders, coding styles in
tile headers, wrong indices. Markers and fields as in T.800 annex A."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

SOC, CAP, SIZ, COD, COC, TLM, PLM, PLT = 0xFF4F, 0xFF50, 0xFF51, 0xFF52, 0xFF53, 0xFF55, 0xFF57, 0xFF58
QCD, QCC, RGN, POC, PPM, PPT, CRG, COM = 0xFF5C, 0xFF5D, 0xFF5E, 0xFF5F, 0xFF60, 0xFF61, 0xFF63, 0xFF64
SOT, SOP, EPH, SOD, EOC = 0xFF90, 0xFF91, 0xFF92, 0xFF93, 0xFFD9

Segment = tuple[int, bytes]


@dataclass
class TilePart:
    tile: int
    index: int  # TPsot
    count: int  # TNsot
    segments: list[Segment]  # between SOT and SOD
    body: bytes

    def build(self) -> bytes:
        inner = b"".join(build_segment(s) for s in self.segments) + struct.pack(">H", SOD) + self.body
        return struct.pack(">HHHIBB", SOT, 10, self.tile, 12 + len(inner), self.index, self.count) + inner


@dataclass
class Stream:
    main: list[Segment]  # behind SOC
    parts: list[TilePart] = field(default_factory=list)

    def build(self) -> bytes:
        header = struct.pack(">H", SOC) + b"".join(build_segment(s) for s in self.main)
        return header + b"".join(p.build() for p in self.parts) + struct.pack(">H", EOC)

    def get(self, marker: int) -> bytes:
        return next(payload for m, payload in self.main if m == marker)

    def without(self, *markers: int) -> Stream:
        """Without these segments, wherever they are."""
        parts = [
            TilePart(p.tile, p.index, p.count, [s for s in p.segments if s[0] not in markers], p.body)
            for p in self.parts
        ]
        return Stream([s for s in self.main if s[0] not in markers], parts)


def build_segment(segment: Segment) -> bytes:
    marker, payload = segment
    if 0xFF30 <= marker <= 0xFF3F:
        return struct.pack(">H", marker)
    return struct.pack(">HH", marker, len(payload) + 2) + payload


def _segments(data: bytes, at: int, stop: int) -> tuple[list[Segment], int]:
    out = []
    while True:
        marker = struct.unpack_from(">H", data, at)[0]
        if marker == stop:
            return out, at
        length = struct.unpack_from(">H", data, at + 2)[0]
        out.append((marker, data[at + 4 : at + 2 + length]))
        at += 2 + length


def parse(data: bytes) -> Stream:
    """A well-formed raw codestream."""
    assert data[:2] == b"\xff\x4f"
    main, at = _segments(data, 2, SOT)
    stream = Stream(main)
    while data[at : at + 2] == b"\xff\x90":
        tile, length, index, count = struct.unpack_from(">HIBB", data, at + 4)
        length = length or len(data) - 2 - at  # 0: up to EOC
        segments, sod = _segments(data, at + 12, SOD)
        stream.parts.append(TilePart(tile, index, count, segments, data[sod + 2 : at + length]))
        at += length
    assert data[at:] == b"\xff\xd9"
    return stream


def packets(body: bytes) -> list[tuple[bytes, bytes]]:
    """(header with its EPH, packet body) of packets that are framed by SOP and EPH. No marker code can occur inside a
    header or body (B.10.1, D.4.1), so that the frames are certain."""
    out = []
    for piece in body.split(b"\xff\x91\x00\x04")[1:]:
        end = piece.index(b"\xff\x92") + 2
        out.append((piece[2:end], piece[end:]))
    return out


def plt_payload(index: int, lengths: list[int]) -> bytes:
    out = bytearray([index])
    for length in lengths:
        groups = [length & 127]
        while length := length >> 7:
            groups.append(length & 127 | 128)
        out += bytes(reversed(groups))
    return bytes(out)


def plt_lengths(payload: bytes) -> list[int]:
    out, value = [], 0
    for byte in payload[1:]:
        value = value << 7 | byte & 127
        if byte < 128:
            out.append(value)
            value = 0
    return out


def tlm_payload(parts: list[tuple[int, int]], index: int = 0, tile_bytes: int = 2, length_bytes: int = 4) -> bytes:
    """Of (tile, length) pairs."""
    out = bytes([index, tile_bytes << 4 | (length_bytes == 4) << 6])
    for tile, length in parts:
        out += (tile % 256**tile_bytes).to_bytes(tile_bytes, "big") + length.to_bytes(length_bytes, "big")
    return out


def tile_parts(stream: Stream) -> list[tuple[int, int]]:
    """What TLM says of the stream."""
    return [(p.tile, len(p.build())) for p in stream.parts]
