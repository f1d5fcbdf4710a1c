# Every parameter of the package: what it does to the stream, as another parser sees it, decoded by OpenJPEG.
# SPDX-License-Identifier: BSD-3-Clause
import itertools
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pytest

import blosc2_grok
from blosc2_grok import GrkFileFmt, GrkMode, GrkRateControl

glymur = pytest.importorskip("glymur")

J2K = {"cod_format": GrkFileFmt.GRK_FMT_J2K}


@pytest.fixture(autouse=True)
def fresh_parameters():
    blosc2_grok.set_params_defaults()
    yield
    blosc2_grok.set_params_defaults()


def picture(height=150, width=200, components=3, depth=8):
    rng = np.random.default_rng([height, width, components, depth])
    y, x = np.mgrid[0:height, 0:width]
    planes = [np.sin(x / (7 + c)) + np.cos(y / 9 - c) + rng.normal(0, 0.1, x.shape) for c in range(components)]
    image = np.stack(planes, axis=-1)
    image = (image - image.min()) / np.ptp(image) * (2**depth - 1)
    return np.squeeze(image.astype(np.uint8 if depth == 8 else np.uint16), -1 if components == 1 else ())


def parse(data: bytes) -> dict[str, list]:
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / ("in.jp2" if data[4:8] == b"jP  " else "in.j2k")
        path.write_bytes(data)
        segments = {}
        for segment in glymur.Jp2k(path).get_codestream(header_only=False).segment:
            segments.setdefault(segment.marker_id, []).append(segment)
        return segments


def decoded_by_openjpeg(openjpeg, data, found=None):
    planes = openjpeg.decode(data, warnings=found)
    return np.squeeze(np.stack([plane.data for plane in planes], axis=-1))


def packets(segments):
    """How many lengths PLT marker segments hold (glymur takes them apart, but computes them in 8 bits)."""
    return sum(len(segment.iplt) for segment in segments)


def size(cod):
    return tuple(cod.code_block_size)


# What is given, and what must be seen: an expression over the marker segments' fields.
SEEN = [
    ({"tile_size": (64, 50)}, lambda s: (s["SIZ"][0].xtsiz, s["SIZ"][0].ytsiz, len(s["SOT"])) == (64, 50, 12)),
    ({"tile_size": (64, 50), "tile_offset": (3, 2), "offset": (5, 7)},
     lambda s: (s["SIZ"][0].xtosiz, s["SIZ"][0].ytosiz, s["SIZ"][0].xosiz, s["SIZ"][0].yosiz, s["SIZ"][0].xsiz) == (3, 2, 5, 7, 205)),
    ({"quality_mode": "rates", "quality_layers": [30, 20, 10]}, lambda s: s["COD"][0].layers == 3 and s["COD"][0].xform == 0),
    ({"quality_mode": "dB", "quality_layers": [30, 40, 0]}, lambda s: s["COD"][0].layers == 3 and s["COD"][0].xform == 1),
    ({"irreversible": True}, lambda s: s["COD"][0].xform == 0 and s["QCD"][0].sqcd & 31 == 2),
    ({"irreversible": False}, lambda s: s["COD"][0].xform == 1 and s["QCD"][0].sqcd & 31 == 0),
    *[({"progression": order}, lambda s, i=i: s["COD"][0].prog_order == i) for i, order in enumerate(["LRCP", "RLCP", "RPCL", "PCRL", "CPRL"])],
    *[({"num_resolutions": n}, lambda s, n=n: s["COD"][0].num_res == n - 1) for n in (1, 2, 5, 8)],
    ({"num_resolutions": 33}, lambda s: s["COD"][0].num_res == 7),  # no more than the image has
    *[({"codeblock_size": (w, h)}, lambda s, w=w, h=h: size(s["COD"][0]) == (h, w)) for w, h in [(4, 4), (4, 1024), (1024, 4), (32, 128), (64, 64)]],
    ({"mct": 0}, lambda s: s["COD"][0].mct == 0),
    ({"mct": 1}, lambda s: s["COD"][0].mct == 1),
    ({"mct": -1}, lambda s: s["COD"][0].mct == 1),
    ({"enableTilePartGeneration": True}, lambda s: len(s["SOT"]) == 6),
    ({"enableTilePartGeneration": "R", "progression": "CPRL"}, lambda s: len(s["SOT"]) >= 6),
    ({"enableTilePartGeneration": "C", "progression": "CPRL"}, lambda s: len(s["SOT"]) == 3),
    ({"enableTilePartGeneration": "L", "quality_mode": "rates", "quality_layers": [20, 1]}, lambda s: len(s["SOT"]) == 2),
    ({"write_plt": True}, lambda s: len(s["PLT"]) == 1 and packets(s["PLT"]) == 18),
    ({"write_plt": True, "tile_size": (100, 75)}, lambda s: len(s["PLT"]) == 4),
    ({"write_tlm": True, "tile_size": (100, 75)}, lambda s: list(s["TLM"][0].ptlm) == [sot.psot for sot in s["SOT"]]),
    ({"write_sop": True}, lambda s: s["COD"][0].scod == 2 and [sop.nsop for sop in s["SOP"]] == list(range(18))),
    ({"write_eph": True}, lambda s: s["COD"][0].scod == 4 and len(s["EPH"]) == 18),
    ({"write_eph": True, "write_sop": True, "write_plt": True, "write_tlm": True, "precinct_size": (64, 64), "progression": "PCRL"},
     lambda s: s["COD"][0].scod == 7 and len(s["EPH"]) == len(s["SOP"]) == packets(s["PLT"]) > 18),
    ({"comment": "G\u00fcnter; 100% = all"}, lambda s: s["CME"][0].ccme == b"G\xfcnter; 100% = all" and s["CME"][0].rcme == 1),
    ({"roi_compno": 1, "roi_shift": 4}, lambda s: (s["RGN"][0].crgn, s["RGN"][0].sprgn, len(s["RGN"])) == (1, 4, 1)),
    ({"rsiz": 2}, lambda s: s["SIZ"][0].rsiz == 2),
]  # fmt: skip


def is_seen(seen, segments):
    try:
        return seen(segments)
    except IndexError:  # no such marker segment
        return False


@pytest.mark.parametrize(("params", "seen"), SEEN, ids=[",".join(f"{k}={v}" for k, v in p.items()) for p, _ in SEEN])
def test_seen_in_the_stream(openjpeg, params, seen):
    image = picture()
    data = blosc2_grok.encode(image, **J2K, **params)
    assert seen(parse(data))
    default = parse(blosc2_grok.encode(image, **J2K))
    by_default = {name: default.get(name, []) for name in {**default, **parse(data)}}
    if is_seen(seen, by_default):
        assert params in ({"num_resolutions": 33}, {"irreversible": False}, {"progression": "LRCP"},
                          {"codeblock_size": (64, 64)}, {"mct": 1}, {"mct": -1})  # fmt: skip
    decoded = decoded_by_openjpeg(openjpeg, data)
    if parse(data)["COD"][0].xform == 1:
        assert np.array_equal(decoded, image)
    else:
        assert np.abs(decoded.astype(int) - blosc2_grok.decode(data)).max() <= 2
        assert np.mean((decoded.astype(float) - image) ** 2) < 30


def test_containers(openjpeg):
    image = picture()
    for parameter, start in [(GrkFileFmt.GRK_FMT_J2K, b"\xff\x4f\xff\x51"), (GrkFileFmt.GRK_FMT_JP2, b"\0\0\0\x0cjP  "),
                             (GrkFileFmt.GRK_FMT_UNK, b"\0\0\0\x0cjP  ")]:  # fmt: skip
        data = blosc2_grok.encode(image, cod_format=parameter)
        assert data.startswith(start)
        assert np.array_equal(decoded_by_openjpeg(openjpeg, data), image)


@pytest.mark.parametrize("irreversible", [False, True])
def test_all_combinations_of_styles(openjpeg, irreversible):
    """All 64 of Part 1, one and several layers. OpenJPEG warns where predictable termination (T.800 D.4.2) is signalled
    and bytes are left over or missing at the end; the bytes themselves are compared with D.4.2 in tests/unit/test_ebcot_enc.c."""
    image = picture(70, 90, 1)
    for style in range(64):
        params = {"mode": style, "irreversible": irreversible, "codeblock_size": (32, 32)}
        if style & GrkMode.TERMALL:  # layers end where passes are terminated
            params |= {"quality_mode": "rates", "quality_layers": [8, 4, 1]}
        data = blosc2_grok.encode(image, **J2K, **params)
        assert parse(data)["COD"][0].cstyle == style
        found = []
        decoded = decoded_by_openjpeg(openjpeg, data, found)
        assert found == [], f"style {style}: {found[:3]}"
        if irreversible:
            assert np.abs(decoded.astype(int) - blosc2_grok.decode(data)).max() <= 1
            assert np.mean((decoded.astype(float) - image) ** 2) < 1
        else:
            assert np.array_equal(decoded, image), f"style {style}"


@pytest.mark.parametrize("guard_bits", range(8))
def test_guard_bits(openjpeg, guard_bits):
    """As many as asked for, or more where the data need them."""
    image = picture()
    for irreversible in (False, True):
        data = blosc2_grok.encode(image, **J2K, numgbits=guard_bits, irreversible=irreversible)
        written = parse(data)["QCD"][0].guard_bits
        assert written == guard_bits or (guard_bits == 0 and written == 1)
        decoded = decoded_by_openjpeg(openjpeg, data)
        assert np.abs(decoded.astype(int) - image).max() <= (2 if irreversible else 0)


@pytest.mark.parametrize(("given", "expected"), [
    ((128, 64), [(128, 64), (64, 32), (32, 16), (16, 8), (8, 4), (4, 2)]),
    ([(256, 256), (128, 128)], [(256, 256), (128, 128), (64, 64), (32, 32), (16, 16), (8, 8)]),
    ([(64, 32), (64, 64), (128, 16), (32, 32), (8, 8), (1, 1)], [(64, 32), (64, 64), (128, 16), (32, 32), (8, 8), (1, 1)]),
    ([(32768, 32768), (64, 64)], [(32768, 32768), (64, 64), (32, 32), (16, 16), (8, 8), (4, 4)]),
])  # fmt: skip
def test_precincts_of_every_resolution(openjpeg, given, expected):
    """Sizes in the order given, from the highest resolution down; the last one is halved for the rest."""
    image = picture()
    data = blosc2_grok.encode(image, **J2K, precinct_size=given, progression="RPCL")
    cod = parse(data)["COD"][0]
    written = data[cod.offset + 14 : cod.offset + 2 + cod.length]  # lowest resolution first, PPx in the low half
    sizes = [(1 << (byte & 15), 1 << (byte >> 4)) for byte in written][::-1]
    assert sizes == expected
    assert np.array_equal(decoded_by_openjpeg(openjpeg, data), image)


@pytest.mark.parametrize(
    ("order", "division"), list(itertools.product(["LRCP", "RLCP", "RPCL", "PCRL", "CPRL"], "RLC"))
)
def test_tile_parts_in_every_progression(openjpeg, order, division):
    image = picture()
    params = {"quality_mode": "rates", "quality_layers": [10, 1], "num_resolutions": 3, "tile_size": (100, 150)}
    data = blosc2_grok.encode(
        image, **J2K, progression=order, enableTilePartGeneration=division, write_tlm=True, write_plt=True, **params
    )
    found = parse(data)
    first = [sot.tpsot for sot in found["SOT"] if sot.isot == 0]
    assert first == list(range(len(first))) and len(first) >= {"R": 3, "L": 2, "C": 3}[division]
    assert {sot.tnsot for sot in found["SOT"] if sot.isot == 0} == {len(first)}
    assert packets(found["PLT"]) == 2 * 3 * 3 * 2
    # Parts end where the next one begins (A.4.2), and TLM says the same.
    ends = [sot.offset + sot.psot for sot in found["SOT"]]
    assert ends == [sot.offset for sot in found["SOT"][1:]] + [found["EOC"][0].offset]
    assert [length for tlm in found["TLM"] for length in tlm.ptlm] == [sot.psot for sot in found["SOT"]]
    assert np.array_equal(decoded_by_openjpeg(openjpeg, data), image)


def test_upper_bounds(openjpeg):
    image = picture(300, 400)
    free = blosc2_grok.encode(image, irreversible=True)
    bounded = blosc2_grok.encode(image, irreversible=True, max_cs_size=30_000)
    assert 0.97 * 30_000 < len(bounded) <= 30_000 < len(free)
    data = blosc2_grok.encode(
        image, **J2K, irreversible=True, max_comp_size=9_000, progression="CPRL", enableTilePartGeneration="C"
    )
    parts = [sot.psot for sot in parse(data)["SOT"]]
    assert len(parts) == 3 and max(parts) <= 9_000 + 14 and min(parts) > 8_000
    for result in (bounded, data):
        assert np.abs(decoded_by_openjpeg(openjpeg, result).astype(int) - blosc2_grok.decode(result)).max() <= 2


def test_no_effect():
    image = picture()
    plain = blosc2_grok.encode(image)
    for name, values in {
        "deviceId": (-1, 0, 3), "duration": (0, 60), "repeats": (0, 1, 5), "apply_icc_": (False, True), "framerate": (24,),
        "decod_format": tuple(GrkFileFmt), "rateControlAlgorithm": tuple(GrkRateControl), "num_threads": (0, 1, 3),
        "verbose": (False, True),
    }.items():  # fmt: skip
        for value in values:
            assert blosc2_grok.encode(image, **{name: value}) == plain, name
