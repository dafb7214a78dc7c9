"""What a person asks of a run; a resumed run must ask the same."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from promptable.cvat.server.errors import CvatError

COMMAND = "annotate"
"""What the journal calls its runs."""
FLOOR = 0.1
"""What is at least so sure is kept in the journal, uploaded or not."""


class Mode(StrEnum):
    """What happens on frames that have annotations."""

    SKIP_ANNOTATED = "skip-annotated"
    APPEND = "append"
    REPLACE = "replace"
    REPLACE_ALL = "replace-all"


REPLACING = (Mode.REPLACE, Mode.REPLACE_ALL)
"""Something is deleted before anything is added."""


class Include(StrEnum):
    """What is left alone unless it is named."""

    COMPLETED = "completed"
    """Jobs that people have handed in: completed or rejected."""
    GROUND_TRUTH = "ground-truth"
    """Jobs that hold the ground truth, which annotators are measured against."""
    HONEYPOTS = "honeypots"
    """Frames of other jobs whose ground truth is known."""
    DELETED = "deleted"
    """Frames that people took out of the task."""


@dataclass(frozen=True)
class Options:
    """``labels`` are entries as in ``labels.yaml``, None for the function's own; thresholds are in [0, 1]."""

    function: str
    job: int | None = None
    mode: Mode = Mode.SKIP_ANNOTATED
    labels: Sequence[Mapping[str, Any]] | None = None
    frames: str | None = None
    limit: int | None = None
    min_confidence: float | None = None
    review_below: float = 0.45
    polygons: bool = False
    include: Sequence[Include] = ()
    pictures: str | None = None
    """Of a folder of pictures in place of a task: what tells it from another one."""

    def as_json(self) -> dict[str, Any]:
        """As the journal keeps them."""
        return asdict(self) | {"include": list(self.include)}


def check_same(run: int, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise CvatError that names every option in which a resumed run differs."""
    differing = [
        _difference(name, before.get(name), now.get(name))
        for name in {**before, **now}
        if before.get(name) != now.get(name)
    ]
    if differing:
        undo = "" if now.get("pictures") else f"take it back with --undo {run}, "
        raise CvatError(
            f"run {run} is unfinished and was begun with {'; '.join(differing)}: finish it with the same options, "
            f"{undo}or leave it as it is with --new-run"
        )


def _difference(name: str, before: Any, now: Any) -> str:
    if name == "pictures":
        return "other pictures in the folder"
    return f"{_option(name)} {_shown(before)}, now {_shown(now)}"


def _option(name: str) -> str:
    return f"the {name}" if name in ("model", "function") else f"--{name.replace('_', '-')}"


def _shown(value: Any) -> str:
    match value:
        case None | False:
            return "not given"
        case True:
            return "given"
        case [{"name": _}, *_]:
            return f"of {len(value)} labels, {', '.join(str(entry['name']) for entry in value[:3])} ..."
        case list():
            return ",".join(map(str, value)) or "not given"
    return str(value)


def parse_include(text: str) -> list[Include]:
    """``completed,deleted`` as what it names, once each and in one order. Raises ValueError."""
    named = {part.strip() for part in text.split(",")}
    if unknown := named - set(Include):
        raise ValueError(f"expected some of {', '.join(Include)}, got {', '.join(sorted(unknown))!r}")
    return [one for one in Include if one in named]


def parse_frames(text: str) -> list[range]:
    """``0-99,120,200-`` as ranges; an open end reaches to the last frame. Raises ValueError."""
    ranges = []
    for part in text.split(","):
        first, dash, last = (piece.strip() for piece in part.partition("-"))
        if not first.isdecimal() or (last and not last.isdecimal()):
            raise ValueError(f"expected numbers and ranges such as 0-99,120,200-, got {text!r}")
        end = int(last) if last else (2**62 if dash else int(first))
        if end < int(first):
            raise ValueError(f"expected ranges such as 0-99, the lower number first, got {part.strip()!r}")
        ranges.append(range(int(first), end + 1))
    return ranges
