# Dask arrays, on threads and on a cluster of worker processes.
# SPDX-License-Identifier: BSD-3-Clause
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import blosc2_grok

da = pytest.importorskip("dask.array")
distributed = pytest.importorskip("distributed")

import blosc2_grok.dask as bgd  # noqa: E402

PHOTOGRAPH = Path(__file__).resolve().parents[2] / "examples" / "kodim23.png"


@pytest.fixture(scope="module")
def stack():
    rgb = np.asarray(Image.open(PHOTOGRAPH))
    return np.stack([np.roll(rgb[:, :, n % 3], 13 * n).astype("u2") * 3 for n in range(12)])


@pytest.fixture(scope="module")
def cluster():
    """Two worker processes that talk over TCP."""
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, protocol="tcp", dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def chunk_bytes(path):
    import blosc2

    array = blosc2.open(str(path), mode="r")  # its super-chunk lives no longer than the array
    return [array.schunk.get_chunk(n) for n in range(array.schunk.nchunks)]


def slow(block, seconds=0.0):
    time.sleep(seconds)
    return block + 1


def test_threads(stack, tmp_path):
    lazy = da.from_array(stack, chunks=(5, 200, 768)) + 1
    bgd.store(lazy, tmp_path / "x.b2nd", attrs={"unit": "counts"})
    found = bgd.from_array(tmp_path / "x.b2nd")
    np.testing.assert_array_equal(found.compute(), stack + 1)
    assert blosc2_grok.open(tmp_path / "x.b2nd").attrs == {"unit": "counts"}
    level = bgd.from_array(blosc2_grok.open(tmp_path / "x.b2nd").levels[2])
    np.testing.assert_array_equal(level[3].compute(), blosc2_grok.decode(blosc2_grok.encode(stack[3] + 1), reduce=2))


def test_a_cluster_gives_what_one_process_gives(stack, tmp_path, cluster):
    np.save(tmp_path / "in.npy", stack)
    for name, parameters in (("exact", {}), ("lossy", {"ratio": 8})):
        lazy = bgd.read(str(tmp_path / "in.npy"), step=2)
        bgd.store(lazy, tmp_path / f"{name}.b2nd", **parameters)
        with blosc2_grok_sync():
            bgd.store(da.from_array(stack), tmp_path / f"{name}-alone.b2nd", **parameters)
        assert chunk_bytes(tmp_path / f"{name}.b2nd") == chunk_bytes(tmp_path / f"{name}-alone.b2nd")
    np.testing.assert_array_equal(bgd.from_array(tmp_path / "exact.b2nd").compute(), stack)
    h5py = pytest.importorskip("h5py")
    pytest.importorskip("hdf5plugin")
    bgd.store(lazy, f"{tmp_path}/x.h5:/entry/data")
    with h5py.File(tmp_path / "x.h5") as file:
        np.testing.assert_array_equal(file["entry/data"][...], stack)


def blosc2_grok_sync():
    import dask

    return dask.config.set(scheduler="synchronous")


def test_a_worker_that_dies_loses_nothing(stack, tmp_path, cluster):
    lazy = da.from_array(stack, chunks=(1, 512, 768)).map_blocks(slow, seconds=0.2, dtype=stack.dtype)
    killed = []

    def kill(raw, coded):
        if not killed:
            workers = cluster.run(os.getpid)
            killed.append(next(iter(workers.values())))
            os.kill(killed[0], signal.SIGKILL)

    bgd.store(lazy, tmp_path / "x.b2nd", progress=kill)
    assert killed
    np.testing.assert_array_equal(blosc2_grok.open(tmp_path / "x.b2nd")[...], stack + 1)


def test_a_failure_leaves_nothing(stack, tmp_path):
    def broken(block):
        raise RuntimeError("no such detector")

    lazy = da.from_array(stack, chunks=(1, 512, 768)).map_blocks(broken, dtype=stack.dtype)
    with pytest.raises(RuntimeError, match="no such detector"):
        bgd.store(lazy, tmp_path / "x.b2nd")
    assert os.listdir(tmp_path) == []
    with pytest.raises(ValueError, match="unknown kind"):
        bgd.store(da.from_array(stack), tmp_path / "x.txt")
    (tmp_path / "y.b2nd").write_text("precious")
    with pytest.raises(FileExistsError, match="exists"):
        bgd.store(da.from_array(stack), tmp_path / "y.b2nd")
    assert (tmp_path / "y.b2nd").read_text() == "precious"


def test_folders_of_images(stack, tmp_path):
    tifffile = pytest.importorskip("tifffile")
    for n in range(3):
        tifffile.imwrite(tmp_path / f"s{n * 5}.tif", stack[n])
    np.testing.assert_array_equal(bgd.read(str(tmp_path)).compute(), stack[:3])
