# What a file or codestream says of itself.
# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._boxes import boxes, contents, describe_file, flatten, profile
from ._decode import describe, view
from ._markers import describe_codestream

if TYPE_CHECKING:
    from typing_extensions import Buffer


def info(data: Buffer) -> dict[str, Any]:
    """Describe a JPEG 2000 file or codestream without decoding it.

    On top are format, geometry on the reference grid, components (depth, sign, subsampling, size) and the coding parameters of
    the main header. ``codestream`` has all marker segments with their offsets, the styles and quantisation of the main header
    and of components and tiles that differ from it, progression order changes, comments and tile-parts.

    Of files (empty or None for codestreams): ``boxes`` (all of them, nested, with offsets and lengths), ``brand``, ``image_header``, ``colour`` (one entry
    for each colour specification), ``palette``, ``component_mapping``, ``channels`` (channel definitions), ``resolution`` (grid
    points a metre, of capture and display), ``xml`` (texts), ``uuid`` and ``uuid_info``. ``box_contents`` and ``icc_profile``
    give the bytes. docs/formats.md lists every key.

    Raises ValueError for data whose headers are not valid.
    """
    source = view(data)
    result = describe(source)
    result.update(describe_file(_file(data)))
    start = result["codestream_offset"]
    stream = source.data[start : start + result["codestream_size"]]
    result["codestream"] = describe_codestream(stream, len(result["components"]))
    return result


def _file(data: Buffer) -> memoryview:
    source = view(data).data
    return source[:0] if source[:4] == b"\xff\x4f\xff\x51" else source


def box_contents(data: Buffer, kind: str) -> list[bytes]:
    """The contents of all boxes of a type, for example ``"xml "`` or ``"uuid"``, in the order of the file; none for a codestream.

    kind: the four characters of the type. Contents of ``uuid`` begin with the 16 bytes of the UUID."""
    if len(kind) != 4:
        raise ValueError(f"kind: {kind!r} is not allowed; allowed: four characters")
    source = _file(data)
    return [bytes(contents(source, box)) for box in flatten(list(boxes(source))) if box["type"] == kind]


def icc_profile(data: Buffer) -> bytes | None:
    """The file's ICC profile, the first one of several; None when there is none."""
    return profile(_file(data))
