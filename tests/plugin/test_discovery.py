# How C-Blosc2 finds the codecs: from Python with and without import, by every name, from C programs, after a fork.
# SPDX-License-Identifier: BSD-3-Clause
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import blosc2
import numpy as np
import pytest
import versions
from store import GROK, HTJ2K, J2K, OPENHTJ2K, USER, payloads, picture, run_python, store

import blosc2_grok

PROGRAMS = Path(__file__).parent / "programs"
IMAGE = picture()

WITHOUT_IMPORT = """
import sys, blosc2, numpy as np
codec = int(sys.argv[2])
if codec >= 160:
    blosc2.register_codec("grok", codec)
image = np.load(sys.argv[1] + ".npy")
assert (blosc2.open(sys.argv[1])[...] == image).all()
if codec in (37, 39, 160):
    a = blosc2.asarray(image, chunks=image.shape, blocks=image.shape,
                       cparams={"codec": codec, "filters": [], "splitmode": blosc2.SplitMode.NEVER_SPLIT})
    assert (a[...] == image).all() and a.schunk.cratio > 1.3
assert "blosc2_grok" not in sys.modules
print("fine")
"""


@pytest.fixture
def stored(tmp_path):
    path = tmp_path / "a.b2nd"
    np.save(str(path) + ".npy", IMAGE)
    return path


@pytest.mark.parametrize("codec", [GROK, J2K, USER])
def test_without_import(stored, codec):
    """C-Blosc2 runs the python on PATH, which has the package, and asks it for the library."""
    if codec == USER:
        blosc2.register_codec("grok", USER)
    store(IMAGE, codec=codec, urlpath=str(stored), mode="w")
    assert run_python(WITHOUT_IMPORT, stored, codec).strip() == "fine"


@pytest.mark.parametrize("codec", [GROK, J2K])
@pytest.mark.skipif(os.name != "posix", reason="PATH and a shared object by its SONAME")
def test_with_import_no_search_is_needed(stored, codec, tmp_path):
    """Once the package is imported, nothing is run to find the library: there is no python on this PATH."""
    store(IMAGE, codec=codec, urlpath=str(stored), mode="w")
    (tmp_path / "bin").mkdir()
    code = f"import os; os.environ['PATH'] = {str(tmp_path / 'bin')!r}\n" + WITHOUT_IMPORT
    code = code.replace("import sys, blosc2,", "import sys, blosc2_grok, blosc2,").replace(
        'assert "blosc2_grok" not in sys.modules', ""
    )
    assert run_python(code, stored, codec).strip() == "fine"


@pytest.mark.parametrize("codec", [HTJ2K, OPENHTJ2K])
@pytest.mark.parametrize("how", ["import", "search"])
def test_the_names_for_ht(stored, codec, how):
    array = store(IMAGE, codec=codec, urlpath=str(stored), mode="w")
    assert blosc2_grok.info(payloads(array)[0])["codeblock_style"] & blosc2_grok.GrkMode.HT
    code = WITHOUT_IMPORT
    if how == "import":
        code = code.replace("import sys, blosc2,", "import sys, blosc2_grok, blosc2,").replace(
            'assert "blosc2_grok" not in sys.modules', ""
        )
    assert run_python(code, stored, codec).strip() == "fine"


@pytest.mark.parametrize("name", ["j2k", "htj2k", "openhtj2k"])
def test_modules_of_the_other_names(name):
    module = f"blosc2_{name}"
    spec = importlib.util.find_spec(module)
    if spec.submodule_search_locations is not None:
        pytest.skip(f"the published blosc2-{name} is installed")
    output = run_python(
        f"import {module} as m; m.print_libpath(); assert m.get_libpath() and m.encode and m.set_params_defaults and m.__version__"
    )
    assert Path(output).name == f"libblosc2_{name}.so"
    assert Path(output).parent == Path(blosc2_grok.get_libpath()).parent


def test_a_published_package_keeps_its_name(tmp_path):
    """A package blosc2_j2k wins over our module of that name, wherever it lies, and its library is not preloaded by us."""
    package = versions.copy_package(tmp_path / "site")
    (package / "blosc2_j2k").mkdir()
    (package / "blosc2_j2k" / "__init__.py").write_text("WHO = 'published'\n")
    code = "import blosc2_j2k, blosc2_grok\nprint(blosc2_j2k.WHO, len(blosc2_grok._lib._aliases))"
    env = {**os.environ, "PYTHONPATH": str(package)}
    assert run_python(code, env=env).split() == ["published", "2"]
    shutil.rmtree(package / "blosc2_j2k")
    assert run_python("import blosc2_grok; print(len(blosc2_grok._lib._aliases))", env=env).strip() == "3"


# ---- C programs -----------------------------------------------------------------------------------------------------------


def compiler(*names):
    for name in names:
        if name and shutil.which(name.split()[0]):
            return name.split()
    pytest.skip(f"none of {' '.join(filter(None, names))} is installed")
    return None


def blosc2_folder():
    folder = Path(importlib.util.find_spec("blosc2").origin).parent
    if not (folder / "include" / "blosc2.h").exists() or not list((folder / "lib").glob("libblosc2.*")):
        pytest.skip("the installed blosc2 has no headers or no library for C programs")
    return folder


def build(source, output, compile_with, link_blosc2, *flags):
    blosc2_at, ours = blosc2_folder(), Path(blosc2_grok.get_libpath()).parent
    libraries = ["-L", ours, "-lblosc2_grok", f"-Wl,-rpath,{ours}"]
    if link_blosc2:
        libraries += ["-L", blosc2_at / "lib", "-lblosc2", f"-Wl,-rpath,{blosc2_at / 'lib'}"]
    command = [*compile_with, "-O1", *flags, source, "-I", blosc2_grok.get_include(), "-isystem", blosc2_at / "include"]
    result = subprocess.run([*command, "-o", output, *libraries, "-lm"], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return output


def run(program, *arguments, **named):
    result = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, timeout=60, **named)
    assert result.returncode == 0, f"{result.returncode}: {result.stdout} {result.stderr}"
    return result.stdout


@pytest.mark.parametrize("language", ["c", "c++"])
def test_a_program_with_grok_names(tmp_path, language):
    if language == "c":
        compile_with = [
            *compiler(os.environ.get("CC"), "cc", "gcc", "clang"),
            "-std=c11",
            "-Wall",
            "-Wextra",
            "-Werror",
        ]
    else:
        compile_with = [*compiler(os.environ.get("CXX"), "c++", "g++", "clang++"), "-x", "c++", "-std=c++17", "-Wall"]
    program = build(PROGRAMS / "grok_names.c", tmp_path / "program", compile_with, True)
    words = run(program, tmp_path / "lossless.b2nd", 0).split()
    assert float(words[3]) == 0
    assert float(words[1]) > 2
    words = run(program, tmp_path / "lossy.b2nd", 10).split()
    assert float(words[1]) == pytest.approx(10, rel=0.12)
    assert 0 < float(words[3]) < 40
    # Python reads the same files; each chunk has the parameters that the program gave.
    lossless, lossy = (blosc2.open(str(tmp_path / f"{name}.b2nd")) for name in ("lossless", "lossy"))
    planes = lossless[...].view(np.uint16) if lossless.dtype != np.uint16 else lossless[...]
    assert planes.shape[0] == 3
    assert (planes.astype(int) > 900).all()
    for array, irreversible in ((lossless, False), (lossy, True)):
        files = payloads(array)
        assert len(files) == 3
        for file in files:
            found = blosc2_grok.info(file)
            assert (found["progression"], found["num_resolutions"], found["codeblock_style"]) == ("RPCL", 4, 32)
            assert found["irreversible"] is irreversible
            assert found["comment"] == "written by grok_names.c"
            assert blosc2_grok.decode(file).shape == (120, 160)


def test_codec_params_must_be_initialised(tmp_path):
    source = (PROGRAMS / "grok_names.c").read_text()
    assert "    grk_compress_set_default_params(&codec_params.compressParams);\n" in source
    changed = source.replace("    grk_compress_set_default_params(&codec_params.compressParams);\n", "")
    (tmp_path / "program.c").write_text(changed)
    program = build(tmp_path / "program.c", tmp_path / "program", compiler("cc", "gcc", "clang"), True)
    result = subprocess.run([program, tmp_path / "a.b2nd", "0"], capture_output=True, text=True)
    assert result.returncode == 1
    assert "grk_compress_set_default_params" in result.stdout


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("numresolution = 99", "num_resolutions"),
        ("cblockw_init = 5", "codeblock_size"),
        ("mct = 2", "mct"),
        ("numpocs = 1", "numpocs"),
        ("cod_format = GRK_FMT_PNG", "cod_format"),
        ("cblk_sty = GRK_CBLKSTY_HT | GRK_CBLKSTY_LAZY", "HT"),
        ("subsampling_dx = 2", "subsampling"),
        ("res_spec = 1", "prcw_init"),
    ],
)
def test_bad_codec_params_are_named(tmp_path, statement, reason):
    source = (PROGRAMS / "grok_names.c").read_text()
    marker = "    grk_set_default_stream_params("
    assert marker in source
    (tmp_path / "program.c").write_text(
        source.replace(marker, f"    codec_params.compressParams.{statement};\n{marker}")
    )
    program = build(tmp_path / "program.c", tmp_path / "program", compiler("cc", "gcc", "clang"), True)
    result = subprocess.run([program, tmp_path / "a.b2nd", "0"], capture_output=True, text=True)
    assert result.returncode == 1
    assert reason in result.stdout


def test_parameters_of_the_process_from_c(tmp_path):
    program = build(PROGRAMS / "defaults.c", tmp_path / "program", compiler("cc", "gcc", "clang"), False)
    lines = [line.split("|") for line in run(program).splitlines()]
    assert lines[0] == [blosc2_grok.__version__, str(len(blosc2_grok.params_defaults)), "0"]
    shown = {line[0]: line[1:] for line in lines if len(line) == 5}
    sizes = {name: int(fields[1]) for name, fields in shown.items()}
    assert shown["fresh"][0] == shown["set"][0] == shown["rates"][0] == "0"
    assert "cod_format=GRK_FMT_JP2" in shown["fresh"][3]
    for part in (
        "num_resolutions=3",
        "codeblock_size=32,32",
        "cod_format=GRK_FMT_J2K",
        "irreversible=false",
        "quality_mode=none",
        "mct=0",
    ):
        assert part in shown["set"][3]
    assert "quality_mode=rates;quality_layers=10;" in shown["rates"][3]
    assert sizes["rates"] <= 64 * 64 / 10 < sizes["set"]
    for name, reason in [
        ("bad resolutions", "num_resolutions: 99"),
        ("bad progression", "progression"),
        ("bad mode", "quality_mode"),
    ]:
        assert shown[name][0] != "0", "the defaults must not be used while they are bad"
        assert reason in shown[name][2]
        assert "quality_mode=rates;quality_layers=10;" in shown[name][3]
    assert shown["text"][0] == "0"
    assert "num_resolutions=2;codeblock_size=16,16" in shown["text"][3]
    assert "num_threads=3" in shown["init"][3]
    assert shown["reset"] == shown["fresh"] == shown["after destroy"]
    singles = [line for line in lines if len(line) == 1]
    assert [line[0] == "0" for line in singles] == [True, False, True]
    pairs = [line for line in lines if len(line) == 2]
    assert pairs[0][0] == "1"
    assert pairs[0][1].startswith("num_resolutions: 0 is not allowed; allowed: 1 to 33")
    assert pairs[1] == ["1", "num_res"]


def test_the_engine_from_c(tmp_path):
    for compile_with in (["-std=c11"], ["-x", "c++"]):
        tool = compiler("cc", "gcc", "clang") if "c++" not in compile_with else compiler("c++", "g++", "clang++")
        program = build(PROGRAMS / "engine_only.c", tmp_path / "program", [*tool, *compile_with], False)
        assert run(program).strip() == "same"


# ---- processes ------------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
@pytest.mark.parametrize("nthreads", [1, 4])
def test_fork(nthreads):
    """A child process codes on, even when the parent's contexts had threads, and while other threads are coding."""
    code = """
import os, sys, threading
sys.path.insert(0, sys.argv[1])
import blosc2, blosc2_grok, numpy as np
from store import picture, store
nthreads = int(sys.argv[2])
image = picture(200, 300, 3)
blosc2_grok.set_params_defaults(num_threads=nthreads)
before = blosc2_grok.encode(image)
store(image, nthreads=nthreads)
stop = threading.Event()

def work():
    while not stop.is_set():
        blosc2_grok.decode(blosc2_grok.encode(image, num_threads=nthreads), num_threads=nthreads)

threads = [threading.Thread(target=work) for _ in range(2)]
for t in threads:
    t.start()
children = []
for n in range(6):
    pid = os.fork()
    if pid == 0:
        ok = blosc2_grok.encode(image) == before and (blosc2_grok.decode(before, num_threads=nthreads) == image).all()
        ok = ok and blosc2_grok.get_params_defaults()["num_threads"] == nthreads
        os._exit(0 if ok else 1)
    children.append(pid)
codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
stop.set()
for t in threads:
    t.join()
print(codes)
"""
    assert run_python(code, os.path.dirname(__file__), nthreads, timeout=120).strip() == str([0] * 6)


def test_threads_come_and_go():
    """Contexts are reused, not made anew for each thread that has ended."""
    code = """
import sys, threading
sys.path.insert(0, sys.argv[1])
import blosc2_grok, numpy as np, os
from store import picture
image = picture(100, 100, 3)

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGESIZE")

def work():
    assert (blosc2_grok.decode(blosc2_grok.encode(image, num_threads=1), num_threads=1) == image).all()

def many(count):
    for _ in range(count):
        t = threading.Thread(target=work)
        t.start()
        t.join()

many(50)
start = resident()
many(300)
print((resident() - start) // 1024)
"""
    if not Path("/proc/self/statm").exists():
        pytest.skip("needs /proc")
    if os.environ.get("J2K_SANITIZED"):
        pytest.skip("the sanitizers keep freed memory")
    assert int(run_python(code, os.path.dirname(__file__))) < 4000  # KiB


def test_destroy_and_go_on():
    image = picture()
    array = store(image)
    blosc2_grok._lib.lib.blosc2_grok_destroy()
    assert (array[...] == image).all()
    assert (store(image)[...] == image).all()


def test_python_m_runs_nothing_else():
    """The exact command that C-Blosc2 runs prints the path and nothing else."""
    for name in ("grok", "j2k", "htj2k", "openhtj2k"):
        command = f"import blosc2_{name}; blosc2_{name}.print_libpath()"
        result = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)
        assert result.stderr == ""
        assert Path(result.stdout).is_file()
