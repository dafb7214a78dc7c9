"""``make fuzz``: for some minutes, in a process of its own, which is watched.

``python -m fuzz --seconds 20 --light`` leaves the models out. ``python -m fuzz --case 7:123`` runs one case again.
"""

import argparse
import multiprocessing
import sys
import time
from multiprocessing.connection import Connection

from rich.progress import Progress, TextColumn, TimeElapsedColumn

from fuzz.run import Finding, run, run_case
from fuzz.targets import Target, light_targets

_HANGS_AFTER = 120
"""Seconds for one case, of a machine that may be busy with others."""


def main() -> None:
    """Fuzz, and exit with 1 when something was found."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--seed", type=int, default=int(time.time()), help="cases are the same for the same seed")
    parser.add_argument("--light", action="store_true", help="the readers of pictures, requests and labels alone")
    parser.add_argument("--case", help="only this one, by the name that a finding gave it")
    options = parser.parse_args()
    if options.case:
        findings = [finding] if (finding := run_case(_targets(options.light), options.case)) else []
    else:
        findings = _watched(options.seconds, options.seed, options.light)
    for finding in findings:
        print(f"case {finding.case}: {finding.what}", file=sys.stderr)
    sys.exit(1 if findings else 0)


def _targets(light: bool) -> list[Target]:
    if light:
        return light_targets()
    from fuzz.functions import function_targets

    return [*light_targets(), *function_targets() * 2]


def _watched(seconds: float, seed: int, light: bool) -> list[Finding]:
    """What a process finds that may die, or hang, at any case."""
    here, there = multiprocessing.Pipe()
    worker = multiprocessing.get_context("spawn").Process(target=_work, args=(there, seconds, seed, light))
    worker.start()
    there.close()
    case, columns = "the models", (TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns) as progress:
        bar = progress.add_task("loading", total=None)
        while here.poll(_HANGS_AFTER):
            try:
                message = here.recv()
            except EOFError:
                worker.join()
                return [Finding(case, f"the process died of {worker.exitcode}")]
            if isinstance(message, list):
                worker.join()
                return message
            case, found = message
            progress.update(bar, description=f"case {case}, {found} findings")
    worker.kill()
    return [Finding(case, f"no end after {_HANGS_AFTER} s")]


def _work(pipe: Connection, seconds: float, seed: int, light: bool) -> None:
    _, findings = run(_targets(light), seconds, seed, lambda case, found: pipe.send((case, found)))
    pipe.send(findings)


if __name__ == "__main__":
    main()
