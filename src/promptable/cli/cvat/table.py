"""Tables on the terminal."""

import sys
from collections.abc import Sequence

_WIDE = 200
"""Columns where the output is no terminal: links stay whole."""


def show(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table, texts to the left and whole numbers to the right; nothing without rows.

    What people have named is shown as it is: rich's own marks in it mean nothing.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not rows:
        return
    table = Table(box=None)
    for heading, cell in zip(headings, rows[0], strict=True):
        table.add_column(heading, justify="right" if isinstance(cell, int) else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    Console(file=sys.stdout, width=None if sys.stdout.isatty() else _WIDE).print(table)
