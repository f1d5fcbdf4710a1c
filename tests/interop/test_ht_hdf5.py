# Our HT codestreams as chunks of HDF5's filter 32033, which hdf5plugin brings along (OpenJPH inside), read by h5py.
# SPDX-License-Identifier: BSD-3-Clause
import subprocess
import sys

import numpy as np
import pytest

import blosc2_grok
from blosc2_grok import GrkFileFmt, GrkMode

h5py = pytest.importorskip("h5py")
hdf5plugin = pytest.importorskip("hdf5plugin")

# What a reader does that knows nothing of this package.
READER = """
import sys, h5py, hdf5plugin, numpy as np
with h5py.File(sys.argv[1]) as f:
    np.savez(sys.argv[2], **{name: f[name][:] for name in f})
assert "blosc2_grok" not in sys.modules
"""


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    y, x = np.mgrid[0:150, 0:210]
    wave = 120 + 100 * np.sin(x / 9.0) * np.cos(y / 13.0 + x / 50.0)
    grey = (wave + np.random.default_rng(1).normal(0, 3, wave.shape)).clip(0, 255)
    rgb = np.stack([grey, 255 - grey, np.roll(grey, 31, axis=1)], axis=-1)
    return {
        "u1": grey.astype(np.uint8),
        "u2": (grey * 257).astype(np.uint16),
        "i1": (grey - 128).astype(np.int8),
        "i2": ((grey - 128) * 250).astype(np.int16),
        "rgb": rgb.astype(np.uint8),
        "rgb16": (rgb * 257).astype(np.uint16),
    }


def write(path, arrays: dict[str, np.ndarray], **parameters) -> dict[str, bytes]:
    """One chunk a dataset, as docs/ht.md shows it; returns the chunks."""
    chunks = {}
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            data = blosc2_grok.encode(array, mode=GrkMode.HT, cod_format=GrkFileFmt.GRK_FMT_J2K, **parameters)
            dataset = file.create_dataset(
                name, shape=array.shape, dtype=array.dtype, chunks=array.shape, compression=hdf5plugin.Htj2k()
            )
            dataset.id.write_direct_chunk((0,) * array.ndim, data)
            chunks[name] = data
    return chunks


def read_elsewhere(tmp_path) -> dict[str, np.ndarray]:
    command = [sys.executable, "-c", READER, str(tmp_path / "file.h5"), str(tmp_path / "out.npz")]
    subprocess.run(command, check=True, timeout=60)
    with np.load(tmp_path / "out.npz") as out:
        return dict(out)


@pytest.mark.parametrize("parameters", [{}, {"mct": 0, "codeblock_size": (32, 128), "progression": "RPCL"}])
def test_lossless(tmp_path, arrays, parameters):
    write(tmp_path / "file.h5", arrays, **parameters)
    read = read_elsewhere(tmp_path)
    for name, array in arrays.items():
        assert read[name].dtype == array.dtype
        assert np.array_equal(read[name], array), name


def psnr(array: np.ndarray, decoded: np.ndarray) -> float:
    error = np.mean((decoded.astype(np.float64) - array) ** 2)
    return 10 * np.log10((2.0 ** (8 * array.dtype.itemsize) - 1) ** 2 / error)


@pytest.mark.parametrize("target", [("dB", 40), ("rates", 5)])
def test_lossy(tmp_path, arrays, target):
    """What the filter makes of a lossy chunk is what our decoder makes of it, but for rounding."""
    mode, value = target
    chunks = write(tmp_path / "file.h5", arrays, quality_mode=mode, quality_layers=[value])
    read = read_elsewhere(tmp_path)
    for name, array in arrays.items():
        ours = blosc2_grok.decode(chunks[name])
        assert np.max(np.abs(read[name].astype(np.int64) - ours)) <= 1, name
        if mode == "dB":
            assert value - 0.02 <= psnr(array, read[name]) <= value + 0.32, name
        else:
            assert 0.97 * array.nbytes / value <= len(chunks[name]) <= array.nbytes / value, name


def test_their_chunks(tmp_path, arrays):
    """The other way round: what the filter writes is a codestream that we read."""
    with h5py.File(tmp_path / "file.h5", "w") as file:
        for name, array in arrays.items():
            dataset = file.create_dataset(name, data=array, chunks=array.shape, compression=hdf5plugin.Htj2k())
            _, chunk = dataset.id.read_direct_chunk((0,) * array.ndim)
            assert np.array_equal(blosc2_grok.decode(chunk), array), name
