# Streams put together by hand: tile-parts in odd orders, packed headers, styles in tile headers, markers to pass over.
# SPDX-License-Identifier: BSD-3-Clause
import random
import struct

import numpy as np
import pytest

import images
import ours
import segments
from images import Image, Plane, assert_same
from segments import COC, COD, COM, CRG, EPH, PLM, PLT, POC, PPM, PPT, QCC, QCD, RGN, SIZ, SOP, TLM, Stream, TilePart


@pytest.fixture(scope="module")
def picture():
    return images.make(150, 110, components=3, offset=(3, 5))


def check(openjpeg, image: Image, stream: Stream, by_openjpeg: bool = True, tolerance: int = 0) -> None:
    """We and OpenJPEG both decode it to the image."""
    data = stream.build()
    assert_same(image.planes, ours.decode(data), tolerance, "our decoder")
    if by_openjpeg:
        assert_same(image.planes, openjpeg.decode(data), tolerance, "OpenJPEG's decoder")


# ---- tile-parts ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_interleaved_tile_parts(openjpeg, picture, seed):
    """Parts of different tiles in any order (A.4.2 only asks for those of one tile to be in order)."""
    stream = segments.parse(ours.encode(picture, tile=(64, 64), tile_parts="R"))
    rng = random.Random(seed)
    by_tile = {}
    for part in stream.parts:
        by_tile.setdefault(part.tile, []).append(part)
    stream.parts = []
    while by_tile:
        tile = rng.choice(list(by_tile))
        stream.parts.append(by_tile[tile].pop(0))
        if not by_tile[tile]:
            del by_tile[tile]
    check(openjpeg, picture, stream)


def test_tile_parts_out_of_order(picture):
    """TPsot says where a part belongs, even where a stream does not keep to the order."""
    stream = segments.parse(ours.encode(picture, tile=(64, 64), tile_parts="R"))
    random.Random(1).shuffle(stream.parts)
    assert_same(picture.planes, ours.decode(stream.build()))


@pytest.mark.parametrize("known", ["first", "last", "never"])
def test_number_of_tile_parts_not_always_given(openjpeg, picture, known):
    """TNsot may be 0 in all parts but one (table A.6), and decoders cope without any."""
    stream = segments.parse(ours.encode(picture, tile=(64, 64), tile_parts="R"))
    for part in stream.parts:
        given = {"first": part.index == 0, "last": part.index == part.count - 1, "never": False}[known]
        part.count = part.count if given else 0
    check(openjpeg, picture, stream, by_openjpeg=known != "never")


def test_empty_tile_parts(openjpeg, picture):
    stream = segments.parse(ours.encode(picture, tile=(64, 64)))
    parts = []
    for part in stream.parts:
        parts.append(TilePart(part.tile, 0, 3, [], b""))
        parts.append(TilePart(part.tile, 1, 3, part.segments, part.body))
        parts.append(TilePart(part.tile, 2, 3, [], b""))
    check(openjpeg, picture, Stream(stream.main, parts))


def test_last_tile_part_of_unknown_length(openjpeg, picture):
    """Psot = 0: up to EOC (A.4.2)."""
    data = bytearray(segments.parse(ours.encode(picture, tile=(64, 64))).build())
    at = data.rindex(b"\xff\x90\x00\x0a")
    data[at + 6 : at + 10] = bytes(4)
    assert_same(picture.planes, ours.decode(bytes(data)))
    assert_same(picture.planes, openjpeg.decode(bytes(data)))


def test_missing_tiles(picture):
    """A tile without any tile-part: an error where it is needed, and, when decoding is tolerant, zeros."""
    stream = segments.parse(ours.encode(picture, tile=(64, 64)))
    missing = 4  # the grid begins at the origin and the image at (3, 5): x 64 to 128, y 64 to 115
    stream.parts = [p for p in stream.parts if p.tile != missing]
    with pytest.raises(ours.ToolError, match="tile 4 is missing"):
        ours.decode(stream.build())
    x0, y0, x1, y1 = 61, 59, 125, 110
    tolerant = ours.decode(stream.build(), "--tolerant")
    for plane, got in zip(picture.planes, tolerant, strict=True):
        outside = np.ones(plane.data.shape, bool)
        outside[y0:y1, x0:x1] = False
        assert (got.data == plane.data)[outside].all()
        assert len(np.unique(got.data[~outside])) == 1
    elsewhere = ours.decode(stream.build(), "--region", "0,0,150,59")
    assert_same([Plane(p.data[:59], p.depth) for p in picture.planes], elsewhere)


# ---- packed packet headers -------------------------------------------------------------------------------------------


def packed(stream: Stream, eph: bool, sop: bool) -> tuple[Stream, list[bytes]]:
    """The packet headers of each part taken out (the stream is framed by SOP and EPH)."""
    parts, headers, numbers = [], [], {}
    for part in stream.parts:
        pieces = segments.packets(part.body)
        first = numbers.get(part.tile, 0)
        numbers[part.tile] = first + len(pieces)
        headers.append(b"".join(h if eph else h[:-2] for h, _ in pieces))
        frame = [struct.pack(">HHH", SOP, 4, first + i & 65535) if sop else b"" for i in range(len(pieces))]
        body = b"".join(f + b for f, (_, b) in zip(frame, pieces, strict=True))
        parts.append(TilePart(part.tile, part.index, part.count, list(part.segments), body))
    main = []
    for marker, payload in stream.main:
        if marker == COD:
            payload = bytes([payload[0] & 1 | (2 if sop else 0) | (4 if eph else 0)]) + payload[1:]
        main.append((marker, payload))
    return Stream(main, parts), headers


def cut(data: bytes, rng) -> list[bytes]:
    """In pieces of random sizes, empty ones included."""
    places = sorted(rng.randrange(len(data) + 1) for _ in range(4))
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]


@pytest.mark.parametrize("sop", [False, True])
@pytest.mark.parametrize("eph", [False, True])
@pytest.mark.parametrize("parts", [{}, {"tile_parts": "R"}])
def test_packed_headers_of_tile_parts(openjpeg, picture, eph, sop, parts):
    """PPT in several segments that cut headers anywhere."""
    framed = segments.parse(ours.encode(picture, tile=(64, 64), sop=True, eph=True, ratio=[20, 1], **parts))
    plain = Image(ours.decode(framed.build()), picture.x0, picture.y0, picture.x1, picture.y1)
    stream, headers = packed(framed, eph, sop)
    rng = random.Random(3)
    numbered = {}  # OpenJPEG wants Zppt to go on from part to part, which is allowed
    for part, header in zip(stream.parts, headers, strict=True):
        first = numbered.get(part.tile, 0)
        part.segments += [(PPT, bytes([first + i]) + piece) for i, piece in enumerate(cut(header, rng)) if piece]
        numbered[part.tile] = first + 5
    check(openjpeg, plain, stream)
    for part in stream.parts:
        pieces = [payload[1:] for _, payload in part.segments]
        pieces.insert(1, b"")
        part.segments = [(PPT, bytes([i]) + piece) for i, piece in enumerate(pieces)]
    assert_same(plain.planes, ours.decode(stream.build()))
    for part in stream.parts:
        rng.shuffle(part.segments)
    assert_same(plain.planes, ours.decode(stream.build()))


@pytest.mark.parametrize("tile_parts", [None, "R"])
@pytest.mark.parametrize("cuts", [False, True])
def test_packed_headers_of_the_main_header(openjpeg, picture, tile_parts, cuts):
    """PPM: the headers of all tile-parts in codestream order, in segments cut anywhere (also inside Nppm)."""
    framed = segments.parse(ours.encode(picture, tile=(64, 64), sop=True, eph=True, tile_parts=tile_parts))
    stream, headers = packed(framed, False, False)
    everything = b"".join(struct.pack(">I", len(h)) + h for h in headers)
    pieces = cut(everything, random.Random(5)) if cuts else [everything]
    stream.main += [(PPM, bytes([i]) + piece) for i, piece in enumerate(pieces)]
    check(openjpeg, picture, stream)
    region = "70,70,80,80"
    expected = [Plane(p.data[70:80, 70:80], p.depth) for p in picture.planes]
    assert_same(expected, ours.decode(stream.build(), "--region", region))


def test_ppm_and_ppt_exclude_each_other(picture):
    framed = segments.parse(ours.encode(picture, tile=(64, 64), sop=True, eph=True))
    stream, headers = packed(framed, False, False)
    stream.main.append((PPM, b"\x00" + b"".join(struct.pack(">I", len(h)) + h for h in headers)))
    stream.parts[2].segments.append((PPT, b"\x00" + headers[2]))
    with pytest.raises(ours.ToolError, match=r"PPT at byte \d+: together with PPM"):
        ours.decode(stream.build())


# ---- styles in tile headers ------------------------------------------------------------------------------------------


def styles(stream: Stream) -> list[tuple[int, bytes]]:
    return [s for s in stream.main if s[0] in (COD, QCD)]


OTHER_STYLES = [
    dict(irreversible=True, resolutions=3),
    dict(resolutions=1, codeblock=(16, 32)),
    dict(progression="CPRL", precincts=[(32, 64)], style=36),
    dict(layers=3, mct=0, sop=True, eph=True, progression="RPCL"),
    dict(style=64, progression="PCRL"),
]


@pytest.mark.parametrize("options", OTHER_STYLES)
def test_tiles_of_another_style(openjpeg, picture, options):
    """COD and QCD in the header of some tiles' first part (A.6.1, A.6.4), from another stream of the same image."""
    one = segments.parse(ours.encode(picture, tile=(64, 64), tile_parts="R"))
    other = segments.parse(ours.encode(picture, tile=(64, 64), **options))
    stream = Stream([*one.main], [p for p in one.parts if p.tile % 2 == 0])
    if options.get("style") == 64:  # CAP must announce HT
        stream.main = [s for s in other.main if s[0] not in (COD, QCD)] + styles(one)
    for part in other.parts:
        if part.tile % 2:
            part.segments = styles(other) + part.segments
            stream.parts.append(part)
    first, second = ours.decode(one.build()), ours.decode(other.build())
    expected = []
    for a, b in zip(first, second, strict=True):
        mixed = a.data.copy()
        for tile in range(1, 6, 2):
            x, y = tile % 3 * 64, tile // 3 * 64
            window = np.s_[max(y - 5, 0) : y + 59, max(x - 3, 0) : x + 61]
            mixed[window] = b.data[window]
        expected.append(Plane(mixed, 8))
    check(openjpeg, Image(expected, 3, 5, 153, 115), stream, tolerance=1 if options.get("irreversible") else 0)


def test_components_of_another_style(openjpeg):
    """COC, QCC and RGN, in the main header and over it in a tile's (A.6.2, A.6.5, A.6.3): component 1 comes from a stream
    with other levels, code-blocks and steps. With CPRL the packets of a component are together."""
    image = images.make(96, 64, components=3)
    common = dict(mct=0, progression="CPRL", tile=(64, 64), tile_parts="C")
    base = segments.parse(ours.encode(image, **common))
    main_style = dict(resolutions=3, codeblock=(16, 64), style=8)
    tile_style = dict(resolutions=2, codeblock=(8, 8), roi=(1, 4), precincts=[(64, 32)])
    streams = {0: segments.parse(ours.encode(image, **common, **main_style))}
    streams[1] = segments.parse(ours.encode(image, **common, **tile_style))

    def coc(stream):
        cod = stream.get(COD)
        return (COC, b"\x01" + bytes([cod[0] & 1]) + cod[5:])

    def qcc(stream):
        return (QCC, b"\x01" + stream.get(QCD))

    base.main += [coc(streams[0]), qcc(streams[0])]
    for part in base.parts:
        source = streams[part.tile]
        if part.index == 1:
            part.body = next(p.body for p in source.parts if (p.tile, p.index) == (part.tile, 1))
        if part.tile == 1 and part.index == 0:
            part.segments += [coc(source), qcc(source), (RGN, source.get(RGN))]
    check(openjpeg, image, base)


def test_tile_cod_over_main_coc(openjpeg, picture):
    """Tile COD counts more than main COC (A.6.1), likewise QCD and QCC."""
    one = segments.parse(ours.encode(picture, tile=(64, 64), mct=0))
    other = segments.parse(ours.encode(picture, tile=(64, 64), mct=0, resolutions=2))
    cod = other.get(COD)
    for component in range(3):
        one.main.append((COC, bytes([component, 0]) + cod[5:]))
        one.main.append((QCC, bytes([component]) + other.get(QCD)))
    for i, part in enumerate(one.parts):
        part.segments = styles(one)
        if part.tile == 2:
            one.parts[i] = next(p for p in other.parts if p.tile == 2)
    check(openjpeg, picture, one)


# ---- order of progression --------------------------------------------------------------------------------------------


def order_of(body: bytes, order, counts) -> list:
    """The packets of an LRCP stream with one precinct a resolution, by (layer, resolution, component)."""
    layers, resolutions, components = counts
    ids = [(y, r, c) for y in range(layers) for r in range(resolutions) for c in range(components)]
    found = dict(zip(ids, segments.packets(body), strict=True))
    return [found[i] for i in order]


def walk(changes, counts):
    """Packets in the order of POC entries (RSpoc, CSpoc, LYEpoc, REpoc, CEpoc, order), each once (A.6.6)."""
    layers, resolutions, components = counts
    loops = {0: "yrc", 1: "ryc", 2: "rcy", 3: "cry", 4: "cry"}  # one precinct: position makes no difference
    out = []
    for r0, c0, y1, r1, c1, order in changes:
        spans = {"y": range(min(y1, layers)), "r": range(r0, min(r1, resolutions)), "c": range(c0, min(c1, components))}
        a, b, c = loops[order]
        for i in spans[a]:
            for j in spans[b]:
                for k in spans[c]:
                    at = {a: i, b: j, c: k}
                    identity = (at["y"], at["r"], at["c"])
                    if identity not in out:
                        out.append(identity)
    return out


CHANGES = [
    [(0, 0, 1, 33, 3, 0), (0, 0, 3, 33, 3, 1)],
    [(0, 0, 3, 2, 3, 1), (0, 0, 2, 4, 2, 4), (0, 0, 3, 4, 3, 0)],
    [(2, 1, 3, 4, 2, 2), (0, 0, 3, 1, 3, 0), (0, 0, 3, 4, 3, 3)],
    [(0, 2, 1, 4, 3, 4), (0, 0, 2, 4, 2, 0), (3, 0, 3, 4, 3, 1), (0, 0, 3, 4, 3, 0), (0, 0, 3, 4, 3, 2)],
]


@pytest.mark.parametrize("place", ["main", "tile", "tile over main", "each part"])
@pytest.mark.parametrize("changes", CHANGES)
def test_progression_changes(openjpeg, changes, place):
    """The packets of a stream put in the order that POC gives, POC being where it may be."""
    counts = (3, 4, 3)
    image = images.make(120, 90, components=3)
    stream = segments.parse(
        ours.encode(image, resolutions=4, ratio=[30, 10, 1], irreversible=False, sop=True, eph=True)
    )
    order = walk(changes, counts)
    assert sorted(order) == sorted(walk([(0, 0, 3, 4, 3, 0)], counts))
    pieces = order_of(stream.parts[0].body, order, counts)
    framed = [struct.pack(">HHH", SOP, 4, i) + h + b for i, (h, b) in enumerate(pieces)]
    entries = [struct.pack(">BBHBBB", *entry) for entry in changes]
    poc = (POC, b"".join(entries))
    wrong = (POC, struct.pack(">BBHBBB", 0, 0, 3, 4, 3, 4))
    part = stream.parts[0]
    part.body = b"".join(framed)
    if place.endswith("main"):
        stream.main.append(wrong if place == "tile over main" else poc)
    if place.startswith("tile"):
        part.segments.append(poc)
    if place == "each part":  # every entry in a part of its own, with the packets that it brings
        stream.parts, done = [], 0
        for i, entry in enumerate(entries):
            size = len(walk(changes[: i + 1], counts))
            body = b"".join(framed[done:size])
            stream.parts.append(TilePart(0, i, len(entries), [(POC, entry)], body))
            done = size
    # OpenJPEG appends a tile's POC to the main header's, where the standard lets it take its place.
    check(openjpeg, image, stream, by_openjpeg=place in ("main", "tile"))


# ---- markers that change nothing -------------------------------------------------------------------------------------


def test_markers_to_pass_over(openjpeg, picture):
    stream = segments.parse(ours.encode(picture, tile=(64, 64), tile_parts="R"))
    stream.main += [
        (CRG, struct.pack(">6H", 1, 2, 3, 65535, 0, 9)),
        (COM, b"\x00\x00" + bytes(range(256))),
        (COM, b"\x00\x01" + b"text"),
        (COM, b"\x00\x01"),
        (PLM, b"\x00\x02\x81\x01"),
        (PLM, b"\x01\x00"),
    ]
    for part in stream.parts:
        part.segments += [(COM, b"\x00\x01tile"), (PLT, segments.plt_payload(0, [1, 2, 3]))]
    check(openjpeg, picture, stream)


@pytest.mark.parametrize("marker", [0xFF30, 0xFF3F, 0xFF01, 0xFF6F, 0xFFEF])
def test_unknown_markers(picture, marker):
    """Segments that are not known are passed over by their length; FF30 to FF3F have none (A.1.2)."""
    stream = segments.parse(ours.encode(picture, tile=(64, 64)))
    stream.main.insert(2, (marker, b"\xff\x90\x00\x0a"))
    stream.parts[1].segments.append((marker, b"\xff\x93"))
    assert_same(picture.planes, ours.decode(stream.build()))


@pytest.mark.parametrize("marker", [SIZ, COD, QCD])
def test_headers_that_lack_something(picture, marker):
    with pytest.raises(ours.ToolError, match="corrupt"):
        ours.decode(segments.parse(ours.encode(picture)).without(marker).build())


@pytest.mark.parametrize("marker", [TLM, SIZ, PPM, PLM, CRG, EPH])
def test_markers_out_of_place(picture, marker):
    """What belongs in the main header only is an error in a tile's."""
    stream = segments.parse(ours.encode(picture))
    stream.parts[0].segments.append((marker, bytes(8)))
    with pytest.raises(ours.ToolError, match="does not belong|corrupt"):
        ours.decode(stream.build())


# ---- extremes --------------------------------------------------------------------------------------------------------


def test_16384_components(tmp_path):
    rng = np.random.default_rng(2)
    samples = rng.integers(0, 256, (16384, 2, 3), np.uint8)
    raw, path, out = tmp_path / "in.raw", tmp_path / "x.j2k", tmp_path / "out.raw"
    raw.write_bytes(samples.tobytes())
    for extra in ([], ["--progression", "CPRL", "--tile-parts", "R"]):
        ours.run(["encode", "--raw", "3,2,16384,8,u", "--mct", "0", *extra, "-o", str(path), str(raw)])
        ours.run(["decode", "-o", str(out), str(path)])
        assert out.read_bytes() == samples.tobytes()
        ours.run(["decode", "--components", "0,300,16383", "-o", str(out), str(path)])
        assert out.read_bytes() == samples[[0, 300, 16383]].tobytes()


EMPTY = [
    dict(width=30, height=20, offset=(1, 1), components=3, subsampling=[(1, 1), (4, 4)]),
    dict(width=5, height=1, offset=(254, 255)),
    dict(width=1, height=40, offset=(7, 3)),
    dict(width=33, height=3, offset=(31, 62), components=2),
]


@pytest.mark.parametrize("image_arguments", EMPTY)
@pytest.mark.parametrize("tile", [None, (4, 4), (3, 50)])
def test_empty_bands_and_precincts(openjpeg, image_arguments, tile):
    """Tile-components, resolutions, subbands and precincts without samples."""
    image = images.make(**image_arguments)
    options = dict(resolutions=6, mct=0, precincts=[(8, 8), (4, 4), (2, 2)], codeblock=(4, 4), tile=tile)
    if tile:
        options["tile_offset"] = image_arguments["offset"]
    data = ours.encode(image, **options)
    assert_same(image.planes, ours.decode(data))
    assert_same(image.planes, openjpeg.decode(data))
