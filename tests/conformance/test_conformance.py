# The conformance runner's rows that must hold, and checks of the runner itself.
# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
import pytest

import exact_9_7
import ours
import run
import samples
from decoders import by_openjpeg, by_tool
from images import Plane

DATA = run.find_data()
needs_data = pytest.mark.skipif(DATA is None, reason="no test data: set J2K_SHARED, or put it in ../shared")


def files(name: str, part: int = 1) -> list[str]:
    if DATA is None:
        return ["no-data"]
    features = {}
    if name == "valid":
        features = {f: rows[0]["part"] for f, rows in run.manifest(DATA / name / "features.csv").items()}
    everything = run.manifest(DATA / name / "manifest.csv")
    return [file for file, rows in everything.items() if run.is_part(name, rows, part, features)]


def check(name: str, file: str, decode=by_tool) -> run.Row:
    base = DATA / name
    return run.CHECKS[name](base, file, run.manifest(base / "manifest.csv")[file], decode)


@needs_data
@pytest.mark.parametrize("file", files("conformance"))
def test_part_1_class_1(file):
    row = check("conformance", file)
    assert row.verdict != "FAIL", row.detail


@needs_data
@pytest.mark.parametrize("file", files("valid"))
def test_valid_files(file):
    row = check("valid", file)
    assert row.verdict != "FAIL", row.detail


@needs_data
@pytest.mark.parametrize("file", files("robustness"))
def test_malformed_files(file):
    """No crash, no hang, no unbounded memory; irregular files that upstream decodes, decode."""
    row = check("robustness", file)
    assert row.verdict != "FAIL", row.detail


@needs_data
@pytest.mark.parametrize("file", [f for f in files("conformance") if "p0_0" in f or "file" in f])
def test_the_runner_agrees_with_openjpeg(openjpeg, file):
    """The runner's own reading of references, tolerances and JP2 boxes, shown on another decoder."""
    assert check("conformance", file, by_openjpeg).verdict == "PASS"


@needs_data
@pytest.mark.parametrize("file", sorted(run.INEXACT_REFERENCES))
def test_who_is_right(openjpeg, file):
    """Where we differ from the recorded reference, OpenJPEG's decoding: double precision agrees with us, and, given
    OpenJPEG's constant for 2 / K, with OpenJPEG. Both decoders find the same integers in the stream."""
    data = (DATA / "valid" / file).read_bytes()
    reversible, depth, levels, steps = exact_9_7.rewritten(data)
    coded = ours.decode(reversible)[0].data
    assert (coded == openjpeg.decode(reversible)[0].data).all()
    bands = exact_9_7.integers(coded, levels)
    here, there = ours.decode(data)[0].data, openjpeg.decode(data)[0].data
    exact = exact_9_7.rounded(exact_9_7.reconstruct(bands, steps, depth), depth)
    assert samples.differences(here, exact)[0] <= 1
    assert samples.differences(here, exact)[1] < 0.1
    assert samples.differences(there, exact)[0] > 2
    theirs = exact_9_7.rounded(exact_9_7.reconstruct(bands, steps, depth, high=13318 / 8192 / 2), depth)
    assert samples.differences(there, theirs)[0] <= 1
    assert samples.differences(here, theirs)[0] > 2


def test_the_exact_wavelet_is_exact():
    """5/3: analysis undoes a decoder's synthesis. 9/7: a constant stays one, and one LL sample has the sum of the basis."""
    rng = np.random.default_rng(3)
    image = rng.integers(0, 1000, (21, 34))
    constant = exact_9_7.synthesise_9_7(np.where(np.arange(12) % 2, 0.0, 7.0)[:, None])
    assert np.allclose(constant, 7.0, atol=1e-9)
    from images import Image

    data = ours.encode(Image([Plane(image.astype(np.int32), 10)], 0, 0, 34, 21), resolutions=3, codeblock=(32, 32))
    low = ours.decode(data, "--reduce", "2")[0].data.astype(np.int64)
    shifted = exact_9_7.integers(image - 512, 2)[0]
    assert (shifted + 512 == low).all()


def test_the_runner_can_fail(tmp_path):
    """A decoder that is one grey level off does not pass an exact row, nor one that crashes."""
    plane = Plane(np.arange(12, dtype=np.int32).reshape(3, 4), 8)
    row = {"width": "4", "height": "3", "precision": "8", "signed": "0", "exact": "1"}
    row["sha256"] = samples.digest([plane.data])
    assert run.check_plane(tmp_path, row, plane) == (True, "exact")
    off = Plane(plane.data + (plane.data == 5), 8)
    assert not run.check_plane(tmp_path, row, off)[0]
    assert not run.check_plane(tmp_path, row, Plane(plane.data, 9))[0]
    assert not run.check_plane(tmp_path, row, Plane(plane.data.T, 8))[0]
    assert run.check_tolerance(off.data, plane.data, 1, 0.1) == (True, "1/0.08333 of 1/0.1")
    assert not run.check_tolerance(off.data, plane.data, 0, 0.1)[0]
    assert not run.check_tolerance(off.data, plane.data, 1, 0.08)[0]


def test_crashes_and_hangs_are_seen(tmp_path, monkeypatch):
    script = tmp_path / "tool"
    monkeypatch.setattr(ours, "tool", lambda: str(script))
    for body, state in (("kill -SEGV $$", "crash"), ("sleep 60", "timeout"), ("exit 1", "fail"), ("exit 99", "crash")):
        script.write_text(f"#!/bin/sh\n{body}\n")
        script.chmod(0o755)
        assert by_tool(tmp_path / "x.j2k", seconds=1).state == state
