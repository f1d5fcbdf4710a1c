"""The command line: ``blosc2-grok`` and ``python -m blosc2_grok``."""
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import argparse
import signal
import sys
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Sequence

# Exit codes: 0 it worked; 1 it did not, or verify found a difference; 2 the command line was wrong; 130 interrupted.
FAILED, USAGE, INTERRUPTED = 1, 2, 130


class CommandError(ValueError):
    """What the user is told; the message names what is wrong."""


def _integers(text: str) -> tuple[int, ...]:
    try:
        values = tuple(int(part) for part in text.replace("x", ",").split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of integers such as 1,1024,1024") from None
    if min(values) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: every number must be at least 1")
    return values


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form name=value")
    return name.strip(), value.strip()


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")
    return value


def _count(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a count")
    return int(text)


def _quality(parser: argparse.ArgumentParser) -> None:
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--lossless", action="store_true", help="bit-exact (the default)")
    group.add_argument("--ratio", type=_positive, metavar="R", help="raw bytes / coded bytes of every block")
    group.add_argument("--psnr", type=_positive, metavar="P", help="PSNR of every block in dB")
    group.add_argument("--max-error", type=_count, metavar="E", help="no sample differs by more than E")
    parser.add_argument(
        "--ht", action="store_true", help="High-Throughput coding: several times faster, some bytes more"
    )
    parser.add_argument(
        "--param", type=_setting, action="append", default=[], metavar="NAME=VALUE",
        help="any other encoding parameter, as in blosc2_grok.parameter_table()",
    )  # fmt: skip


def _raw(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("raw samples")
    group.add_argument("--shape", type=_integers, metavar="N,H,W", help="shape of a file without a header")
    group.add_argument("--dtype", metavar="TYPE", help="its dtype as NumPy writes it, such as uint16 or >u2")
    group.add_argument("--offset", type=_count, default=0, metavar="BYTES", help="where its samples begin")


def _common(parser: argparse.ArgumentParser, *, output: str | None = None, required: bool = True) -> None:
    if output:
        parser.add_argument("-o", "--output", required=required, metavar="OUT", help=output)
        parser.add_argument("-f", "--force", action="store_true", help="overwrite what is there")
    parser.add_argument("--threads", type=_count, default=0, metavar="N", help="0 (default): one a processor")
    parser.add_argument("-q", "--quiet", action="store_true", help="errors only")


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="blosc2-grok",
        description="JPEG 2000 compression of image stacks in Blosc2, HDF5 and Zarr files.",
        epilog="Array names are paths: x.b2nd, file.h5:/entry/data, x.zarr, x.npy, images (PNG, TIFF, JP2, PNM) or folders of them.",
    )
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    p = commands.add_parser("compress", help="code images or an array into .b2nd, HDF5 or Zarr")
    p.add_argument("inputs", nargs="+", metavar="IN", help="image files, a folder of them, or an array")
    _common(p, output="x.b2nd, file.h5:/entry/data or x.zarr")
    _quality(p)
    p.add_argument("--chunks", type=_integers, metavar="N,H,W", help="shape of a chunk; default: one image")
    p.add_argument("--blocks", type=_integers, metavar="N,H,W", help="shape of the coded images; default: the chunk")
    _raw(p)

    p = commands.add_parser("decompress", help="decode into .npy, .tif, .png, raw samples or plain HDF5")
    p.add_argument("input", metavar="IN")
    _common(p, output="x.npy, x.tif, x.png, x.raw or file.h5:/entry/data")

    p = commands.add_parser("info", help="the array, its blocks and their coding parameters")
    p.add_argument("input", metavar="IN", help="x.b2nd, file.h5:/entry/data, or a JPEG 2000 file")
    p.add_argument("--json", action="store_true", help="as JSON")

    p = commands.add_parser("verify", help="decode everything, and compare with the original")
    p.add_argument("input", metavar="IN")
    p.add_argument("original", nargs="*", metavar="ORIGINAL", help="what it was made from")
    p.add_argument("--exact", action="store_true", help="fail unless every sample is equal")
    p.add_argument("--min-psnr", type=_positive, metavar="P", help="fail below this PSNR in dB")
    p.add_argument("--max-error", type=_count, metavar="E", help="fail when a sample differs by more than E")
    p.add_argument("--json", action="store_true", help="as JSON")
    _raw(p)
    _common(p)

    p = commands.add_parser("preview", help="a PNG at a lower resolution, decoding only that")
    p.add_argument("input", metavar="IN")
    _common(p, output="x.png")
    p.add_argument(
        "--index",
        type=_integers_or_zero,
        default=(),
        metavar="I[,J]",
        help="which image of a stack (default: the middle)",
    )
    p.add_argument("--size", type=_count, default=1024, metavar="PIXELS", help="longest side at most (default 1024)")
    p.add_argument("--reduce", type=_count, metavar="N", help="instead of --size: levels to leave out")

    p = commands.add_parser("export", help="write every block as the JPEG 2000 file it is")
    p.add_argument("input", metavar="IN")
    _common(p, output="a folder")

    p = commands.add_parser("import", help="put JPEG 2000 files into a .b2nd without coding them again")
    p.add_argument("inputs", nargs="+", metavar="IN.jp2", help="files of one size, or a folder of them")
    _common(p, output="x.b2nd")

    p = commands.add_parser("transcode", help="change the coding of a .b2nd or JPEG 2000 file without loss")
    p.add_argument("input", metavar="IN")
    _common(p, output="the same kind of file")
    group = p.add_mutually_exclusive_group()
    group.add_argument("--ht", action="store_true", help="to High-Throughput coding")
    group.add_argument("--part1", action="store_true", help="to JPEG 2000 Part 1 coding")
    p.add_argument("--progression", choices=["LRCP", "RLCP", "RPCL", "PCRL", "CPRL"])

    p = commands.add_parser("bench", help="speed of this machine on an image of yours")
    p.add_argument("input", nargs="?", metavar="IN", help="an image or array; default: a synthetic one")
    p.add_argument("--seconds", type=_positive, default=1.0, help="time for each figure (default 1)")
    p.add_argument("--threads", type=_count, default=1)

    p = commands.add_parser("doctor", help="what is installed, what Blosc2 and HDF5 will find, a self-test")
    p.add_argument("--json", action="store_true", help="as JSON")
    return parser


def _integers_or_zero(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not an index such as 12 or 3,0") from None


def _dispatch(args: argparse.Namespace) -> int:
    # Imported when needed, so that --help and wrong options answer at once.
    if args.command in ("compress", "decompress"):
        from . import arrays as module
    elif args.command in ("info", "verify", "preview"):
        from . import look as module  # type: ignore[no-redef]
    elif args.command in ("export", "import", "transcode"):
        from . import streams as module  # type: ignore[no-redef]
    else:
        from . import doctor as module  # type: ignore[no-redef]
    name = "import_" if args.command == "import" else args.command
    return int(getattr(module, name)(args) or 0)


def fail(message: str) -> NoReturn:
    raise CommandError(message)


def _terminate(*_: object) -> NoReturn:
    """As an interrupt: what was begun is removed."""
    raise KeyboardInterrupt


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    parser = build_parser()
    args: Any = parser.parse_args(argv)
    if args.version:
        from .. import __version__

        print(f"blosc2-grok {__version__}")
        return 0
    if not args.command:
        parser.print_usage(sys.stderr)
        print("blosc2-grok: which command? --help lists them", file=sys.stderr)
        return USAGE
    try:
        return _dispatch(args)
    except CommandError as error:
        print(f"blosc2-grok: {error}", file=sys.stderr)
        return FAILED
    except (ValueError, OSError, MemoryError, RuntimeError) as error:
        print(f"blosc2-grok: {error or type(error).__name__}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("blosc2-grok: interrupted; nothing was left behind", file=sys.stderr)
        return INTERRUPTED


def entry() -> int:
    """The program ``blosc2-grok``."""
    signal.signal(signal.SIGTERM, _terminate)
    return main()
