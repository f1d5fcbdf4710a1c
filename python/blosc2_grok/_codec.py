# Arrays to JPEG 2000, without Blosc2.
# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import ctypes
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ._lib import call, lib, take
from ._params import params_to_text

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from typing_extensions import Unpack

    from ._params import GivenParams


def encode(
    array: ArrayLike,
    *,
    params: Mapping[str, Any] | Any = None,
    roi_mask: ArrayLike | None = None,
    **kwargs: Unpack[GivenParams],
) -> bytes:
    """Encode an array as a JPEG 2000 file or codestream.

    ``(H, W)`` is an image of one component, ``(H, W, C)`` with C at most 16 and smaller than H and W an image of C components;
    other leading dimensions are planes, stacked from top to bottom, one tile each. Leading dimensions of 1 are dropped.
    ``axes`` says otherwise. dtypes: bool, (u)int8, (u)int16, (u)int32, float16 and float32, in either byte order.

    Parameters are given by name, or together as ``params``, a mapping or a ``Parameters``; ``ratio``, ``psnr``, ``max_error`` and
    ``ht`` are short for those that they stand for. What is not given comes from the scope (``params``), then from
    ``set_params_defaults``: lossless JP2 when there is neither. Raises ValueError with the reason for parameters, dtypes and shapes that are not supported.

    roi_mask: region of interest, in addition to that of ``roi_rects``: an array of the image's shape without its components, not
    0 where quality comes first.
    """
    import numpy as np

    array = np.asarray(array)
    shape = (ctypes.c_int64 * max(array.ndim, 1))(*array.shape)
    contiguous = np.ascontiguousarray(array)
    data, size = ctypes.c_void_p(), ctypes.c_size_t()
    mask = None if roi_mask is None else np.ascontiguousarray(np.asarray(roi_mask) != 0, np.uint8)
    call(
        lib.blosc2_grok_encode_region,
        contiguous.ctypes.data,
        array.dtype.str.encode(),
        array.ndim,
        shape,
        None if mask is None else mask.ctypes.data,
        0 if mask is None else mask.size,
        params_to_text(kwargs, params),
        ctypes.byref(data),
        ctypes.byref(size),
    )
    return take(data, size)
