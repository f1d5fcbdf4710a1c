# decode(colour="rgb"): palettes, channel definitions, sYCC, other colour spaces, profiles; against Pillow and OpenJPEG.
# SPDX-License-Identifier: BSD-3-Clause
import functools
import io
import os
import shutil
import struct
import subprocess
import sys
import warnings
from pathlib import Path

import jp2
import numpy as np
import pytest
from jp2 import cdef, cmap, codestream, colr, pclr, picture, wrap

from blosc2_grok import DecodeWarning, box_contents, decode, decode_components, encode, icc_profile, info

SHARED = Path(os.environ.get("J2K_SHARED") or Path(__file__).resolve().parents[3] / "shared")


def rgb(data, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return decode(data, colour="rgb", **options)


def by_pillow(data):
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def by_openjpeg(data, tmp_path):
    """The channels as opj_decompress writes them: palette, channel definitions and sYCC applied, no profiles."""
    program = shutil.which("opj_decompress")
    if program is None:
        pytest.skip("no opj_decompress")
    (tmp_path / "in.jp2").write_bytes(data)
    for old in tmp_path.glob("out*"):
        old.unlink()
    command = [program, "-i", str(tmp_path / "in.jp2"), "-o", str(tmp_path / "out.pgx"), "-upsample"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    planes = []
    for path in sorted(tmp_path.glob("out_*.pgx")):
        header, samples = path.read_bytes().split(b"\n", 1)
        *_, depth, width, height = header.replace(b"+", b"").split()
        planes.append(np.frombuffer(samples, np.uint8 if int(depth) <= 8 else ">u2").reshape(int(height), int(width)))
    return np.stack(planes, -1)


# ---- palettes --------------------------------------------------------------------------------------------------------


@pytest.fixture
def indexed():
    indices = picture(60, 70, 1, 15)[:, :, 0]
    entries = np.random.default_rng(1).integers(0, 256, (16, 3))
    return indices, entries


def test_palette(indexed, tmp_path):
    indices, entries = indexed
    data = wrap(codestream(indices), pclr(entries, [8, 8, 8]), cmap((0, 1, 0), (0, 1, 1), (0, 1, 2)), colr(16))
    assert (decode(data) == indices).all()
    result = rgb(data)
    assert result.dtype == np.uint8
    assert (result == entries[indices]).all()
    assert (result == by_openjpeg(data, tmp_path)).all()
    assert (result == by_pillow(data)).all()
    assert (rgb(data, region=(11, 7, 50, 33)) == entries[indices][7:33, 11:50]).all()
    found = info(data)
    assert found["palette"]["entries"] == entries.tolist()
    assert found["palette"]["columns"] == [{"depth": 8, "signed": False}] * 3
    assert found["component_mapping"][1] == {"component": 0, "type": "palette", "column": 1}


def test_palette_of_12_bits_and_an_opacity_beside_it(indexed):
    """One component through the palette, another as it is; columns in another order; an index beyond the palette."""
    indices, _ = indexed
    entries = np.random.default_rng(2).integers(0, 4096, (10, 3))
    opacity = picture(60, 70, 1, 255, seed=3)[:, :, 0]
    stream = codestream(np.stack([indices, opacity], -1))
    mapping = cmap((0, 1, 2), (0, 1, 0), (1, 0, 0), (0, 1, 1))
    channels = cdef((0, 0, 3), (1, 0, 1), (2, 1, 0), (3, 0, 2))
    result = rgb(wrap(stream, pclr(entries, [12, 12, 12]), mapping, channels, colr(16)))
    assert result.dtype == np.uint16
    assert (result[:, :, :3] == entries[np.minimum(indices, 9)]).all()
    assert (result[:, :, 3] == np.rint(opacity * (4095 / 255))).all()


@pytest.mark.parametrize(
    "boxes",
    [
        (pclr([[1, 2, 3]], [8, 8, 8]), cmap((3, 1, 0))),
        (pclr([[1, 2, 3]], [8, 8, 8]), cmap((0, 1, 3))),
        (cmap((0, 1, 0)),),
    ],
)
def test_impossible_palettes(indexed, boxes):
    data = wrap(codestream(indexed[0]), *boxes, colr(16))
    with pytest.raises(ValueError, match="cmap|pclr|palette"):
        rgb(data)


# ---- channel definitions ---------------------------------------------------------------------------------------------


def test_channel_order(tmp_path):
    image = picture(40, 50, 3)
    data = wrap(codestream(image[:, :, [2, 0, 1]]), colr(16), cdef((0, 0, 3), (1, 0, 1), (2, 0, 2)))
    assert (rgb(data) == image).all()
    assert (rgb(data) == by_openjpeg(data, tmp_path)).all()
    assert (decode(data) == image[:, :, [2, 0, 1]]).all()


def test_opacity_comes_last():
    image = picture(40, 50, 4)
    data = wrap(codestream(image[:, :, [3, 0, 1, 2]]), colr(16), cdef((0, 1, 0), (1, 0, 1), (2, 0, 2), (3, 0, 3)))
    assert (rgb(data) == image).all()
    assert info(data)["channels"][0] == {"channel": 0, "type": "opacity", "association": 0}


def test_files_of_pillow():
    from PIL import Image

    for mode, components in (("L", 1), ("LA", 2), ("RGB", 3), ("RGBA", 4)):
        image = picture(40, 50, components)
        stream = io.BytesIO()
        Image.fromarray(image.squeeze(), mode).save(stream, "JPEG2000", irreversible=False)
        result = rgb(stream.getvalue())
        if components < 3:
            colours = np.repeat(image[:, :, :1], 3, -1)
            expected = np.concatenate([colours, image[:, :, 1:]], -1)
        else:
            expected = image
        assert (result == expected).all(), mode


def test_what_is_neither_colour_nor_opacity_is_left_out():
    image = picture(40, 50, 5)
    unspecified = ((3, 65535, 65535), (4, 65535, 65535))
    data = wrap(codestream(image), colr(16), cdef((0, 0, 1), (1, 0, 2), (2, 0, 3), *unspecified))
    assert (rgb(data) == image[:, :, :3]).all()
    assert (rgb(wrap(codestream(image), colr(16))) == image[:, :, :3]).all()
    assert (rgb(encode(image[:, :, :4])) == image[:, :, :3]).all()


def test_premultiplied_opacity_is_told():
    image = picture(40, 50, 4)
    data = wrap(codestream(image), colr(16), cdef((0, 0, 1), (1, 0, 2), (2, 0, 3), (3, 2, 0)))
    with pytest.warns(DecodeWarning, match="premultiplied"):
        assert (decode(data, colour="rgb") == image).all()


def test_colours_that_are_not_there():
    image = picture(40, 50, 3)
    for channels in (cdef((0, 0, 1), (1, 0, 2)), cdef((0, 0, 1), (1, 0, 2), (2, 0, 4)), cdef((0, 1, 0))):
        with pytest.raises(ValueError, match="cdef"):
            rgb(wrap(codestream(image), colr(16), channels))
    with pytest.raises(ValueError, match="CMYK of 3 channels"):
        rgb(wrap(codestream(image), colr(12)))


# ---- sYCC ------------------------------------------------------------------------------------------------------------


def test_sycc(tmp_path):
    image = picture(40, 50, 3)
    data = wrap(codestream(image), colr(18))
    result = rgb(data)
    y, cb, cr = (image[:, :, c].astype(float) for c in range(3))
    expected = np.stack(
        [y + 1.402 * (cr - 128), y - 0.344136 * (cb - 128) - 0.714136 * (cr - 128), y + 1.772 * (cb - 128)], -1
    )
    assert np.abs(result - np.clip(expected, 0, 255)).max() <= 0.5001
    assert np.abs(result.astype(int) - by_openjpeg(data, tmp_path)).max() <= 1
    assert np.abs(result.astype(int) - by_pillow(data)).max() <= 1


@pytest.mark.parametrize("factors", [(2, 2), (2, 1)])
@pytest.mark.parametrize("offset", [(0, 0), (4, 6)])
def test_subsampled_sycc(tmp_path, factors, offset):
    """Streams of our tool whose chroma has half the size, against OpenJPEG."""
    data, planes = subsampled(factors, offset, tmp_path)
    result = rgb(data)
    assert result.shape == (*planes[0].shape, 3)
    assert np.abs(result.astype(int) - by_openjpeg(data, tmp_path)).max() <= 1
    part = rgb(data, region=(3, 5, 41, 38))
    assert (part == result[5:38, 3:41]).all()
    with pytest.raises(ValueError, match="differ in size"):
        decode(data)
    small = rgb(data, reduce=1)
    luma = decode_components(data, reduce=1)[0]
    assert small.shape == (*luma.shape, 3)


def test_subsampled_chroma_at_odd_offsets(tmp_path):
    """Each point takes the chroma at or before it, and at the border the first there is."""
    data, planes = subsampled((2, 2), (3, 5), tmp_path)
    y, cb, cr = (p.astype(float) for p in planes)
    rows = np.maximum((np.arange(y.shape[0]) + 5) // 2 - 3, 0)
    columns = np.maximum((np.arange(y.shape[1]) + 3) // 2 - 2, 0)
    red = y + 1.402 * (cr[np.ix_(rows, columns)] - 128)
    assert np.abs(rgb(data)[:, :, 0] - np.clip(red, 0, 255)).max() <= 0.5001


@pytest.mark.parametrize("factors", [(2, 2), (4, 1), (3, 2)])
@pytest.mark.parametrize("offset", [(1, 0), (6, 7)])
def test_regions_of_subsampled_images_are_parts_of_the_whole(factors, offset, tmp_path):
    """Also where the chroma of a region lies outside it."""
    data, planes = subsampled(factors, offset, tmp_path)
    height, width = planes[0].shape
    rng = np.random.default_rng(5)
    for reduce in (0, 1, 2):
        whole = rgb(data, reduce=reduce)
        for _ in range(12):
            x = np.sort(rng.choice(width + 1, 2, replace=False))
            y = np.sort(rng.choice(height + 1, 2, replace=False))
            columns, rows = (-(-(v + o) >> reduce) - -(-o >> reduce) for v, o in zip((x, y), offset, strict=True))
            if columns[0] == columns[1] or rows[0] == rows[1]:
                continue
            part = rgb(data, reduce=reduce, region=(x[0], y[0], x[1], y[1]))
            assert part.shape[:2] == (rows[1] - rows[0], columns[1] - columns[0])
            assert (part == whole[rows[0] : rows[1], columns[0] : columns[1]]).all()


def subsampled(factors, offset, tmp_path):
    import images
    import ours

    image = images.make(50, 44, components=3, subsampling=[(1, 1), factors, factors], offset=offset)
    stream = ours.encode(image, mct=0, resolutions=3)
    return wrap(stream, colr(18)), [p.data for p in image.planes]


# ---- other colour spaces ---------------------------------------------------------------------------------------------


def test_grey_and_bilevel():
    image = picture(30, 40, 1, 255)[:, :, 0]
    assert (rgb(wrap(codestream(image), colr(17))) == image[:, :, None]).all()
    assert (rgb(codestream(image)) == image[:, :, None]).all()
    bits = (image > 99).astype(np.uint8)
    stream = bytearray(codestream(bits))
    assert (rgb(wrap(bytes(stream), colr(15))) == bits[:, :, None]).all()
    assert (rgb(wrap(bytes(stream), colr(0))) == 255 - bits[:, :, None]).all()  # coded with 8 bits


def test_cmyk():
    image = picture(30, 40, 4)
    result = rgb(wrap(codestream(image), colr(12)))
    values = image.astype(float)
    expected = (255 - values[:, :, :3]) * (255 - values[:, :, 3:]) / 255
    assert np.abs(result - expected).max() <= 0.5


@pytest.mark.parametrize("parameters", [b"", struct.pack(">7I", 100, 0, 170, 128, 200, 96, 0x00443530)])
def test_cielab(parameters):
    """Against LittleCMS, which takes a* and b* from -128 to 127."""
    from PIL import Image, ImageCms

    rng = np.random.default_rng(4)
    lightness, a, b = rng.integers(20, 95, (3, 50, 60))
    a, b = (a - 60) // 2, (b - 60) // 2
    offsets, ranges = (0, 128, 96), (100, 170, 200)
    image = np.stack([np.rint(v * 255 / r + o) for v, r, o in zip((lightness, a, b), ranges, offsets, strict=True)], -1)
    result = rgb(wrap(codestream(image.astype(np.uint8)), colr(14, parameters)))
    lab = np.stack([np.rint(lightness * 2.55), a + 128, b + 128], -1).astype(np.uint8)
    lab[:, :, 1:] ^= 128  # Pillow stores them signed
    source = ImageCms.createProfile("LAB", 5003)
    theirs = ImageCms.profileToProfile(
        Image.frombytes("LAB", (60, 50), lab.tobytes()), source, ImageCms.createProfile("sRGB"), outputMode="RGB"
    )
    difference = np.abs(result.astype(int) - np.asarray(theirs).astype(int))
    assert np.median(difference) <= 1
    assert np.percentile(difference, 95) <= 6  # the rounding to 8 bits of a* and b*, where they are dark
    other = struct.pack(">7I", 100, 0, 170, 128, 200, 96, 0x00443635)
    with pytest.raises(ValueError, match="illuminant"):
        rgb(wrap(codestream(image.astype(np.uint8)), colr(14, other)))


def test_spaces_that_cannot_be_made_rgb():
    image = picture(30, 40, 3)
    with pytest.raises(ValueError, match="CIEJab cannot be made RGB; possible: ICC profiles, .*CMYK"):
        rgb(wrap(codestream(image), colr(19)))
    assert (decode(wrap(codestream(image), colr(19))) == image).all()
    assert (rgb(wrap(codestream(image), colr(19), colr(16))) == image).all()


# ---- profiles --------------------------------------------------------------------------------------------------------


@functools.cache  # it has the time in it
def swapped_profile() -> bytes:
    """sRGB with the primaries of red and blue exchanged."""
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile.replace(b"rXYZ", b"????").replace(b"bXYZ", b"rXYZ").replace(b"????", b"bXYZ")


@pytest.mark.parametrize("method", [2, 3])
def test_profiles(method):
    image = picture(30, 40, 3)
    profile = swapped_profile()
    data = wrap(codestream(image), jp2.icc(profile, method))
    assert np.abs(rgb(data).astype(int) - image[:, :, ::-1]).max() <= 2
    assert (decode(data) == image).all()
    assert icc_profile(data) == profile
    found = info(data)
    assert found["colour"] == [
        {
            "method": {2: "restricted ICC", 3: "any ICC"}[method],
            "precedence": 0,
            "approximation": 0,
            "profile_size": len(profile),
        }
    ]


def test_profiles_that_are_not_applied():
    image = picture(30, 40, 3, 4095)
    data = wrap(codestream(image), jp2.icc(swapped_profile()))
    with pytest.warns(DecodeWarning, match="more than 8 bits"):
        assert (decode(data, colour="rgb") == image).all()
    with pytest.raises(ValueError, match="ICC profile cannot be used"):
        rgb(wrap(codestream(picture(30, 40, 3)), jp2.icc(b"no profile at all")))


def test_profiles_without_pillow():
    """LittleCMS is optional: without it the profile is the caller's."""
    image = picture(30, 40, 3)
    data = wrap(codestream(image), jp2.icc(swapped_profile()))
    code = (
        "import sys, warnings; sys.modules['PIL'] = None; import blosc2_grok; warnings.simplefilter('ignore');"
        "sys.stdout.buffer.write(blosc2_grok.decode(sys.stdin.buffer.read(), colour='rgb').tobytes())"
    )
    done = subprocess.run([sys.executable, "-c", code], input=data, capture_output=True, timeout=60)
    assert done.stdout == image.tobytes(), done.stderr.decode()


def test_of_several_specifications_the_first_that_can_be_used_counts():
    image = picture(30, 40, 3)
    data = wrap(codestream(image), box_of_method_4(), colr(18), jp2.icc(swapped_profile()))
    assert (rgb(data) == rgb(wrap(codestream(image), colr(18)))).all()
    assert [c["method"] for c in info(data)["colour"]] == ["vendor", "enumerated", "restricted ICC"]
    assert icc_profile(data) == swapped_profile()


def box_of_method_4() -> bytes:
    return jp2.box("colr", b"\x04\x00\x00" + bytes(16) + b"vendor")


# ---- arguments and other streams -------------------------------------------------------------------------------------


def test_arguments():
    data = encode(picture(20, 20, 3))
    with pytest.raises(ValueError, match="colour: 'srgb' is not allowed"):
        decode(data, colour="srgb")
    with pytest.raises(ValueError, match="components"):
        decode(data, colour="rgb", components=[0])


def test_depths_that_differ():
    """Colours of 5, 6 and 5 bits come out with 6."""
    import images
    import ours

    image = images.make(40, 30, components=3, depth=[5, 6, 5])
    stream = ours.encode(image, mct=0)
    result = rgb(wrap(stream, jp2.bpcc(stream), colr(16)))
    expected = [np.rint(p.data * (63 / p.high)) for p in image.planes]
    assert (result == np.stack(expected, -1)).all()


@pytest.mark.skipif(not SHARED.exists(), reason="no test data: set J2K_SHARED")
def test_renditions_of_the_conformance_suite():
    """The suite's 8-bit renditions of its JP2 files (T.803 annex G), with the tolerances of its manifest."""
    import run
    import samples

    base, checked = SHARED / "conformance", 0
    for file, rows in run.manifest(base / "manifest.csv").items():
        if rows[0]["render"] != "rendered":
            continue
        result = rgb((base / file).read_bytes()).astype(int)
        depth = max(c["depth"] for c in info((base / file).read_bytes())["components"])
        for row in rows:
            reference = samples.read_reference(base / row["reference"], int(row["reference_component"] or 0))
            ok, text = run.check_tolerance(
                result[:, :, int(row["component"])] >> max(depth - 8, 0),
                reference,
                float(row["peak"]),
                float(row["mse"]),
            )
            assert ok, f"{file}: {text}"
            checked += 1
    assert checked >= 8


def test_boxes_are_readable():
    image = picture(20, 20, 3)
    uuid = bytes(range(16))
    extra = jp2.box("xml ", b"<a/>") + jp2.box("uuid", uuid + b"private")
    data = wrap(codestream(image), colr(16), before=extra, after=jp2.box("xml ", "<b>ü</b>".encode()))
    assert box_contents(data, "xml ") == [b"<a/>", "<b>ü</b>".encode()]
    assert box_contents(data, "uuid") == [uuid + b"private"]
    assert box_contents(data, "none") == []
    assert box_contents(codestream(image), "xml ") == []
    with pytest.raises(ValueError, match="four characters"):
        box_contents(data, "xml")
