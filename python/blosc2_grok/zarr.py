"""JPEG 2000 chunks in Zarr arrays: a codec for Zarr format 2 (numcodecs) and one for format 3.

Installing the package makes both known, by entry points; nothing needs to be imported to read such arrays::

    zarr.create_array(store, shape=..., chunks=(1, 1024, 1024), dtype="uint16", zarr_format=3,
                      serializer=blosc2_grok.zarr.Jpeg2000(ratio=8), compressors=None)
    zarr.create_array(store, ..., zarr_format=2, compressors=blosc2_grok.zarr.NumcodecsJpeg2000(ht=True))

Every chunk is a JP2 file (or what ``cod_format`` says) of the chunk's shape: see ``encode`` for which axes are the image's.
"""
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numcodecs.abc import Codec
from zarr.abc.codec import ArrayBytesCodec

from ._codec import encode
from ._decode import decode, describe, view
from ._open import as_dtype
from ._pipeline import plain

if TYPE_CHECKING:
    from typing import Self

    from zarr.core.array_spec import ArraySpec
    from zarr.core.buffer import Buffer, NDBuffer

__all__ = ["ImagecodecsJpeg2k", "Jpeg2000", "NumcodecsJpeg2000"]


def _json_parameters(parameters: dict[str, Any]) -> dict[str, Any]:
    """The parameters as JSON has them, so that they can be stored with the array."""
    parameters = {name: plain(value) for name, value in parameters.items()}
    json.dumps(parameters)
    return parameters


_DTYPE = "dtype="


def _check(parameters: dict[str, Any]) -> None:
    """Wrong parameters are an error when the codec is made, not when the first chunk is written."""
    encode(np.zeros((8, 8), np.uint8), **parameters)


def _decode_chunk(data: Any, shape: tuple[int, ...] | None, dtype: np.dtype) -> np.ndarray:
    array = as_dtype(decode(data), dtype)
    if array.dtype != dtype and array.dtype.newbyteorder("=") != dtype.newbyteorder("="):
        array = array.astype(dtype.newbyteorder("="), casting="same_kind")
    if shape is None:
        return array
    if array.size != int(np.prod(shape, dtype=np.int64)):
        raise ValueError(f"a chunk of shape {shape} holds an image of shape {array.shape}")
    return array.reshape(shape).astype(dtype, copy=False)


@dataclass(frozen=True)
class Jpeg2000(ArrayBytesCodec):
    """Codec ``blosc2_grok.jpeg2000`` for Zarr format 3, in the place of the serializer (array to bytes).

    parameters: keyword parameters of ``blosc2_grok.encode``; without any, lossless. They are stored with the array.
    """

    is_fixed_size = False
    parameters: tuple[tuple[str, Any], ...] = ()

    def __init__(self, **parameters: Any) -> None:
        _check(parameters)
        object.__setattr__(self, "parameters", tuple(sorted(_json_parameters(parameters).items())))

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        return cls(**data.get("configuration", {}))

    def to_dict(self) -> dict[str, Any]:
        return {"name": "blosc2_grok.jpeg2000", "configuration": dict(self.parameters)}

    def validate(self, *, shape: tuple[int, ...], dtype: Any, chunk_grid: Any) -> None:
        native = dtype.to_native_dtype() if hasattr(dtype, "to_native_dtype") else np.dtype(dtype)
        try:
            encode(np.zeros((1, 1), native), **dict(self.parameters))
        except ValueError as error:
            raise ValueError(f"blosc2_grok.jpeg2000 cannot store {native}: {error}") from error
        if not shape:
            raise ValueError("blosc2_grok.jpeg2000 cannot store arrays without dimensions")

    async def _decode_single(self, chunk_bytes: Buffer, chunk_spec: ArraySpec) -> NDBuffer:
        data = np.asarray(chunk_bytes.as_array_like())
        dtype = chunk_spec.dtype.to_native_dtype()
        array = await asyncio.to_thread(_decode_chunk, data, chunk_spec.shape, dtype)
        return chunk_spec.prototype.nd_buffer.from_ndarray_like(array)

    async def _encode_single(self, chunk_array: NDBuffer, chunk_spec: ArraySpec) -> Buffer | None:
        data = await asyncio.to_thread(encode, chunk_array.as_numpy_array(), **dict(self.parameters))
        return chunk_spec.prototype.buffer.from_bytes(data)

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: ArraySpec) -> int:
        raise NotImplementedError("the size depends on the samples")


class NumcodecsJpeg2000(Codec):  # type: ignore[misc]
    """Codec ``blosc2_grok_jpeg2000`` for Zarr format 2, as compressor: no filters, order "C".

    parameters: keyword parameters of ``blosc2_grok.encode``; without any, lossless. They are stored with the array.
    """

    codec_id = "blosc2_grok_jpeg2000"

    def __init__(self, **parameters: Any) -> None:
        _check(parameters)
        self.parameters = _json_parameters(parameters)

    def get_config(self) -> dict[str, Any]:
        return {"id": self.codec_id, **self.parameters}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        return cls(**config)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.parameters.items())})"

    def encode(self, buf: Any) -> bytes:
        array = np.asarray(buf)
        if array.ndim == 0 or not array.flags.c_contiguous:
            raise ValueError(f"{self.codec_id} needs chunks in C order with at least one dimension")
        # Zarr format 2 does not tell a codec what it decodes to: where the stream would not either, a comment does.
        comment = {} if array.dtype.isnative and array.dtype.itemsize < 4 else {"comment": _DTYPE + array.dtype.str}
        return encode(array, **{**comment, **self.parameters})

    def decode(self, buf: Any, out: Any = None) -> np.ndarray:
        data = _contiguous(buf)
        array = decode(data)
        comment = describe(view(data))["comment"] or ""
        if comment.startswith(_DTYPE):
            dtype = np.dtype(comment.removeprefix(_DTYPE))
            array = as_dtype(array, dtype).astype(dtype, copy=False)
        if out is None:
            return array
        target = np.asarray(out)
        np.copyto(target.reshape(-1), as_dtype(array, target.dtype).reshape(-1), casting="same_kind")
        return out


class ImagecodecsJpeg2k(Codec):  # type: ignore[misc]
    """Reads arrays whose chunks were written by the codec ``imagecodecs_jpeg2k`` of imagecodecs, where that package is not there to do
    it itself. Writing is refused."""

    codec_id = "imagecodecs_jpeg2k"

    def __init__(self, **config: Any) -> None:
        self.config = config

    def get_config(self) -> dict[str, Any]:
        return {"id": self.codec_id, **self.config}

    def encode(self, buf: Any) -> bytes:
        raise ValueError(f"{self.codec_id} only reads; {NumcodecsJpeg2000.codec_id} writes")

    def decode(self, buf: Any, out: Any = None) -> np.ndarray:
        array = decode(_contiguous(buf))
        if self.config.get("planar") and array.ndim == 3:
            array = np.ascontiguousarray(np.moveaxis(array, -1, 0))
        if out is None:
            return array
        np.copyto(np.asarray(out).reshape(-1), array.reshape(-1), casting="same_kind")
        return out


def _contiguous(buf: Any) -> Any:
    return np.ascontiguousarray(np.asarray(buf)).reshape(-1).view(np.uint8) if isinstance(buf, np.ndarray) else buf
