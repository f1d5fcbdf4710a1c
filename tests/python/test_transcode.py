# blosc2_grok.transcode: what changes, what stays, and what is refused.
# SPDX-License-Identifier: BSD-3-Clause
import ctypes
import struct

import numpy as np
import pytest

import blosc2_grok
from blosc2_grok import GrkFileFmt, decode, encode, info, transcode
from blosc2_grok._lib import lib
from blosc2_grok._transcode import _Options


def picture(height=90, width=120, components=3):
    y, x = np.mgrid[:height, :width]
    planes = [np.sin(x / (7 + c)) + np.cos(y / (9 - c)) for c in range(components)]
    noise = np.random.default_rng(3).normal(0, 0.05, (height, width, components))
    samples = np.stack(planes, axis=-1) + noise
    return ((samples - samples.min()) / np.ptp(samples) * 255).astype(np.uint8)


@pytest.mark.parametrize("quality", [{}, {"quality_mode": "rates", "quality_layers": [20, 8]}])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16])
def test_there_and_back(quality, dtype):
    array = (picture().astype(np.int32) * (1 if dtype is np.uint8 else 100)).astype(dtype)
    data = encode(array, **quality)
    ht = transcode(data, ht=True)
    assert info(ht)["codeblock_style"] == 64 and info(ht)["format"] == "jph"
    assert np.array_equal(decode(ht), decode(data))
    back = transcode(ht, ht=False)
    assert info(back)["codeblock_style"] == 0 and info(back)["format"] == "jp2"
    assert np.array_equal(decode(back), decode(data))


def test_arguments():
    data = encode(picture(), quality_mode="rates", quality_layers=[20, 8])
    coded = transcode(
        data, progression="CPRL", sop=True, eph=True, plt=True, tlm=True, codeblock_style=["bypass", "reset"]
    )
    described = info(coded)
    assert described["progression"] == "CPRL" and described["sop"] and described["eph"]
    assert described["codeblock_style"] == 3 and described["num_layers"] == 2
    stream = coded[described["codestream_offset"] :]
    assert b"\xff\x55" in stream and b"\xff\x58" in stream  # TLM, PLT
    assert info(transcode(coded, merge_layers=True, num_threads=2))["num_layers"] == 1
    for result in (coded, transcode(coded, tile_parts="R"), transcode(coded, merge_layers=True, plt=False)):
        assert np.array_equal(decode(result), decode(data))


def test_nothing_to_do_changes_nothing():
    for options in ({}, {"progression": "RPCL", "write_sop": True}, {"mode": blosc2_grok.GrkMode.HT}):
        data = encode(picture(), **options)
        assert transcode(data) == data


def test_boxes_stay():
    data = encode(picture())
    extra = struct.pack(">I4s", 20, b"xml ") + b"<a>text</a>\n"
    file = data[:32] + extra + data[32:]  # behind ftyp
    end = struct.pack(">I4s", 12, b"free") + b"tail"
    size = struct.unpack(">I", data[: data.index(b"jp2c")][-4:])[0]
    assert size == len(data) - data.index(b"jp2c") + 4  # not "to the end of the file"
    file += end
    ht = transcode(file, ht=True)
    assert ht[20:24] == b"jph " and ht[28:32] == b"jph "
    assert ht[32 : 32 + len(extra)] == extra and ht.endswith(end)
    assert transcode(ht, ht=False) == file
    bare = transcode(file, format="codestream")
    assert bare.startswith(b"\xff\x4f\xff\x51") and np.array_equal(decode(bare), picture())
    assert info(transcode(bare, ht=True, format="jph"))["format"] == "jph"


def test_comment_stays():
    data = encode(picture(), comment="where it was taken", cod_format=GrkFileFmt.GRK_FMT_J2K)
    assert info(transcode(transcode(data, ht=True), progression="RLCP"))["comment"] == "where it was taken"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"progression": "XYZ"}, "progression 'XYZ' is not one of LRCP"),
        ({"codeblock_style": ["causal"]}, "codeblock_style 'causal' is not one of"),
        ({"format": "tiff"}, "format 'tiff' is not one of"),
        ({"tile_parts": "Q"}, "tile_parts 'Q'"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        transcode(encode(picture(20, 20, 1)), **arguments)


@pytest.mark.parametrize("way", [{"ht": True}, {"progression": "RPCL"}, {"merge_layers": True}])
def test_damaged_data(way):
    data = encode(picture(), quality_mode="rates", quality_layers=[20, 8])
    with pytest.raises(ValueError, match="neither a JPEG 2000 codestream"):
        transcode(b"no image at all", **way)
    cut = data[: len(data) // 2]
    with pytest.raises(ValueError, match="tile"):
        transcode(cut, **way)
    whole = transcode(cut, tolerant=True, **way)
    assert decode(whole).shape == picture().shape


def test_options_are_those_of_the_engine():
    options = _Options()
    lib.j2k_transcode_options_init(ctypes.byref(options))
    assert options.struct_size == ctypes.sizeof(_Options)
    assert (options.ht, options.tlm, options.merge_layers, options.tile_parts) == (-1, -1, False, b"\0")
    assert options.max_components == 16384 and options.max_tiles == 65535 and options.max_incomplete == 0
