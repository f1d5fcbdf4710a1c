# Reading parts of arrays: slices, lower resolutions, and the chunks underneath.
# SPDX-License-Identifier: BSD-3-Clause
import time
from pathlib import Path

import blosc2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import blosc2_grok
from blosc2_grok._chunks import make_chunk

PHOTOGRAPH = Path(__file__).resolve().parents[2] / "examples" / "kodim23.png"
CPARAMS = {"codec": blosc2.Codec.GROK, "filters": [], "splitmode": blosc2.SplitMode.NEVER_SPLIT}


@pytest.fixture(scope="module")
def rgb():
    return np.asarray(Image.open(PHOTOGRAPH))


@pytest.fixture(scope="module")
def stack(rgb):
    green = rgb[:, :, 1].astype("u2")
    return np.stack([green, 300 - green, green[::-1] * 3, green[:, ::-1] + 7])


def store(array, chunks=None, blocks=None, **kwargs):
    chunks = chunks or array.shape
    return blosc2.asarray(array, chunks=chunks, blocks=blocks or chunks, cparams=CPARAMS, **kwargs)


CASES = {
    "one block": ("rgb", None, None),
    "one image a block": ("stack", (2, 512, 768), (1, 512, 768)),
    "planes in a block": ("stack", (4, 512, 768), (4, 512, 768)),
    "tiles, padded": ("stack", (3, 300, 400), (2, 64, 128)),
    "rgb in tiles": ("rgb", (256, 256, 3), (128, 128, 3)),
    "channel by channel": ("rgb", (512, 768, 1), (512, 768, 1)),
}


@pytest.fixture(scope="module", params=CASES, ids=lambda name: name.replace(" ", "-"))
def pair(request):
    """An array as it was, and opened."""
    name, chunks, blocks = CASES[request.param]
    array = request.getfixturevalue(name)
    return array, blosc2_grok.open(store(array, chunks, blocks))


KEYS = [
    ...,
    0,
    -1,
    (slice(1, 2), 5),
    (slice(None), slice(3, 90), slice(1, 3)),
    (slice(0, 0),),
    (slice(500, None, -3), ...),
    (..., slice(None, None, 7)),
    (2, ..., 1),
    (1, 2, -1),
]


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_a_slice_is_what_numpy_gives(pair, key):
    array, opened = pair
    np.testing.assert_array_equal(opened[key], array[key])
    assert opened[key].dtype == array.dtype


@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_random_slices(pair, data):
    array, opened = pair
    key = tuple(slice(*sorted(data.draw(st.tuples(st.integers(0, n), st.integers(0, n))))) for n in array.shape)
    np.testing.assert_array_equal(opened[key], array[key])


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ((0, 0, 0, 0), "4 indices"),
        (10**6, "out of bounds"),
        ((..., ...), "one ellipsis"),
        ([0, 1], "list is not possible"),
        (np.array([True]), "ndarray is not possible"),
        ("x", "str is not possible"),
    ],
)
def test_keys_that_are_refused(pair, key, message):
    with pytest.raises(IndexError, match=message):
        pair[1][key]


def test_levels_are_what_decoding_a_block_gives(stack):
    opened = blosc2_grok.open(store(stack, (2, 512, 768), (1, 512, 768)))
    assert [level.shape for level in opened.levels] == [(4, 512 >> n, 768 >> n) for n in range(6)]
    for reduce, level in enumerate(opened.levels):
        for i in range(4):
            expected = blosc2_grok.decode(blosc2_grok.encode(stack[i]), reduce=reduce)
            np.testing.assert_array_equal(level[i], expected)


def test_parts_of_levels(pair):
    _, opened = pair
    for reduce, level in enumerate(opened.levels[1:4], 1):
        whole = level[...]
        assert whole.shape == level.shape and whole.dtype == level.dtype and len(level) == len(whole)
        key = (slice(None),) if opened.ndim == 1 else (slice(1, 3), slice(7, 31), slice(0, 2))
        np.testing.assert_array_equal(level[key], whole[key])
        np.testing.assert_array_equal(np.asarray(level), whole)
        np.testing.assert_array_equal(opened.read(reduce=reduce), whole)


def test_odd_sizes_have_the_levels_shape():
    array = np.add.outer(np.arange(101), np.arange(77)).astype("u1")
    opened = blosc2_grok.open(store(array))
    for reduce, level in enumerate(opened.levels):
        assert level.shape == (-(-101 // 2**reduce), -(-77 // 2**reduce))
        np.testing.assert_array_equal(
            level[...], blosc2_grok.decode(blosc2_grok.encode(array), reduce=reduce).reshape(level.shape)
        )


def test_read_counts_full_resolution_samples(stack):
    opened = blosc2_grok.open(store(stack, (1, 512, 768), (1, 512, 768)))
    part = opened.read((slice(2, 3), slice(101, 200), slice(64, 511)), reduce=2)
    np.testing.assert_array_equal(part, opened.levels[2][2:3, 26:50, 16:128])
    with pytest.raises(ValueError, match="0 to 5"):
        opened.read(..., reduce=6)
    with pytest.raises(ValueError, match="axis 1: steps"):
        opened.read((0, slice(0, 100, 2)), reduce=1)


def test_levels_stop_where_blocks_no_longer_meet(stack):
    assert len(blosc2_grok.open(store(stack, (4, 100, 768), (1, 100, 768))).levels) == 3
    assert len(blosc2_grok.open(store(stack, (4, 101, 768), (1, 101, 768))).levels) == 1
    # One block, two planes of odd height: the second one begins between two samples of the lower level.
    assert len(blosc2_grok.open(store(stack[:2, :101])).levels) == 1


@pytest.mark.parametrize("dtype", ["i1", "i2", "<u2", ">u2", ">i2", "u4", "?"])
def test_dtypes(stack, dtype):
    array = (stack[:2] > 90) if dtype == "?" else (stack[:2] // 4 - (30 if "i" in dtype else 0)).astype(dtype)
    opened = blosc2_grok.open(store(array, (1, 512, 768)))
    assert opened.dtype == array.dtype
    np.testing.assert_array_equal(opened[...], array)


def test_blocks_that_are_no_streams(stack):
    """Zeros, one value, noise (stored as it is), and another codec."""
    noise = np.random.default_rng(1).integers(0, 65536, stack.shape).astype("u2")
    noise[1] = 0
    noise[2] = stack[2]
    noise[3] = 7
    for array in (
        store(noise, (4, 512, 768), (1, 512, 768)),
        store(noise, (1, 512, 768)),
        blosc2.asarray(noise, chunks=(2, 512, 768)),
    ):
        opened = blosc2_grok.open(array)
        np.testing.assert_array_equal(opened[...], noise)
        np.testing.assert_array_equal(opened[1:, 5:9, 100:300:2], noise[1:, 5:9, 100:300:2])
        level = opened.levels[min(2, len(opened.levels) - 1)]
        assert (level[1] == 0).all() and (level[3] == 7).all()
    streams = blosc2_grok.open(store(noise, (4, 512, 768), (1, 512, 768)))
    expected = blosc2_grok.decode(blosc2_grok.encode(noise[0]), reduce=2)
    np.testing.assert_array_equal(streams.levels[2][0], expected)


def test_sources(stack, tmp_path):
    path = tmp_path / "x.b2nd"
    array = store(stack, (2, 512, 768), (1, 512, 768), urlpath=str(path), mode="w")
    array.schunk.vlmeta["unit"] = "counts"

    class OnlyChunks:
        shape, dtype, chunks, blocks = array.shape, array.dtype, array.chunks, array.blocks

        def get_chunk(self, number):
            return array.get_chunk(number)

    for source in (path, str(path), array.to_cframe(), array, OnlyChunks()):
        opened = blosc2_grok.open(source)
        np.testing.assert_array_equal(opened[1:3, 10:20], stack[1:3, 10:20])
    assert blosc2_grok.open(path).attrs == {"unit": "counts"}
    assert blosc2_grok.open(store(stack)).attrs == {}
    with pytest.raises(FileNotFoundError, match="nowhere"):
        blosc2_grok.open(tmp_path / "nowhere.b2nd")
    with pytest.raises(ValueError, match="not an array"):
        blosc2_grok.open(42)
    blosc2.SChunk(data=b"12345678", urlpath=str(tmp_path / "y.b2frame"), mode="w")
    with pytest.raises(ValueError, match="SChunk is not an array"):
        blosc2_grok.open(tmp_path / "y.b2frame")


def test_only_the_blocks_asked_for_are_read(stack, tmp_path, monkeypatch):
    path = tmp_path / "x.b2nd"
    store(stack, (4, 512, 768), (1, 512, 768), urlpath=str(path), mode="w")
    opened = blosc2_grok.open(path)
    expected = opened[2, 5:50]
    monkeypatch.setattr(type(opened.reader), "_whole", lambda *_: pytest.fail("a whole chunk was read"))
    np.testing.assert_array_equal(opened[2, 5:50], expected)


def test_damaged_chunks_are_refused(stack):
    array = store(stack, (4, 512, 768), (1, 512, 768))
    good = array.get_chunk(0)

    class Damaged:
        shape, dtype, chunks, blocks = array.shape, array.dtype, array.chunks, array.blocks

        def __init__(self, chunk):
            self.chunk = chunk

        def get_chunk(self, number):
            return self.chunk

    assert (blosc2_grok.open(Damaged(good))[...] == stack).all()
    for place, value in ((32, b"\xff\xff\xff\x7f"), (32, b"\0\0\0\0"), (4, b"\xff\xff\xff\xff"), (8, b"\0\0\0\0")):
        with pytest.raises(ValueError, match="chunk"):
            blosc2_grok.open(Damaged(good[:place] + value + good[place + 4 :]))[...]
    for length in (0, 20, 40, 60, len(good) // 2):
        with pytest.raises(ValueError, match="chunk"):
            blosc2_grok.open(Damaged(good[:length]))[...]


def test_chunks_made_from_streams(stack):
    image = (stack[0] // 2).astype("u1")
    stream = blosc2_grok.encode(image)
    array = blosc2.uninit((4, 512, 768), dtype="u1", chunks=(2, 512, 768), blocks=(1, 512, 768), cparams=CPARAMS)
    chunk = make_chunk([stream, image[::-1].tobytes()], typesize=1, blocksize=image.nbytes, nbytes=2 * image.nbytes)
    for number in range(2):
        array.schunk.update_chunk(number, chunk)
    expected = np.stack([image, image[::-1]] * 2)
    np.testing.assert_array_equal(blosc2.ndarray_from_cframe(array.to_cframe())[...], expected)
    np.testing.assert_array_equal(blosc2_grok.open(array)[...], expected)
    with pytest.raises(ValueError, match="do not make a chunk"):
        make_chunk([stream], typesize=1, blocksize=100, nbytes=200)
    with pytest.raises(ValueError, match="does not fit"):
        make_chunk([stream], typesize=1, blocksize=100, nbytes=100)


def test_a_small_region_and_a_preview_cost_little(rgb):
    """A 256 x 256 part of 4096 x 3072 in one block, and a level of an eighth. Measured 2 to 3% of the full decode."""
    large = np.tile(np.concatenate([rgb, rgb[:, ::-1]], 1), (6, 3, 1))[:3072, :4096]
    opened = blosc2_grok.open(store(large), num_threads=1)

    def seconds(run):
        best = np.inf
        for _ in range(3):
            start = time.perf_counter()
            run()
            best = min(best, time.perf_counter() - start)
        return best

    full = seconds(lambda: opened[...])
    assert seconds(lambda: opened[1000:1256, 2000:2256]) < 0.05 * full
    assert seconds(lambda: opened.levels[3][...]) < 0.10 * full
