# Our streams decoded by Grok, and Grok's decoded here, through the published Blosc2 plugins.
# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
import pytest

import images
import ours
import rivals
from cases import all_cases, lossless
from peer_grok import Grok, GrokError, interleaved


@pytest.fixture(scope="module", params=["grok", "j2k"])
def grok(request):
    """blosc2-grok 0.3.5 under blosc2 4.1.2, and blosc2-j2k 0.4.0 under today's."""
    worker = Grok(request.param, rivals.python(request.param))
    yield worker
    worker.close()


def suits_the_plugins(image: dict) -> bool:
    """The plugins hand out interleaved unsigned samples of 8 or 16 bits."""
    signed, depth = image.get("signed", False), image.get("depth", 8)
    return signed is False and depth in (8, 16) and "subsampling" not in image


CASES = [
    pytest.param(image, options, id=name)
    for name, image, options in all_cases()
    if suits_the_plugins(image) and "roi" not in options and image.get("components", 1) <= 4
]


@pytest.mark.parametrize(("image_arguments", "options"), CASES)
def test_ours_decoded_by_grok(grok, openjpeg, image_arguments, options):
    image = images.make(**image_arguments)
    data = ours.encode(image, **options)
    depth, count = image.planes[0].depth, len(image.planes)
    height, width = image.planes[0].data.shape
    there = grok.decode(data, height, width, count, depth)
    if lossless(options):
        if images.max_difference(there, interleaved(image)):
            same_case = grok.decode(openjpeg.encode(image, **options), height, width, count, depth)
            if images.max_difference(same_case, interleaved(image)):
                pytest.skip("Grok decodes OpenJPEG's stream of this case wrongly, too")
        assert images.max_difference(there, interleaved(image)) == 0
    else:
        here = np.stack([p.data for p in ours.decode(data)], axis=-1)
        assert images.max_difference(there, here) <= images.lossy_tolerance(depth)


GROK_OPTIONS = {
    "default": {},
    "jp2": {"cod_format": "GRK_FMT_JP2"},
    "one-resolution": {"num_resolutions": 1},
    "tiles": {"tile_size": [40, 33]},
    "precincts": {"precinct_size": [64, 32]},
    "blocks-16x32": {"codeblock_size": [16, 32]},
    "offset": {"offset": [5, 3]},
    "9/7": {"irreversible": True},
    "ratio-10": {"quality_mode": "rates", "quality_layers": [10]},
    "ratios": {"quality_mode": "rates", "quality_layers": [40, 20, 5], "irreversible": True},
    "psnr": {"quality_mode": "dB", "quality_layers": [40]},
    "guard-bits": {"numgbits": 3},
    **{p: {"progression": p, "num_resolutions": 4} for p in ("LRCP", "RLCP", "RPCL", "PCRL", "CPRL")},
    **{f"mode{m}": {"mode": m} for m in (1, 2, 4, 8, 16, 32, 5, 21, 37, 63)},
    **{
        f"mode{m}-rates": {"mode": m, "quality_mode": "rates", "quality_layers": [30, 12]}
        for m in (1, 2, 4, 8, 16, 32, 5, 21, 37, 63)
    },
}
SAMPLES = {
    "grey8": dict(width=90, height=75),
    "rgb8": dict(width=90, height=75, components=3),
    "grey16": dict(width=90, height=75, depth=16),
}


@pytest.mark.parametrize("sample", SAMPLES)
@pytest.mark.parametrize("name", GROK_OPTIONS)
def test_grok_decoded_by_us(grok, openjpeg, name, sample):
    image = images.make(**SAMPLES[sample])
    samples = interleaved(image)
    if samples.shape[2] == 1:
        samples = samples[:, :, 0]
    parameters = {"cod_format": "GRK_FMT_J2K", **GROK_OPTIONS[name]}
    try:
        data = grok.encode(samples, **parameters)
    except GrokError as error:
        pytest.skip(f"Grok cannot encode this: {error}")
    here = np.stack([p.data for p in ours.decode(data)], axis=-1)
    exact = not GROK_OPTIONS[name].get("irreversible") and "quality_mode" not in GROK_OPTIONS[name]
    if exact:
        different = images.max_difference(here, interleaved(image))
        theirs = np.stack([p.data for p in openjpeg.decode(data)], axis=-1)
        if different and images.max_difference(theirs, interleaved(image)):
            pytest.skip("OpenJPEG does not get the original from this stream either")
        assert different == 0
    else:
        there = np.stack([p.data for p in openjpeg.decode(data)], axis=-1)
        assert images.max_difference(here, there) <= images.lossy_tolerance(image.planes[0].depth)
