"""``promptable models``: the catalogue, and what of it lies on this machine."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from promptable.cli.weights import add_folder

if TYPE_CHECKING:
    from rich.table import Table

_WIDTH = 170
"""A narrower terminal wraps lines, which says more than columns that are cut off."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_folder(parser, "where to look")
    parser.set_defaults(run=_models)


def _models(parsed: argparse.Namespace) -> int:
    from rich.console import Console

    console = Console(width=_WIDTH, soft_wrap=True)
    try:
        table = _table(parsed.weights, sources := _sources())
    except OSError as error:
        sys.stderr.write(f"promptable models: {error.filename} cannot be looked at: {error.strerror}\n")
        return 1
    console.print(table)
    console.print("\n".join(f"[{number}] {source}" for source, number in sources.items()), markup=False)
    return 0


def _sources() -> dict[str, int]:
    """The URLs of the published figures, numbered."""
    from promptable.models.catalogue import OFFICIAL

    urls = dict.fromkeys(row.figure.source for row in OFFICIAL.values() if row.figure)
    return {url: number for number, url in enumerate(urls, 1)}


def _table(weights: Path, sources: dict[str, int]) -> "Table":
    from rich.markup import escape
    from rich.table import Table

    from promptable.config.models_page import size
    from promptable.models.catalogue import OFFICIAL

    table = Table(box=None, pad_edge=False)
    for column in ("model", "family", "task", "size", "download", "memory", "licence", "published", "on disk"):
        table.add_column(column, no_wrap=True)
    for name, row in OFFICIAL.items():
        figure = escape(f"{row.figure.words} [{sources[row.figure.source]}]") if row.figure else ""
        here = all((weights / source.file_name).is_file() for source in row.files)
        sizes = f"{row.millions} M", size(row), f"{row.memory_gib} GiB"
        tasks = ", ".join(row.family.adapters)
        table.add_row(name, row.family.title, tasks, *sizes, row.family.licence, figure, "yes" if here else "no")
    return table
