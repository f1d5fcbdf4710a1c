# The irreversible path of T.800 annexes E and F in double precision, for streams of one tile and one component.
# SPDX-License-Identifier: BSD-3-Clause
"""What a decoder of a 9/7 stream should give, computed without any decoder's inverse quantiser and wavelet.

The coded integers are had from a decoder's *reversible* path, which has no rounding: the header is rewritten to say 5/3, 31
bits and one bit-plane more than there is, so that the decoder returns the 5/3 synthesis of the integers; the 5/3 analysis,
which undoes it exactly, gives them back. The additional bit-plane shows the half a step that reconstruction adds (equation
E-6 with r = 1/2)."""

from __future__ import annotations

import numpy as np

from segments import COD, QCD, SIZ, Stream, parse

ALPHA, BETA, GAMMA, DELTA = -1.586134342059924, -0.052980118572961, 0.882911075530934, 0.443506852043971  # table F.4
K = 1.230174104914001


def rewritten(data: bytes) -> tuple[bytes, int, int, list[tuple[int, int]]]:
    """The stream as a reversible one; its depth, levels, and (exponent, mantissa) of the subbands."""
    stream = parse(data)
    siz, cod, qcd = (bytearray(stream.get(m)) for m in (SIZ, COD, QCD))
    depth, levels, guard = siz[36] + 1, cod[5], qcd[0] >> 5
    assert siz[34:36] == b"\x00\x01" and depth <= 38 and cod[9] == 0 and qcd[0] & 31 == 2
    fields = [qcd[i] << 8 | qcd[i + 1] for i in range(1, len(qcd), 2)][: 3 * levels + 1]
    steps = [(field >> 11, field & 0x7FF) for field in fields]
    siz[36] = 0x80 | 30
    cod[4], cod[9] = 0, 1
    plain = bytes([guard << 5]) + bytes((exponent + 1) << 3 for exponent, _ in steps)
    main = [(m, {SIZ: bytes(siz), COD: bytes(cod), QCD: plain}.get(m, payload)) for m, payload in stream.main]
    return Stream(main, stream.parts).build(), depth, levels, steps


def _lift(x: np.ndarray, first: int, change) -> None:
    """x[n] += change(x[n - 1] + x[n + 1]) for n = first, first + 2, ... along axis 0, mirrored at both ends (F.3.7)."""
    n = np.arange(first, len(x), 2)
    last = len(x) - 1
    before, after = np.abs(n - 1), last - np.abs(last - (n + 1))
    x[n] += change(x[before] + x[after])


def analyse_5_3(x: np.ndarray) -> np.ndarray:
    """One level along axis 0, interleaved (F.4.8.1)."""
    x = x.copy()
    if len(x) > 1:
        _lift(x, 1, lambda s: -(s >> 1))
        _lift(x, 0, lambda s: (s + 2) >> 2)
    return x


def synthesise_9_7(x: np.ndarray, high: float = 1 / K) -> np.ndarray:
    """One level along axis 0, from interleaved (F.3.8.2); high is the factor of the high-pass samples."""
    x = x.copy()
    if len(x) > 1:
        x[0::2] *= K
        x[1::2] *= high
        for first, factor in ((0, DELTA), (1, GAMMA), (0, BETA), (1, ALPHA)):
            _lift(x, first, lambda s, factor=factor: -factor * s)
    return x


def integers(image: np.ndarray, levels: int) -> list[np.ndarray]:
    """The subbands LL, HL, LH, HH ... (lowest first) of a 5/3 synthesis."""
    bands: list[np.ndarray] = []
    low = image.astype(np.int64)
    for _ in range(levels):
        low = analyse_5_3(analyse_5_3(low).T).T  # vertical, then horizontal (F.4.2)
        bands = [low[0::2, 1::2], low[1::2, 0::2], low[1::2, 1::2], *bands]
        low = low[0::2, 0::2]
    return [low, *bands]


def reconstruct(bands: list[np.ndarray], steps, depth: int, high: float = 1 / K) -> np.ndarray:
    """Unsigned samples, not rounded, of integers with half a step as their unit."""
    values = []
    for index, (band, (exponent, mantissa)) in enumerate(zip(bands, steps, strict=True)):
        gain = 0 if index == 0 else 2 if index % 3 == 0 else 1
        step = 2.0 ** (depth + gain - exponent) * (1 + mantissa / 2048)  # equation E-3
        values.append(band * (step / 2))
    low = values[0]
    for level in range(1, len(values), 3):
        hl, lh, hh = values[level : level + 3]
        both = np.empty((low.shape[0] + lh.shape[0], low.shape[1] + hl.shape[1]))
        both[0::2, 0::2], both[0::2, 1::2], both[1::2, 0::2], both[1::2, 1::2] = low, hl, lh, hh
        low = synthesise_9_7(synthesise_9_7(both.T, high).T, high)
    return low + 2.0 ** (depth - 1)


def rounded(samples: np.ndarray, depth: int) -> np.ndarray:
    return np.clip(np.rint(samples), 0, 2**depth - 1).astype(np.int64)
