# Writes the table of parameters, which the library has, into a Markdown file, or checks that it is up to date.
# SPDX-License-Identifier: BSD-3-Clause
"""usage: python tools/parameter_table.py [--write FILE | --check FILE]"""

import re
import sys
from pathlib import Path

import blosc2_grok

BEGIN, END = "<!-- parameters: begin", "<!-- parameters: end -->"


def table() -> str:
    rows = ["| name | type | default | allowed | meaning | Grok, OpenJPEG |", "|---|---|---|---|---|---|"]
    for row in blosc2_grok.parameter_table():
        cells = [f"`{row['name']}`", row["type"], f"`{row['default_value']}`" if row["default_value"] else ""]
        cells += [row["allowed"], row["meaning"], f"`{row['peers']}`" if row["peers"] else ""]
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows) + "\n"


def inserted(text: str) -> str:
    """The file's text with the table between its markers."""
    pattern = re.compile(f"({re.escape(BEGIN)}[^\n]*\n).*?({re.escape(END)})", re.DOTALL)
    if not pattern.search(text):
        raise SystemExit(f"no line with {BEGIN}")
    return pattern.sub(lambda m: m[1] + table() + m[2], text)


def main() -> int:
    if len(sys.argv) == 1:
        print(table(), end="")
        return 0
    option, path = sys.argv[1], Path(sys.argv[2])
    before = path.read_text(encoding="utf-8")
    after = inserted(before)
    if option == "--write":
        path.write_text(after, encoding="utf-8")
        return 0
    if before != after:
        print(f"{path} is not up to date: run python tools/parameter_table.py --write {path}", file=sys.stderr)
    return int(before != after)


if __name__ == "__main__":
    sys.exit(main())
