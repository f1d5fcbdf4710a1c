#!/usr/bin/env python3
# Makes src/ht_tables.c from the CxtVLC codewords of ITU-T T.814 Annex C, given as CSV files (see below).
# SPDX-License-Identifier: BSD-3-Clause
"""usage: make_ht_tables.py [TABLES] > src/ht_tables.c

TABLES (default: $J2K_SHARED/tables, or ../shared/tables beside the repository) holds ht_cxtvlc_initial_row.csv and
ht_cxtvlc_other_row.csv with the columns context, significance_rho, u_off, e_k, e_1, codeword_hex, codeword_bits; the
first bit of a codeword is its least significant one.
"""

import csv
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("J2K_SHARED", ROOT.parent / "shared"))
FILES = ("ht_cxtvlc_initial_row.csv", "ht_cxtvlc_other_row.csv")


def read_rows(path):
    with open(path, newline="", encoding="utf-8") as stream:
        for row in csv.reader(stream):
            if row[0] != "context":
                yield [int(text, 16 if text.startswith("0x") else 10) for text in row]


def decode_table(rows, initial):
    """Entry of each context and next 7 bits; the layout is in ht.h."""
    table = [0] * 1024
    for context, rho, u_off, known, ones, codeword, length in rows:
        bits = [rho >> i & 1 for i in range(4)]
        # What the quad adds to the context of its right neighbour (7.3.5).
        right = (bits[0] | bits[1]) | bits[2] << 1 | bits[3] << 2 if initial else (bits[2] | bits[3]) << 1
        entry = rho << 8 | known << 12 | ones << 16 | (sum(bits) > 1) << 20 | u_off << 21 | right << 24 | length << 28
        for rest in range(1 << (7 - length)):
            table[context << 7 | rest << length | codeword] = entry
    return table


def encode_entry(rows, context, rho, largest):
    """The codeword for a quad whose samples in `largest` have the exponent that is the bound (0: no offset)."""
    if largest & ~rho or (rho == 0 and context == 0):
        return 0
    best = None
    for row in rows:
        _, _, u_off, known, ones, _, _ = row
        if row[:2] != [context, rho] or bool(u_off) != bool(largest):
            continue
        # The pattern must be true; among those that are, the one that says most saves most MagSgn bits.
        if largest & known == ones and (best is None or known.bit_count() >= best[3].bit_count()):
            best = row
    known, codeword, length = best[3], best[5], best[6]
    return known & 3 | codeword << 2 | (known >> 2) << 16 | length << 18


def prefix_and_suffix(u):
    """U-VLC (table 3 of T.814): prefix, its length, suffix, its length."""
    if u <= 2:
        return ((0, 0), (1, 1), (2, 2))[u] + (0, 0)
    return (4, 3, u - 3, 1) if u <= 4 else (0, 3, u - 5, 5)


def pair_entry(u0, u1, initial):
    """The bits of a pair of quads; those of the first quad-row share the MEL event and the short form (7.3.6)."""
    if initial and u0 > 2 and u1 > 2:
        parts = prefix_and_suffix(u0 - 2) + prefix_and_suffix(u1 - 2)
    elif initial and u0 > 2 and u1 > 0:
        parts = (*prefix_and_suffix(u0), u1 - 1, 1, 0, 0)
    else:
        parts = prefix_and_suffix(u0) + prefix_and_suffix(u1)
    value = length = 0
    for part in (0, 4, 2, 6):
        value |= parts[part] << length
        length += parts[part + 1]
    return value | length << 32


def emit(declaration, tables, digits, per_line, suffix):
    print(f"\nconst {declaration} = {{")
    for table in tables:
        print("    {")
        for i in range(0, len(table), per_line):
            print("     " + "".join(f" 0x{x:0{digits}X}{suffix}," for x in table[i : i + per_line]))
        print("    },")
    print("};")


def main():
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else SHARED / "tables"
    rows = [list(read_rows(folder / name)) for name in FILES]
    print("/* CxtVLC and U-VLC codewords of T.814, arranged for coding; made by tools/make_ht_tables.py.")
    print(" * SPDX-License-Identifier: BSD-3-Clause */")
    print('#include "ht.h"\n\n/* clang-format off */')
    decode = [decode_table(r, i == 0) for i, r in enumerate(rows)]
    encode = [[encode_entry(r, i >> 8, i >> 4 & 15, i & 15) for i in range(2048)] for r in rows]
    pairs = [[pair_entry(i & 15, i >> 4, initial) for i in range(256)] for initial in (True, False)]
    emit("uint32_t j2k_ht_decode_cxtvlc[2][1024]", decode, 8, 8, "u")
    emit("uint32_t j2k_ht_encode_cxtvlc[2][2048]", encode, 6, 10, "u")
    emit("uint64_t j2k_ht_encode_uvlc[2][256]", pairs, 10, 7, "u")


if __name__ == "__main__":
    main()
