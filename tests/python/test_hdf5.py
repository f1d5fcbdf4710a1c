# Datasets written with direct chunks, read by h5py and hdf5plugin in processes that know nothing of this package.
# SPDX-License-Identifier: BSD-3-Clause
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import blosc2_grok

h5py = pytest.importorskip("h5py")
hdf5plugin = pytest.importorskip("hdf5plugin")

from blosc2_grok.hdf5 import ChunkedDataset, create_dataset, open_dataset  # noqa: E402

PHOTOGRAPH = Path(__file__).resolve().parents[2] / "examples" / "kodim23.png"


def environment():
    """With the interpreter of this environment as `python`, as activating it does: C-Blosc2 asks that one where the codec is."""
    return {**os.environ, "PATH": os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"]}


@pytest.fixture(scope="module")
def rgb():
    return np.asarray(Image.open(PHOTOGRAPH))


@pytest.fixture(scope="module")
def stack(rgb):
    return np.stack([rgb[:, :, c % 3].astype("u2") * (5 + c) for c in range(5)])


def read_elsewhere(path, *names, prelude="import hdf5plugin"):
    code = (
        f"import sys, numpy as np, h5py\n{prelude}\n"
        "with h5py.File(sys.argv[1]) as f:\n"
        "    np.savez(sys.argv[2], **{str(i): f[n][...] for i, n in enumerate(sys.argv[3:])})\n"
        "assert 'blosc2_grok' not in sys.modules\n"
    )
    out = f"{path}.npz"
    subprocess.run([sys.executable, "-c", code, str(path), out, *names], check=True, timeout=120, env=environment())
    with np.load(out) as found:
        return [found[str(i)] for i in range(len(names))]


def psnr(a, b, peak):
    return 10 * np.log10(peak**2 / np.mean((a.astype("f8") - b) ** 2))


def test_read_by_a_process_that_knows_nothing_of_us(tmp_path, stack, rgb):
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        group = file.create_group("entry")
        create_dataset(group, "data", stack)
        create_dataset(group, "tiles", stack, chunks=(2, 300, 400), blocks=(1, 150, 200))
        create_dataset(file, "photograph", rgb, ratio=10)
        create_dataset(file, "ht", stack, ht=True)
        create_dataset(file, "decibels", rgb, psnr=40)
        assert file["photograph"].id.get_storage_size() < rgb.nbytes / 10 + 2000
        assert file["entry/data"].id.get_storage_size() < 0.7 * stack.nbytes
    data, tiles, photograph, ht, decibels = read_elsewhere(
        path, "entry/data", "entry/tiles", "photograph", "ht", "decibels"
    )
    np.testing.assert_array_equal(data, stack)
    np.testing.assert_array_equal(tiles, stack)
    np.testing.assert_array_equal(ht, stack)
    assert psnr(photograph, rgb, 255) > 46
    assert 40 <= psnr(decibels, rgb, 255) < 40.2


@pytest.mark.parametrize("dtype", ["u1", "i2", "u2"])
def test_htj2k_filter(tmp_path, stack, rgb, dtype):
    """Chunks that hdf5plugin's own HTJ2K filter (OpenJPH) decodes."""
    if not hasattr(hdf5plugin, "Htj2k"):
        pytest.skip("this hdf5plugin has no HTJ2K filter")
    # The filter does not clamp what lossy coding leads beyond the dtype's range.
    array = (stack // 9).clip(8, 247).astype(dtype)
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        create_dataset(file, "exact", array, filter="htj2k")
        create_dataset(file, "lossy", array, filter="htj2k", psnr=60)
        create_dataset(file, "colour", rgb, filter="htj2k")
        assert file["exact"].id.get_storage_size() < 0.8 * array.nbytes
    exact, lossy, colour = read_elsewhere(path, "exact", "lossy", "colour")
    np.testing.assert_array_equal(exact, array)
    np.testing.assert_array_equal(colour, rgb)
    assert psnr(lossy, array, 2.0 ** (8 * array.itemsize) - 1) > 59.9
    with h5py.File(path, "r+") as file:
        with pytest.raises(ValueError, match="float32"):
            create_dataset(file, "a", array.astype("f4"), filter="htj2k")
        with pytest.raises(ValueError, match="one image"):
            create_dataset(file, "a", array, filter="htj2k", chunks=(1, 512, 768), blocks=(1, 256, 768))
        with pytest.raises(ValueError, match="grey or RGB"):
            create_dataset(file, "a", array, filter="htj2k", chunks=(2, 512, 768))
        with pytest.raises(ValueError, match="'blosc2' and 'htj2k'"):
            create_dataset(file, "a", array, filter="gzip")


def test_b2h5py_reads_slices(tmp_path, stack):
    pytest.importorskip("b2h5py")
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        create_dataset(file, "data", stack, blocks=(1, 256, 384))
    (found,) = read_elsewhere(path, "data", prelude="import hdf5plugin, b2h5py.auto")
    np.testing.assert_array_equal(found, stack)


def test_h5dump_reads_without_python(tmp_path):
    """HDF5's own program, with the filter from HDF5_PLUGIN_PATH, our library on the loader's path and no Python to be found."""
    h5dump = shutil.which("h5dump")
    if not h5dump:
        pytest.skip("h5dump is not installed")
    image = np.arange(24, dtype="u2").reshape(4, 6) * 100
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        create_dataset(file, "data", image)
    environment = {
        "HDF5_PLUGIN_PATH": hdf5plugin.PLUGIN_PATH,
        "LD_LIBRARY_PATH": os.path.dirname(blosc2_grok.get_libpath()),
        "PATH": str(tmp_path),
    }
    run = subprocess.run(
        [h5dump, "-d", "/data", "-y", "-w", "200", str(path)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=60,
        check=False,
    )
    if "version" in run.stderr and run.returncode:
        pytest.skip(f"h5dump and the filter were built with different HDF5 libraries: {run.stderr[:200]}")
    assert run.returncode == 0, run.stderr
    numbers = [
        int(n) for line in run.stdout.splitlines() for n in re.findall(r"\d+(?=,|$)", line.strip()) if "{" not in line
    ]
    assert numbers == image.ravel().tolist()


def test_slices_are_written_and_kept(tmp_path, stack):
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        dataset = create_dataset(file, "data", shape=(6, 512, 768), dtype="u2", num_threads=2)
        dataset[0] = stack[0]
        dataset[1:4] = stack[1:4]
        dataset[5, 100:200, 50:60] = stack[4, 100:200, 50:60]
        dataset[5, :, :50] = 7
    with h5py.File(path, "r+") as file:
        dataset = open_dataset(file, "data")
        dataset[4] = stack[4]
        dataset[3, 0] = 9
    expected = np.zeros((6, 512, 768), "u2")
    expected[:4], expected[4] = stack[:4], stack[4]
    expected[3, 0] = 9
    expected[5, 100:200, 50:60] = stack[4, 100:200, 50:60]
    expected[5, :, :50] = 7
    (found,) = read_elsewhere(path, "data")
    np.testing.assert_array_equal(found, expected)


def test_what_is_written_later_is_coded_as_the_first(tmp_path, stack):
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        create_dataset(file, "data", shape=stack.shape, dtype=stack.dtype, ratio=20)[0] = stack[0]
    with h5py.File(path, "r+") as file:
        dataset = open_dataset(file, "data")
        dataset[1:] = stack[1:]
        assert dataset.id.get_storage_size() < stack.nbytes / 20 + 5 * 2000
        with pytest.raises(ValueError, match=r"chunk at \(1, 0, 0\).*second time"):
            dataset[1, 5] = 0
        with pytest.raises(IndexError, match="steps"):
            dataset[::2] = 0
        with pytest.raises(ValueError, match="uint16 does not hold"):
            dataset[0] = -1


def test_what_is_refused(tmp_path, stack):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        with pytest.raises(ValueError, match="c8"):
            create_dataset(file, "a", stack.astype("c8"))
        with pytest.raises(ValueError, match="ratio"):
            create_dataset(file, "a", stack, ratio=-1)
        with pytest.raises(ValueError, match="shape and dtype"):
            create_dataset(file, "a")
        assert list(file) == []
        file["plain"] = stack
        with pytest.raises(ValueError, match="not a dataset made by"):
            open_dataset(file, "plain")
        with pytest.raises(ValueError, match="32026"):
            ChunkedDataset(file["plain"])


@pytest.mark.parametrize("dtype", ["u1", "i2", ">u2", "i4", "f4", "?"])
def test_dtypes(tmp_path, stack, dtype):
    array = stack[:2] > 200 if dtype == "?" else (stack[:2] // 9).astype(dtype)
    if dtype == "?":
        pytest.importorskip("h5py")
    with h5py.File(tmp_path / "x.h5", "w") as file:
        create_dataset(file, "data", array)
        np.testing.assert_array_equal(file["data"][...], array)


def test_parts_and_levels(tmp_path, stack):
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        dataset = create_dataset(file, "data", shape=(7, *stack.shape[1:]), dtype=stack.dtype)
        dataset[:5] = stack
        dataset.attrs["unit"] = "counts"
    opened = blosc2_grok.open(ChunkedDataset.open(path, "data"))
    np.testing.assert_array_equal(opened[1:3, 5:70, 100:120], stack[1:3, 5:70, 100:120])
    assert not opened[5:].any()
    expected = blosc2_grok.decode(blosc2_grok.encode(stack[2]), reduce=3)
    np.testing.assert_array_equal(opened.levels[3][2], expected)
    assert opened.attrs["unit"] == "counts"
