"""``promptable warm``: the frames that a person will click into next, encoded before."""

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from promptable.cli.cvat.options import add_server_arguments, connected
from promptable.cli.cvat.outcome import failures, told
from promptable.cli.terminal import say
from promptable.cli.values import count, frame_number
from promptable.cvat.plural import counted
from promptable.cvat.server.errors import CvatError

if TYPE_CHECKING:
    from promptable.cvat.server.frames import Frames
    from promptable.cvat.warm import Warmed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--job", type=count, required=True, metavar="N", help="the person's job")
    add("--next", type=count, default=50, metavar="COUNT", help="how many frames (default: 50)")
    add(
        "--from", type=frame_number, dest="first", metavar="FRAME", help="from this frame on (default: the job's first)"
    )
    add("--via-cvat", default="sam-interactor", metavar="NAME", help="the interactor (default: sam-interactor)")
    add("--yes", action="store_true", help="do not ask whether there is room for them")
    add_server_arguments(parser)
    kept = "what is encoded is kept: the same command is soon past it"
    parser.set_defaults(run=lambda parsed: told("warm", lambda: _warm(parsed), kept))


def _warm(parsed: argparse.Namespace) -> int:
    from rich.progress import Progress

    from promptable.cvat.functions import CvatFunction, Source
    from promptable.cvat.server.frames import Frames
    from promptable.cvat.warm import warm

    with connected(parsed, writes=True) as client:
        frames = Frames(client, job=parsed.job)
        numbers = _numbers(parsed, frames)
        function = CvatFunction(client, parsed.via_cvat, Source(frames.task.id, parsed.job), kind="interactor")
        _ask(len(numbers), yes=parsed.yes)
        with Progress(transient=True, disable=not sys.stderr.isatty()) as progress:
            bar = progress.add_task("encoding", total=len(numbers))
            warmed = warm(function, frames, numbers, lambda: progress.advance(bar))
    return _report(warmed)


def _numbers(parsed: argparse.Namespace, frames: "Frames") -> "Sequence[int]":
    """The frames that come next. Raises CvatError where there are none."""
    following = [number for number in frames.numbers if parsed.first is None or number >= parsed.first]
    if not following:
        last = f": its last is {frames.numbers[-1]}" if frames.numbers else ""
        raise CvatError(f"job {parsed.job} has no frame from {parsed.first or 0} on{last}")
    return following[: parsed.next]


def _report(warmed: "Warmed") -> int:
    """Say what it took and whether it lasts; returns the exit status."""
    clicks = f"a click took {warmed.first_seconds:.2f} s at first, another one then {warmed.again_seconds:.2f} s"
    say(f"{counted(warmed.frames, 'frame')} encoded; {clicks}")
    if not warmed.is_kept:
        say(
            "That is not much quicker: the model is fast beside CVAT's own work, or had the picture before, or keeps "
            "nothing: is there room, and with several workers a Redis that they share?"
        )
    return failures(warmed.errors)


def _ask(frames: int, *, yes: bool) -> None:
    """Say what it takes and where it goes, and go on only if told. Raises CvatError."""
    from promptable.cvat.warm import LIFETIME, MEGABYTES

    sam, sam2 = (frames * each for each in MEGABYTES)
    say(
        f"{counted(frames, 'frame')}: {sam} MB with SAM, {sam2} MB with SAM 2.1, kept until {LIFETIME}, in the "
        "interactor's memory (PROMPTABLE_FEATURE_CACHE_MB, the oldest go first), and in the Redis of "
        "CVAT_FUNCTIONS_REDIS_HOST, where it has one. If that is CVAT's own, it takes the room of CVAT's pictures."
    )
    if not (yes or (sys.stdin.isatty() and input("Type yes to go on: ").strip() == "yes")):
        raise CvatError("nothing was encoded: --yes says that there is room")
