# Truncated streams: what tolerant decoding makes of them, against opj_decompress -allow-partial.
# SPDX-License-Identifier: BSD-3-Clause
import shutil
import subprocess

import numpy as np
import pytest

import images
import ours
from images import read_pgx

OPJ = shutil.which("opj_decompress")

KINDS = {
    "layers": dict(layers=4, resolutions=4),
    "resolutions": dict(progression="RPCL", precincts=[(64, 64)], resolutions=5),
    "components": dict(progression="CPRL", mct=0, resolutions=4),
    "tiles": dict(tile=(60, 50), progression="RLCP", layers=2, resolutions=4),
    "irreversible": dict(irreversible=True, ratio=[60, 20, 6], resolutions=5),
}


def packet_ends(data: bytes) -> list[int]:
    """Where the packets of all tile-parts end, by their PLT segments."""
    ends, at = [], data.index(b"\xff\x90")
    while data[at : at + 2] == b"\xff\x90":
        part_end = at + int.from_bytes(data[at + 6 : at + 10], "big")
        at += 12
        lengths = [0]
        while data[at : at + 2] != b"\xff\x93":
            size = int.from_bytes(data[at + 2 : at + 4], "big")
            assert data[at : at + 2] == b"\xff\x58"
            for byte in data[at + 5 : at + 2 + size]:
                lengths[-1] = lengths[-1] << 7 | byte & 127
                if byte < 128:
                    lengths.append(0)
            at += 2 + size
        at += 2
        for length in lengths[:-1]:
            at += length
            ends.append(at)
        assert at == part_end
    return ends


def by_openjpeg(data: bytes, folder) -> list[np.ndarray] | None:
    for old in folder.glob("theirs*"):
        old.unlink()
    (folder / "in.j2k").write_bytes(data)
    command = [OPJ, "-quiet", "-allow-partial", "-i", folder / "in.j2k", "-o", folder / "theirs.pgx"]
    done = subprocess.run(command, capture_output=True, timeout=60)
    files = sorted(folder.glob("theirs*.pgx"), key=lambda p: int(p.stem.split("_")[1]))
    return [read_pgx(p).data for p in files] if done.returncode == 0 and files else None


@pytest.mark.parametrize("kind", KINDS)
def test_tolerant_decoding_is_that_of_openjpeg(tmp_path, kind):
    """Behind whole packets: the same samples (9/7: up to rounding)."""
    if not OPJ:
        pytest.skip("opj_decompress is not installed")
    image = images.make(130, 110, components=3)
    data = ours.encode(image, plt=True, **KINDS[kind])
    ends = packet_ends(data)
    assert len(ends) > 10
    compared = 0
    for end in ends[:: len(ends) // 6][1:]:
        mine = [p.data for p in ours.decode(data[:end], "--tolerant")]
        theirs = by_openjpeg(data[:end], tmp_path)
        if theirs is None:  # it wants at least one packet of every component
            continue
        compared += 1
        for c in range(3):
            difference = np.abs(mine[c].astype(int) - theirs[c])
            if kind == "tiles":  # a tile that is missing is 0 there, mid-grey here
                difference = difference[theirs[c] != 0]
            assert difference.max() <= (1 if kind == "irreversible" else 0), (kind, end, c)
    assert compared >= 3


@pytest.mark.parametrize("kind", KINDS)
def test_more_data_more_quality(kind):
    """Cut anywhere, also inside packets: strict decoding refuses, tolerant decoding warns and does not get worse."""
    image = images.make(130, 110, components=3)
    data = ours.encode(image, plt=True, **KINDS[kind])
    start, before = packet_ends(data)[0], 0.0
    for size in np.linspace(start, len(data) - 3, 9).astype(int):
        with pytest.raises(ours.ToolError):
            ours.decode(data[:size])
        mine = ours.decode(data[:size], "--tolerant")
        errors = [np.mean((m.data.astype(float) - p.data) ** 2) for m, p in zip(mine, image.planes, strict=True)]
        quality = 10 * np.log10(255**2 / max(np.mean(errors), 1e-3))
        assert quality >= before - 0.3
        before = quality
    assert before > 25
