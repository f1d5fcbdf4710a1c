# The examples run, and the demonstration reaches what it promises.
# SPDX-License-Identifier: BSD-3-Clause
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

blosc2_grok = pytest.importorskip("blosc2_grok")

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments, **options):
    done = subprocess.run(list(map(str, arguments)), capture_output=True, text=True, timeout=300, **options)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    done = run(sys.executable, ROOT / "examples" / "demo.py", "--output", folder)
    results = {r["mode"]: r for r in json.loads((folder / "results.json").read_text())}
    return folder, results, done.stdout


def test_demo_writes_its_files(demo):
    folder, results, output = demo
    for mode in ("lossless", "rates-10", "dB-45"):
        assert (folder / f"kodim23-{mode}.b2nd").stat().st_size > 0
        assert (folder / f"kodim23-{mode}.png").stat().st_size > 0
    assert (folder / "comparison.png").stat().st_size > 0
    for word in ("mode", "ratio", "PSNR", "SSIM", "MB/s in", "MB/s out", "file", *results):
        assert word in output


def test_demo_lossless(demo):
    _, results, _ = demo
    assert results["lossless"]["psnr"] is None
    assert results["lossless"]["ratio"] >= 2.81


def test_demo_rates(demo):
    _, results, _ = demo
    assert 9.9 <= results["rates 10"]["ratio"] <= 10.1
    assert results["rates 10"]["psnr"] >= 46.3


def test_demo_psnr(demo):
    _, results, _ = demo
    assert 45.0 <= results["dB 45"]["psnr"] <= 45.3
    assert results["dB 45"]["ratio"] >= 13


def test_params_example():
    output = run(sys.executable, ROOT / "examples" / "params.py").stdout
    assert output.count("exact") >= 4
    assert "codeblock_size: 100 x 64 is not allowed" in output


@pytest.fixture(scope="module")
def stack_program(tmp_path_factory):
    import blosc2

    wheel, ours = Path(blosc2.__file__).parent, Path(blosc2_grok.__file__).parent
    library = next(iter([*wheel.glob("lib/libblosc2.so*"), *wheel.glob("lib64/libblosc2.so*")]), None)
    if library is None:
        pytest.skip("the blosc2 wheel has no shared library to link with")
    program = tmp_path_factory.mktemp("stack") / "compress_stack"
    folders = [library.parent, ours]
    link = [f"-Wl,-rpath,{folder}" for folder in folders] + [f"-L{folder}" for folder in folders]
    includes = [f"-I{blosc2_grok.get_include()}", f"-I{wheel / 'include'}"]
    compiler = os.environ.get("CC", "cc").split()
    source = ROOT / "examples" / "compress_stack.c"
    warnings = ["-std=c11", "-Wall", "-Wextra", "-Werror"]
    run(*compiler, *warnings, *includes, source, *link, "-lblosc2_grok", f"-l:{library.name}", "-lm", "-o", program)
    return program


def test_compress_stack_lossless(stack_program, tmp_path):
    assert "exact" in run(stack_program, tmp_path / "stack.b2nd").stdout


def test_compress_stack_of_given_samples(stack_program, tmp_path):
    """The file that the C program writes holds what Python reads."""
    import blosc2

    y, x = np.mgrid[0:80, 0:100]
    samples = 1000 + 20 * np.sin(x / 9) + y + np.arange(5)[:, None, None]
    samples = (samples + np.random.default_rng(1).integers(0, 32, samples.shape)).astype("<u2")
    samples.tofile(tmp_path / "in.raw")
    path = tmp_path / "stack.b2nd"
    run(stack_program, path, 0, 100, 80, 5, tmp_path / "in.raw")
    array = blosc2.open(str(path), mode="r")
    assert array.blocks == (1, 80, 100)
    assert np.array_equal(array[:], samples)
    output = run(stack_program, path, 12, 100, 80, 5, tmp_path / "in.raw").stdout
    assert "largest error" in output
    error = np.abs(blosc2.open(str(path), mode="r")[:].astype(int) - samples)
    assert 0 < error.max() < 64


def test_compress_stack_says_what_is_wrong(stack_program, tmp_path):
    done = subprocess.run([stack_program, tmp_path / "x.b2nd", "-0", "10", "10", "2", "none.raw"], capture_output=True)
    assert done.returncode == 1
    assert b"none.raw" in done.stderr


def test_readme_has_the_table_of_parameters():
    run(sys.executable, ROOT / "tools" / "parameter_table.py", "--check", ROOT / "README.md")


def test_quick_benchmark_runs(tmp_path):
    pil = pytest.importorskip("PIL.Image")
    pytest.importorskip("imagecodecs")
    pil.fromarray(np.tile(np.arange(64, dtype=np.uint8), (64, 1))).save(tmp_path / "x.png")
    output = run(sys.executable, ROOT / "bench" / "bench_quick.py", "--repeat", 1, tmp_path / "x.png").stdout
    assert output.count("OpenJPEG") == 2
    assert output.count("OpenJPH") == 1
    assert output.count("blosc2_grok") == 3
