# Python packages that people use: Pillow, imagecodecs and glymur write, we read; we write, they read.
# SPDX-License-Identifier: BSD-3-Clause
import io
import subprocess

import numpy as np
import pytest

import images
import ours
from images import assert_same, lossy_tolerance, max_difference


def array(image: images.Image) -> np.ndarray:
    kind = np.uint8 if image.planes[0].depth <= 8 else np.uint16
    stacked = np.stack([p.data for p in image.planes], axis=-1).astype(kind)
    return stacked[:, :, 0] if len(image.planes) == 1 else stacked


def stack(planes) -> np.ndarray:
    stacked = np.stack([p.data for p in planes], axis=-1)
    return stacked[:, :, 0] if len(planes) == 1 else stacked


PILLOW = {
    "default": {},
    "9/7": {"irreversible": True},
    "rates": {"quality_mode": "rates", "quality_layers": [40, 20, 10], "irreversible": True},
    "dB": {"quality_mode": "dB", "quality_layers": [30, 40], "irreversible": True},
    "tiles": {"tile_size": (64, 48)},
    "tile-offset": {"tile_size": (64, 48), "tile_offset": (3, 2), "offset": (7, 5)},
    "resolutions": {"num_resolutions": 3},
    "blocks": {"codeblock_size": (16, 64)},
    "precincts": {"precinct_size": (32, 32), "codeblock_size": (16, 16)},
    "no-mct": {"mct": 0},
    "plt": {"plt": True},
    "codestream": {"no_jp2": True},
    **{p: {"progression": p} for p in ("LRCP", "RLCP", "RPCL", "PCRL", "CPRL")},
}


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "I;16"])
@pytest.mark.parametrize("name", PILLOW)
def test_pillow_writes(openjpeg, name, mode):
    pil = pytest.importorskip("PIL.Image")
    count = {"L": 1, "I;16": 1, "LA": 2, "RGB": 3, "RGBA": 4}[mode]
    image = images.make(140, 101, components=count, depth=16 if mode == "I;16" else 8)
    out = io.BytesIO()
    pil.fromarray(array(image)).save(out, "JPEG2000", **PILLOW[name])
    data = out.getvalue()
    decoded = ours.decode(data)
    if PILLOW[name].get("irreversible"):
        assert_same(openjpeg.decode(data), decoded, None)
    elif mode == "I;16" and "tile_size" in PILLOW[name]:
        assert_same(openjpeg.decode(data), decoded)  # Pillow cuts 16-bit images into wrong tiles
    else:
        assert_same(image.planes, decoded)


@pytest.mark.parametrize("form", ["j2k", "jp2"])
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_pillow_reads(form, count):
    pil = pytest.importorskip("PIL.Image")
    image = images.make(120, 77, components=count)
    data = ours.encode(image, format=form, tile=(64, 50))
    picture = pil.open(io.BytesIO(data))
    assert picture.size == (120, 77)
    assert picture.mode == {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[count]
    assert np.array_equal(np.asarray(picture), array(image))


@pytest.mark.parametrize("depth", [8, 12, 16])
@pytest.mark.parametrize("count", [1, 2, 3, 4])
@pytest.mark.parametrize("form", ["j2k", "jp2"])
def test_imagecodecs_both_ways(form, count, depth):
    codec = pytest.importorskip("imagecodecs")
    image = images.make(75, 64, components=count, depth=depth)
    samples = array(image)
    assert np.array_equal(codec.jpeg2k_decode(ours.encode(image, format=form)), samples)
    lossy = ours.encode(image, format=form, ratio=[6], irreversible=True)
    assert max_difference(codec.jpeg2k_decode(lossy), stack(ours.decode(lossy))) <= lossy_tolerance(depth)
    data = codec.jpeg2k_encode(samples, level=0, reversible=True, codecformat=form, bitspersample=depth)
    assert max_difference(stack(ours.decode(data)), samples) == 0
    data = codec.jpeg2k_encode(samples, level=40, reversible=False, codecformat=form, bitspersample=depth)
    assert max_difference(stack(ours.decode(data)), codec.jpeg2k_decode(data)) <= lossy_tolerance(depth)


@pytest.mark.parametrize("kind", [np.int8, np.int16])
def test_imagecodecs_signed(kind):
    codec = pytest.importorskip("imagecodecs")
    depth = np.dtype(kind).itemsize * 8
    image = images.make(75, 64, depth=depth, signed=True)
    assert np.array_equal(codec.jpeg2k_decode(ours.encode(image)), image.planes[0].data)
    data = codec.jpeg2k_encode(image.planes[0].data.astype(kind), level=0, reversible=True)
    (decoded,) = ours.decode(data)
    assert decoded.signed
    assert max_difference(decoded.data, image.planes[0].data) == 0


GLYMUR = {
    "default": {},
    "modes": {"modesw": 63},
    "lazy": {"modesw": 1},
    "sop-eph": {"sop": True, "eph": True},
    "ratios": {"cratios": (50, 20, 5), "irreversible": True},
    "psnr": {"psnr": (30, 40, 0)},
    "precincts": {"psizes": [(64, 64), (32, 32)], "cbsize": (16, 16)},
    "tiles": {"tilesize": (48, 64), "prog": "PCRL"},
    "grid": {"grid_offset": (9, 5)},
    "plt-tlm": {"plt": True, "tlm": True},
    "subsampled": {"subsam": (2, 2)},
}


@pytest.fixture(scope="module")
def glymur(openjpeg, tmp_path_factory):
    """glymur looks for the OpenJPEG library by a configuration file; give it the one that the other tests use."""
    import os

    folder = tmp_path_factory.mktemp("config")
    (folder / "glymur").mkdir()
    (folder / "glymur" / "glymurrc").write_text(f"[library]\nopenjp2: {openjpeg.library()._name}\n")
    before = os.environ.get("XDG_CONFIG_HOME")
    os.environ["XDG_CONFIG_HOME"] = str(folder)
    try:
        yield pytest.importorskip("glymur")
    finally:
        os.environ.pop("XDG_CONFIG_HOME")
        if before is not None:
            os.environ["XDG_CONFIG_HOME"] = before


@pytest.mark.parametrize("name", GLYMUR)
def test_glymur_writes(glymur, openjpeg, tmp_path, name):
    image = images.make(128, 96, components=3)
    path = tmp_path / "x.jp2"
    options = dict(GLYMUR[name])
    if "subsam" in options:
        options["mct"] = False
    glymur.Jp2k(path, data=array(image), **options)
    data = path.read_bytes()
    decoded = ours.decode(data)
    reference = [p.data for p in openjpeg.decode(data)]
    tolerance = 1 if options.get("irreversible") else 0
    for here, there in zip(decoded, reference, strict=True):
        assert max_difference(here.data, there) <= tolerance


@pytest.mark.parametrize("count", [1, 3])
def test_glymur_reads(glymur, tmp_path, count):
    image = images.make(128, 96, components=count)
    (tmp_path / "x.jp2").write_bytes(ours.encode(image, format="jp2", comment="made by a test"))
    file = glymur.Jp2k(tmp_path / "x.jp2")
    assert np.array_equal(file[:], array(image))
    box_ids = [box.box_id for box in file.box]
    assert box_ids == ["jP  ", "ftyp", "jp2h", "jp2c"]
    segments = [segment.marker_id for segment in file.get_codestream(header_only=False).segment]
    assert segments[0] == "SOC"
    assert segments[-1] == "EOC"
    assert {"SIZ", "COD", "QCD", "CME", "SOT", "SOD"} <= set(segments)


JP2 = {
    "grey": (dict(), dict()),
    "grey16": (dict(depth=16), dict()),
    "grey-signed": (dict(depth=12, signed=True), dict()),
    "one-bit": (dict(depth=1), dict()),
    "grey-alpha": (dict(components=2), dict()),
    "rgb": (dict(components=3), dict()),
    "rgb-lossy": (dict(components=3), dict(ratio=[10], irreversible=True)),
    "rgba": (dict(components=4), dict()),
    "mixed-depths": (dict(components=3, depth=[8, 12, 5]), dict(mct=0)),
    "subsampled": (dict(components=3, subsampling=[(1, 1), (2, 2)]), dict(mct=0, colour="sycc")),
    "five-components": (dict(components=5), dict()),
    "tiles": (dict(components=3), dict(tile=(40, 40), tile_parts="R", sop=True, eph=True)),
    "offset": (dict(offset=(9, 4)), dict(tile=(33, 31), tile_offset=(2, 3))),
    "layers": (dict(components=3), dict(ratio=[30, 10, 3], progression="RPCL", precincts=[(64, 64)])),
    "tiny": (dict(width=1, height=1), dict()),
    "styles": (dict(), dict(style=63)),
}


@pytest.mark.parametrize("name", JP2)
def test_jp2_files_are_valid(tmp_path, name):
    """jpylyzer checks boxes and marker segments against ISO/IEC 15444-1."""
    pytest.importorskip("jpylyzer")
    from jpylyzer import jpylyzer

    image_arguments, options = JP2[name]
    image = images.make(**({"width": 100, "height": 80} | image_arguments))
    (tmp_path / "x.jp2").write_bytes(ours.encode(image, format="jp2", **options))
    result = jpylyzer.checkOneFile(str(tmp_path / "x.jp2"))
    failed = [e.tag for e in result.find("tests").iter() if e.text == "False"]
    assert result.findtext("isValid") == "True", failed


@pytest.mark.parametrize("name", ["grey", "rgb", "mixed-depths", "offset", "layers", "tiles", "tiny"])
def test_codestreams_are_valid(tmp_path, name):
    pytest.importorskip("jpylyzer")
    from jpylyzer import jpylyzer

    image_arguments, options = JP2[name]
    image = images.make(**({"width": 100, "height": 80} | image_arguments))
    (tmp_path / "x.j2c").write_bytes(ours.encode(image, **options))
    result = jpylyzer.checkOneFile(str(tmp_path / "x.j2c"), "j2c")
    failed = [e.tag for e in result.find("tests").iter() if e.text == "False"]
    assert result.findtext("isValid") == "True", failed


def have(command: str) -> None:
    try:
        subprocess.run([command, "-h"], capture_output=True, timeout=20)
    except OSError:
        pytest.skip(f"{command} is not installed")


def pgx_pair(folder, image):
    path = folder / "in.pgx"
    images.write_pgx(path, image.planes[0])
    return path


COMMANDS = [
    "-n 4 -b 32,32",
    "-M 5 -SOP -EPH",
    "-I -r 20,5",
    "-p RPCL -c [64,64],[32,32] -t 50,50",
    "-t 64,64 -TP R -PLT",
]


@pytest.mark.parametrize("arguments", COMMANDS)
def test_opj_compress(tmp_path, arguments):
    have("opj_compress")
    image = images.make(131, 90, depth=12)
    out = tmp_path / "x.j2k"
    command = ["opj_compress", "-i", str(pgx_pair(tmp_path, image)), "-o", str(out), *arguments.split()]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    subprocess.run(
        ["opj_decompress", "-i", str(out), "-o", str(tmp_path / "y.pgx")], check=True, capture_output=True, timeout=60
    )
    written = sorted(tmp_path.glob("y*.pgx"))
    (here,) = ours.decode(out.read_bytes())
    limit = 1 if "-I" in arguments else 0
    assert max_difference(here.data, images.read_pgx(written[0]).data) <= limit


@pytest.mark.parametrize(
    "arguments", ["-n 4 -b 32,32", "-M 5 -S -E", "-p RPCL -c [64,64],[32,32] -t 50,50", "-I -r 20,5"]
)
def test_grk_compress(openjpeg, tmp_path, arguments):
    have("grk_compress")
    image = images.make(131, 90, depth=12)
    out = tmp_path / "x.j2k"
    command = ["grk_compress", "-i", str(pgx_pair(tmp_path, image)), "-o", str(out), *arguments.split()]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    (here,) = ours.decode(out.read_bytes())
    (there,) = openjpeg.decode(out.read_bytes())
    assert max_difference(here.data, there.data) <= (1 if "-I" in arguments else 0)


@pytest.mark.parametrize("depth", [1, 5, 8, 12, 16])
@pytest.mark.parametrize(
    "options", [dict(), dict(style=37, tile=(50, 40), resolutions=3, sop=True)], ids=["plain", "styles"]
)
def test_command_line_decoders(tmp_path, depth, options):
    """opj_decompress and grk_decompress read our files, depths that are no whole bytes included. (Grok 10 decodes tiles
    that are small for their number of resolutions wrongly, OpenJPEG's streams too: hence three.)"""
    tools = []
    for command in ("opj_decompress", "grk_decompress"):
        try:
            subprocess.run([command, "-h"], capture_output=True, timeout=20)
            tools.append(command)
        except OSError:
            pass
    if not tools:
        pytest.skip("neither opj_decompress nor grk_decompress is installed")
    image = images.make(131, 90, depth=depth)
    (tmp_path / "x.j2k").write_bytes(ours.encode(image, **options))
    for command in tools:
        out = tmp_path / f"{command}.pgx"
        arguments = [command, "-i", str(tmp_path / "x.j2k"), "-o", str(out)]
        subprocess.run(arguments, check=True, capture_output=True, timeout=60)
        written = out if out.exists() else next(iter(tmp_path.glob(f"{command}*.pgx")))
        assert max_difference(images.read_pgx(written).data, image.planes[0].data) == 0, command
