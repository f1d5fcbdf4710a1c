# python -m blosc2_grok
# SPDX-License-Identifier: BSD-3-Clause
import sys

from .cli import entry

if __name__ == "__main__":
    sys.exit(entry())
