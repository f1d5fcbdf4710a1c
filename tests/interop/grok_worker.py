# Runs under a rival's own interpreter: encodes and decodes with the Grok-based Blosc2 plugins.
# SPDX-License-Identifier: BSD-3-Clause
"""One JSON request a line on standard input, one JSON answer a line on the original standard output:
{"op": "decode", "path": ..., "bytes": N} decodes a codestream or JP2 file to interleaved samples;
{"op": "encode", "path": NPY, "parameters": {...}, "out": ...} takes the coded block out of a Blosc2 chunk."""

import ctypes
import importlib
import json
import os
import struct
import sys
import types

import blosc2
import numpy as np

CODECS = {"grok": 37, "j2k": 39}


def decode(module, name, request):
    decoder = getattr(module.lib, f"blosc2_{name}_decoder")
    decoder.argtypes = [
        ctypes.c_char_p,
        ctypes.c_int32,
        ctypes.c_void_p,
        ctypes.c_int32,
        ctypes.c_uint8,
        ctypes.c_void_p,
        ctypes.c_void_p,
    ]
    decoder.restype = ctypes.c_int
    with open(request["path"], "rb") as stream:
        data = stream.read()
    out = ctypes.create_string_buffer(b"\xcd" * request["bytes"], request["bytes"])
    result = decoder(data, len(data), out, request["bytes"], 0, None, None)
    if result <= 0:
        return {"error": f"decoder returned {result}"}
    with open(request["out"], "wb") as stream:
        stream.write(out.raw)
    return {"ok": result}


def encode(module, name, request):
    array = np.load(request["path"])
    parameters = dict(request["parameters"])
    if "cod_format" in parameters:
        parameters["cod_format"] = module.GrkFileFmt[parameters["cod_format"]]
    if "mode" in parameters:
        # The packages take members of their enum only, one at a time, and of those the value: so combinations work.
        parameters["mode"] = types.SimpleNamespace(value=parameters["mode"])
    if "quality_layers" in parameters:
        parameters["quality_layers"] = np.array(parameters["quality_layers"], dtype=np.float64)
    module.set_params_defaults(**parameters)
    coding = {"codec": CODECS[name], "filters": [], "splitmode": blosc2.SplitMode.NEVER_SPLIT, "nthreads": 1}
    coded = blosc2.asarray(array, chunks=array.shape, blocks=array.shape, cparams=coding)
    chunk = coded.schunk.get_chunk(0)
    start = struct.unpack("<i", chunk[32:36])[0]
    size = struct.unpack("<i", chunk[start : start + 4])[0]
    with open(request["out"], "wb") as stream:
        stream.write(chunk[start + 4 : start + 4 + size])
    return {"ok": size}


def main():
    # The plugins print; answers go to a copy of standard output that they do not know.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    name = sys.argv[1]
    module = importlib.import_module(f"blosc2_{name}")
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"decode": decode, "encode": encode}[request["op"]](module, name, request)
        except Exception as error:
            answer = {"error": repr(error)}
        answers.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
