# Enumerations with the members and values of the earlier blosc2_grok package.
# SPDX-License-Identifier: BSD-3-Clause
from enum import IntEnum


class GrkFileFmt(IntEnum):
    """File formats. Blocks are written as GRK_FMT_JP2 or GRK_FMT_J2K (raw codestream)."""

    GRK_FMT_UNK = 0
    GRK_FMT_J2K = 1
    GRK_FMT_JP2 = 2
    GRK_FMT_PXM = 3
    GRK_FMT_PGX = 4
    GRK_FMT_PAM = 5
    GRK_FMT_BMP = 6
    GRK_FMT_TIF = 7
    GRK_FMT_RAW = 8
    GRK_FMT_PNG = 9
    GRK_FMT_RAWL = 10
    GRK_FMT_JPG = 11


class GrkRateControl(IntEnum):
    """Rate control algorithms; accepted, but rate control is always PCRD-opt over all coding passes."""

    BISECT = 0
    PCRD_OPT = 1


class GrkProfile(IntEnum):
    """Profiles that a stream can claim to follow (T.800 table A.10). Broadcast and IMF profiles are combined with a level."""

    GRK_PROFILE_NONE = 0x0000
    GRK_PROFILE_0 = 0x0001
    GRK_PROFILE_1 = 0x0002
    GRK_PROFILE_CINEMA_2K = 0x0003
    GRK_PROFILE_CINEMA_4K = 0x0004
    GRK_PROFILE_CINEMA_S2K = 0x0005
    GRK_PROFILE_CINEMA_S4K = 0x0006
    GRK_PROFILE_CINEMA_LTS = 0x0007
    GRK_PROFILE_BC_SINGLE = 0x0100
    GRK_PROFILE_BC_MULTI = 0x0200
    GRK_PROFILE_BC_MULTI_R = 0x0300
    GRK_PROFILE_BC_MASK = 0x030F
    GRK_PROFILE_IMF_2K = 0x0400
    GRK_PROFILE_IMF_4K = 0x0500
    GRK_PROFILE_IMF_8K = 0x0600
    GRK_PROFILE_IMF_2K_R = 0x0700
    GRK_PROFILE_IMF_4K_R = 0x0800
    GRK_PROFILE_IMF_8K_R = 0x0900
    GRK_PROFILE_MASK = 0x0FFF
    GRK_PROFILE_PART2 = 0x8000
    GRK_PROFILE_PART2_EXTENSIONS_MASK = 0x3FFF


class GrkMode(IntEnum):
    """Code-block styles (T.800 table A.19); combine with ``|``."""

    DEFAULT = 0x000
    LAZY = 0x001
    RESET = 0x002
    TERMALL = 0x004
    VSC = 0x008
    PTERM = 0x010
    SEGSYM = 0x020
    HT = 0x040
    HT_MIXED = 0x080
    HT_PHLD = 0x100
    JPH_RSIZ_FLAG = 0x4000
