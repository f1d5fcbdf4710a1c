# Parameters: from Python values to the text form that the C library parses and checks, and back.
# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import ctypes
from collections.abc import Iterable, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any, TypedDict
from urllib.parse import quote, unquote_to_bytes

from ._enums import GrkFileFmt, GrkMode, GrkProfile, GrkRateControl
from ._lib import PARAMETER_FIELDS, ParameterInfo, last_error, lib, read_text

if TYPE_CHECKING:
    from typing_extensions import Unpack


class Params(TypedDict, total=False):
    """Encoding parameters. Meanings and ranges are in ``parameter_table()``; pairs are (width, height) or (x, y)."""

    tile_size: Sequence[int]
    tile_offset: Sequence[int]
    quality_mode: str | None
    quality_layers: Sequence[float]
    numgbits: int
    progression: str
    num_resolutions: int
    codeblock_size: Sequence[int]
    mode: GrkMode | int
    irreversible: bool | None
    roi_compno: int
    roi_shift: int
    precinct_size: Sequence[int] | Sequence[Sequence[int]]
    offset: Sequence[int]
    decod_format: GrkFileFmt | int
    cod_format: GrkFileFmt | int
    enableTilePartGeneration: bool | str
    mct: int
    max_cs_size: int
    max_comp_size: int
    rsiz: GrkProfile | int
    framerate: int
    apply_icc_: bool
    rateControlAlgorithm: GrkRateControl | int
    num_threads: int
    deviceId: int
    duration: int
    repeats: int
    verbose: bool
    write_plt: bool
    write_tlm: bool
    write_sop: bool
    write_eph: bool
    axes: str
    significant_bits: int
    nan: str
    comment: str


_ENUMS: dict[str, type[Enum]] = {
    "mode": GrkMode,
    "decod_format": GrkFileFmt,
    "cod_format": GrkFileFmt,
    "rsiz": GrkProfile,
    "rateControlAlgorithm": GrkRateControl,
}
_WORDS = {"true": True, "false": False, "none": None, "auto": None}


def parameter_table() -> list[dict[str, str]]:
    """The table of parameters: one dict each with name, type, default_value, allowed and meaning."""
    rows: list[dict[str, str]] = []
    row = ParameterInfo()
    while lib.blosc2_grok_parameter(len(rows), ctypes.byref(row)):
        rows.append({name: getattr(row, name).decode() for name in PARAMETER_FIELDS})
    return rows


# COM segments hold ISO 8859-15 (T.800 table A.43).
_COMMENT_CODING = "iso8859-15"


def _to_python(name: str, kind: str, text: str) -> Any:
    if kind == "text":
        return unquote_to_bytes(text).decode(_COMMENT_CODING)
    if kind in ("pairs", "rects"):
        tuples = tuple(tuple(int(number) for number in item.split(",")) for item in text.split("|") if item)
        return tuples[0] if kind == "pairs" and len(tuples) == 1 else tuples
    if kind == "number":
        return float(text)
    if kind == "numbers":
        return tuple(float(number) for number in text.split(",") if number)
    if kind == "pair":
        return tuple(int(number) for number in text.split(","))
    if name == "mct":
        return -1 if text == "auto" else int(text)
    if name in _ENUMS:
        enum = _ENUMS[name]
        if text in enum.__members__:
            return enum[text]
        return enum(int(text)) if int(text) in {member.value for member in enum} else int(text)
    return int(text) if kind == "integer" else _WORDS.get(text, text)


_KINDS = {row["name"]: row["type"] for row in parameter_table()}

#: What parameters are when nobody has set them.
params_defaults: dict[str, Any] = {
    row["name"]: _to_python(row["name"], row["type"], row["default_value"]) for row in parameter_table()
}


def _scalar_text(value: Any) -> str:
    if hasattr(value, "item"):  # a NumPy scalar
        value = value.item()
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, bool):
        return "true" if value else "false"
    text = repr(value) if isinstance(value, float) else str(value)
    if ";" in text or "=" in text or "\0" in text:
        raise ValueError(f"{text!r} is not allowed as the value of a parameter")
    return text


def _is_sequence(value: Any) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, (str, bytes))


def _to_text(name: str, value: Any) -> str:
    if _KINDS.get(name) == "text":
        try:
            return quote("" if value is None else str(value).encode(_COMMENT_CODING))
        except UnicodeEncodeError as error:
            raise ValueError(f"{name}: {value!r} is not allowed; allowed: characters of Latin-1") from error
    if hasattr(value, "tolist"):  # a NumPy array or scalar
        value = value.tolist()
    if _is_sequence(value):
        items = [item.tolist() if hasattr(item, "tolist") else item for item in value]
        if items and all(_is_sequence(item) for item in items):
            return "|".join(",".join(_scalar_text(number) for number in item) for item in items)
        return ",".join(_scalar_text(item) for item in items)
    return _scalar_text(value)


def params_to_text(params: Params) -> bytes:
    """The text form of parameters. Names and values are checked by the C library when it parses the text."""
    return ";".join(f"{name}={_to_text(name, value)}" for name, value in params.items()).encode("utf-8", "replace")


def set_params_defaults(**kwargs: Unpack[Params]) -> None:
    """Set the parameters with which this process encodes where an array does not bring its own.

    Parameters that are not given keep their values; without any, all are reset to ``params_defaults``.
    Raises ValueError, and changes nothing, for an unknown name or a value that is not allowed.
    """
    if lib.blosc2_grok_set_defaults(params_to_text(kwargs) if kwargs else None):
        raise ValueError(last_error())


def get_params_defaults() -> dict[str, Any]:
    """The parameters with which this process encodes now."""
    pairs = (item.split("=", 1) for item in read_text(lib.blosc2_grok_get_defaults).split(";"))
    return {name: _to_python(name, _KINDS[name], text) for name, text in pairs}
