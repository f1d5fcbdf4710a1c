"""JPEG 2000 in HDF5: datasets whose chunks are coded here, on all cores, and written past HDF5's own filter pipeline.

Plain ``h5py`` with ``hdf5plugin`` reads them (filter 32026, Blosc2), as does any program that finds HDF5's Blosc2 filter and this
package's codec library; ``filter="htj2k"`` writes chunks that filter 32033 reads (High-Throughput JPEG 2000)::

    with h5py.File("scan.h5", "w") as file:
        blosc2_grok.hdf5.create_dataset(file, "entry/data", stack, ratio=6)
"""
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import itertools
import json
import math
import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import blosc2
import h5py
import hdf5plugin  # noqa: F401  makes filter 32026 known to HDF5
import numpy as np

from ._chunks import zero_chunk
from ._enums import GrkFileFmt
from ._open import bounding_spans, normalize_key
from ._pipeline import ChunkCoder, chunk_grid, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import ArrayLike, DTypeLike

__all__ = ["BLOSC2_FILTER", "HTJ2K_FILTER", "Dataset", "create_dataset", "open_dataset"]

BLOSC2_FILTER, HTJ2K_FILTER = 32026, 32033

_PARAMETERS = "jpeg2000"  # attribute of a dataset: blocks and parameters as JSON, for what is written later
_FILTERS: dict[str, dict[str, Any]] = {
    # Level 5, no shuffling, codec 37, for what others write into the dataset through the filter.
    "blosc2": {"compression": BLOSC2_FILTER, "compression_opts": (0, 0, 0, 0, 5, 0, 37)},
    "htj2k": {"compression": HTJ2K_FILTER},
}
_LOSSY = ("ratio", "psnr", "max_error", "quality_mode", "irreversible", "qfactor", "quantization_step", "max_cs_size")


class Dataset(h5py.Dataset):
    """An HDF5 dataset whose slices are coded here when they are assigned: ``dataset[10:20] = images``.

    Reading is h5py's own. Chunks that a slice covers are coded side by side on ``num_threads`` threads (0: one a processor). Of a chunk
    that it covers in part the rest is kept, which only a lossless dataset can do once the chunk is there. HDF5 itself must be used
    by one thread at a time.
    """

    num_threads: int = 0

    def _coder(self) -> tuple[ChunkCoder, Callable[[ChunkCoder, np.ndarray], bytes]]:
        given = json.loads(self.attrs[_PARAMETERS])
        coder = ChunkCoder(self.shape, self.dtype, given["parameters"], self.chunks, given["blocks"])
        return coder, as_frame if given["filter"] == "blosc2" else ChunkCoder.image

    def __setitem__(self, key: Any, value: ArrayLike) -> None:
        selection = normalize_key(key, self.shape)
        spans, _ = bounding_spans(selection)
        if any(isinstance(item, slice) and item.step not in (None, 1) for item in selection):
            raise IndexError("slices with steps cannot be assigned; allowed: integers, slices and an ellipsis")
        box = [stop - start for start, stop in spans]
        values = np.asarray(value)
        # An integer index takes its axis away from the values.
        target = [length for length, item in zip(box, selection, strict=True) if not isinstance(item, int)]
        values = np.broadcast_to(values, target).reshape(box)
        if values.size == 0:
            return
        coder, code = self._coder()
        values = _as(values, coder.dtype)
        ranges = [
            range(start // chunk, -(-stop // chunk)) for (start, stop), chunk in zip(spans, self.chunks, strict=True)
        ]
        with ThreadPoolExecutor(self.num_threads or os.cpu_count() or 1) as pool:
            batch = 2 * (self.num_threads or os.cpu_count() or 1)
            indices = itertools.product(*ranges)
            while part := list(itertools.islice(indices, batch)):
                elements = [self._chunk_elements(index, spans, values, coder) for index in part]
                for index, data in zip(part, pool.map(partial(code, coder), elements), strict=True):
                    origin = tuple(i * c for i, c in zip(index, self.chunks, strict=True))
                    self.id.write_direct_chunk(origin, data)

    def _chunk_elements(self, index: Sequence[int], spans: Any, values: np.ndarray, coder: ChunkCoder) -> np.ndarray:
        """A whole chunk: the values, and around them what is there already."""
        origin = [i * c for i, c in zip(index, self.chunks, strict=True)]
        stop = [min(o + c, n) for o, c, n in zip(origin, self.chunks, self.shape, strict=True)]
        inner = [(max(o, a), min(s, b)) for o, s, (a, b) in zip(origin, stop, spans, strict=True)]
        part = values[tuple(slice(a - start, b - start) for (a, b), (start, _) in zip(inner, spans, strict=True))]
        if all(a == o and b == s for (a, b), o, s in zip(inner, origin, stop, strict=True)):
            return part
        there = self.id.get_chunk_info_by_coord(tuple(origin)).byte_offset is not None
        if there and is_lossy(coder.given):
            raise ValueError(
                f"a part of the chunk at {tuple(origin)} cannot be written: the rest is there already and would lose quality a "
                f"second time; write whole chunks of shape {self.chunks}"
            )
        whole = self[tuple(slice(o, s) for o, s in zip(origin, stop, strict=True))].astype(coder.dtype, copy=False)
        whole[tuple(slice(a - o, b - o) for (a, b), o in zip(inner, origin, strict=True))] = part
        return whole


def is_lossy(parameters: Mapping[str, Any]) -> bool:
    """Whether decoded samples may differ from the originals."""
    return any(parameters.get(name) not in (None, False, 0, "none", "") for name in _LOSSY)


def _as(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Values in another dtype that holds them."""
    if values.dtype.newbyteorder("=") == dtype:
        return values.astype(dtype, copy=False)
    with np.errstate(invalid="ignore"):
        cast = values.astype(dtype)
    if dtype.kind in "iub" and not np.array_equal(cast, values):
        raise ValueError(f"the dataset's dtype {dtype} does not hold all of the values, whose dtype is {values.dtype}")
    return cast


def as_frame(coder: ChunkCoder, elements: np.ndarray) -> bytes:
    """What filter 32026 expects of a chunk: a Blosc2 frame of one chunk."""
    frame = coder.array(coder.chunks)
    frame.schunk.update_chunk(0, coder.chunk(elements))
    return frame.to_cframe()


def create_dataset(
    group: h5py.Group,
    name: str,
    data: ArrayLike | None = None,
    *,
    shape: Sequence[int] | None = None,
    dtype: DTypeLike | None = None,
    chunks: Sequence[int] | None = None,
    blocks: Sequence[int] | None = None,
    maxshape: Sequence[int | None] | None = None,
    filter: str = "blosc2",
    num_threads: int = 0,
    **parameters: Any,
) -> Dataset:
    """Create a dataset of JPEG 2000 chunks in an open file or group.

    data: the array; or shape and dtype, for assigning slices later. chunks: shape of the HDF5 chunks, by default one image;
    blocks: shape of the images in them, by default the chunk. parameters: ``ratio``, ``psnr``, ``max_error``, ``ht`` as in ``asarray``,
    and those of ``encode``; without any, lossless. They are kept in the attribute "jpeg2000".
    filter: "blosc2" (32026), or "htj2k" (32033, which hdf5plugin 6 and newer decodes by itself): every chunk is then one High-Throughput
    codestream, of dtype (u)int8 or (u)int16 and at most three components.
    Raises ValueError for dtypes and parameters that are not supported, before anything is created.
    """
    if data is not None:
        data = np.asarray(data)
        shape, dtype = data.shape if shape is None else shape, data.dtype if dtype is None else dtype
    if shape is None or dtype is None:
        raise ValueError("shape and dtype, or data, are needed")
    stored = {key: plain(value) for key, value in parameters.items()}
    if filter == "htj2k":
        stored = {**stored, "ht": True, "cod_format": GrkFileFmt.GRK_FMT_J2K.value}
        if np.dtype(dtype).kind not in "ui" or np.dtype(dtype).itemsize > 2:
            raise ValueError(
                f"dtype {np.dtype(dtype)} is not possible with the filter htj2k; allowed: (u)int8 and (u)int16"
            )
    elif filter != "blosc2":
        raise ValueError(f"filter: {filter!r} is not allowed; allowed: 'blosc2' and 'htj2k'")
    coder = ChunkCoder(shape, dtype, stored, chunks, chunks if blocks is None and filter == "htj2k" else blocks)
    lengths = [length for length in coder.chunks if length > 1]
    if filter == "htj2k" and (
        coder.blocks != coder.chunks or len(lengths) > 3 or len(lengths) == 3 and lengths[2] != 3
    ):
        raise ValueError(
            f"chunks: {coder.chunks} with blocks {coder.blocks} is not possible with the filter htj2k; a chunk is one image, grey or RGB"
        )
    created = group.create_dataset(
        name,
        shape=coder.shape,
        dtype=coder.dtype,  # chunks are coded in this machine's byte order
        chunks=coder.chunks,
        maxshape=maxshape,
        **_FILTERS[filter],
    )
    created.attrs[_PARAMETERS] = json.dumps({"filter": filter, "blocks": list(coder.blocks), "parameters": stored})
    dataset = Dataset(created.id)
    dataset.num_threads = num_threads
    if data is not None:
        dataset[...] = data
    return dataset


def open_dataset(group: h5py.Group, name: str, *, num_threads: int = 0) -> Dataset:
    """A dataset made by ``create_dataset``, for assigning more slices with its own parameters."""
    found = group[name]
    if not isinstance(found, h5py.Dataset) or _PARAMETERS not in found.attrs:
        raise ValueError(f"{name} is not a dataset made by blosc2_grok.hdf5.create_dataset")
    dataset = Dataset(found.id)
    dataset.num_threads = num_threads
    return dataset


class ChunkedDataset:
    """A dataset of filter 32026 chunk by chunk, for ``blosc2_grok.open``: reading parts of its images, and lower resolutions.

    dataset: an ``h5py.Dataset`` whose only filter is Blosc2's, with frames of JPEG 2000 blocks as chunks.
    """

    def __init__(self, dataset: h5py.Dataset) -> None:
        filters = dataset.id.get_create_plist()
        if filters.get_nfilters() != 1 or filters.get_filter(0)[0] != BLOSC2_FILTER:
            raise ValueError(f"{dataset.name} is not a dataset with Blosc2's filter ({BLOSC2_FILTER}) alone")
        self._dataset = dataset
        self.shape, self.dtype, self.chunks = dataset.shape, dataset.dtype, dataset.chunks
        self._grid = chunk_grid(self.shape, self.chunks)
        frames = map(self._frame, range(math.prod(self._grid)))
        first = next((frame for frame in frames if frame is not None), None)
        self.blocks = tuple(getattr(first, "blocks", None) or self.chunks)

    @classmethod
    def open(cls, path: str, name: str) -> ChunkedDataset:
        file = h5py.File(path, "r")
        if not isinstance(file.get(name), h5py.Dataset):
            raise ValueError(f"{path}: there is no dataset {name}")
        return cls(file[name])

    @property
    def attrs(self) -> dict[str, Any]:
        return {key: plain(value) for key, value in self._dataset.attrs.items()}

    def _frame(self, number: int) -> Any:
        """The Blosc2 array that a chunk is; None when it was never written."""
        index = np.unravel_index(number, self._grid)
        origin = tuple(int(i) * c for i, c in zip(index, self.chunks, strict=True))
        if self._dataset.id.get_chunk_info_by_coord(origin).byte_offset is None:
            return None
        _, data = self._dataset.id.read_direct_chunk(origin)
        return blosc2.from_cframe(data) if hasattr(blosc2, "from_cframe") else blosc2.ndarray_from_cframe(data)

    def get_chunk(self, number: int) -> bytes:
        frame = self._frame(number)
        if frame is None:
            itemsize = self.dtype.itemsize
            blocks = math.prod(self.blocks) * itemsize
            count = math.prod(-(-c // b) for c, b in zip(self.chunks, self.blocks, strict=True))
            return zero_chunk(typesize=itemsize, blocksize=blocks, nbytes=blocks * count)
        if tuple(getattr(frame, "blocks", self.chunks)) != self.blocks:
            raise ValueError(f"{self._dataset.name}: its chunks have blocks of different shapes")
        return getattr(frame, "schunk", frame).get_chunk(0)
