"""What commands say on the terminal: sentences, tables, and the exit status."""

import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from promptable.cvat.escaping import for_a_terminal

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

DONE, WRONG, MISUSED, FOUND, INTERRUPTED, CUT_OFF = 0, 1, 2, 3, 130, 141
"""Exit statuses; ``FOUND`` is of work that is done and has something to tell, such as frames that failed. ``MISUSED``
is argparse's own, for options; ``CUT_OFF`` the shell's for a command that nobody reads any more (128 + SIGPIPE)."""
_BETWEEN = 2
"""Columns of the terminal between those of a table."""
_LONG_NAME = 30
_ENDING = re.compile(r" +\n")
"""Spaces behind the last word would begin another line where links are longer than the terminal is wide."""
_WIDE = 200
"""Columns where the output is no terminal: links stay whole."""


def complain(command: str, sentence: str) -> None:
    """Say on standard error what is wrong with a command."""
    warn(f"promptable {command}: {sentence}")


def warn(what: object) -> None:
    """Print a sentence on standard error."""
    sys.stderr.write(for_a_terminal(f"{what}\n"))


def say(what: object) -> None:
    """Print a sentence, or the path of what was written, as a line."""
    sys.stdout.write(for_a_terminal(f"{what}\n"))


def left_alone(sentence: str) -> None:
    """Print what the command does not touch, and why."""
    say(f"left alone: {sentence}")


def show(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table, texts to the left and whole numbers to the right; nothing without rows.

    What people have named is shown as it is: rich's own marks in it mean nothing. Lines break between words, and where
    these are more than a terminal's line holds, as links are, they are longer: a link in two parts is none. Columns
    move together before that, and links of the last one, which would leave the words no room, go below their rows.
    """
    from rich.console import Console

    if not rows:
        return
    columns = list(zip(headings, *rows, strict=True))
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else _WIDE)
    links: Sequence[object] = [""] * (1 + len(rows))
    if _crowded_by_links(columns, console.width):
        links = ["", *columns.pop()[1:]]
    with console.capture() as lines:
        _print(console, columns, links)
    sys.stdout.write(_ENDING.sub("\n", lines.get()))


def _print(console: "Console", columns: Sequence[Sequence[object]], links: Sequence[object]) -> None:
    """Line by line, each with its link below, if there is one."""
    from rich.text import Text

    least = sum(map(_longest_word, columns))
    between = _BETWEEN if least + _BETWEEN * len(columns) <= console.width else 1
    widths = _widths(columns, console.width - between * len(columns))
    console.width = max(console.width, sum(widths) + between * len(columns))
    for number, (*cells, link) in enumerate(zip(*columns, links, strict=True)):
        console.print(_line(cells, columns, widths, between), style="" if number else "bold", crop=False)
        if link:
            console.print(Text(for_a_terminal(f"   {link}")), soft_wrap=True)


def _crowded_by_links(columns: Sequence[Sequence[object]], room: int) -> bool:
    """Whether the last column is of links that the others, at their full width, do not fit beside."""
    widths = _widths(columns, sys.maxsize)
    return str(columns[-1][-1]).startswith("http") and sum(widths) + _BETWEEN * len(columns) > room


def _line(cells: Sequence[object], columns: Sequence[Sequence[object]], widths: Sequence[int], between: int) -> "Table":
    """The headings or a row of a table, for rich to print."""
    from rich.table import Table
    from rich.text import Text

    line = Table(box=None, show_header=False, padding=(0, 1, 0, between - 1))
    for column, width in zip(columns, widths, strict=True):
        justify: Literal["right", "left"] = "right" if isinstance(column[1], int) else "left"
        line.add_column(justify=justify, overflow="fold", width=width)
    line.add_row(*(Text(for_a_terminal(str(cell))) for cell in cells))
    return line


def _widths(columns: Sequence[Sequence[object]], room: int) -> list[int]:
    """Of each column as much as it has to say, or less of the widest, down to its words."""
    from rich.cells import cell_len

    widths = [max(cell_len(str(cell)) for cell in column) for column in columns]
    least = list(map(_longest_word, columns))
    while sum(widths) > room and widths != least:
        widest = max(range(len(widths)), key=lambda i: (widths[i] > least[i], widths[i]))
        widths[widest] -= 1
    return widths


def _longest_word(column: Sequence[object]) -> int:
    """Columns of the terminal; of a name without spaces a part."""
    from rich.cells import cell_len

    words = [word for cell in column for word in str(cell).split()]
    return max((cell_len(word) if "://" in word else min(cell_len(word), _LONG_NAME) for word in words), default=0)
