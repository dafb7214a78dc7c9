"""``promptable models``: the catalogue, and what of it lies on this machine."""

import argparse
import sys
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from promptable.cli.weights import add_folder

if TYPE_CHECKING:
    from rich.table import Table

    from promptable.models.catalogue import Checkpoint


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_folder(parser, "where to look")
    parser.set_defaults(run=_models)


def _models(parsed: argparse.Namespace) -> int:
    from rich.console import Console

    console = Console()
    try:
        table = _table(parsed.weights, sources := _sources())
    except OSError as error:
        sys.stderr.write(f"promptable models: {error.filename} cannot be looked at: {error.strerror}\n")
        return 1
    console.print(table)
    console.print("\n".join(f"[{number}] {source}" for source, number in sources.items()), markup=False, soft_wrap=True)
    return 0


def _sources() -> dict[str, int]:
    """The URLs of the published figures, numbered."""
    from promptable.models.catalogue import OFFICIAL

    urls = dict.fromkeys(row.figure.source for row in OFFICIAL.values() if row.figure)
    return {url: number for number, url in enumerate(urls, 1)}


def _table(weights: Path, sources: dict[str, int]) -> "Table":
    """The models under their families; in 80 columns a line each, but for a long figure."""
    from rich.table import Table

    from promptable.models.catalogue import OFFICIAL

    table = Table(box=None, pad_edge=False)
    for column in ("model", "size", "download", "memory", "here"):
        table.add_column(column, no_wrap=True)
    table.add_column("for, and how good")
    for family, models in groupby(OFFICIAL.items(), lambda item: item[1].family):
        tasks = ", ".join(family.adapters)
        table.add_row(f"[bold]{family.title}", "", "", "", "", f"{tasks}; {family.licence}")
        for name, row in models:
            table.add_row(name, *_cells(row, weights, sources))
    return table


def _cells(row: "Checkpoint", weights: Path, sources: dict[str, int]) -> tuple[str, ...]:
    from rich.markup import escape

    from promptable.config.models_page import size

    figure = escape(f"{row.figure.words} [{sources[row.figure.source]}]") if row.figure else ""
    here = all((weights / source.file_name).is_file() for source in row.files)
    return f"{row.millions} M", size(row), f"{row.memory_gib} GiB", "yes" if here else "no", figure
