# JP2 files put together by hand around a codestream.
# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import struct

import numpy as np

import blosc2_grok
from blosc2_grok import GrkFileFmt

SIGNATURE = bytes.fromhex("0000000c6a5020200d0a870a")
FTYP = bytes.fromhex("00000014667479706a703220000000006a703220")
PALETTE, OPACITY, PREMULTIPLIED, UNSPECIFIED = 1, 1, 2, 65535


def box(kind: str, contents: bytes) -> bytes:
    return struct.pack(">I4s", len(contents) + 8, kind.encode("latin-1")) + contents


def codestream(array, **params) -> bytes:
    """A lossless codestream of the components as they are."""
    return blosc2_grok.encode(array, cod_format=GrkFileFmt.GRK_FMT_J2K, mct=0, **params)


def depth_code(depth: int, signed: bool = False) -> int:
    return depth - 1 | (128 if signed else 0)


def ihdr(stream: bytes) -> bytes:
    found = blosc2_grok.info(stream)
    codes = {depth_code(c["depth"], c["signed"]) for c in found["components"]}
    code = codes.pop() if len(codes) == 1 else 255
    size = (found["y1"] - found["y0"], found["x1"] - found["x0"], len(found["components"]))
    return box("ihdr", struct.pack(">IIHBBBB", *size, code, 7, 0, 0))


def bpcc(stream: bytes) -> bytes:
    return box("bpcc", bytes(depth_code(c["depth"], c["signed"]) for c in blosc2_grok.info(stream)["components"]))


def colr(space: int, extra: bytes = b"") -> bytes:
    return box("colr", struct.pack(">BBBI", 1, 0, 0, space) + extra)


def icc(profile: bytes, method: int = 2) -> bytes:
    return box("colr", bytes([method, 0, 0]) + profile)


def pclr(entries, depths) -> bytes:
    out = struct.pack(">HB", len(entries), len(depths)) + bytes(depth_code(d) for d in depths)
    for row in entries:
        for value, depth in zip(row, depths, strict=True):
            out += int(value).to_bytes((depth + 7) // 8, "big")
    return box("pclr", out)


def cmap(*entries) -> bytes:
    return box("cmap", b"".join(struct.pack(">HBB", *e) for e in entries))


def cdef(*entries) -> bytes:
    return box("cdef", struct.pack(">H", len(entries)) + b"".join(struct.pack(">HHH", *e) for e in entries))


def wrap(stream: bytes, *header: bytes, before: bytes = b"", after: bytes = b"", length: str = "normal") -> bytes:
    """A file of the codestream and the boxes for jp2h behind ihdr. length: how that of jp2c is given."""
    head = SIGNATURE + FTYP + box("jp2h", ihdr(stream) + b"".join(header)) + before
    if length == "unknown":
        assert not after
        return head + struct.pack(">I4s", 0, b"jp2c") + stream
    if length == "long":
        return head + struct.pack(">I4sQ", 1, b"jp2c", len(stream) + 16) + stream + after
    return head + box("jp2c", stream) + after


def subsample(stream: bytes, factors) -> bytes:
    """Put subsampling factors into SIZ. The stream must have been made such that the sizes fit."""
    out = bytearray(stream)
    for i, (dx, dy) in enumerate(factors):
        at = 4 + 2 + 36 + 3 * i
        out[at + 1], out[at + 2] = dx, dy
    return bytes(out)


def picture(height: int, width: int, components: int, maximum: int = 255, seed: int = 0) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    planes = [np.sin(x / (7 + c) + seed) + np.cos(y / (9 + 2 * c)) + ((x + y) // 17 % 3) for c in range(components)]
    image = np.stack(planes, -1)
    image = (image - image.min()) / np.ptp(image) * maximum
    return image.round().astype(np.uint8 if maximum < 256 else np.uint16)
