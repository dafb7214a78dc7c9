"""``promptable propagate``: objects on one frame are followed through a video, and become tracks in CVAT."""

import argparse

from promptable.cli.cvat.propagate import arguments
from promptable.cli.cvat.propagate.command import propagate


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's, and what runs it."""
    arguments.add_arguments(parser)
    parser.set_defaults(run=propagate)
