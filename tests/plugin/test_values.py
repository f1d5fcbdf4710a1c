# Floats, declared significant bits, named axes: what is restored, what the stream says, what OpenJPEG sees of it.
# SPDX-License-Identifier: BSD-3-Clause
import contextlib

import blosc2
import numpy as np
import oracle
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from store import GROK, HTJ2K, payloads, picture, psnr, store

import blosc2_grok
from blosc2_grok import decode, encode, info

FLOATS = ["<f2", ">f2", "<f4", ">f4"]
STACK = np.stack([picture(60, 70, 1, 4000, np.uint16, seed=n) for n in range(3)])


def bits(array):
    array = np.ascontiguousarray(array)
    return array.astype(array.dtype.newbyteorder("=")).view(f"u{array.itemsize}")


def special_values(dtype):
    """Every kind of number: both zeros, subnormals, largest, infinities, NaNs of either sign with payloads."""
    size = np.dtype(dtype).itemsize
    fraction = 10 if size == 2 else 23
    infinity = ((1 << (8 * size - 1)) - (1 << fraction)) & ((1 << 8 * size) - 1)
    sign = 1 << (8 * size - 1)
    patterns = [
        0,
        1,
        2,
        (1 << fraction) - 1,
        1 << fraction,
        infinity - 1,
        infinity,
        infinity + 1,
        infinity + (1 << fraction - 1),
    ]
    patterns += [infinity + (1 << fraction) - 1, 0x3C00 if size == 2 else 0x3F800000]
    patterns = np.array(patterns + [p | sign for p in patterns], f"u{size}")
    return patterns.view(f"f{size}").astype(dtype)


# ---- lossless ----


@pytest.mark.parametrize("dtype", FLOATS)
def test_every_bit_pattern_is_kept(dtype):
    """Single values, all kinds at once, and random patterns, through both doors."""
    values = special_values(dtype)
    rng = np.random.default_rng(0)
    arrays = [np.full((9, 9), value) for value in values]
    arrays += [np.tile(values, (20, 3)), rng.choice(values, (33, 40))]
    arrays.append(rng.integers(0, 256, (40, 50 * np.dtype(dtype).itemsize), np.uint8).view(dtype))
    for array in arrays:
        decoded = decode(encode(array))
        assert decoded.dtype == array.dtype.newbyteorder("=")
        assert (bits(decoded) == bits(array)).all()
        stored = store(array)
        assert stored.dtype == array.dtype
        assert stored[...].tobytes() == array.tobytes()


@pytest.mark.slow
def test_all_float16_there_are():
    every = np.arange(65536, dtype=np.uint16).view(np.float16).reshape(256, 256)
    assert (bits(decode(encode(every))) == bits(every)).all()
    assert store(every)[...].tobytes() == every.tobytes()


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("components", [1, 3])
def test_openjpeg_and_the_rules_give_the_floats(dtype, components):
    """What docs/arrays.md says suffices to read a block without this package."""
    image = picture(50, 60, components, 4000, np.uint16)
    for array, values in [
        (image.astype(dtype), "scaled"),
        ((image / 8 - 100).astype(dtype), "scaled" if dtype[1:] == "f4" else None),
        ((np.sqrt(image) / 3).astype("f2").astype(dtype), None),
        (np.where(image > 3000, np.nan, image).astype("f2").astype(dtype), "ordered"),
    ]:
        for file in (encode(array), payloads(store(array))[0]):
            said = oracle.note(file)
            assert said["dtype"] == np.dtype(dtype).name
            if values:
                assert said["values"] == values
            if oracle.siz(file)[0][0] <= 25:  # deeper samples are more than OpenJPEG's 32 bits can work with
                assert (bits(oracle.floats(file)) == bits(array)).all()


def test_floats_that_are_integers_look_and_cost_like_them():
    whole = encode(STACK)
    for dtype in ("f4", "<f2"):
        array = STACK.clip(0, 2000).astype(dtype)
        file = encode(array)
        assert len(file) < len(encode(STACK.clip(0, 2000))) + 150
        assert (oracle.samples(file).reshape(array.shape) == array - array.min()).all()
    assert len(encode(STACK.astype(np.float32) / 64)) < len(whole) + 150


def test_float64_and_the_like_are_refused_by_name():
    for dtype in ("f8", "c8", "i8"):
        with pytest.raises(ValueError, match=np.dtype(dtype).str + r".*float16 and float32"):
            encode(np.ones((4, 4), dtype))


# ---- lossy ----


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("bound", [0.004, 0.25, 3.0, 1000.0])
def test_max_error_of_floats(dtype, bound):
    array = (STACK / 7.3 - 100).astype(dtype)
    for ht in (False, True):
        file = encode(array, max_error=bound, ht=ht)
        decoded = decode(file).reshape(array.shape)
        assert np.abs(decoded.astype(np.float64) - array.astype(np.float64)).max() <= bound
        assert len(file) <= len(encode(array, ht=ht))
        stored = blosc2_grok.asarray(array, max_error=bound, ht=ht)
        assert (stored[...] == decoded.astype(dtype)).all()
        assert (oracle.floats(payloads(stored)[0]).reshape(array[0].shape) == stored[0]).all()
    assert np.unique(decode(encode(array, max_error=1000))).size == 1


def test_max_error_of_large_and_tiny_floats():
    rng = np.random.default_rng(1)
    for scale in (1e-42, 1e-30, 1e30, 3e38):
        array = (rng.normal(0, 0.1, (40, 50)).clip(-1, 1) * scale).astype(np.float32)
        for bound in (scale / 1000, scale / 10, 1e-45):
            decoded = decode(encode(array, max_error=bound))
            assert np.abs(decoded.astype(np.float64) - array.astype(np.float64)).max() <= bound


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("offset", [0, -700])
@pytest.mark.parametrize("target", [30, 60, 85])
def test_psnr_of_floats(dtype, offset, target):
    """The peak is the range of the block."""
    array = (picture(120, 130, 1, 4000, np.uint16) / 7.3 + offset).astype(dtype)
    peak = float(array.max()) - float(array.min())
    for ht in (False, True):
        reached = psnr(array.astype(np.float64), decode(encode(array, psnr=target, ht=ht)).astype(np.float64), peak)
        assert reached >= target
        if target == 60 and not ht:
            assert reached < target + 0.5


@pytest.mark.parametrize("dtype", ["f2", "f4"])
@pytest.mark.parametrize("ratio", [2, 5, 20])
def test_ratio_of_floats(dtype, ratio):
    array = (picture(200, 210, 1, 4000, np.uint16) / 7.3).astype(dtype)
    file = encode(array, ratio=ratio)
    assert 0.9 * array.nbytes / ratio <= len(file) <= array.nbytes / ratio
    assert psnr(array.astype(np.float64), decode(file).astype(np.float64), 548) > 30


def test_a_psnr_out_of_reach_is_lossless():
    array = (STACK[0] / 7.3).astype(np.float32)
    assert (decode(encode(array, psnr=200)) == array).all()
    constant = np.full((30, 40), 3.3, np.float32)
    for params in ({"psnr": 40}, {"ratio": 10}, {"max_error": 0.1}):
        assert (decode(encode(constant, **params)) == constant).all()


# ---- NaN and infinities ----


def holes(dtype, components=1):
    array = (picture(90, 100, components, 4000, np.uint16) / 7.3 - 30).astype(dtype)
    array[20:50, 30:60] = np.nan
    array[0, :7] = np.inf
    array[60, 3::5] = -np.inf
    return array


@pytest.mark.parametrize("params", [{"ratio": 10}, {"psnr": 40}, {"max_error": 0.5}, {"irreversible": True}])
def test_nan_is_refused_in_lossy_coding(params):
    with pytest.raises(ValueError, match="nan: .*mask"):
        encode(holes("f4"), **params)
    with pytest.raises(ValueError, match="nan: .*mask"):
        blosc2_grok.asarray(holes("f4"), **params)
    assert (bits(decode(encode(holes("f4")))) == bits(holes("f4"))).all()


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("components", [1, 3])
@pytest.mark.parametrize("params", [{"ratio": 10}, {"psnr": 40}, {"max_error": 0.5}, {"ratio": 8, "ht": True}])
def test_masked_values_come_back(dtype, components, params):
    array = holes(dtype, components)
    file = encode(array, nan="mask", **params)
    stored = blosc2_grok.asarray(array, nan="mask", **params)
    for got in (decode(file), stored[...], oracle.floats(file)):
        for test in (np.isnan, np.isposinf, np.isneginf):
            assert (test(got) == test(array)).all()
        finite = np.isfinite(array)
        error = got[finite].astype(np.float64) - array[finite].astype(np.float64)
        if "ratio" in params:
            assert len(file) <= array.nbytes / params["ratio"]
            assert np.sqrt(np.mean(error**2)) < 30
        elif "psnr" in params:
            finite_range = float(array[finite].max()) - float(array[finite].min())
            assert np.sqrt(np.mean(error**2)) <= finite_range / 100
        else:
            assert np.abs(error).max() <= 0.5


def test_masks_in_parts():
    array = holes("f4", 3)
    file = encode(array, nan="mask", ratio=10)
    whole = decode(file)
    assert np.array_equal(decode(file, region=(33, 11, 71, 63)), whole[11:63, 33:71], equal_nan=True)
    for reduce in (1, 3):
        small = decode(file, reduce=reduce)
        assert (np.isnan(small) == np.isnan(whole[:: 1 << reduce, :: 1 << reduce])).all()
        part = decode(file, reduce=reduce, region=(33, 11, 71, 63))
        expected = small[-(-11 >> reduce) : -(-63 >> reduce), -(-33 >> reduce) : -(-71 >> reduce)]
        assert part.shape == expected.shape
        assert (np.isnan(part) == np.isnan(expected)).all()


def test_blocks_without_a_finite_value():
    for value in (np.nan, np.inf, -np.inf):
        array = np.full((20, 30), value, np.float32)
        assert np.array_equal(decode(encode(array, ratio=10, nan="mask")), array, equal_nan=True)
        stored = blosc2_grok.asarray(array, max_error=1, nan="mask")
        assert np.array_equal(stored[...], array, equal_nan=True)


def test_a_mask_needs_a_file():
    with pytest.raises(ValueError, match="nan: .*cod_format"):
        encode(holes("f4"), ratio=10, nan="mask", cod_format=blosc2_grok.GrkFileFmt.GRK_FMT_J2K)


@given(
    hnp.arrays(
        st.sampled_from(FLOATS).map(np.dtype),
        hnp.array_shapes(min_dims=2, max_dims=3, max_side=9),
        elements={"allow_subnormal": True},
    ),
    st.sampled_from([0.0, 1e-3, 0.5, 100.0]),
    st.booleans(),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_floats(array, bound, ht):
    assert (bits(decode(encode(array, ht=ht)).reshape(array.shape)) == bits(array)).all()
    got = decode(encode(array, max_error=bound, nan="mask", ht=ht)).reshape(array.shape)
    finite = np.isfinite(array)
    assert np.array_equal(got[~finite], array[~finite].astype(got.dtype), equal_nan=True)
    assert (np.abs(got[finite].astype(np.float64) - array[finite].astype(np.float64)) <= bound).all()


# ---- damaged notes and masks ----


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"dtype=float32", b"dtype=float64"), (b"dtype=float32", b"dtype=float16"), (b"dtype=float32", b"dtype=uint32 "),
        (b"values=scaled", b"values=orderd"), (b"first=", b"fir==="), (b"*2^", b"*3^"), (b"step=", b"step=-"[:5]),
        (b"nonfinite=uuid", b"nonfinite=xxxx"), (b"; step", b": step"), (b"blosc2-grok: d", b"blosc2-grok:  "),
    ],
)  # fmt: skip
def test_damaged_notes(old, new):
    """An error, or other floats, but no crash."""
    array = holes("f4")
    file = encode(array, psnr=40, nan="mask")
    frame = blosc2_grok.asarray(array, psnr=40, nan="mask").to_cframe()
    assert old in file and len(new) == len(old)
    with contextlib.suppress(ValueError):
        assert decode(file.replace(old, new)).shape == array.shape
    with contextlib.suppress(RuntimeError):
        assert blosc2.ndarray_from_cframe(frame.replace(old, new))[...].shape == array.shape


def test_damaged_masks():
    array = holes("f4")
    file = encode(array, psnr=40, nan="mask")
    at = file.index(b"uuid" + oracle.UUID)
    with pytest.raises(ValueError, match="mask"):
        decode(file[: at - 4])
    with pytest.raises(ValueError, match="mask"):
        decode(file[:at] + b"free" + file[at + 4 :])
    frame = blosc2_grok.asarray(array, psnr=40, nan="mask").to_cframe()
    with pytest.raises(RuntimeError):
        blosc2.ndarray_from_cframe(frame.replace(oracle.UUID, bytes(16)))[...]
    assert "mask" in blosc2_grok.last_error()
    # A mask of another picture
    small = encode(array[:40], psnr=40, nan="mask")
    with pytest.raises(ValueError, match="mask"):
        decode(file[: at - 4] + small[small.index(b"uuid" + oracle.UUID) - 4 :])


# ---- significant bits ----


@pytest.mark.parametrize("codec", [GROK, HTJ2K])
@pytest.mark.parametrize(
    ("dtype", "bits_"), [("u2", 12), (">u2", 12), ("u2", 7), ("i2", 13), ("u1", 5), ("u4", 17), ("i4", 32)]
)
def test_significant_bits_are_in_the_stream(dtype, bits_, codec):
    signed = np.dtype(dtype).kind == "i"
    image = picture(80, 90, 1, min(2**bits_, 2**31) - 1, np.uint32)
    image = (image.astype(np.int64) - 2 ** (bits_ - 1) if signed else image).astype(dtype)
    params = {"significant_bits": bits_}
    for file in (encode(image, **params), payloads(blosc2_grok.asarray(image, cparams={"codec": codec}, **params))[0]):
        assert oracle.siz(file) == [(bits_, signed)]
        decoded = decode(file)
        assert (decoded == image).all()
        assert decoded.dtype == image.dtype.newbyteorder("=")
        if bits_ <= 25:
            assert (oracle.samples(file) == image).all()
    with pytest.raises(ValueError, match=f"significant_bits: {bits_ - 1} is not enough .* need {bits_}"):
        encode(image, significant_bits=bits_ - 1)
    with pytest.raises(ValueError, match="significant_bits"):
        blosc2_grok.asarray(image, significant_bits=bits_ - 1)
    lossy = blosc2_grok.asarray(image, psnr=40, **params)
    assert psnr(lossy[...], image, 2.0**bits_ - 1) >= 40
    assert psnr(lossy[...], image, 2.0**bits_ - 1) < 41


@pytest.mark.parametrize("dtype", ["bool", "f4"])
def test_significant_bits_are_for_integers(dtype):
    with pytest.raises(ValueError, match=f"significant_bits: 3 is not allowed for dtype .*{np.dtype(dtype).str[-2:]}"):
        encode(np.zeros((5, 5), dtype), significant_bits=3)


# ---- axes ----


@pytest.mark.parametrize(
    ("shape", "axes", "expected"),
    [
        ((30, 40), "yx", (30, 40, 1)), ((30, 40), "xc", (1, 30, 40)), ((40,), "x", (1, 40, 1)),
        ((30, 40, 5), "zyx", (1200, 5, 1)), ((30, 40, 50), "yxc", (30, 40, 50)), ((3, 4, 300), "yxc", (3, 4, 300)),
        ((1, 30, 40), "zyx", (30, 40, 1)), ((1, 30, 40), "yxc", (1, 30, 40)), ((2, 3, 4, 5, 6), "abcyx"[:2] + "zyx", (120, 6, 1)),
        ((2, 3, 4, 5, 6), "tzyxc", (24, 5, 6)), ((1, 2, 1, 4, 5, 2), "astyxc", (8, 5, 2)), ((2, 2, 16384), "yxc", (2, 2, 16384)),
    ],
)  # fmt: skip
def test_axes(shape, axes, expected):
    """Height of all planes, width, components; the raster order of the coded image is the array's memory order."""
    array = np.random.default_rng(0).integers(0, 90, shape, np.uint8)
    stored = blosc2_grok.asarray(array, axes=axes, chunks=shape, blocks=shape, num_resolutions=3)
    for file in (encode(array, axes=axes, num_resolutions=3), *payloads(stored)):
        found = info(file)
        assert (found["y1"], found["x1"], len(found["components"])) == expected
        assert (decode(file).reshape(shape) == array).all()
        assert (oracle.samples(file).reshape(shape) == array).all() or expected[2] > 1000
    assert (stored[...] == array).all()
    with pytest.raises(ValueError, match="axes: .* dimensions"):
        encode(array[np.newaxis], axes=axes)
    with pytest.raises(ValueError, match="axes: .* dimensions"):
        blosc2_grok.asarray(array[np.newaxis], axes=axes)


def test_too_many_components():
    with pytest.raises(ValueError, match="16385 components; allowed: 1 to 16384"):
        encode(np.zeros((1, 1, 16385), np.uint8), axes="yxc")


def test_more_dimensions_than_axes_can_name():
    array = np.random.default_rng(0).integers(0, 90, (1, 2) + (1,) * 10 + (3, 4), np.uint8)
    assert (blosc2_grok.asarray(array)[...] == array).all()


# ---- notes and comments ----


def test_a_comment_and_a_note():
    array = picture(40, 50, 1, 4000, np.uint16).astype(">f4")
    stored = blosc2_grok.asarray(array, comment="mine; yours")
    (file,) = payloads(stored)
    assert oracle.comments(file)[0] == "mine; yours"
    assert oracle.note(file)["byteorder"] == "big"
    assert stored[...].tobytes() == array.tobytes()
    assert oracle.comments(encode(picture(), comment="mine")) == ["mine"]
    assert oracle.comments(encode(picture())) == []
