# JPEG 2000 to arrays, without Blosc2.
# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import ctypes
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ._lib import Selection, call, lib, take
from ._values import container, restore

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from typing_extensions import Buffer

# j2k_sample_type
_SAMPLE_TYPES = {"uint8": 0, "int8": 1, "uint16": 2, "int16": 3, "uint32": 4, "int32": 5}


def _view(data: Buffer) -> np.ndarray:
    import numpy as np

    view = memoryview(data)
    if view.nbytes == 0:
        raise ValueError("there are no data to decode")
    return np.frombuffer(view if view.c_contiguous else view.tobytes(), np.uint8)


def _selection(reduce: int, region: Sequence[int] | None, layers: int | None, num_threads: int) -> Selection:
    numbers = {"reduce": reduce, "layers": layers or 0, "num_threads": num_threads}
    for name, number in numbers.items():
        if not 0 <= number <= 65535:
            raise ValueError(f"{name}: {number} is not allowed; allowed: 0 to 65535")
    selection = Selection(**numbers)
    if region is not None:
        corners = [int(corner) for corner in region]
        if (
            len(corners) != 4
            or min(corners) < 0
            or corners[2] <= corners[0]
            or corners[3] <= corners[1]
            or max(corners) >= 2**32
        ):
            raise ValueError(
                f"region: {tuple(region)} is not allowed; allowed: (x0, y0, x1, y1) with x0 < x1 and y0 < y1"
            )
        selection.use_region = 1
        selection.region[:] = corners
    return selection


def _describe(data: np.ndarray, selection: Selection | None) -> dict[str, Any]:
    text, size = ctypes.c_void_p(), ctypes.c_size_t()
    chosen = None if selection is None else ctypes.byref(selection)
    call(lib.blosc2_grok_describe, data.ctypes.data, data.nbytes, chosen, ctypes.byref(text), ctypes.byref(size))
    description: dict[str, Any] = json.loads(take(text, size))
    return description


def _dtype(component: dict[str, Any]) -> str:
    bits = 8 if component["depth"] <= 8 else 16 if component["depth"] <= 16 else 32
    return f"{'int' if component['signed'] else 'uint'}{bits}"


def _decode_into(data: np.ndarray, selection: Selection, views: list[np.ndarray]) -> None:
    count = len(views)
    call(
        lib.blosc2_grok_decode_components,
        data.ctypes.data,
        data.nbytes,
        ctypes.byref(selection),
        count,
        (ctypes.c_void_p * count)(*(view.ctypes.data for view in views)),
        (ctypes.c_int64 * count)(*(view.strides[0] for view in views)),
        (ctypes.c_int64 * count)(*(view.strides[1] for view in views)),
        (ctypes.c_int32 * count)(*(_SAMPLE_TYPES[view.dtype.name] for view in views)),
    )


def decode(
    data: Buffer,
    *,
    reduce: int = 0,
    region: Sequence[int] | None = None,
    layers: int | None = None,
    num_threads: int = 0,
) -> np.ndarray:
    """Decode a JPEG 2000 file or codestream to ``(H, W)``, or ``(H, W, C)`` when it has several components.

    reduce: resolution levels to leave out; each halves width and height. region: (x0, y0, x1, y1) from the upper left corner of
    the image at full resolution. layers: quality layers to decode. num_threads: 0 means one a processor.

    The dtype is that of the array where the stream says it (floats; integers declared or found to need less), else the smallest
    integer type that holds all components. Raises ValueError for data that are not valid, and for
    components of different size: ``decode_components`` returns those.
    """
    import numpy as np

    source = _view(data)
    selection = _selection(reduce, region, layers, num_threads)
    description = _describe(source, selection)
    components = description["components"]
    sizes = {(component["height"], component["width"]) for component in components}
    if len(sizes) > 1:
        raise ValueError("the components differ in size; decode_components returns them one by one")
    dtype = np.dtype(container(description) or np.result_type(*{_dtype(component) for component in components}))
    if dtype.name not in _SAMPLE_TYPES:
        raise ValueError("no integer type holds all components; decode_components returns them one by one")
    (size,) = sizes
    image = np.empty((*size, len(components)), dtype)
    _decode_into(source, selection, [image[:, :, c] for c in range(len(components))])
    image = restore(image, source, description, region, reduce, decode)
    return image[:, :, 0] if len(components) == 1 else image


def decode_components(
    data: Buffer,
    *,
    reduce: int = 0,
    region: Sequence[int] | None = None,
    layers: int | None = None,
    num_threads: int = 0,
) -> list[np.ndarray]:
    """Decode to a list with one ``(H, W)`` array a component, each of its own size and dtype; see ``decode``."""
    import numpy as np

    source = _view(data)
    selection = _selection(reduce, region, layers, num_threads)
    description = _describe(source, selection)
    dtype = container(description)
    planes = [
        np.empty((component["height"], component["width"]), dtype or _dtype(component))
        for component in description["components"]
    ]
    _decode_into(source, selection, planes)
    return [
        restore(plane[:, :, np.newaxis], source, description, region, reduce, decode, [index])[:, :, 0]
        for index, plane in enumerate(planes)
    ]


_SUPERBOXES = {b"jp2h", b"res ", b"uinf", b"asoc"}


def _boxes(data: memoryview, start: int, end: int) -> Iterator[dict[str, Any]]:
    """The boxes of a JP2 file (T.800 annex I.4) between two offsets."""
    while end - start >= 8:
        length, header = int.from_bytes(data[start : start + 4], "big"), 8
        kind = bytes(data[start + 4 : start + 8])
        if length == 1 and end - start >= 16:
            length, header = int.from_bytes(data[start + 8 : start + 16], "big"), 16
        elif length == 0:
            length = end - start
        if length < header or length > end - start:
            return
        box = {"type": kind.decode("latin-1"), "offset": start, "length": length}
        if kind in _SUPERBOXES:
            box["boxes"] = list(_boxes(data, start + header, start + length))
        yield box
        start += length


def info(data: Buffer) -> dict[str, Any]:
    """Describe a JPEG 2000 file or codestream without decoding it: format, geometry, components, coding parameters, and, for a
    file, its boxes with their offsets and lengths."""
    source = _view(data)
    result = _describe(source, None)
    is_file = result["format"] != "codestream"
    result["boxes"] = list(_boxes(source.data, 0, source.nbytes)) if is_file else []
    return result
