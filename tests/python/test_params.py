# Parameters: names, defaults, enumerations, validation, and the one table behind them.
# SPDX-License-Identifier: BSD-3-Clause
import itertools

import numpy as np
import pytest

import blosc2_grok
from blosc2_grok import GrkFileFmt, GrkMode, GrkProfile, GrkRateControl, set_params_defaults

# The earlier package's defaults, except that irreversible and mct are automatic here and quality_layers is a tuple.
DEFAULTS = {
    "tile_size": (0, 0),
    "tile_offset": (0, 0),
    "quality_mode": None,
    "quality_layers": (),
    "qfactor": 0,
    "quantization_step": 0.0,
    "numgbits": 2,
    "progression": "LRCP",
    "num_resolutions": 6,
    "codeblock_size": (64, 64),
    "mode": GrkMode.DEFAULT,
    "irreversible": None,
    "roi_compno": -1,
    "roi_shift": 0,
    "precinct_size": (0, 0),
    "offset": (0, 0),
    "decod_format": GrkFileFmt.GRK_FMT_UNK,
    "cod_format": GrkFileFmt.GRK_FMT_JP2,
    "enableTilePartGeneration": False,
    "mct": -1,
    "max_cs_size": 0,
    "max_comp_size": 0,
    "rsiz": GrkProfile.GRK_PROFILE_NONE,
    "framerate": 0,
    "apply_icc_": False,
    "rateControlAlgorithm": GrkRateControl.BISECT,
    "num_threads": 0,
    "deviceId": 0,
    "duration": 0,
    "repeats": 1,
    "verbose": False,
    "write_plt": False,
    "write_tlm": False,
    "write_sop": False,
    "write_eph": False,
    "axes": "",
    "significant_bits": 0,
    "nan": "refuse",
    "roi_rects": (),
    "psnr_peak": "depth",
    "visual_weights": False,
    "comment": "",
}

# Other allowed values of every parameter, each with what must be read back.
ALLOWED = [
    ("tile_size", (100, 50), (100, 50)),
    ("tile_size", [100, 50], (100, 50)),
    ("tile_size", np.array([100, 50]), (100, 50)),
    ("numgbits", 7, 7),
    ("numgbits", np.int64(3), 3),
    ("progression", "CPRL", "CPRL"),
    ("num_resolutions", 1, 1),
    ("num_resolutions", 33, 33),
    ("codeblock_size", (1024, 4), (1024, 4)),
    ("mode", GrkMode.LAZY, GrkMode.LAZY),
    ("mode", GrkMode.LAZY | GrkMode.SEGSYM, 33),
    ("mode", 63, 63),
    ("irreversible", True, True),
    ("irreversible", np.bool_(False), False),
    ("irreversible", None, None),
    ("roi_compno", 2, 2),
    ("roi_shift", 37, 37),
    ("precinct_size", (128, 32768), (128, 32768)),
    ("offset", (33, 40), (33, 40)),
    ("decod_format", GrkFileFmt.GRK_FMT_PNG, GrkFileFmt.GRK_FMT_PNG),
    ("cod_format", GrkFileFmt.GRK_FMT_J2K, GrkFileFmt.GRK_FMT_J2K),
    ("cod_format", GrkFileFmt.GRK_FMT_UNK, GrkFileFmt.GRK_FMT_UNK),
    ("enableTilePartGeneration", True, True),
    ("mct", 0, 0),
    ("mct", 1, 1),
    ("mct", -1, -1),
    ("max_cs_size", 10**12, 10**12),
    ("max_comp_size", 10**9, 10**9),
    ("rsiz", GrkProfile.GRK_PROFILE_1, GrkProfile.GRK_PROFILE_1),
    ("framerate", 24, 24),
    ("apply_icc_", True, True),
    ("rateControlAlgorithm", GrkRateControl.PCRD_OPT, GrkRateControl.PCRD_OPT),
    ("num_threads", 4, 4),
    ("deviceId", -1, -1),
    ("duration", 1, 1),
    ("repeats", 0, 0),
    ("verbose", True, True),
    ("axes", "tzyxc", "tzyxc"),
    ("axes", "x", "x"),
    ("axes", "xc", "xc"),
    ("axes", "yx", "yx"),
    ("significant_bits", 12, 12),
    ("nan", "mask", "mask"),
    ("precinct_size", [(256, 256), (128, 64)], ((256, 256), (128, 64))),
    ("precinct_size", np.array([[256, 256], [128, 64]]), ((256, 256), (128, 64))),
    ("precinct_size", [(64, 64)], (64, 64)),
    ("enableTilePartGeneration", "R", True),
    ("enableTilePartGeneration", "L", "L"),
    ("enableTilePartGeneration", "C", "C"),
    ("enableTilePartGeneration", 1, True),
    ("roi_rects", (1, 2, 3, 4), ((1, 2, 3, 4),)),
    ("roi_rects", [[1, 2, 3, 4], (5, 6, 7, 8)], ((1, 2, 3, 4), (5, 6, 7, 8))),
    ("roi_rects", [], ()),
    ("write_plt", True, True),
    ("write_tlm", True, True),
    ("write_sop", True, True),
    ("write_eph", np.True_, True),
    ("psnr_peak", "range", "range"),
    ("visual_weights", True, True),
    ("comment", "a;b=c, 100%: \u00e9\u20ac ", "a;b=c, 100%: \u00e9\u20ac "),
    ("comment", "x" * 1023, "x" * 1023),
    ("comment", None, ""),
]

BAD = [
    ("tile_size", (100,)),
    ("tile_size", (100, 50, 1)),
    ("tile_size", (100, 0)),
    ("tile_size", (-1, 50)),
    ("tile_size", "big"),
    ("tile_offset", (0.5, 0)),
    ("tile_offset", (3, 4)),
    ("quality_mode", "psnr"),
    ("quality_mode", 7),
    ("quality_layers", ["x"]),
    ("quality_layers", [float("nan")]),
    ("quality_layers", [float("inf")]),
    ("quality_layers", [-1]),
    ("quality_layers", [1.0] * 257),
    ("numgbits", 8),
    ("numgbits", -1),
    ("numgbits", 2.5),
    ("progression", "LCRP"),
    ("num_resolutions", 0),
    ("num_resolutions", 34),
    ("codeblock_size", (64, 128)),
    ("codeblock_size", (3, 64)),
    ("codeblock_size", (48, 48)),
    ("codeblock_size", (2048, 4)),
    ("mode", 0x4000),
    ("mode", GrkMode.HT_MIXED),
    ("mode", "FAST"),
    ("irreversible", "perhaps"),
    ("roi_compno", -2),
    ("axes", "xy"),
    ("axes", "cyx"),
    ("axes", "zyxz"),
    ("axes", "zx"),
    ("axes", "c"),
    ("axes", "yyx"),
    ("axes", "YX"),
    ("axes", "abdefghijklmnopyx"),
    ("significant_bits", 33),
    ("significant_bits", -1),
    ("nan", "zero"),
    ("roi_shift", 38),
    ("precinct_size", (100, 100)),
    ("precinct_size", (64, 0)),
    ("precinct_size", (65536, 64)),
    ("precinct_size", [(64, 64), (0, 0)]),
    ("precinct_size", [(64, 64), (64,)]),
    ("precinct_size", [(64, 64)] * 34),
    ("enableTilePartGeneration", "P"),
    ("roi_rects", (1, 2, 3)),
    ("roi_rects", (3, 2, 1, 4)),
    ("write_plt", "yes"),
    ("comment", "x" * 1024),
    ("comment", "\u4e2d"),
    ("comment", "a\0b"),
    ("offset", (-1, 0)),
    ("cod_format", GrkFileFmt.GRK_FMT_PNG),
    ("decod_format", 99),
    ("enableTilePartGeneration", 2),
    ("mct", 2),
    ("max_cs_size", -1),
    ("rsiz", GrkProfile.GRK_PROFILE_PART2),
    ("rateControlAlgorithm", 2),
    ("num_threads", -1),
    ("num_threads", 10**6),
    ("repeats", "often"),
    ("progression", "LRCP;num_resolutions=1"),
]


def test_names_and_defaults():
    assert blosc2_grok.params_defaults == DEFAULTS
    assert list(blosc2_grok.params_defaults) == list(DEFAULTS)
    for name, value in DEFAULTS.items():
        assert type(blosc2_grok.params_defaults[name]) is type(value), name
    assert blosc2_grok.get_params_defaults() == DEFAULTS


def test_table_is_complete():
    table = blosc2_grok.parameter_table()
    assert [row["name"] for row in table] == list(DEFAULTS)
    assert set(blosc2_grok.Params.__annotations__) == set(DEFAULTS)
    assert all(row["meaning"] and row["allowed"] for row in table)


@pytest.mark.parametrize(("name", "value", "read"), ALLOWED)
def test_allowed_values(name, value, read):
    set_params_defaults(**{name: value})
    assert blosc2_grok.get_params_defaults() == {**DEFAULTS, name: read}


@pytest.mark.parametrize(("name", "value"), BAD)
def test_bad_values_name_the_parameter_and_change_nothing(name, value):
    set_params_defaults(num_resolutions=3)
    others = {"numgbits": 1, "quality_mode": "rates", "quality_layers": [5]}
    with pytest.raises(ValueError, match=r"allowed|at least one") as error:
        set_params_defaults(**{**others, name: value})
    assert name in str(error.value) or "value of a parameter" in str(error.value)
    assert blosc2_grok.get_params_defaults() == {**DEFAULTS, "num_resolutions": 3}
    with pytest.raises(ValueError, match="allowed"):
        blosc2_grok.encode(np.zeros((8, 8), np.uint8), **{**others, name: value})


def test_unknown_name():
    with pytest.raises(ValueError, match=r"unknown parameter 'quality'.*quality_mode, quality_layers"):
        set_params_defaults(quality=3)
    with pytest.raises(ValueError, match="unknown parameter 'rate'"):
        blosc2_grok.encode(np.zeros((8, 8), np.uint8), rate=3)


def test_names_not_given_keep_their_values():
    set_params_defaults(num_resolutions=3)
    set_params_defaults(progression="RPCL")
    assert blosc2_grok.get_params_defaults() == {**DEFAULTS, "num_resolutions": 3, "progression": "RPCL"}
    set_params_defaults()
    assert blosc2_grok.get_params_defaults() == DEFAULTS


@pytest.mark.parametrize(
    "layers",
    [[20, 10.5, 3], (20, 10.5, 3), np.array([20, 10.5, 3]), (x for x in (20, 10.5, 3)), [np.float32(20), 10.5, 3]],
)
def test_quality_layers_takes_any_sequence(layers):
    set_params_defaults(quality_mode="rates", quality_layers=layers)
    assert blosc2_grok.get_params_defaults()["quality_layers"] == (20.0, 10.5, 3.0)


@pytest.mark.parametrize("number", [1e-9, 0.1, 1 / 3, 45, 45.05, 99.99, 12345.678901234, 1e17, 2.5e20])
def test_numbers_survive_the_text_form(number):
    set_params_defaults(quality_mode="rates", quality_layers=[number])
    (read,) = blosc2_grok.get_params_defaults()["quality_layers"]
    assert read == pytest.approx(number, rel=1e-14)


def test_quality_layers_must_be_in_order():
    for mode, layers in [("rates", [5, 10]), ("rates", [10, 10]), ("dB", [40, 30]), ("dB", [30, 30])]:
        with pytest.raises(ValueError, match="quality_layers"):
            set_params_defaults(quality_mode=mode, quality_layers=layers)
    set_params_defaults(quality_mode="dB", quality_layers=[30, 40, 0])  # the last one asks for everything


def test_quality_mode_and_layers_need_each_other():
    with pytest.raises(ValueError, match="quality_layers"):
        set_params_defaults(quality_mode="rates")
    with pytest.raises(ValueError, match="quality_mode"):
        set_params_defaults(quality_layers=[10])
    set_params_defaults(quality_mode="rates", quality_layers=[10])
    set_params_defaults(quality_layers=[5])
    set_params_defaults(quality_mode=None)
    assert blosc2_grok.get_params_defaults()["quality_mode"] is None


def test_tile_grid_must_meet_the_image():
    for tile_size, tile_offset, offset in [
        ((8, 8), (3, 2), (3, 2)),
        ((8, 8), (0, 0), (7, 7)),
        ((0, 0), (5, 5), (900, 5)),
    ]:
        set_params_defaults(tile_size=tile_size, tile_offset=tile_offset, offset=offset)
    for tile_size, tile_offset, offset in [
        ((8, 8), (3, 2), (2, 2)),
        ((8, 8), (0, 0), (8, 0)),
        ((8, 8), (0, 1), (5, 9)),
    ]:
        with pytest.raises(ValueError, match="tile_offset"):
            set_params_defaults(tile_size=tile_size, tile_offset=tile_offset, offset=offset)


def test_profiles_prescribe_what_is_not_given():
    image = np.random.default_rng(0).integers(0, 4096, (60, 80, 3), np.uint16)
    cinema = {"rsiz": GrkProfile.GRK_PROFILE_CINEMA_2K, "significant_bits": 12}
    expected = {"rsiz": 3, "progression": "CPRL", "codeblock_width": 32, "irreversible": True, "guard_bits": 1}

    def check(**params):
        found = blosc2_grok.info(blosc2_grok.encode(image, **params))
        assert {name: found[name] for name in expected} == expected

    check(**cinema)
    check(params=blosc2_grok.Parameters(**cinema))
    set_params_defaults(**cinema)
    check()
    check(params=blosc2_grok.get_params_defaults())
    assert blosc2_grok.get_params_defaults()["progression"] == "CPRL"
    set_params_defaults(**blosc2_grok.get_params_defaults())
    check()
    set_params_defaults(rsiz=0, significant_bits=0)
    assert blosc2_grok.info(blosc2_grok.encode(image))["rsiz"] == 0


def test_contradictions_of_a_profile_are_refused_by_name():
    for name, value in [("progression", "LRCP"), ("numgbits", 2), ("irreversible", False), ("num_resolutions", 9),
                        ("codeblock_size", (64, 64)), ("write_tlm", False), ("enableTilePartGeneration", True),
                        ("mode", GrkMode.LAZY), ("precinct_size", (64, 64)), ("framerate", 23)]:  # fmt: skip
        with pytest.raises(ValueError, match=f"profile Cinema 2K .rsiz 3.: {name}"):
            set_params_defaults(rsiz=GrkProfile.GRK_PROFILE_CINEMA_2K, **{name: value})
    with pytest.raises(ValueError, match="rsiz 2560 is no profile"):
        set_params_defaults(rsiz=0xA00)
    image = np.zeros((60, 80, 3), np.uint16)
    with pytest.raises(ValueError, match="profile Cinema 2K .*16-bit unsigned samples; 12 to 12"):
        blosc2_grok.encode(image, rsiz=3)


def test_params_defaults_can_be_passed_on():
    set_params_defaults(num_resolutions=2)
    set_params_defaults(**blosc2_grok.params_defaults)
    assert blosc2_grok.get_params_defaults() == DEFAULTS


def test_styles_that_ht_does_not_have():
    with pytest.raises(ValueError, match="mode: HT"):
        set_params_defaults(mode=GrkMode.HT | GrkMode.LAZY)


def members(enum):
    return {member.name: member.value for member in enum}


def test_enumerations():
    formats = "UNK J2K JP2 PXM PGX PAM BMP TIF RAW PNG RAWL JPG".split()
    assert members(GrkFileFmt) == {f"GRK_FMT_{name}": value for value, name in enumerate(formats)}
    assert members(GrkRateControl) == {"BISECT": 0, "PCRD_OPT": 1}
    assert members(GrkMode) == {
        "DEFAULT": 0, "LAZY": 1, "RESET": 2, "TERMALL": 4, "VSC": 8, "PTERM": 16, "SEGSYM": 32, "HT": 64, "HT_MIXED": 128,
        "HT_PHLD": 256, "JPH_RSIZ_FLAG": 0x4000,
    }  # fmt: skip
    profiles = {
        "NONE": 0, "0": 1, "1": 2, "CINEMA_2K": 3, "CINEMA_4K": 4, "CINEMA_S2K": 5, "CINEMA_S4K": 6, "CINEMA_LTS": 7,
        "BC_SINGLE": 0x100, "BC_MULTI": 0x200, "BC_MULTI_R": 0x300, "BC_MASK": 0x30F, "IMF_2K": 0x400, "IMF_4K": 0x500,
        "IMF_8K": 0x600, "IMF_2K_R": 0x700, "IMF_4K_R": 0x800, "IMF_8K_R": 0x900, "MASK": 0xFFF, "PART2": 0x8000,
        "PART2_EXTENSIONS_MASK": 0x3FFF,
    }  # fmt: skip
    assert members(GrkProfile) == {f"GRK_PROFILE_{name}": value for name, value in profiles.items()}


def test_every_parameter_reaches_the_stream():
    """What `info` can see of the parameters is what was asked for."""
    image = np.random.default_rng(1).integers(0, 256, (150, 200, 3), np.uint8)

    def described(**params):
        return blosc2_grok.info(blosc2_grok.encode(image, **params))

    plain = described()
    cases = [
        ({"tile_size": (64, 32)}, {"tile_width": 64, "tile_height": 32, "num_tiles": 20}),
        ({"tile_size": (64, 32), "tile_offset": (3, 2), "offset": (5, 7)}, {"tile_x0": 3, "tile_y0": 2, "x0": 5, "y0": 7, "x1": 205}),
        ({"quality_mode": "rates", "quality_layers": [20, 10]}, {"num_layers": 2, "irreversible": True}),
        ({"quality_mode": "rates", "quality_layers": [10], "irreversible": False}, {"irreversible": False}),
        ({"quality_mode": "rates", "quality_layers": [20, 1]}, {"num_layers": 2, "irreversible": False}),
        ({"irreversible": True}, {"irreversible": True, "num_layers": 1}),
        ({"numgbits": 4}, {"guard_bits": 4}),
        ({"progression": "CPRL"}, {"progression": "CPRL"}),
        ({"num_resolutions": 3}, {"num_resolutions": 3}),
        ({"codeblock_size": (16, 128)}, {"codeblock_width": 16, "codeblock_height": 128}),
        ({"mode": 5}, {"codeblock_style": 5}),
        ({"cod_format": GrkFileFmt.GRK_FMT_J2K}, {"format": "codestream", "codestream_offset": 0}),
        ({"mct": 0}, {"colour_transform": False}),
        ({"mct": 1}, {"colour_transform": True}),
        ({"rsiz": GrkProfile.GRK_PROFILE_1}, {"rsiz": 2}),
    ]  # fmt: skip
    for params, expected in cases:
        found = described(**params)
        assert {name: found[name] for name in expected} == expected, params
        details = {"boxes", "image_header", "brand", "compatibility", "colour", "codestream"}
        same = [name for name in plain if name not in {*expected, *details, "components", "codestream_size"}]
        changed = {name for name in same if found[name] != plain[name]}
        assert changed <= {
            "y1",
            "colour_space",
            "codestream_offset",
            "num_tiles",
            "tile_x0",
            "tile_y0",
            "tile_width",
            "tile_height",
        }, params
    assert plain["colour_transform"] is True
    small = len(blosc2_grok.encode(image, max_cs_size=20_000, irreversible=True))
    assert 15_000 < small <= 20_000 < len(blosc2_grok.encode(image, irreversible=True))


def test_parameters_without_effect_change_nothing():
    image = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)
    plain = blosc2_grok.encode(image)
    for name, value in [("framerate", 24), ("apply_icc_", True), ("rateControlAlgorithm", 1), ("deviceId", 3),
                        ("duration", 9), ("repeats", 5), ("decod_format", 4), ("num_threads", 3), ("roi_shift", 5),
                        ("roi_compno", 0)]:  # fmt: skip
        assert blosc2_grok.encode(image, **{name: value}) == plain, name


def test_defaults_are_the_base_of_encode():
    image = np.random.default_rng(2).integers(0, 50, (40, 40), np.uint8)
    for first, second in itertools.permutations([{"num_resolutions": 2}, {"progression": "RLCP"}, {}], 2):
        set_params_defaults()
        set_params_defaults(**first)
        found = blosc2_grok.info(blosc2_grok.encode(image, **second))
        expected = {"num_resolutions": 6, "progression": "LRCP", **first, **second}
        assert {name: found[name] for name in expected} == expected
        assert blosc2_grok.get_params_defaults() == {**DEFAULTS, **first}
