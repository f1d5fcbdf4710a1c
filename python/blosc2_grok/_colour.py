# Decoded components to RGB: palette, channel definitions, subsampling, colour space (T.800 annex I).
# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ._boxes import COLOUR_SPACES, describe_file, profile

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

_BILEVEL, _CMYK, _LAB, _BILEVEL_2, _SRGB, _GREY, _SYCC = 0, 12, 14, 15, 16, 17, 18
_COLOURS = {_BILEVEL: 1, _CMYK: 4, _LAB: 3, _BILEVEL_2: 1, _SRGB: 3, _GREY: 1, _SYCC: 3}


@dataclass
class Channel:
    """Samples on their own grid; (x0, y0) is the first one's place on it."""

    data: np.ndarray
    depth: int
    signed: bool
    dx: int
    dy: int
    x0: int
    y0: int


def rgb(
    source: np.ndarray,
    description: dict[str, Any],
    planes: Sequence[np.ndarray],
    decoded: Sequence[int] | None,
    region: Sequence[int] | None,
    reduce: int,
) -> np.ndarray:
    """``(H, W, 3)`` or, with opacity, ``(H, W, 4)``, of the region; the planes are those of `decoded`, which may begin before
    it."""
    is_file = description["format"] != "codestream"
    boxes = describe_file(source.data) if is_file else {"colour": [], "palette": None, "channels": []}
    channels = _channels(description, planes, decoded, reduce)
    if boxes["palette"]:
        channels = _apply_palette(channels, boxes["palette"], boxes["component_mapping"])
    space, specification = _colour_space(boxes["colour"], channels, source)
    colours, opacity, premultiplied = _assign(channels, boxes["channels"], space)
    values, depth, (dx, dy) = _common_grid(colours + ([opacity] if opacity else []), colours)
    if region is not None:
        first = (description["x0"], description["y0"])
        x0, x1, left = (_ceil_div(first[0] + v, dx << reduce) for v in (int(region[0]), int(region[2]), decoded[0]))
        y0, y1, top = (_ceil_div(first[1] + v, dy << reduce) for v in (int(region[1]), int(region[3]), decoded[1]))
        values = [plane[y0 - top : y1 - top, x0 - left : x1 - left] for plane in values]
    alpha = values.pop() if opacity else None
    result = _to_rgb(values, depth, space, specification)
    if premultiplied:
        warnings.warn("the colours are premultiplied with the opacity", _warning(), stacklevel=4)
    if alpha is not None:
        result.append(alpha)
    import numpy as np

    dtype = np.uint8 if depth <= 8 else np.uint16 if depth <= 16 else np.uint32
    return np.stack([np.asarray(plane, dtype) for plane in result], axis=-1)


def _warning() -> type[Warning]:
    from ._decode import DecodeWarning

    return DecodeWarning


def widened(region: Sequence[int], description: dict[str, Any], reduce: int) -> list[int]:
    """The region with all samples that its colours need: those on a coarser grid may lie left of it or above it, and at the
    image's border on the other side."""
    components = description["components"]
    x0, y0, x1, y1 = (int(corner) for corner in region)
    if len({(c["dx"], c["dy"]) for c in components}) == 1:
        return [x0, y0, x1, y1]
    x, y = (max(c[name] for c in components) << reduce for name in ("dx", "dy"))
    right, bottom = description["x1"] - description["x0"], description["y1"] - description["y0"]
    return [max(x0 - x, 0), max(y0 - y, 0), min(x1 + x, right), min(y1 + y, bottom)]


def _ceil_div(a: int, b: int) -> int:
    return -(-a // b)


def _channels(
    description: dict[str, Any], planes: Sequence[np.ndarray], region: Sequence[int] | None, reduce: int
) -> list[Channel]:
    left = description["x0"] + (region[0] if region is not None else 0)
    top = description["y0"] + (region[1] if region is not None else 0)
    out = []
    for plane, component in zip(planes, description["components"], strict=True):
        dx, dy = component["dx"], component["dy"]
        x0, y0 = _ceil_div(left, dx << reduce), _ceil_div(top, dy << reduce)
        out.append(Channel(plane, component["depth"], component["signed"], dx, dy, x0, y0))
    return out


# ---- channels --------------------------------------------------------------------------------------------------------


def _apply_palette(channels: list[Channel], palette: dict[str, Any], mapping: list[dict[str, Any]]) -> list[Channel]:
    """Component mapping and palette (I.5.3.4, I.5.3.5); an index beyond the palette means its last entry."""
    import numpy as np

    entries = np.array(palette["entries"], np.int64)
    out = []
    for entry in mapping:
        if entry["component"] >= len(channels):
            raise ValueError(f"'cmap' box: component {entry['component']} of {len(channels)}")
        channel = channels[entry["component"]]
        if entry["type"] == "direct":
            out.append(channel)
            continue
        if entry["column"] >= len(palette["columns"]):
            raise ValueError(f"'cmap' box: column {entry['column']} of {len(palette['columns'])}")
        column = palette["columns"][entry["column"]]
        values = entries[np.clip(channel.data, 0, len(entries) - 1), entry["column"]]
        out.append(replace(channel, data=values, depth=column["depth"], signed=column["signed"]))
    return out


def _colour_space(
    specifications: list[dict[str, Any]], channels: list[Channel], source: np.ndarray
) -> tuple[int | str, Any]:
    """The first specification that can be used: an enumerated space of _COLOURS, or "icc" with the profile. Without any, grey
    or sRGB; or sYCC where the second and third of three channels are subsampled."""
    for one in specifications:
        if one["method"] == "enumerated" and one["colour_space"] in _COLOURS:
            return one["colour_space"], one
        if "profile_size" in one:
            return "icc", profile(source.data)
    if specifications:
        names = ", ".join(str(one.get("name", one["method"])) for one in specifications)
        known = ", ".join(COLOUR_SPACES[space] for space in _COLOURS)
        raise ValueError(f"colour: {names} cannot be made RGB; possible: ICC profiles, {known}")
    if len(channels) < 3:
        return _GREY, None
    subsampled = [c.dx * c.dy > channels[0].dx * channels[0].dy for c in channels[1:3]]
    return _SYCC if all(subsampled) and len(channels) == 3 else _SRGB, None


def _assign(
    channels: list[Channel], definitions: list[dict[str, Any]], space: int | str
) -> tuple[list[Channel], Channel | None, bool]:
    """Colours in the order of their associations, the opacity of the whole image, and whether that is premultiplied (I.5.3.6).
    Without definitions, channels are colours in order, and the space says how many there are."""
    if not definitions:
        count = _COLOURS[space] if space != "icc" else 3 if len(channels) >= 3 else 1
        if len(channels) < count:
            raise ValueError(f"colour: {COLOUR_SPACES[space]} of {len(channels)} channels")
        return channels[:count], None, False
    colours: dict[int, Channel] = {}
    opacity, premultiplied = None, False
    for one in definitions:
        if one["channel"] >= len(channels):
            raise ValueError(f"'cdef' box: channel {one['channel']} of {len(channels)}")
        channel = channels[one["channel"]]
        if one["type"] == "colour" and 0 < one["association"] < 65535:
            colours.setdefault(one["association"], channel)
        elif one["type"] in ("opacity", "premultiplied opacity") and one["association"] == 0 and opacity is None:
            opacity, premultiplied = channel, one["type"] != "opacity"
    found = [colours[association] for association in sorted(colours)]
    count = _COLOURS[space] if space != "icc" else 3 if len(found) >= 3 else 1
    if len(found) < count or max(sorted(colours)[:count]) != count:
        name = COLOUR_SPACES.get(space, "ICC") if isinstance(space, int) else "ICC"
        raise ValueError(f"'cdef' box: colours {sorted(colours)} for {name}, which has {count}")
    return found[:count], opacity, premultiplied


def _common_grid(channels: list[Channel], colours: list[Channel]) -> tuple[list[np.ndarray], int, tuple[int, int]]:
    """Unsigned samples of one depth, the colours' largest, on the finest grid, and that grid's steps. Every point takes the
    sample at or before it."""
    import numpy as np

    depth = max(channel.depth for channel in colours)
    dx, dy = min(c.dx for c in channels), min(c.dy for c in channels)
    finest = next((c for c in channels if (c.dx, c.dy) == (dx, dy)), None)
    if finest is None:
        raise ValueError("colour: no channel has the finest grid of all in both directions")
    rows = np.arange(finest.y0, finest.y0 + finest.data.shape[0]) * dy
    columns = np.arange(finest.x0, finest.x0 + finest.data.shape[1]) * dx
    out = []
    for channel in channels:
        values = channel.data.astype(np.int64)
        if channel.signed:
            values += 1 << (channel.depth - 1)
        if channel.depth != depth:
            top, wanted = (1 << channel.depth) - 1, (1 << depth) - 1
            values = (values * wanted * 2 + top) // (2 * top)
        if values.shape != finest.data.shape or (channel.dx, channel.dy) != (dx, dy):
            if not values.size:
                raise ValueError("colour: a channel has no samples here")
            y = np.clip(rows // channel.dy - channel.y0, 0, values.shape[0] - 1)
            x = np.clip(columns // channel.dx - channel.x0, 0, values.shape[1] - 1)
            values = values[y[:, None], x]
        out.append(values)
    return out, depth, (dx, dy)


# ---- colour spaces ---------------------------------------------------------------------------------------------------


def _to_rgb(values: list[np.ndarray], depth: int, space: int | str, specification: Any) -> list[np.ndarray]:
    top = (1 << depth) - 1
    if space == "icc":
        return _by_profile(values, depth, specification)
    if space in (_GREY, _BILEVEL, _BILEVEL_2):
        grey = values[0] if space != _BILEVEL else top - values[0]  # EnumCS 0: 1 is black
        return [grey, grey, grey]
    if space == _SYCC:
        return _from_ycc(values, depth)
    if space == _CMYK:
        return [((top - v) * (top - values[3]) * 2 + top) // (2 * top) for v in values[:3]]
    if space == _LAB:
        return _from_lab(values, depth, specification or {})
    return values


def _quantise(plane: np.ndarray, top: int) -> np.ndarray:
    import numpy as np

    return np.clip(np.rint(plane), 0, top).astype(np.int64)


def _from_ycc(values: list[np.ndarray], depth: int) -> list[np.ndarray]:
    """sYCC (IEC 61966-2-1 amendment 1), which takes the full range."""
    top, middle = (1 << depth) - 1, 1 << (depth - 1)
    y, cb, cr = values[0], values[1] - middle, values[2] - middle
    planes = (y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb)
    return [_quantise(plane, top) for plane in planes]


def _from_lab(values: list[np.ndarray], depth: int, parameters: dict[str, Any]) -> list[np.ndarray]:
    """CIELab (T.801 M.11.7.4) to sRGB; the illuminant D50 is adapted to sRGB's D65 (Bradford)."""
    import numpy as np

    top = (1 << depth) - 1
    ranges = parameters.get("range", [100, 170, 200])
    offsets = parameters.get("offset", [0, 1 << (depth - 1), (1 << (depth - 2)) + (1 << (depth - 3))])
    if parameters.get("illuminant", 0x00443530) != 0x00443530:
        raise ValueError("colour: CIELab of another illuminant than D50 cannot be made RGB")
    lightness, a, b = ((v - o) * (r / top) for v, r, o in zip(values, ranges, offsets, strict=True))
    fy = (lightness + 16) / 116
    xyz = []
    for f, white in ((fy + a / 500, 0.9642), (fy, 1.0), (fy - b / 200, 0.8249)):
        xyz.append(white * np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)))
    matrix = (
        (3.1338561, -1.6168667, -0.4906146),
        (-0.9787684, 1.9161415, 0.0334540),
        (0.0719453, -0.2289914, 1.4052427),
    )
    out = []
    for row in matrix:
        linear = np.clip(sum(factor * plane for factor, plane in zip(row, xyz, strict=True)), 0, 1)
        encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
        out.append(_quantise(encoded * top, top))
    return out


def _by_profile(values: list[np.ndarray], depth: int, icc: bytes) -> list[np.ndarray]:
    """By LittleCMS as Pillow brings it, which takes 8 bits; without it, or for deeper samples, the values stay as they are."""
    import io

    import numpy as np

    plain = values if len(values) >= 3 else [values[0]] * 3
    try:
        from PIL import Image, ImageCms
    except ImportError:
        reason = "Pillow with LittleCMS is not installed"
    else:
        reason = "the samples have more than 8 bits" if depth > 8 else ""
    if reason:
        text = f"the ICC profile was not applied ({reason}); icc_profile returns it"
        warnings.warn(text, _warning(), stacklevel=6)
        return plain
    top = (1 << depth) - 1
    bytes_ = [((v * 510 + top) // (2 * top)).astype(np.uint8) for v in values]
    picture = Image.fromarray(bytes_[0]) if len(values) < 3 else Image.fromarray(np.stack(bytes_, -1))
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        converted = ImageCms.profileToProfile(picture, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError) as error:
        raise ValueError(f"colour: the ICC profile cannot be used: {error}") from None
    result = np.asarray(converted).astype(np.int64)
    return [(result[:, :, c] * top * 2 + 255) // 510 for c in range(3)]
