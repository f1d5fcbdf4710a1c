# Zarr arrays, format 2 and 3, written and read in fresh processes.
# SPDX-License-Identifier: BSD-3-Clause
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

zarr = pytest.importorskip("zarr")

from blosc2_grok.zarr import ImagecodecsJpeg2k, Jpeg2000, NumcodecsJpeg2000  # noqa: E402

PHOTOGRAPH = Path(__file__).resolve().parents[2] / "examples" / "kodim23.png"


def environment():
    """With the interpreter of this environment as `python`, as activating it does: C-Blosc2 asks that one where the codec is."""
    return {**os.environ, "PATH": os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"]}


@pytest.fixture(scope="module")
def rgb():
    return np.asarray(Image.open(PHOTOGRAPH))


@pytest.fixture(scope="module")
def stack(rgb):
    return np.stack([rgb[:, :, c].astype("u2") * 5 for c in range(3)])


def create(path, array, version, chunks, **parameters):
    codec = {"serializer": Jpeg2000(**parameters), "compressors": None}
    if version == 2:
        codec = {"compressors": NumcodecsJpeg2000(**parameters)}
    target = zarr.create_array(
        str(path), shape=array.shape, dtype=array.dtype, chunks=chunks, zarr_format=version, **codec
    )
    target[...] = array
    return target


def read_elsewhere(path, prelude=""):
    """Read an array in a process that imports nothing of ours."""
    code = (
        f"{prelude}\nimport sys, numpy as np, zarr; a = zarr.open_array(sys.argv[1], mode='r')[...]; "
        "np.save(sys.argv[2], a)"
    )
    out = f"{path}.npy"
    subprocess.run([sys.executable, "-c", code, str(path), out], check=True, timeout=120, env=environment())
    return np.load(out)


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize(
    ("name", "chunks"),
    [("stack", (1, 512, 768)), ("stack", (2, 200, 300)), ("rgb", (512, 768, 3)), ("rgb", (100, 128, 3))],
)
def test_lossless(request, tmp_path, version, name, chunks):
    array = request.getfixturevalue(name)
    create(tmp_path / "a.zarr", array, version, chunks)
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "a.zarr", mode="r")[...], array)


@pytest.mark.parametrize("version", [2, 3])
def test_a_fresh_process_finds_the_codec(tmp_path, version, stack):
    create(tmp_path / "a.zarr", stack, version, (1, 512, 768))
    np.testing.assert_array_equal(read_elsewhere(tmp_path / "a.zarr"), stack)


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("dtype", ["i1", "u1", "<i2", ">u2", ">i2", "u4", "?"])
def test_dtypes(tmp_path, version, dtype, stack):
    array = (stack[:1] > 300) if dtype == "?" else (stack[:1] // 11 - (60 if "i" in dtype else 0)).astype(dtype)
    create(tmp_path / "a.zarr", array, version, (1, 200, 300))
    found = zarr.open_array(tmp_path / "a.zarr", mode="r")
    np.testing.assert_array_equal(found[...], array)
    assert found.dtype.newbyteorder("=") == array.dtype.newbyteorder("=")


@pytest.mark.parametrize("version", [2, 3])
def test_parameters_are_stored_and_used(tmp_path, version, rgb):
    array = create(tmp_path / "a.zarr", rgb, version, rgb.shape, quality_mode="rates", quality_layers=np.array([20.0]))
    assert array.nbytes_stored() < rgb.nbytes / 20 + 1000
    again = zarr.open_array(tmp_path / "a.zarr", mode="r+")
    again[...] = rgb  # with the parameters stored
    assert again.nbytes_stored() < rgb.nbytes / 20 + 1000
    difference = again[...].astype(int) - rgb
    assert 30 < 10 * np.log10(255**2 / np.mean(difference**2)) < 60
    name = "zarr.json" if version == 3 else ".zarray"
    assert "quality_layers" in json.dumps(json.loads((tmp_path / "a.zarr" / name).read_text()))


def test_what_cannot_be_stored_is_refused(tmp_path):
    with pytest.raises(ValueError, match="complex"):
        create(tmp_path / "a.zarr", np.zeros((8, 8), "c8"), 3, (8, 8))
    with pytest.raises(ValueError, match="num_resolutions"):
        Jpeg2000(num_resolutions=77)
    with pytest.raises(ValueError, match="nonsense"):
        NumcodecsJpeg2000(nonsense=1)
    with pytest.raises(ValueError, match="C order"):
        NumcodecsJpeg2000().encode(np.zeros((5, 7), order="F"))


def test_a_chunk_with_another_image_is_refused(tmp_path, stack):
    create(tmp_path / "a.zarr", stack, 3, (1, 512, 768))
    chunks = sorted(path for path in (tmp_path / "a.zarr" / "c").rglob("*") if path.is_file())
    import blosc2_grok

    chunks[1].write_bytes(blosc2_grok.encode(np.zeros((7, 9), np.uint16)))
    with pytest.raises(ValueError, match=r"shape \(7, 9\)"):
        zarr.open_array(tmp_path / "a.zarr", mode="r")[...]


@pytest.mark.parametrize("planar", [False, True])
def test_arrays_of_imagecodecs_are_read(tmp_path, rgb, planar):
    """Written by imagecodecs' own codec; read by it, and by ours under its name."""
    imagecodecs = pytest.importorskip("imagecodecs.numcodecs")
    import numcodecs

    array = np.moveaxis(rgb, -1, 0).copy() if planar else rgb
    chunks = (3, 256, 256) if planar else (256, 256, 3)
    imagecodecs.register_codecs("imagecodecs_jpeg2k", verbose=False)
    target = zarr.create_array(
        str(tmp_path / "a.zarr"),
        shape=array.shape,
        dtype=array.dtype,
        chunks=chunks,
        zarr_format=2,
        compressors=imagecodecs.Jpeg2k(planar=planar, reversible=True, level=0, mct=not planar),
    )
    target[...] = array
    numcodecs.registry.register_codec(ImagecodecsJpeg2k)
    try:
        np.testing.assert_array_equal(zarr.open_array(tmp_path / "a.zarr", mode="r")[...], array)
    finally:
        imagecodecs.register_codecs("imagecodecs_jpeg2k", force=True, verbose=False)
    with pytest.raises(ValueError, match="only reads"):
        ImagecodecsJpeg2k().encode(array)
    np.testing.assert_array_equal(read_elsewhere(tmp_path / "a.zarr"), array)
