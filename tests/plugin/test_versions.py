# One build of the package with several versions of Blosc2, with hdf5plugin's, and with files of the published plugins.
# SPDX-License-Identifier: BSD-3-Clause
import subprocess
import sys
from pathlib import Path

import blosc2
import numpy as np
import pytest
import versions
from store import GROK, J2K, payloads, picture, run_python, store

import blosc2_grok
import rivals

pytestmark = pytest.mark.slow

# Runs in the other environment: writes, reads back, and reads a file that this environment wrote.
EXERCISE = """
import sys
import blosc2
import blosc2_grok
import numpy as np

def store(array, blocks=None, meta=0, path=None, codec=37, layers=None):
    return blosc2.asarray(array, chunks=array.shape, blocks=blocks or array.shape, urlpath=path, mode="w", meta=layers,
        cparams={"codec": codec, "codec_meta": meta, "filters": [], "splitmode": blosc2.SplitMode.NEVER_SPLIT, "nthreads": 2})

folder, theirs = sys.argv[1:3]
rng = np.random.default_rng(0)
smooth = np.add.outer(np.arange(100), np.arange(120)) % 256
for dtype in ("bool", "int8", "uint8", "int16", "uint16", ">u2", "int32"):
    array = (smooth - (100 if dtype.startswith("int") else 0)).clip(np.iinfo(dtype).min if dtype != "bool" else 0, 127).astype(dtype)
    stored = store(array)
    assert (stored[...] == array).all(), dtype
    assert stored.schunk.cratio > 2, dtype
stack = rng.integers(0, 9, (4, 33, 47, 3)).astype(np.uint16)
assert (store(stack, blocks=(2, 33, 47, 3))[...] == stack).all()
noise = rng.integers(0, 256, (64, 64)).astype(np.uint8)
assert (store(noise)[...] == noise).all()
color = np.stack([smooth, smooth[::-1], smooth[:, ::-1]], axis=-1).astype(np.uint8)
lossy = store(color, meta=100)
assert 9 < lossy.schunk.cratio, lossy.schunk.cratio
assert (store(color)[...] == color).all()
by_layer = store(color, layers={"jpeg2000": "quality_mode=rates;quality_layers=20"})
assert by_layer.schunk.cratio > 15, by_layer.schunk.cratio
try:
    store(np.zeros((9, 9), "f8") + np.arange(9))
    raise SystemExit("float64 was not refused")
except RuntimeError:
    assert "<f8" in blosc2_grok.last_error()
blosc2.register_codec("grok", 160)
assert (store(color, codec=160)[...] == color).all()
names = {37: "grok"} if blosc2.__version__.startswith("4.1") else {37: "grok", 39: "j2k"}
for codec in names:
    store(color, codec=codec, path=f"{folder}/{names[codec]}.b2nd")
np.save(f"{folder}/color.npy", color)
assert (blosc2.open(theirs)[...] == np.load(theirs + ".npy")).all()
print(blosc2.__version__, blosc2_grok.__file__, " ".join(names.values()))
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    return versions.copy_package(tmp_path_factory.mktemp("package"))


@pytest.mark.parametrize("name", versions.ENVIRONMENTS)
def test_other_versions_of_blosc2(name, package, tmp_path):
    python = rivals.python(name)
    image = picture()
    theirs = str(tmp_path / "theirs.b2nd")
    store(image, urlpath=theirs, mode="w")
    np.save(theirs + ".npy", image)
    output = run_python(EXERCISE, tmp_path, theirs, python=python, env=versions.environment(package)).split()
    assert output[0] == {"grok": "4.1.2"}.get(name, name.removeprefix("blosc2-"))
    assert Path(output[1]).is_relative_to(package)
    color = np.load(tmp_path / "color.npy")
    for codec in output[2:]:
        assert (blosc2.open(str(tmp_path / f"{codec}.b2nd"))[...] == color).all()


@pytest.mark.parametrize("name", versions.ENVIRONMENTS)
def test_other_versions_without_import(name, package, tmp_path):
    """A process that never imports blosc2_grok: C-Blosc2 asks the python on PATH."""
    image = picture()
    path = str(tmp_path / "a.b2nd")
    store(image, urlpath=path, mode="w")
    np.save(tmp_path / "a.npy", image)
    code = """
import sys, blosc2, numpy as np
a = blosc2.open(sys.argv[1])
assert (a[...] == np.load(sys.argv[2])).all()
b = blosc2.asarray(a[...], chunks=a.shape, blocks=a.shape, cparams={"codec": 37, "filters": [], "splitmode": blosc2.SplitMode.NEVER_SPLIT})
assert (b[...] == a[...]).all() and b.schunk.cratio > 1.2 and "blosc2_grok" not in sys.modules
print("fine")
"""
    output = run_python(code, path, tmp_path / "a.npy", python=rivals.python(name), env=versions.environment(package))
    assert output.strip() == "fine"


# ---- the published plugins ----------------------------------------------------------------------------------------------

WRITE_PUBLISHED = """
import sys
module, codec, folder = sys.argv[1:]
import blosc2, numpy as np
plugin = __import__(module)
rng = np.random.default_rng(0)
y, x = np.mgrid[:90, :120]
gray = ((np.sin(x / 9) * np.cos(y / 11) + 1) * 100 + rng.normal(0, 3, x.shape)).clip(0, 255)
arrays = {
    "gray8": gray.astype(np.uint8), "gray16": (gray * 200).astype(np.uint16), "i16": (gray * 200 - 20000).astype(np.int16),
    "rgb": np.stack([gray, gray[::-1], gray[:, ::-1]], axis=-1).astype(np.uint8),
    "leading": gray.astype(np.uint16)[None, None],
    "rgb16": (np.stack([gray, gray[::-1], gray[:, ::-1]], axis=-1) * 100).astype(np.uint16),
}
for rate in (0, 50):  # in this order: the published plugins stay lossy once they were
    for name, array in arrays.items():
        a = blosc2.asarray(np.ascontiguousarray(array), chunks=array.shape, blocks=array.shape, urlpath=f"{folder}/{name}-{rate}.b2nd", mode="w",
            cparams={"codec": int(codec), "codec_meta": rate, "filters": [], "splitmode": blosc2.SplitMode.NEVER_SPLIT, "nthreads": 1})
        np.save(f"{folder}/{name}-{rate}.npy", a[...])
        if rate == 0:
            assert (a[...] == array).all(), name
print(len(arrays))
"""

READ_PUBLISHED = """
import sys
module, folder = sys.argv[1:]
import glob, blosc2, numpy as np
plugin = __import__(module)
names = sorted(glob.glob(folder + "/*.b2nd"))
for name in names:
    np.save(name + ".npy", blosc2.open(name)[...])
print(len(names))
"""

PUBLISHED = {"grok": ("blosc2_grok", GROK), "j2k": ("blosc2_j2k", J2K)}


@pytest.mark.parametrize("name", PUBLISHED)
def test_files_of_the_published_plugins_decode_here(name, tmp_path):
    module, codec = PUBLISHED[name]
    python = rivals.python(name)
    run_python(WRITE_PUBLISHED, module, codec, tmp_path, python=python, env=versions.environment())
    files = sorted(tmp_path.glob("*.b2nd"))
    assert len(files) == 12
    for path in files:
        ours, theirs = blosc2.open(str(path))[...], np.load(path.with_suffix(".npy"))
        difference = np.abs(ours.astype(np.int64) - theirs)
        if path.stem.endswith("-0"):
            assert difference.max() == 0, path.stem
        else:
            assert difference.max() <= (1 if ours.dtype.itemsize == 1 else 4), path.stem


@pytest.mark.parametrize("name", PUBLISHED)
def test_files_of_ours_decode_with_the_published_plugins(name, tmp_path):
    module, codec = PUBLISHED[name]
    python = rivals.python(name)
    expected = {}
    arrays = {
        "gray8": picture(components=1),
        "gray16": picture(components=1, maximum=60000, dtype=np.uint16),
        "int16": (picture(components=1, maximum=4000).astype(np.int32) - 2000).astype(np.int16),
        "rgb": picture(),
        "rgb16": picture(maximum=4000, dtype=np.uint16),
        "leading": picture(components=1)[None, None],
        "stack": np.stack([picture(components=1, maximum=4000, dtype=np.uint16, seed=n) for n in range(3)]),
        "bool": picture(components=1) > 128,
    }
    for key, array in arrays.items():
        for rate in (0, 80):
            if rate and key == "bool":
                continue
            stored = store(array, codec=codec, codec_meta=rate, urlpath=str(tmp_path / f"{key}-{rate}.b2nd"), mode="w")
            assert len(payloads(stored)) == 1
            expected[f"{key}-{rate}"] = stored[...]
    count = run_python(READ_PUBLISHED, module, tmp_path, python=python, env=versions.environment())
    assert int(count) == len(expected)
    for key, array in expected.items():
        theirs = np.load(tmp_path / f"{key}.b2nd.npy")
        difference = np.abs(theirs.astype(np.int64) - array)
        assert difference.max() <= (0 if key.endswith("-0") else 1 if array.dtype.itemsize == 1 else 4), key


def test_beside_the_published_plugin(package, tmp_path):
    """Where blosc2-j2k is installed, its name stays its own, and both work in one process."""
    code = """
import sys, numpy as np, blosc2
first, second = sys.argv[1:3]
modules = {name: __import__(name) for name in (first, second)}
ours, theirs = modules["blosc2_grok"], modules["blosc2_j2k"]
assert ours.__file__.startswith(sys.argv[3]), ours.__file__
assert not theirs.__file__.startswith(sys.argv[3]), theirs.__file__
image = (np.add.outer(np.arange(100), np.arange(120)) % 256).astype(np.uint8)
libraries = set()
for codec in (37, 39):
    a = blosc2.asarray(image, chunks=image.shape, blocks=image.shape,
                       cparams={"codec": codec, "filters": [], "splitmode": blosc2.SplitMode.NEVER_SPLIT})
    assert (a[...] == image).all()
for line in open("/proc/self/maps"):
    if "libblosc2_" in line:
        libraries.add(line.split()[-1])
assert any(path.startswith(sys.argv[3]) and path.endswith("libblosc2_grok.so") for path in libraries), libraries
assert not any(path.startswith(sys.argv[3]) and "j2k.so" in path and "htj2k" not in path for path in libraries), libraries
print("fine")
"""
    if not Path("/proc/self/maps").exists():
        pytest.skip("needs /proc")
    python = rivals.python("j2k")
    # Behind the site-packages of the environment, as an installation beside it would be.
    env = versions.environment()
    path = versions.site_packages("j2k")
    env["PYTHONPATH"] = f"{path}{__import__('os').pathsep}{package}"
    for order in (("blosc2_grok", "blosc2_j2k"), ("blosc2_j2k", "blosc2_grok")):
        assert run_python(code, *order, package, python=python, env=env).strip() == "fine"


# ---- HDF5 ---------------------------------------------------------------------------------------------------------------

WRITE_HDF5 = """
import sys
import blosc2, blosc2_grok, h5py, hdf5plugin
import numpy as np
path = sys.argv[1]
image = np.load(path + ".npy")
with h5py.File(path, "w") as f:
    options = hdf5plugin.Blosc2(cname="zstd")
    dataset = f.create_dataset("direct", image.shape, image.dtype, chunks=(1, *image.shape[1:]), **options)
    for n in range(image.shape[0]):
        plane = image[n : n + 1]
        array = blosc2.asarray(plane, chunks=plane.shape, blocks=plane.shape,
            cparams={"codec": 37, "filters": [], "splitmode": blosc2.SplitMode.NEVER_SPLIT})
        dataset.id.write_direct_chunk((n, *[0] * (image.ndim - 1)), array.to_cframe())
    values = (0, 0, 0, 0, 5, 0, 37)
    f.create_dataset("filter", data=image, chunks=(1, *image.shape[1:]), compression=32026, compression_opts=values)
    assert f["filter"].id.get_storage_size() < 0.8 * image.nbytes, f["filter"].id.get_storage_size()
    assert f["direct"].id.get_storage_size() < 0.8 * image.nbytes
print("written")
"""

READ_HDF5 = """
import sys
if sys.argv[2] == "import":
    import blosc2_grok
import h5py, hdf5plugin
import numpy as np
with h5py.File(sys.argv[1]) as f:
    for name in ("direct", "filter"):
        assert (f[name][...] == np.load(sys.argv[1] + ".npy")).all(), name
assert ("blosc2_grok" in sys.modules) == (sys.argv[2] == "import")
print("read")
"""


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16])
def test_hdf5plugin(tmp_path, dtype):
    """Written with direct chunks and through the filter, read in a fresh process, with and without importing the package."""
    pytest.importorskip("hdf5plugin")
    path = str(tmp_path / "image.h5")
    np.save(
        path + ".npy",
        np.stack([picture(70, 90, 1, 200 if dtype == np.uint8 else 4000, dtype, seed=n) for n in range(3)]),
    )
    assert run_python(WRITE_HDF5, path).strip() == "written"
    for how in ("import", "search"):
        assert run_python(READ_HDF5, path, how).strip() == "read"


def test_wheel_is_for_every_python():
    """One py3-none wheel a platform: nothing in the package depends on the interpreter's version."""
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        wheel = distribution("blosc2-grok").read_text("WHEEL")
    except PackageNotFoundError:
        pytest.skip("the package is not installed from a wheel")
    if wheel is None:
        pytest.skip("the package is not installed from a wheel")
    assert "Tag: py3-none-" in wheel
    ldd = subprocess.run(["ldd", blosc2_grok.get_libpath()], capture_output=True, text=True)
    assert sys.platform != "linux" or "python" not in ldd.stdout
