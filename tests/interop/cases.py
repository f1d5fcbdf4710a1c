# The grid of images and coding parameters that every pairing of encoder and decoder goes through.
# SPDX-License-Identifier: BSD-3-Clause
"""Each case is (name, image arguments, coding options). The names are pytest ids; the same options drive our encoder
and the peers' encoders. Options that make the stream lossy are `ratio`, `psnr` and `irreversible`."""

from __future__ import annotations

import random

PROGRESSIONS = ["LRCP", "RLCP", "RPCL", "PCRL", "CPRL"]
Case = tuple[str, dict, dict]

BYPASS, RESET, TERMALL, CAUSAL, PTERM, SEGMENTATION = 1, 2, 4, 8, 16, 32


def lossless(options: dict) -> bool:
    return not (options.get("irreversible") or options.get("ratio") or options.get("psnr"))


def _both_wavelets(name: str, image: dict, options: dict) -> list[Case]:
    return [
        (f"{name}-5/3", image, {**options, "irreversible": False}),
        (f"{name}-9/7", image, {**options, "irreversible": True}),
    ]


def styles() -> list[Case]:
    out = []
    for style in range(64):
        block = (64, 64) if style % 2 else (16, 16)
        image = dict(width=83, height=71, depth=12 if style % 3 == 0 else 8)
        out += _both_wavelets(f"style{style:02d}", image, dict(style=style, codeblock=block, resolutions=3))
    return out


def layered_styles() -> list[Case]:
    """Layers cut codeword segments: termination and bypass meet the packet headers."""
    out = []
    for style in (0, 1, 2, 4, 5, 9, 17, 20, 21, 36, 37, 61, 63):
        options = dict(style=style, ratio=[40, 15, 6, 2], resolutions=4, codeblock=(32, 32))
        out.append(
            (f"layers-style{style:02d}", dict(width=131, height=97, depth=10), {**options, "irreversible": True})
        )
    return out


def sizes() -> list[Case]:
    out = []
    pairs = "1x1 1x2 2x1 2x2 1x5 5x1 3x3 4x7 7x4 1x64 64x1 1x300 300x1 8x8 9x17 16x16 17x15 31x33 63x65 64x64 65x64"
    for text in [*pairs.split(), "128x3", "2x129", "200x150"]:
        w, h = map(int, text.split("x"))
        out += _both_wavelets(f"size{w}x{h}", dict(width=w, height=h), dict(resolutions=_levels(w, h) + 1))
    return out


def _levels(width: int, height: int, most: int = 5) -> int:
    """Decomposition levels that every encoder accepts for the size."""
    levels = 0
    while levels < most and min(width, height) >> (levels + 1) >= 1:
        levels += 1
    return levels


def depths() -> list[Case]:
    out = []
    for depth in range(1, 17):
        for signed in (False, True):
            name = f"depth{depth:02d}{'s' if signed else 'u'}"
            out += _both_wavelets(name, dict(width=61, height=47, depth=depth, signed=signed), dict(resolutions=4))
    return out


def deep() -> list[Case]:
    """More than 16 bits, reversible only."""
    out = []
    for depth in (17, 20, 24):
        for signed in (False, True):
            name = f"depth{depth}{'s' if signed else 'u'}-5/3"
            out.append((name, dict(width=61, height=47, depth=depth, signed=signed), dict(resolutions=4)))
    return out


def components() -> list[Case]:
    out = []
    for n in (1, 2, 3, 4, 5, 16):
        for mct in (0, 1):
            if mct and n < 3:
                continue
            image = dict(width=57, height=45, components=n)
            out += _both_wavelets(f"comps{n}-mct{mct}", image, dict(mct=mct, resolutions=4))
    for depth in (1, 5, 12, 16):
        image = dict(width=57, height=45, components=3, depth=depth)
        out += _both_wavelets(f"rgb{depth}bit", image, dict(mct=1, resolutions=4))
    image = dict(width=57, height=45, components=3, depth=12, signed=True)
    out += _both_wavelets("rgb12bit-signed", image, dict(mct=1, resolutions=4))
    image = dict(width=57, height=45, components=4, depth=[8, 12, 1, 16], signed=[False, True, False, True])
    out += _both_wavelets("mixed-depths", image, dict(mct=0, resolutions=4))
    return out


def subsampled() -> list[Case]:
    out = []
    sets = {
        "420": [(1, 1), (2, 2), (2, 2)],
        "422": [(1, 1), (2, 1), (2, 1)],
        "411": [(1, 1), (4, 1), (4, 1)],
        "odd": [(1, 1), (3, 2), (1, 5)],
        "all2": [(2, 2), (2, 2), (2, 2)],
        "first": [(2, 1), (1, 1), (1, 2)],
    }
    for name, sub in sets.items():
        for offset in ((0, 0), (5, 3)):
            image = dict(width=90, height=74, components=3, subsampling=sub, offset=offset)
            where = "-offset" if offset != (0, 0) else ""
            out += _both_wavelets(f"sub{name}{where}", image, dict(mct=0, resolutions=3))
            for progression in PROGRESSIONS:
                options = dict(
                    mct=0, resolutions=3, progression=progression, precincts=[(32, 16), (16, 16)], tile=(50, 41)
                )
                out.append((f"sub{name}{where}-{progression}-tiles", image, options))
    return out


def geometry() -> list[Case]:
    """Image offset, tile offset, tile size."""
    out = []
    for i, (offset, tile, tile_offset) in enumerate(
        [
            ((0, 0), (32, 32), (0, 0)),
            ((0, 0), (40, 24), (0, 0)),
            ((1, 1), None, None),
            ((7, 13), None, None),
            ((64, 33), None, None),
            ((7, 13), (30, 30), (0, 0)),
            ((7, 13), (30, 30), (7, 13)),
            ((7, 13), (37, 29), (3, 5)),
            ((100, 50), (64, 64), (97, 49)),
            ((31, 1), (33, 17), (0, 0)),
            ((0, 0), (1, 40), (0, 0)),
            ((0, 0), (60, 1), (0, 0)),
            ((0, 0), (7, 5), (0, 0)),
            ((3, 2), (200, 200), (1, 1)),
        ]
    ):
        options = dict(resolutions=1 if tile and min(tile) < 4 else 3)
        if tile:
            options |= dict(tile=tile, tile_offset=tile_offset)
        image = dict(width=75, height=62, offset=offset, components=3 if i % 2 else 1)
        out += _both_wavelets(f"geometry{i:02d}", image, options)
    return out


def codeblocks() -> list[Case]:
    out = []
    for ex in range(2, 11):
        for ey in range(2, 11):
            if ex + ey <= 12 and (ex in (2, 6, 10) or ey in (2, 6, 10) or ex == ey):
                options = dict(codeblock=(1 << ex, 1 << ey), resolutions=3)
                out.append((f"block{1 << ex}x{1 << ey}", dict(width=150, height=130), options))
    return out


def precincts() -> list[Case]:
    out = []
    for i, sizes_ in enumerate(
        [
            [(128, 128)],
            [(64, 64), (32, 32)],
            [(32, 32)],
            [(16, 64), (64, 16), (8, 8)],
            [(256, 32), (128, 64), (64, 128)],
            [(8, 8), (8, 8), (8, 8), (8, 8)],
            [(32768, 16), (16, 32768)],
        ]
    ):
        for progression in PROGRESSIONS:
            options = dict(
                precincts=sizes_, progression=progression, resolutions=4, ratio=[20, 5, 1], irreversible=False
            )
            image = dict(width=140, height=111, components=3 if i % 2 else 1, offset=(0, 0) if i % 3 else (9, 6))
            out.append((f"precincts{i}-{progression}", image, options))
    return out


def progressions() -> list[Case]:
    out = []
    for p in PROGRESSIONS:
        image = dict(width=120, height=101, components=3)
        out += _both_wavelets(f"{p}", image, dict(progression=p))
        options = dict(progression=p, tile=(64, 48), ratio=[30, 10, 3], precincts=[(32, 32)], resolutions=4)
        out.append((f"{p}-tiles-layers-precincts", image, {**options, "irreversible": True}))
        out.append((f"{p}-markers", image, {**options, "irreversible": True, "sop": True, "eph": True}))
        for parts in "RLC":
            out.append((f"{p}-parts{parts}", image, {**options, "irreversible": True, "tile_parts": parts}))
    return out


def layers() -> list[Case]:
    out = []
    image = dict(width=160, height=120, components=3)
    out.append(("ratio1", image, dict(ratio=[8], irreversible=True)))
    out.append(("ratio-5/3", image, dict(ratio=[8], irreversible=False)))
    out.append(("ratios4", image, dict(ratio=[64, 32, 16, 8], irreversible=True)))
    out.append(("ratios-to-lossless", image, dict(ratio=[50, 25, 12, 6, 1], irreversible=False)))
    out.append(("ratios20", image, dict(ratio=[100 - 4.5 * i for i in range(20)], irreversible=True)))
    out.append(("psnr1", image, dict(psnr=[35], irreversible=True)))
    out.append(("psnr3", image, dict(psnr=[25, 32, 40], irreversible=True)))
    out.append(("psnr-5/3", image, dict(psnr=[30, 38], irreversible=False)))
    out.append(("ratio-16bit", dict(width=160, height=120, depth=16), dict(ratio=[10], irreversible=True)))
    out.append(("ratio-signed", dict(width=160, height=120, depth=11, signed=True), dict(ratio=[7], irreversible=True)))
    return out


def markers() -> list[Case]:
    out = []
    image = dict(width=100, height=80, components=3)
    for names in (["sop"], ["eph"], ["sop", "eph"], ["plt"], ["tlm"], ["plt", "tlm", "sop", "eph"]):
        options = dict.fromkeys(names, True) | dict(tile=(64, 64), resolutions=4)
        out.append(("-".join(names), image, options))
    return out


def roi() -> list[Case]:
    out = []
    for shift in (1, 4, 9, 12):
        for component in (0, 2):
            image = dict(width=80, height=60, components=3)
            name = f"roi{component}-{shift}"
            out += _both_wavelets(name, image, dict(roi=(component, shift), mct=0, resolutions=4))
    return out


def quantisation() -> list[Case]:
    out = []
    image = dict(width=90, height=70)
    for bits in range(1, 8):
        out += _both_wavelets(f"guard{bits}", image, dict(guard_bits=bits, resolutions=4))
    return out


def resolutions() -> list[Case]:
    out = []
    for n in (1, 2, 3, 5, 7, 8):
        out += _both_wavelets(f"resolutions{n}", dict(width=260, height=193), dict(resolutions=n))
    return out


def mixtures(count: int = 120) -> list[Case]:
    """Everything at once, drawn with a fixed seed."""
    rng = random.Random(20000)
    out = []
    for i in range(count):
        n = rng.choice([1, 1, 2, 3, 3, 4])
        w, h = rng.randint(1, 150), rng.randint(1, 150)
        offset = (rng.choice([0, rng.randint(0, 80)]), rng.choice([0, rng.randint(0, 80)]))
        image = dict(width=w, height=h, components=n, offset=offset, seed=i)
        image |= dict(depth=rng.choice([1, 4, 8, 8, 8, 10, 12, 16]), signed=rng.random() < 0.3)
        if rng.random() < 0.25 and n > 1:
            factors = [(1, 1)] + [(rng.randint(1, 3), rng.randint(1, 3)) for _ in range(n - 1)]
            if min(w, h) >= 3:  # no empty component
                image["subsampling"] = factors
        options: dict = dict(irreversible=rng.random() < 0.4, progression=rng.choice(PROGRESSIONS))
        smallest = min(w, h)
        if rng.random() < 0.5:
            tile = (rng.randint(16, 160), rng.randint(16, 160))
            options["tile"] = tile
            origin = (rng.randint(0, min(offset[0], tile[0] - 1)), rng.randint(0, min(offset[1], tile[1] - 1)))
            options["tile_offset"] = (max(origin[0], offset[0] - tile[0] + 1), max(origin[1], offset[1] - tile[1] + 1))
            smallest = min(smallest, *tile)
        options["resolutions"] = rng.randint(1, _levels(smallest, smallest) + 1)
        ex = rng.randint(2, 8)
        options["codeblock"] = (1 << ex, 1 << rng.randint(2, min(8, 12 - ex)))
        if rng.random() < 0.5:
            options["style"] = rng.randrange(64)
        if rng.random() < 0.5:
            options["precincts"] = [(1 << rng.randint(4, 8), 1 << rng.randint(4, 8)) for _ in range(rng.randint(1, 3))]
        if rng.random() < 0.4:
            options["ratio"] = sorted((rng.uniform(2, 40) for _ in range(rng.randint(1, 4))), reverse=True)
        for marker in ("sop", "eph", "plt"):
            if rng.random() < 0.3:
                options[marker] = True
        if rng.random() < 0.2:
            options["tile_parts"] = rng.choice("RLC")
        if n >= 3:
            options["mct"] = 0 if "subsampling" in image else rng.choice([0, 1])
        out.append((f"mixture{i:03d}", image, options))
    return out


GROUPS = {
    f.__name__: f
    for f in (
        styles,
        layered_styles,
        sizes,
        depths,
        deep,
        components,
        subsampled,
        geometry,
        codeblocks,
        precincts,
        progressions,
        layers,
        markers,
        roi,
        quantisation,
        resolutions,
        mixtures,
    )
}


def all_cases() -> list[Case]:
    return [(f"{group}:{name}", image, options) for group, f in GROUPS.items() for name, image, options in f()]
