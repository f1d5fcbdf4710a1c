# Arrays to JPEG 2000, without Blosc2.
# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

from ._lib import call, lib, take
from ._params import params_to_text

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from typing_extensions import Unpack

    from ._params import Params


def encode(array: ArrayLike, **params: Unpack[Params]) -> bytes:
    """Encode an array as a JPEG 2000 file or codestream.

    ``(H, W)`` is an image of one component, ``(H, W, C)`` with C at most 16 and smaller than H and W an image of C components;
    other leading dimensions are planes, stacked from top to bottom, one tile each. Leading dimensions of 1 are dropped.
    dtypes: bool, int8, uint8, int16, uint16, and int32 and uint32 as far as the encoder's 26 bits reach.

    Parameters that are not given are those of ``set_params_defaults``: lossless JP2 unless it was called.
    Raises ValueError with the reason for parameters, dtypes and shapes that are not supported.
    """
    import numpy as np

    array = np.asarray(array)
    shape = (ctypes.c_int64 * max(array.ndim, 1))(*array.shape)
    contiguous = np.ascontiguousarray(array)
    data, size = ctypes.c_void_p(), ctypes.c_size_t()
    call(
        lib.blosc2_grok_encode_array,
        contiguous.ctypes.data,
        array.dtype.str.encode(),
        array.ndim,
        shape,
        params_to_text(params),
        ctypes.byref(data),
        ctypes.byref(size),
    )
    return take(data, size)
