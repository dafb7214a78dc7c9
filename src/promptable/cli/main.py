"""The command ``promptable``. A command imports what it needs only when it runs."""

import argparse
import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper

from promptable.cli import deploy, models, serve, weights
from promptable.cli.cvat import annotate, effort, labels, preview, propagate, review, segments, stats, warm
from promptable.cli.parser import CommandsFormatter, IntermixedParser
from promptable.cli.terminal import CUT_OFF, DONE, INTERRUPTED, warn


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command with these arguments (None: those of the process); returns the exit status, 130 after Ctrl-C."""
    about = "Promptable foundation models inside CVAT."
    parser = argparse.ArgumentParser(prog="promptable", description=about, formatter_class=CommandsFormatter)
    parser.add_argument("--version", action="store_true", help="say which version this is, and no more")
    parser.set_defaults(run=lambda parsed: _say_version() if parsed.version else parser.print_help())
    commands = parser.add_subparsers(metavar="command", parser_class=IntermixedParser)
    add = commands.add_parser
    serve.add_arguments(add("serve", help="run the functions without Docker, for CVAT or for trying them out"))
    models.add_arguments(add("models", help="the models: how large, how good, and which lie here"))
    weights.add_arguments(add("download", help="fetch official checkpoints and check their SHA-256"))
    labels.add_arguments(add("labels", help="labels.yaml to what CVAT reads, and back from a task"))
    preview.add_arguments(add("preview", help="try words on a few frames: a page with thresholds to move"))
    annotate.add_arguments(add("annotate", help="words on every frame of a task, uploaded into CVAT"))
    propagate.add_arguments(add("propagate", help="objects on one frame are followed through a video, as tracks"))
    effort.add_arguments(add("effort", help="how much people corrected of automatic labels, and what to set better"))
    review.add_arguments(add("review", help="what people should look at first, as links, a page, issues or jobs"))
    segments.add_arguments(add("segments", help="what tags say frame by frame becomes ranges, with times"))
    stats.add_arguments(add("stats", help="what a task holds, and what of it looks wrong; it only reads"))
    warm.add_arguments(add("warm", help="encode the frames that a person will click into next"))
    deploy.add_arguments(add("deploy", help="bring the functions into CVAT's model list; the same as ./deploy.sh"))
    parsed = parser.parse_args(arguments)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a label of any script, a terminal of one
    try:
        status = parsed.run(parsed) or DONE
        sys.stdout.flush()
    except KeyboardInterrupt:
        warn("interrupted")
        return INTERRUPTED
    except BrokenPipeError:  # as of "promptable stats | head", which has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # where Python writes what is left, at its end
        return CUT_OFF
    return status


def _say_version() -> None:
    from importlib.metadata import version

    sys.stdout.write(f"promptable {version('promptable')}\n")
