# Samples of 24 to 32 bits: coefficients that need 64 bits, against OpenJPEG (to 29 bits) and OpenJPH (to 32).
# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
import pytest

import blosc2_grok

HT = blosc2_grok.GrkMode.HT
J2K = blosc2_grok.GrkFileFmt.GRK_FMT_J2K
RAW = {"cod_format": J2K}
DEPTHS = [25, 27, 28, 29, 30, 31, 32]


def limits(depth, signed):
    return (-(1 << (depth - 1)), (1 << (depth - 1)) - 1) if signed else (0, (1 << depth) - 1)


def deep(kind, shape, depth, signed=False, seed=1) -> np.ndarray:
    low, high = limits(depth, signed)
    rng = np.random.default_rng([seed, depth, signed])
    y, x = np.mgrid[: shape[0], : shape[1]]
    if len(shape) == 3:
        y, x = y[..., None], x[..., None]
    samples = {
        "noise": lambda: rng.integers(low, high, shape, endpoint=True),
        "smooth": lambda: (
            low + (np.sin(x / 9) * np.cos(y / 7) * 0.45 + 0.5) * (high - low) + rng.normal(0, 2 ** (depth - 14), shape)
        ),
        "checkered": lambda: np.where((x + y) % 2, low, high),
        "columns": lambda: np.where(x % 2, high, low),
        "extremes": lambda: rng.choice([low, high, 0, 1], shape),
        "opposed": lambda: np.where((x + y + np.arange(shape[-1])) % 2, low, high),  # components against each other
    }[kind]()
    samples = np.clip(np.rint(np.broadcast_to(samples, shape)), low, high).astype(np.int64)
    samples[0, 0], samples[-1, -1] = low, high  # the coded depth is that of the data
    return samples.astype(np.int32 if signed else np.uint32)


def assert_equal(decoded, image):
    decoded = np.asarray(decoded)
    if decoded.ndim == 3 and decoded.shape != image.shape:
        decoded = np.moveaxis(decoded, 0, -1)
    assert decoded.shape == image.shape
    assert (decoded.astype(np.int64) == image.astype(np.int64)).all()


STRUCTURES = {
    "plain": {},
    "no wavelet": {"num_resolutions": 1},
    "levels": {"num_resolutions": 9},
    "tiles": {"tile_size": (31, 26), "codeblock_size": (16, 64), "offset": (3, 5)},
    "precincts": {"precinct_size": (32, 32), "progression": "PCRL"},
}


@pytest.mark.parametrize("mode", [0, HT])
@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("signed", [False, True])
def test_round_trip(mode, structure, signed):
    for depth in (28, 32):
        for kind in ("noise", "extremes", "checkered", "columns", "opposed"):
            shape = (53, 61, 3) if kind == "opposed" else (53, 61)
            image = deep(kind, shape, depth, signed)
            data = blosc2_grok.encode(image, mode=mode, **STRUCTURES[structure])
            assert_equal(blosc2_grok.decode(data), image)


@pytest.mark.parametrize("shape", [(1, 1), (1, 70), (70, 1), (2, 3), (1, 300)])
@pytest.mark.parametrize("mode", [0, HT])
def test_small(shape, mode):
    image = np.random.default_rng(5).integers(0, 2**32, shape, dtype=np.uint32)
    assert_equal(blosc2_grok.decode(blosc2_grok.encode(image, mode=mode)), image)


MODE = blosc2_grok.GrkMode


@pytest.mark.parametrize(
    "mode",
    [
        MODE.LAZY,
        MODE.RESET | MODE.VSC,
        MODE.TERMALL | MODE.PTERM,
        MODE.SEGSYM | MODE.LAZY | MODE.TERMALL,
    ],
)
def test_styles(mode):
    for depth in (29, 32):
        image = deep("noise", (70, 45), depth)
        assert_equal(blosc2_grok.decode(blosc2_grok.encode(image, mode=mode)), image)


def test_parts():
    """Regions and lower resolutions are those of the whole image."""
    image = deep("smooth", (150, 130, 3), 32)
    for mode in (0, HT):
        data = blosc2_grok.encode(image, mode=mode, codeblock_size=(32, 32))
        assert_equal(blosc2_grok.decode(data, region=(33, 20, 97, 111)), image[20:111, 33:97])
        small = blosc2_grok.decode(data, reduce=2)
        assert small.shape == (38, 33, 3)
        assert np.abs(np.float64(small) - image[::4, ::4])[1:-1, 1:-1].max() < 0.02 * 2**32


@pytest.mark.parametrize("components", [1, 3])
@pytest.mark.parametrize("depth", DEPTHS)
def test_openjpeg_decodes_ours(depth, components):
    imagecodecs = pytest.importorskip("imagecodecs")
    if depth > 29:
        pytest.skip("OpenJPEG decodes no code-blocks of more than 31 bit-planes")
    for kind in ("noise", "smooth"):
        image = deep(kind, (60, 50, 3)[: 2 + (components == 3)], depth)
        assert_equal(imagecodecs.jpeg2k_decode(blosc2_grok.encode(image, **RAW)), image)


@pytest.mark.parametrize("components", [1, 3])
@pytest.mark.parametrize("depth", DEPTHS)
def test_openjph_decodes_ours(depth, components):
    imagecodecs = pytest.importorskip("imagecodecs")
    for kind in ("noise", "smooth", "extremes", "checkered"):
        image = deep(kind, (60, 50, 3)[: 2 + (components == 3)], depth)
        assert_equal(imagecodecs.htj2k_decode(blosc2_grok.encode(image, mode=HT, **RAW)), image)


@pytest.mark.parametrize("dtype", ["u4", "i4"])
@pytest.mark.parametrize("components", [1, 3])
def test_we_decode_openjph(components, dtype):
    imagecodecs = pytest.importorskip("imagecodecs")
    for kind in ("noise", "smooth", "extremes", "checkered"):
        # OpenJPH takes unsigned grey samples as signed ones: from 2^31 on it codes negative numbers.
        depth = 31 if dtype == "u4" and components == 1 else 32
        image = deep(kind, (60, 50, 3)[: 2 + (components == 3)], depth, dtype == "i4")
        data = imagecodecs.htj2k_encode(image, reversible=True)
        assert_equal(imagecodecs.htj2k_decode(data), image)  # OpenJPH keeps its own word
        assert_equal(blosc2_grok.decode(data), image)


def psnr(decoded, image, depth):
    error = np.float64(decoded) - image
    return 20 * np.log10(((1 << depth) - 1) / np.sqrt(np.mean(error * error)))


@pytest.mark.parametrize("depth", [25, 28, 32])
@pytest.mark.parametrize("components", [1, 3])
def test_lossy(depth, components):
    """The 9/7 in double precision is much nearer to the samples than 24-bit floats could be."""
    image = deep("smooth", (96, 96, 3)[: 2 + (components == 3)], depth)
    for mode in (0, HT):
        for target in (60, 120, 150):
            data = blosc2_grok.encode(image, mode=mode, quality_mode="dB", quality_layers=[target])
            assert target <= psnr(blosc2_grok.decode(data), image, depth) < target + 1
        data = blosc2_grok.encode(image, mode=mode, quality_mode="rates", quality_layers=[4])
        assert 0.96 * image.nbytes / 4 <= len(data) <= image.nbytes / 4
        assert psnr(blosc2_grok.decode(data), image, depth) > 100
    best = blosc2_grok.decode(blosc2_grok.encode(image, irreversible=True))
    assert psnr(best, image, depth) > 160


@pytest.mark.parametrize("components", [1, 3])
def test_transcoding(components):
    for depth in (28, 32):
        for kind in ("noise", "extremes", "smooth"):
            image = deep(kind, (60, 50, 3)[: 2 + (components == 3)], depth)
            for mode in (0, HT):
                data = blosc2_grok.transcode(blosc2_grok.encode(image, mode=mode), ht=not mode)
                assert_equal(blosc2_grok.decode(data), image)
