# The command line.
# SPDX-License-Identifier: BSD-3-Clause
import contextlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import blosc2
import numpy as np
import pytest
from PIL import Image

import blosc2_grok
from blosc2_grok.cli import main

PHOTOGRAPH = Path(__file__).resolve().parents[2] / "examples" / "kodim23.png"


def environment():
    """With the interpreter of this environment as `python`, as activating it does: C-Blosc2 asks that one where the codec is."""
    return {**os.environ, "PATH": os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"]}


def run(*arguments, cwd=None, code=0):
    """Run a command in this process; returns what it printed."""
    out = io.StringIO()
    with (
        contextlib.chdir(cwd or "."),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(out),
    ):
        try:
            found = main([str(argument) for argument in arguments])
        except SystemExit as end:  # argparse
            found = end.code
    assert found == code, (found, out.getvalue())
    return out.getvalue()


def run_process(*arguments, cwd=None):
    """Run the program as a user does."""
    return subprocess.run(
        [sys.executable, "-m", "blosc2_grok", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        timeout=120,
        check=True,
        env=environment(),
    ).stdout


@pytest.fixture(scope="module")
def rgb():
    return np.asarray(Image.open(PHOTOGRAPH))


@pytest.fixture(scope="module")
def stack(rgb):
    return np.stack([np.roll(rgb[:, :, n % 3], 13 * n).astype("u2") * 3 for n in range(5)])


@pytest.fixture(scope="module")
def files(stack, rgb, tmp_path_factory):
    """The stack as every kind of input."""
    folder = tmp_path_factory.mktemp("inputs")
    np.save(folder / "stack.npy", stack)
    stack.tofile(folder / "stack.raw")
    tifffile = pytest.importorskip("tifffile")
    tifffile.imwrite(folder / "stack.tif", stack, photometric="minisblack")
    (folder / "slices").mkdir()
    (folder / "jp2").mkdir()
    for n, image in enumerate(stack):
        Image.fromarray(image).save(folder / "slices" / f"s{n + 8}.png")
        (folder / "jp2" / f"{n}.jp2").write_bytes(blosc2_grok.encode(image))
    h5py = pytest.importorskip("h5py")
    with h5py.File(folder / "stack.h5", "w") as file:
        file["entry/data"] = stack
        file["entry/data"].attrs["unit"] = "counts"
    with open(folder / "image.ppm", "wb") as file:
        file.write(b"P6\n# comment\n768 512\n255\n" + rgb.tobytes())
    return folder


INPUTS = {
    "npy": ["stack.npy"],
    "raw": ["stack.raw", "--shape", "5,512,768", "--dtype", "uint16"],
    "tiff": ["stack.tif"],
    "folder": ["slices"],
    "files": [f"slices/s{n}.png" for n in range(8, 13)],
    "jp2": ["jp2"],
    "hdf5": ["stack.h5:/entry/data"],
}


@pytest.mark.parametrize("kind", INPUTS)
def test_every_kind_of_input(kind, files, stack, tmp_path):
    out = tmp_path / "x.b2nd"
    text = run("compress", *INPUTS[kind], "-o", out, cwd=files)
    assert "5 x 512 x 768 uint16" in text
    found = blosc2.open(str(out))
    np.testing.assert_array_equal(found[...], stack)
    assert found.chunks == (1, 512, 768)
    if kind == "hdf5":
        assert found.schunk.vlmeta["unit"] == "counts"
    assert "equal to the original, bit for bit" in run("verify", out, *INPUTS[kind], "--exact", cwd=files)


def test_images(files, rgb, tmp_path):
    for name in (files / "image.ppm", PHOTOGRAPH):
        run("compress", name, "-o", tmp_path / "x.b2nd", "--force")
        np.testing.assert_array_equal(blosc2.open(str(tmp_path / "x.b2nd"))[...], rgb)


@pytest.mark.parametrize("target", ["x.b2nd", "x.h5:/entry/data", "x.zarr"])
def test_every_kind_of_output_and_back(target, files, stack, tmp_path):
    pytest.importorskip("zarr" if "zarr" in target else "h5py")
    run(
        "compress",
        "stack.npy",
        "-o",
        f"{tmp_path}/{target}",
        "--chunks",
        "2,512,768",
        "--blocks",
        "2,512,768",
        cwd=files,
    )
    for back in ("back.npy", "back.raw", "back.tif", "back.h5:/d"):
        run("decompress", f"{tmp_path}/{target}", "-o", f"{tmp_path}/{back}")
        name = f"{tmp_path}/{back}"
        options = ["--shape", "5,512,768", "--dtype", "u2"] if back.endswith("raw") else []
        run("verify", f"{tmp_path}/{target}", name, "--exact", *options)
        if back == "back.npy":
            np.testing.assert_array_equal(np.load(name), stack)
        elif back == "back.raw":
            np.testing.assert_array_equal(np.fromfile(name, "u2").reshape(stack.shape), stack)
    assert not [name for name in os.listdir(tmp_path) if ".part." in name]


def test_qualities(files, stack, tmp_path):
    out = tmp_path / "x.b2nd"
    for options, check in (
        (["--ratio", "8"], lambda r: r["psnr"] > 60),
        (["--psnr", "70"], lambda r: 70 <= r["psnr"] < 70.3),
        (["--ht"], lambda r: r["exact"]),
        (["--ht", "--ratio", "6"], lambda r: r["psnr"] > 60),
        (["--lossless", "--param", "num_resolutions=3"], lambda r: r["exact"]),
    ):
        run("compress", "stack.npy", "-o", out, "--force", *options, cwd=files)
        result = json.loads(run("verify", out, "stack.npy", "--json", "-q", cwd=files))
        assert check(result), (options, result)
        facts = json.loads(run("info", out, "--json"))
        if "--ratio" in options:
            assert facts["ratio"] >= float(options[-1]) * 0.99
        assert bool(facts["stream"]["codeblock_style"] & 64) == ("--ht" in options)
    assert json.loads(run("info", out, "--json"))["stream"]["num_resolutions"] == 3


def test_verify_fails_where_it_should(files, stack, tmp_path):
    out = tmp_path / "x.b2nd"
    run("compress", "stack.npy", "-o", out, "--ratio", "20", cwd=files)
    assert "samples differ" in run("verify", out, "stack.npy", "--exact", cwd=files, code=1)
    assert "below 90" in run("verify", out, "stack.npy", "--min-psnr", "90", cwd=files, code=1)
    assert "above 1" in run("verify", out, "stack.npy", "--max-error", "1", cwd=files, code=1)
    assert "need the original" in run("verify", out, "--exact", code=1)
    assert "the original" in run("verify", out, PHOTOGRAPH, code=1)
    broken = bytearray(out.read_bytes())
    codestream = broken.find(b"\xff\x4f\xff\x51", len(broken) // 2)  # SOC, SIZ
    broken[codestream : codestream + 20] = bytes(20)
    (tmp_path / "broken.b2nd").write_bytes(broken)
    assert "blosc2-grok:" in run("verify", tmp_path / "broken.b2nd", code=1)


def test_mistakes_are_named(files, tmp_path):
    out = tmp_path / "x.b2nd"
    cases = [
        (["compress", "nowhere.npy", "-o", out], 1, "nowhere.npy: there is no such file"),
        (["compress", "stack.raw", "-o", out], 1, "--shape and --dtype"),
        (["compress", "stack.raw", "--shape", "9,512,768", "--dtype", "u2", "-o", out], 1, "the file has"),
        (["compress", "stack.h5", "-o", out], 1, "name the dataset"),
        (["compress", "stack.h5:/nothing", "-o", out], 1, "there is /entry/data"),
        (["compress", "stack.npy", "-o", tmp_path / "x.zip"], 1, "allowed: x.b2nd"),
        (["compress", "stack.npy", "-o", tmp_path / "no" / "x.b2nd"], 1, "there is no folder"),
        (["compress", "stack.npy", "-o", out, "--param", "nonsense=1"], 1, "nonsense"),
        (["compress", "stack.npy", "-o", out, "--ratio", "-2"], 2, "positive"),
        (["compress", "stack.npy", "-o", out, "--ratio", "2", "--psnr", "40"], 2, "not allowed with"),
        (["compress", "stack.npy", "stack.npy", "-o", out], 1, "only image files"),
        (["compress", "slices/s8.png", "image.ppm", "-o", out], 1, "differs from the first"),
        (["decompress", "stack.npy", "-o", tmp_path / "x.xyz"], 1, "allowed: .bin"),
        (["info", "nowhere.b2nd"], 1, "there is no such file"),
        (["transcode", "stack.npy", "-o", out], 1, "nothing to do"),
        (["import", "slices", "-o", out], 1, "no JPEG 2000 files"),
        ([], 2, "which command"),
    ]
    for arguments, code, message in cases:
        assert message in run(*arguments, cwd=files, code=code), arguments
        assert os.listdir(tmp_path) == [], arguments
    run("compress", "stack.npy", "-o", out, cwd=files)
    before = out.read_bytes()
    assert "--force" in run("compress", "stack.npy", "-o", out, cwd=files, code=1)
    assert out.read_bytes() == before
    assert re.match(r"blosc2-grok \d", run_process("--version"))


def test_export_import(files, stack, tmp_path):
    run("compress", "stack.npy", "-o", tmp_path / "x.b2nd", "--ratio", "9", cwd=files)
    assert "5 files" in run("export", tmp_path / "x.b2nd", "-o", tmp_path / "out")
    names = sorted(os.listdir(tmp_path / "out"))
    assert names == [f"{n}_0_0.jp2" for n in range(5)]
    array = blosc2.open(str(tmp_path / "x.b2nd"))[...]
    imagecodecs = pytest.importorskip("imagecodecs")
    for n, name in enumerate(names):
        found = imagecodecs.jpeg2k_decode((tmp_path / "out" / name).read_bytes())
        assert np.abs(found.astype(int) - array[n]).max() <= 1
    run("import", tmp_path / "out", "-o", tmp_path / "y.b2nd")
    np.testing.assert_array_equal(blosc2.open(str(tmp_path / "y.b2nd"))[...], array)
    run("export", tmp_path / "y.b2nd", "-o", tmp_path / "again")
    for name in names:
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "out" / name).read_bytes()
    assert "not an empty folder" in run("export", tmp_path / "y.b2nd", "-o", tmp_path / "again", code=1)


@pytest.mark.skipif(not hasattr(blosc2_grok, "transcode"), reason="this build cannot transcode")
def test_transcode(files, stack, tmp_path):
    run("compress", "stack.npy", "-o", tmp_path / "x.b2nd", cwd=files)
    run("transcode", tmp_path / "x.b2nd", "-o", tmp_path / "y.b2nd", "--ht")
    assert json.loads(run("info", tmp_path / "y.b2nd", "--json"))["stream"]["codeblock_style"] & 64
    run("verify", tmp_path / "y.b2nd", "stack.npy", "--exact", cwd=files)
    run("transcode", "jp2/0.jp2", "-o", tmp_path / "y.jph", "--ht", cwd=files)
    np.testing.assert_array_equal(blosc2_grok.decode((tmp_path / "y.jph").read_bytes()), stack[0])


def test_preview(files, rgb, stack, tmp_path):
    run("compress", "stack.npy", "-o", tmp_path / "x.b2nd", cwd=files)
    run("compress", PHOTOGRAPH, "-o", tmp_path / "rgb.b2nd")
    assert "192 x 128" in run("preview", tmp_path / "rgb.b2nd", "-o", tmp_path / "rgb.png", "--size", "200")
    found = np.asarray(Image.open(tmp_path / "rgb.png"))
    np.testing.assert_array_equal(found, blosc2_grok.decode(blosc2_grok.encode(rgb), reduce=2))
    run("preview", tmp_path / "x.b2nd", "-o", tmp_path / "x.png", "--index", "3", "--reduce", "1")
    found = np.asarray(Image.open(tmp_path / "x.png")).astype(float)
    level = blosc2_grok.open(tmp_path / "x.b2nd").levels[1][3].astype(float)
    assert found.shape == level.shape
    assert np.corrcoef(found.ravel(), level.ravel())[0, 1] > 0.99
    assert "--index" in run("preview", tmp_path / "x.b2nd", "-o", tmp_path / "y.png", "--index", "9", code=1)
    assert "0 to 5" in run("preview", tmp_path / "x.b2nd", "-o", tmp_path / "y.png", "--reduce", "9", code=1)


def test_info(files, tmp_path):
    text = run("info", "jp2/0.jp2", cwd=files)
    assert "768 x 512, 1 component(s), 16 bits unsigned" in text
    assert "5/3 reversible" in text
    run("compress", "stack.npy", "-o", tmp_path / "x.b2nd", cwd=files)
    facts = json.loads(run("info", tmp_path / "x.b2nd", "--json"))
    array = blosc2.open(str(tmp_path / "x.b2nd"))
    assert facts["shape"] == [5, 512, 768]
    assert facts["dtype"] == "uint16"
    assert facts["ratio"] == pytest.approx(array.nbytes / array.schunk.cbytes, rel=0.001)
    text = run("info", tmp_path / "x.b2nd")
    assert "5 x 512 x 768" in text
    assert "JPEG 2000 (of the first block)" in text


def test_doctor():
    text = run_process("doctor")
    assert "everything is well" in text
    assert "fresh process" in text
    assert all(finding["state"] in ("ok", "note") for finding in json.loads(run_process("doctor", "--json")))


def test_bench(files):
    text = run_process("bench", PHOTOGRAPH, "--seconds", "0.05")
    rates = [int(n) for n in re.findall(r"(\d+) MB/s", text)]
    assert len(rates) == 8
    assert min(rates) > 0


def test_killed_half_way(files, tmp_path):
    """Nothing appears under the output's name; what was there before stays."""
    big = np.random.default_rng(1).integers(0, 65536, (60, 700, 700)).astype("u2")
    np.save(tmp_path / "big.npy", big)
    for sign, left in ((signal.SIGTERM, set()), (signal.SIGINT, set()), (signal.SIGKILL, None)):
        process = subprocess.Popen(
            [sys.executable, "-m", "blosc2_grok", "compress", "big.npy", "-o", "x.b2nd", "--threads", "1"],
            cwd=tmp_path,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 60
        while not (started := [n for n in os.listdir(tmp_path) if ".part." in n]) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert started
        time.sleep(0.3)
        assert process.poll() is None
        process.send_signal(sign)
        assert process.wait(60) != 0
        names = set(os.listdir(tmp_path)) - {"big.npy"}
        assert "x.b2nd" not in names
        if left is not None:
            assert names == left
        for name in names:
            path = tmp_path / name
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def test_progress_lines_and_bar(stack, monkeypatch):
    from blosc2_grok.cli import progress

    monkeypatch.setattr(progress, "_LINE_SECONDS", 0.0)
    stream = io.StringIO()
    with progress.Progress("compressing", 4000, stream=stream) as p:
        for _ in range(4):
            p(1000, 250)
    lines = stream.getvalue().splitlines()
    assert lines[0].startswith("compressing: 25% of 4.0 kB, ")
    assert "ratio 4.00" in lines[0]
    assert "left" in lines[0]
    assert lines[-1].startswith("compressing: 100%")

    pytest.importorskip("rich")

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    stream = Terminal()
    with progress.Progress("compressing", 4000, stream=stream) as p:
        for _ in range(4):
            p(1000, 250)
    assert "100%" in stream.getvalue()
    assert "ratio 4.00" in stream.getvalue()
