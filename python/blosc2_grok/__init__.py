"""JPEG 2000 for Blosc2: importing this package makes the codecs "grok" (37), "j2k" (39), "htj2k" (40) and "openhtj2k" (36)
known to every copy of Blosc2 in the process."""
# SPDX-License-Identifier: BSD-3-Clause

from ._arrays import asarray, empty, params_of, storage, zeros
from ._codec import encode
from ._decode import DecodeWarning, decode, decode_components
from ._enums import GrkFileFmt, GrkMode, GrkProfile, GrkRateControl
from ._info import box_contents, icc_profile, info
from ._lib import get_include, get_libpath, last_error, lib, print_libpath
from ._open import Array, Level, open
from ._params import (
    Parameters,
    Params,
    get_params_defaults,
    parameter_table,
    params,
    params_defaults,
    set_params_defaults,
)
from ._transcode import transcode

__version__ = lib.j2k_version().decode()
libpath = get_libpath()

__all__ = [
    "DecodeWarning",
    "box_contents",
    "icc_profile",
    "Array",
    "GrkFileFmt",
    "GrkMode",
    "GrkProfile",
    "GrkRateControl",
    "Level",
    "Parameters",
    "Params",
    "asarray",
    "decode",
    "decode_components",
    "empty",
    "encode",
    "get_include",
    "get_libpath",
    "get_params_defaults",
    "info",
    "last_error",
    "open",
    "parameter_table",
    "params",
    "params_defaults",
    "params_of",
    "print_libpath",
    "set_params_defaults",
    "storage",
    "zeros",
    "transcode",
]
