"""What a run would do that people may not mean: delete what is theirs, or add what an earlier run has added."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from promptable.cvat.annotate.detector import Detector
from promptable.cvat.annotate.options import Mode
from promptable.cvat.annotate.plan import Plan
from promptable.cvat.journal import JournalReader
from promptable.cvat.plural import counted
from promptable.cvat.server.annotations import JobAnnotations


@dataclass(frozen=True)
class Caution:
    """``what`` would be done, and what there is to do about it, both parts of a sentence."""

    what: str
    remedy: str


def caution(client: Any, journal: JournalReader, plan: Plan, detector: Detector) -> Caution | None:
    """What people must agree to before a new run, None where nothing is. ``client`` is cvat-sdk's. Raises CvatError."""
    match detector.options.mode:
        case Mode.REPLACE_ALL if doomed := _count_doomed(client, plan):
            what = f"{doomed} shapes and tags would be deleted, whoever made them"
            return Caution(what, "--yes says that they may be, --undo puts them back")
        case Mode.APPEND if doubled := _doubled(journal, plan, detector):
            last, objects = max(doubled), counted(sum(doubled.values()), "object")
            by = f"run {last}" if len(doubled) == 1 else f"runs {', '.join(map(str, sorted(doubled)))}"
            return Caution(
                f"{by} stored {objects} of these labels on these frames, which would be there twice",
                f"--replace puts the new ones in their place, --undo {last} takes run {last} back, --yes adds them "
                "all the same",
            )
    return None


def _count_doomed(client: Any, plan: Plan) -> int:
    """How many shapes and tags there are on the frames, whoever made them."""
    held = ((JobAnnotations(client, job).read(), set(frames)) for job, frames in plan.frames_of.items())
    return sum(one["frame"] in frames for there, frames in held for one in (*there["shapes"], *there["tags"]))


def _doubled(journal: JournalReader, plan: Plan, detector: Detector) -> Mapping[int, int]:
    """By earlier run: how many objects of the labels that are looked for it has on the frames."""
    places, objects = set(plan.places), Counter[int]()
    for run, job, frame, count in journal.stored_by_frame([entry["name"] for entry in detector.described.labels]):
        if (job, frame) in places:
            objects[run] += count
    return objects
