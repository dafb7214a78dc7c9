"""The requests of a run are sent, each noted before and after, and recognised on the server after a kill."""

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from promptable.cvat.propagate.journal import TrackJournal, Write
from promptable.cvat.propagate.objects import SHAPE, TRACK, keyframe_content, shape_content
from promptable.cvat.propagate.plan import is_same
from promptable.cvat.server.annotations import JobAnnotations
from promptable.cvat.server.errors import CvatError

SETTLING = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Seconds between looks for what may still be on its way through the server, a minute in all."""
_TRIES = 3
Item = Mapping[str, Any]


class Writer:
    """Sends what a run has planned, and takes it back."""

    def __init__(self, client: Any, journal: TrackJournal) -> None:
        """``client`` is cvat-sdk's."""
        self._client = client
        self._journal = journal

    def write(self, run: int) -> None:
        """Send what is not on the server yet. Raises CvatError."""
        for write in self._journal.writes(run):
            if write.state == "stored":
                continue
            match write.action:
                case "create":
                    self._create(write)
                case "update":
                    self._update(write)
                case _:
                    self._delete(write)

    def undo(self, run: int) -> tuple[int, int]:
        """Take back what nobody changed since: how much of what was written is gone, and how much people have changed.

        Raises CvatError.
        """
        self._settle(run)
        writes = [write for write in self._journal.writes(run) if write.state == "stored"]
        gone, left = 0, 0
        for job in dict.fromkeys(write.job for write in writes):
            taken, kept = self._undo_job(job, [write for write in writes if write.job == job])
            gone, left = gone + taken, left + kept
        self._journal.end(run, "undone")
        return gone, left

    def _settle(self, run: int) -> None:
        """What was on its way when a run was stopped is noted if it arrived."""
        for write in self._journal.writes(run):
            if write.state == "sending" and (items := self._look_for(write)) is not None:
                self._journal.arrived(write, items)

    def _create(self, write: Write) -> None:
        for _ in range(_TRIES):
            items = self._look_for(write) if write.state == "sending" else None
            if items is None:
                write, items = self._send(write)
            if items is not None:
                return self._journal.arrived(write, items)
        raise CvatError(f"CVAT takes no annotations for job {write.job} now: run the same command again later")

    def _send(self, write: Write) -> tuple[Write, list[Item] | None]:
        """Items with ids, None where nobody knows whether they arrived. Raises CvatError."""
        annotations = JobAnnotations(self._client, write.job)
        after = _highest(annotations.read())
        self._journal.about_to_send(write, after)
        write = Write(write.id, write.run, write.job, write.action, "sending", write.items, after)
        try:
            answer = annotations.change("create", **_by_kind(write.items, "new"))
        except CvatError as error:
            if error.status is not None and error.status < 500:  # it says that nothing was stored
                raise
            return write, None
        ids = {kind: iter(answer[f"{kind}s"]) for kind in (SHAPE, TRACK)}
        return write, [{**item, "id": next(ids[item["kind"]])["id"]} for item in write.items]

    def _look_for(self, write: Write) -> list[Item] | None:
        """The items of a create with their ids, if it arrived: in one transaction, so that one means all."""
        for pause in (0.0, *SETTLING):
            time.sleep(pause)
            held = JobAnnotations(self._client, write.job).read()
            equal: dict[object, list[int]] = defaultdict(list)
            for kind in (SHAPE, TRACK):
                for one in held[f"{kind}s"]:
                    if one["id"] > write.after[kind]:
                        equal[_content(one, kind)].append(one["id"])
            same = [equal[_content(item["new"], item["kind"])] for item in write.items]
            if any(same):
                return [
                    {**item, "id": ids.pop(0) if ids else None} for item, ids in zip(write.items, same, strict=True)
                ]
        return None

    def _update(self, write: Write) -> None:
        """What people have changed meanwhile stays theirs."""
        annotations, held = self._held(write.job)
        done = [item for item in write.items if _is_new(item, held)]
        todo = [item for item in write.items if item not in done and _is_before(item, held)]
        if todo:
            annotations.change("update", **_by_kind(todo, "new"))
        self._journal.arrived(write, [*done, *todo])

    def _delete(self, write: Write) -> None:
        annotations, held = self._held(write.job)
        todo = [item for item in write.items if _is_before(item, held)]
        if todo:
            annotations.change("delete", **_by_kind(todo, "before"))
        self._journal.arrived(write, write.items)

    def _undo_job(self, job: int, writes: Sequence[Write]) -> tuple[int, int]:
        """First what was deleted or changed is as it was, then what was created goes: stopped between, it can go on."""
        annotations, held = self._held(job)
        items = {
            action: [item for write in writes if write.action == action for item in write.items] for action in _ALL
        }
        written = [item for item in items["create"] + items["update"] if item.get("id") is not None]
        unchanged = [item for item in written if _is_new(item, held)]
        theirs = {item["object"] for item in written} - {item["object"] for item in unchanged}
        back = [item for item in items["delete"] if item["object"] not in theirs]
        back += [item for item in unchanged if item["before"] is not None]
        new = [item for item in unchanged if item["before"] is None]
        if back:
            annotations.change("update", **_by_kind(back, "before"))
        if new:
            annotations.change("delete", **_by_kind([{**item, "new": _now(item, held)} for item in new], "new"))
        return len(unchanged), len(written) - len(unchanged)

    def _held(self, job: int) -> tuple[JobAnnotations, dict[tuple[str, int], Item]]:
        annotations = JobAnnotations(self._client, job)
        held = annotations.read()
        return annotations, {(kind, one["id"]): one for kind in (SHAPE, TRACK) for one in held[f"{kind}s"]}


_ALL = ("create", "update", "delete")


def _by_kind(items: Sequence[Item], key: str) -> dict[str, list[Any]]:
    return {f"{kind}s": [item[key] for item in items if item["kind"] == kind] for kind in (SHAPE, TRACK)}


def _highest(held: Mapping[str, Any]) -> dict[str, int]:
    return {kind: max((one["id"] for one in held[f"{kind}s"]), default=0) for kind in (SHAPE, TRACK)}


def _content(one: Item, kind: str) -> object:
    """What tells shapes and tracks of a job apart."""
    if kind == SHAPE:
        return kind, shape_content(one)
    return kind, one["label_id"], tuple(sorted(map(keyframe_content, one["shapes"])))


def _now(item: Item, held: Mapping[tuple[str, int], Item]) -> Item | None:
    return held.get((item["kind"], item["id"]))


def _is_new(item: Item, held: Mapping[tuple[str, int], Item]) -> bool:
    """Whether the server has it as it was written; CVAT may have added attributes."""
    now = _now(item, held)
    if now is None or now["group"] != item["new"]["group"]:
        return False
    own = {(one["spec_id"], str(one["value"])) for one in item["new"]["attributes"]}
    kept = own <= {(one["spec_id"], str(one["value"])) for one in now["attributes"]}
    return kept and _content(now, item["kind"]) == _content(item["new"], item["kind"])


def _is_before(item: Item, held: Mapping[tuple[str, int], Item]) -> bool:
    now = _now(item, held)
    return now is not None and is_same(item["before"], now, item["kind"])
