"""The cases in a process of their own, which may die, or hang, at any of them."""

import multiprocessing
from multiprocessing.connection import Connection

from rich.progress import Progress, TextColumn, TimeElapsedColumn

from fuzz.run import Finding, run
from fuzz.targets import Target, light_targets

_LOADING = "loading the models"
_HANGS_AFTER = 120
_LOADS_WITHIN = 600
"""Seconds for one case, and for the models, of a machine that may be busy with others."""


def targets(light: bool) -> list[Target]:
    """All, or those that need no model."""
    if light:
        return light_targets()
    from fuzz.functions import function_targets

    return [*light_targets(), *function_targets() * 2]


def watched(seconds: float, seed: int, light: bool) -> list[Finding]:
    """What is found in some seconds; that the process died, or hangs, is a finding too."""
    here, there = multiprocessing.Pipe()
    worker = multiprocessing.get_context("spawn").Process(target=_work, args=(there, seconds, seed, light))
    worker.start()
    there.close()
    case, columns = _LOADING, (TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns) as progress:
        bar = progress.add_task("loading", total=None)
        while here.poll(_LOADS_WITHIN if case == _LOADING else _HANGS_AFTER):
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
    return [Finding(case, "no end in sight")]


def _work(pipe: Connection, seconds: float, seed: int, light: bool) -> None:
    _, findings = run(targets(light), seconds, seed, lambda case, found: pipe.send((case, found)))
    pipe.send(findings)
