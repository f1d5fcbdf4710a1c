# The boxes of JP2, JPH and JPX files (T.800 annex I), as far as they describe the image.
# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SUPERBOXES = {b"jp2h", b"res ", b"uinf", b"asoc", b"jpch", b"jplh", b"cgrp"}
_DEEPEST = 8  # boxes in boxes; the standard needs three
_MOST = 65536  # boxes listed of a file

# EnumCS of T.800 table I.10 and T.801 table M.25.
COLOUR_SPACES = {
    0: "bilevel",
    1: "YCbCr(1)",
    3: "YCbCr(2)",
    4: "YCbCr(3)",
    9: "PhotoYCC",
    11: "CMY",
    12: "CMYK",
    13: "YCCK",
    14: "CIELab",
    15: "bilevel(2)",
    16: "sRGB",
    17: "greyscale",
    18: "sYCC",
    19: "CIEJab",
    20: "e-sRGB",
    21: "ROMM-RGB",
    22: "YPbPr(1125/60)",
    23: "YPbPr(1250/50)",
    24: "e-sYCC",
}
_METHODS = {1: "enumerated", 2: "restricted ICC", 3: "any ICC", 4: "vendor"}
_CHANNEL_TYPES = {0: "colour", 1: "opacity", 2: "premultiplied opacity", 65535: "unspecified"}


def boxes(
    data: memoryview, start: int = 0, end: int | None = None, depth: int = 0, left: list[int] | None = None
) -> Iterator[dict[str, Any]]:
    """Every box from start to end: its type, offset and length (header included), where its contents begin, and the boxes in
    it. A length of 0, or beyond the end, means up to the end; what does not parse ends the list, and so does the 65536th box
    (left: how many more)."""
    end = len(data) if end is None else end
    left = [_MOST] if left is None else left
    while end - start >= 8 and left[0] > 0:
        left[0] -= 1
        length, kind = struct.unpack_from(">I4s", data, start)
        header = 8
        if length == 1 and end - start >= 16:
            (length,) = struct.unpack_from(">Q", data, start + 8)
            header = 16
        elif length == 0:
            length = end - start
        if length < header:
            return
        length = min(length, end - start)
        box = {"type": kind.decode("latin-1"), "offset": start, "length": length, "contents": start + header}
        if kind in _SUPERBOXES and depth < _DEEPEST:
            box["boxes"] = list(boxes(data, start + header, start + length, depth + 1, left))
        yield box
        start += length


def flatten(found: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for box in found:
        yield box
        yield from flatten(box.get("boxes", []))


def contents(data: memoryview, box: dict[str, Any]) -> memoryview:
    return data[box["contents"] : box["offset"] + box["length"]]


def _depth(code: int) -> dict[str, Any]:
    return {"depth": (code & 0x7F) + 1, "signed": bool(code & 0x80)}


def _ihdr(raw: memoryview) -> dict[str, Any]:
    height, width, components, code, compression, unknown, rights = struct.unpack_from(">IIHBBBB", raw)
    out = {"height": height, "width": width, "num_components": components, "compression": compression}
    out.update({"depth": None} if code == 255 else _depth(code))
    return {**out, "colour_space_unknown": bool(unknown), "intellectual_property": bool(rights)}


def _lab(raw: memoryview) -> dict[str, Any]:
    """Parameters of CIELab, T.801 M.11.7.4.1: ranges, offsets and illuminant, where they are given."""
    if len(raw) < 24:
        return {}
    values = struct.unpack_from(">6I", raw)
    out: dict[str, Any] = {"range": list(values[0::2]), "offset": list(values[1::2])}
    if len(raw) >= 28:
        out["illuminant"] = struct.unpack_from(">I", raw, 24)[0]
    return out


def _colr(raw: memoryview) -> dict[str, Any]:
    method, precedence, approximation = struct.unpack_from(">BbB", raw)
    out: dict[str, Any] = {"method": _METHODS.get(method, method)}
    out.update(precedence=precedence, approximation=approximation)
    if method == 1:
        (value,) = struct.unpack_from(">I", raw, 3)
        out.update(colour_space=value, name=COLOUR_SPACES.get(value, "unknown"))
        if value == 14:
            out.update(_lab(raw[7:]))
    elif method in (2, 3):
        out["profile_size"] = len(raw) - 3
    return out


def _pclr(raw: memoryview) -> dict[str, Any]:
    entries, columns = struct.unpack_from(">HB", raw)
    described = [_depth(code) for code in raw[3 : 3 + columns]]
    values, at = [], 3 + columns
    for _ in range(min(entries, 1024)):
        row = []
        for column in described:
            size = (column["depth"] + 7) // 8
            if at + size > len(raw):
                raise struct.error("cut short")
            row.append(int.from_bytes(raw[at : at + size], "big", signed=False))
            if column["signed"] and row[-1] >> (column["depth"] - 1) & 1:
                row[-1] = (row[-1] & ((1 << column["depth"]) - 1)) - (1 << column["depth"])
            at += size
        values.append(row)
    return {"columns": described, "entries": values}


def _cmap(raw: memoryview) -> list[dict[str, Any]]:
    return [
        {"component": component, "type": {0: "direct", 1: "palette"}.get(kind, kind), "column": column}
        for component, kind, column in struct.iter_unpack(">HBB", raw[: len(raw) & ~3])
    ]


def _cdef(raw: memoryview) -> list[dict[str, Any]]:
    (count,) = struct.unpack_from(">H", raw)
    return [
        {"channel": channel, "type": _CHANNEL_TYPES.get(kind, kind), "association": association}
        for channel, kind, association in struct.iter_unpack(">HHH", raw[2 : 2 + min(count, (len(raw) - 2) // 6) * 6])
    ]


def _resolution(raw: memoryview) -> dict[str, Any]:
    """Grid points a metre (I.5.3.7)."""
    vn, vd, hn, hd, ve, he = struct.unpack_from(">HHHHbb", raw)
    if not vd or not hd:
        raise struct.error("division by zero")
    return {"vertical": vn / vd * 10.0**ve, "horizontal": hn / hd * 10.0**he}


def _text(raw: memoryview) -> str:
    return bytes(raw).decode("utf-8", "replace").rstrip("\0")


def _ulst(raw: memoryview) -> list[str]:
    (count,) = struct.unpack_from(">H", raw)
    return [bytes(raw[2 + 16 * i : 18 + 16 * i]).hex() for i in range(min(count, (len(raw) - 2) // 16))]


def describe_file(data: memoryview) -> dict[str, Any]:
    """What the boxes say, under the names of ``info``."""
    found = list(boxes(data))
    result: dict[str, Any] = {
        "boxes": found,
        "image_header": None,
        "brand": None,
        "compatibility": [],
        "colour": [],
        "palette": None,
    }
    result.update(component_mapping=[], channels=[], depths=None, resolution={}, xml=[], uuid=[], uuid_info=[])

    def attempt(read: Callable[[memoryview], Any], box: dict[str, Any]) -> Any:
        try:
            return read(contents(data, box))
        except struct.error:
            return None

    def put(name: str, value: Any) -> None:
        if value is not None:
            result[name] = value

    for box in flatten(found):
        kind = box["type"]
        raw = contents(data, box)
        if kind == "ftyp" and len(raw) >= 8:
            result["brand"] = bytes(raw[:4]).decode("latin-1")
            result["compatibility"] = [bytes(raw[i : i + 4]).decode("latin-1") for i in range(8, len(raw) - 3, 4)]
        elif kind == "ihdr":
            put("image_header", attempt(_ihdr, box))
        elif kind == "bpcc":
            result["depths"] = [_depth(code) for code in raw]
        elif kind == "colr":
            colour = attempt(_colr, box)
            result["colour"] += [colour] if colour else []
        elif kind == "pclr" and result["palette"] is None:
            put("palette", attempt(_pclr, box))
        elif kind == "cmap":
            result["component_mapping"] = _cmap(raw)
        elif kind == "cdef":
            result["channels"] = attempt(_cdef, box) or []
        elif kind in ("resc", "resd"):
            value = attempt(_resolution, box)
            if value:
                result["resolution"]["capture" if kind == "resc" else "display"] = value
        elif kind == "xml ":
            result["xml"].append(_text(raw))
        elif kind == "uuid" and len(raw) >= 16:
            place = {"offset": box["contents"] + 16, "length": len(raw) - 16}
            result["uuid"].append({"uuid": bytes(raw[:16]).hex(), **place})
        elif kind == "uinf":
            inner = {b["type"]: b for b in box.get("boxes", [])}
            uuids = attempt(_ulst, inner["ulst"]) if "ulst" in inner else None
            url = _text(contents(data, inner["url "])[4:]) if "url " in inner else None
            result["uuid_info"].append({"uuids": uuids or [], "url": url})
    return result


def profile(data: memoryview) -> bytes | None:
    """The first ICC profile."""
    for box in flatten(list(boxes(data))):
        raw = contents(data, box)
        if box["type"] == "colr" and len(raw) > 3 and raw[0] in (2, 3):
            return bytes(raw[3:])
    return None
