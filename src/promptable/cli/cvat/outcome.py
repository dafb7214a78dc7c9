"""How a command over CVAT ends: its exit status, and a sentence for what went wrong."""

import signal
import sqlite3
from collections.abc import Callable, Mapping

from promptable.cli.terminal import DONE, FOUND, INTERRUPTED, MISUSED, WRONG, complain, warn
from promptable.cvat.server.errors import CvatError, OptionError


def told(command: str, work: Callable[[], int], if_interrupted: str) -> int:
    """The exit status of the work; ``WRONG`` with a sentence for what CVAT, a file or the journal refuses.

    For options that are wrong it is ``MISUSED``. ``if_interrupted`` says what is kept after Ctrl-C, or what to do.
    """
    try:
        return work()
    except BrokenPipeError:  # nobody reads what is printed
        raise
    except OSError as error:
        where = "" if error.filename is None else f"{error.filename}: "
        complain(command, f"{where}{error.strerror or error}")
    except sqlite3.Error as error:
        complain(command, _of_journal(error))
    except OptionError as error:
        complain(command, str(error))
        return MISUSED
    except CvatError as error:
        complain(command, str(error))
    except EOFError:
        complain(command, "nobody answered: --help says which option or variable does")
    except KeyboardInterrupt:
        complain(command, f"interrupted; {if_interrupted}")
        return INTERRUPTED
    return WRONG


def _of_journal(error: sqlite3.Error) -> str:
    if isinstance(error, sqlite3.OperationalError):
        return f"the journal of this task cannot be used ({error}): is there room, and may it be written?"
    remedy = "put a copy in its place, or move it away: what its runs wrote then counts as people's"
    return f"the journal of this task is damaged ({error}): {remedy}"


def told_and_resumable(command: str, work: Callable[[], int]) -> int:
    """As ``told``, of work that goes on where Ctrl-C or SIGTERM stopped it."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    return told(command, work, "the same command goes on where it stopped")


def failures(errors: Mapping[int, str], named: Callable[[int], object] = "frame {}".format) -> int:
    """List the frames, or what else they are ``named``, that failed, and why; returns the exit status."""
    for frame, error in sorted(errors.items()):
        warn(f"{named(frame)} failed: {error}")
    return FOUND if errors else DONE
