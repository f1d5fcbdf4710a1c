# Transcoded streams have the samples of the original, for our decoder and for OpenJPEG.
# SPDX-License-Identifier: BSD-3-Clause
import os
from pathlib import Path

import pytest

import cases
import images
import ours
from images import assert_same

SHARED = Path(os.environ.get("J2K_SHARED", Path(__file__).resolve().parents[2].parent / "shared"))
HT, CAUSAL, BYPASS = 64, 8, 1
STRESS = "--style bypass,reset,termall,segmentation"
# Every 23rd case of the grid, and all that cut code-blocks in the middle of a bit-plane.
SOME = [
    c for i, c in enumerate(cases.all_cases()) if i % 23 == 0 or c[0].startswith(("styles-layers", "roi", "layers"))
]
ALL = os.environ.get("J2K_FULL_MATRIX")


def checked_decode(openjpeg, data, expected, by_openjpeg, what):
    assert_same(expected, ours.decode(data), 0, f"{what}, our own decoder")
    if by_openjpeg:
        assert_same(by_openjpeg, openjpeg.decode(data), 0, f"{what}, OpenJPEG")


def openjpeg_decodes(options, style):
    """It has no regions of interest in HT, and counts the bit-planes that BYPASS codes without them."""
    return not (options.get("roi") and style & (HT | BYPASS))


@pytest.mark.parametrize(("name", "arguments", "options"), cases.all_cases() if ALL else SOME)
def test_samples_stay(openjpeg, name, arguments, options):
    image = images.make(**arguments)
    data = ours.encode(image, **options)
    style = ours.info(data)["codeblock_style"]
    expected = ours.decode(data)
    by_openjpeg = openjpeg.decode(data) if openjpeg_decodes(options, style) else None

    ht = ours.transcode(data, "--ht")
    assert ours.info(ht)["codeblock_style"] == HT | style & CAUSAL
    assert ours.info(ht)["num_layers"] == 1
    checked_decode(openjpeg, ht, expected, openjpeg_decodes(options, HT) and by_openjpeg, "HT")

    back = ours.transcode(ht, "--part1")
    assert ours.info(back)["codeblock_style"] == style & CAUSAL
    checked_decode(openjpeg, back, expected, by_openjpeg, "back from HT")

    other = ours.transcode(data, *STRESS.split(), "--progression", "RPCL", "--sop", "--eph", "--plt", "--tlm")
    described = ours.info(other)
    assert described["codeblock_style"] == 39 | style & CAUSAL and described["progression"] == "RPCL"
    assert described["num_layers"] == ours.info(data)["num_layers"]
    checked_decode(openjpeg, other, expected, openjpeg_decodes(options, BYPASS) and by_openjpeg, "BYPASS and others")

    again = ours.transcode(other, "--style", "none", "--merge-layers", "--no-sop", "--no-plt", "--progression", "CPRL")
    checked_decode(openjpeg, again, expected, by_openjpeg, "merged layers")


@pytest.mark.parametrize("options", [{"ratio": [30, 15, 5]}, {"psnr": [25, 32, 38]}, {"layers": 4}])
@pytest.mark.parametrize("style", [0, 1, 4, 37])
def test_every_layer_stays(openjpeg, options, style):
    data = ours.encode(images.make(180, 140, components=3), style=style, **options)
    coded = ours.transcode(data, "--style", "bypass,pterm", "--progression", "PCRL", "--tile-parts", "R")
    for layers in range(1, ours.info(data)["num_layers"] + 1):
        expected = ours.decode(data, "--max-layers", str(layers))
        assert_same(expected, ours.decode(coded, "--max-layers", str(layers)))


@pytest.mark.parametrize(
    "options",
    [{}, {"tile": (64, 50)}, {"precincts": [(64, 64), (32, 32)]}, {"ratio": [20, 5], "sop": True, "eph": True}],
)
def test_moved_packets(options):
    """Orders and markers change and come back: not a bit is different."""
    data = ours.encode(images.make(150, 110, components=3), progression="LRCP", **options)
    for order in cases.PROGRESSIONS:
        moved = ours.transcode(data, "--progression", order, "--sop", "--eph", "--plt", "--tlm", "--tile-parts", "C")
        assert ours.info(moved)["progression"] == order
        flags = [f"--{'' if options.get(m) else 'no-'}{m}" for m in ("sop", "eph")]
        assert ours.transcode(moved, "--progression", "LRCP", "--no-plt", "--no-tlm", *flags) == data


@pytest.mark.parametrize("style", [0, 4, 13])
@pytest.mark.parametrize("depth", [8, 16])
def test_recoded_bytes(style, depth):
    """Code-blocks with all their passes are what the encoder makes of the same coefficients."""
    image = images.make(150, 110, components=3, depth=depth)
    data = ours.encode(image, style=style)
    names = {0: "none", 4: "termall", 13: "bypass,termall"}
    if not style & CAUSAL:
        assert ours.transcode(ours.encode(image), "--style", names[style]) == data
    ht = ours.transcode(data, "--ht")
    assert ht == ours.encode(image, style=f"ht{',causal' if style & CAUSAL else ''}")
    assert ours.transcode(ht, "--part1", "--style", names[style]) == data


@pytest.mark.parametrize("options", [{}, {"ratio": [20, 8, 3]}, {"style": "ht"}, {"tile": (64, 64), "sop": True}])
def test_truncated(options):
    """What tolerant decoding makes of a part of the data is what is in the new stream, which is whole."""
    data = ours.encode(images.make(150, 110, components=3), **options)
    for share in (0.2, 0.5, 0.9):
        cut = data[: int(len(data) * share)]
        expected = ours.decode(cut, "--tolerant")
        for way in ("--ht", "--part1", "--progression RPCL --plt"):
            with pytest.raises(ours.ToolError, match="end|lack|missing|bytes|EOC|left"):
                ours.transcode(cut, *way.split())
            assert_same(expected, ours.decode(ours.transcode(cut, "--tolerant", *way.split())), 0, way)


def test_threads_and_instruction_sets():
    data = ours.encode(images.make(300, 200, components=3), ratio=[9])
    for way in ("--ht", "--part1 --style bypass"):
        results = {
            ours.transcode(data, *way.split(), *plain, threads=threads)
            for threads in (1, 2)
            for plain in ((), ("--no-simd",))
        }
        assert len(results) == 1


def shared_files():
    found = []
    for folder in ("conformance", "valid"):
        found += sorted(p for p in (SHARED / folder).rglob("*") if p.suffix in (".j2k", ".j2c", ".jhc", ".jp2", ".jph"))
    return found


FILES = shared_files()


@pytest.mark.skipif(not FILES, reason="no conformance and test files at $J2K_SHARED")
@pytest.mark.parametrize("way", ["--ht", "--part1", "--progression PCRL --sop --eph"])
def test_files(way):
    """Each of the files at hand, one in six unless the full matrix is wanted."""
    for path in FILES if ALL else FILES[{"--ht": 0, "--part1": 1}.get(way, 2) :: 6]:
        data = path.read_bytes()
        expected = ours.decode(data)
        coded = ours.transcode(data, *way.split())
        assert_same(expected, ours.decode(coded), 0, f"{path.name} {way}")
        described = ours.info(coded)
        if way in ("--ht", "--part1"):
            assert bool(described["codeblock_style"] & HT) == (way == "--ht")
            other = "--part1" if way == "--ht" else "--ht"
            assert_same(expected, ours.decode(ours.transcode(coded, other)), 0, f"{path.name} and back")
