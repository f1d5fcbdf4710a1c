# Our streams decoded by OpenJPEG and OpenJPEG's decoded here, over the whole grid of cases.
# SPDX-License-Identifier: BSD-3-Clause
import pytest

import images
import ours
import peer_openjpeg
from cases import GROUPS, all_cases, lossless
from images import Plane, assert_same, max_difference, psnr

CASES = [pytest.param(image, options, id=name) for name, image, options in all_cases()]


@pytest.mark.parametrize(("image_arguments", "options"), CASES)
def test_ours_decoded_by_openjpeg(openjpeg, image_arguments, options):
    image = images.make(**image_arguments)
    data = ours.encode(image, **options)
    ours_decoded = ours.decode(data)
    theirs_decoded = openjpeg.decode(data)
    if lossless(options):
        assert_same(image.planes, ours_decoded, 0, "our own decoder")
        assert_same(image.planes, theirs_decoded, 0, "OpenJPEG's decoder")
    else:
        assert_same(theirs_decoded, ours_decoded, None, "our decoder against OpenJPEG's")


# Streams of OpenJPEG's encoder that contradict the standard: refused unless decoding is tolerant, and then decoded as
# OpenJPEG does.
CONTRADICTORY = {
    "mixtures:mixture087": "more missing bit-planes and coding passes than the subband's bit-planes",
}


@pytest.mark.parametrize(("image_arguments", "options"), CASES)
def test_openjpeg_decoded_by_us(openjpeg, request, image_arguments, options):
    image = images.make(**image_arguments)
    try:
        data = openjpeg.encode(image, **options)
    except openjpeg.OpenJPEGError as error:
        pytest.skip(f"OpenJPEG cannot encode this: {error}")
    if request.node.callspec.id in CONTRADICTORY:
        with pytest.raises(ours.ToolError, match="corrupt data"):
            ours.decode(data)
        assert_same(openjpeg.decode(data), ours.decode(data, "--tolerant"), None)
        return
    decoded = ours.decode(data)
    if not lossless(options):
        assert_same(openjpeg.decode(data), decoded, None)
        return
    try:
        assert_same(image.planes, decoded)
    except AssertionError:
        theirs = openjpeg.decode(data)
        if any(max_difference(p.data, q.data) for p, q in zip(image.planes, theirs, strict=True)):
            pytest.skip("OpenJPEG cannot decode its own stream either")
        raise


QUALITY = [c for c in GROUPS["layers"]() if c[0] != "ratios-to-lossless"]


@pytest.mark.parametrize(("image_arguments", "options"), [pytest.param(i, o, id=n) for n, i, o in QUALITY])
def test_targets_are_met(openjpeg, image_arguments, options):
    """The last layer has the ratio or the PSNR that was asked for, by OpenJPEG's decoding."""
    image = images.make(**image_arguments)
    data = ours.encode(image, **options)
    raw = sum(p.data.size * (1 if p.depth <= 8 else 2) for p in image.planes)
    if options.get("ratio"):
        assert len(data) <= raw / options["ratio"][-1] + 16
    else:
        decoded = openjpeg.decode(data)
        got = [psnr(p.data, q.data, p.depth) for p, q in zip(image.planes, decoded, strict=True)]
        assert sum(got) / len(got) >= options["psnr"][-1] - 0.5


@pytest.mark.parametrize("options", [dict(), dict(irreversible=True)], ids=["5/3", "9/7"])
def test_every_layer_improves(openjpeg, options):
    """Decoding more layers never loses quality, and both decoders agree on every layer."""
    image = images.make(200, 150, components=3)
    data = ours.encode(image, ratio=[60, 30, 15, 7, 3], **options)
    last = 0.0
    for layer in range(1, 6):
        here, there = ours.decode(data, "--max-layers", str(layer)), openjpeg.decode(data, layers=layer)
        assert_same(there, here, 1)
        quality = sum(psnr(p.data, q.data, 8) for p, q in zip(image.planes, here, strict=True))
        assert quality > last
        last = quality


@pytest.mark.parametrize("depth", [8, 12, 15, 16])
def test_deep_samples_are_more_exact_than_openjpeg(openjpeg, depth):
    """With a very fine quantiser only the wavelet's own error is left, and there is none of ours to see."""
    image = images.make(161, 147, depth=depth)
    data = ours.encode(image, irreversible=True, base_step=1 / 64, guard_bits=3)
    assert_same(image.planes, ours.decode(data))
    assert_same(image.planes, openjpeg.decode(data), None)


REDUCED = [
    (dict(width=203, height=151, components=3), dict(resolutions=6)),
    (dict(width=203, height=151, components=3, offset=(13, 7)), dict(resolutions=5, tile=(64, 50), irreversible=True)),
    (dict(width=120, height=90, components=3, subsampling=[(1, 1), (2, 2)], offset=(3, 1)), dict(resolutions=4, mct=0)),
    (dict(width=65, height=33, depth=12, signed=True), dict(resolutions=5, precincts=[(32, 32)], irreversible=True)),
]


@pytest.mark.parametrize("encoder", ["ours", "openjpeg"])
@pytest.mark.parametrize(("image_arguments", "options"), REDUCED)
def test_reduced_resolutions(openjpeg, encoder, image_arguments, options):
    image = images.make(**image_arguments)
    data = (ours if encoder == "ours" else openjpeg).encode(image, **options)
    for reduce in range(options["resolutions"]):
        here, there = ours.decode(data, "--reduce", str(reduce)), openjpeg.decode(data, reduce=reduce)
        assert_same(there, here, 1, f"reduce {reduce}")


REGIONS = [(0, 0, 1, 1), (0, 0, 64, 64), (37, 21, 120, 99), (100, 90, 101, 130), (202, 150, 203, 151), (5, 0, 199, 3)]


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize(("image_arguments", "options"), REDUCED[:2])
def test_regions_are_the_same_part_of_the_whole(image_arguments, options, region):
    image = images.make(**image_arguments)
    data = ours.encode(image, **options)
    whole = ours.decode(data)
    part = ours.decode(data, "--region", ",".join(map(str, region)))
    x0, y0, x1, y1 = region
    expected = [Plane(p.data[y0:y1, x0:x1], p.depth, p.signed) for p in whole]
    assert_same(expected, part)


@pytest.mark.parametrize("region", REGIONS)
def test_regions_of_openjpeg_streams(openjpeg, region):
    """Region and reduction together, against OpenJPEG (whose regions count from the origin of the grid)."""
    image = images.make(203, 151, components=3, offset=(13, 7))
    data = openjpeg.encode(image, resolutions=5, tile=(64, 50))
    x0, y0, x1, y1 = region
    there = openjpeg.decode(data, region=(x0 + 13, y0 + 7, x1 + 13, y1 + 7))
    here = ours.decode(data, "--region", ",".join(map(str, region)))
    assert_same(there, here)


def test_chosen_components(openjpeg):
    image = images.make(60, 50, components=4, depth=[8, 12, 1, 16])
    data = openjpeg.encode(image, mct=0, resolutions=3)
    for chosen in ([0], [3], [1, 2], [0, 1, 2, 3]):
        here = ours.decode(data, "--components", ",".join(map(str, chosen)))
        assert_same([image.planes[i] for i in chosen], here)


@pytest.mark.parametrize("tile_poc", [True, False])
def test_progression_order_changes(openjpeg, tile_poc):
    """POC marker segments, which only the decoder meets (T.800 A.6.6)."""
    image = images.make(120, 90, components=3)
    changes = [(1, 0, 0, 1, 4, 3, "CPRL"), (1, 4, 0, 1, 6, 3, "RLCP")]
    options = dict(resolutions=6, poc=changes)
    if tile_poc:
        options["tile"] = (64, 64)
        options["poc"] = [(t, *c[1:]) for t in range(1, 5) for c in changes]
    data = openjpeg.encode(image, **options)
    assert_same(image.planes, ours.decode(data))


def test_many_layers(openjpeg):
    image = images.make(256, 256)
    data = openjpeg.encode(image, ratio=[100 - i for i in range(98)] + [1], irreversible=False)
    assert_same(image.planes, ours.decode(data))


def test_library_version():
    """Shows in the log which OpenJPEG these results come from."""
    print("OpenJPEG", peer_openjpeg.version())
