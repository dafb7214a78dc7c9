"""``promptable deploy``: bring the functions into CVAT's model list."""

import argparse

from promptable.cli.deploy import arguments
from promptable.cli.deploy.command import REPOSITORY, deploy
from promptable.deploy.options import all_functions


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's, and what runs it."""
    arguments.add_arguments(parser, all_functions(REPOSITORY))
    parser.set_defaults(run=deploy)
