"""The writes of a run are sent, each noted before and after, and recognised on the server after a kill.

One of which nobody knows whether it arrived is looked for before it is sent again. What comes twice all the same is
taken away at the end of the run, or by the next.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from promptable.cvat.propagate.content import SHAPE, TRACK, content
from promptable.cvat.propagate.journal import TrackJournal, Write
from promptable.cvat.propagate.writing.held import Defaults, Held, Item, by_kind, defaults_in, has_label, storable
from promptable.cvat.server.annotations import JobAnnotations
from promptable.cvat.server.errors import CvatError
from promptable.cvat.server.jobs import open_and_handed_in
from promptable.cvat.server.late_requests import Tell, poll

_TRIES = 3


class Uploader:
    """Sends what a run has planned."""

    def __init__(self, client: Any, journal: TrackJournal, task: int, tell: Tell) -> None:
        """``client`` is cvat-sdk's."""
        self._tell = tell
        self._client = client
        self._journal = journal
        self._task = task

    def send(self, run: int, *, completed: bool) -> Sequence[int]:
        """Send what is not on the server yet. Raises CvatError.

        Returns the jobs that get no more of it, since people have handed them in; none if ``completed``.
        """
        jobs, closed = open_and_handed_in(self._client, self._journal.jobs_to_write(run), completed=completed)
        for write in self._journal.writes(run):
            if write.state != "stored" and write.job in jobs:
                {"create": self._create, "update": self._update, "delete": self._delete}[write.action](write)
        self.settle(run)
        return closed

    def settle(self, run: int) -> None:
        """Note what was on its way when a run was stopped, if it arrived. Raises CvatError."""
        for write in self._journal.writes(run):
            if write.state != "sending":
                continue
            look = self._look_for if write.action == "create" else self._look_for_change
            if (items := look(write)) is not None:
                self._journal.arrived(write, items)
            else:
                self._journal.may_arrive_late(write)

    def _create(self, write: Write) -> None:
        for _ in range(_TRIES):
            items = self._look_for(write) if write.state == "sending" else None
            if items is None:
                write, items = self._send(write)
            if items is not None:
                return self._journal.arrived(write, items)
        raise CvatError(f"CVAT takes no annotations for job {write.job} now")

    def _send(self, write: Write) -> tuple[Write, list[Item] | None]:
        """Items with ids, None where nobody knows whether they arrived. Raises CvatError."""
        again = write.state == "sending"
        if again:
            self._journal.may_arrive_late(write)
        else:
            write = replace(write, state="sending", after=self._held(write.job).highest_ids())
            self._journal.about_to_send(write)
        try:
            answer = self._change(write, write.items, is_first=not again)
        except CvatError as error:
            if error.stored_nothing:
                raise
            return write, None
        ids = {kind: iter(answer[f"{kind}s"]) for kind in (SHAPE, TRACK)}
        stored = [has_label(item, "new", self._defaults) for item in write.items]
        pairs = zip(write.items, stored, strict=True)
        return write, [{**item, "id": next(ids[item["kind"]])["id"] if there else None} for item, there in pairs]

    def _change(self, write: Write, items: Sequence[Item], *, is_first: bool) -> Mapping[str, Any]:
        """CVAT's answer to a write that is noted as sent. Raises CvatError: where it stored nothing, and no earlier
        request may still arrive, the write waits again."""
        annotations = JobAnnotations(self._client, write.job)
        try:
            if write.action == "delete":
                return annotations.change("delete", **by_kind(items, "before"))
            return annotations.change(write.action, **storable(items, "new", self._defaults))
        except CvatError as error:
            if error.stored_nothing and is_first:
                self._journal.waits_again(write)
            raise

    def _look_for(self, write: Write) -> list[Item] | None:
        """The items of a create with their ids, if it arrived: in one transaction, so that one means all."""
        for _ in poll(write.job, self._tell):
            new = self._held(write.job).later_than(write.after)
            alike = [new.get((item["kind"], content(item["new"], item["kind"])), []) for item in write.items]
            if any(alike):
                return [_with_id(item, ids) for item, ids in zip(write.items, alike, strict=True)]
        return None

    def _look_for_change(self, write: Write) -> Sequence[Item] | None:
        """The items of an update or a delete, if it arrived."""
        for _ in poll(write.job, self._tell):
            held = self._held(write.job)
            if not any(held.is_as_before(item) and not held.is_as_written(item) for item in write.items):
                return write.items
        return None

    def _update(self, write: Write) -> None:
        """What people have changed meanwhile stays theirs."""
        held = self._held(write.job)
        done = [item for item in write.items if held.is_as_written(item)]
        todo = [item for item in write.items if item not in done and held.is_as_before(item)]
        if todo:
            self._journal.about_to_send(write)
            self._change(write, todo, is_first=write.state != "sending")
        self._journal.arrived(write, [*done, *todo])

    def _delete(self, write: Write) -> None:
        held = self._held(write.job)
        if todo := [item for item in write.items if held.is_as_before(item)]:
            self._journal.about_to_send(write)
            self._change(write, todo, is_first=write.state != "sending")
        self._journal.arrived(write, write.items)

    def _held(self, job: int) -> Held:
        return Held(JobAnnotations(self._client, job).read(), self._defaults)

    @cached_property
    def _defaults(self) -> Defaults:
        return defaults_in(self._client, self._task)


def _with_id(item: Item, alike: list[int]) -> Item:
    """With the highest id of what is alike, each of which is taken once; None where people took it away.

    What another machine has written at the same moment stays where it came first, and is not to be taken for it.
    """
    return {**item, "id": alike.pop() if alike else None}
