# Regions, resolutions and layers, against opj_decompress -d, -r and -l.
# SPDX-License-Identifier: BSD-3-Clause
import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest

import images
import ours
from images import assert_same, read_pgx

SHARED = Path(os.environ.get("J2K_SHARED") or Path(__file__).resolve().parents[3] / "shared")
TOOLS = [shutil.which(name) for name in ("opj_compress", "opj_decompress")]
pytestmark = pytest.mark.skipif(not all(TOOLS), reason="no opj_compress and opj_decompress")


def run(*command) -> None:
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"


def compress(image, folder: Path, *options: str) -> bytes:
    """By opj_compress. It takes one PGX file, or raw samples."""
    raw, out = folder / "in.raw", folder / "made.j2k"
    raw.write_bytes(b"".join(p.data.astype("u1" if p.depth <= 8 else ">u2").tobytes() for p in image.planes))
    height, width = image.planes[0].data.shape
    form = f"{width},{height},{len(image.planes)},{image.planes[0].depth},u"
    run(TOOLS[0], "-i", raw, "-F", form, "-o", out, *options)
    return out.read_bytes()


def decompress(data: bytes, folder: Path, options: list[str]) -> list[images.Plane]:
    for old in folder.glob("theirs*"):
        old.unlink()
    source = folder / "in.j2k"
    source.write_bytes(data)
    run(TOOLS[1], "-quiet", "-i", source, "-o", folder / "theirs.pgx", *options)
    return [read_pgx(p) for p in sorted(folder.glob("theirs*.pgx"), key=lambda p: int(p.stem.split("_")[1]))]


OURS = {
    "ours-tiles-offset": (
        dict(width=203, height=151, components=3, offset=(13, 7)),
        dict(tile=(64, 50), tile_offset=(5, 3), resolutions=5, ratio=[30, 10, 1], irreversible=False),
    ),
    "ours-precincts": (
        dict(width=240, height=170, offset=(31, 64)),
        dict(precincts=[(64, 64), (32, 32)], progression="RPCL", resolutions=4, ratio=[40, 5], plt=True),
    ),
    "ours-tiles-precincts": (
        dict(width=180, height=200, depth=12),
        dict(tile=(70, 90), precincts=[(32, 16)], progression="PCRL", tlm=True, plt=True, ratio=[8, 1], irreversible=False),
    ),
    "ours-parts": (
        dict(width=150, height=130, components=2, depth=16),
        dict(tile=(77, 55), tile_parts="R", progression="CPRL", mct=0, layers=2),
    ),
}  # fmt: skip
THEIRS = {
    "opj-tiles": ["-t", "64,48", "-r", "30,10,1", "-n", "5"],
    "opj-tiles-offset": ["-t", "64,64", "-d", "17,9", "-T", "5,7", "-n", "4", "-r", "20,5", "-p", "RLCP"],
    "opj-precincts": ["-c", "[64,64],[32,32],[16,16]", "-n", "4", "-p", "RPCL", "-r", "40,10,1", "-I"],
    "opj-tiles-precincts": ["-t", "90,100", "-c", "[32,32],[32,32]", "-b", "16,16", "-p", "PCRL", "-d", "3,5"],
    "opj-parts": ["-t", "100,80", "-TP", "R", "-SOP", "-EPH", "-p", "CPRL", "-n", "6", "-r", "9,1", "-M", "5"],
}
FILES = [
    "generated/rgb_rev_tiles_rpcl.j2k",
    "generated/rgb_rev_tiles_offsets_pcrl.j2k",
    "generated/rgb_rev_cprl_prec.j2k",
    "opj/tnsot_zero.jp2",
]


@pytest.fixture(scope="module")
def stream(request, tmp_path_factory):
    name = request.param
    if name in OURS:
        image_arguments, options = OURS[name]
        return ours.encode(images.make(**image_arguments), **options)
    if name in THEIRS:
        image = images.make(230, 180, components=1 if "precincts" in name else 3)
        return compress(image, tmp_path_factory.mktemp("made"), *THEIRS[name])
    if not SHARED.exists():
        pytest.skip("no test data: set J2K_SHARED, or put it in ../shared")
    return (SHARED / "valid" / name).read_bytes()


def regions(found: dict, rng) -> list[tuple[int, int, int, int]]:
    """From the image's upper left corner: a point, a line, odd ones, one across all tiles, up to the last corner."""
    width, height = found["x1"] - found["x0"], found["y1"] - found["y0"]
    out = [(0, 0, 1, 1), (width - 1, height - 1, width, height), (0, height // 2, width, height // 2 + 1)]
    out.append((1, 1, width - 1, height - 1))
    for _ in range(4):
        x0, x1 = sorted(rng.sample(range(width + 1), 2))
        y0, y1 = sorted(rng.sample(range(height + 1), 2))
        out.append((x0, y0, x1, y1))
    return out


def size_of(value: int, shift: int) -> int:
    return -(-value >> shift)


# A tile of one row at an odd coordinate: 5/3 synthesis halves its coefficients (F.3.6), which are even unless layers are left
# out. The standard does not say how to round then; OpenJPEG rounds towards zero.
HALVED = {"ours-tiles-offset"}


@pytest.mark.parametrize("stream", [*OURS, *THEIRS, *FILES], indirect=True, ids=lambda name: name.split("/")[-1])
def test_parts_like_opj_decompress(stream, request, tmp_path):
    found = ours.info(stream)
    tolerance = 1 if found["irreversible"] else 0
    rng = random.Random(len(stream))
    x0, y0 = found["x0"], found["y0"]
    layers, levels = found["num_layers"], found["num_resolutions"] - 1
    selections = [(None, 0, 0)]
    selections += [(None, reduce, 0) for reduce in range(1, levels + 1)]
    selections += [(None, 0, layer) for layer in range(1, layers + 1)]
    for region in regions(found, rng):
        selections.append((region, 0, 0))
        selections.append((region, rng.randint(0, levels), rng.randint(0, layers)))
    compared = 0
    for region, reduce, layer in selections:
        here, there = ["--reduce", str(reduce), "--max-layers", str(layer)], ["-r", str(reduce), "-l", str(layer)]
        if region:
            a, b, c, d = region
            here += ["--region", f"{a},{b},{c},{d}"]
            there += ["-d", f"{a + x0},{b + y0},{c + x0},{d + y0}"]
            empty = size_of(a + x0, reduce) == size_of(c + x0, reduce) or size_of(b + y0, reduce) == size_of(
                d + y0, reduce
            )
            if empty:
                continue
        text = f"region {region}, reduce {reduce}, layers {layer}"
        halved = request.node.callspec.id in HALVED and 0 < layer < layers
        assert_same(decompress(stream, tmp_path, there), ours.decode(stream, *here), tolerance or int(halved), text)
        compared += 1
    assert compared > 10
