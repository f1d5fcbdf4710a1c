# Reference images, tolerances, digests, and what JP2 boxes do to decoded components.
# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import hashlib
import struct
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "interop"))

from images import Plane, read_pgx


def read_reference(path: Path, component: int) -> np.ndarray:
    """One channel of a PGX or binary PNM file."""
    if path.suffix == ".pgx":
        return read_pgx(path).data
    data = path.read_bytes()
    channels = {b"P5": 1, b"P6": 3}[data[:2]]
    at, numbers = 2, []
    while len(numbers) < 3:
        while data[at : at + 1].isspace():
            at += 1
        if data[at : at + 1] == b"#":
            at = data.index(b"\n", at)
            continue
        end = at
        while data[end : end + 1].isdigit():
            end += 1
        numbers.append(int(data[at:end]))
        at = end
    width, height, top = numbers
    kind = ">u1" if top < 256 else ">u2"
    samples = np.frombuffer(data, kind, width * height * channels, at + 1)
    return samples.reshape(height, width, channels)[:, :, component].astype(np.int32)


def differences(decoded: np.ndarray, reference: np.ndarray) -> tuple[int, float]:
    """Largest absolute difference and mean squared difference."""
    d = decoded.astype(np.int64) - reference.astype(np.int64)
    return (int(np.abs(d).max()), float(np.mean(d.astype(np.float64) ** 2))) if d.size else (0, 0.0)


def digest(planes: list[np.ndarray]) -> str:
    """SHA-256 over the samples in raster order as 32-bit signed little-endian integers."""
    h = hashlib.sha256()
    for plane in planes:
        h.update(np.ascontiguousarray(plane, "<i4").tobytes())
    return h.hexdigest()


# ---- JP2 boxes -------------------------------------------------------------------------------------------------------


def boxes(data: bytes, start: int = 0, end: int | None = None):
    """Yield (type, payload) of the boxes at one level (T.800 I.4)."""
    at, end = start, len(data) if end is None else end
    while at + 8 <= end:
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        header = 8
        if length == 1:
            length, header = struct.unpack(">Q", data[at + 8 : at + 16])[0], 16
        elif length == 0:
            length = end - at
        if length < header or at + length > end:
            return
        yield kind, data[at + header : at + length]
        at += length


def jp2_header(data: bytes) -> dict[bytes, bytes]:
    """Boxes inside the JP2 header box; empty for a raw codestream. Of several colr boxes the first counts."""
    if data[:4] == b"\xff\x4f\xff\x51":
        return {}
    out: dict[bytes, bytes] = {}
    for kind, payload in boxes(data):
        if kind == b"jp2h":
            for inner, content in boxes(payload):
                out.setdefault(inner, content)
            break
    return out


def apply_palette(planes: list[Plane], header: dict[bytes, bytes]) -> list[Plane]:
    """Palette and component mapping boxes (T.800 I.5.3.4, I.5.3.5)."""
    if b"pclr" not in header or b"cmap" not in header:
        return planes
    pclr, cmap = header[b"pclr"], header[b"cmap"]
    entries, columns = struct.unpack(">HB", pclr[:3])
    depths = pclr[3 : 3 + columns]
    at = 3 + columns
    table = np.zeros((entries, columns), np.int32)
    for e in range(entries):
        for c in range(columns):
            size = ((depths[c] & 0x7F) + 8) // 8
            table[e, c] = int.from_bytes(pclr[at : at + size], "big", signed=bool(depths[c] & 0x80))
            at += size
    out = []
    for i in range(0, len(cmap), 4):
        component, mapping, column = struct.unpack(">HBB", cmap[i : i + 4])
        source = planes[component]
        if mapping == 0:
            out.append(source)
            continue
        values = table[np.clip(source.data, 0, entries - 1), column]
        depth = (depths[column] & 0x7F) + 1
        out.append(Plane(values, depth, bool(depths[column] & 0x80), source.dx, source.dy))
    return out


def apply_channels(planes: list[Plane], header: dict[bytes, bytes]) -> list[Plane]:
    """Channel definition box (T.800 I.5.3.6): colour channels in the order of their associations."""
    if b"cdef" not in header:
        return planes
    cdef = header[b"cdef"]
    count = struct.unpack(">H", cdef[:2])[0]
    out = list(planes)
    for i in range(count):
        channel, kind, association = struct.unpack(">HHH", cdef[2 + 6 * i : 8 + 6 * i])
        if kind == 0 and 1 <= association <= len(planes) and channel < len(planes):
            out[association - 1] = planes[channel]
    return out


def mapped(planes: list[Plane], data: bytes) -> list[Plane]:
    header = jp2_header(data)
    return apply_channels(apply_palette(planes, header), header)


def _to_8_bits(plane: Plane) -> np.ndarray:
    values = plane.data.astype(np.int64)
    if plane.signed:
        values = values + (1 << (plane.depth - 1))
    return (values >> (plane.depth - 8) if plane.depth >= 8 else values * 255 // ((1 << plane.depth) - 1)).astype(
        np.int64
    )


def rendered(planes: list[Plane], data: bytes) -> list[np.ndarray]:
    """The 8-bit RGB or grey rendition of a JP2 file, colour management left to Pillow where a profile asks for it."""
    header = jp2_header(data)
    channels = mapped(planes, data)
    top = channels[0]
    full = []
    for plane in channels:
        v = np.repeat(np.repeat(_to_8_bits(plane), plane.dy // top.dy, 0), plane.dx // top.dx, 1)
        full.append(v[: top.data.shape[0], : top.data.shape[1]])
    colr = header.get(b"colr", b"")
    if colr[:1] == b"\x01" and struct.unpack(">I", colr[3:7])[0] == 18 and len(full) >= 3:
        y, cb, cr = full[0].astype(float), full[1] - 128.0, full[2] - 128.0
        rgb = (y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb)
        full = [np.clip(np.rint(v), 0, 255).astype(np.int64) for v in rgb]
    elif colr[:1] == b"\x02" and len(full) == 1:
        full = [_grey_profile(full[0], colr[3:])]
    return full


def _grey_profile(values: np.ndarray, profile: bytes) -> np.ndarray:
    import io

    from PIL import Image, ImageCms

    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    picture = Image.fromarray(values.astype(np.uint8), "L")
    result = ImageCms.profileToProfile(picture, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    return np.asarray(result)[:, :, 0].astype(np.int64)
