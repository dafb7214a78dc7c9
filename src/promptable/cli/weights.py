"""``promptable download``: official checkpoints."""

import argparse
import sys
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("models", nargs="+", metavar="model", help="such as swin-t, vit_b, sam2.1-large")
    parser.add_argument(
        "--weights", type=Path, default=Path("weights"), metavar="DIR", help="where to (default: weights)"
    )
    parser.add_argument("--mirror", default="", metavar="URL", help="folder that holds the files under their own names")
    parser.set_defaults(run=_download)


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
