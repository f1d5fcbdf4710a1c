# Where the shared objects are, and the C functions in them.
# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import ctypes
import os
import sys
from importlib.util import find_spec

_HERE = os.path.dirname(os.path.abspath(__file__))


def library_path(name: str) -> str:
    """Path of the shared object by which C-Blosc2 knows the codec *name*."""
    return os.path.join(_HERE, f"blosc2_{name}.dll" if sys.platform == "win32" else f"libblosc2_{name}.so")


def get_libpath() -> str:
    """Path of libblosc2_grok."""
    return library_path("grok")


def print_libpath() -> None:
    """Print the path of libblosc2_grok, without a line end: C-Blosc2 reads this when it looks for the codec."""
    print(get_libpath(), end="")


def get_include() -> str:
    """Directory of the C headers (blosc2_grok.h, j2k.h, grok.h)."""
    return os.path.join(_HERE, "include")


PARAMETER_FIELDS = ("name", "type", "default_value", "allowed", "meaning", "peers")


class ParameterInfo(ctypes.Structure):
    _fields_ = [(name, ctypes.c_char_p) for name in PARAMETER_FIELDS]


class Selection(ctypes.Structure):
    _fields_ = [
        ("reduce", ctypes.c_uint32),
        ("layers", ctypes.c_uint32),
        ("use_region", ctypes.c_uint32),
        ("region", ctypes.c_uint32 * 4),
        ("num_threads", ctypes.c_uint32),
        ("tolerant", ctypes.c_uint32),
        ("num_components", ctypes.c_uint32),
        ("components", ctypes.POINTER(ctypes.c_uint32)),
    ]


def _load() -> ctypes.CDLL:
    lib = ctypes.CDLL(get_libpath())
    pointer, text, size = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t
    signatures = {
        "blosc2_grok_parameter": (ctypes.c_bool, [ctypes.c_int, ctypes.POINTER(ParameterInfo)]),
        "blosc2_grok_set_defaults": (ctypes.c_int, [text]),
        "blosc2_grok_get_defaults": (size, [pointer, size]),
        "blosc2_grok_last_error": (size, [pointer, size]),
        "blosc2_grok_free": (None, [pointer]),
        "blosc2_grok_encode_array": (
            ctypes.c_int,
            [pointer, text, ctypes.c_int, pointer, text, pointer, pointer, pointer, size],
        ),
        "blosc2_grok_encode_region": (
            ctypes.c_int,
            [pointer, text, ctypes.c_int, pointer, pointer, size, text, pointer, pointer, pointer, size],
        ),
        "blosc2_grok_describe": (ctypes.c_int, [pointer, size, pointer, pointer, pointer, pointer, size]),
        "blosc2_grok_decode_components": (
            ctypes.c_int,
            [pointer, size, pointer, ctypes.c_uint32, pointer, pointer, pointer, pointer, pointer, size],
        ),
        "blosc2_grok_parse_parameters": (ctypes.c_int, [text, pointer, size, pointer, size]),
        "blosc2_grok_prepare_array": (ctypes.c_int, [text, ctypes.c_int, pointer, text, pointer, size, pointer, size]),
        "blosc2_grok_restore_floats": (ctypes.c_int, [pointer, size, pointer, size, size, pointer, pointer, size]),
        "j2k_version": (text, []),
        "j2k_cpu_flags": (ctypes.c_uint, []),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(lib, name)
        function.restype = result
        function.argtypes = arguments
    return lib


def _load_aliases() -> list[ctypes.CDLL]:
    """Load the codec under its other names, so that C-Blosc2's search for them ends here, in memory.

    A name is left alone when the package that published it is installed.
    """
    aliases = []
    for name in ("j2k", "htj2k", "openhtj2k"):
        try:
            spec = find_spec(f"blosc2_{name}")
        except (ImportError, ValueError):  # half-initialised or replaced by something unusual
            continue
        if spec is None or spec.submodule_search_locations is None:
            aliases.append(ctypes.CDLL(library_path(name)))
    return aliases


lib = _load()
_aliases = _load_aliases()


_CPU_FLAGS = {1: "SSE4.1", 2: "AVX2", 4: "AVX-512", 8: "NEON"}


def cpu_flags() -> list[str]:
    """Names of the instruction sets of this processor that the library has code for."""
    flags = lib.j2k_cpu_flags()
    return [name for flag, name in _CPU_FLAGS.items() if flags & flag]


def read_text(function: ctypes._NamedFuncPointer) -> str:
    """The text that a C function(buffer, capacity) writes; it returns the length needed."""
    capacity = 1024
    while True:
        buffer = ctypes.create_string_buffer(capacity)
        length = function(buffer, capacity)
        if length < capacity:
            return buffer.value.decode("utf-8", "replace")
        capacity = length + 1


def last_error() -> str:
    """Message of the last failure of the codec in this process, of any thread; empty when there was none.

    Blosc2 reports a block that cannot be coded with a number only; the reason is here.
    """
    return read_text(lib.blosc2_grok_last_error)


_ERROR_MEMORY, _ERROR_INTERNAL = -2, -8


def error_for(status: int, message: str) -> Exception:
    if status == _ERROR_MEMORY:
        return MemoryError(message)
    if status == _ERROR_INTERNAL:
        return RuntimeError(message)
    return ValueError(message)


def call(function: ctypes._NamedFuncPointer, *arguments: object) -> str:
    """Call a C function that takes a buffer for an error message as its last two arguments. Returns what a function that
    succeeds says there."""
    message = ctypes.create_string_buffer(512)
    status = function(*arguments, message, len(message))
    if status:
        raise error_for(status, message.value.decode("utf-8", "replace"))
    return message.value.decode("utf-8", "replace")


def take(pointer: ctypes.c_void_p, size: ctypes.c_size_t) -> bytes:
    """The bytes that a C function left behind; they are freed."""
    try:
        return ctypes.string_at(pointer, size.value)
    finally:
        lib.blosc2_grok_free(pointer)
