# Blosc2 arrays made by the package: quality by name, chunks and blocks, parameters that stay with the array, scopes.
# SPDX-License-Identifier: BSD-3-Clause
import dataclasses
import math
import os
import subprocess
import sys
import threading

import blosc2
import numpy as np
import pytest

import blosc2_grok
from blosc2_grok import GrkMode, Parameters, asarray, empty, encode, params, params_of, storage, zeros
from blosc2_grok._arrays import partition


def picture(height=96, width=120, components=1, maximum=4000, dtype=np.uint16, seed=0):
    y, x = np.mgrid[:height, :width]
    rng = np.random.default_rng(seed)
    planes = [
        np.sin(x / (9 + 3 * c)) * np.cos(y / 11) + (x > 60) + rng.normal(0, 0.03, x.shape) for c in range(components)
    ]
    image = np.stack(planes, axis=-1)
    image = ((image - image.min()) / np.ptp(image) * maximum).round().astype(dtype)
    return image if components > 1 else image[:, :, 0].copy()


IMAGE = picture(components=3, maximum=255, dtype=np.uint8)
STACK = np.stack([picture(seed=n) for n in range(4)])


def coded(image, **given):
    """What a block must be, whatever else has been set: every parameter is given."""
    return encode(image, params=Parameters(), **given)


def stored_text(array):
    return array.schunk.meta["jpeg2000"]


def block(array, number=0):
    """The one block of a chunk, as it is coded."""
    chunk = array.schunk.get_chunk(number)
    start = chunk.find(bytes.fromhex("0000000c6a502020"))
    return chunk[start:]


# ---- quality ----


def psnr(a, b, peak):
    return 10 * math.log10(peak**2 / np.mean((a.astype(float) - b) ** 2))


def test_lossless_is_the_default():
    for image in (IMAGE, STACK, IMAGE > 90, (STACK / 3).astype("f4"), STACK.astype(">i4")):
        array = asarray(image)
        assert (array[...] == image).all()
        assert array.dtype == image.dtype
        assert array.schunk.cratio > 1.3
        assert stored_text(array) == "defaults"


@pytest.mark.parametrize("ht", [False, True])
def test_targets(ht):
    array = asarray(IMAGE, ratio=10, ht=ht)
    assert 9.5 < array.schunk.cratio < 10.5
    assert psnr(array[...], IMAGE, 255) > 30
    assert psnr(asarray(IMAGE, psnr=42, ht=ht)[...], IMAGE, 255) >= 42
    assert (asarray(IMAGE, max_error=0, ht=ht)[...] == IMAGE).all()
    assert (asarray(IMAGE, ratio=1, ht=ht)[...] == IMAGE).all()
    floats = (STACK / 3).astype("f4")
    assert np.abs(asarray(floats, max_error=0.3, ht=ht)[...] - floats).max() <= 0.3
    for given in ({"ratio": 10}, {"psnr": 42}, {}):
        assert bool(blosc2_grok.info(block(asarray(IMAGE, ht=ht, **given)))["codeblock_style"] & GrkMode.HT) is ht


def test_several_layers():
    array = asarray(IMAGE, ratio=[40, 20, 10])
    assert blosc2_grok.info(block(array))["num_layers"] == 3
    assert block(array) == coded(IMAGE, quality_mode="rates", quality_layers=[40, 20, 10])
    assert block(asarray(IMAGE, psnr=np.array([30, 40]))) == coded(IMAGE, psnr=[30, 40])


def test_shorthands_everywhere():
    by_name = encode(IMAGE, quality_mode="rates", quality_layers=[10])
    assert encode(IMAGE, ratio=10) == encode(IMAGE, ratio=[10.0]) == encode(IMAGE, params={"ratio": 10}) == by_name
    assert encode(IMAGE, psnr=40) == encode(IMAGE, quality_mode="dB", quality_layers=[40])
    assert encode(IMAGE, ht=True) == encode(IMAGE, mode=GrkMode.HT)
    assert encode(IMAGE, ht=True, mode=GrkMode.VSC) == encode(IMAGE, mode=GrkMode.HT | GrkMode.VSC)
    assert encode(IMAGE, ratio=None, psnr=None, max_error=None, ht=None) == encode(IMAGE)
    blosc2_grok.set_params_defaults(ratio=10, ht=True)
    defaults = blosc2_grok.get_params_defaults()
    assert (defaults["quality_mode"], defaults["quality_layers"], defaults["mode"]) == ("rates", (10.0,), GrkMode.HT)
    assert encode(IMAGE) == coded(IMAGE, ratio=10, ht=True)
    assert encode(IMAGE, ht=False) == coded(IMAGE, ratio=10)
    assert encode(IMAGE, psnr=40) == coded(IMAGE, psnr=40, ht=True)
    assert encode(IMAGE, quality_mode=None) == coded(IMAGE, ht=True)
    blosc2_grok.set_params_defaults(ht=False, quality_mode=None)
    assert encode(IMAGE) == coded(IMAGE)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"ratio": 3, "psnr": 40}, "ratio and psnr exclude"),
        ({"max_error": 3, "psnr": 40}, "psnr and max_error exclude"),
        ({"ratio": 3, "quality_mode": "dB"}, "ratio and quality_mode exclude"),
        ({"psnr": 3, "quality_layers": [4]}, "psnr and quality_layers exclude"),
        ({"ratio": 0}, "ratio: 0 is not allowed"),
        ({"ratio": -2}, "ratio: -2 is not allowed"),
        ({"ratio": "high"}, "ratio: 'high' is not allowed"),
        ({"ratio": True}, "ratio: True is not allowed"),
        ({"psnr": float("nan")}, "psnr: nan is not allowed"),
        ({"max_error": -1}, "max_error: -1 is not allowed"),
        ({"max_error": [1, 2]}, "max_error: .* is not allowed"),
        ({"ratio": [10, 20]}, "quality_layers: 20 after 10"),
        ({"ht": 3}, "ht: 3 is not allowed"),
        ({"ht": True, "mode": GrkMode.LAZY}, "HT"),
        ({"quality": 3}, "unknown parameter 'quality'"),
        ({"num_resolutions": 99}, "num_resolutions: 99"),
        ({"axes": "cyx"}, "axes"),
        ({"axes": "yx"}, "axes: .* 2 dimensions"),
        ({"significant_bits": 9}, "significant_bits: 9"),
    ],
)  # fmt: skip
def test_bad_parameters_are_named_before_anything_is_written(tmp_path, given, message):
    path = tmp_path / "a.b2nd"
    for make in (
        lambda: asarray(IMAGE, urlpath=path, **given),
        lambda: empty(IMAGE.shape, IMAGE.dtype, urlpath=path, **given),
        lambda: storage(IMAGE.shape, IMAGE.dtype, **given),
        lambda: encode(IMAGE, **given),
    ):
        with pytest.raises(ValueError, match=message):
            make()
        assert not path.exists()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"cparams": {"codec": blosc2.Codec.ZSTD}}, "codec Codec.ZSTD is not JPEG 2000"),
        ({"cparams": {"filters": [blosc2.Filter.SHUFFLE]}}, "filters"),
        ({"cparams": {"codec_meta": 30}}, "codec_meta is not allowed; use ratio"),
        ({"cparams": {"splitmode": blosc2.SplitMode.ALWAYS_SPLIT}}, "splitmode"),
        ({"cparams": blosc2.CParams(codec=blosc2.Codec.LZ4)}, "codec Codec.LZ4"),
        ({"meta": {"jpeg2000": "ratio=3"}}, "meta: jpeg2000"),
        ({"chunks": (5, 5)}, "chunks: .* 2 dimensions, but the array has 3"),
        ({"blocks": (5, 5)}, "blocks: .* 2 dimensions, but the array has 3"),
    ],
)  # fmt: skip
def test_what_contradicts_the_codec_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        asarray(IMAGE, **given)


@pytest.mark.parametrize("dtype", ["f8", "i8", "u8", "c8", "M8[s]"])
def test_dtypes_are_refused_by_name(dtype):
    with pytest.raises(ValueError, match=r"dtype .*" + np.dtype(dtype).str[1:3]):
        asarray(np.zeros((4, 4), dtype))
    with pytest.raises(ValueError, match="supported"):
        empty((4, 4), dtype)


def test_a_failure_leaves_no_file(tmp_path):
    """What only the samples can tell."""
    path = tmp_path / "a.b2nd"
    image = STACK.astype("f4")
    image[3, 5, 5] = np.nan
    with pytest.raises(ValueError, match="nan: 1 values"):
        asarray(image, ratio=10, urlpath=path)
    assert not path.exists()
    with pytest.raises(ValueError, match="significant_bits: 11 is not enough"):
        asarray(STACK, significant_bits=11, urlpath=path)
    assert not path.exists()


# ---- chunks, blocks, storage ----


@pytest.mark.parametrize(
    ("shape", "itemsize", "axes", "blocks"),
    [
        ((500, 700), 2, None, (500, 700)), ((500, 700, 3), 1, None, (500, 700, 3)), ((9, 500, 700), 2, None, (1, 500, 700)),
        ((9, 500, 700, 3), 2, None, (1, 500, 700, 3)), ((2, 9, 500, 700), 2, None, (1, 1, 500, 700)), ((1000,), 2, None, (1000,)),
        ((500, 700, 40), 2, "yxc", (500, 700, 40)), ((500, 700, 3), 2, "zyx", (1, 700, 3)), ((7, 100), 2, "xc", (7, 100)),
        ((1, 500, 700), 2, None, (1, 500, 700)), ((), 2, None, ()), ((0, 5), 2, None, (1, 5)), ((8192, 8192), 1, None, (8192, 8192)),
    ],
)  # fmt: skip
def test_one_image_a_chunk_and_a_block(shape, itemsize, axes, blocks):
    assert partition(shape, itemsize, axes) == (blocks, blocks)


@pytest.mark.parametrize(
    ("shape", "itemsize", "axes"),
    [
        ((30000, 40000), 1, None), ((3, 9000, 9001), 4, None), ((20000, 20000, 3), 2, None), ((2000, 3000, 300), 1, "yxc"),
        ((50, 10**7), 2, None), ((10**7, 50), 2, None), ((10**9,), 2, None), ((8192, 8193), 1, None),
    ],
)  # fmt: skip
def test_very_large_images_are_cut_into_tiles(shape, itemsize, axes):
    chunks, blocks = partition(shape, itemsize, axes)
    size = math.prod(blocks) * itemsize
    assert 2**22 <= size <= 2**25
    image = 2 if len(shape) > 1 else 1
    has_c = axes == "yxc" or shape[-1] == 3
    first = len(shape) - has_c - image
    assert chunks[:first] == blocks[:first] == (1,) * first
    for axis in range(first, first + image):
        assert chunks[axis] in (2 * blocks[axis], shape[axis])
        assert blocks[axis] == shape[axis] or blocks[axis] % 64 == 0
    assert blocks[len(shape) - has_c :] == shape[len(shape) - has_c :]


def test_chunks_and_blocks_given():
    assert (asarray(STACK, chunks=(2, 96, 120)).chunks, asarray(STACK, chunks=(2, 96, 120)).blocks) == (
        (2, 96, 120),
        (1, 96, 120),
    )
    array = asarray(STACK, blocks=(1, 32, 64))
    assert (array.chunks, array.blocks) == ((1, 96, 120), (1, 32, 64))
    assert asarray(STACK, blocks=(4, 96, 120)).chunks == (4, 96, 120)
    array = asarray(STACK, chunks=(1, 50, 60), ratio=5)
    assert array.blocks == (1, 50, 60)
    assert psnr(array[...], STACK, 4000) > 35


def test_settings_of_blosc2():
    array = asarray(IMAGE)
    assert array.schunk.cparams.codec == blosc2.Codec.GROK
    assert array.schunk.cparams.splitmode == blosc2.SplitMode.NEVER_SPLIT
    assert not any(array.schunk.cparams.filters_meta)
    assert not any(f.value for f in array.schunk.cparams.filters)
    array = asarray(IMAGE, cparams={"nthreads": 3, "clevel": 5}, meta={"mine": b"x"}, dparams={"nthreads": 2})
    assert (array.schunk.cparams.nthreads, array.schunk.meta["mine"]) == (3, b"x")
    array = asarray(IMAGE, cparams=blosc2.CParams(nthreads=1, codec=blosc2.Codec.GROK))
    assert array.schunk.cparams.nthreads == 1
    array = asarray(IMAGE, cparams={"codec": 40})
    assert blosc2_grok.info(block(array))["codeblock_style"] == GrkMode.HT


def test_files(tmp_path):
    for contiguous in (True, False):
        path = tmp_path / f"{contiguous}.b2nd"
        asarray(STACK, psnr=60, urlpath=path, mode="w", contiguous=contiguous)
        assert psnr(blosc2.open(str(path))[...], STACK, 65535) >= 60
        with pytest.raises(Exception, match=r".+"):
            asarray(STACK, urlpath=path, mode="x")
        asarray(STACK, urlpath=path, mode="w", contiguous=contiguous)
        assert (blosc2.open(str(path))[...] == STACK).all()


def test_sources():
    assert (asarray(blosc2.asarray(STACK), ratio=None)[...] == STACK).all()
    assert (asarray(np.asfortranarray(IMAGE))[...] == IMAGE).all()
    assert (asarray(IMAGE[::2, ::-1])[...] == IMAGE[::2, ::-1]).all()
    with pytest.raises(ValueError, match="i8"):
        asarray([[1, 2], [3, 4]])


def test_slice_by_slice(tmp_path):
    array = empty(STACK.shape, STACK.dtype, urlpath=tmp_path / "a.b2nd", ratio=10)
    assert array.chunks == (1, 96, 120)
    for n, image in enumerate(STACK):
        array[n] = image
        assert block(array, n) == coded(image, ratio=10)
    filled = zeros((3, 40, 50), "u1", ht=True)
    filled[1] = 7
    assert (filled[...].sum(axis=(1, 2)) == [0, 7 * 2000, 0]).all()
    assert empty(5, "u1").shape == (5,)


def test_storage_serves_the_constructors_of_blosc2():
    array = blosc2.full((3, 40, 50), 7, dtype=np.uint8, **storage((3, 40, 50), np.uint8, ratio=10))
    array[1] = IMAGE[:40, :50, 0].copy()
    assert stored_text(array) == "defaults;quality_mode=rates;quality_layers=10"
    assert block(array, 1) == coded(IMAGE[:40, :50, 0].copy(), ratio=10)


# ---- parameters stay with the array ----

APPEND = """
import sys, blosc2, numpy as np
if sys.argv[2]:
    import blosc2_grok
    blosc2_grok.set_params_defaults(**eval(sys.argv[2]))
array = blosc2.open(sys.argv[1], mode="a")
more = np.load(sys.argv[1] + ".npy")
array.resize((array.shape[0] + len(more), *array.shape[1:]))
array[-len(more):] = more
"""


@pytest.mark.parametrize(
    "elsewhere", ["", "{'quality_mode': 'dB', 'quality_layers': [20], 'num_resolutions': 1, 'mode': 32}"]
)
@pytest.mark.parametrize(
    "given", [{}, {"ratio": 10}, {"psnr": 50, "ht": True}, {"num_resolutions": 3, "axes": "zyx", "significant_bits": 12}]
)  # fmt: skip
def test_blocks_appended_elsewhere_are_coded_alike(tmp_path, given, elsewhere):
    """In a fresh process, with the package imported or not, whatever its defaults are."""
    path = str(tmp_path / "a.b2nd")
    blosc2_grok.set_params_defaults(numgbits=4)
    asarray(STACK[:2], urlpath=path, **given)
    blosc2_grok.set_params_defaults()
    np.save(path + ".npy", STACK[2:])
    env = {**os.environ, "PATH": os.path.dirname(sys.executable) + os.pathsep + os.environ.get("PATH", "")}
    subprocess.run([sys.executable, "-c", APPEND, path, elsewhere], check=True, env=env, timeout=120)
    array = blosc2.open(path)
    assert array.shape == STACK.shape
    for n, image in enumerate(STACK):
        expected = encode(image[np.newaxis], params=Parameters(numgbits=4), **given)
        assert block(array, n) == expected
    assert params_of(array).numgbits == 4


def test_nothing_of_the_process_matters_later():
    array = empty(STACK.shape, STACK.dtype, ratio=12)
    array[0] = STACK[0]
    blosc2_grok.set_params_defaults(psnr=30, num_resolutions=2, numgbits=5)
    array[1] = STACK[0]
    with params(ht=True):
        array[2] = STACK[0]
    # Even defaults that cannot be used do not.
    lib = blosc2_grok._lib.lib
    one = (blosc2_grok._arrays.ctypes.c_int64 * 2)()
    lib.blosc2_grok_set_default_params(one, one, 0, None, None, 99, None, 6, one, *[0] * 4, one, one, *[0] * 15)
    with pytest.raises(ValueError, match="numgbits"):
        encode(STACK[0])
    array[3] = STACK[0]
    blosc2_grok.set_params_defaults()
    assert {block(array, n) for n in range(4)} == {coded(STACK[0], ratio=12)}


def test_the_process_and_the_scope_are_stored_at_creation():
    blosc2_grok.set_params_defaults(num_resolutions=3, psnr=45)
    with params(progression="RPCL"):
        array = asarray(IMAGE, numgbits=3)
    blosc2_grok.set_params_defaults()
    assert block(array) == coded(IMAGE, num_resolutions=3, psnr=45, progression="RPCL", numgbits=3)
    stored = params_of(array)
    assert isinstance(stored, Parameters)
    assert (stored.num_resolutions, stored.quality_mode, stored.quality_layers) == (3, "dB", (45.0,))
    assert params_of(blosc2.asarray(IMAGE)) is None
    assert params_of(asarray(IMAGE, num_threads=3)).num_threads == 3


# ---- scopes and complete sets ----


def test_scopes():
    plain = coded(IMAGE)
    with params(ratio=10):
        assert encode(IMAGE) == coded(IMAGE, ratio=10)
        assert block(asarray(IMAGE)) == coded(IMAGE, ratio=10)
        assert encode(IMAGE, psnr=40) == coded(IMAGE, psnr=40)
        assert encode(IMAGE, quality_mode=None) == plain
        with params(ht=True, num_resolutions=3):
            assert encode(IMAGE) == coded(IMAGE, ratio=10, ht=True, num_resolutions=3)
            with params(psnr=40, mode=GrkMode.SEGSYM):
                assert encode(IMAGE) == coded(IMAGE, psnr=40, mode=GrkMode.SEGSYM, num_resolutions=3)
        assert encode(IMAGE) == coded(IMAGE, ratio=10)
        assert encode(IMAGE, params=Parameters()) == plain
    assert encode(IMAGE) == plain
    with pytest.raises(RuntimeError, match="out"), params(ratio=10):
        raise RuntimeError("out")
    assert encode(IMAGE) == plain
    for bad, message in (({"nope": 1}, "nope"), ({"ratio": 0}, "ratio"), ({"numgbits": 9}, "numgbits")):
        with pytest.raises(ValueError, match=message), params(**bad):
            pytest.fail("the body must not run")
    assert encode(IMAGE) == plain


def test_each_thread_has_its_own_scope():
    barrier, results = threading.Barrier(3, timeout=30), {}

    def work(ratio):
        with params(ratio=ratio):
            barrier.wait()
            results[ratio] = encode(IMAGE)
            barrier.wait()

    threads = [threading.Thread(target=work, args=(ratio,)) for ratio in (5, 20)]
    for thread in threads:
        thread.start()
    barrier.wait()
    outside = encode(IMAGE)
    barrier.wait()
    for thread in threads:
        thread.join()
    assert outside == coded(IMAGE)
    assert results == {ratio: coded(IMAGE, ratio=ratio) for ratio in (5, 20)}


def test_complete_sets():
    fields = [field.name for field in dataclasses.fields(Parameters)]
    assert fields == [row["name"] for row in blosc2_grok.parameter_table()]
    assert dataclasses.asdict(Parameters()) == blosc2_grok.params_defaults
    chosen = Parameters(num_resolutions=3, quality_mode="rates", quality_layers=(10.0,), comment="a;b", mode=GrkMode.HT)
    assert chosen.text() == "defaults;quality_mode=rates;quality_layers=10.0;num_resolutions=3;mode=64;comment=a%3Bb"
    assert Parameters.from_text(chosen.text()) == chosen
    assert Parameters.from_text("") == Parameters()
    assert Parameters.from_text("num_resolutions=2;defaults; numgbits = 3") == Parameters(numgbits=3)
    with pytest.raises(dataclasses.FrozenInstanceError):
        chosen.mode = 0
    blosc2_grok.set_params_defaults(numgbits=5)
    array = asarray(IMAGE, params=chosen)
    assert params_of(array) == chosen
    assert (
        block(array)
        == encode(IMAGE, params=chosen)
        == coded(IMAGE, ratio=10, num_resolutions=3, comment="a;b", ht=True)
    )
    assert encode(IMAGE, params=chosen, ht=False, comment="") == coded(IMAGE, ratio=10, num_resolutions=3)
    for text in ("nonsense", "ratio=3", "numgbits=9"):
        with pytest.raises(ValueError, match=text.split("=")[0]):
            Parameters.from_text(text)
    with pytest.raises(ValueError, match="numgbits"):
        encode(IMAGE, params=Parameters(numgbits=9))
    with pytest.raises(TypeError):
        Parameters(nope=3)


@pytest.mark.parametrize("name", [row["name"] for row in blosc2_grok.parameter_table()])
def test_every_parameter_survives_the_stored_text(name):
    """A value other than the default, given by name, is what params_of says."""
    values = {
        "tile_size": (64, 32), "offset": (5, 7), "quality_mode": "dB", "quality_layers": (40.5,), "progression": "CPRL", "axes": "yxc",
        "codeblock_size": (16, 32), "mode": GrkMode.SEGSYM, "irreversible": True, "precinct_size": ((64, 64), (32, 32)), "nan": "mask",
        "cod_format": blosc2_grok.GrkFileFmt.GRK_FMT_J2K, "mct": 0, "rateControlAlgorithm": blosc2_grok.GrkRateControl.PCRD_OPT,
        "comment": "a;b %", "tile_offset": (2, 3), "decod_format": blosc2_grok.GrkFileFmt.GRK_FMT_PNG, "roi_compno": 1,
        "rsiz": blosc2_grok.GrkProfile.GRK_PROFILE_1, "significant_bits": 8,
    }  # fmt: skip
    default = blosc2_grok.params_defaults[name]
    if name not in values and not isinstance(default, (bool, int)):
        pytest.skip(f"no value for {name} here")
    value = values[name] if name in values else (not default if isinstance(default, bool) else default + 2)
    given = {name: value}
    if name == "quality_mode":
        given["quality_layers"] = (40.5,)
    if name == "quality_layers":
        given["quality_mode"] = "dB"
    if name == "tile_offset":
        given["offset"] = (5, 7)
    array = empty(IMAGE.shape, IMAGE.dtype, **given)
    assert getattr(params_of(array), name) == value
