# Any dtype, shape, axes and parameters together; and two threads that write with different ones.
# SPDX-License-Identifier: BSD-3-Clause
"""J2K_LONG=SECONDS: each for that long, instead of what continuous integration has time for."""

import math
import os
import threading
import time

import numpy as np
import oracle
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from store import GROK, HTJ2K, OPENHTJ2K, payloads, picture

import blosc2_grok
from blosc2_grok import GrkFileFmt, GrkMode, asarray, decode, encode

LONG = float(os.environ.get("J2K_LONG", 0))
DTYPES = ["bool", "i1", "u1", "<i2", ">i2", "<u2", ">u2", "<i4", ">i4", "<u4", ">u4", "<f2", ">f2", "<f4", ">f4"]
# What OpenJPEG's 32-bit arithmetic can take, with what the wavelet and the colour transform add.
OPENJPEG_DEPTH = 25


@st.composite
def shapes(draw):
    """A shape, and axes for it or none."""
    side = st.integers(1, 40)
    few = st.integers(1, 4)
    axes = draw(st.sampled_from([None, None, "x", "xc", "yx", "yxc", "zyx", "zyxc", "tzyx", "tzyxc"]))
    if axes is None:
        return tuple(draw(st.lists(side, min_size=1, max_size=2))), None
    sides = {"x": side, "y": side, "c": st.integers(1, 20)}
    return tuple(draw(sides.get(letter, few)) for letter in axes), draw(st.sampled_from([axes, None]))


@st.composite
def arrays(draw):
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    shape, axes = draw(shapes())
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    kind = draw(st.sampled_from(["constant", "random", "extreme", "waves", "few bits"]))
    if dtype.kind == "f":
        return draw(float_arrays(dtype, shape, kind, rng)), axes
    low, high = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    if kind == "few bits":
        low, high = max(low, -(2**10)), min(high, 2**10 - 1)
    if kind == "constant":
        return np.full(shape, draw(st.integers(low, high)), dtype), axes
    if kind == "extreme":
        return rng.choice(np.array([low, high]), shape).astype(dtype), axes
    if kind == "waves":
        wave = np.sin(np.arange(math.prod(shape)) / draw(st.floats(1, 50))).reshape(shape)
        return ((wave + 1) / 2 * (float(high) - low) + low).round().clip(low, high).astype(np.int64).astype(dtype), axes
    return rng.integers(low, high, shape, endpoint=True).astype(dtype), axes


@st.composite
def float_arrays(draw, dtype, shape, kind, rng):
    if kind == "constant":
        return np.full(shape, draw(st.floats(width=16)), dtype)
    if kind == "random":  # patterns, NaN among them
        return rng.integers(0, 256, (*shape, dtype.itemsize), np.uint8).view(dtype)[..., 0]
    if kind == "extreme":
        return rng.choice(np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 65504, 6e-8]), shape).astype(dtype)
    if kind == "few bits":
        return (rng.integers(-500, 500, shape) / 8).astype(dtype)
    return (np.sin(np.arange(math.prod(shape)) / 9).reshape(shape) * draw(st.sampled_from([1.0, 60000.0]))).astype(
        dtype
    )


@st.composite
def structures(draw):
    """Parameters that say how, not how well."""
    chosen = {
        "num_resolutions": st.integers(1, 8),
        "codeblock_size": st.sampled_from([(4, 4), (64, 64), (32, 16), (1024, 4), (4, 256)]),
        "progression": st.sampled_from(["LRCP", "RLCP", "RPCL", "PCRL", "CPRL"]),
        "tile_size": st.tuples(st.integers(5, 50), st.integers(5, 50)),
        "precinct_size": st.sampled_from([(64, 64), (256, 128), ((128, 128), (32, 32))]),
        "cod_format": st.sampled_from([GrkFileFmt.GRK_FMT_JP2, GrkFileFmt.GRK_FMT_J2K]),
        "mct": st.sampled_from([-1, 0]),
        "numgbits": st.integers(1, 7),
        "enableTilePartGeneration": st.booleans(),
        "write_plt": st.booleans(),
        "write_sop": st.booleans(),
        "write_eph": st.booleans(),
        "comment": st.text("ab;=% \u00e9", max_size=9),
    }
    params = {name: draw(chosen[name]) for name in draw(st.sets(st.sampled_from(sorted(chosen)), max_size=4))}
    style = draw(st.sampled_from(["", "", "ht", "style"]))
    if style == "ht":
        params["ht"] = True
    elif style == "style":
        params["mode"] = draw(st.integers(0, 63))
    return params


def bits(array):
    array = np.ascontiguousarray(array)
    native = array.view(f"u{array.itemsize}") if array.dtype.isnative else array.byteswap().view(f"u{array.itemsize}")
    return native.tobytes()


def check_lossless(array, got):
    assert bits(got.reshape(array.shape)) == bits(array)


def check_lossy(array, got, quality):
    """Against the bound that was asked for; ratios are checked by the size of the stream."""
    finite = np.isfinite(array) if array.dtype.kind == "f" else np.ones(array.shape, bool)
    assert np.array_equal(got[~finite], array[~finite].astype(got.dtype), equal_nan=True)
    if not finite.any():
        return
    wanted = array[finite].astype(np.float64)
    error = got[finite].astype(np.float64) - wanted
    if "max_error" in quality:
        assert np.abs(error).max() <= quality["max_error"]
    elif "psnr" in quality:
        peak = np.ptp(wanted) if array.dtype.kind == "f" else 2.0 ** depth_of(array) - 1
        assert np.sqrt(np.mean(error**2)) <= peak * 10 ** (-quality["psnr"] / 20) * (1 + 1e-9)


def depth_of(array):
    """Bits that an integer array is coded with."""
    if array.itemsize < 4:
        return 8 * array.itemsize
    low, high = int(array.min()), int(array.max())
    return max(8, max(high, -low - 1).bit_length() + (array.dtype.kind == "i"))


def qualities(array):
    lossless = st.just({})
    if array.dtype.kind == "b":
        return lossless
    lossy = [
        st.fixed_dictionaries({"psnr": st.sampled_from([25, 40, 60])}),
        st.fixed_dictionaries({"ratio": st.sampled_from([3, 10, 100])}),
    ]
    if array.dtype.kind == "f":
        lossy.append(st.fixed_dictionaries({"max_error": st.sampled_from([1e-6, 0.1, 3, 1000])}))
    return st.one_of(lossless, lossless, *lossy)


def openjpeg_agrees(file, lossless):
    """OpenJPEG sees the samples that this package does, but for the arithmetic of the 9/7 wavelet."""
    ours = np.atleast_2d(decode_samples(file)).astype(np.int64)
    theirs = oracle.samples(file).astype(np.int64).reshape(ours.shape)
    assert np.abs(ours - theirs).max() <= (0 if lossless else 2 + np.abs(ours).max() // 2**14)


def decode_samples(file):
    """The integers of a block, without what its note says."""
    at = file.find(b"blosc2-grok: ")
    return decode(file if at < 0 else file[:at] + b"blosc2-____: " + file[at + 13 :])


@given(arrays(), structures(), st.data())
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck), database=None)
def check_everything(array_and_axes, structure, data):
    array, axes = array_and_axes
    quality = data.draw(qualities(array))
    raw = structure.get("cod_format") == GrkFileFmt.GRK_FMT_J2K
    params = {**structure, **quality, "axes": axes or "", "nan": "refuse" if raw else "mask"}
    if quality and raw and array.dtype.kind == "f" and not np.isfinite(array).all():
        quality = {}
        params = {name: value for name, value in params.items() if name not in ("psnr", "ratio", "max_error")}
    if "psnr" in quality:
        params.pop("ht", None)  # its targets are for images from 64 x 64 up
    note(f"{array.dtype} {array.shape} {params}")
    file = encode(array, **params)
    got = decode(file)
    assert got.dtype == (np.uint8 if array.dtype.kind == "b" else array.dtype.newbyteorder("="))
    (check_lossless if not quality else lambda a, g: check_lossy(a, g, quality))(array, got.reshape(array.shape))
    if max(depth for depth, _ in oracle.siz(file)) <= OPENJPEG_DEPTH:
        style = params.get("mode", 0)
        if not (style & GrkMode.PTERM):  # OpenJPEG checks predictable termination by its own encoder's
            openjpeg_agrees(file, not blosc2_grok.info(file)["irreversible"])
    # The same through Blosc2: the block is that file, but for a note of the byte order.
    codec = data.draw(st.sampled_from([GROK, HTJ2K, OPENHTJ2K] if "ht" in params else [GROK]))
    blocks = tuple(data.draw(st.integers(max(1, n // 2), n)) for n in array.shape)
    whole = data.draw(st.booleans())
    stored = asarray(
        array,
        chunks=array.shape,
        blocks=array.shape if whole else blocks,
        cparams={"codec": codec, "nthreads": data.draw(st.sampled_from([1, 4]))},
        **params,
    )
    assert stored.dtype == array.dtype
    if not quality:
        check_lossless(array, stored[...])
    elif whole or "max_error" in quality:  # the peak, and the range of floats, are the block's
        check_lossy(array, stored[...], quality)
    if whole and not raw and array.dtype.isnative and (files := payloads(stored)):
        assert files == [file]


def test_everything():
    end = time.monotonic() + LONG
    check_everything()
    while time.monotonic() < end:
        check_everything()


# ---- threads ----

LOSSY = {"ratio", "psnr", "max_error"}


def jobs():
    """Arrays with different parameters, each with its result when nothing else runs."""
    image, stack = picture(90, 120, 3), np.stack([picture(80, 90, 1, 4000, np.uint16, seed=n) for n in range(3)])
    floats = (stack / 7.3).astype("f4")
    floats[1, 3:9] = np.nan
    return [
        (image, {}),
        (image, {"ratio": 10}),
        (image, {"psnr": 40, "num_resolutions": 3}),
        (stack, {"ht": True}),
        (stack, {"significant_bits": 12, "ratio": [20, 8], "progression": "RPCL"}),
        (stack.astype(">u2"), {"psnr": 60, "mode": GrkMode.SEGSYM, "comment": "x"}),
        (floats, {}),
        (floats, {"max_error": 0.2, "nan": "mask", "ht": True}),
        (floats, {"psnr": 50, "nan": "mask", "tile_size": (33, 44)}),
        (image > 90, {"axes": "yxc", "codeblock_size": (16, 16)}),
    ]


@pytest.mark.parametrize("others", [1, 3])
def test_threads_with_different_parameters(others):
    """Each result is that of one thread alone: no parameter of one array reaches another, while the defaults of the process change
    all the time and every thread has a scope of its own."""
    work = jobs()
    alone = [payloads(asarray(array, cparams={"nthreads": 1}, **params)) for array, params in work]
    assert len({file for files in alone for file in files}) > len(work)
    end = time.monotonic() + (LONG or 1.5)
    failures, rounds = [], [0] * (others + 1)

    def write(which):
        rng = np.random.default_rng(which)
        try:
            while time.monotonic() < end and not failures:
                n = int(rng.integers(len(work)))
                scope, (array, params) = work[int(rng.integers(len(work)))][1], work[n]
                with blosc2_grok.params(**scope):
                    made = asarray(
                        array, params=blosc2_grok.Parameters(), cparams={"nthreads": int(rng.integers(1, 4))}, **params
                    )
                files = payloads(made)
                assert sorted(files) == sorted(alone[n])  # Blosc2's threads may finish in another order
                restored = np.nan_to_num(made[...].astype(np.float64), nan=-1)
                expected = np.nan_to_num(array.astype(np.float64), nan=-1)
                assert np.abs(restored - expected).max() <= (0 if not params.keys() & LOSSY else np.ptp(expected))
                rounds[which] += 1
        except BaseException as error:
            failures.append(error)

    def disturb():
        while time.monotonic() < end:
            for params in ({"ratio": 50}, {"psnr": 30, "num_resolutions": 1}, {"ht": True}, {}):
                blosc2_grok.set_params_defaults(**params)

    threads = [threading.Thread(target=write, args=(which,)) for which in range(others + 1)]
    threads.append(threading.Thread(target=disturb))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert min(rounds) > 0
