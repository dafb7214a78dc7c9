"""What commands say on the terminal: tables, how they failed, and the exit status."""

import signal
import sqlite3
import sys
from collections.abc import Callable, Mapping, Sequence

from promptable.cvat.server.errors import CvatError

DONE, WRONG, FOUND, INTERRUPTED = 0, 1, 3, 130
"""Exit statuses; ``FOUND`` is of work that is done and has something to tell, such as frames that failed."""
_CONTROLS = {code: "\N{REPLACEMENT CHARACTER}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}
_WIDE = 200
"""Columns where the output is no terminal: links stay whole."""


def told(command: str, work: Callable[[], int], if_interrupted: str) -> int:
    """The exit status of the work; ``WRONG`` with a sentence for what CVAT, a file or the journal refuses.

    ``if_interrupted`` says what is kept after Ctrl-C, or what to do.
    """
    try:
        return work()
    except OSError as error:
        where = "" if error.filename is None else f"{error.filename}: "
        complain(command, f"{where}{error.strerror or error}")
    except sqlite3.Error as error:
        complain(command, f"the journal of this task cannot be used ({error}): is there room, and may it be written?")
    except CvatError as error:
        complain(command, str(error))
    except KeyboardInterrupt:
        complain(command, f"interrupted; {if_interrupted}")
        return INTERRUPTED
    return WRONG


def told_and_resumable(command: str, work: Callable[[], int]) -> int:
    """As ``told``, of work that goes on where Ctrl-C or SIGTERM stopped it."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    return told(command, work, "the same command goes on where it stopped")


def complain(command: str, sentence: str) -> None:
    """Say on standard error what is wrong."""
    sys.stderr.write(_harmless(f"promptable {command}: {sentence}\n"))


def _harmless(text: str) -> str:
    """Without control characters: in a label's name, say, they could clear a terminal or write to its clipboard."""
    return text.translate(_CONTROLS)


def say(what: object) -> None:
    """Print a sentence, or the path of what was written, as a line."""
    sys.stdout.write(_harmless(f"{what}\n"))


def left_alone(sentence: str) -> None:
    """Print what the command does not touch, and why."""
    say(f"left alone: {sentence}")


def failures(errors: Mapping[int, str]) -> int:
    """List the frames that failed, and why; returns the exit status."""
    for frame, error in sorted(errors.items()):
        sys.stderr.write(_harmless(f"frame {frame} failed: {error}\n"))
    return FOUND if errors else DONE


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
        table.add_row(*(Text(_harmless(str(cell))) for cell in row))
    Console(file=sys.stdout, width=None if sys.stdout.isatty() else _WIDE).print(table)
