# What the command line reads: image files, folders of them, arrays in files. All of them give their first axis in pieces.
# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

IMAGE_SUFFIXES = {
    ".png",
    ".tif",
    ".tiff",
    ".jp2",
    ".j2k",
    ".j2c",
    ".jpc",
    ".jph",
    ".jhc",
    ".pgm",
    ".ppm",
    ".pnm",
    ".bmp",
}
JPEG2000_SUFFIXES = {".jp2", ".j2k", ".j2c", ".jpc", ".jph", ".jhc"}
_HDF5 = {".h5", ".hdf5", ".nxs", ".hdf", ".he5", ".nc"}


class SourceError(ValueError):
    """An input that cannot be read; the message names it."""


class Source:
    """An array that is read in pieces along its first axis.

    shape, dtype: of the whole. attrs: what the file says of it beside the samples. read(start, stop): elements start to stop of the
    first axis, as a NumPy array. colour: the last axis holds colour. step: elements of the first axis that are cheap to read together.
    """

    def __init__(
        self,
        name: str,
        shape: Sequence[int],
        dtype: Any,
        read: Callable[[int, int], np.ndarray],
        *,
        attrs: dict[str, Any] | None = None,
        colour: bool = False,
        step: int = 0,
        close: Callable[[], None] | None = None,
    ) -> None:
        import numpy as np

        self.name = name
        self.shape = tuple(int(length) for length in shape)
        self.dtype = np.dtype(dtype)
        self.attrs = attrs or {}
        self.colour = colour
        self.step = step
        self._read = read
        self._close = close
        if not self.shape or 0 in self.shape:
            raise SourceError(f"{name}: the array is empty, its shape is {self.shape}")

    @property
    def nbytes(self) -> int:
        nbytes = self.dtype.itemsize
        for length in self.shape:
            nbytes *= length
        return nbytes

    def read(self, start: int, stop: int) -> np.ndarray:
        return self._read(start, stop)

    def close(self) -> None:
        if self._close:
            self._close()

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def split_dataset(text: str) -> tuple[str, str] | None:
    """``file.h5:/entry/data`` as its two parts; None when text names no dataset of an HDF5 file."""
    match = re.fullmatch(r"(.+?\.(?:h5|hdf5|nxs|hdf|he5|nc)):(/?.+)", text, re.IGNORECASE)
    return (match[1], match[2]) if match else None


def natural_key(name: str) -> list[Any]:
    """Sorts slice_2 before slice_10."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", name) if part]


def _of_array(name: str, array: Any, **extra: Any) -> Source:
    """From anything with shape, dtype and slicing. Arrays of two dimensions and colour images count as one piece."""
    return Source(name, array.shape, array.dtype, lambda start, stop: array[start:stop], **extra)


def _one_image(name: str, image: np.ndarray) -> Source:
    return _of_array(name, image, colour=image.ndim == 3)


# ---- image files ----


def read_image(path: str) -> np.ndarray:
    """One image: ``(H, W)`` or ``(H, W, C)``, samples as stored."""
    suffix = Path(path).suffix.lower()
    try:
        if suffix in JPEG2000_SUFFIXES:
            from ._decode import decode

            return decode(Path(path).read_bytes())
        if suffix in (".tif", ".tiff"):
            return tifffile().imread(path)
        if suffix in (".pgm", ".ppm", ".pnm"):
            return _read_pnm(path)
        return _read_with_pillow(path)
    except SourceError:
        raise
    except FileNotFoundError:
        raise SourceError(f"{path}: there is no such file") from None
    except (OSError, ValueError) as error:
        raise SourceError(f"{path}: {error}") from error


def tifffile() -> Any:
    """The package of that name."""
    try:
        return import_module("tifffile")
    except ImportError:
        raise SourceError("TIFF files need the package tifffile: pip install 'blosc2-grok[cli]'") from None


def _read_with_pillow(path: str) -> np.ndarray:
    import numpy as np

    if Path(path).suffix.lower() == ".png" and _png_is_deep_colour(path):
        try:
            import imagecodecs
        except ImportError:
            raise SourceError(
                f"{path}: PNG files with more than one channel of 16 bits need the package imagecodecs"
            ) from None
        return imagecodecs.png_decode(Path(path).read_bytes())
    try:
        from PIL import Image
    except ImportError:
        raise SourceError(
            f"{path}: this kind of image needs the package pillow: pip install 'blosc2-grok[cli]'"
        ) from None
    with Image.open(path) as image:
        if image.mode == "P":
            image = image.convert("RGBA" if "transparency" in image.info else "RGB")
        array = np.asarray(image)
    # Pillow gives 16-bit grey as 32-bit integers in some of its versions.
    if array.dtype == np.int32 and array.min() >= 0 and array.max() < 65536:
        array = array.astype(np.uint16)
    return array


def _png_is_deep_colour(path: str) -> bool:
    """Pillow would cut 16-bit colour to 8 bits (PNG, 11.2.1: depth and colour type follow the size in IHDR)."""
    with open(path, "rb") as file:
        header = file.read(26)
    return len(header) == 26 and header[24] == 16 and header[25] != 0


def _read_pnm(path: str) -> np.ndarray:
    import numpy as np

    data = Path(path).read_bytes()
    match = re.match(rb"(P[56])(?:\s|#[^\n]*\n)+(\d+)(?:\s|#[^\n]*\n)+(\d+)(?:\s|#[^\n]*\n)+(\d+)\s", data)
    if not match:
        raise SourceError(f"{path}: not a binary PGM or PPM file")
    width, height, largest = (int(match[i]) for i in (2, 3, 4))
    channels = 3 if match[1] == b"P6" else 1
    dtype = np.dtype(">u2" if largest > 255 else "u1")
    count = width * height * channels
    if len(data) - match.end() < count * dtype.itemsize:
        raise SourceError(f"{path}: the file ends before its {count} samples do")
    samples = np.frombuffer(data, dtype, count, match.end()).astype(dtype.newbyteorder("="))
    return samples.reshape((height, width, 3) if channels == 3 else (height, width))


def _tiff(path: str) -> Source:
    """All pages of a TIFF file, read one by one."""
    import numpy as np

    try:
        file = tifffile().TiffFile(path)
    except (OSError, ValueError) as error:
        raise SourceError(f"{path}: {error}") from error
    series = file.series[0]
    shape, dtype, pages = series.shape, series.dtype, series.pages
    attrs = {"axes": series.axes}
    if len(pages) == 1:
        image = series.asarray()
        file.close()
        colour = series.axes.endswith("S") or image.ndim == 3 and image.shape[-1] in (3, 4)
        return Source(path, image.shape, image.dtype, lambda a, b: image[a:b], attrs=attrs, colour=colour)
    page_shape = pages[0].shape
    leading = shape[: len(shape) - len(page_shape)]
    per_step = int(np.prod(leading[1:], dtype=np.int64))

    def read(start: int, stop: int) -> np.ndarray:
        rows = [pages[i].asarray() for i in range(start * per_step, stop * per_step)]
        return np.stack(rows).reshape((stop - start, *shape[1:]))

    return Source(path, shape, dtype, read, attrs=attrs, colour=series.axes.endswith("S"), close=file.close)


def _image_stack(paths: Sequence[str]) -> Source:
    """Image files of one shape and dtype as a stack."""
    import numpy as np

    first = read_image(paths[0])

    def read(start: int, stop: int) -> np.ndarray:
        out = np.empty((stop - start, *first.shape), first.dtype)
        for i in range(start, stop):
            image = first if i == 0 else read_image(paths[i])
            if image.shape != first.shape or image.dtype != first.dtype:
                raise SourceError(
                    f"{paths[i]}: {image.shape} {image.dtype} differs from the first image's {first.shape} {first.dtype}"
                )
            out[i - start] = image
        return out

    name = f"{paths[0]} ... ({len(paths)} files)"
    return Source(name, (len(paths), *first.shape), first.dtype, read, colour=first.ndim == 3)


# ---- arrays ----


def _hdf5(path: str, dataset: str) -> Source:
    try:
        import h5py
    except ImportError:
        raise SourceError("HDF5 files need the package h5py: pip install 'blosc2-grok[hdf5]'") from None
    from contextlib import suppress

    with suppress(ImportError):
        import hdf5plugin  # noqa: F401  what is compressed in the file
    if not os.path.exists(path):
        raise SourceError(f"{path}: there is no such file")
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise SourceError(f"{path}: {error}") from error
    if not isinstance(file.get(dataset), h5py.Dataset):
        found: list[str] = []
        file.visititems(lambda name, node: found.append("/" + name) if isinstance(node, h5py.Dataset) else None)
        file.close()
        raise SourceError(f"{path}: there is no dataset {dataset}; there is {', '.join(found[:20]) or 'none'}")
    data = file[dataset]
    return _of_array(f"{path}:{dataset}", data, attrs=dict(data.attrs), step=(data.chunks or (0,))[0], close=file.close)


def _raw(path: str, shape: Sequence[int] | None, dtype: str | None, offset: int) -> Source:
    import numpy as np

    if not shape or not dtype:
        raise SourceError(f"{path}: raw samples need --shape and --dtype")
    try:
        kind = np.dtype(dtype)
    except TypeError:
        raise SourceError(f"--dtype: {dtype} is not a dtype") from None
    need = int(np.prod(shape, dtype=np.int64)) * kind.itemsize + offset
    have = os.path.getsize(path)
    if have < need:
        raise SourceError(f"{path}: {tuple(shape)} of {kind} need {need} bytes, the file has {have}")
    return _of_array(path, np.memmap(path, kind, "r", offset, tuple(shape)))


def _blosc2(path: str) -> Source:
    from ._open import open as open_array

    array = open_array(path)
    return _of_array(path, array, attrs=array.attrs, step=array.chunks[0], colour=array.image_axes == 3)


def _zarr(path: str) -> Source:
    try:
        import zarr
    except ImportError:
        raise SourceError("Zarr arrays need the package zarr: pip install 'blosc2-grok[zarr]'") from None
    try:
        array = zarr.open_array(path, mode="r")
    except Exception as error:
        raise SourceError(f"{path}: {error}") from error
    return _of_array(path, array, attrs=dict(array.attrs), step=array.chunks[0])


def is_zarr(path: str) -> bool:
    return path.rstrip("/").endswith(".zarr") or any(
        os.path.exists(os.path.join(path, name)) for name in ("zarr.json", ".zarray")
    )


def _npy(path: str) -> Source:
    import numpy as np

    try:
        return _of_array(path, np.load(path, mmap_mode="r", allow_pickle=False))
    except ValueError as error:
        raise SourceError(f"{path}: {error}") from error


def open_source(
    inputs: Sequence[str], *, shape: Sequence[int] | None = None, dtype: str | None = None, offset: int = 0
) -> Source:
    """Open one input, or several image files as a stack. Raises SourceError with a message that names the input."""
    if not inputs:
        raise SourceError("there is no input")
    if len(inputs) > 1:
        for path in inputs:
            if Path(path).suffix.lower() not in IMAGE_SUFFIXES:
                raise SourceError(f"{path}: only image files can be put together into a stack")
        return _image_stack(inputs)
    path = os.fspath(inputs[0])
    dataset = split_dataset(path)
    if dataset and not os.path.exists(path):
        return _hdf5(*dataset)
    if not os.path.exists(path):
        raise SourceError(f"{path}: there is no such file or folder")
    suffix = Path(path).suffix.lower()
    if os.path.isdir(path):
        if is_zarr(path):
            return _zarr(path)
        if suffix == ".b2nd":
            return _blosc2(path)
        names = [name for name in os.listdir(path) if Path(name).suffix.lower() in IMAGE_SUFFIXES]
        if not names:
            raise SourceError(f"{path}: there are no images in this folder")
        names.sort(key=natural_key)
        return _image_stack([os.path.join(path, name) for name in names])
    if suffix in _HDF5:
        raise SourceError(f"{path}: name the dataset as well, as in {path}:/entry/data")
    if suffix in (".tif", ".tiff"):
        return _tiff(path)
    if suffix in IMAGE_SUFFIXES:
        return _one_image(path, read_image(path))
    if suffix == ".npy":
        return _npy(path)
    if suffix == ".b2nd":
        return _blosc2(path)
    return _raw(path, shape, dtype, offset)
