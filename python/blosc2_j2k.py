# Lets C-Blosc2 find blosc2_grok's codec under the name "j2k". A package blosc2_j2k that is installed takes precedence.
# SPDX-License-Identifier: BSD-3-Clause
from blosc2_grok import *  # noqa: F403
from blosc2_grok import __version__ as __version__
from blosc2_grok._lib import library_path


def get_libpath() -> str:
    return library_path("j2k")


def print_libpath() -> None:
    print(get_libpath(), end="")
