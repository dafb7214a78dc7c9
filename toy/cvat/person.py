"""A person of a script, who corrects annotations on the stand-in as CVAT's editor does."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

from toy.cvat.stand_in import StandIn


@dataclass(frozen=True)
class Person:
    """Works on the jobs of one task. What is moved keeps its id and score, and its source becomes semi-auto."""

    cvat: StandIn
    task: int

    def shapes(self, frame: int, kind: str = "shapes") -> list[dict[str, Any]]:
        """What is on a frame, in the order in which it came."""
        held = [one for job in self._jobs() for one in self.cvat.annotations.read(job)[kind] if one["frame"] == frame]
        return sorted(held, key=lambda one: int(one["id"]))

    def drag(self, one: Mapping[str, Any], points: Sequence[float]) -> None:
        self._update({**one, "points": list(points), "source": "semi-auto"})

    def edit(self, one: Mapping[str, Any], attribute: int, value: str) -> None:
        """Another value of an attribute: nothing else changes."""
        values = [given for given in one["attributes"] if given["spec_id"] != attribute]
        self._update({**one, "attributes": [*values, {"spec_id": attribute, "value": value}]})

    def relabel(self, one: Mapping[str, Any], label: int) -> None:
        """Another label, whose attributes are at their defaults; the source becomes semi-auto, as at dragging."""
        self._update({**one, "label_id": label, "attributes": [], "source": "semi-auto"})

    def delete(self, one: Mapping[str, Any], kind: str = "shapes") -> None:
        self.cvat.annotations.patch(self._job(one["frame"]), "delete", {kind: [dict(one)]})

    def add(self, frame: int, label: int, points: Sequence[float], form: str = "rectangle", **fields: Any) -> int:
        """A shape that is drawn by hand; its id."""
        common = {"frame": frame, "label_id": label, "group": 0, "source": "manual", "attributes": []}
        shape = {"type": form, "points": list(points), "occluded": False, "outside": False, "z_order": 0, "rotation": 0}
        drawn = {"shapes": [common | shape | {"score": 1.0} | fields]}
        return int(self.cvat.annotations.patch(self._job(frame), "create", drawn)["shapes"][0]["id"])

    def tag(self, frame: int, label: int) -> int:
        common = {"frame": frame, "label_id": label, "group": 0, "source": "manual", "attributes": []}
        return int(self.cvat.annotations.patch(self._job(frame), "create", {"tags": [common]})["tags"][0]["id"])

    def complete(self, *jobs: int) -> None:
        task = self.cvat.tasks[self.task]
        self.cvat.tasks[self.task] = replace(task, states={**task.states, **dict.fromkeys(jobs, "completed")})

    def _update(self, one: Mapping[str, Any]) -> None:
        self.cvat.annotations.patch(self._job(one["frame"]), "update", {"shapes": [deepcopy(dict(one))]})

    def _jobs(self) -> list[int]:
        return [number for number, *_ in self.cvat.tasks[self.task].jobs]

    def _job(self, frame: int) -> int:
        """The first job that shows a frame."""
        return next(number for number, _, first, last in self.cvat.tasks[self.task].jobs if first <= frame <= last)
