# The command-line tool itself: formats, options, errors, exit status.
# SPDX-License-Identifier: BSD-3-Clause
import json
import subprocess

import numpy as np
import pytest

import images
import ours
from images import Plane, read_pgx, write_pgx


def j2k(*arguments, **options):
    return subprocess.run([ours.tool(), *map(str, arguments)], capture_output=True, timeout=120, **options)


def round_trip(folder, source, target, *options):
    """Encode source, decode to the name target."""
    coded = folder / "x.j2k"
    done = j2k("encode", *options, "-o", coded, source)
    assert done.returncode == 0, done.stderr
    done = j2k("decode", "-o", folder / target, coded)
    assert done.returncode == 0, done.stderr
    return (folder / target).read_bytes()


@pytest.mark.parametrize(("kind", "channels"), [("pgm", 1), ("ppm", 3)])
@pytest.mark.parametrize("top", [1, 3, 255, 1023, 4095, 65535])
def test_pnm_round_trip(tmp_path, kind, channels, top):
    samples = np.random.default_rng(top).integers(0, top + 1, (19, 31, channels))
    header = f"P{5 if channels == 1 else 6}\n31 19\n{top}\n".encode()
    content = header + samples.astype(">u1" if top < 256 else ">u2").tobytes()
    source = tmp_path / f"in.{kind}"
    source.write_bytes(content)
    assert round_trip(tmp_path, source, f"out.{kind}") == content


def test_pnm_with_comments(tmp_path):
    source = tmp_path / "in.pgm"
    source.write_bytes(b"P5 # a comment\n#another\n 3\t2 #size\n255\nabcdef")
    assert round_trip(tmp_path, source, "out.pgm") == b"P5\n3 2\n255\nabcdef"


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("depth", [1, 7, 8, 9, 12, 16, 20, 24])
def test_pgx_round_trip(tmp_path, depth, signed):
    image = images.make(33, 21, depth=depth, signed=signed)
    source = tmp_path / "in.pgx"
    write_pgx(source, image.planes[0])
    assert round_trip(tmp_path, source, "out.pgx") == source.read_bytes()


def test_little_endian_pgx(tmp_path):
    samples = np.arange(-20, 40, dtype="<i2").reshape(6, 10)
    (tmp_path / "in.pgx").write_bytes(b"PG LM -7 10 6\n" + samples.astype("<i1").tobytes())
    round_trip(tmp_path, tmp_path / "in.pgx", "out.pgx")
    assert np.array_equal(read_pgx(tmp_path / "out.pgx").data, samples)
    (tmp_path / "in.pgx").write_bytes(b"PG LM - 12 10 6\n" + (samples * 50).tobytes())
    round_trip(tmp_path, tmp_path / "in.pgx", "out.pgx")
    assert np.array_equal(read_pgx(tmp_path / "out.pgx").data, samples * 50)


@pytest.mark.parametrize("layout", [[], ["--interleaved"], ["--big-endian"], ["--big-endian", "--interleaved"]])
@pytest.mark.parametrize(("kind", "depth"), [("u1", 8), ("i1", 8), ("u2", 12), ("i2", 16), ("i4", 20)])
def test_raw_round_trip(tmp_path, layout, kind, depth):
    order = ">" if "--big-endian" in layout else "<"
    top = 1 << (depth - 1)
    samples = np.random.default_rng(depth).integers(-top if kind[0] == "i" else 0, top, (4, 9, 17)).astype(order + kind)
    source, coded = tmp_path / "in.raw", tmp_path / "x.j2k"
    source.write_bytes(samples.tobytes())
    sign = "s" if kind[0] == "i" else "u"
    # The same bytes are 4 planes of 9 rows, or 4 rows of 9 samples with 17 components.
    shape = "9,4,17" if "--interleaved" in layout else "17,9,4"
    done = j2k("encode", "--raw", f"{shape},{depth},{sign}", "--mct", "0", *layout, "-o", coded, source)
    assert done.returncode == 0, done.stderr
    done = j2k("decode", *layout, "-o", tmp_path / "out.raw", coded)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out.raw").read_bytes() == source.read_bytes()


def test_standard_streams(tmp_path):
    pgm = b"P5\n8 4\n255\n" + bytes(range(32))
    source = tmp_path / "in.pgm"
    source.write_bytes(pgm)
    coded = j2k("encode", "-o", "-", source)
    assert coded.returncode == 0
    assert coded.stdout[:4] == b"\xff\x4f\xff\x51"
    decoded = j2k("decode", "-o", "-", "-", input=coded.stdout)
    assert decoded.returncode == 0
    assert decoded.stdout == bytes(range(32))


def test_info(tmp_path):
    image = images.make(90, 70, components=3, depth=12, offset=(5, 3), subsampling=[(1, 1), (2, 2)])
    options = dict(
        tile=(40, 30), tile_offset=(2, 1), resolutions=4, codeblock=(16, 32), style=5, progression="RPCL", mct=0
    )
    data = ours.encode(image, layers=3, sop=True, eph=True, guard_bits=3, comment='a "quoted" text', rsiz=7, **options)
    info = ours.info(data)
    expected = dict(
        format="j2k", x0=5, y0=3, x1=95, y1=73, tile_x0=2, tile_y0=1, tile_width=40, tile_height=30, num_tiles=9,
        num_components=3, rsiz=7, irreversible=0, colour_transform=0, num_layers=3, num_resolutions=4,
        codeblock_width=16, codeblock_height=32, codeblock_style=5, guard_bits=3, sop=1, eph=1, progression="RPCL",
        comment="a \"quoted\" text", codestream_offset=0, codestream_size=len(data),
    )  # fmt: skip
    assert {k: info[k] for k in expected} == expected
    assert [(c["depth"], c["signed"], c["dx"], c["dy"]) for c in info["components"]] == [
        (12, False, 1, 1), (12, False, 2, 2), (12, False, 2, 2)
    ]  # fmt: skip
    assert [(c["width"], c["height"]) for c in info["components"]] == [p.data.shape[::-1] for p in image.planes]


def test_info_text(tmp_path):
    data = ours.encode(images.make(9, 9))
    (tmp_path / "a.j2k").write_bytes(data)
    done = j2k("info", tmp_path / "a.j2k")
    assert done.returncode == 0
    assert b"num_components: 1" in done.stdout


@pytest.mark.parametrize("suffix", ["j2k", "j2c", "jp2"])
def test_format_follows_the_name(tmp_path, suffix):
    (tmp_path / "in.pgm").write_bytes(b"P5\n2 2\n255\nabcd")
    assert j2k("encode", "-o", tmp_path / f"x.{suffix}", tmp_path / "in.pgm").returncode == 0
    signature = b"\0\0\0\x0cjP  \r\n\x87\n" if suffix == "jp2" else b"\xff\x4f\xff\x51"
    assert (tmp_path / f"x.{suffix}").read_bytes().startswith(signature)
    info = json.loads(j2k("info", "--json", tmp_path / f"x.{suffix}").stdout)
    assert info["format"] == ("jp2" if suffix == "jp2" else "j2k")


def test_threads_and_instruction_sets_give_the_same_bytes():
    image = images.make(300, 260, components=3)
    for options in (dict(), dict(ratio=[12, 5], irreversible=True, tile=(128, 100))):
        reference = ours.encode(image, **options)
        for threads in (2, 4):
            assert ours.encode(image, threads=threads, **options) == reference
        for cpu in ("none", "sse41", "sse41,avx2", "all"):
            assert ours.encode(image, cpu=cpu, **options) == reference
        decoded = ours.decode(reference)
        for arguments in (["--cpu", "none"], ["--cpu", "sse41,avx2"]):
            again = ours.decode(reference, *arguments, threads=4)
            assert all(np.array_equal(p.data, q.data) for p, q in zip(decoded, again, strict=True))


def test_repeat_prints_the_time(tmp_path):
    (tmp_path / "in.pgm").write_bytes(b"P5\n64 64\n255\n" + bytes(4096))
    done = j2k("encode", "--repeat", 3, "-o", tmp_path / "x.j2k", tmp_path / "in.pgm")
    assert done.returncode == 0
    assert b"best of 3" in done.stderr


USAGE = [
    (["encode", "--no-such-option", "-o", "x.j2k", "in.pgm"], b"--no-such-option"),
    (["encode", "in.pgm"], b"-o"),
    (["encode", "-o", "x.j2k"], b"no input"),
    (["encode", "--ratio", "-o", "x.j2k", "in.pgm"], b"--ratio"),
    (["encode", "--tile", "64", "-o", "x.j2k", "in.pgm"], b"--tile"),
    (["encode", "--style", "nonsense", "-o", "x.j2k", "in.pgm"], b"--style"),
    (["encode", "--progression", "RLPC", "-o", "x.j2k", "in.pgm"], b"--progression"),
    (["encode", "--reduce", "1", "-o", "x.j2k", "in.pgm"], b"--reduce"),
    (["decode", "--tile", "8x8", "-o", "x.pgm", "in.j2k"], b"--tile"),
    (["decode", "--sop", "-o", "x.pgm", "in.j2k"], b"--sop"),
    (["decode", "-o", "x.pgm", "a.j2k", "b.j2k"], b"one input"),
    (["recode"], b"usage"),
    ([], b"usage"),
]


@pytest.mark.parametrize(("arguments", "expected"), USAGE)
def test_usage_errors(arguments, expected):
    done = j2k(*arguments)
    assert done.returncode == 2
    assert expected in done.stderr
    assert b"Traceback" not in done.stderr


def test_help():
    done = j2k("--help")
    assert done.returncode == 0
    for option in (b"--precincts", b"--tolerant", b"--max-component-bytes", b"--json"):
        assert option in done.stdout


BAD_VALUES = [
    ["--resolutions", "0"],
    ["--resolutions", "34"],
    ["--codeblock", "3x64"],
    ["--codeblock", "128x64"],
    ["--codeblock", "2048x2"],
    ["--layers", "0"],
    ["--layers", "257"],
    ["--guard-bits", "8"],
    ["--precincts", "100x100"],
    ["--tile", "8x8", "--tile-offset", "1,0"],
    ["--roi", "3,5"],
    ["--roi", "0,38"],
    ["--ratio", "5,10"],
    ["--psnr", "40,30"],
    ["--base-step", "-1"],
]


@pytest.mark.parametrize("options", BAD_VALUES, ids=" ".join)
def test_bad_values_are_refused(tmp_path, options):
    """An error that says what is wrong, and no file."""
    (tmp_path / "in.pgm").write_bytes(b"P5\n16 16\n255\n" + bytes(256))
    done = j2k("encode", *options, "-o", tmp_path / "x.j2k", tmp_path / "in.pgm")
    assert done.returncode in (1, 2)
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "x.j2k").exists()


BAD_IMAGES = {
    "empty.pgm": b"",
    "text.pgm": b"P2\n2 2\n255\n1 2 3 4\n",
    "short.pgm": b"P5\n20 20\n255\nabc",
    "zero.pgm": b"P5\n0 20\n255\n",
    "huge.pgm": b"P5\n4000000000 4000000000\n65535\nabc",
    "maximum.pgm": b"P5\n2 2\n70000\nabcdefgh",
    "short.pgx": b"PG ML +8 20 20\nabc",
    "order.pgx": b"PG XX +8 2 2\nabcd",
    "depth.pgx": b"PG ML +33 2 2\n" + bytes(16),
    "range.pgx": b"PG ML +7 2 2\n\x01\x80\x02\x03",
    "signed.pgx": b"PG ML -7 2 2\n\x01\x40\x02\x03",
    "unknown.xyz": b"abc",
    "size.raw": b"abc",
}


@pytest.mark.parametrize("name", BAD_IMAGES)
def test_bad_images(tmp_path, name):
    (tmp_path / name).write_bytes(BAD_IMAGES[name])
    done = j2k("encode", "-o", tmp_path / "x.j2k", tmp_path / name)
    assert done.returncode == 1
    assert done.stderr.startswith(b"j2k: ")
    assert not (tmp_path / "x.j2k").exists()


def test_missing_files(tmp_path):
    assert j2k("decode", "-o", tmp_path / "x.pgm", tmp_path / "none.j2k").returncode == 1
    (tmp_path / "in.pgm").write_bytes(b"P5\n2 2\n255\nabcd")
    done = j2k("encode", "-o", tmp_path / "no" / "x.j2k", tmp_path / "in.pgm")
    assert done.returncode == 1
    assert b"cannot write" in done.stderr


def test_damaged_data_leave_the_output_alone(tmp_path):
    """Nothing is written over a good file unless the decoding succeeds."""
    image = images.make(64, 64)
    data = ours.encode(image)
    target = tmp_path / "out.pgm"
    for bad in (b"", b"\xff", data[:2], data[:30], data[: len(data) // 2], b"garbage" * 30, b"\0" * 1000):
        target.write_bytes(b"precious")
        (tmp_path / "bad.j2k").write_bytes(bad)
        done = j2k("decode", "-o", target, tmp_path / "bad.j2k")
        assert done.returncode == 1, bad[:20]
        assert done.stderr.count(b"\n") == 1
        assert target.read_bytes() == b"precious"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bad.j2k", "out.pgm"]


def test_tolerant_decoding_of_truncated_data(tmp_path):
    image = images.make(128, 128)
    data = ours.encode(image, progression="RLCP", layers=1)
    (tmp_path / "cut.j2k").write_bytes(data[: len(data) * 3 // 4])
    done = j2k("decode", "--tolerant", "-o", tmp_path / "out.pgx", tmp_path / "cut.j2k")
    assert done.returncode == 0, done.stderr
    assert b"warning" in done.stderr
    assert images.psnr(read_pgx(tmp_path / "out.pgx").data, image.planes[0].data, 8) > 15


def test_wrong_output_kind(tmp_path):
    (tmp_path / "x.j2k").write_bytes(ours.encode(images.make(9, 9, signed=True)))
    done = j2k("decode", "-o", tmp_path / "x.pgm", tmp_path / "x.j2k")
    assert done.returncode == 1
    assert b"PGX" in done.stderr
    (tmp_path / "x.j2k").write_bytes(ours.encode(images.make(9, 9, components=3, depth=[8, 9, 8]), mct=0))
    assert j2k("decode", "-o", tmp_path / "x.ppm", tmp_path / "x.j2k").returncode == 1
    assert j2k("decode", "-o", tmp_path / "x.tiff", tmp_path / "x.j2k").returncode == 1


def test_components_that_do_not_fit_the_subsampling(tmp_path):
    write_pgx(tmp_path / "a.pgx", Plane(np.zeros((10, 10), np.int32), 8))
    write_pgx(tmp_path / "b.pgx", Plane(np.zeros((4, 5), np.int32), 8))
    arguments = ["-o", tmp_path / "x.j2k", tmp_path / "a.pgx", tmp_path / "b.pgx"]
    assert j2k("encode", "--subsampling", "1x1,2x2", *arguments).returncode == 1
    assert j2k("encode", "--subsampling", "1x1,2x3", *arguments).returncode == 0


@pytest.mark.parametrize(
    ("option", "limit", "message"),
    [
        ("--max-pixels", 3 * 64 * 64, "max_pixels"),
        ("--max-memory", 1 << 20, "max_memory"),
        ("--max-components", 3, "max_components"),
        ("--max-tiles", 16, "max_tiles"),
    ],
)
def test_limits(tmp_path, option, limit, message):
    (tmp_path / "x.j2k").write_bytes(ours.encode(images.make(64, 64, components=3), tile=(16, 16)))
    arguments = ["-o", tmp_path / "x.ppm", tmp_path / "x.j2k"]
    assert j2k("decode", option, limit, *arguments).returncode == 0
    done = j2k("decode", option, limit - 1 if limit < 1 << 20 else 1000, *arguments)
    assert done.returncode == 1
    assert message.encode() in done.stderr


def test_incomplete_data_claim_little(tmp_path):
    """What a few bytes claim to be the beginning of is not made up, unless that is asked for."""
    data = ours.encode(images.make(8192, 4096), tile=(4096, 4096))
    (tmp_path / "x.j2k").write_bytes(data[:300])
    arguments = ["--tolerant", "-o", tmp_path / "x.pgm", tmp_path / "x.j2k"]
    done = j2k("decode", *arguments)
    assert done.returncode == 1
    assert b"max_incomplete" in done.stderr
    done = j2k("decode", "--max-incomplete", 8192 * 4096, *arguments)
    assert done.returncode == 0, done.stderr
    assert b"1 of 2 tiles are missing" in done.stderr


def test_maximum_sizes(tmp_path):
    image = images.make(200, 200, components=3)
    for limit in (20000, 5000, 1500):
        data = ours.encode(image, max_bytes=limit, irreversible=True)
        assert len(data) <= limit
        assert images.psnr(ours.decode(data)[0].data, image.planes[0].data, 8) > 12


def test_maximum_size_of_a_component():
    image = images.make(200, 200, components=3)
    try:
        data = ours.encode(image, max_component_bytes=3000, irreversible=True, mct=0)
    except ours.ToolError as error:
        if "unsupported feature" in str(error):
            pytest.skip("max_component_bytes is not supported yet")
        raise
    assert len(data) <= 3 * 3000 + 400
