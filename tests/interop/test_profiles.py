# Profiles: what each one prescribes is in the stream, as another parser sees it; what contradicts it is refused.
# SPDX-License-Identifier: BSD-3-Clause
import subprocess
import tempfile
import warnings
from pathlib import Path

import pytest

import images
import ours
from images import assert_same, psnr

glymur = pytest.importorskip("glymur")

CINEMA_2K, CINEMA_4K, S2K, S4K, LTS = 3, 4, 5, 6, 7
BC_SINGLE, BC_MULTI, BC_MULTI_R = 0x100, 0x200, 0x300
IMF_2K, IMF_4K, IMF_8K, IMF_2K_R, IMF_4K_R, IMF_8K_R = 0x400, 0x500, 0x600, 0x700, 0x800, 0x900
VIDEO = [CINEMA_2K, CINEMA_4K, S2K, S4K, BC_SINGLE | 3, BC_MULTI, BC_MULTI_R | 6, IMF_2K | 0x22 | 4, IMF_4K, IMF_8K]
VIDEO += [IMF_2K_R | 1, IMF_4K_R, IMF_8K_R]
REVERSIBLE = (BC_MULTI_R | 6, IMF_2K_R | 1, IMF_4K_R, IMF_8K_R)


def parse(data: bytes) -> dict[str, list]:
    """Marker segments by their names, as glymur reads them."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # glymur does not know all profiles
        path = Path(folder) / "in.j2k"
        path.write_bytes(data)
        segments = {}
        for segment in glymur.Jp2k(path).get_codestream(header_only=False).segment:
            segments.setdefault(segment.marker_id, []).append(segment)
        return segments


def picture(width=300, height=200, depth=12, components=3, **more):
    return images.make(width, height, depth=depth, components=components, **more)


@pytest.mark.parametrize("rsiz", VIDEO, ids=hex)
def test_profiles_for_video(openjpeg, rsiz):
    image = picture()
    data = ours.encode(image, rsiz=rsiz)
    found = parse(data)
    siz, cod, qcd = found["SIZ"][0], found["COD"][0], found["QCD"][0]
    levels = cod.num_res
    assert siz.rsiz == rsiz
    assert (siz.xosiz, siz.yosiz, siz.xtosiz, siz.ytosiz) == (0, 0, 0, 0)
    assert (siz.xtsiz, siz.ytsiz) == (300, 200)
    assert 1 <= levels <= 5 and cod.prog_order == 4 and cod.layers == 1
    assert tuple(cod.code_block_size) in [(32, 32), (64, 64)] and cod.cstyle == 0
    # Precinct sizes out of the bytes: glymur computes them in 8 bits.
    assert cod.scod == 1 and data[cod.offset + 14 : cod.offset + 2 + cod.length] == b"\x77" + b"\x88" * levels
    assert cod.xform == (1 if rsiz in REVERSIBLE else 0)
    if rsiz < BC_SINGLE or rsiz >= IMF_2K:
        assert tuple(cod.code_block_size) == (32, 32)
    if rsiz in (CINEMA_2K, CINEMA_4K):
        assert qcd.guard_bits == {CINEMA_2K: 1, CINEMA_4K: 2}[rsiz]
    split = rsiz in (CINEMA_4K, S4K)
    parts = [(sot.isot, sot.tpsot, sot.tnsot) for sot in found["SOT"]]
    assert parts == [(0, i, 6 if split else 3) for i in range(6 if split else 3)]
    (tlm,) = found["TLM"]
    assert list(tlm.ptlm) == [sot.psot for sot in found["SOT"]] and list(tlm.ttlm) == [0] * len(parts)
    assert {"RGN", "PPM", "PPT", "COC", "QCC"}.isdisjoint(found)
    if split:
        (poc,) = found["POD"]
        # T.800 table A.32: RSpoc, CSpoc, LYEpoc (2 bytes), REpoc, CEpoc, Ppoc.
        changes = bytes([0, 0, 0, 1, levels, 3, 4]) + bytes([levels, 0, 0, 1, levels + 1, 3, 4])
        assert data[poc.offset + 4 : poc.offset + 2 + poc.length] == changes
    else:
        assert "POD" not in found
    decoded = openjpeg.decode(data)
    if rsiz in REVERSIBLE:
        assert_same(image.planes, decoded)
    assert_same(ours.decode(data), decoded, None)
    assert min(psnr(p.data, q.data, 12) for p, q in zip(image.planes, decoded, strict=True)) > 50


def test_4k_cinema_begins_with_the_2k_image(openjpeg):
    """Decoding the first three tile-parts only, at half the resolution, is what the stream as a whole gives there."""
    image = picture(700, 500)
    data = ours.encode(image, rsiz=CINEMA_4K)
    fourth = parse(data)["SOT"][3]
    half = openjpeg.decode(data, reduce=1)
    assert_same(half, ours.decode(data[: fourth.offset] + b"\xff\xd9", "--reduce", "1", "--tolerant"), None)


def test_structure_is_that_of_openjpegs_cinema_encoder(openjpeg):
    """The same marker segments in the same places, and the same coding parameters but for the guard bits (OpenJPEG
    writes two, the DCI specification wants one) and the step sizes."""
    image = picture(512, 270)
    with tempfile.TemporaryDirectory() as folder:
        names = Path(folder) / "in.ppm", Path(folder) / "out.j2k"
        samples = [plane.data.astype(">u2")[..., None] for plane in image.planes]
        import numpy as np

        names[0].write_bytes(b"P6\n512 270\n4095\n" + np.concatenate(samples, axis=2).tobytes())
        command = ["opj_compress", "-i", str(names[0]), "-o", str(names[1]), "-cinema2K", "24"]
        try:
            done = subprocess.run(command, capture_output=True)
        except FileNotFoundError:
            pytest.skip("no opj_compress")
        if done.returncode:
            pytest.skip("opj_compress cannot encode this")
        theirs = parse(names[1].read_bytes())
    own = parse(ours.encode(image, rsiz=CINEMA_2K))
    assert {name: len(found) for name, found in own.items()} == {
        name: len(found) for name, found in theirs.items() if name != "CME"
    }
    for a, b in [(own["SIZ"][0], theirs["SIZ"][0]), (own["COD"][0], theirs["COD"][0])]:
        for name, value in vars(a).items():
            if not name.startswith("_") and name not in ("offset", "length"):
                assert np.array_equal(value, getattr(b, name)), name


@pytest.mark.parametrize(
    ("frame_rate", "limit", "component_limit"), [(0, 1302083, 1041666), (24, 1302083, 1041666), (48, 651041, 520833)]
)
def test_cinema_limits_the_bytes(openjpeg, frame_rate, limit, component_limit):
    """The image is noise, of which 9/7 coding without a limit makes 2.4 MB (48: 1.2 MB)."""
    import numpy as np

    height = 540 if frame_rate < 48 else 270
    image = picture(1024, height)
    for plane in image.planes:
        plane.data = np.random.default_rng(plane.data[0, 0]).integers(0, 4096, plane.data.shape, np.int32)
    data = ours.encode(image, rsiz=CINEMA_2K, frame_rate=frame_rate)
    assert 0.99 * limit < len(data) <= limit
    assert max(sot.psot for sot in parse(data)["SOT"]) <= component_limit
    assert len(ours.encode(image, irreversible=True, codeblock=(32, 32))) > 1.5 * limit
    if frame_rate == 24:
        assert_same(ours.decode(data), openjpeg.decode(data), None)


def test_levels_limit_the_bytes():
    image = picture(400, 300)
    free = len(ours.encode(image, rsiz=IMF_2K))
    # Sublevel 1: 200 Mbit/s; main level 5: 520 million samples a second.
    data = ours.encode(image, rsiz=IMF_2K | 0x10 | 5, frame_rate=200)
    assert 0.98 * 125_000 < len(data) <= 125_000 < free
    # Broadcast level 1: 200 Mbit/s.
    data = ours.encode(image, rsiz=BC_SINGLE | 1, frame_rate=150)
    assert 0.98 * 166_666 < len(data) <= 166_666
    with pytest.raises(ours.ToolError, match=r"level 1 allows 65"):
        ours.encode(image, rsiz=BC_SINGLE | 1, frame_rate=200)
    with pytest.raises(ours.ToolError, match=r"IMF 2K reversible \(rsiz 1813\): .* bytes; framerate and level"):
        ours.encode(image, rsiz=IMF_2K_R | 0x10 | 5, frame_rate=200)


@pytest.mark.parametrize(("rsiz", "options"), [
    (1, {}), (1, {"tile": (128, 128)}), (1, {"codeblock": (32, 32), "style": 4 | 16 | 32}), (1, {"progression": "RPCL"}),
    (2, {}), (2, {"tile": (256, 256)}), (2, {"codeblock": (16, 64), "style": 63}), (2, {"roi": (0, 5)}),
    (LTS, {"tile": (64, 40), "style": 63}),
    (BC_MULTI, {"tile": (150, 100)}), (BC_MULTI, {"tile": (300, 50)}), (BC_MULTI_R, {"tile": (150, 100)}),
    (BC_SINGLE, {"codeblock": (128, 32)}), (IMF_8K_R, {"resolutions": 3}),
])  # fmt: skip
def test_what_profiles_leave_open(openjpeg, rsiz, options):
    image = picture()
    data = ours.encode(image, rsiz=rsiz, **options)
    found = parse(data)
    assert found["SIZ"][0].rsiz == rsiz
    if rsiz == BC_MULTI:
        assert len(found["SOT"]) == 12 and len({sot.isot for sot in found["SOT"]}) == 4
    assert_same(ours.decode(data), openjpeg.decode(data), None)


def test_large_images_of_profile_0_and_1_get_more_levels():
    image = picture(5000, 20, depth=8, components=1)
    assert parse(ours.encode(image, rsiz=2, resolutions=7))["COD"][0].num_res == 6
    with pytest.raises(ours.ToolError, match="num_resolutions: with 6, the lowest resolution"):
        ours.encode(image, rsiz=2)


REFUSED = [
    (CINEMA_2K, {"progression": "LRCP"}, {}, "Cinema 2K .*progression must be CPRL, not LRCP"),
    (CINEMA_2K, {"codeblock": (64, 64)}, {}, "Cinema 2K .*codeblock_size"),
    (CINEMA_2K, {"style": 1}, {}, "Cinema 2K .*mode: code-block style 1"),
    (CINEMA_2K, {"style": 64}, {}, "Cinema 2K .*mode: code-block style 64"),
    (CINEMA_2K, {"irreversible": False}, {}, "Cinema 2K .*irreversible must be true"),
    (CINEMA_2K, {"resolutions": 7}, {}, "Cinema 2K .*num_resolutions must be 1 to 6, not 7"),
    (CINEMA_2K, {"guard_bits": 3}, {}, "Cinema 2K .*guard bits must be 1, not 3"),
    (CINEMA_2K, {"layers": 2}, {}, "Cinema 2K .*2 layers"),
    (CINEMA_2K, {"ratio": [20, 10]}, {}, "Cinema 2K .*2 layers"),
    (CINEMA_2K, {"precincts": [(256, 256)]}, {}, "Cinema 2K .*precinct_size must be"),
    (CINEMA_2K, {"tile_parts": "R"}, {}, "Cinema 2K .*enableTilePartGeneration must be C"),
    (CINEMA_2K, {"tile": (128, 128)}, {}, "Cinema 2K .*tile_size 128 x 128: one tile"),
    (CINEMA_2K, {"roi": (0, 5)}, {}, "Cinema 2K .*no region of interest"),
    (CINEMA_2K, {"frame_rate": 23}, {}, "Cinema 2K .*framerate must be 24, .*not 23"),
    (CINEMA_2K, {}, {"depth": 8}, "Cinema 2K .*8-bit unsigned samples; 12 to 12"),
    (CINEMA_2K, {}, {"signed": True}, "Cinema 2K .*12-bit signed"),
    (CINEMA_2K, {}, {"components": 1}, "Cinema 2K .*1 components; 3 to 3"),
    (CINEMA_2K, {}, {"offset": (1, 0)}, "Cinema 2K .*offset"),
    (CINEMA_2K, {}, {"width": 2049}, "Cinema 2K .*at most 2048 x 1080"),
    (CINEMA_2K, {}, {"subsampling": [(1, 1), (2, 1)]}, "Cinema 2K .*component 1 is subsampled by 2 x 1"),
    (CINEMA_4K, {"resolutions": 1}, {}, "Cinema 4K .*num_resolutions must be 2 to 7, not 1"),
    (CINEMA_4K, {"frame_rate": 48}, {}, "Cinema 4K .*framerate"),
    (BC_SINGLE | 12, {}, {}, "Broadcast single tile .*level 12"),
    (BC_SINGLE | 0x10, {}, {}, "Broadcast single tile .*level 16"),
    (BC_MULTI_R | 3, {}, {}, "Broadcast multi-tile reversible .*level 3 is not 6 or 7"),
    (BC_MULTI, {"tile": (100, 200)}, {}, "Broadcast multi-tile .*four of equal size"),
    (BC_SINGLE, {}, {"depth": 16}, "Broadcast single tile .*16-bit"),
    (BC_SINGLE, {}, {"components": 5}, "Broadcast single tile .*5 components; 1 to 4"),
    (IMF_2K | 0x20 | 3, {}, {}, "IMF 2K .*sublevel 2 is not in 0 to 1"),
    (IMF_2K | 12, {}, {}, "IMF 2K .*level 12"),
    (IMF_2K, {}, {"height": 1557, "width": 16}, "IMF 2K .*at most 2048 x 1556"),
    (IMF_2K_R, {"tile": (128, 128)}, {}, "IMF 2K reversible .*tile_size"),
    (IMF_2K_R, {"tile": (1024, 1024), "resolutions": 6}, {"width": 1100}, "num_resolutions must be 2 to 5, not 6"),
    (IMF_2K_R, {"irreversible": True}, {}, "IMF 2K reversible .*irreversible must be false"),
    (1, {"tile": (64, 64)}, {}, r"profile 0 \(rsiz 1\).*128 x 128"),
    (1, {"codeblock": (32, 64)}, {}, "profile 0 .*square"),
    (1, {"style": 8}, {}, "profile 0 .*mode: code-block style 8"),
    (1, {}, {"offset": (3, 4)}, "profile 0 .*offset"),
    (2, {"tile": (64, 40)}, {}, "profile 1 .*square"),
    (2, {"codeblock": (128, 16)}, {}, "profile 1 .*codeblock_size"),
    (0x0A00, {}, {}, "rsiz"),
    (0x0008, {}, {}, "rsiz"),
]  # fmt: skip


@pytest.mark.parametrize(("rsiz", "options", "other", "message"), REFUSED)
def test_contradictions_are_refused_by_name(rsiz, options, other, message):
    image = picture(**{"width": 300, "height": 200, **other})
    with pytest.raises(ours.ToolError, match=message):
        ours.encode(image, rsiz=rsiz, **options)


def test_reversible_profiles_may_lose():
    """The wavelet is prescribed, not that nothing is lost."""
    image = picture()
    data = ours.encode(image, rsiz=IMF_2K_R, ratio=[10])
    assert len(data) <= 300 * 200 * 6 / 10 and parse(data)["COD"][0].xform == 1
