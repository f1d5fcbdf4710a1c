# JPEG 2000 to JPEG 2000 without decoding to samples.
# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

from ._lib import error_for, lib

if TYPE_CHECKING:
    from collections.abc import Sequence

_CPU_ALL, _ERROR_BUFFER = 0x7FFFFFFF, -3
_PROGRESSIONS = ("LRCP", "RLCP", "RPCL", "PCRL", "CPRL")
_FORMATS = ("codestream", "jp2", "jph")
_STYLES = {"bypass": 1, "reset": 2, "termall": 4, "pterm": 16, "segmentation": 32}


class _Options(ctypes.Structure):
    """j2k_transcode_options of j2k.h."""

    _fields_ = [
        ("struct_size", ctypes.c_size_t),
        *(
            (name, ctypes.c_int)
            for name in ("ht", "codeblock_style", "progression", "format", "sop", "eph", "plt", "tlm")
        ),
        ("merge_layers", ctypes.c_bool),
        ("tile_parts", ctypes.c_char),
        ("tolerant", ctypes.c_bool),
        ("max_pixels", ctypes.c_uint64),
        ("max_memory", ctypes.c_uint64),
        ("max_components", ctypes.c_uint32),
        ("max_tiles", ctypes.c_uint32),
        ("max_incomplete", ctypes.c_uint64),
    ]


def _declare() -> None:
    pointer, size = ctypes.c_void_p, ctypes.c_size_t
    lib.j2k_context_create.restype = pointer
    lib.j2k_context_create.argtypes = [ctypes.c_uint, ctypes.c_uint]
    lib.j2k_context_destroy.restype = None
    lib.j2k_context_destroy.argtypes = [pointer]
    lib.j2k_context_message.restype = ctypes.c_char_p
    lib.j2k_context_message.argtypes = [pointer]
    lib.j2k_transcode_options_init.restype = None
    lib.j2k_transcode_options_init.argtypes = [pointer]
    lib.j2k_transcode.restype = ctypes.c_int
    lib.j2k_transcode.argtypes = [pointer, ctypes.c_char_p, size, pointer, pointer, size, pointer]


_declare()


def _index(name: str, value: str | None, choices: tuple[str, ...]) -> int:
    if value is None:
        return -1
    if value not in choices:
        raise ValueError(f"{name} {value!r} is not one of {', '.join(choices)}")
    return choices.index(value)


def _styles(value: Sequence[str] | None) -> int:
    if value is None:
        return -1
    flags = 0
    for style in [value] if isinstance(value, str) else value:
        if style not in _STYLES:
            raise ValueError(f"codeblock_style {style!r} is not one of {', '.join(_STYLES)}")
        flags |= _STYLES[style]
    return flags


def _flag(value: bool | None) -> int:
    return -1 if value is None else int(bool(value))


def transcode(
    data: bytes,
    *,
    ht: bool | None = None,
    codeblock_style: Sequence[str] | None = None,
    progression: str | None = None,
    format: str | None = None,
    sop: bool | None = None,
    eph: bool | None = None,
    plt: bool | None = None,
    tlm: bool | None = None,
    merge_layers: bool = False,
    tile_parts: str | None = None,
    tolerant: bool = False,
    num_threads: int = 1,
) -> bytes:
    """Rewrite a JPEG 2000 codestream or file; what is decoded from it stays bit for bit the same.

    Arguments that are not given leave the stream as it is.

    ht: True for the high-throughput block coding of Part 15, False for that of Part 1.
    codeblock_style: of Part 1 code-blocks: any of "bypass", "reset", "termall", "pterm", "segmentation", or none, ().
    progression: "LRCP", "RLCP", "RPCL", "PCRL" or "CPRL"; progression changes (POC) are then dropped.
    format: "codestream", "jp2" or "jph". Boxes stay; a JP2 file becomes JPH, or the other way round, as ht wants it.
    sop, eph, plt, tlm: these marker segments.
    merge_layers: one quality layer of all. Changing ht always comes to this.
    tile_parts: "R", "L" or "C", a new tile-part at each resolution, layer or component; None: one a tile.
    tolerant: make the best of truncated or damaged data instead of refusing them.
    num_threads: 0: one a processor.

    Where the block coding stays as it is, packets are only moved. Otherwise code-blocks are decoded to quantised coefficients
    and coded again, each to the very coding pass with which it ended.
    Raises ValueError, with the reason, for arguments that are none of these and for data that are damaged or not supported.
    May be called from several threads at once.
    """
    options = _Options()
    lib.j2k_transcode_options_init(ctypes.byref(options))
    options.ht = _flag(ht)
    options.codeblock_style = _styles(codeblock_style)
    options.progression = _index("progression", progression, _PROGRESSIONS)
    options.format = _index("format", format, _FORMATS)
    options.sop, options.eph, options.plt, options.tlm = _flag(sop), _flag(eph), _flag(plt), _flag(tlm)
    options.merge_layers = bool(merge_layers)
    if tile_parts is not None and tile_parts not in ("R", "L", "C"):
        raise ValueError(f"tile_parts {tile_parts!r} is not one of R, L, C")
    options.tile_parts = (tile_parts or "\0").encode()
    options.tolerant = bool(tolerant)
    data = bytes(data)
    context = lib.j2k_context_create(num_threads, _CPU_ALL)
    if not context:
        raise MemoryError("out of memory")
    try:
        capacity = len(data) + len(data) // 4 + 4096
        while True:
            out, size = ctypes.create_string_buffer(capacity), ctypes.c_size_t()
            status = lib.j2k_transcode(
                context, data, len(data), ctypes.byref(options), out, capacity, ctypes.byref(size)
            )
            if status != _ERROR_BUFFER:
                break
            capacity = size.value
        if status:
            raise error_for(status, lib.j2k_context_message(context).decode("utf-8", "replace"))
        return ctypes.string_at(out, size.value)
    finally:
        lib.j2k_context_destroy(context)
