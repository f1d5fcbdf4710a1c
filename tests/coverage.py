# Line coverage of the decode path, from clang's profiles: one row a file, and the lines that nothing reached.
# SPDX-License-Identifier: BSD-3-Clause
"""usage: coverage.py [--missing] PROFILES_FOLDER PROGRAM...

Merges the .profraw files of a folder and prints, for every file that a decode goes through, how many of its lines were
executed. What is in these files for the encoder counts too.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

DECODE_PATH = """arena bitio block blocks codestream colour decode dwt ebcot ebcot_dec error ht_dec ht_tables image index
jp2 markers_read mq packet_read parallel progression quant quant_wide rendering tagtree tile transform api""".split()


def llvm(name: str) -> str:
    """The tool that fits clang: with its version in the name where there is no plain one."""
    for candidate in (name, *(f"{name}-{version}" for version in range(25, 10, -1))):
        if shutil.which(candidate):
            return candidate
    sys.exit(f"coverage: {name} is not installed")


def counted(path: str) -> bool:
    source = Path(path)
    name = source.stem.split("_avx")[0].removesuffix("_lanes")
    headers = ("ebcot_dec", "ht_dec", "mq_dec", "dwt_body", "bitio", "geometry", "budget")
    if source.suffix == ".h":
        return source.stem.startswith(headers)
    return "src" in source.parts and (name in DECODE_PATH or name.startswith(("ebcot_dec", "ht_dec")))


def main() -> int:
    arguments = sys.argv[1:]
    missing = "--missing" in arguments
    folder, *programs = [a for a in arguments if a != "--missing"]
    profile = Path(folder) / "all.profdata"
    raw = sorted(str(p) for p in Path(folder).glob("*.profraw"))
    if not raw:
        sys.exit("coverage: no profiles")
    subprocess.run([llvm("llvm-profdata"), "merge", "-sparse", "-o", str(profile), *raw], check=True)
    objects = [programs[0]] + [word for p in programs[1:] for word in ("-object", p)]
    command = [llvm("llvm-cov"), "export", f"-instr-profile={profile}", *objects]
    exported = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    root = Path(__file__).resolve().parents[1]
    total = covered = 0
    for file in sorted(exported["data"][0]["files"], key=lambda f: f["filename"]):
        if not counted(file["filename"]):
            continue
        lines = file["summary"]["lines"]
        total += lines["count"]
        covered += lines["covered"]
        name = Path(file["filename"]).resolve().relative_to(root)
        print(f"{str(name):36} {lines['covered']:5} of {lines['count']:5} lines  {lines['percent']:6.2f} %")
        if missing:
            # A segment is [line, column, count, has_count, is_entry, is_gap]; a region goes on to the next segment.
            gaps = set()
            segments = file["segments"]
            for this, after in zip(segments, segments[1:], strict=False):
                if this[3] and not this[5] and this[2] == 0:
                    gaps.update(range(this[0], after[0] + 1))
            source = Path(file["filename"]).read_text().splitlines()
            for line in sorted(gaps):
                print(f"    {line:5}  {source[line - 1]}")
    print(f"{'decode path':36} {covered:5} of {total:5} lines  {100 * covered / total:6.2f} %")
    return 0


if __name__ == "__main__":
    sys.exit(main())
