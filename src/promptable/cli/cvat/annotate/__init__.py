"""``promptable annotate``: words on every frame of a task, project or job, uploaded into CVAT."""

import argparse

from promptable.cli.cvat.annotate import arguments
from promptable.cli.cvat.annotate.command import annotate


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's, and what runs it."""
    arguments.add_arguments(parser)
    parser.set_defaults(run=annotate)
