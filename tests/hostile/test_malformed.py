# Time and memory that malformed files take: each in a process of its own.
# SPDX-License-Identifier: BSD-3-Clause
import json
import os
import subprocess
import sys

import pytest

import ours
import run

DATA = run.find_data()
SECONDS, MEBIBYTES = 1, 256
EXTRA = 10 if os.environ.get("J2K_SANITIZED") else 1

# A child's peak memory begins with that of the process that started it: this small one.
MEASURE = """
import json, os, subprocess, sys
for file in sys.argv[2:]:
    child = subprocess.Popen([*json.loads(sys.argv[1]), file], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = status
    print(json.dumps([file, status, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024]), flush=True)
"""


@pytest.mark.skipif(not DATA, reason="no test data: set J2K_SHARED, or put it in ../shared")
@pytest.mark.parametrize("mode", ["strict", "tolerant"])
def test_malformed_files_cost_little(tmp_path, mode):
    files = sorted(run.manifest(DATA / "robustness" / "manifest.csv"))
    command = [ours.tool(), "decode", *["--tolerant"][mode == "strict" :], "-o", str(tmp_path / "out.pgx")]
    arguments = [str(DATA / "robustness" / file) for file in files]
    done = subprocess.run(
        [sys.executable, "-S", "-c", MEASURE, json.dumps(command), *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rows) == len(files) > 50
    for file, status, seconds, mebibytes in rows:
        assert os.WIFEXITED(status) and os.WEXITSTATUS(status) in (0, 1), (file, status)
        assert seconds < SECONDS * EXTRA, (file, seconds)  # of the processor: the machine may be busy
        assert mebibytes < MEBIBYTES * EXTRA, (file, mebibytes)
    assert any(mebibytes > 12 for *_, mebibytes in rows)
    assert sum(os.WEXITSTATUS(status) == 0 for _, status, *_ in rows) in range(10, len(rows) - 20)
