# What cannot be coded fails with the reason, and damages nothing.
# SPDX-License-Identifier: BSD-3-Clause
import os
import subprocess
import sys

import blosc2
import numpy as np
import pytest
from store import HTJ2K, OPENHTJ2K, SIGNATURE, picture, run_python, store

import blosc2_grok


@pytest.mark.parametrize(
    "dtype", ["complex64", "U8", "S5", "datetime64[ns]", "timedelta64[s]", "float64", "int64", "uint64"]
)
def test_unsupported_dtypes_are_named(dtype):
    array = np.arange(1, 401).reshape(20, 20).astype(dtype)
    with pytest.raises(RuntimeError):
        store(array)
    assert np.dtype(dtype).str in blosc2_grok.last_error()
    assert "not supported" in blosc2_grok.last_error()


@pytest.mark.parametrize("codec", [HTJ2K, OPENHTJ2K])
def test_styles_that_ht_does_not_have(codec):
    blosc2_grok.set_params_defaults(mode=blosc2_grok.GrkMode.LAZY)
    with pytest.raises(RuntimeError):
        store(picture(), codec=codec)
    assert "HT" in blosc2_grok.last_error()


def test_split_blocks():
    image = picture(64, 64, 1, 4000, np.uint16)
    with pytest.raises(RuntimeError):
        store(image, others={"splitmode": blosc2.SplitMode.ALWAYS_SPLIT})
    assert "NEVER_SPLIT" in blosc2_grok.last_error()


@pytest.mark.parametrize("filter_", [blosc2.Filter.SHUFFLE, blosc2.Filter.BITSHUFFLE, blosc2.Filter.DELTA])
def test_lossy_coding_of_filtered_bytes(filter_):
    with pytest.raises(RuntimeError):
        store(picture(64, 64, 1, 4000, np.uint16), codec_meta=50, others={"filters": [filter_], "filters_meta": [0]})
    assert "filters" in blosc2_grok.last_error()


def test_harmless_filters_with_lossy_coding():
    image = picture(64, 64, 1)
    assert (
        store(image, codec_meta=50, others={"filters": [blosc2.Filter.SHUFFLE], "filters_meta": [0]}).shape
        == image.shape
    )


def test_lossy_bool():
    with pytest.raises(RuntimeError):
        store(picture(64, 64, 1) > 128, codec_meta=50)
    assert "bool" in blosc2_grok.last_error()


def test_a_bad_parameter_leaves_the_file_alone(tmp_path):
    """The error comes before anything is opened for writing."""
    image = picture()
    path = tmp_path / "good.b2nd"
    store(image, urlpath=str(path), mode="w")
    before = path.read_bytes()
    with pytest.raises(ValueError, match="num_resolutions"):
        blosc2_grok.set_params_defaults(num_resolutions=50)
    assert path.read_bytes() == before
    blosc2_grok.set_params_defaults(
        roi_compno=7, roi_shift=3
    )  # no picture has such a component, which only its encoder can see
    array = blosc2.open(str(path), mode="a")
    with pytest.raises(RuntimeError):
        array[...] = image[::-1].copy()
    assert "roi" in blosc2_grok.last_error().lower() or "component" in blosc2_grok.last_error()
    assert path.read_bytes() == before
    assert (blosc2.open(str(path))[...] == image).all()


def damaged_copies(frame):
    """Frames with the coded block changed: cut off after its start, overwritten, or with bits turned."""
    start = frame.find(SIGNATURE)
    assert start > 0
    rng = np.random.default_rng(0)
    for keep in (0, 12, 40, 85, 120, 200, 1000):
        yield frame[: start + keep] + bytes(len(frame) - start - keep - 200) + frame[-200:]
    for _ in range(40):
        copy = bytearray(frame)
        for position in rng.integers(start, len(frame) - 300, 4):
            copy[position] = rng.integers(256)
        yield bytes(copy)
    copy = bytearray(frame)
    copy[start : len(frame) - 300] = os.urandom(len(frame) - 300 - start)
    yield bytes(copy)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_damaged_blocks(dtype):
    image = picture(80, 90, 3 if dtype == np.uint8 else 1, 255, dtype)
    errors = 0
    for frame in damaged_copies(store(image).to_cframe()):
        array = blosc2.ndarray_from_cframe(frame)
        try:
            result = array[...]
        except RuntimeError:
            errors += 1
            assert blosc2_grok.last_error() != ""
        else:
            assert result.shape == image.shape
            assert result.dtype == image.dtype
    assert errors >= 7  # damage inside the coding passes cannot be seen


def test_a_block_of_another_size():
    """A whole file in the place of a block, but of a picture that does not fit."""
    image = picture(80, 90, 3)
    frame = store(image).to_cframe()
    start = frame.find(SIGNATURE)
    other = blosc2_grok.encode(picture(8, 9, 3))
    frame = frame[:start] + other + frame[start + len(other) :]
    with pytest.raises(RuntimeError):
        blosc2.ndarray_from_cframe(frame)[...]
    assert "8 x 9 x 3" in blosc2_grok.last_error()
    assert str(image.nbytes) in blosc2_grok.last_error()


def test_verbose_prints_the_reason():
    code = """
import blosc2, blosc2_grok, numpy as np, sys
sys.path.insert(0, sys.argv[1])
from store import store
blosc2_grok.set_params_defaults(verbose=sys.argv[2] == "loud")
try:
    store(np.zeros((9, 9), "f8") + np.arange(9))
except RuntimeError:
    sys.exit(print(blosc2_grok.last_error()))
"""
    folder = os.path.dirname(__file__)
    for voice in ("loud", "quiet"):
        result = subprocess.run([sys.executable, "-c", code, folder, voice], capture_output=True, text=True, check=True)
        assert "<f8" in result.stdout
        assert ("blosc2_grok: dtype <f8" in result.stderr) == (voice == "loud")


def test_the_process_survives():
    """After all these errors the codec still works."""
    code = """
import sys
sys.path.insert(0, sys.argv[1])
from store import picture, store
import blosc2_grok
import numpy as np
for dtype in ("f8", "c8", "U3", "i8"):
    for n in range(3):
        try:
            store(np.ones((9, 9), dtype) if dtype == "U3" else np.arange(81).reshape(9, 9).astype(dtype))
        except RuntimeError:
            pass
image = picture()
print((store(image)[...] == image).all())
"""
    assert run_python(code, os.path.dirname(__file__)).strip() == "True"
