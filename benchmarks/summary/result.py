"""What became of a run's benchmarks."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from benchmarks.measure import Row


@dataclass
class Result:
    """A benchmark's rows so far, and why there are no more, if it failed or was not finished."""

    name: str
    about: str
    rows: list[Row] = field(default_factory=list)
    seconds: float = 0.0
    failure: str = ""


def as_json(machine: Mapping[str, str], results: Sequence[Result]) -> str:
    """All of it."""
    return json.dumps({"machine": machine, "benchmarks": [asdict(each) for each in results]}, indent=2) + "\n"
