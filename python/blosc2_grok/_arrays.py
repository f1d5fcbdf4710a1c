# Blosc2 arrays of JPEG 2000 blocks, which bring their own parameters.
# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import ctypes
import dataclasses
import math
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ._lib import call, last_error, lib
from ._params import Parameters, get_params_defaults, params_to_text, to_text

if TYPE_CHECKING:
    from collections.abc import Callable

    import blosc2
    from numpy.typing import ArrayLike, DTypeLike
    from typing_extensions import Unpack

    from ._params import GivenParams

METALAYER = "jpeg2000"
CODEC = 37  # "grok"

# Planes of more bytes than this are cut into blocks of about that many, and chunks of four of them.
_LARGE_PLANE, _LARGE_BLOCK = 1 << 26, 1 << 24
_MAX_INTERLEAVED = 16

# Arguments of Blosc2's constructors that are no matter of the codec's.
_STORAGE = ("contiguous", "dparams", "initial_mapping_size", "locking", "meta", "mmap_mode")
_FILE_MODES = ("r", "a", "w", "w-", "x")


# ---- chunks and blocks ----


def _image_axes(shape: Sequence[int], axes: str | None) -> tuple[int, int, int]:
    """How many of the last dimensions are rows, columns and components (0 or 1 each)."""
    if axes:
        return int("y" in axes), 1, int("c" in axes)
    kept = list(shape)
    while kept and kept[0] == 1:
        kept.pop(0)
    few = len(kept) > 2 and kept[-1] <= _MAX_INTERLEAVED and kept[-1] < kept[-2] and kept[-1] < kept[-3]
    left = len(kept) - few if kept else len(shape)
    return int(left > 1), int(left > 0), int(few)


def _cut(length: int, most: int) -> int:
    """The length of parts of about so many, a multiple of 64, so that lower resolutions of the parts meet on one grid."""
    if length <= most:
        return length
    count = -(-length // most)
    return min(length, -(-length // (64 * count)) * 64)


def partition(shape: Sequence[int], itemsize: int, axes: str | None) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Chunks and blocks for images: one image each, and for very large images tiles of about 16 MiB, four to a chunk."""
    has_y, has_x, has_c = _image_axes(shape, axes)
    planes = len(shape) - has_y - has_x - has_c
    image = list(shape[planes:])
    blocks = [1] * planes + [max(1, length) for length in image]
    chunks = list(blocks)
    if math.prod(image) * itemsize > _LARGE_PLANE:
        sample = itemsize * (image[-1] if has_c else 1)
        x = planes + has_y
        room = max(1, _LARGE_BLOCK // sample)  # samples in a block
        if has_y:
            edge = max(64, 1 << (room.bit_length() - 1) // 2)
            rows, columns = blocks[x - 1], blocks[x]
            blocks[x] = _cut(columns, room // rows if rows < edge else edge)
            blocks[x - 1] = _cut(rows, room // columns if columns < edge else edge)
        else:
            blocks[x] = _cut(blocks[x], room)
        for axis in range(planes, x + 1):
            chunks[axis] = min(chunks[axis], 2 * blocks[axis])
    return tuple(chunks), tuple(blocks)


def _shapes(
    shape: tuple[int, ...], itemsize: int, axes: str | None, chunks: Any, blocks: Any
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    for name, given in (("chunks", chunks), ("blocks", blocks)):
        if given is not None and len(given) != len(shape):
            raise ValueError(f"{name}: {tuple(given)} has {len(given)} dimensions, but the array has {len(shape)}")
    usual_chunks, usual_blocks = partition(shape, itemsize, axes)
    if chunks is None and blocks is not None:
        blocks = tuple(map(int, blocks))
        chunks = tuple(
            max(b, min(length, -(-c // b) * b)) for c, b, length in zip(usual_chunks, blocks, shape, strict=True)
        )
    elif chunks is None:
        chunks = usual_chunks
    chunks = tuple(map(int, chunks))
    if blocks is None:
        blocks = tuple(map(min, usual_blocks, chunks))
    return chunks, tuple(map(int, blocks))


# ---- what goes to Blosc2 ----


def _cparams(given: Any) -> dict[str, Any]:
    """Compression parameters of Blosc2 with the codec in them; what would undo it is refused."""
    import blosc2

    if given is None:
        given = {}
    elif dataclasses.is_dataclass(given):
        standard = blosc2.CParams()
        given = {
            field.name: getattr(given, field.name)
            for field in dataclasses.fields(given)
            if getattr(given, field.name) != getattr(standard, field.name)
        }
    cparams = dict(given)
    codec = cparams.setdefault("codec", CODEC)
    number = int(getattr(codec, "value", codec))
    if number not in (36, 37, 39, 40) and number < 160:
        raise ValueError(
            f"cparams: codec {codec} is not JPEG 2000; allowed: Codec.GROK (37), 36, 39, 40, or one of your own"
        )
    if cparams.get("codec_meta"):
        raise ValueError("cparams: codec_meta is not allowed; use ratio")
    if any(int(getattr(f, "value", f)) for f in cparams.get("filters") or []):
        raise ValueError("cparams: filters are not allowed, since they rearrange the samples")
    if cparams.setdefault("splitmode", blosc2.SplitMode.NEVER_SPLIT) != blosc2.SplitMode.NEVER_SPLIT:
        raise ValueError("cparams: splitmode is not allowed; blocks are never split")
    cparams["filters"] = []
    return cparams


def _prepare(dtype: Any, blocks: tuple[int, ...], given: Mapping[str, Any], params: Any) -> str:
    """The text that is stored with the array. Raises ValueError for what the codec would refuse."""
    text = ctypes.create_string_buffer(1 << 16)
    call(
        lib.blosc2_grok_prepare_array,
        dtype.str.encode(),
        len(blocks),
        (ctypes.c_int64 * max(1, len(blocks)))(*blocks),
        params_to_text(given, params),
        text,
        len(text),
    )
    stored = text.value.decode("latin-1")
    for name in ("num_threads", "verbose"):  # not the array's, unless said here
        if name in given:
            stored += f";{name}={to_text(name, given[name])}"
    return stored


def storage(
    shape: Sequence[int],
    dtype: DTypeLike,
    *,
    chunks: Sequence[int] | None = None,
    blocks: Sequence[int] | None = None,
    axes: str | None = None,
    cparams: Any = None,
    meta: Mapping[str, Any] | None = None,
    params: Mapping[str, Any] | Any = None,
    **kwargs: Unpack[GivenParams],
) -> dict[str, Any]:
    """Keyword arguments for a constructor of ``blosc2`` (``empty``, ``full``, ``fromiter`` ...) with which the array has the
    codec, images as chunks and blocks, and these parameters; the arguments are those of ``asarray``."""
    import numpy as np

    kind = np.dtype(dtype)
    if axes is not None:
        kwargs["axes"] = axes
    else:
        axes = _axes_in_force(kwargs, params)
    lengths = tuple(int(n) for n in (shape if isinstance(shape, Sequence) else [shape]))
    chunk_shape, block_shape = _shapes(lengths, kind.itemsize, axes, chunks, blocks)
    text = _prepare(kind, block_shape, kwargs, params)
    if meta and METALAYER in meta:
        raise ValueError(f"meta: {METALAYER} is not allowed; give the parameters by name")
    return {
        "chunks": chunk_shape,
        "blocks": block_shape,
        "cparams": _cparams(cparams),
        "meta": {**(meta or {}), METALAYER: text},
    }


def _axes_in_force(kwargs: Mapping[str, Any], params: Any) -> str | None:
    text = params_to_text(kwargs, params).decode("utf-8", "replace")
    if not text.startswith("defaults"):
        text = f"axes={get_params_defaults()['axes']};{text}"
    values = [item.split("=", 1)[1] for item in text.split(";") if item.startswith("axes=")]
    return (values[-1] if values else "") or None


def _create(
    make: Callable[..., Any], shape: Sequence[int], dtype: Any, urlpath: Any, mode: Any, kwargs: dict[str, Any]
) -> Any:
    others = {name: kwargs.pop(name) for name in _STORAGE if name in kwargs}
    if isinstance(mode, str) and mode in _FILE_MODES:
        others["mode"] = mode
    elif mode is not None:
        kwargs["mode"] = mode
    if urlpath is not None:
        others["urlpath"] = os.fspath(urlpath)
    elif "mode" in others:
        del others["mode"]
    meta = others.pop("meta", None)
    arguments = storage(shape, dtype, meta=meta, **kwargs)
    existed = urlpath is not None and os.path.exists(urlpath)
    try:
        return make(**arguments, **others)
    except RuntimeError as error:
        if urlpath is not None and not existed and os.path.exists(urlpath):
            import blosc2

            blosc2.remove_urlpath(os.fspath(urlpath))
        reason = last_error()
        raise ValueError(f"{reason} ({error})" if reason else str(error)) from error


def asarray(
    array: ArrayLike,
    *,
    chunks: Sequence[int] | None = None,
    blocks: Sequence[int] | None = None,
    urlpath: str | os.PathLike[str] | None = None,
    mode: Any = None,
    cparams: Any = None,
    params: Mapping[str, Any] | Any = None,
    **kwargs: Any,
) -> blosc2.NDArray:
    """Compress an array into a Blosc2 array of JPEG 2000 blocks.

    array: anything that NumPy takes as an array, of dtype bool, (u)int8, (u)int16, (u)int32, float16 or float32 in either byte
    order: ``(H, W)``, ``(H, W, C)`` with C at most 16 and smaller than H and W, or stacks of those with any number of leading
    dimensions.
    ratio, psnr (dB), max_error, or none of them for lossless: the quality; ht: High-Throughput coding; ``axes`` (such as "tzyx" or
    "yxc"): what the dimensions are, where the guess is wrong; and every other parameter of ``parameter_table()``, by name or
    together as ``params``, a mapping or a ``Parameters``.
    chunks, blocks: shapes; by default one image each, and tiles of about 16 MiB, four to a chunk, for images of more than 64 MiB.
    urlpath: the file to write, else the array is in memory; mode: Blosc2's way to open it ("a", "w", "r"), when it is a string (a
    GrkMode is the code-block style).
    cparams: other compression parameters of Blosc2 (``nthreads``, ``clevel``), or a codec of the same family; contiguous, dparams, meta,
    mmap_mode, initial_mapping_size, locking: as in ``blosc2.empty``.

    All parameters, those of the scope (``params``) and of the process (``set_params_defaults``) included, are stored with the array, in the
    metalayer "jpeg2000" in text form: what is written to it later, from any process, is coded with them. Raises ValueError with the
    reason for what is not allowed, before anything is written where that does not depend on the samples.
    """
    import blosc2
    import numpy as np

    if not hasattr(array, "shape") or not hasattr(array, "dtype"):
        array = np.asarray(array)

    def make(**arguments: Any) -> Any:
        return blosc2.asarray(array, **arguments)

    kwargs.update(chunks=chunks, blocks=blocks, cparams=cparams, params=params)
    return _create(make, array.shape, array.dtype, urlpath, mode, kwargs)


def empty(
    shape: int | Sequence[int],
    dtype: DTypeLike,
    *,
    urlpath: str | os.PathLike[str] | None = None,
    mode: Any = None,
    **kwargs: Any,
) -> blosc2.NDArray:
    """A Blosc2 array to be written slice by slice, of JPEG 2000 blocks; its values are undefined until then. Write whole chunks (by
    default images) where possible: a part of a chunk makes all of it be coded again. The arguments are those of ``asarray``."""
    import blosc2

    lengths = tuple(shape) if isinstance(shape, Sequence) else (shape,)

    def make(**arguments: Any) -> Any:
        return blosc2.empty(lengths, dtype=dtype, **arguments)

    return _create(make, lengths, dtype, urlpath, mode, kwargs)


def zeros(
    shape: int | Sequence[int],
    dtype: DTypeLike,
    *,
    urlpath: str | os.PathLike[str] | None = None,
    mode: Any = None,
    **kwargs: Any,
) -> blosc2.NDArray:
    """As ``empty``, filled with zeros."""
    import blosc2

    lengths = tuple(shape) if isinstance(shape, Sequence) else (shape,)

    def make(**arguments: Any) -> Any:
        return blosc2.zeros(lengths, dtype=dtype, **arguments)

    return _create(make, lengths, dtype, urlpath, mode, kwargs)


def params_of(array: Any) -> Any:
    """The ``Parameters`` that are stored with a Blosc2 array, over the table's defaults; None when it has none.

    What a metalayer written by other means leaves out is not the table's default but the process's when the array is written to.
    """
    meta = array.schunk.meta
    if METALAYER not in meta:
        return None
    text = meta[METALAYER]
    return Parameters.from_text(text.decode("latin-1") if isinstance(text, bytes) else text)
