# High-throughput JPEG 2000 (T.814): our streams decoded by OpenJPH, OpenHTJ2K and OpenJPEG, and theirs by us.
# SPDX-License-Identifier: BSD-3-Clause
import os
from pathlib import Path

import numpy as np
import pytest

import blosc2_grok
import images
import ours
import rivals
from blosc2_grok import GrkFileFmt
from images import assert_same, lossy_tolerance, max_difference, psnr
from peer_grok import Grok

HT = {"style": "ht"}
SHARED = Path(os.environ.get("J2K_SHARED", Path(__file__).resolve().parents[2].parent / "shared"))


@pytest.fixture(scope="module")
def openjph():
    return pytest.importorskip("imagecodecs")


@pytest.fixture(scope="module")
def openhtj2k():
    worker = Grok("htj2k", rivals.python("htj2k"))
    yield worker
    worker.close()


def array(planes) -> np.ndarray:
    stacked = np.stack([p.data for p in planes], axis=-1)
    return stacked[:, :, 0] if len(planes) == 1 else stacked


def typed(planes) -> np.ndarray:
    kind = np.dtype(np.uint8 if planes[0].depth <= 8 else np.uint16 if planes[0].depth <= 16 else np.uint32)
    return array(planes).astype(np.dtype(kind.char.lower()) if planes[0].signed else kind)


def by_openjph(codec, data, planes) -> np.ndarray:
    """imagecodecs gives components one after the other when there is no colour transform."""
    samples = codec.htj2k_decode(data).reshape(-1)
    height, width = planes[0].data.shape
    whole = array(planes)
    if samples.size != whole.size or len(planes) == 1:
        return samples.reshape(whole.shape)
    planar = codec.htj2k_decode(data).shape[0] == len(planes) and whole.shape[0] != len(planes)
    return np.moveaxis(samples.reshape(len(planes), height, width), 0, 2) if planar else samples.reshape(whole.shape)


CASES = {
    "grey": ({}, {}),
    "rgb": ({"components": 3}, {}),
    "rgb-no-mct": ({"components": 3}, {"mct": 0}),
    "odd": ({"width": 101, "height": 67, "components": 3}, {}),
    "row": ({"width": 200, "height": 1}, {}),
    "column": ({"width": 1, "height": 77}, {}),
    "pixel": ({"width": 1, "height": 1}, {}),
    "tiles": ({"components": 3}, {"tile": (61, 47)}),
    "precincts": ({}, {"precincts": [(64, 64), (32, 32)], "codeblock": (32, 16), "progression": "PCRL"}),
    "sop-eph": ({}, {"sop": True, "eph": True}),
    "causal": ({}, {"style": "ht,causal"}),
    "guard-bits": ({}, {"guard_bits": 4}),
    **{f"{w}x{h}": ({"width": 300, "height": 280}, {"codeblock": (w, h)})
       for w, h in ((4, 4), (4, 1024), (1024, 4), (8, 512), (512, 8), (16, 256), (128, 32), (32, 128), (32, 32))},
    **{f"levels-{n}": ({}, {"resolutions": n + 1}) for n in range(9)},
    **{p: ({"components": 3}, {"progression": p}) for p in ("LRCP", "RLCP", "RPCL", "PCRL", "CPRL")},
    **{f"{d}-bit": ({"depth": d}, {}) for d in range(1, 17)},
    **{f"{d}-bit-signed": ({"depth": d, "signed": True}, {}) for d in (2, 8, 12, 16)},
}  # fmt: skip


def make(arguments) -> images.Image:
    return images.make(**{"width": 150, "height": 110, **arguments})


@pytest.mark.parametrize("name", CASES)
def test_lossless(openjpeg, openjph, name):
    arguments, options = CASES[name]
    image = make(arguments)
    data = ours.encode(image, **{**HT, **options})
    assert_same(image.planes, ours.decode(data), 0, "our own decoder")
    assert_same(image.planes, openjpeg.decode(data), 0, "OpenJPEG")
    assert max_difference(by_openjph(openjph, data, image.planes), array(image.planes)) == 0, "OpenJPH"


# OpenHTJ2K crashes on a single row and on tiles of odd sizes, with OpenJPH's streams just as with ours.
OPENHTJ2K = [
    n
    for n, (i, _) in CASES.items()
    if i.get("depth", 8) in (8, 16) and not i.get("signed") and n not in ("pixel", "row", "tiles")
]


@pytest.mark.parametrize("name", OPENHTJ2K)
def test_lossless_openhtj2k(openhtj2k, name):
    arguments, options = CASES[name]
    image = make(arguments)
    data = ours.encode(image, **{**HT, **options})
    height, width = image.planes[0].data.shape
    samples = openhtj2k.decode(data, height, width, len(image.planes), image.planes[0].depth)
    assert max_difference(samples, np.stack([p.data for p in image.planes], axis=-1)) == 0


@pytest.mark.parametrize("depth", [18, 20, 24, 26])
def test_deep(openjph, depth):
    image = make({"depth": depth})
    data = ours.encode(image, **HT)
    assert_same(image.planes, ours.decode(data), 0, "our own decoder")
    try:
        decoded = openjph.htj2k_decode(data)
    except openjph.Htj2kError as error:
        pytest.skip(f"OpenJPH: {error}")
    assert max_difference(decoded, array(image.planes)) == 0


@pytest.mark.parametrize("depth", [8, 12, 16])
@pytest.mark.parametrize("components", [1, 3])
@pytest.mark.parametrize(
    "options", [{"base_step": 0.25}, {"ratio": [6]}, {"psnr": [38]}, {"ratio": [5], "irreversible": False}]
)
def test_lossy(openjpeg, openhtj2k, depth, components, options):
    image = make({"depth": depth, "components": components})
    if "base_step" in options:
        options = {**options, "irreversible": True}
    data = ours.encode(image, **HT, **options)
    decoded = ours.decode(data)
    assert_same(openjpeg.decode(data), decoded, None, "OpenJPEG")
    if depth == 8:
        height, width = image.planes[0].data.shape
        samples = openhtj2k.decode(data, height, width, components, depth)
        assert max_difference(samples, np.stack([p.data for p in decoded], axis=-1)) <= lossy_tolerance(depth) + 1


@pytest.mark.parametrize("options", [{"ratio": [4]}, {"ratio": [20]}, {"ratio": [5], "irreversible": False}])
@pytest.mark.parametrize("components", [1, 3])
def test_ratio(options, components):
    image = images.make(300, 260, components=components)
    data = ours.encode(image, **HT, **options)
    budget = 300 * 260 * components / options["ratio"][-1]
    assert 0.97 * budget <= len(data) <= budget


@pytest.mark.parametrize("target", [32, 38, 44])
@pytest.mark.parametrize("irreversible", [True, False])
def test_psnr(openjpeg, target, irreversible):
    image = images.make(300, 260)
    decoded = openjpeg.decode(ours.encode(image, **HT, psnr=[target], irreversible=irreversible))
    got = psnr(image.planes[0].data, decoded[0].data, 8)
    assert target - 0.001 <= got <= target + 0.3


@pytest.mark.parametrize("layers", [{"layers": 3}, {"ratio": [30, 15, 5]}, {"psnr": [25, 30, 38]}])
def test_layers(openjpeg, layers):
    """Later layers only add to what is there."""
    image = images.make(300, 260)
    data = ours.encode(image, **HT, **layers)
    qualities = [psnr(image.planes[0].data, ours.decode(data, "--max-layers", str(n))[0].data, 8) for n in (1, 2, 3)]
    assert qualities == sorted(qualities)
    for target, got in zip(layers.get("psnr", []), qualities, strict=False):
        assert got >= target - 0.001
    assert_same(openjpeg.decode(data), ours.decode(data), None)


@pytest.mark.parametrize("components", [1, 3])
@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("options", [{}, {"tile": (64, 48)}, {"resolutions": 2}, {"reversible": False}])
def test_openjph_writes(openjpeg, openjph, components, depth, options):
    image = make({"depth": depth, "components": components})
    data = openjph.htj2k_encode(typed(image.planes), **{"reversible": True, **options})
    if options.get("reversible", True):
        assert_same(image.planes, ours.decode(data))
    else:
        assert_same(openjpeg.decode(data), ours.decode(data), None)


def test_jph():
    data = ours.encode(images.make(60, 50, components=3), **HT, format="jph")
    assert data[20:24] == b"jph " and b"jph " in data[24:40]
    described = ours.info(data)
    assert described["format"] == "jph" and described["codeblock_style"] == 64


@pytest.mark.parametrize("name", ["kodim23.png", "eight.png", "MI04_020751.tif"])
def test_size(openjph, name):
    """Within 0.5% of OpenJPH's lossless size."""
    path = SHARED / "images" / name
    if not path.exists():
        pytest.skip(f"no {path}")
    samples = openjph.imread(str(path))
    if samples.ndim == 2:
        samples = samples[:, :, None]
    depth = samples.dtype.itemsize * 8
    height, width, count = samples.shape
    planes = [images.Plane(samples[:, :, c].astype(np.int32), depth) for c in range(count)]
    data = ours.encode(images.Image(planes, 0, 0, width, height), **HT)
    theirs = openjph.htj2k_encode(samples[:, :, 0] if count == 1 else samples, reversible=True)
    assert len(data) <= 1.005 * len(theirs)


def test_others_styles_are_refused():
    with pytest.raises(ours.ToolError, match="vertically causal"):
        ours.encode(images.make(20, 20), style="ht,bypass")


def photographs() -> dict[str, np.ndarray]:
    from PIL import Image

    root = Path(__file__).resolve().parents[2]
    photo = np.asarray(Image.open(root / "examples" / "kodim23.png").convert("RGB"))
    found = {"kodim23": photo, "kodim23 green": np.ascontiguousarray(photo[:, :, 1])}
    if (SHARED / "images" / "MI04_020751.tif").exists():
        import tifffile

        found["tomography"] = tifffile.imread(SHARED / "images" / "MI04_020751.tif")
    try:
        from skimage import data
    except ImportError:
        return found
    return found | {n: getattr(data, n)() for n in ("camera", "astronaut", "coffee", "moon", "brick", "grass")}


def test_lossless_sizes(openjph):
    """Our lossless streams are as small as OpenJPH's."""
    for name, image in photographs().items():
        ours_size = len(blosc2_grok.encode(image, ht=True, cod_format=GrkFileFmt.GRK_FMT_J2K))
        theirs = len(openjph.htj2k_encode(image, reversible=True))
        assert ours_size <= 1.005 * theirs, name
