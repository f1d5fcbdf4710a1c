# JPEG 2000 to arrays, without Blosc2.
# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import ctypes
import json
import operator
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ._lib import Selection, call, lib, take
from ._values import container, restore

if TYPE_CHECKING:
    import numpy as np
    from typing_extensions import Buffer

# j2k_sample_type
_SAMPLE_TYPES = {"uint8": 0, "int8": 1, "uint16": 2, "int16": 3, "uint32": 4, "int32": 5}


class DecodeWarning(UserWarning):
    """What is missing from an image that was decoded with ``tolerant=True``, or what ``colour="rgb"`` left undone."""


def view(data: Buffer) -> np.ndarray:
    import numpy as np

    view = memoryview(data)
    if view.nbytes == 0:
        raise ValueError("there are no data to decode")
    return np.frombuffer(view if view.c_contiguous else view.tobytes(), np.uint8)


def _selection(
    reduce: int,
    region: Sequence[int] | None,
    layers: int | None,
    components: Sequence[int] | None,
    tolerant: bool,
    num_threads: int,
) -> Selection:
    numbers = {"reduce": reduce, "layers": layers or 0, "num_threads": num_threads}
    for name, number in numbers.items():
        if not 0 <= number <= 65535:
            raise ValueError(f"{name}: {number} is not allowed; allowed: 0 to 65535")
    selection = Selection(**numbers, tolerant=bool(tolerant))
    if components is not None:
        indices = sorted({operator.index(c) for c in components})
        if not indices or indices[0] < 0 or indices[-1] >= 16384:
            raise ValueError(f"components: {list(components)} is not allowed; allowed: indices of components from 0")
        selection.num_components = len(indices)
        selection.components = (ctypes.c_uint32 * len(indices))(*indices)
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


def describe(data: np.ndarray, selection: Selection | None = None) -> dict[str, Any]:
    """What the engine says of a stream: geometry, depths, coding parameters. (``info`` says more.)"""
    text, size = ctypes.c_void_p(), ctypes.c_size_t()
    chosen = None if selection is None else ctypes.byref(selection)
    call(lib.blosc2_grok_describe, data.ctypes.data, data.nbytes, chosen, ctypes.byref(text), ctypes.byref(size))
    description: dict[str, Any] = json.loads(take(text, size))
    return description


def _dtype(component: dict[str, Any]) -> str:
    bits = 8 if component["depth"] <= 8 else 16 if component["depth"] <= 16 else 32
    return f"{'int' if component['signed'] else 'uint'}{bits}"


def _decode_into(data: np.ndarray, selection: Selection, views: list[np.ndarray | None]) -> None:
    """Decode every component that has a view."""
    count = len(views)
    strides = [view.strides if view is not None else (0, 0) for view in views]
    warning = call(
        lib.blosc2_grok_decode_components,
        data.ctypes.data,
        data.nbytes,
        ctypes.byref(selection),
        count,
        (ctypes.c_void_p * count)(*(None if view is None else view.ctypes.data for view in views)),
        (ctypes.c_int64 * count)(*(rows for rows, _ in strides)),
        (ctypes.c_int64 * count)(*(columns for _, columns in strides)),
        (ctypes.c_int32 * count)(*(0 if view is None else _SAMPLE_TYPES[view.dtype.name] for view in views)),
    )
    if selection.tolerant and warning:
        warnings.warn(warning.strip(), DecodeWarning, stacklevel=3)


def _chosen(components: Sequence[int] | None, count: int) -> list[int]:
    """The components to return, in the order of the list."""
    return list(range(count)) if components is None else [operator.index(c) for c in components]


def decode(
    data: Buffer,
    *,
    reduce: int = 0,
    region: Sequence[int] | None = None,
    layers: int | None = None,
    components: Sequence[int] | None = None,
    colour: str | None = None,
    tolerant: bool = False,
    num_threads: int = 0,
) -> np.ndarray:
    """Decode a JPEG 2000 file or codestream to ``(H, W)``, or ``(H, W, C)`` when there are several components.

    reduce: resolution levels to leave out; each halves width and height. region: (x0, y0, x1, y1) from the upper left corner of
    the image at full resolution, x1 and y1 exclusive. layers: quality layers to decode, None for all. components: indices of
    those to decode, in the order to return them. What is decoded is the same as that part of the whole; only what is needed for
    it is read. num_threads: 0 means one a processor.

    The components come as they are stored. The dtype is that of the array where the stream says it (floats; integers declared or
    found to need less), else the smallest integer type that holds all components. With ``colour="rgb"``
    the result is ``(H, W, 3)``, or ``(H, W, 4)`` with opacity last: palette, channel definitions, subsampling and colour space
    are applied; see docs/formats.md. It does not go together with ``components``.

    tolerant: decode what is there of truncated or damaged data, with a ``DecodeWarning`` that says what is missing; missing
    tiles are mid-grey. Otherwise such data are an error.

    Raises ValueError for data that are not valid, for what is not in the image, and for components of different size:
    ``decode_components`` returns those.
    """
    import numpy as np

    if colour is not None:
        if colour != "rgb":
            raise ValueError(f"colour: {colour!r} is not allowed; allowed: None or 'rgb'")
        if components is not None:
            raise ValueError("colour: 'rgb' takes all components: components cannot be given")
        return _decode_rgb(view(data), reduce, region, layers, tolerant, num_threads)
    source = view(data)
    selection = _selection(reduce, region, layers, components, tolerant, num_threads)
    description = describe(source, selection)
    described = description["components"]
    chosen = _chosen(components, len(described))
    sizes = {(described[c]["height"], described[c]["width"]) for c in chosen}
    if len(sizes) > 1:
        raise ValueError("the components differ in size; decode_components returns them one by one")
    dtype = np.dtype(container(description) or np.result_type(*{_dtype(described[c]) for c in chosen}))
    if dtype.name not in _SAMPLE_TYPES:
        raise ValueError("no integer type holds all components; decode_components returns them one by one")
    (size,) = sizes
    image = np.empty((*size, len(chosen)), dtype)
    views: list[np.ndarray | None] = [None] * len(described)
    for place, component in enumerate(chosen):
        views[component] = image[:, :, place]
    _decode_into(source, selection, views)
    for place, component in enumerate(chosen):  # those asked for more than once
        if views[component].ctypes.data != image[:, :, place].ctypes.data:
            image[:, :, place] = views[component]
    image = restore(image, source, description, region, reduce, decode, chosen)
    return image[:, :, 0] if len(chosen) == 1 else image


def _planes(
    source: np.ndarray, selection: Selection, description: dict[str, Any], chosen: set[int] | None = None
) -> list[np.ndarray | None]:
    import numpy as np

    dtype = container(description)
    planes = [
        np.empty((c["height"], c["width"]), dtype or _dtype(c)) if chosen is None or i in chosen else None
        for i, c in enumerate(description["components"])
    ]
    _decode_into(source, selection, planes)
    return planes


def _decode_rgb(
    source: np.ndarray,
    reduce: int,
    region: Sequence[int] | None,
    layers: int | None,
    tolerant: bool,
    num_threads: int,
) -> np.ndarray:
    from ._colour import rgb, widened

    selection = _selection(reduce, region, layers, None, tolerant, num_threads)
    description = describe(source, selection)
    if (description["dtype"] or "").startswith("float"):
        raise ValueError(f"colour: samples of {description['dtype']} have no colour space")
    wider = None
    if region is not None:
        wider = widened(region, description, reduce)
        selection = _selection(reduce, wider, layers, None, tolerant, num_threads)
        description = describe(source, selection)
    planes = _planes(source, selection, description)
    return rgb(source, description, planes, wider, region, reduce)


def decode_components(
    data: Buffer,
    *,
    reduce: int = 0,
    region: Sequence[int] | None = None,
    layers: int | None = None,
    components: Sequence[int] | None = None,
    tolerant: bool = False,
    num_threads: int = 0,
) -> list[np.ndarray]:
    """Decode to a list with one ``(H, W)`` array a component, each of its own size and dtype; see ``decode``."""
    import numpy as np

    source = view(data)
    selection = _selection(reduce, region, layers, components, tolerant, num_threads)
    description = describe(source, selection)
    chosen = _chosen(components, len(description["components"]))
    planes = _planes(source, selection, description, set(chosen))
    restored = {
        c: restore(planes[c][:, :, np.newaxis], source, description, region, reduce, decode, [c])[:, :, 0]
        for c in set(chosen)
    }
    return [restored[c] for c in chosen]
