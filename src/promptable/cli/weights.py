"""``promptable download``: official checkpoints."""

import argparse
import os
import sys
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("models", nargs="+", metavar="model", help="such as swin-t, vit_b, sam2.1-large")
    add_folder(parser, "where to")
    parser.add_argument("--mirror", default="", metavar="URL", help="folder that holds the files under their own names")
    parser.set_defaults(run=_download)


def add_folder(parser: argparse.ArgumentParser, what: str) -> None:
    """``--weights``, the folder of the checkpoints; ``what`` is its help."""
    default = Path(os.environ.get("PROMPTABLE_WEIGHTS") or "weights")
    where = f"{what} (default: PROMPTABLE_WEIGHTS, or weights)"
    parser.add_argument("--weights", type=Path, default=default, metavar="DIR", help=where)


def _download(parsed: argparse.Namespace) -> int:
    from promptable.models.download import download

    try:
        for model in parsed.models:
            for file in download(model, parsed.weights, parsed.mirror):
                sys.stdout.write(f"{file}\n")
    except (ValueError, RuntimeError, OSError) as error:
        sys.stderr.write(f"promptable download: {error}\n")
        return 1
    return 0
