# Regions of interest: rectangles and masks, as OpenJPEG and Grok decode them.
# SPDX-License-Identifier: BSD-3-Clause
import shutil
import subprocess

import imagecodecs
import numpy as np
import pytest

import blosc2_grok
from blosc2_grok import GrkMode

openjpeg = imagecodecs.jpeg2k_decode


def picture(height=150, width=200, components=1, dtype=np.uint8):
    rng = np.random.default_rng([height, width, components])
    y, x = np.mgrid[0:height, 0:width]
    planes = [np.sin(x / (7 + c)) + np.cos(y / 9 - c) + rng.normal(0, 0.2, x.shape) for c in range(components)]
    image = np.stack(planes, axis=-1)
    image = (image - image.min()) / np.ptp(image) * np.iinfo(dtype).max
    return image.astype(dtype) if components > 1 else image[..., 0].astype(dtype)


def mask_of(shape, rects):
    mask = np.zeros(shape[:2], bool)
    for x0, y0, x1, y1 in rects:
        mask[y0:y1, x0:x1] = True
    return mask


def psnr(a, b, peak=255):
    error = np.mean((a.astype(float) - b) ** 2)
    return 10 * np.log10(peak**2 / error) if error else np.inf


REGIONS = [
    [(60, 40, 101, 73)],
    [(0, 0, 30, 20)],
    [(171, 119, 200, 150)],
    [(99, 0, 100, 150)],
    [(57, 75, 58, 76)],
    [(10, 10, 31, 30), (20, 25, 60, 33), (150, 100, 163, 141)],
]
CODING = [
    {},
    {"tile_size": (64, 50)},
    {"offset": (37, 11), "num_resolutions": 3, "codeblock_size": (16, 8)},
    {"num_resolutions": 1},
    {"progression": "RPCL", "precinct_size": (64, 64), "mode": GrkMode.VSC | GrkMode.TERMALL | GrkMode.RESET},
]


@pytest.mark.parametrize("coding", CODING, ids=range(len(CODING)))
@pytest.mark.parametrize("rects", REGIONS, ids=range(len(REGIONS)))
def test_the_region_is_exact_where_the_rest_is_not(rects, coding):
    """The budget is what the region takes plus a little: with the 5/3 every coefficient that has a part in the region is in
    the stream to the last bit, or the region would not come out exactly. Only maxshift can do that."""
    image = picture()
    mask = mask_of(image.shape, rects)
    whole = blosc2_grok.encode(image, roi_rects=rects, **coding)
    assert np.array_equal(openjpeg(whole), image) and np.array_equal(blosc2_grok.decode(whole), image)
    rest = image.copy()
    rest[mask] = 128
    share = len(whole) - len(blosc2_grok.encode(rest, **coding))
    budget = 4500 + 2.5 * max(share, 0) + 60 * mask.sum() ** 0.5
    data = blosc2_grok.encode(
        image,
        roi_rects=rects,
        quality_mode="rates",
        quality_layers=[image.nbytes / budget],
        irreversible=False,
        **coding,
    )
    assert len(data) <= budget < 0.8 * len(whole)
    for decoded in (openjpeg(data), blosc2_grok.decode(data)):
        assert np.array_equal(decoded[mask], image[mask])
        assert not np.array_equal(decoded[~mask], image[~mask])


@pytest.mark.parametrize("components", [1, 3])
@pytest.mark.parametrize(
    "coding", [{"irreversible": True}, {"irreversible": False}, {"irreversible": True, "tile_size": (100, 75)}]
)
def test_low_rates_favour_the_region(components, coding):
    image = picture(components=components)
    rects = [(60, 40, 120, 90)]
    mask = mask_of(image.shape, rects)
    params = {"quality_mode": "rates", "quality_layers": [12], "num_resolutions": 5, **coding}
    plain = openjpeg(blosc2_grok.encode(image, **params))
    data = blosc2_grok.encode(image, roi_rects=rects, **params)
    assert len(data) <= image.nbytes / 12
    decoded = openjpeg(data)
    assert np.abs(decoded.astype(int) - blosc2_grok.decode(data)).max() <= (1 if components == 1 else 2)
    assert psnr(image[mask], decoded[mask]) > psnr(image[~mask], decoded[~mask]) + 10
    assert psnr(image[mask], decoded[mask]) > psnr(image[mask], plain[mask]) + 5


@pytest.mark.skipif(not shutil.which("grk_decompress"), reason="no grk_decompress")
@pytest.mark.parametrize("irreversible", [False, True])
def test_grok_decodes_regions(tmp_path, irreversible):
    """Five resolutions: Grok refuses code-blocks of more than 24 bit-planes."""
    image = picture(components=3)
    rects = [(60, 40, 120, 90)]
    mask = mask_of(image.shape, rects)
    params = {"quality_mode": "rates", "quality_layers": [12], "num_resolutions": 5, "irreversible": irreversible}
    data = blosc2_grok.encode(image, roi_rects=rects, **params)
    (tmp_path / "in.jp2").write_bytes(data)
    command = ["grk_decompress", "-i", tmp_path / "in.jp2", "-o", tmp_path / "out.png"]
    subprocess.run(command, check=True, capture_output=True)
    decoded = imagecodecs.imread(tmp_path / "out.png")
    assert np.abs(decoded.astype(int) - blosc2_grok.decode(data)).max() <= 2
    assert psnr(image[mask], decoded[mask]) > psnr(image[~mask], decoded[~mask]) + 10


def test_layers_begin_with_the_region():
    image = picture(300, 400)
    rects = [(100, 100, 180, 160)]
    mask = mask_of(image.shape, rects)
    data = blosc2_grok.encode(image, roi_rects=rects, quality_mode="rates", quality_layers=[40, 20, 10, 1])
    quality = []
    for layer in (1, 2, 3, 4):
        decoded = blosc2_grok.decode(data, layers=layer)
        quality.append((psnr(image[mask], decoded[mask]), psnr(image[~mask], decoded[~mask])))
    assert quality[0][0] > quality[0][1] + 10
    assert quality[3] == (np.inf, np.inf)
    assert [q[0] for q in quality] == sorted(q[0] for q in quality)


def test_psnr_targets_hold_with_a_region():
    image = picture()
    data = blosc2_grok.encode(image, roi_rects=(20, 20, 60, 50), quality_mode="dB", quality_layers=[40])
    assert 40 <= psnr(image, blosc2_grok.decode(data)) < 40.5


def test_masks():
    image = picture(components=3)
    rects = [(10, 10, 31, 30), (150, 100, 163, 141)]
    mask = mask_of(image.shape, rects)
    assert blosc2_grok.encode(image, roi_mask=mask) == blosc2_grok.encode(image, roi_rects=rects)
    assert blosc2_grok.encode(image, roi_mask=7 * mask.astype(np.float32)) == blosc2_grok.encode(image, roi_rects=rects)
    both = blosc2_grok.encode(image, roi_mask=mask_of(image.shape, rects[:1]), roi_rects=rects[1])
    assert both == blosc2_grok.encode(image, roi_rects=rects)
    y, x = np.mgrid[0:150, 0:200]
    disc = (x - 100) ** 2 + (y - 70) ** 2 < 30**2
    data = blosc2_grok.encode(image, roi_mask=disc, quality_mode="rates", quality_layers=[4], irreversible=False)
    decoded = openjpeg(data)
    assert np.array_equal(decoded[disc], image[disc]) and psnr(image[~disc], decoded[~disc]) < 40
    with pytest.raises(ValueError, match="roi_mask: 100 samples do not mask an image of 150 x 200"):
        blosc2_grok.encode(image, roi_mask=np.ones((10, 10)))


def test_nothing_and_everything_as_region():
    image = picture()
    for mask in (np.zeros(image.shape), np.ones(image.shape)):
        data = blosc2_grok.encode(image, roi_mask=mask)
        assert np.array_equal(openjpeg(data), image)


def shifts(data):
    """Component and shift of all RGN marker segments of the main header (T.800 A.6.3)."""
    found, at = {}, data.index(b"\xff\x4f\xff\x51") + 2
    while data[at : at + 2] != b"\xff\x90":
        if data[at : at + 2] == b"\xff\x5e":
            assert data[at + 2 : at + 4] == b"\x00\x05" and data[at + 5] == 0
            found[data[at + 4]] = data[at + 6]
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return found


def test_the_shift():
    image = picture(components=3)
    rects = (60, 40, 120, 90)
    found = shifts(blosc2_grok.encode(image, roi_rects=rects))
    assert set(found) == {0, 1, 2} and 8 <= min(found.values()) <= max(found.values()) <= 12
    assert set(shifts(blosc2_grok.encode(image, roi_rects=rects, roi_compno=1))) == {1}
    assert shifts(blosc2_grok.encode(image, roi_rects=rects, roi_shift=15)) == {0: 15, 1: 15, 2: 15}
    assert shifts(blosc2_grok.encode(image, roi_compno=2, roi_shift=3)) == {2: 3}
    with pytest.raises(ValueError, match=r"roi_shift 5: the samples outside of the region need \d+"):
        blosc2_grok.encode(image, roi_rects=rects, roi_shift=5)


def test_deep_samples():
    image = picture(64, 80, dtype=np.uint16)
    rects = [(10, 10, 40, 30)]
    data = blosc2_grok.encode(image, roi_rects=rects)
    assert np.array_equal(blosc2_grok.decode(data), image)
    assert 14 <= shifts(data)[0] <= 20


@pytest.mark.parametrize(("params", "message"), [
    ({"roi_rects": (5, 5, 5, 9)}, "roi_rects"),
    ({"roi_rects": (5, 5, 9)}, "roi_rects"),
    ({"roi_rects": [(0, 0, 4, 4)] * 65}, "roi_rects"),
    ({"roi_rects": (0, 0, 201, 10)}, r"roi_rects: \(0, 0\) to \(201, 10\) is not a rectangle inside the image of 200 x 150"),
    ({"roi_rects": (0, 0, 20, 10), "mode": GrkMode.HT}, "roi_rects, roi_mask: HT"),
    ({"roi_rects": (0, 0, 20, 10), "roi_compno": 1}, "roi_component 1: the image has 1 component"),
    ({"roi_rects": (0, 0, 20, 10), "rsiz": 0x400}, "no region of interest"),
])  # fmt: skip
def test_bad_regions(params, message):
    with pytest.raises(ValueError, match=message):
        blosc2_grok.encode(picture(), **params)
