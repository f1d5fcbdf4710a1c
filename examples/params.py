# The ways to say how arrays are coded: for the process, for one array, and without Blosc2.
# SPDX-License-Identifier: BSD-3-Clause
"""usage: python examples/params.py [IMAGE]"""

import sys
from pathlib import Path

import blosc2
import numpy as np
from PIL import Image

import blosc2_grok

CODING = {"codec": blosc2.Codec.GROK, "filters": [], "splitmode": blosc2.SplitMode.NEVER_SPLIT}


def store(image: np.ndarray, **cparams) -> blosc2.NDArray:
    """One chunk of one block: the whole image is one JPEG 2000 file inside Blosc2."""
    return blosc2.asarray(image, chunks=image.shape, blocks=image.shape, cparams={**CODING, **cparams})


def report(what: str, image: np.ndarray, decoded: np.ndarray, coded: int) -> None:
    error = np.mean((image.astype(float) - decoded) ** 2)
    quality = "exact" if error == 0 else f"{10 * np.log10(255**2 / error):6.2f} dB"
    print(f"{what:50} {image.nbytes / coded:7.2f} to 1   {quality}")


def stored(what: str, image: np.ndarray, **cparams) -> None:
    array = store(image, **cparams)
    report(what, image, array[:], array.schunk.cbytes)


def main() -> None:
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("kodim23.png")
    image = np.asarray(Image.open(path).convert("RGB"))

    # 1. The defaults of the process: what is not given keeps its value; no arguments reset everything.
    stored("lossless, as nothing was set", image)
    for parameters in (
        {"quality_mode": "rates", "quality_layers": [20]},
        {"quality_mode": "rates", "quality_layers": [80, 40, 20]},
        {"quality_mode": "rates", "quality_layers": [20], "irreversible": False},
        {"quality_mode": "dB", "quality_layers": [40]},
        {"tile_size": (256, 256), "progression": "RPCL", "precinct_size": (128, 128)},
        {"mode": blosc2_grok.GrkMode.LAZY, "codeblock_size": (32, 32), "num_resolutions": 4},
        {"cod_format": blosc2_grok.GrkFileFmt.GRK_FMT_J2K},
    ):
        blosc2_grok.set_params_defaults()
        blosc2_grok.set_params_defaults(**parameters)
        name = ", ".join(f"{k}={getattr(v, 'name', v)}" for k, v in parameters.items() if k != "quality_mode")
        stored(name[:50], image)
    blosc2_grok.set_params_defaults()

    # 2. One array: codec_meta is ten times the compression ratio. Other arrays stay lossless.
    stored("codec_meta=150, this array only", image, codec_meta=150)
    stored("lossless again", image)

    # 3. Without Blosc2: a JP2 file in memory, and views of it that are cheaper than the whole.
    data = blosc2_grok.encode(image, quality_mode="rates", quality_layers=[60, 30, 15], progression="RLCP")
    report("encode(), all three layers", image, blosc2_grok.decode(data), len(data))
    first = blosc2_grok.decode(data, layers=1)
    report("encode(), the first layer only", image, first, len(data))
    print("a quarter of the size:", blosc2_grok.decode(data, reduce=2).shape)
    print("a region:", blosc2_grok.decode(data, region=(100, 50, 300, 250)).shape)
    description = blosc2_grok.info(data)
    print("layers:", description.get("num_layers"), " boxes:", [box["type"] for box in description["boxes"]])

    # 4. Mistakes are named before anything is coded.
    try:
        blosc2_grok.set_params_defaults(codeblock_size=(100, 64))
    except ValueError as error:
        print("ValueError:", error)


if __name__ == "__main__":
    main()
