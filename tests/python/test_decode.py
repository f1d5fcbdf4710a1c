# What decode and info do with parts, damage and boxes.
# SPDX-License-Identifier: BSD-3-Clause
import struct
import warnings

import jp2
import numpy as np
import pytest
from jp2 import box, cdef, codestream, colr, picture, wrap

import segments
from blosc2_grok import DecodeWarning, decode, decode_components, encode, info

RAW = 1  # GrkFileFmt.GRK_FMT_J2K


# ---- components ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mct", [0, 1])
def test_components(mct):
    image = picture(50, 60, 4)
    data = encode(image, mct=mct, tile_size=(32, 32))
    for chosen in ([0], [3], [2, 0], [1, 3], [3, 2, 1, 0], (np.int64(1), 2), [1, 1, 0]):
        result = decode(data, components=chosen)
        assert (result == image[:, :, list(chosen)].squeeze()).all()
        assert result.ndim == (2 if len(chosen) == 1 else 3)
        planes = decode_components(data, components=chosen)
        assert all((p == image[:, :, c]).all() for p, c in zip(planes, chosen, strict=True))
    part = decode(data, components=[2], region=(7, 9, 45, 44), reduce=1)
    assert (part == decode(data, reduce=1)[5:22, 4:23, 2]).all()


def test_components_of_floats():
    image = np.random.default_rng(1).normal(0, 1, (20, 30, 3)).astype(np.float32)
    image[3, 4, 1] = np.nan
    data = encode(image)
    for chosen in ([1], [2, 1], [1, 1]):
        assert np.array_equal(decode(data, components=chosen), image[:, :, chosen].squeeze(), equal_nan=True)
        planes = decode_components(data, components=chosen, region=(2, 1, 20, 18))
        for plane, c in zip(planes, chosen, strict=True):
            assert np.array_equal(plane, image[1:18, 2:20, c], equal_nan=True)
    with pytest.raises(ValueError, match="float32 have no colour space"):
        decode(data, colour="rgb")


@pytest.mark.parametrize("chosen", [[4], [], [-1], [16384]])
def test_bad_components(chosen):
    with pytest.raises(ValueError, match="components"):
        decode(encode(picture(20, 20, 4)), components=chosen)


def test_chosen_components_of_equal_size():
    """Two of three components have one size: together they can be returned as an array."""
    import images
    import ours

    image = images.make(50, 44, components=3, subsampling=[(1, 1), (2, 2), (2, 2)])
    data = ours.encode(image, mct=0, resolutions=3)
    assert (decode(data, components=[1, 2]) == np.stack([p.data for p in image.planes[1:]], -1)).all()
    assert (decode(data, components=[0]) == image.planes[0].data).all()
    with pytest.raises(ValueError, match="differ in size"):
        decode(data, components=[0, 1])


# ---- tolerant --------------------------------------------------------------------------------------------------------


def test_truncated_data():
    image = picture(100, 120, 1)[:, :, 0]
    data = encode(image, tile_size=(64, 64))
    for cut in (len(data) - 100, len(data) // 2):
        with pytest.raises(ValueError, match=r"tile|bytes"):
            decode(data[:cut])
        with pytest.warns(DecodeWarning, match=r"tile|packet"):
            result = decode(data[:cut], tolerant=True)
        assert (result[:64, :64] == image[:64, :64]).all()
        with pytest.warns(DecodeWarning):
            (plane,) = decode_components(data[:cut], tolerant=True)
        assert (plane == result).all()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert (decode(data, tolerant=True) == image).all()
        assert (decode(data[: len(data) // 2], region=(0, 0, 64, 64)) == image[:64, :64]).all()


def test_tolerant_colours():
    image = picture(100, 120, 3)
    data = encode(image)
    with pytest.warns(DecodeWarning):
        assert decode(data[:-500], tolerant=True, colour="rgb").shape == image.shape


def test_no_header_no_image():
    data = encode(picture(20, 20, 1))
    for cut in (0, 3, 50, 100):
        with pytest.raises(ValueError, match=r"."):
            decode(data[:cut], tolerant=True)
        with pytest.raises(ValueError, match=r"."):
            info(data[:cut])


# ---- boxes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", ["normal", "long", "unknown"])
def test_length_of_the_codestream_box(length):
    """LBox, XLBox, or 0 for "up to the end of the file" (I.4)."""
    image = picture(30, 40, 3)
    data = wrap(codestream(image), colr(16), length=length)
    assert (decode(data) == image).all()
    *_, last = info(data)["boxes"]
    assert last["type"] == "jp2c"
    assert last["offset"] + last["length"] == len(data)


def test_jpx_baseline():
    """Brand jpx, with the boxes that JPX files have beside those of JP2."""
    image = picture(30, 40, 3)
    rreq = box("rreq", bytes.fromhex("01 80 80 00 01 00 05 80 00 00".replace(" ", "")))
    layer = box("jpch", box("lbl ", b"codestream")) + box("jplh", box("cgrp", colr(16)))
    data = wrap(codestream(image), colr(16), before=rreq + layer)
    data = data.replace(b"ftypjp2 \0\0\0\0jp2 ", b"ftypjpx \0\0\0\0jp2 ")
    found = info(data)
    assert (found["brand"], found["compatibility"]) == ("jpx ", ["jp2 "])
    assert (decode(data) == image).all()
    assert (decode(data, colour="rgb") == image).all()


def test_every_box_is_described():
    image = picture(30, 40, 2)
    uuid = bytes(range(16))
    resolution = box("resc", struct.pack(">HHHHbb", 300, 1, 150, 2, 2, -1))
    resolution += box("resd", struct.pack(">HHHHbb", 72, 7, 72, 7, 0, 0))
    uinf = box("uinf", box("ulst", b"\0\1" + uuid) + box("url ", bytes(4) + b"http://example.org\0"))
    stream = codestream(image)
    data = wrap(
        stream,
        colr(17),
        box("res ", resolution),
        cdef((0, 0, 1), (1, 1, 0)),
        jp2.bpcc(stream),
        before=box("xml ", "<é/>".encode()) + box("uuid", uuid + b"abc") + uinf + box("new!", b"..."),
    )
    found = info(data)
    assert found["format"] == "jp2"
    assert (found["brand"], found["compatibility"]) == ("jp2 ", ["jp2 "])
    header = found["image_header"]
    assert (header["height"], header["width"], header["num_components"], header["depth"]) == (30, 40, 2, 8)
    assert (header["compression"], header["colour_space_unknown"], header["intellectual_property"]) == (7, False, False)
    assert found["colour"] == [
        {"method": "enumerated", "precedence": 0, "approximation": 0, "colour_space": 17, "name": "greyscale"}
    ]
    assert found["channels"][1] == {"channel": 1, "type": "opacity", "association": 0}
    assert found["depths"] == [{"depth": 8, "signed": False}] * 2
    assert found["resolution"]["capture"] == pytest.approx({"vertical": 30000.0, "horizontal": 7.5})
    assert found["resolution"]["display"] == pytest.approx({"vertical": 72 / 7, "horizontal": 72 / 7})
    assert found["xml"] == ["<é/>"]
    (place,) = found["uuid"]
    assert place["uuid"] == uuid.hex()
    assert data[place["offset"] : place["offset"] + place["length"]] == b"abc"
    assert found["uuid_info"] == [{"uuids": [uuid.hex()], "url": "http://example.org"}]
    assert [b["type"] for b in found["boxes"]] == ["jP  ", "ftyp", "jp2h", "xml ", "uuid", "uinf", "new!", "jp2c"]
    assert [b["type"] for b in found["boxes"][2]["boxes"]] == ["ihdr", "colr", "res ", "cdef", "bpcc"]
    assert (decode(data) == image).all()


def test_glymur_reads_the_same_boxes(tmp_path):
    """An independent reader of boxes agrees on what the test above builds."""
    glymur = pytest.importorskip("glymur")
    data = wrap(
        codestream(picture(30, 40, 2)),
        colr(17),
        box("res ", box("resc", struct.pack(">HHHHbb", 300, 1, 150, 2, 2, -1))),
        cdef((0, 0, 1), (1, 1, 0)),
        before=box("xml ", b"<a/>") + box("uuid", bytes(range(16)) + b"abc"),
    )
    path = tmp_path / "x.jp2"
    path.write_bytes(data)
    theirs = glymur.Jp2k(path)
    found = info(data)
    assert [b.box_id for b in theirs.box] == [b["type"] for b in found["boxes"]]
    assert [(b.offset, b.length) for b in theirs.box] == [(b["offset"], b["length"]) for b in found["boxes"]]
    inner = theirs.box[2].box
    assert [b.box_id for b in inner] == [b["type"] for b in found["boxes"][2]["boxes"]]
    (resolution,) = [b for b in inner if b.box_id == "res "]
    capture = found["resolution"]["capture"]
    assert resolution.box[0].vertical_resolution == pytest.approx(capture["vertical"])
    assert resolution.box[0].horizontal_resolution == pytest.approx(capture["horizontal"])


def test_parameters_of_cielab():
    data = wrap(codestream(picture(9, 9, 3)), colr(14, struct.pack(">7I", 100, 0, 170, 128, 200, 96, 0x00443530)))
    (colour,) = info(data)["colour"]
    assert (colour["name"], colour["range"], colour["offset"]) == ("CIELab", [100, 170, 200], [0, 128, 96])
    assert colour["illuminant"] == 0x00443530


@pytest.mark.parametrize("seed", range(3))
def test_info_of_damaged_files(seed):
    """Whatever the boxes and markers say: a description or a ValueError."""
    rng = np.random.default_rng(seed)
    stream = codestream(picture(20, 20, 1), tile_size=(8, 8))
    good = wrap(
        stream,
        jp2.pclr([[1, 2]] * 4, [8, 12]),
        jp2.cmap((0, 1, 0), (0, 1, 1)),
        colr(17),
        box("res ", box("resc", bytes(10))),
        before=box("uinf", box("ulst", b"\xff\xff") + box("url ", b"")) + box("uuid", b"short"),
    )
    described = 0
    for _ in range(300):
        data = bytearray(good)
        for at in rng.integers(0, len(data), 3):
            data[at] = rng.integers(0, 256)
        try:
            info(bytes(data[: rng.integers(1, len(data) + 1)] if rng.random() < 0.3 else data))
            described += 1
        except ValueError:
            pass
    assert described > 30


def test_lists_have_an_end():
    """A file of a great many boxes is not described for ever."""
    stream = codestream(picture(20, 20, 1))
    data = wrap(stream, colr(17), after=box("free", b"") * 70000)
    found = info(data)
    assert len(found["boxes"]) < 65536
    assert found["boxes"][-1]["type"] == "free"
    parts = segments.parse(stream)
    parts.main += [(segments.COM, b"\0\1")] * 70000
    assert len(info(parts.build())["codestream"]["markers"]) == 65536


# ---- markers ---------------------------------------------------------------------------------------------------------


def test_every_marker_is_described():
    image = picture(100, 90, 3)
    stream = segments.parse(codestream(image, tile_size=(64, 64), precinct_size=(32, 64), num_resolutions=3))
    other = segments.parse(codestream(image, tile_size=(64, 64), num_resolutions=2, irreversible=True))
    cod, qcd = other.get(segments.COD), other.get(segments.QCD)
    stream.main += [
        (segments.COC, b"\x02\x00" + cod[5:]),
        (segments.QCC, b"\x02" + qcd),
        (segments.RGN, b"\x01\x00\x07"),
        (segments.POC, struct.pack(">BBHBBB", 0, 0, 1, 33, 3, 2)),
        (segments.COM, b"\x00\x01text"),
        (segments.COM, b"\x00\x00\x01\x02"),
        (0xFF6F, b"?"),
    ]
    stream.parts[1].segments += [(segments.COD, cod), (segments.QCD, qcd)]
    data = stream.build()
    found = info(data)["codestream"]
    names = [m["marker"] for m in found["markers"]]
    assert names[:4] == ["SOC", "SIZ", "COD", "QCD"]
    assert names[-7:] == ["COC", "QCC", "RGN", "POC", "COM", "COM", "FF6F"]
    for marker in found["markers"]:
        assert data[marker["offset"]] == 0xFF
    default = found["default"]
    assert (default["num_resolutions"], default["irreversible"], default["guard_bits"]) == (3, False, 2)
    assert default["precincts"][-1] == (32, 64)
    assert default["quantisation"] == "none"
    assert len(default["steps"]) == 7
    assert found["components"][2]["num_resolutions"] == 2
    assert found["components"][2]["quantisation"] == "expounded"
    assert found["components"][1] == {"roi_shift": 7}
    assert found["progression_changes"] == [
        {"progression": "RPCL", "resolutions": (0, 33), "components": (0, 3), "layers": 1}
    ]
    assert found["comments"][-2:] == ["text", b"\x01\x02"]
    parts = found["tile_parts"]
    assert [p["tile"] for p in parts] == [0, 1, 2, 3]
    assert sum(p["length"] for p in parts) + parts[0]["offset"] + 2 == len(data)
    for part, built in zip(parts, stream.parts, strict=True):
        assert data[part["data_offset"] : part["offset"] + part["length"]] == built.body
    assert parts[1]["default"]["num_resolutions"] == 2
    assert "default" not in parts[0]
