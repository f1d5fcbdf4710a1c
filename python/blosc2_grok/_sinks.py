# Where coded chunks go: .b2nd files, HDF5 datasets, Zarr arrays. All of them appear under their name when they are complete.
# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import os
import shutil
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ._pipeline import ChunkCoder, Shape, plain
from ._sources import split_dataset

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import numpy as np


class Sink(Protocol):
    """Where chunks go. put is called once for every chunk, in order; then finish, or abort when something failed."""

    coding: Callable[[ChunkCoder, np.ndarray], bytes]  # what makes of elements what put takes; can be pickled

    def put(self, index: Shape, number: int, data: bytes) -> None: ...

    def finish(self) -> None: ...

    def abort(self) -> None: ...


def temporary_name(path: str) -> str:
    """Beside the output, so that renaming is enough; hidden, and with the same suffix."""
    folder, name = os.path.split(path.rstrip("/\\"))
    return os.path.join(folder, f".{os.getpid()}.part.{name}")


def remove(path: str) -> None:
    if os.path.isdir(path):
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(FileNotFoundError):
            os.remove(path)


def replace(temporary: str, path: str) -> None:
    """Put the finished output in its place."""
    if os.path.isdir(path) or (os.path.isdir(temporary) and os.path.exists(path)):
        old = temporary_name(path) + ".old"
        os.rename(path, old)
        os.rename(temporary, path)
        remove(old)
    else:
        os.replace(temporary, path)


def check_output(path: str, force: bool) -> None:
    """Before any work: the output's folder is there and nothing is overwritten by accident."""
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        raise ValueError(f"{path}: there is no folder {folder}")
    if os.path.exists(path) and not force:
        raise FileExistsError(f"{path} exists; --force (overwrite=True) replaces it")


class Blosc2Sink:
    """A ``.b2nd`` file."""

    coding = staticmethod(ChunkCoder.chunk)

    def __init__(self, path: str, coder: ChunkCoder, attrs: Mapping[str, Any] | None = None) -> None:
        self.path = path
        self._temporary = temporary_name(path)
        remove(self._temporary)
        self._array = coder.array(urlpath=self._temporary, mode="w")
        for name, value in (attrs or {}).items():
            with suppress(TypeError, ValueError):  # what cannot be stored as metadata
                self._array.schunk.vlmeta[name] = plain(value)

    def put(self, index: Shape, number: int, data: bytes) -> None:
        self._array.schunk.update_chunk(number, data)

    def finish(self) -> None:
        self._array = None
        replace(self._temporary, self.path)

    def abort(self) -> None:
        self._array = None
        remove(self._temporary)


@contextmanager
def in_hdf5(path: str, dataset: str, *, force: bool) -> Iterator[tuple[Any, str]]:
    """A file open for writing and the name under which a dataset may be made in it; at the end it gets its real name.

    A new file has another name until then. In a file that is there already, the dataset has.
    """
    try:
        import h5py
        import hdf5plugin  # noqa: F401
    except ImportError:
        raise ValueError("HDF5 files need the packages h5py and hdf5plugin: pip install 'blosc2-grok[hdf5]'") from None
    dataset = dataset.strip("/")
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        raise ValueError(f"{path}: there is no folder {folder}")
    if not os.path.exists(path):
        temporary = temporary_name(path)
        try:
            with h5py.File(temporary, "w") as file:
                yield file, dataset
            os.replace(temporary, path)
        except BaseException:
            remove(temporary)
            raise
        return
    with h5py.File(path, "r+") as file:
        if dataset in file and not force:
            raise ValueError(f"{path}:/{dataset} exists; --force overwrites it")
        group, _, name = dataset.rpartition("/")
        part = f"{group}/.{os.getpid()}.part.{name}" if group else f".{os.getpid()}.part.{name}"
        try:
            yield file, part
        except BaseException:
            with suppress(KeyError):
                del file[part]
            raise
        if dataset in file:
            del file[dataset]
        file.move(part, dataset)


class Hdf5Sink:
    """A dataset of filter 32026, its chunks written past HDF5's filter pipeline."""

    def __init__(self, path: str, dataset: str, coder: ChunkCoder, attrs: Mapping[str, Any], *, force: bool) -> None:
        from . import hdf5

        self.coding = hdf5.as_frame
        self._chunks = coder.chunks
        self._context = in_hdf5(path, dataset, force=force)
        file, name = self._context.__enter__()
        try:
            self._dataset = hdf5.create_dataset(
                file,
                name,
                shape=coder.shape,
                dtype=coder.dtype,
                chunks=coder.chunks,
                blocks=coder.blocks,
                **coder.given,
            )
            for key, value in attrs.items():
                with suppress(TypeError, ValueError):  # what HDF5 cannot store
                    self._dataset.attrs[key] = value
        except BaseException as error:
            self._leave(error)
            raise

    def _leave(self, error: BaseException | None) -> None:
        with suppress(type(error) if error else ()):
            self._context.__exit__(type(error) if error else None, error, None)

    def put(self, index: Shape, number: int, data: bytes) -> None:
        origin = tuple(i * c for i, c in zip(index, self._chunks, strict=True))
        self._dataset.id.write_direct_chunk(origin, data)

    def finish(self) -> None:
        del self._dataset
        self._leave(None)

    def abort(self) -> None:
        self._leave(KeyboardInterrupt())


class ZarrSink:
    """A Zarr array of format 3 in a folder; every chunk is one JPEG 2000 file."""

    coding = staticmethod(ChunkCoder.image)

    def __init__(self, path: str, coder: ChunkCoder, attrs: Mapping[str, Any]) -> None:
        try:
            import zarr

            from .zarr import Jpeg2000
        except ImportError:
            raise ValueError("Zarr arrays need the package zarr: pip install 'blosc2-grok[zarr]'") from None
        if coder.blocks != coder.chunks:
            raise ValueError("--blocks: a chunk of a Zarr array is one image; allowed: none, or the shape of a chunk")
        self.path = path
        self._temporary = temporary_name(path)
        remove(self._temporary)
        try:
            array = zarr.create_array(
                self._temporary,
                shape=coder.shape,
                dtype=coder.dtype,
                chunks=coder.chunks,
                serializer=Jpeg2000(**coder.given),
                compressors=None,
                zarr_format=3,
            )
            for name, value in attrs.items():
                with suppress(TypeError, ValueError):  # what JSON cannot hold
                    array.attrs[name] = plain(value)
        except BaseException:
            remove(self._temporary)
            raise

    def put(self, index: Shape, number: int, data: bytes) -> None:
        # The default chunk key encoding of format 3: c/0/1/2.
        file = os.path.join(self._temporary, "c", *map(str, index))
        os.makedirs(os.path.dirname(file), exist_ok=True)
        with open(file, "wb") as out:
            out.write(data)

    def finish(self) -> None:
        replace(self._temporary, self.path)

    def abort(self) -> None:
        remove(self._temporary)


def open_sink(target: str, coder: ChunkCoder, attrs: Mapping[str, Any], *, force: bool) -> Sink:
    """By what the output is called. Raises ValueError for what cannot be written."""
    dataset = split_dataset(target)
    if dataset:
        return Hdf5Sink(*dataset, coder, attrs, force=force)
    check_output(target, force)
    suffix = Path(target).suffix.lower()
    if suffix == ".b2nd":
        return Blosc2Sink(target, coder, attrs)
    if suffix == ".zarr":
        return ZarrSink(target, coder, attrs)
    if suffix in (".h5", ".hdf5", ".nxs"):
        raise ValueError(f"{target}: name the dataset as well, as in {target}:/entry/data")
    raise ValueError(f"{target}: unknown kind of output; allowed: x.b2nd, file.h5:/entry/data, x.zarr")
