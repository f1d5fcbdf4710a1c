# Lossless arrays through Blosc2: shapes, dtypes, values, blocks that do not compress.
# SPDX-License-Identifier: BSD-3-Clause
import sys

import blosc2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store import GROK, HTJ2K, J2K, OPENHTJ2K, USER, cparams, is_raw, payloads, picture, psnr, store

import blosc2_grok

blosc2.register_codec("grok", USER)


@st.composite
def arrays(draw):
    dtype = np.dtype(
        draw(st.sampled_from(["bool", "int8", "uint8", "int16", "uint16", ">u2", ">i2", "int32", "uint32"]))
    )
    spatial = st.integers(1, 48)
    shape = draw(
        st.one_of(
            st.tuples(spatial),
            st.tuples(spatial, spatial),
            st.tuples(spatial, spatial, st.integers(1, 4)),
            st.tuples(st.integers(1, 4), spatial, spatial),
            st.tuples(st.integers(1, 3), spatial, spatial, st.integers(1, 4)),
        )
    )
    shape = draw(st.sampled_from([(), (1,), (1, 1)])) + shape
    low, high = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    kind = draw(st.sampled_from(["constant", "random", "extreme", "small", "ramp"]))
    if kind == "constant":
        return np.full(shape, draw(st.integers(low, high)), dtype)
    if kind == "extreme":
        return rng.choice([low, high], shape).astype(dtype)
    if kind == "ramp":
        return (np.arange(np.prod(shape)) % (int(high) + 1)).reshape(shape).astype(dtype)
    if kind == "small":
        low, high = max(low, -3), min(high, 3)
    return rng.integers(low, high, shape, endpoint=True).astype(dtype)


@given(arrays(), st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_array(array, data):
    chunks = tuple(data.draw(st.integers(max(1, n // 2), n)) for n in array.shape)
    blocks = tuple(data.draw(st.integers(max(1, n // 2), n)) for n in chunks)
    codec = data.draw(st.sampled_from([GROK, J2K, USER, HTJ2K, OPENHTJ2K]))
    stored = store(array, codec=codec, chunks=chunks, blocks=blocks, nthreads=data.draw(st.sampled_from([1, 2, 4])))
    assert stored.dtype == array.dtype
    assert (stored[...] == array).all()


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", ">u2", ">i2"])
@pytest.mark.parametrize("components", [1, 2, 3, 4])
def test_pictures_are_coded_not_stored(dtype, components):
    maximum = 100 if np.dtype(dtype).itemsize == 1 else 4000
    image = picture(components=components, maximum=maximum, dtype=dtype)
    stored = store(image)
    assert (stored[...] == image).all()
    assert len(payloads(stored)) == 1
    assert stored.schunk.cratio > (1.3 if np.dtype(dtype).itemsize == 1 else 1.8)


def test_signed_data_compress_like_unsigned():
    image = picture(components=1, maximum=200).astype(np.int16) - 100
    signed, unsigned = store(image), store((image + 100).astype(np.uint16))
    assert signed.schunk.cratio > 0.95 * unsigned.schunk.cratio


def test_big_endian_data_compress_like_little_endian():
    image = picture(components=1, maximum=4000, dtype=np.uint16)
    assert store(image.astype(">u2")).schunk.cratio > 0.98 * store(image).schunk.cratio


def test_byte_order_is_noted_in_the_stream():
    """The picture in the stream is the right one for everybody; only who restores the array needs the note."""
    image = picture(components=1, maximum=4000, dtype=np.uint16)
    for dtype, order in ((">u2", "big"), ("<u2", "little")):
        stored = store(image.astype(dtype))
        (file,) = payloads(stored)
        assert (blosc2_grok.decode(file) == image).all()
        assert (stored[...] == image).all()
        assert stored.dtype == np.dtype(dtype)
        native = order == sys.byteorder
        assert blosc2_grok.info(file)["comment"] == (None if native else f"blosc2-grok: byteorder={order}")


@pytest.mark.parametrize("shape", [(1,), (1, 1), (1, 1, 1, 1), (2,), (1, 17), (17, 1), (255,), (3, 5), (1, 1, 3, 4, 3)])
def test_tiny(shape):
    array = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    assert (store(array)[...] == array).all()


def test_noise_is_stored_raw():
    for dtype in (np.uint8, np.uint16):
        info = np.iinfo(dtype)
        noise = np.random.default_rng(0).integers(info.min, info.max, (200, 300), dtype, endpoint=True)
        stored = store(noise)
        assert (stored[...] == noise).all()
        assert is_raw(stored)
        assert stored.schunk.cbytes < noise.nbytes + 200


def test_noise_among_pictures():
    blocks = np.concatenate(
        [picture(64, 64, 1), np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8), picture(64, 64, 1)]
    )
    stored = store(blocks, chunks=(192, 64), blocks=(64, 64))
    assert (stored[...] == blocks).all()
    assert len(payloads(stored)) == 2


def test_every_block_is_a_whole_file():
    stack = np.stack([picture(60, 70, 3, seed=n) for n in range(4)])
    stored = store(stack, chunks=(4, 60, 70, 3), blocks=(2, 60, 70, 3), nthreads=1)  # so that they lie in order
    files = payloads(stored)
    assert len(files) == 2
    for n, file in enumerate(files):
        found = blosc2_grok.info(file)
        assert found["num_tiles"] == 2
        decoded = blosc2_grok.decode(file).reshape(2, 60, 70, 3)
        assert (decoded == stack[2 * n : 2 * n + 2]).all()


def test_partial_blocks_at_the_edges():
    image = picture(101, 75, 3)
    stored = store(image, chunks=(40, 50, 3), blocks=(16, 20, 3))
    assert (stored[...] == image).all()
    assert (stored[95:101, 60:75] == image[95:101, 60:75]).all()


def test_slices_and_updates():
    stack = np.stack([picture(40, 50, 1, 4000, np.uint16, seed=n) for n in range(6)])
    stored = store(stack, chunks=(2, 40, 50), blocks=(1, 40, 50))
    assert (stored[3] == stack[3]).all()
    stored[4, 10:20, 5:9] = 7
    stack[4, 10:20, 5:9] = 7
    assert (stored[...] == stack).all()


def test_copies_and_recompression():
    image = picture(80, 90, 3)
    plain = blosc2.asarray(image, chunks=(40, 90, 3), blocks=(40, 90, 3))
    coded = plain.copy(cparams=blosc2.CParams(**cparams()))
    assert len(payloads(coded)) == 2
    assert (coded[...] == image).all()
    assert (coded.copy(cparams=blosc2.CParams(codec=blosc2.Codec.ZSTD))[...] == image).all()


@pytest.mark.parametrize("contiguous", [True, False])
def test_files(tmp_path, contiguous):
    image = picture(80, 90, 3)
    path = str(tmp_path / "image.b2nd")
    store(image, urlpath=path, mode="w", contiguous=contiguous)
    assert (blosc2.open(path)[...] == image).all()
    with_append = blosc2.open(path, mode="a")
    with_append.resize((120, 90, 3))
    with_append[80:] = image[:40]
    assert (blosc2.open(path)[80:] == image[:40]).all()


@pytest.mark.parametrize("typesize", [1, 2, 4])
def test_bytes_without_an_array(typesize):
    """A plain super-chunk: each block is one row."""
    data = (np.arange(30_000) % 251).astype(f"u{typesize}")
    schunk = blosc2.SChunk(chunksize=data.nbytes // 3, data=data, cparams={**cparams(), "typesize": typesize})
    assert schunk[:] == data.tobytes()


def test_bytes_with_an_odd_typesize():
    with pytest.raises(RuntimeError):
        blosc2.SChunk(chunksize=30_000, data=np.arange(30_000, dtype=np.uint8), cparams={**cparams(), "typesize": 3})
    assert "typesize 3" in blosc2_grok.last_error()


def test_compress2():
    data = np.arange(5000, dtype=np.uint8)
    compressed = blosc2.compress2(data, **{**cparams(), "typesize": 1})
    assert blosc2.decompress2(compressed) == data.tobytes()


def test_filters_with_lossless():
    """Shuffled bytes compress badly but stay right."""
    image = picture(64, 64, 1, 4000, np.uint16)
    for filters in ([blosc2.Filter.SHUFFLE], [blosc2.Filter.BITSHUFFLE], [blosc2.Filter.DELTA]):
        stored = store(image, others={"filters": filters, "filters_meta": [0]})
        assert (stored[...] == image).all()


@pytest.mark.parametrize("dtype", ["int32", "uint32", ">i4", ">u4"])
@pytest.mark.parametrize("maximum", [50_000, 50_000_000, 2_000_000_000])
def test_32_bits(dtype, maximum):
    image = picture(components=1, maximum=maximum, dtype="u4").astype(dtype)
    stored = store(image)
    assert (stored[...] == image).all()
    assert len(payloads(stored)) == 1
    lossy = store(image, codec_meta=50)
    assert lossy.schunk.cratio > 4.5
    assert psnr(lossy[...], image, maximum) > 35


@pytest.mark.parametrize("num_threads", [0, 1, 3])
@pytest.mark.parametrize("nthreads", [1, 2, 5])
def test_bytes_do_not_depend_on_threads(num_threads, nthreads):
    image = picture(150, 200, 3)
    expected = payloads(store(image, nthreads=1))
    blosc2_grok.set_params_defaults(num_threads=num_threads)
    stored = store(image, nthreads=nthreads)
    assert payloads(stored) == expected
    assert (stored[...] == image).all()
