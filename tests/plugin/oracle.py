# What a block holds, read without this package: OpenJPEG's samples, and the rules of docs/arrays.md in NumPy.
# SPDX-License-Identifier: BSD-3-Clause
import re
import struct

import imagecodecs
import numpy as np

UUID = bytes.fromhex("ec9785a3c31d4b55b580e01c024b790c")


def codestream(file):
    """The codestream of a file, which may be one itself."""
    if file[:2] == b"\xff\x4f":
        return file
    start = file.index(b"jp2c") + 4
    length = int.from_bytes(file[start - 8 : start - 4], "big")
    return file[start : start - 8 + length]


def comments(file):
    """Texts of the COM segments in the main header."""
    data, at, found = codestream(file), 2, []
    while data[at : at + 2] != b"\xff\x90":  # SOT
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if data[at : at + 2] == b"\xff\x64":
            found.append(data[at + 6 : at + 2 + length].decode("latin-1"))
        at += 2 + length
    return found


def note(file):
    """The note's items, {} when there is none."""
    texts = [text for text in comments(file) if text.startswith("blosc2-grok: ")]
    assert len(texts) <= 1
    return dict(item.split("=", 1) for item in texts[0][13:].split("; ")) if texts else {}


def siz(file):
    """(depth, signed) of each component."""
    data = codestream(file)
    assert data[2:4] == b"\xff\x51"
    (count,) = struct.unpack(">H", data[40:42])
    return [(data[42 + 3 * c] % 128 + 1, data[42 + 3 * c] > 127) for c in range(count)]


def samples(file):
    """OpenJPEG's samples, (H, W) or (H, W, C)."""
    return imagecodecs.jpeg2k_decode(codestream(file))


def mask(file):
    """Codes of the samples that are not finite, or None."""
    at = file.find(b"uuid" + UUID)
    if at < 0:
        return None
    length = int.from_bytes(file[at - 4 : at], "big")
    return imagecodecs.jpeg2k_decode(file[at + 20 : at - 4 + length])


def floats(file):
    """The floats of a block whose note says that it holds some."""
    said = note(file)
    dtype = np.dtype(said["dtype"])
    whole = samples(file).astype(np.int64) + int(said["first"])
    if said["values"] == "ordered":
        middle = 1 << (8 * dtype.itemsize - 1)
        bits = np.where(whole >= middle, whole - middle, 2 * middle - 1 - whole)
        values = bits.astype(f"u{dtype.itemsize}").view(dtype)
    else:
        mantissa, exponent = map(int, re.fullmatch(r"(\d+)\*2\^(-?\d+)", said["step"]).groups())
        largest = float(np.finfo(dtype).max)
        values = (whole * np.ldexp(float(mantissa), exponent)).clip(-largest, largest).astype(dtype)
    codes = mask(file)
    if codes is not None:
        values = np.select(
            [codes == 1, codes == 2, codes == 3], [dtype.type(v) for v in (np.nan, np.inf, -np.inf)], values
        )
    return values
