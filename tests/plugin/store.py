# Arrays into Blosc2 with the codecs of blosc2_grok, and what lies in their chunks.
# SPDX-License-Identifier: BSD-3-Clause
import os
import subprocess
import sys

import blosc2
import numpy as np

GROK, J2K, HTJ2K, OPENHTJ2K, USER = 37, 39, 40, 36, 160
SIGNATURE = bytes.fromhex("0000000c6a5020200d0a870a")  # of a JP2 file


def cparams(codec=GROK, codec_meta=0, nthreads=2, **others):
    return {
        "codec": codec,
        "codec_meta": codec_meta,
        "filters": [],
        "splitmode": blosc2.SplitMode.NEVER_SPLIT,
        "nthreads": nthreads,
        **others,
    }


def store(array, codec=GROK, codec_meta=0, chunks=None, blocks=None, nthreads=2, others=None, **named):
    """One chunk and one block unless told otherwise. others: more cparams."""
    chunks = chunks or array.shape
    return blosc2.asarray(
        array,
        chunks=chunks,
        blocks=blocks or chunks,
        cparams=cparams(codec, codec_meta, nthreads, **(others or {})),
        dparams={"nthreads": nthreads},
        **named,
    )


def payloads(array):
    """The coded blocks that are JP2 files, cut out of the array's frame."""
    frame = array.to_cframe()
    files = []
    start = frame.find(SIGNATURE)
    while start >= 0:
        end = start
        while frame[end + 4 : end + 8] in (b"jP  ", b"ftyp", b"jp2h", b"jp2c", b"uuid"):
            end += int.from_bytes(frame[end : end + 4], "big")
        files.append(frame[start:end])
        start = frame.find(SIGNATURE, end)
    return files


def is_raw(array):
    """Whether no block of the array is coded."""
    return not payloads(array)


def psnr(a, b, peak):
    error = np.mean((np.asarray(a, np.float64) - b) ** 2)
    return np.inf if error == 0 else 10 * np.log10(peak**2 / error)


def picture(height=96, width=128, components=3, maximum=255, dtype=np.uint8, seed=0):
    y, x = np.mgrid[:height, :width]
    rng = np.random.default_rng(seed)
    planes = [
        np.sin(x / (9 + 3 * c)) * np.cos(y / (11 - c % 8)) + (x > width / 2) + rng.normal(0, 0.03, (height, width))
        for c in range(components)
    ]
    image = np.stack(planes, axis=-1)
    image = ((image - image.min()) / np.ptp(image) * maximum).round().astype(dtype)
    return image if components > 1 else image[:, :, 0].copy()


def run_python(code, *arguments, python=sys.executable, env=None, timeout=300):
    """Run code in a fresh interpreter, which is also the first one on PATH; its output, or an AssertionError with what it said."""
    env = dict(os.environ if env is None else env)
    env["PATH"] = os.path.dirname(str(python)) + os.pathsep + env.get("PATH", "")
    result = subprocess.run(
        [str(python), "-c", code, *map(str, arguments)], capture_output=True, text=True, env=env, timeout=timeout
    )
    assert result.returncode == 0, f"exit status {result.returncode}\n{result.stdout[-2000:]}\n{result.stderr[-4000:]}"
    return result.stdout
