"""The annotations of a stand-in for CVAT's server, stored and changed as CVAT 2.73 does it."""

import itertools
import threading
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

KINDS = ("shapes", "tags", "tracks")
_SOURCES = ("auto", "semi-auto", "manual", "file", "consensus")


def _check(given: Mapping[str, Any]) -> None:
    """CVAT takes tracks of masks, and then the job no longer opens; other sources it refuses itself."""
    for track in given.get("tracks", ()):
        if any(key.get("type") == "mask" for key in track["shapes"]):
            raise ValueError("unexpected type of track: mask")
    for kind in KINDS:
        ids = [one["id"] for one in given.get(kind, ()) if "id" in one]
        if len(ids) != len(set(ids)):
            raise ValueError("duplicate key value violates unique constraint")
        for one in given.get(kind, ()):
            if (source := one.get("source", "manual")) not in _SOURCES:
                raise ValueError(f"source: {source} is not a valid choice")


def _complete(held: Mapping[str, Any], specs: Sequence[Mapping[str, Any]]) -> None:
    """Keyframes hold the mutable attributes, each those of the one before it; their track the others."""
    every = {spec["id"]: spec["default_value"] for spec in specs}
    mutable = {spec["id"]: spec["default_value"] for spec in specs if spec.get("mutable")}
    for one in (*held["shapes"], *held["tags"]):
        _fill(one, every)
    for track in held["tracks"]:
        _fill(track, {number: value for number, value in every.items() if number not in mutable})
        values = mutable
        for key in sorted(track["shapes"], key=lambda key: int(key["frame"])):
            _fill(key, values)
            values = {one["spec_id"]: one["value"] for one in key["attributes"]}


def _fill(one: dict[str, Any], values: Mapping[int, str]) -> None:
    attributes = one.get("attributes", [])
    given = {value["spec_id"] for value in attributes}
    lacking = [{"spec_id": spec, "value": value} for spec, value in values.items() if spec not in given]
    one["attributes"] = [*attributes, *lacking]


@dataclass
class JobAnnotations:
    """What one job holds, by kind and id."""

    by_kind: dict[str, dict[int, dict[str, Any]]] = field(default_factory=lambda: {kind: {} for kind in KINDS})

    def as_json(self) -> dict[str, Any]:
        return {"version": 0} | {kind: list(deepcopy(self.by_kind[kind]).values()) for kind in KINDS}


class Annotations:
    """By job. A request is stored as a whole or not at all; ids rise; defaults fill attributes that are not given."""

    def __init__(self) -> None:
        self._jobs: dict[int, JobAnnotations] = {}
        self._ids = itertools.count(100)
        self._lock = threading.Lock()

    def job(self, number: int) -> JobAnnotations:
        return self._jobs.setdefault(number, JobAnnotations())

    def read(self, job: int, specs: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
        """What a job holds. Attributes that were not given are at the defaults of ``specs``, those of every label."""
        with self._lock:
            held = self.job(job).as_json()
        _complete(held, specs)
        return held

    def all(self) -> dict[int, dict[str, Any]]:
        """Everything, by job."""
        return {job: self.read(job) for job in sorted(self._jobs)}

    def renumber(self, by: int) -> None:
        """Labels and attributes get numbers that are higher ``by`` so much."""
        for held in self._jobs.values():
            for one in (one for kind in KINDS for one in held.by_kind[kind].values()):
                one["label_id"] += by
                for part in (one, *one.get("shapes", ())):
                    part["attributes"] = [
                        {**value, "spec_id": value["spec_id"] + by} for value in part.get("attributes", ())
                    ]

    def patch(self, job: int, action: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """What CVAT answers to ``action`` create, update or delete. Raises ValueError for what breaks a real one."""
        if action != "delete":
            _check(given)
        with self._lock:
            held = self.job(job).by_kind
            for kind in KINDS:
                for one in given.get(kind, ()):
                    if action == "delete":
                        held[kind].pop(one["id"], None)
                        continue
                    number = one["id"] if action == "update" else next(self._ids)
                    held[kind][number] = one | {"id": number}
                    one["id"] = number
            return {"version": 0, **{kind: list(given.get(kind, ())) for kind in KINDS}}
