# Parameters: from Python values to the text form that the C library parses and checks, and back.
# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import ctypes
import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from enum import Enum
from typing import TYPE_CHECKING, Any, TypedDict
from urllib.parse import quote, unquote_to_bytes

from ._enums import GrkFileFmt, GrkMode, GrkProfile, GrkRateControl
from ._lib import PARAMETER_FIELDS, ParameterInfo, call, last_error, lib, read_text

if TYPE_CHECKING:
    from typing_extensions import Unpack


class Params(TypedDict, total=False):
    """Encoding parameters. Meanings and ranges are in ``parameter_table()``; pairs are (width, height) or (x, y)."""

    tile_size: Sequence[int]
    tile_offset: Sequence[int]
    quality_mode: str | None
    quality_layers: Sequence[float]
    qfactor: int
    quantization_step: float
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
    roi_rects: Sequence[int] | Sequence[Sequence[int]]
    psnr_peak: str
    visual_weights: bool
    comment: str


class GivenParams(Params, total=False):
    """``Params``, and shorter ways to say ``quality_mode`` with ``quality_layers``, and ``mode``: what functions take by name."""

    ratio: float | Sequence[float] | None
    psnr: float | Sequence[float] | None
    max_error: float | None
    ht: bool | None


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


def to_text(name: str, value: Any) -> str:
    """One parameter's value in text form."""
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


# ---- shorthands, scopes, complete sets ----

_QUALITY = {"ratio": "rates", "psnr": "dB", "max_error": "max_error"}


def _targets(name: str, value: Any) -> list[float]:
    if hasattr(value, "tolist"):  # a NumPy array or scalar
        value = value.tolist()
    targets = list(value) if _is_sequence(value) and name != "max_error" else [value]
    good = [isinstance(t, (int, float)) and not isinstance(t, bool) and math.isfinite(t) for t in targets]
    if not targets or not all(good) or min(targets) < 0 or (name == "ratio" and min(targets) == 0):
        raise ValueError(
            f"{name}: {value!r} is not allowed; allowed: "
            + {"ratio": "a number above 0, or several", "psnr": "a number of dB, or several"}.get(name, "0 or more")
        )
    return targets


def expand(given: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters with ``ratio``, ``psnr`` and ``max_error`` said as the table says them. ``ht`` stays, see ``merge``."""
    params = {
        name: value for name, value in given.items() if name not in _QUALITY and not (name == "ht" and value is None)
    }
    named = [name for name in _QUALITY if given.get(name) is not None]
    named += [name for name in ("quality_mode", "quality_layers") if name in params]
    if len(named) > 1 and named[0] in _QUALITY:
        raise ValueError(f"{named[0]} and {named[1]} exclude each other")
    if named and named[0] in _QUALITY:
        targets = _targets(named[0], given[named[0]])
        lossless = named[0] == "max_error" and targets == [0]
        params["quality_mode"] = None if lossless else _QUALITY[named[0]]
        params["quality_layers"] = [] if lossless else targets
    return params


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Expanded parameters over others: a quality mode brings its own targets, a mode its own choice of HT."""
    kept = dict(base)
    if "quality_mode" in over:
        kept.pop("quality_layers", None)
    if "mode" in over:
        kept.pop("ht", None)
    return {**kept, **over}


def _with_mode(params: Mapping[str, Any], default_mode: int) -> dict[str, Any]:
    """``ht`` as a flag of ``mode``."""
    result = dict(params)
    if "ht" in result:
        ht = result.pop("ht")
        if not isinstance(ht, int) or ht not in (0, 1):
            raise ValueError(f"ht: {ht!r} is not allowed; allowed: True or False")
        mode = result.get("mode", default_mode)
        if not isinstance(mode, int):
            raise ValueError(f"ht and mode={mode!r} exclude each other; mode can be a GrkMode")
        result["mode"] = mode | GrkMode.HT if ht else mode & ~GrkMode.HT
    return result


_scope: ContextVar[dict[str, Any] | None] = ContextVar("blosc2_grok.params", default=None)


def parse(text: bytes) -> str:
    """The text form of all parameters with those given over the process's defaults. Raises ValueError for what is not allowed."""
    whole = ctypes.create_string_buffer(1 << 16)
    call(lib.blosc2_grok_parse_parameters, text, whole, len(whole))
    return whole.value.decode("latin-1")


def _to_values(text: str) -> dict[str, Any]:
    pairs = (item.split("=", 1) for item in text.split(";"))
    return {name: _to_python(name, _KINDS[name], value) for name, value in pairs}


@dataclasses.dataclass(frozen=True)
class _Complete:
    """What is common to all complete sets of parameters."""

    def text(self) -> str:
        """The text form: ``defaults``, then what differs from the defaults."""
        changed = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if getattr(self, field.name) != params_defaults[field.name]
        }
        return ";".join(["defaults", *filter(None, [_join(changed)])])

    @classmethod
    def from_text(cls, text: str) -> Any:
        """From a text form, over the defaults of the table. Raises ValueError for what is not one."""
        return cls(**_to_values(parse(f"defaults;{text}".encode())))


def _make_parameters() -> type[_Complete]:
    fields = [(name, Any, dataclasses.field(default=default)) for name, default in params_defaults.items()]
    made = dataclasses.make_dataclass("Parameters", fields, bases=(_Complete,), frozen=True)
    made.__module__ = __name__.rpartition(".")[0]
    made.__doc__ = """A complete set of parameters: a dataclass with a field for every row of ``parameter_table()``.

    Where it is given (``params=`` of ``encode``, ``asarray``, ``empty`` and ``zeros``), neither the process's defaults nor
    a scope matter. ``text()`` and ``from_text()`` are its text form. Values are checked where it is used.
    """
    return made


Parameters = _make_parameters()


def _join(params: Mapping[str, Any]) -> str:
    return ";".join(f"{name}={to_text(name, value)}" for name, value in params.items())


def params_to_text(given: Mapping[str, Any], params: Any = None) -> bytes:
    """The text form of parameters given by name, over ``params`` (a mapping or a ``Parameters``), over the scope.

    Names and values are checked by the C library when it parses the text.
    """
    complete = isinstance(params, _Complete)
    if complete:
        base = {field.name: getattr(params, field.name) for field in dataclasses.fields(params)}
    else:
        base = merge(_scope.get() or {}, expand(params or {}))
    merged = merge(base, expand(given))
    default_mode = params_defaults["mode"] if complete or "ht" not in merged else get_params_defaults()["mode"]
    merged = _with_mode(merged, default_mode)
    if complete:
        merged = {name: value for name, value in merged.items() if value != params_defaults.get(name, merged)}
    return ";".join(["defaults"] * complete + [_join(merged)] * bool(merged)).encode("utf-8", "replace")


@contextmanager
def params(**kwargs: Unpack[GivenParams]) -> Iterator[None]:
    """A scope for parameters: what ``encode``, ``asarray``, ``empty`` and ``zeros`` do inside it starts from them.

    Arrays made in the scope keep the parameters when it has ended, since they are stored with the array. Scopes nest; each
    thread and each asyncio task has its own. Arrays made by functions of ``blosc2`` itself do not see them: Blosc2 codes
    in threads of its own, where only the array and the process's defaults are known; give these ``**storage()``.
    Raises ValueError for an unknown name or a value that is not allowed.
    """
    merged = merge(_scope.get() or {}, expand(kwargs))
    token = _scope.set(merged)
    try:
        parse(params_to_text({}))
        yield
    finally:
        _scope.reset(token)


def set_params_defaults(**kwargs: Unpack[GivenParams]) -> None:
    """Set the parameters with which this process encodes where an array does not bring its own.

    Parameters that are not given keep their values; without any, all are reset to ``params_defaults``.
    Raises ValueError, and changes nothing, for an unknown name or a value that is not allowed.
    """
    text = None
    if kwargs:
        expanded = expand(kwargs)
        text = _join(_with_mode(expanded, get_params_defaults()["mode"] if "ht" in expanded else 0)).encode()
    if lib.blosc2_grok_set_defaults(text):
        raise ValueError(last_error())


def get_params_defaults() -> dict[str, Any]:
    """The parameters with which this process encodes now."""
    return _to_values(read_text(lib.blosc2_grok_get_defaults))
