"""Case after case within bounds of time and memory, in this process."""

import time
import traceback
from collections.abc import Callable, Sequence
from random import Random
from typing import NamedTuple

from benchmarks.measure import peak_megabytes
from fuzz.targets import Target

MOST_SECONDS = 10.0
"""Processor time of one case, of small pictures and bodies."""
MOST_MEGABYTES = 512
"""What one case may add to the most that the process ever held."""


class Finding(NamedTuple):
    """A case that did what none may: its number names it again."""

    case: str
    what: str


def run(
    targets: Sequence[Target], seconds: float, seed: int, starting: Callable[[str, int], None] = lambda *_: None
) -> tuple[int, list[Finding]]:
    """How many cases were run, and what they found. ``starting`` is told of each case before it runs."""
    findings: list[Finding] = []
    cases, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        name = f"{seed}:{cases}"
        starting(name, len(findings))
        finding = run_case(targets, name)
        findings += [finding] if finding else []
        cases += 1
    return cases, findings


def run_case(targets: Sequence[Target], name: str) -> Finding | None:
    """One case by its name."""
    rng = Random(name)
    target = rng.choice(targets)
    started, held = time.process_time(), peak_megabytes()
    try:
        target(rng)
    except Exception:  # noqa: BLE001 - whatever it is, it is a finding
        return Finding(name, f"{target.__name__}: {traceback.format_exc()}")
    took, grown = time.process_time() - started, peak_megabytes() - held
    if took > MOST_SECONDS or grown > MOST_MEGABYTES:
        return Finding(name, f"{target.__name__}: {took:.1f} s, {grown:.0f} MB more")
    return None
