# Quality control of HT: ratios, PSNRs, largest errors, Qfactor and quantiser steps, judged by OpenJPEG's decoder.
# SPDX-License-Identifier: BSD-3-Clause
import os

import numpy as np
import pytest
from PIL import Image

import blosc2_grok
from blosc2_grok import GrkFileFmt

imagecodecs = pytest.importorskip("imagecodecs")
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
RAW = {"ht": True, "cod_format": GrkFileFmt.GRK_FMT_J2K}


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    return np.asarray(Image.open(os.path.join(ROOT, "examples", "kodim23.png")).convert("RGB"))


def make(photo: np.ndarray, kind: str, size: int = 512) -> np.ndarray:
    """Cut-outs of a photograph, with noise below its own bits where there are more."""
    top = (512 - size) // 2
    image = photo[top : top + size, 200 : 200 + size]
    if kind.startswith("grey"):
        image = image[:, :, 1]
    if kind.endswith("8"):
        return np.ascontiguousarray(image)
    bits = int(kind[-2:])
    noise = np.random.default_rng(2).integers(0, 1 << (bits - 8), image.shape)
    return ((image.astype(np.uint16) << (bits - 8)) + noise).astype(np.uint16)


def psnr(image: np.ndarray, data: bytes, bits: int, layers: int = 0) -> float:
    if layers:
        decoded = blosc2_grok.decode(data, layers=layers)
    else:
        decoded = imagecodecs.jpeg2k_decode(data).reshape(image.shape)
    error = np.mean((decoded.astype(np.float64) - image) ** 2)
    return np.inf if error == 0 else 10 * np.log10((2.0**bits - 1) ** 2 / error)


# With the 5/3 code-blocks are the smallest pieces: 64 x 64 samples need smaller ones than the default (docs/ht.md).
CASES = [
    (kind, size, parameters)
    for kind in ("grey8", "rgb8", "grey12", "rgb16")
    for size, parameters in (
        (512, {}),
        (512, {"irreversible": False}),
        (200, {"tile_size": (64, 64)}),
        (200, {"irreversible": False, "codeblock_size": (32, 32)}),
        (64, {}),
        (64, {"irreversible": False}),
    )
]


@pytest.mark.parametrize(("kind", "size", "parameters"), CASES)
def test_ratio(photo, kind, size, parameters):
    image = make(photo, kind, size)
    for ratio in (3, 8) if size == 64 else (3, 10, 40):
        data = blosc2_grok.encode(image, ratio=ratio, **RAW, **parameters)
        budget = image.nbytes / ratio
        assert 0.97 * budget <= len(data) <= budget, ratio


@pytest.mark.parametrize(("kind", "size", "parameters"), CASES)
def test_psnr(photo, kind, size, parameters):
    image = make(photo, kind, size)
    bits = int(kind.lstrip("greyb"))
    extra = {"significant_bits": bits} if bits == 12 else {}
    for target in (34, 40, 46):
        data = blosc2_grok.encode(image, psnr=target, **RAW, **parameters, **extra)
        assert target - 0.003 <= psnr(image, data, bits) <= target + 0.3, target


@pytest.mark.parametrize("irreversible", [True, False])
def test_layers(photo, irreversible):
    """Code-blocks are the smallest pieces of lower layers."""
    image = make(photo, "rgb8")
    ratios = [80, 40, 20, 10, 5]
    data = blosc2_grok.encode(image, ratio=ratios, irreversible=irreversible, **RAW)
    assert 0.97 * image.nbytes / 5 <= len(data) <= image.nbytes / 5
    qualities = [psnr(image, data, 8, layers=n) for n in range(1, 6)]
    assert all(low < high for low, high in zip(qualities, qualities[1:], strict=False))
    targets = [30, 34, 38, 42, 46]
    data = blosc2_grok.encode(image, psnr=targets, irreversible=irreversible, **RAW)
    for n, target in enumerate(targets, start=1):
        assert target <= psnr(image, data, 8, layers=n) <= target + (0.3 if n == 5 else 1.0), target


def steps(data: bytes) -> list[list[float]]:
    """Quantiser steps of each component, as parts of the nominal range of their subbands."""
    stream = blosc2_grok.info(data)["codestream"]
    default = stream["default"]["steps"]
    per_component = [stream["components"].get(c, {}).get("steps", default) for c in range(3)]
    return [[(1 + mantissa / 2048) * 2.0**-exponent for exponent, mantissa in component] for component in per_component]


def test_qfactor_steps(photo):
    """Ratios of steps are those of the published scale and weights; whatever else makes a step cancels out."""

    def scale(q, fine):  # of flat steps, in parts of the range
        return fine * (50 / q if q < 50 else 2 * (1 - q / 100)) + np.sqrt(0.5) / 256

    image = make(photo, "rgb8")
    fine, flat, coarse, middle = (steps(blosc2_grok.encode(image, qfactor=q, **RAW)) for q in (99, 97, 20, 60))
    weights = {0: (0.2758, 0.0901), 1: (0.0863, 0.0263), 2: (0.1835, 0.0773)}  # HL and HH of the first level
    for c in range(3):
        assert flat[c][0] / fine[c][0] == pytest.approx(scale(97, 0.1) / scale(99, 0.1), rel=2e-3)
        assert coarse[c][0] / middle[c][0] == pytest.approx(scale(20, 0.04) / scale(60, 0.04), rel=2e-3)
        for band, weight in ((-3, weights[c][0]), (-2, weights[c][0]), (-1, weights[c][1])):
            ratio = middle[c][band] / middle[c][0] / (fine[c][band] / fine[c][0])
            assert ratio == pytest.approx(1 / weight, rel=2e-3), (c, band)


def test_qfactor(photo):
    image = make(photo, "rgb8")
    sizes, qualities = [], []
    for q in (1, 10, 30, 50, 70, 85, 95, 100):
        data = blosc2_grok.encode(image, qfactor=q, **RAW)
        sizes.append(len(data))
        qualities.append(psnr(image, data, 8))
    assert sizes == sorted(sizes)
    assert qualities == sorted(qualities)
    assert qualities[0] > 18
    assert qualities[-1] > 50


@pytest.mark.parametrize("ht", [True, False])
def test_quantization_step(ht):
    """Of noise far above the step, an error of a step's twelfth, squared, in each coefficient is one in each sample;
    rounding to integers adds a twelfth."""
    image = np.random.default_rng(3).integers(0, 1 << 16, (256, 256)).astype(np.uint16)
    for step in (30, 90):
        data = blosc2_grok.encode(image, quantization_step=step, ht=ht, cod_format=GrkFileFmt.GRK_FMT_J2K)
        error = (2.0**16 - 1) ** 2 / 10 ** (psnr(image, data, 16) / 10)
        assert error == pytest.approx((step**2 + 1) / 12, rel=0.03)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"qfactor": 101}, "qfactor"),
        ({"qfactor": 50, "ratio": 10}, "quality_mode"),
        ({"qfactor": 50, "quantization_step": 1}, "exclude"),
        ({"qfactor": 50, "irreversible": False}, "9/7"),
        ({"quantization_step": 1e6}, "65536"),
        ({"quantization_step": 1, "psnr": 40}, "quality_mode"),
    ],
)
def test_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        blosc2_grok.encode(np.zeros((8, 8), np.uint8), **parameters)
