"""What the command does: a run whose options are right, to its end or to where it is stopped."""

import argparse
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from promptable.cli.deploy.arguments import options_of
from promptable.cli.terminal import DONE, INTERRUPTED, WRONG
from promptable.deploy.options import Action, Options, all_functions, problems

if TYPE_CHECKING:
    from promptable.deploy.console import Console

REPOSITORY = Path(__file__).parents[4]


def deploy(parsed: argparse.Namespace) -> int:
    """The exit status: 0 when all is done, 1 for what is wrong, 130 after Ctrl-C or SIGTERM."""
    from promptable.deploy.console import Console

    options = options_of(parsed)
    return _run(options, Console(options.dry_run))


def _run(options: Options, console: "Console") -> int:
    from promptable.deploy.actions import Run
    from promptable.deploy.console import StoppedError

    try:
        wrong = list(problems(options, all_functions(REPOSITORY)))
        console.problems(wrong)
        if wrong:
            return WRONG
        with _ended_as_by_ctrl_c(), tempfile.TemporaryDirectory(prefix="promptable-deploy-") as work:
            Run(options, console, REPOSITORY, Path(work))()
    except StoppedError:
        return WRONG
    except OSError as error:
        where = "" if error.filename is None else f"{error.filename}: "
        console.problem(f"{where}{error.strerror or error}", "may this user read and write there, and is there room?")
        return WRONG
    except KeyboardInterrupt:
        if options.action is not Action.LOGS:  # which only end so
            console.warn("interrupted: run the same command again, or rollback: what is half deployed is cleared then")
        return INTERRUPTED
    return DONE


@contextmanager
def _ended_as_by_ctrl_c() -> Iterator[None]:
    """Inside, SIGTERM and the SIGHUP of a terminal that closes are what Ctrl-C is; what nohup ignores stays ignored."""
    numbers = [each for each in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(each) is not signal.SIG_IGN]
    before = {number: signal.signal(number, signal.default_int_handler) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
