# Samples of a stream to the values that they stand for: dtypes, floats, NaN and infinities.
# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

from ._lib import call, lib

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

# Of the box with the mask of samples that are not finite, which is a codestream of its own.
_MASK_UUID = bytes.fromhex("ec9785a3c31d4b55b580e01c024b790c")


def container(description: dict[str, Any]) -> str | None:
    """The integer dtype to decode into when the stream says what its array was, else None."""
    name: str | None = description["dtype"]
    return name.replace("float", "uint") if name else None


def _find_mask(data: bytes) -> bytes:
    start = 0
    while len(data) - start >= 24:
        length, head = int.from_bytes(data[start : start + 4], "big"), 8
        if length == 1:
            length, head = int.from_bytes(data[start + 8 : start + 16], "big"), 16
        if length < head or length > len(data) - start:
            break
        if data[start + 4 : start + 24] == b"uuid" + _MASK_UUID:
            return data[start + 24 : start + length]
        start += length
    raise ValueError("the mask of values that are not finite is missing")


def _codes(
    data: np.ndarray,
    description: dict[str, Any],
    region: Any,
    reduce: int,
    decode: Callable[..., np.ndarray],
    components: list[int],
) -> np.ndarray:
    """Codes of the samples that a selection gives: at lower resolutions those of every 2**reduce-th sample."""
    import numpy as np

    whole = decode(_find_mask(data.tobytes()), region=region)
    whole = whole.reshape(*whole.shape[:2], -1)[:, :, components]
    x0, y0 = (region[0], region[1]) if region is not None else (0, 0)
    step = 1 << reduce
    first = [-(description[name] + offset) % step for name, offset in (("x0", x0), ("y0", y0))]
    return np.ascontiguousarray(whole[first[1] :: step, first[0] :: step])


def restore(
    samples: np.ndarray,
    data: np.ndarray,
    description: dict[str, Any],
    region: Any,
    reduce: int,
    decode: Callable[..., np.ndarray],
    components: list[int] | None = None,
) -> np.ndarray:
    """The floats that contiguous samples ``(H, W, C)``, of the dtype that ``container`` names, stand for; other samples as they are."""
    import numpy as np

    name = description["dtype"]
    if not name or not name.startswith("float"):
        return samples
    codes = None
    if description["nonfinite"]:
        wanted = list(range(samples.shape[2])) if components is None else components
        codes = _codes(data, description, region, reduce, decode, wanted)
        if codes.shape != samples.shape:
            raise ValueError("the mask of values that are not finite is of another size")
        codes = codes.astype(np.uint8, copy=False)
    call(
        lib.blosc2_grok_restore_floats,
        data.ctypes.data,
        data.nbytes,
        samples.ctypes.data,
        samples.size,
        samples.itemsize,
        None if codes is None else codes.ctypes.data_as(ctypes.c_void_p),
    )
    return samples.view(name)
