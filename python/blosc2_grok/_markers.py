# The marker segments of a codestream (T.800 annex A), described.
# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAMES = {
    0xFF4F: "SOC",
    0xFF50: "CAP",
    0xFF51: "SIZ",
    0xFF52: "COD",
    0xFF53: "COC",
    0xFF55: "TLM",
    0xFF57: "PLM",
    0xFF58: "PLT",
    0xFF59: "CPF",
    0xFF5C: "QCD",
    0xFF5D: "QCC",
    0xFF5E: "RGN",
    0xFF5F: "POC",
    0xFF60: "PPM",
    0xFF61: "PPT",
    0xFF63: "CRG",
    0xFF64: "COM",
    0xFF90: "SOT",
    0xFF93: "SOD",
    0xFFD9: "EOC",
}
_ORDERS = ["LRCP", "RLCP", "RPCL", "PCRL", "CPRL"]
_QUANTISATION = ["none", "derived", "expounded"]
_MOST = 65536  # marker segments of a header, and tile-parts, that are listed


def _segments(data: memoryview, at: int, end: int) -> Iterator[tuple[str, int, memoryview]]:
    """Name, offset and contents of the marker segments from `at` on, SOT and SOD included, which end a header."""
    while end - at >= 2:
        (marker,) = struct.unpack_from(">H", data, at)
        name = _NAMES.get(marker, f"{marker:04X}")
        if marker < 0xFF01 or name in ("SOD", "EOC"):
            yield name, at, data[at:at]
            return
        if 0xFF30 <= marker <= 0xFF3F or name == "SOC":
            yield name, at, data[at:at]
            at += 2
            continue
        if end - at < 4:
            return
        (length,) = struct.unpack_from(">H", data, at + 2)
        yield name, at, data[at + 4 : min(at + 2 + length, end)]
        if length < 2 or name == "SOT":
            return
        at += 2 + length


def _coding(raw: memoryview, has_precincts: bool) -> dict[str, Any]:
    levels, width, height, style, wavelet = struct.unpack_from(">5B", raw)
    out: dict[str, Any] = {"num_resolutions": levels + 1}
    out.update(codeblock_width=4 << (width & 15), codeblock_height=4 << (height & 15))
    out.update(codeblock_style=style, irreversible=wavelet == 0)
    if has_precincts:
        out["precincts"] = [(1 << (size & 15), 1 << (size >> 4)) for size in raw[5 : 6 + levels]]
    return out


def _quantisation(raw: memoryview) -> dict[str, Any]:
    """Steps as (exponent, mantissa), lowest subband first; one of them when the rest is derived."""
    kind = raw[0] & 31
    out: dict[str, Any] = {"guard_bits": raw[0] >> 5}
    out["quantisation"] = _QUANTISATION[kind] if kind < 3 else kind
    if kind == 0:
        out["steps"] = [(value >> 3, 0) for value in raw[1:]]
    else:
        out["steps"] = [(value >> 11, value & 0x7FF) for (value,) in struct.iter_unpack(">H", raw[1 : len(raw) | 1])]
    return out


class _Header:
    """What the segments of a main or tile-part header say."""

    def __init__(self, num_components: int):
        self.wide = num_components > 256
        self.all: dict[str, Any] = {}
        self.single: dict[int, dict[str, Any]] = {}
        self.changes: list[dict[str, Any]] = []
        self.comments: list[str | bytes] = []

    def _component(self, raw: memoryview) -> tuple[dict[str, Any], memoryview]:
        size = 2 if self.wide else 1
        index = int.from_bytes(raw[:size], "big")
        return self.single.setdefault(index, {}), raw[size:]

    def take(self, name: str, raw: memoryview) -> None:
        if name == "COD":
            style, order, layers, transform = struct.unpack_from(">BBHB", raw)
            self.all.update(progression=_ORDERS[order] if order < 5 else order, num_layers=layers)
            self.all.update(colour_transform=bool(transform), sop=bool(style & 2), eph=bool(style & 4))
            self.all.update(_coding(raw[5:], bool(style & 1)))
        elif name == "QCD":
            self.all.update(_quantisation(raw))
        elif name == "COC":
            component, raw = self._component(raw)
            component.update(_coding(raw[1:], bool(raw[0] & 1)))
        elif name == "QCC":
            component, raw = self._component(raw)
            component.update(_quantisation(raw))
        elif name == "RGN":
            component, raw = self._component(raw)
            component["roi_shift"] = raw[1]
        elif name == "POC":
            form = ">BHHBHB" if self.wide else ">BBHBBB"
            size = struct.calcsize(form)
            for r0, c0, y1, r1, c1, order in struct.iter_unpack(form, raw[: len(raw) // size * size]):
                change = {"progression": _ORDERS[order] if order < 5 else order, "resolutions": (r0, r1)}
                self.changes.append({**change, "components": (c0, c1), "layers": y1})
        elif name == "COM" and len(raw) >= 2:
            text = bytes(raw[2:])
            self.comments.append(text.decode("latin-1") if raw[:2] == b"\0\1" else text)

    def describe(self) -> dict[str, Any]:
        out: dict[str, Any] = {"default": self.all, "components": self.single, "progression_changes": self.changes}
        return {**out, "comments": self.comments}


def _read(header: _Header, found: Iterator[tuple[str, int, memoryview]]) -> tuple[list[dict[str, Any]], str, int]:
    """Take in a header; the markers in it, and the marker that ends it with its offset."""
    markers, name, at = [], "", 0
    for name, at, raw in found:
        if name in ("SOT", "SOD", "EOC") and (markers or name != "SOT"):
            break
        if len(markers) == _MOST:
            return markers, "", at
        markers.append({"marker": name, "offset": at, "length": len(raw) + 4 if name != "SOC" else 2})
        try:
            header.take(name, raw)
        except (struct.error, IndexError):
            markers[-1]["malformed"] = True
    return markers, name, at


def describe_codestream(data: memoryview, num_components: int) -> dict[str, Any]:
    """Markers, coding parameters of the main header and of the tile-parts that have their own. Offsets count from SOC."""
    main = _Header(num_components)
    markers, name, at = _read(main, _segments(data, 0, len(data)))
    result = {"markers": markers, **main.describe()}
    parts: list[dict[str, Any]] = []
    while name == "SOT" and len(data) - at >= 12 and len(parts) < _MOST:
        tile, length, index, count = struct.unpack_from(">HIBB", data, at + 4)
        end = at + length if length else len(data)
        part: dict[str, Any] = {"tile": tile, "part": index, "num_parts": count, "offset": at, "length": length}
        header = _Header(num_components)
        part["markers"], last, place = _read(header, _segments(data, at + 12, min(end, len(data))))
        if last == "SOD":
            part["data_offset"] = place + 2
        own = header.describe()
        part.update({key: value for key, value in own.items() if value})
        parts.append(part)
        if length < 12 or end > len(data) - 2:
            break
        at = end
        name = _NAMES.get(struct.unpack_from(">H", data, at)[0], "")
    result["tile_parts"] = parts
    return result
