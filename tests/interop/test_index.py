# TLM and PLT: used when they are right, without harm when they are wrong.
# SPDX-License-Identifier: BSD-3-Clause
import random
import subprocess

import pytest

import images
import ours
import segments
from images import Plane, assert_same
from segments import COM, PLT, SOP, TLM

REGION = (100, 90, 140, 125)


def crop(planes: list[Plane], region) -> list[Plane]:
    x0, y0, x1, y1 = region
    return [Plane(p.data[y0:y1, x0:x1], p.depth, p.signed) for p in planes]


def decode_region(data: bytes, tmp_path, region=REGION, *arguments: str) -> tuple[list[Plane], str]:
    """The region, and what was warned about."""
    path, out = tmp_path / "in.j2k", tmp_path / "out.pgx"
    path.write_bytes(data)
    text = ",".join(map(str, region))
    command = [ours.tool(), "decode", "--region", text, *arguments, "-o", str(out), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise ours.ToolError(done.stderr)
    files = [out] if out.exists() else sorted(tmp_path.glob("out_*.pgx"))
    return [images.read_pgx(f) for f in files], done.stderr


@pytest.fixture(scope="module")
def tiled():
    image = images.make(300, 260, components=3)
    data = ours.encode(image, tile=(64, 64), tlm=True, plt=True, tile_parts="R", precincts=[(32, 32)])
    return image, segments.parse(data)


@pytest.fixture(scope="module")
def untiled():
    """One tile with many precincts, in two layers."""
    image = images.make(300, 260)
    data = ours.encode(image, layers=2, plt=True, precincts=[(32, 32)], progression="RPCL")
    return image, segments.parse(data)


def without_second_sot(stream) -> bytes:
    """The stream with zeros for the SOT segment of its second tile-part."""
    data = bytearray(stream.build())
    second = len(segments.Stream(stream.main, stream.parts[:1]).build()) - 2
    assert data[second : second + 2] == b"\xff\x90"
    data[second : second + 12] = bytes(12)
    return bytes(data)


def test_tlm_leads_past_damage(tiled, tmp_path):
    """With TLM the tile-parts of other tiles are not even looked at; without it they are walked."""
    image, stream = tiled
    data = without_second_sot(stream)
    planes, warning = decode_region(data, tmp_path)
    assert_same(crop(image.planes, REGION), planes)
    assert "TLM" not in warning
    with pytest.raises(ours.ToolError, match="SOT"):
        decode_region(without_second_sot(stream.without(TLM)), tmp_path)
    with pytest.raises(ours.ToolError, match="SOT"):
        ours.decode(data)


@pytest.mark.parametrize("sizes", [(2, 4), (1, 4), (2, 2), (1, 2), (0, 2)])
def test_forms_of_tlm(tmp_path, sizes):
    """Every ST and SP of table A.33, in two segments that come in the wrong order."""
    image = images.make(200, 150)
    stream = segments.parse(ours.encode(image, tile=(64, 64)))
    entries = segments.tile_parts(stream)
    halves = entries[:5], entries[5:]
    for index in (1, 0):
        stream.main.append((TLM, segments.tlm_payload(halves[index], index, *sizes)))
    region = (70, 70, 180, 140)
    planes, warning = decode_region(without_second_sot(stream), tmp_path, region)
    assert_same(crop(image.planes, region), planes)
    assert "TLM" not in warning


def wrong_tlms(stream):
    entries = segments.tile_parts(stream)
    lengths = [length for _, length in entries]
    swapped = [entries[1], entries[0], *entries[2:]]
    other_tile = [(t ^ 1 if i == 40 else t, n) for i, (t, n) in enumerate(entries)]
    moved = list(entries)
    moved[30], moved[31] = (entries[30][0], lengths[30] + 9), (entries[31][0], lengths[31] - 9)
    yield "swapped", segments.tlm_payload(swapped)
    yield "other tile", segments.tlm_payload(other_tile)
    yield "boundary moved", segments.tlm_payload(moved)
    yield "one is missing", segments.tlm_payload(entries[:-1])
    yield "one too many", segments.tlm_payload([*entries, entries[-1]])
    yield "reversed", segments.tlm_payload(entries[::-1])
    yield "tiles beyond the grid", segments.tlm_payload([(t + 1, n) for t, n in entries])
    yield "huge lengths", segments.tlm_payload([(t, 2**32 - 1) for t, n in entries])
    yield "zero lengths", segments.tlm_payload([(t, 0) for t, n in entries])
    yield "cut entry", segments.tlm_payload(entries)[:-3]
    yield "reserved ST", bytes([0, 0x70]) + segments.tlm_payload(entries)[2:]
    yield "empty", b"\x00"
    yield "no index", b""


def test_wrong_tlm_is_not_used(tiled, tmp_path):
    image, stream = tiled
    for name, payload in wrong_tlms(stream):
        changed = stream.without(TLM)
        changed.main.append((TLM, payload))
        warnings = ""
        for x in (0, 100, 250):
            region = (x, 20, x + 45, 180)
            planes, warning = decode_region(changed.build(), tmp_path, region)
            assert_same(crop(image.planes, region), planes, 0, name)
            warnings += warning
        assert "TLM does not agree" in warnings or "TLM at byte" in warnings, name
    changed = stream.without(TLM)
    changed.main += [(TLM, stream.get(TLM))] * 2
    planes, warning = decode_region(changed.build(), tmp_path)
    assert_same(crop(image.planes, REGION), planes)
    assert "index 0 occurs twice: not used" in warning


def test_tlm_cannot_hide_a_tile_part(tmp_path):
    """An entry that gives one of a tile's parts to another tile: TNsot says that one is missing."""
    image = images.make(128, 64)
    stream = segments.parse(ours.encode(image, tile=(64, 64), tile_parts="R"))
    entries = segments.tile_parts(stream)
    mine = [i for i, (tile, _) in enumerate(entries) if tile == 1]
    entries[mine[-1]] = (0, entries[mine[-1]][1])
    for counts in (True, False):
        for part in stream.parts:
            part.count = part.count if counts else 0
        changed = segments.Stream([*stream.main, (TLM, segments.tlm_payload(entries))], stream.parts)
        planes, warning = decode_region(changed.build(), tmp_path, (70, 0, 128, 64))
        assert_same(crop(image.planes, (70, 0, 128, 64)), planes)
        assert "TLM does not agree" in warning


def damage_unneeded(stream, lengths):
    """The stream with its last 100 packets overwritten: the highest resolution of the lower half."""
    body = bytearray(stream.parts[0].body)
    at = sum(lengths[:-100])
    body[at:] = b"\xff" * (len(body) - at)
    part = stream.parts[0]
    return segments.Stream(stream.main, [segments.TilePart(0, 0, 1, part.segments, bytes(body))])


def test_plt_leads_past_damage(untiled, tmp_path):
    """With PLT the packets of other precincts are not even looked at; without it their headers are parsed."""
    image, stream = untiled
    lengths = segments.plt_lengths(stream.parts[0].segments[0][1])
    damaged = damage_unneeded(stream, lengths)
    region = (0, 0, 60, 30)
    planes, warning = decode_region(damaged.build(), tmp_path, region)
    assert_same(crop(image.planes, region), planes)
    assert "PLT" not in warning
    with pytest.raises(ours.ToolError, match="corrupt|end too early"):
        decode_region(damaged.without(PLT).build(), tmp_path, region)


SELECTIONS = [["--reduce", "2"], ["--max-layers", "1"], ["--components", "1"], ["--region", "20,33,150,101"]]


@pytest.mark.parametrize("progression", ["LRCP", "RLCP", "RPCL", "PCRL", "CPRL"])
def test_plt_changes_nothing(progression):
    """Every kind of selection in every order, with SOP or not: the same samples with PLT and without."""
    image = images.make(150, 130, components=2, offset=(5, 3))
    for sop in (False, True):
        options = dict(ratio=[20, 5], precincts=[(32, 32)], progression=progression, tile=(100, 140), sop=sop)
        data = ours.encode(image, plt=True, tile_parts="R", **options)
        plain = segments.parse(data).without(PLT).build()
        assert len(plain) < len(data)
        for selection in [*SELECTIONS, sum(SELECTIONS, [])]:
            if selection[-1] == "20,33,150,101" and len(selection) > 2:
                selection = [*selection[:-2], "--region", "120,33,150,101"]
            assert_same(ours.decode(plain, *selection), ours.decode(data, *selection))


def wrong_plts(lengths, rng):
    yield "one short", [n - (i == 7 and n > 1) for i, n in enumerate(lengths)]
    yield "cut off", lengths[: len(lengths) // 2]
    yield "all ones", [1] * sum(lengths)
    yield "one packet", [sum(lengths)]
    yield "reversed", lengths[::-1]
    for i in range(12):
        shuffled = list(lengths)
        a, b = sorted(rng.sample(range(len(lengths)), 2))
        shift = rng.randint(1, 20)
        if shuffled[a] > shift:
            shuffled[a], shuffled[b] = shuffled[a] - shift, shuffled[b] + shift
        yield f"moved {i}", shuffled
    for i in range(4):
        yield f"shuffled {i}", rng.sample(lengths, len(lengths))


def test_wrong_plt_is_not_used(untiled, tmp_path):
    """Wrong lengths, most of them with the right sum: the samples are right all the same."""
    image, stream = untiled
    lengths = segments.plt_lengths(stream.parts[0].segments[0][1])
    warned = 0
    for name, wrong in wrong_plts(lengths, random.Random(4)):
        changed = stream.without(PLT)
        changed.parts[0].segments.append((PLT, segments.plt_payload(0, wrong)))
        for region in ((0, 0, 40, 30), REGION, (260, 200, 300, 260)):
            planes, warning = decode_region(changed.build(), tmp_path, region)
            assert_same(crop(image.planes, region), planes, 0, name)
            warned += "PLT does not agree" in warning
        assert_same(image.planes, ours.decode(changed.build()))
    assert warned > 20


def test_plt_of_other_forms(untiled, tmp_path):
    """Several segments, in any order; two of the same index, or lengths that are none, are passed over."""
    image, stream = untiled
    lengths = segments.plt_lengths(stream.parts[0].segments[0][1])
    thirds = [lengths[:100], lengths[100:300], lengths[300:]]
    pieces = [(PLT, segments.plt_payload(i, third)) for i, third in enumerate(thirds)]
    region = (0, 0, 60, 30)
    for order in ((0, 1, 2), (2, 0, 1)):
        changed = damage_unneeded(stream, lengths).without(PLT)
        changed.parts[0].segments += [pieces[i] for i in order]
        planes, warning = decode_region(changed.build(), tmp_path, region)
        assert_same(crop(image.planes, region), planes)
        assert "PLT" not in warning
    bad = ([pieces[0]] * 2, [(PLT, b"")], [(PLT, b"\x00")], [(PLT, b"\x00" + b"\xff" * 9)])
    for extra in bad:
        changed = stream.without(PLT)
        changed.parts[0].segments += extra
        planes, _ = decode_region(changed.build(), tmp_path, region)
        assert_same(crop(image.planes, region), planes)


def test_plt_with_packed_headers_counts_bodies_only(tmp_path):
    """PLT then leaves the headers out (A.7.3): it cannot skip them and is not used."""
    image = images.make(150, 130)
    stream = segments.parse(ours.encode(image, sop=True, eph=True, precincts=[(32, 32)]))
    part = stream.parts[0]
    pieces = segments.packets(part.body)
    part.segments = [
        (PLT, segments.plt_payload(0, [len(body) + 6 for _, body in pieces])),
        (segments.PPT, b"\x00" + b"".join(header for header, _ in pieces)),
    ]
    part.body = b"".join(
        SOP.to_bytes(2, "big") + b"\x00\x04" + (i & 65535).to_bytes(2, "big") + body
        for i, (_, body) in enumerate(pieces)
    )
    planes, _ = decode_region(stream.build(), tmp_path, (100, 90, 140, 125))
    assert_same(crop(image.planes, (100, 90, 140, 125)), planes)


def test_region_costs_what_it_should(tmp_path):
    """256 x 256 of a single-tile image of 4096 x 3072: less than 5% of the memory of the full decode (by the decoder's own
    limit), and about 3% of its time (the bound here leaves room for a busy machine)."""
    raw, path, out = tmp_path / "big.raw", tmp_path / "big.j2k", tmp_path / "out.raw"
    tile = images.make(512, 512).planes[0].data.astype("u1")
    raw.write_bytes(b"".join(tile[y % 512].tobytes() * 8 for y in range(3072)))
    ours.run(["encode", "--raw", "4096,3072,1,8,u", "--style", "ht", "-o", str(path), str(raw)])

    def decode(*arguments: str) -> float:
        text = ours.run(["decode", "--repeat", "3", *arguments, "-o", str(out), str(path)]).stderr
        return float(text.split("best of 3: ")[1].split()[0])

    region = ["--region", "1500,1000,1756,1256"]
    full_memory = 40 << 20  # not enough for the whole image:
    with pytest.raises(ours.ToolError, match="memory"):
        decode("--max-memory", str(full_memory))
    part = decode("--max-memory", str(full_memory // 20), *region)
    assert out.read_bytes() == tile_part(tile)
    assert part < 0.1 * decode()


def tile_part(tile) -> bytes:
    return b"".join((tile[y % 512].tobytes() * 8)[1500:1756] for y in range(1000, 1256))


def test_comments_do_not_confuse_the_walk(tiled, tmp_path):
    image, stream = tiled
    changed = stream.without(TLM)
    for part in changed.parts:
        part.segments.insert(0, (COM, b"\x00\x01" + part.build()[:40]))
    planes, _ = decode_region(changed.build(), tmp_path)
    assert_same(crop(image.planes, REGION), planes)
