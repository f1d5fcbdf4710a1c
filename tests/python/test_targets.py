# Quality targets, as OpenJPEG decodes the results: ratios, PSNRs, maximum errors. The whole table is bench/targets.py.
# SPDX-License-Identifier: BSD-3-Clause
import math
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from blosc2_grok import GrkMode, decode, encode

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def images():
    with Image.open(ROOT / "examples" / "kodim23.png") as file:
        photo = np.asarray(file.convert("RGB"))
    colour = np.ascontiguousarray(photo[100:292, 200:456])
    grey = np.ascontiguousarray(colour[:, :, 1])
    sums = photo[100:292, 200:456].astype(np.uint32) @ np.array([77, 150, 29], np.uint32)  # 16 bits, no zeros below
    return {
        "colour": colour,
        "grey": grey,
        "small": np.ascontiguousarray(grey[60:124, 80:144]),
        "small colour": np.ascontiguousarray(colour[60:124, 80:144]),
        "deep": sums.astype(np.uint16),
        "few levels": (sums // 64 + 700).astype(np.uint16),  # of 16 bits only 1000 values
    }


def psnr(a, b, peak):
    error = np.mean((a.astype(np.float64) - b) ** 2)
    return math.inf if error == 0 else 10 * math.log10(peak**2 / error)


def depth_peak(image):
    return float(np.iinfo(image.dtype).max)


NAMES = ("colour", "grey", "small", "small colour", "deep", "few levels")


@pytest.mark.parametrize("irreversible", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_ratios_are_kept_and_used(images, name, irreversible):
    image = images[name]
    lossless = len(encode(image))
    for ratio in (1.5, 2.2, 4, 7, 12, 30, 110, 1000):
        data = encode(image, ratio=ratio, irreversible=irreversible)
        smallest = len(encode(image, ratio=1e9, irreversible=irreversible))
        budget = math.floor(image.nbytes / ratio)
        if smallest > budget:
            assert len(data) <= smallest
            continue
        everything = not irreversible and lossless <= budget
        assert len(data) <= budget
        assert len(data) >= 0.99 * budget or (everything and (decode(data) == image).all())


@pytest.mark.parametrize(
    "params", [{"tile_size": (61, 50)}, {"mode": GrkMode.LAZY | GrkMode.TERMALL}, {"write_plt": True}]
)
def test_ratios_with_other_structures(images, params):
    image = images["colour"]
    for ratio in (3, 11):
        data = encode(image, ratio=ratio, **params)
        assert 0.98 * image.nbytes / ratio <= len(data) <= image.nbytes / ratio


@pytest.mark.parametrize("irreversible", [False, True])
def test_a_ratio_for_each_layer(images, irreversible):
    image = images["colour"]
    ratios = [40, 25, 16, 9, 5]
    data = encode(image, ratio=ratios, irreversible=irreversible)
    assert 0.99 * image.nbytes / 5 <= len(data) <= image.nbytes / 5
    for layer, ratio in enumerate(ratios, 1):  # as good as a stream of that ratio alone, or nearly
        alone = psnr(image, decode(encode(image, ratio=ratio, irreversible=irreversible)), 255)
        assert psnr(image, decode(data, layers=layer), 255) > alone - 0.7


@pytest.mark.parametrize("name", ["colour", "grey", "deep", "few levels"])
@pytest.mark.parametrize(("irreversible", "targets"), [(True, (26, 33, 40, 47, 54)), (False, (30, 40, 48))])
def test_psnrs(images, name, irreversible, targets):
    image = images[name]
    for target in targets:
        target += 40 if name == "few levels" else 0
        data = encode(image, psnr=target, irreversible=irreversible)
        reached = psnr(image, imagecodecs.jpeg2k_decode(data), depth_peak(image))
        assert target - 0.01 <= reached <= target + 0.2
        assert target <= psnr(image, decode(data), depth_peak(image))


def test_psnr_of_the_range(images):
    image = images["few levels"]
    data = encode(image, psnr=45, psnr_peak="range")
    assert 45 <= psnr(image, decode(data), float(np.ptp(image))) <= 45.2
    assert len(data) > 1.5 * len(encode(image, psnr=45))
    flat = np.full((70, 80), 9, np.uint8)
    assert (decode(encode(flat, psnr=60, psnr_peak="range")) == flat).all()


@pytest.mark.parametrize("ht", [False, True])
@pytest.mark.parametrize("name", ["small", "small colour", "few levels"])
def test_maximum_errors(images, name, ht):
    image = images[name]
    sizes = []
    for bound in (0, 1, 3, 12):
        data = encode(image, max_error=bound, ht=ht)
        sizes.append(len(data))
        for decoded in (decode(data), imagecodecs.jpeg2k_decode(data)):
            assert np.abs(image.astype(np.int64) - decoded).max() <= bound
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[3] < 0.5 * sizes[0]


def test_maximum_errors_of_other_images(images):
    signed = (images["deep"][:90, :100].astype(np.int32) - 32768).astype(np.int16)
    stack = np.stack([images["small"], images["small"].T, images["small"][::-1]])
    for image, bound in ((signed, 500), (stack, 5), (images["small"][:1, :], 4), (np.full((9, 9), 200, np.uint8), 3)):
        decoded = decode(encode(image, max_error=bound)).reshape(image.shape)
        assert np.abs(image.astype(np.int64) - decoded).max() <= bound


def test_maximum_error_is_smaller_than_with_one_step(images):
    """The largest step whose quantiser alone keeps the bound, found by PSNR, takes more bytes."""
    image, bound = images["grey"], 4
    plain = [encode(image, psnr=target) for target in np.arange(42, 56, 0.5)]
    inside = [len(data) for data in plain if np.abs(image.astype(int) - decode(data)).max() <= bound]
    assert len(encode(image, max_error=bound)) < 0.9 * min(inside)


def test_maximum_error_and_other_parameters(images):
    image = images["small"]
    assert (decode(encode(image, max_error=9, irreversible=False)) == image).all()
    with pytest.raises(ValueError, match="max_bytes"):
        encode(image, max_error=3, max_cs_size=500)
    with pytest.raises(ValueError, match="irreversible"):
        encode(image, quality_mode="max_error", quality_layers=[0], irreversible=True)


@pytest.mark.parametrize("name", ["colour", "grey"])
def test_visual_weights(images, name):
    """They move bytes from fine detail to coarse: the picture at half the size gets better, the whole one worse."""
    image = images[name]
    plain, weighted = (encode(image, ratio=25, visual_weights=on) for on in (False, True))
    assert plain != weighted
    assert len(weighted) <= image.nbytes / 25
    assert psnr(image, decode(weighted), 255) < psnr(image, decode(plain), 255)
    small = decode(encode(image), reduce=1)
    assert psnr(small, decode(weighted, reduce=1), 255) > psnr(small, decode(plain, reduce=1), 255)
