"""The parser of each command."""

import argparse
from collections.abc import Sequence
from typing import Any


class IntermixedParser(argparse.ArgumentParser):
    """Takes positional arguments before, between and after the options, as people write them.

    What it does not know it refuses itself, with its own usage and not that of the command above it.
    A command with commands of its own does not need that, and argparse cannot.
    """

    _parsing = False

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> tuple[Any, list[str]]:  # type: ignore[override]
        if self._parsing or self._subparsers is not None:
            return super().parse_known_args(args, namespace)
        self._parsing = True
        try:
            parsed, unknown = self.parse_known_intermixed_args(args, namespace)
        finally:
            self._parsing = False
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return parsed, unknown


class CommandsFormatter(argparse.HelpFormatter):
    """Gives commands the room that their names need: argparse forgets that they stand further in than options."""

    def add_argument(self, action: argparse.Action) -> None:
        self._indent()
        super().add_argument(action)
        self._dedent()
