# The binary interface: symbols, headers, and layouts of C-Blosc2's structs, known and unknown.
# SPDX-License-Identifier: BSD-3-Clause
import ctypes
import importlib.util
import os
import re
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
import versions
from store import SIGNATURE

import blosc2_grok
from blosc2_grok._lib import lib, library_path

ROOT = Path(__file__).resolve().parents[2]
NAMES = ["grok", "j2k", "htj2k", "openhtj2k"]
POINTER = struct.calcsize("P")


def symbols(path, *options):
    if shutil.which("nm") is None:
        pytest.skip("nm is not installed")
    output = subprocess.run(["nm", "-D", *options, path], capture_output=True, text=True, check=True).stdout
    return [line.split()[-1].split("@")[0] for line in output.splitlines()]


@pytest.mark.parametrize("name", NAMES)
def test_symbols(name):
    undefined = symbols(library_path(name), "--undefined-only")
    assert undefined  # nm could read the file
    assert [symbol for symbol in undefined if symbol.startswith(("blosc", "b2nd", "grk", "opj"))] == []
    defined = symbols(library_path(name), "--defined-only")
    assert {"info", f"blosc2_{name}_encoder", f"blosc2_{name}_decoder"} <= set(defined)
    allowed = ("j2k_", "blosc2_grok_") if name == "grok" else (f"blosc2_{name}_",)
    # The sanitizers add symbols of their own.
    foreign = [s for s in defined if s != "info" and not s.startswith(allowed) and "asan" not in s and "ubsan" not in s]
    assert foreign == []


def test_the_whole_engine_api_is_exported():
    header = (Path(blosc2_grok.get_include()) / "j2k.h").read_text()
    functions = set(re.findall(r"J2K_API [^;(]*?\b(j2k_\w+)\(", header))
    assert len(functions) > 10
    assert functions <= set(symbols(library_path("grok"), "--defined-only"))


@pytest.mark.parametrize("name", NAMES)
def test_info(name):
    class CodecInfo(ctypes.Structure):
        _fields_ = [("encoder", ctypes.c_char_p), ("decoder", ctypes.c_char_p)]

    found = CodecInfo.in_dll(ctypes.CDLL(library_path(name)), "info")
    assert (found.encoder, found.decoder) == (f"blosc2_{name}_encoder".encode(), f"blosc2_{name}_decoder".encode())


# ---- headers of the installed Blosc2 ----------------------------------------------------------------------------------


def compiler():
    for name in (os.environ.get("CC"), "cc", "gcc", "clang"):
        if name and shutil.which(name.split()[0]):
            return name.split()
    pytest.skip("no C compiler")
    return None


def build(*arguments):
    # Optimised, so that blosc2.h's inline functions, which need libblosc2, are left out.
    result = subprocess.run([*compiler(), "-O1", *arguments], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


@pytest.fixture(params=["installed", *versions.ENVIRONMENTS])
def blosc2_include(request):
    """The headers of a blosc2 package."""
    if request.param == "installed":
        folder = Path(importlib.util.find_spec("blosc2").origin).parent
    else:
        folder = versions.site_packages(request.param) / "blosc2"
    if not (folder / "include" / "blosc2.h").exists():
        pytest.skip("this blosc2 package has no headers")
    return folder / "include"


OURS = "blosc2_cparams compcode compcode_meta typesize nthreads blocksize splitmode schunk filters filters_meta codec_params;" \
       "blosc2_dparams nthreads schunk;codec_info encoder decoder"  # fmt: skip
SCHUNK = "version compcode compcode_meta clevel splitmode typesize blocksize chunksize filters filters_meta"
TAIL = "nchunks current_nchunk nbytes cbytes data data_len storage frame cctx dctx metalayers nmetalayers"


def offsets(folder, blosc2_include, include, fields):
    """Offsets that the C compiler gives: fields are (expression for offsetof's type, member)."""
    lines = "".join(f'    printf("%zu\\n", offsetof({kind}, {member}));\n' for kind, member in fields)
    source = folder / "offsets.c"
    source.write_text(
        f"#include <stddef.h>\n#include <stdio.h>\n{include}\nint main(void) {{\n{lines}    return 0;\n}}\n"
    )
    program = folder / "offsets"
    flags = ["-I", blosc2_include, "-I", ROOT / "plugin", "-I", ROOT / "include"]
    build(*flags, source, "-o", program)
    return [int(line) for line in subprocess.run([program], check=True, capture_output=True, text=True).stdout.split()]


@pytest.mark.slow
def test_declarations_match_the_headers(tmp_path, blosc2_include):
    def found(include, fields):
        return offsets(tmp_path, blosc2_include, include, fields)

    fields = [(kind, member) for group in OURS.split(";") for kind, *members in [group.split()] for member in members]
    theirs = '#include "blosc2.h"\n#include "blosc2/codecs-registry.h"'
    assert found('#include "blosc2_abi.h"', fields) == found(theirs, fields)
    real = found(theirs, [("blosc2_schunk", m) for m in (SCHUNK + " " + TAIL).split()])
    known = [
        found(
            '#include "blosc2_abi.h"', [(kind, m) for m in SCHUNK.split()] + [(kind, f"tail.{m}") for m in TAIL.split()]
        )
        for kind in ("abi_schunk_v2", "abi_schunk_v3")
    ]
    assert real in known
    layer = ("blosc2_metalayer", "abi_metalayer")
    a, b = ([(kind, m) for m in ("name", "content", "content_len")] for kind in layer)
    assert found(theirs, a) == found('#include "blosc2_abi.h"', b)


@pytest.mark.slow
def test_constants_match_the_headers(tmp_path, blosc2_include):
    pairs = {
        "ABI_MAX_FILTERS": "BLOSC2_MAX_FILTERS", "ABI_MAX_METALAYERS": "BLOSC2_MAX_METALAYERS", "ABI_MAX_DIM": "B2ND_MAX_DIM",
        "ABI_NOFILTER": "BLOSC_NOFILTER", "ABI_SHUFFLE": "BLOSC_SHUFFLE", "ABI_TRUNC_PREC": "BLOSC_TRUNC_PREC",
        "ABI_INT_TRUNC": "BLOSC_FILTER_INT_TRUNC", "ABI_ERROR_FAILURE": "BLOSC2_ERROR_FAILURE",
        "ABI_ERROR_DATA": "BLOSC2_ERROR_DATA", "ABI_ERROR_MEMORY": "BLOSC2_ERROR_MEMORY_ALLOC",
        "ABI_ERROR_CODEC_SUPPORT": "BLOSC2_ERROR_CODEC_SUPPORT", "ABI_ERROR_CODEC_PARAM": "BLOSC2_ERROR_CODEC_PARAM",
    }  # fmt: skip
    values = []
    headers = ['#include "blosc2_abi.h"', '#include "b2nd.h"\n#include "blosc2/filters-registry.h"']
    for include, names in zip(headers, (pairs, pairs.values()), strict=True):
        source = tmp_path / "constants.c"
        lines = "".join(f'    printf("%d\\n", (int){name});\n' for name in names)
        source.write_text(f"#include <stdio.h>\n{include}\nint main(void) {{\n{lines}    return 0;\n}}\n")
        flags = ["-I", blosc2_include, "-I", ROOT / "plugin"]
        build(*flags, source, "-o", tmp_path / "constants")
        values.append(subprocess.run([tmp_path / "constants"], check=True, capture_output=True, text=True).stdout)
    assert values[0] == values[1]


def test_compat_defaults_are_the_tables():
    """grok.h says again what the table says; the plugin must not see a difference."""
    text = (Path(blosc2_grok.get_include()) / "grok.h").read_text()
    body = text[text.index("static inline void grk_compress_set_default_params") :]
    assigned = dict(re.findall(r"parameters->(\w+) = ([^;]+);", body[: body.index("}")]))
    defaults = blosc2_grok.params_defaults
    expected = {
        "numlayers": "1", "numgbits": str(defaults["numgbits"]), "prog_order": f"GRK_{defaults['progression']}",
        "numresolution": str(defaults["num_resolutions"]), "cblockw_init": str(defaults["codeblock_size"][0]),
        "cblockh_init": str(defaults["codeblock_size"][1]), "irreversible": "-1", "roi_compno": str(defaults["roi_compno"]),
        "cod_format": defaults["cod_format"].name, "mct": str(defaults["mct"]), "repeats": str(defaults["repeats"]),
        "subsampling_dx": "1", "subsampling_dy": "1", "signature": "BLOSC2_GROK_CPARAMETERS_SIGNATURE",
    }  # fmt: skip
    assert assigned == expected


# ---- layouts of blosc2_schunk, made by hand -----------------------------------------------------------------------------


def metalayer(keep, name, content):
    text, data = ctypes.create_string_buffer(name), ctypes.create_string_buffer(content, len(content))
    layer = ctypes.create_string_buffer(
        struct.pack("PPi", ctypes.addressof(text), ctypes.addressof(data), len(content))
    )
    keep += [text, data, layer]
    return ctypes.addressof(layer)


def b2nd(shape, chunks, blocks, dtype=b"|u1"):
    def lengths(mark, form, values):
        return bytes([0x90 + len(values)]) + b"".join(mark + struct.pack(form, value) for value in values)

    return (
        bytes([0x97, 0, len(shape)]) + lengths(b"\xd3", ">q", shape) + lengths(b"\xd2", ">i", chunks)
        + lengths(b"\xd2", ">i", blocks) + b"\x00\xdb" + struct.pack(">I", len(dtype)) + dtype
    )  # fmt: skip


def schunk(tail_offset, layers, typesize=1, frame=True, extra=0):
    """A blosc2_schunk whose tail begins tail_offset bytes after its start; extra: bytes inserted before the metalayers."""
    keep = []
    object_ = ctypes.create_string_buffer(4096)
    keep.append(object_)
    address = ctypes.addressof(object_)
    head = struct.pack("5Biii", 0, 37, 0, 5, 1, typesize, 0, 0)
    pointers = [metalayer(keep, *layer) for layer in layers]
    # data is NULL in a frame
    tail = struct.pack(
        "qqqqPNPPPP",
        1,
        0,
        100,
        50,
        0 if frame else address,
        0 if frame else 8,
        address,
        address if frame else 0,
        address,
        address,
    )
    tail += bytes(extra)
    tail += struct.pack("16P", *pointers, *[0] * (16 - len(pointers))) + struct.pack("Hxxxxxx", len(pointers))
    tail += struct.pack("PP", address, 0)  # the first variable-length metalayer
    memory = ctypes.create_string_buffer(head + bytes(tail_offset - len(head)) + tail + bytes(70_000))
    return memory, keep


def make_cparams(memory, typesize=1):
    return struct.pack(
        "3BiihiiP12BPPPi?P", 37, 0, 5, 0, typesize, 1, 0, 1, ctypes.addressof(memory), *[0] * 12, 0, 0, 0, 0, False, 0
    )


def encode_block(memory, data, typesize=1, capacity=None):
    cparams = make_cparams(memory, typesize)
    output = ctypes.create_string_buffer(capacity or len(data))
    encoder = lib.blosc2_grok_encoder
    encoder.restype = ctypes.c_int
    size = encoder(data, ctypes.c_int32(len(data)), output, ctypes.c_int32(len(output)), 0, cparams, None)
    return size, output.raw[: max(size, 0)]


KNOWN = {"2.x": 32, "3.x": 40}
IMAGE = (np.add.outer(np.arange(40), np.arange(60)) % 200).astype(np.uint8)
LAYERS = [(b"b2nd", b2nd((40, 60), (40, 60), (40, 60)))]
pytestmark = pytest.mark.skipif(POINTER != 8 or os.name != "posix", reason="structs are made for 64-bit Unix")


@pytest.mark.parametrize("frame", [True, False])
@pytest.mark.parametrize("version", KNOWN)
@pytest.mark.parametrize("more", [0, 1, 14])
def test_known_layouts(version, frame, more):
    layers = [(b"other%d" % n, b"content") for n in range(more)] + LAYERS
    memory, keep = schunk(KNOWN[version], layers, frame=frame)
    size, data = encode_block(memory, IMAGE.tobytes())
    assert size > 0, blosc2_grok.last_error()
    assert data.startswith(SIGNATURE)
    assert (blosc2_grok.decode(data) == IMAGE).all()
    del keep


@pytest.mark.parametrize("frame", [True, False])
@pytest.mark.parametrize("version", KNOWN)
def test_known_layouts_without_metalayers(version, frame):
    memory, keep = schunk(KNOWN[version], [], frame=frame)
    size, data = encode_block(memory, IMAGE.tobytes())
    assert size > 0, blosc2_grok.last_error()
    assert (blosc2_grok.decode(data) == IMAGE.reshape(1, -1)).all()
    del keep


@pytest.mark.parametrize("frame", [True, False])
@pytest.mark.parametrize("layers", [[], LAYERS, [(b"a", b"b"), *LAYERS]], ids=len)
@pytest.mark.parametrize(
    ("where", "shift"),
    [("before", shift) for shift in (-16, 8, 16, 24, 32, 64)] + [("inside", shift) for shift in (8, 16, 24, 32, 64)],
)
def test_unknown_layouts_are_refused(shift, layers, frame, where):
    """A field more or less before the counters or before the metalayers of the newest layout known."""
    offset = KNOWN["3.x"] + (shift if where == "before" else 0)
    memory, keep = schunk(offset, layers, frame=frame, extra=shift if where == "inside" else 0)
    size, data = encode_block(memory, IMAGE.tobytes())
    if where == "inside" and not layers:  # nothing to see there, and nothing to miss
        assert (blosc2_grok.decode(data) == IMAGE.reshape(1, -1)).all()
        return
    assert size < 0
    assert "upgrade blosc2-grok" in blosc2_grok.last_error()
    del keep


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_malformed_metalayer(cut):
    layers = [(b"b2nd", LAYERS[0][1][:-cut])]
    memory, keep = schunk(KNOWN["3.x"], layers)
    size, _ = encode_block(memory, IMAGE.tobytes())
    assert size < 0
    assert "b2nd" in blosc2_grok.last_error()
    del keep


def test_wrong_block_size():
    memory, keep = schunk(KNOWN["3.x"], LAYERS)
    size, _ = encode_block(memory, IMAGE.tobytes()[:-60])
    assert size < 0
    assert "2340" in blosc2_grok.last_error()
    assert "2400" in blosc2_grok.last_error()
    del keep


@pytest.mark.parametrize("dtype", [b"|u1", b"|S2", b"|V2", b"<u2", b"uint16"])
def test_dtypes_of_c_programs(dtype):
    """C-Blosc2 writes |u1 or |S2 when none is given; HDF5's filter writes |V2."""
    image = IMAGE.astype(np.uint16) * 17
    memory, keep = schunk(KNOWN["3.x"], [(b"b2nd", b2nd((40, 60), (40, 60), (40, 60), dtype))], typesize=2)
    size, data = encode_block(memory, image.tobytes(), typesize=2)
    assert size > 0, blosc2_grok.last_error()
    assert (blosc2_grok.decode(data) == image).all()
    del keep


@pytest.mark.parametrize("dtype", [b"<u4", b"|u2x", b"", b"<i", b"|V3", b"[('a', '<i2')]", b"<u2" + b"x" * 200])
def test_dtypes_that_do_not_fit(dtype):
    memory, keep = schunk(KNOWN["3.x"], [(b"b2nd", b2nd((40, 60), (40, 60), (40, 60), dtype))], typesize=2)
    size, _ = encode_block(memory, bytes(4800), typesize=2)
    assert size < 0
    assert "dtype" in blosc2_grok.last_error()
    del keep


def test_nothing_is_written_past_the_output():
    rng = np.random.default_rng(0)
    memory, keep = schunk(KNOWN["3.x"], LAYERS)
    encoder = lib.blosc2_grok_encoder
    encoder.restype = ctypes.c_int
    cparams = make_cparams(memory)
    needed, _ = encode_block(memory, IMAGE.tobytes(), capacity=5000)
    for capacity in [1, 10, 100, needed - 1, needed, needed + 1, *rng.integers(1, needed, 30).tolist()]:
        output = ctypes.create_string_buffer(b"\xa5" * 6000, 6000)
        size = encoder(IMAGE.tobytes(), 2400, output, ctypes.c_int32(capacity), 0, cparams, None)
        assert size == (needed if capacity >= needed else 0)
        assert output.raw[capacity:] == b"\xa5" * (6000 - capacity)
    del keep
