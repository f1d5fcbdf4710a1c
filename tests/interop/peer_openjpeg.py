# OpenJPEG's public C interface through ctypes: every encoder parameter, any depth, sign and subsampling.
# SPDX-License-Identifier: BSD-3-Clause
"""The shared library is the one that the Pillow wheel carries, or the system's.

Only what openjpeg.h of the 2.x series documents is declared. `layout_is_known` checks the declarations against what the
library fills in, so that a changed layout shows as a skip and not as nonsense.
"""

from __future__ import annotations

import ctypes as c
import ctypes.util
import functools
import tempfile
from pathlib import Path

import numpy as np

from images import Image, Plane

PROGRESSIONS = ["LRCP", "RLCP", "RPCL", "PCRL", "CPRL"]
CODEC_J2K, CODEC_JP2 = 0, 2
u32, i32 = c.c_uint32, c.c_int32


class OpenJPEGError(Exception):
    pass


class Poc(c.Structure):
    _fields_ = [
        *[(n, u32) for n in "resno0 compno0 layno1 resno1 compno1 layno0 precno0 precno1".split()],
        ("prg1", i32),
        ("prg", i32),
        ("progorder", c.c_char * 5),
        ("tile", u32),
        *[(n, u32) for n in "tx0 tx1 ty0 ty1 layS resS compS prcS layE resE compE prcE".split()],
        *[(n, u32) for n in "txS txE tyS tyE dx dy lay_t res_t comp_t prc_t tx0_t ty0_t".split()],
    ]


class EncoderParameters(c.Structure):
    _fields_ = [
        *[(n, i32) for n in "tile_size_on cp_tx0 cp_ty0 cp_tdx cp_tdy".split()],
        *[(n, i32) for n in "cp_disto_alloc cp_fixed_alloc cp_fixed_quality".split()],
        ("cp_matrice", c.c_void_p),
        ("cp_comment", c.c_char_p),
        ("csty", i32),
        ("prog_order", i32),
        ("poc", Poc * 32),
        ("numpocs", u32),
        ("tcp_numlayers", i32),
        ("tcp_rates", c.c_float * 100),
        ("tcp_distoratio", c.c_float * 100),
        *[(n, i32) for n in "numresolution cblockw_init cblockh_init mode irreversible roi_compno roi_shift".split()],
        ("res_spec", i32),
        ("prcw_init", i32 * 33),
        ("prch_init", i32 * 33),
        ("infile", c.c_char * 4096),
        ("outfile", c.c_char * 4096),
        ("index_on", i32),
        ("index", c.c_char * 4096),
        *[(n, i32) for n in "image_offset_x0 image_offset_y0 subsampling_dx subsampling_dy".split()],
        *[(n, i32) for n in "decod_format cod_format".split()],
        ("jpwl", i32 * (2 + 5 * 16 + 4 + 2 * 16)),
        ("cp_cinema", i32),
        ("max_comp_size", i32),
        ("cp_rsiz", i32),
        ("tp_on", c.c_char),
        ("tp_flag", c.c_char),
        ("tcp_mct", c.c_char),
        ("jpip_on", i32),
        ("mct_data", c.c_void_p),
        ("max_cs_size", i32),
        ("rsiz", c.c_uint16),
    ]


class DecoderParameters(c.Structure):
    _fields_ = [
        ("cp_reduce", u32),
        ("cp_layer", u32),
        ("infile", c.c_char * 4096),
        ("outfile", c.c_char * 4096),
        *[(n, i32) for n in "decod_format cod_format DA_x0 DA_x1 DA_y0 DA_y1 m_verbose tile_index".split()],
        *[(n, i32) for n in "nb_tile_to_decode jpwl_correct jpwl_exp_comps jpwl_max_tiles flags".split()],
        ("spare", c.c_char * 64),
    ]


class ComponentParameters(c.Structure):
    _fields_ = [(n, u32) for n in "dx dy w h x0 y0 prec bpp sgnd".split()]


class Component(c.Structure):
    _fields_ = [
        *[(n, u32) for n in "dx dy w h x0 y0 prec bpp sgnd resno_decoded factor".split()],
        ("data", c.POINTER(i32)),
        ("alpha", c.c_uint16),
    ]


class OpjImage(c.Structure):
    _fields_ = [
        *[(n, u32) for n in "x0 y0 x1 y1 numcomps".split()],
        ("color_space", i32),
        ("comps", c.POINTER(Component)),
        ("icc_profile_buf", c.c_void_p),
        ("icc_profile_len", u32),
    ]


MESSAGE = c.CFUNCTYPE(None, c.c_char_p, c.c_void_p)


def _library_paths() -> list[str]:
    paths = []
    try:
        import PIL

        site = Path(PIL.__file__).parent
        for folder in (site.parent / "pillow.libs", site.parent / "Pillow.libs", site / ".dylibs"):
            paths += sorted(str(p) for p in folder.glob("libopenjp2*"))
    except ImportError:
        pass
    system = ctypes.util.find_library("openjp2")
    return paths + ([system] if system else [])


@functools.cache
def library():
    """The loaded library, or None."""
    for path in _library_paths():
        try:
            lib = c.CDLL(path)
            lib.opj_version.restype = c.c_char_p
            if not lib.opj_version().startswith(b"2."):
                continue
        except (OSError, AttributeError):
            continue
        p = c.c_void_p
        image = c.POINTER(OpjImage)
        signatures = {
            "opj_set_default_encoder_parameters": (None, [c.POINTER(EncoderParameters)]),
            "opj_set_default_decoder_parameters": (None, [c.POINTER(DecoderParameters)]),
            "opj_create_compress": (p, [i32]),
            "opj_create_decompress": (p, [i32]),
            "opj_destroy_codec": (None, [p]),
            "opj_set_error_handler": (i32, [p, MESSAGE, p]),
            "opj_set_warning_handler": (i32, [p, MESSAGE, p]),
            "opj_image_create": (image, [u32, c.POINTER(ComponentParameters), i32]),
            "opj_image_destroy": (None, [image]),
            "opj_setup_encoder": (i32, [p, c.POINTER(EncoderParameters), image]),
            "opj_encoder_set_extra_options": (i32, [p, c.POINTER(c.c_char_p)]),
            "opj_start_compress": (i32, [p, image, p]),
            "opj_encode": (i32, [p, p]),
            "opj_end_compress": (i32, [p, p]),
            "opj_stream_create_default_file_stream": (p, [c.c_char_p, i32]),
            "opj_stream_destroy": (None, [p]),
            "opj_setup_decoder": (i32, [p, c.POINTER(DecoderParameters)]),
            "opj_read_header": (i32, [p, p, c.POINTER(image)]),
            "opj_set_decode_area": (i32, [p, image, i32, i32, i32, i32]),
            "opj_set_decoded_components": (i32, [p, u32, c.POINTER(u32), i32]),
            "opj_decode": (i32, [p, p, image]),
            "opj_end_decompress": (i32, [p, p]),
        }
        for name, (result, arguments) in signatures.items():
            function = getattr(lib, name)
            function.restype, function.argtypes = result, arguments
        return lib if layout_is_known(lib) else None
    return None


def layout_is_known(lib) -> bool:
    """Whether the defaults that the library writes land in the fields declared here."""
    memory = c.create_string_buffer(b"\xa5" * (c.sizeof(EncoderParameters) + 4096))
    parameters = EncoderParameters.from_buffer(memory)
    lib.opj_set_default_encoder_parameters(c.cast(memory, c.POINTER(EncoderParameters)))
    end = c.sizeof(EncoderParameters)
    return (
        (parameters.numresolution, parameters.cblockw_init, parameters.cblockh_init) == (6, 64, 64)
        and (parameters.roi_compno, parameters.decod_format, parameters.cod_format) == (-1, -1, -1)
        and parameters.rsiz == 0
        and memory.raw[end : end + 64] == b"\xa5" * 64
    )


def version() -> str:
    lib = library()
    return lib.opj_version().decode() if lib else "none"


def _parameters(image: Image, options: dict) -> EncoderParameters:
    lib = library()
    p = EncoderParameters()
    lib.opj_set_default_encoder_parameters(c.byref(p))
    lossless = not options.get("ratio") and not options.get("psnr")
    p.image_offset_x0, p.image_offset_y0 = image.x0, image.y0
    if options.get("tile"):
        p.tile_size_on = 1
        p.cp_tdx, p.cp_tdy = options["tile"]
        p.cp_tx0, p.cp_ty0 = options.get("tile_offset", (0, 0))
    elif options.get("tile_offset"):
        p.cp_tx0, p.cp_ty0 = options["tile_offset"]
    if options.get("psnr"):
        p.cp_fixed_quality = 1
        p.tcp_numlayers = len(options["psnr"])
        p.tcp_distoratio[: p.tcp_numlayers] = options["psnr"]
    else:
        p.cp_disto_alloc = 1
        rates = options.get("ratio") or [0]
        p.tcp_numlayers = len(rates)
        p.tcp_rates[: p.tcp_numlayers] = rates
    p.irreversible = int(options.get("irreversible", not lossless))
    p.prog_order = PROGRESSIONS.index(options.get("progression", "LRCP"))
    p.numresolution = options.get("resolutions", 6)
    p.cblockw_init, p.cblockh_init = options.get("codeblock", (64, 64))
    p.mode = options.get("style", 0)
    precincts = options.get("precincts", [])
    if precincts:
        p.csty |= 1
        p.res_spec = len(precincts)
        for i, (w, h) in enumerate(precincts):
            p.prcw_init[i], p.prch_init[i] = w, h
    p.csty |= (2 if options.get("sop") else 0) | (4 if options.get("eph") else 0)
    if options.get("roi"):
        p.roi_compno, p.roi_shift = options["roi"]
    if options.get("tile_parts"):
        p.tp_on, p.tp_flag = b"\x01", options["tile_parts"].encode()
    same = len({(q.dx, q.dy, q.depth, q.signed) for q in image.planes[:3]}) == 1
    p.tcp_mct = bytes([options.get("mct", int(len(image.planes) in (3, 4) and same))])
    p.max_comp_size = options.get("max_component_bytes", 0)
    for i, change in enumerate(options.get("poc", [])):
        poc = p.poc[i]
        poc.tile, poc.resno0, poc.compno0, poc.layno1, poc.resno1, poc.compno1, order = change
        poc.prg1 = PROGRESSIONS.index(order)
        poc.progorder = order.encode()
    p.numpocs = len(options.get("poc", []))
    return p


class _Session:
    """Codec, stream and image of one call, released together."""

    def __init__(self):
        self.codec = self.stream = None
        self.image = c.POINTER(OpjImage)()
        self.messages: list[str] = []
        self.handler = MESSAGE(lambda text, _: self.messages.append(text.decode(errors="replace").strip()))
        self.warnings: list[str] = []
        self.quiet = MESSAGE(lambda text, _: self.warnings.append(text.decode(errors="replace").strip()))

    def __enter__(self):
        return self

    def watch(self):
        library().opj_set_error_handler(self.codec, self.handler, None)
        library().opj_set_warning_handler(self.codec, self.quiet, None)

    def need(self, ok, what: str):
        if not ok:
            raise OpenJPEGError(f"{what}: {' | '.join(self.messages)}")

    def __exit__(self, *_):
        lib = library()
        if self.stream:
            lib.opj_stream_destroy(self.stream)
        if self.codec:
            lib.opj_destroy_codec(self.codec)
        if self.image:
            lib.opj_image_destroy(self.image)


def encode(image: Image, **options) -> bytes:
    """Encode. Options are those of ours.encode, plus poc=[(tile, res0, comp0, layer1, res1, comp1, order), ...]."""
    lib = library()
    count = len(image.planes)
    layout = (ComponentParameters * count)()
    for out, plane in zip(layout, image.planes, strict=True):
        out.dx, out.dy = plane.dx, plane.dy
        out.h, out.w = plane.data.shape
        out.prec = out.bpp = plane.depth
        out.sgnd = int(plane.signed)
    with _Session() as s, tempfile.TemporaryDirectory() as folder:
        s.image = lib.opj_image_create(count, layout, 1 if count >= 3 else 2)
        s.need(s.image, "opj_image_create")
        content = s.image.contents
        content.x0, content.y0, content.x1, content.y1 = image.x0, image.y0, image.x1, image.y1
        for i, plane in enumerate(image.planes):
            samples = np.ascontiguousarray(plane.data, np.int32)
            c.memmove(content.comps[i].data, samples.ctypes.data, samples.nbytes)
        s.codec = lib.opj_create_compress(CODEC_JP2 if options.get("format") == "jp2" else CODEC_J2K)
        s.watch()
        parameters = _parameters(image, options)
        s.need(lib.opj_setup_encoder(s.codec, c.byref(parameters), s.image), "opj_setup_encoder")
        extra = []
        if "guard_bits" in options:
            extra.append(b"GUARD_BITS=%d" % options["guard_bits"])
        extra += [b"PLT=YES"] if options.get("plt") else []
        extra += [b"TLM=YES"] if options.get("tlm") else []
        if extra:
            texts = (c.c_char_p * (len(extra) + 1))(*extra, None)
            s.need(lib.opj_encoder_set_extra_options(s.codec, texts), "opj_encoder_set_extra_options")
        path = Path(folder) / "out"
        s.stream = lib.opj_stream_create_default_file_stream(str(path).encode(), 0)
        s.need(s.stream, "opj_stream_create")
        s.need(lib.opj_start_compress(s.codec, s.image, s.stream), "opj_start_compress")
        s.need(lib.opj_encode(s.codec, s.stream), "opj_encode")
        s.need(lib.opj_end_compress(s.codec, s.stream), "opj_end_compress")
        lib.opj_stream_destroy(s.stream)
        s.stream = None
        return path.read_bytes()


def decode(
    data: bytes,
    reduce: int = 0,
    layers: int = 0,
    region: tuple[int, int, int, int] | None = None,
    components: list[int] | None = None,
    warnings: list[str] | None = None,
) -> list[Plane]:
    """Decode to the codestream's components (the region is in reference grid points, not counted from the image).
    OpenJPEG's warnings are appended to `warnings`."""
    lib = library()
    with _Session() as s, tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "in"
        path.write_bytes(data)
        s.codec = lib.opj_create_decompress(CODEC_J2K if data[:4] == b"\xff\x4f\xff\x51" else CODEC_JP2)
        s.watch()
        parameters = DecoderParameters()
        lib.opj_set_default_decoder_parameters(c.byref(parameters))
        parameters.cp_reduce, parameters.cp_layer = reduce, layers
        parameters.flags = 1  # OPJ_DPARAMETERS_IGNORE_PCLR_CMAP_CDEF_FLAG: the components as coded
        s.need(lib.opj_setup_decoder(s.codec, c.byref(parameters)), "opj_setup_decoder")
        s.stream = lib.opj_stream_create_default_file_stream(str(path).encode(), 1)
        s.need(lib.opj_read_header(s.stream, s.codec, c.byref(s.image)), "opj_read_header")
        if components is not None:
            wanted = (u32 * len(components))(*components)
            s.need(lib.opj_set_decoded_components(s.codec, len(components), wanted, 0), "opj_set_decoded_components")
        # All zero means everything; without this call the sizes of reduced images with an offset come out wrong.
        s.need(lib.opj_set_decode_area(s.codec, s.image, *(region or (0, 0, 0, 0))), "opj_set_decode_area")
        s.need(lib.opj_decode(s.codec, s.stream, s.image), "opj_decode")
        s.need(lib.opj_end_decompress(s.codec, s.stream), "opj_end_decompress")
        if warnings is not None:
            warnings += s.warnings
        content = s.image.contents
        planes = []
        for i in range(content.numcomps):
            k = content.comps[i]
            if components is not None and i not in components:
                continue
            if not k.data:
                raise OpenJPEGError(f"component {i} has no samples")
            samples = np.ctypeslib.as_array(k.data, (k.h, k.w)).copy()
            planes.append(Plane(samples, k.prec, bool(k.sgnd), k.dx, k.dy))
        return planes
