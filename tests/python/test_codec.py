# Arrays to JPEG 2000 and back without Blosc2: encode, decode, decode_components, info, last_error.
# SPDX-License-Identifier: BSD-3-Clause
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import blosc2_grok
from blosc2_grok import GrkFileFmt, decode, decode_components, encode, info

SHARED = Path(os.environ.get("J2K_SHARED") or Path(__file__).resolve().parents[3] / "shared")
DTYPES = ["bool", "int8", "uint8", "int16", "uint16", ">i2", ">u2"]


def smooth(height, width, components=1, maximum=255):
    """A picture: waves, an edge and some noise."""
    y, x = np.mgrid[:height, :width]
    planes = [
        np.sin(x / (9 + 3 * c)) * np.cos(y / (11 - c))
        + (x > width / 2)
        + np.random.default_rng(c).normal(0, 0.02, (height, width))
        for c in range(components)
    ]
    image = np.stack(planes, axis=-1)
    image = (image - image.min()) / max(np.ptp(image), 1e-9) * maximum
    return image.round() if components > 1 else image[:, :, 0].round()


def psnr(a, b, peak):
    error = np.mean((a.astype(np.float64) - b) ** 2)
    return np.inf if error == 0 else 10 * np.log10(peak**2 / error)


@st.composite
def arrays(draw):
    """Arrays of every supported dtype: constant, random, extreme."""
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    shape = draw(
        st.one_of(
            st.tuples(st.integers(1, 40)),
            st.tuples(st.integers(1, 40), st.integers(1, 40)),
            st.tuples(st.integers(1, 20), st.integers(1, 20), st.integers(1, 5)),
            st.tuples(st.integers(1, 5), st.integers(1, 12), st.integers(1, 12), st.integers(1, 4)),
        )
    )
    shape = draw(st.sampled_from([(), (1,), (1, 1)])) + shape
    low, high = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    kind = draw(st.sampled_from(["constant", "random", "extreme", "small"]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    if kind == "constant":
        return np.full(shape, draw(st.integers(low, high)), dtype)
    if kind == "extreme":
        return rng.choice([low, high], shape).astype(dtype)
    if kind == "small":
        low, high = max(low, -3), min(high, 3)
    return rng.integers(low, high, shape, endpoint=True).astype(dtype)


def as_decoded(array):
    """What decode returns for encode(array): planes stacked, leading 1s and byte order gone, bool as uint8."""
    shape = list(array.shape)
    while shape and shape[0] == 1:
        shape.pop(0)
    if len(shape) < 2:
        shape = [1, shape[0] if shape else 1]
    components = []
    if len(shape) > 2 and shape[-1] <= 16 and shape[-1] < shape[-2] and shape[-1] < shape[-3]:
        components = [shape.pop()]
    shape = [int(np.prod(shape[:-1])), shape[-1]] + (components if components != [1] else [])
    dtype = np.uint8 if array.dtype.kind == "b" else array.dtype.newbyteorder("=")
    return array.reshape(shape).astype(dtype)


@given(arrays())
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_lossless(array):
    decoded = decode(encode(array))
    expected = as_decoded(array)
    assert decoded.dtype == expected.dtype
    assert decoded.shape == expected.shape
    assert (decoded == expected).all()


@pytest.mark.parametrize("dtype", ["int32", "uint32", ">i4", ">u4"])
@pytest.mark.parametrize("bits", [5, 12, 20, 26, 31, 32])
def test_32_bits(dtype, bits):
    """Lossless, and in the array's own dtype whatever the data need."""
    signed = np.dtype(dtype).kind == "i"
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    rng = np.random.default_rng(1)
    for array in (rng.integers(low, high, (30, 40), endpoint=True), np.array([[low, high]])):
        data = encode(array.astype(dtype))
        decoded = decode(data)
        assert (decoded == array).all()
        assert decoded.dtype == np.dtype(dtype).newbyteorder("=")
        assert info(data)["components"][0]["depth"] == max(bits, 8)


@pytest.mark.parametrize("layout", ["C", "F", "strided", "reversed"])
def test_memory_layouts(layout):
    base = np.random.default_rng(3).integers(0, 60000, (60, 80)).astype(np.uint16)
    array = {"C": base, "F": np.asfortranarray(base), "strided": base[::2, ::3], "reversed": base[::-1, ::-1]}[layout]
    assert (decode(encode(array)) == array).all()


def test_lists_and_scalars():
    assert (decode(encode(np.uint8(7))) == [[7]]).all()
    assert (decode(encode(np.array([[1, 2], [3, 4]], np.int8))) == [[1, 2], [3, 4]]).all()
    with pytest.raises(ValueError, match="i8"):  # NumPy makes 64-bit integers of a list
        encode([[1, 2], [3, 4]])


@pytest.mark.parametrize(
    "dtype",
    [
        "complex64",
        "complex128",
        "U8",
        "S3",
        "M8[ns]",
        "m8[s]",
        "float64",
        "int64",
        "uint64",
        "O",
        "V5",
    ],
)
def test_unsupported_dtypes_are_named(dtype):
    array = np.zeros((4, 4), dtype)
    with pytest.raises(ValueError, match="not supported") as error:
        encode(array)
    assert array.dtype.str in str(error.value)
    assert array.dtype.str in blosc2_grok.last_error()


def test_empty_arrays_are_refused():
    with pytest.raises(ValueError, match="dimension 0"):
        encode(np.zeros((0, 5), np.uint8))


@pytest.mark.parametrize(("dtype", "maximum"), [("uint8", 255), ("uint16", 65535), ("uint16", 4000)])
@pytest.mark.parametrize("components", [1, 3])
@pytest.mark.parametrize("ratio", [8, 20])
def test_ratio(dtype, maximum, components, ratio):
    image = smooth(240, 320, components, maximum).astype(dtype)
    data = encode(image, quality_mode="rates", quality_layers=[ratio])
    lossless = encode(image)
    target = min(image.nbytes / ratio, len(lossless) * 1.05)
    assert 0.95 * target <= len(data) <= 1.01 * image.nbytes / ratio or len(data) <= len(lossless)
    assert len(data) <= 1.01 * image.nbytes / ratio
    assert psnr(decode(data), image, maximum) > 25


@pytest.mark.parametrize("target", [30, 40, 45])
@pytest.mark.parametrize("components", [1, 3])
def test_psnr(target, components):
    image = smooth(240, 320, components).astype(np.uint8)
    reached = psnr(decode(encode(image, quality_mode="dB", quality_layers=[target])), image, 255)
    assert target <= reached < target + 1


def test_layers():
    image = smooth(128, 128).astype(np.uint8)
    data = encode(image, quality_mode="rates", quality_layers=[40, 20, 5])
    assert info(data)["num_layers"] == 3
    qualities = [psnr(decode(data, layers=n), image, 255) for n in (1, 2, 3)]
    assert qualities[0] < qualities[1] < qualities[2]
    assert (decode(data, layers=3) == decode(data)).all()
    assert (decode(data, layers=None) == decode(data)).all()


def test_reduce():
    image = smooth(101, 77).astype(np.uint8)
    data = encode(image)
    assert decode(data, reduce=1).shape == (51, 39)
    assert decode(data, reduce=3).shape == (13, 10)
    means = [decode(data, reduce=n).mean() for n in range(4)]
    assert np.ptp(means) < 8  # the same picture, smaller
    with pytest.raises(ValueError, match=r"resolution|reduce|level"):
        decode(data, reduce=9)


@pytest.mark.parametrize(
    "region", [(0, 0, 1, 1), (10, 20, 50, 90), (0, 0, 120, 100), (119, 99, 120, 100), [np.int64(3), 4, 5, 6]]
)
@pytest.mark.parametrize("params", [{}, {"tile_size": (32, 48)}, {"offset": (7, 9)}])
def test_region(region, params):
    image = smooth(100, 120, 3).astype(np.uint8)
    x0, y0, x1, y1 = region
    assert (decode(encode(image, **params), region=region) == image[y0:y1, x0:x1]).all()


def test_region_and_reduce():
    image = smooth(100, 120).astype(np.uint8)
    data = encode(image)
    assert (decode(data, region=(16, 32, 80, 96), reduce=2) == decode(data, reduce=2)[8:24, 4:20]).all()


@pytest.mark.parametrize("region", [(5, 5, 5, 9), (9, 9, 5, 5), (-1, 0, 5, 5), (0, 0, 5), (0, 0, 2**32, 5)])
def test_bad_regions(region):
    with pytest.raises(ValueError, match="region"):
        decode(encode(np.zeros((20, 20), np.uint8)), region=region)


def test_region_outside():
    with pytest.raises(ValueError, match=r".+"):
        decode(encode(np.zeros((20, 20), np.uint8)), region=(30, 30, 40, 40))


@pytest.mark.parametrize("name", ["reduce", "layers", "num_threads"])
def test_bad_numbers(name):
    with pytest.raises(ValueError, match=name):
        decode(encode(np.zeros((20, 20), np.uint8)), **{name: -1})


def test_stacks_have_one_tile_a_plane():
    stack = np.random.default_rng(4).integers(0, 9, (5, 33, 47)).astype(np.int16)
    data = encode(stack)
    found = info(data)
    assert (found["num_tiles"], found["tile_width"], found["tile_height"]) == (5, 47, 33)
    assert (decode(data).reshape(stack.shape) == stack).all()
    assert (decode(data, region=(0, 66, 47, 99)) == stack[2]).all()
    data = encode(stack, offset=(5, 6))
    assert info(data)["num_tiles"] == 5
    assert (decode(data).reshape(stack.shape) == stack).all()
    colour = np.random.default_rng(5).integers(0, 9, (4, 33, 47, 3)).astype(np.uint8)
    found = info(encode(colour))
    assert (found["num_tiles"], len(found["components"]), found["colour_transform"]) == (4, 3, True)


def test_more_planes_than_tiles():
    stack = np.random.default_rng(6).integers(0, 4, (70000, 2, 2)).astype(np.uint8)
    data = encode(stack)
    assert info(data)["tile_height"] == 4
    assert info(data)["num_tiles"] == 35000
    assert (decode(data).reshape(stack.shape) == stack).all()


def test_component_rules():
    def components(*shape):
        return len(info(encode(np.zeros(shape, np.uint8)))["components"])

    assert components(20, 30) == 1
    assert components(20, 30, 3) == 3
    assert components(20, 30, 16) == 16
    assert components(20, 30, 17) == 1
    assert components(1, 1, 20, 30, 4) == 4
    assert components(3, 20, 3) == 1
    assert components(5, 20, 30, 2) == 2
    assert components(20, 30, 1) == 1


def test_signs_and_depths_come_from_the_stream():
    for dtype in ("int8", "uint8", "int16", "uint16"):
        (component,) = info(encode(np.zeros((5, 5), dtype)))["components"]
        assert component["depth"] == 8 * np.dtype(dtype).itemsize
        assert component["signed"] == dtype.startswith("i")


def subsampled_file():
    """A file whose components differ in size."""
    for path in sorted((SHARED / "valid").glob("*/*.j*")) if SHARED.exists() else []:
        try:
            found = info(path.read_bytes())
        except ValueError:
            continue
        if len({(c["width"], c["height"]) for c in found["components"]}) > 1:
            return path
    pytest.skip("no test file with subsampled components: set J2K_SHARED")
    return None


def test_components_of_different_size():
    data = subsampled_file().read_bytes()
    with pytest.raises(ValueError, match="decode_components"):
        decode(data)
    planes = decode_components(data)
    described = info(data)["components"]
    assert [plane.shape for plane in planes] == [(c["height"], c["width"]) for c in described]
    halves = decode_components(data, reduce=1)
    assert all(h.shape < p.shape for h, p in zip(halves, planes, strict=True))


def test_decode_components_equals_decode():
    image = smooth(50, 60, 4).astype(np.uint8)
    data = encode(image)
    planes = decode_components(data)
    assert len(planes) == 4
    assert all((plane == image[:, :, c]).all() and plane.dtype == np.uint8 for c, plane in enumerate(planes))
    (region,) = decode_components(encode(image[:, :, 0].copy()), region=(1, 2, 30, 40))
    assert (region == image[2:40, 1:30, 0]).all()


def test_info():
    image = np.zeros((30, 40, 3), np.uint8)
    found = info(encode(image))
    assert found["format"] == "jp2"
    assert (found["x0"], found["y0"], found["x1"], found["y1"]) == (0, 0, 40, 30)
    assert [box["type"] for box in found["boxes"]] == ["jP  ", "ftyp", "jp2h", "jp2c"]
    assert [box["type"] for box in found["boxes"][2]["boxes"]][:2] == ["ihdr", "colr"]
    codestream = found["boxes"][-1]
    assert codestream["offset"] + 8 == found["codestream_offset"]
    assert codestream["length"] - 8 == found["codestream_size"]
    assert all(c["width"] == 40 and c["full_height"] == 30 for c in found["components"])
    raw = info(encode(image, cod_format=GrkFileFmt.GRK_FMT_J2K))
    assert raw["format"] == "codestream"
    assert raw["boxes"] == []
    assert raw["comment"] is None


def spread(data):
    """A view whose bytes do not lie side by side."""
    twice = bytearray(2 * len(data))
    twice[::2] = data
    return memoryview(twice)[::2]


@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview, spread, lambda data: np.frombuffer(data, np.uint8)])
def test_kinds_of_buffers(wrap):
    image = smooth(20, 30).astype(np.uint8)
    data = encode(image)
    assert (decode(wrap(data)) == image).all()
    assert info(wrap(data))["x1"] == 30


def test_not_jpeg_2000():
    for data in (b"", b"x", b"\x89PNG" * 30, bytes(1000), os.urandom(500), b"\xff\x4f\xff\x51"):
        for function in (decode, decode_components, info):
            with pytest.raises(ValueError, match=r".+"):
                function(data)


@pytest.mark.parametrize("form", [GrkFileFmt.GRK_FMT_JP2, GrkFileFmt.GRK_FMT_J2K])
def test_truncated_and_damaged(form):
    image = smooth(64, 64, 3).astype(np.uint8)
    data = encode(image, cod_format=form)
    for end in range(0, len(data) - 2, max(1, len(data) // 150)):
        with pytest.raises(ValueError, match=r".+"):
            decode(data[:end])
    rng = np.random.default_rng(7)
    failures = 0
    for _ in range(150):
        damaged = bytearray(data)
        for position in rng.integers(0, len(data), 3):
            damaged[position] ^= 1 << int(rng.integers(8))
        try:
            assert decode(bytes(damaged)) is not None  # any picture, but no crash
        except ValueError:
            assert blosc2_grok.last_error() != ""
            failures += 1
    assert failures > 0


def test_last_error_is_the_last():
    with pytest.raises(ValueError, match="c16"):
        encode(np.zeros((3, 3), complex))
    assert "<c16" in blosc2_grok.last_error()
    with pytest.raises(ValueError, match=r".+") as error:
        decode(b"nothing of the sort")
    assert blosc2_grok.last_error() == str(error.value)


@pytest.mark.parametrize("params", [{}, {"quality_mode": "rates", "quality_layers": [10]}])
def test_bytes_do_not_depend_on_threads(params):
    image = smooth(300, 400, 3).astype(np.uint8)
    streams = {encode(image, num_threads=n, **params) for n in (1, 2, 3, 8, 0)}
    assert len(streams) == 1
    pictures = [decode(next(iter(streams)), num_threads=n) for n in (1, 2, 5, 0)]
    assert all((picture == pictures[0]).all() for picture in pictures)


def test_many_threads_at_once():
    images = [smooth(60 + n, 80, 1 + n % 3).astype(np.uint8) for n in range(8)]
    failures = []

    def work(n):
        for _ in range(15):
            lossless = decode(encode(images[n]))
            lossy = encode(images[n], quality_mode="rates", quality_layers=[4 + n])
            if not (lossless == images[n]).all() or lossy != expected[n]:
                failures.append(n)

    expected = [encode(image, quality_mode="rates", quality_layers=[4 + n]) for n, image in enumerate(images)]
    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_the_other_decoders_see_the_same_picture():
    codec = pytest.importorskip("imagecodecs")
    image = smooth(90, 110, 3).astype(np.uint8)
    assert (codec.jpeg2k_decode(encode(image)) == image).all()
    stack = np.stack([smooth(40, 50, 1, 4000 + n) for n in range(3)]).astype(np.uint16)
    assert (codec.jpeg2k_decode(encode(stack)).reshape(stack.shape) == stack).all()


def test_import_is_light():
    code = "import sys, blosc2_grok; blosc2_grok.print_libpath(); sys.exit('numpy' in sys.modules or 'blosc2' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == blosc2_grok.get_libpath()
    assert Path(result.stdout).is_file()


def test_what_is_installed():
    folder = Path(blosc2_grok.__file__).parent
    include = Path(blosc2_grok.get_include())
    assert (folder / "py.typed").exists()
    assert include.is_relative_to(folder)
    assert {"blosc2_grok.h", "blosc2_grok_public.h", "j2k.h", "grok.h"} <= {path.name for path in include.iterdir()}
    assert (include / "compat" / "grok.h").exists()
    version = [line for line in (include / "j2k.h").read_text().splitlines() if "J2K_VERSION" in line]
    assert f'"{blosc2_grok.__version__}"' in version[0]


def test_blocks_that_no_packet_includes_may_have_any_number_of_bitplanes():
    """Guard bits and the shift of a region of interest can pass what a block coder handles where nothing is coded."""
    zeros = np.zeros((64, 64, 4), np.uint16)
    quality = {"quality_mode": "rates", "quality_layers": [40]}
    structure = {"num_resolutions": 1, "codeblock_size": (4, 4)}
    data = blosc2_grok.encode(zeros, numgbits=7, roi_compno=0, roi_shift=3, **structure, **quality)
    assert len(data) <= zeros.nbytes / 40
    assert blosc2_grok.decode(data).shape == zeros.shape


@pytest.mark.parametrize("ht", [False, True])
@pytest.mark.parametrize("irreversible", [None, False])
def test_dark_deep_images_meet_their_psnr(ht, irreversible):
    """Small images that use little of their depth: nothing at all is nearly good enough for the target."""
    for height, width, target in ((63, 29, 55), (11, 31, 64), (37, 64, 57), (30, 30, 63), (1, 2, 60)):
        image = np.add.outer(np.arange(height) * 3, np.arange(width) * 2).astype(np.int16)
        back = blosc2_grok.decode(blosc2_grok.encode(image, psnr=target, ht=ht, irreversible=irreversible))
        error = np.mean((back.reshape(image.shape).astype(float) - image) ** 2)
        assert error <= 65535**2 / 10 ** (target / 10)
