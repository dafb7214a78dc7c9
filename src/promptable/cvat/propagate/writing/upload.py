"""Sending the writes of a run: the journal says before each that it is sent, and afterwards that it is stored.

If a write got no answer, it is looked for on the server before it is sent again. If the server was slower than that, it
is stored twice: the second copies are deleted when the run ends, or by the next run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from promptable.cvat.propagate.content import SHAPE, TRACK, content
from promptable.cvat.propagate.journal import TrackJournal, Write
from promptable.cvat.propagate.writing.job_contents import JobContents, defaults_in
from promptable.cvat.propagate.writing.payloads import Defaults, Item, has_label, payload, storable_payload
from promptable.cvat.server.annotations import JobAnnotations
from promptable.cvat.server.errors import CvatError
from promptable.cvat.server.jobs import open_and_handed_in
from promptable.cvat.server.late_requests import Tell, poll

_TRIES = 3


class Uploader:
    """Sends the writes that a run has planned."""

    def __init__(self, client: Any, journal: TrackJournal, task: int, tell: Tell) -> None:
        """``client`` is cvat-sdk's; ``tell`` shows what is waited for."""
        self._tell = tell
        self._client = client
        self._journal = journal
        self._task = task

    def send(self, run: int, *, completed: bool) -> Sequence[int]:
        """Send the writes that are not on the server yet. Raises CvatError.

        Returns the jobs that get no more of them since they were handed in; none if ``completed``.
        """
        jobs, closed = open_and_handed_in(self._client, self._journal.jobs_to_write(run), completed=completed)
        for write in self._journal.writes(run):
            if write.state != "stored" and write.job in jobs:
                carry_out = {"create": self._create, "update": self._update, "delete": self._delete}[write.action]
                carry_out(write)
        self.settle(run)
        return closed

    def settle(self, run: int) -> None:
        """Find out whether writes arrived that were on their way when the run was stopped. Raises CvatError."""
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
        raise CvatError(f"CVAT did not answer writes into job {write.job}, and did not store them: is it overloaded?")

    def _send(self, write: Write) -> tuple[Write, list[Item] | None]:
        """Send a create. Returns the write as it is now, and its items with ids; None if it got no answer.

        Raises CvatError if the server stored nothing of it.
        """
        again = write.state == "sending"
        if again:
            self._journal.may_arrive_late(write)
        else:
            write = replace(write, state="sending", after=self._contents(write.job).highest_ids())
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
        """Carry out a write that the journal says is sent, for some of its items. Returns CVAT's answer.

        Raises CvatError. If the server stored nothing, and no earlier request of the write may still arrive
        (``is_first``), the write waits again.
        """
        annotations = JobAnnotations(self._client, write.job)
        try:
            if write.action == "delete":
                return annotations.change("delete", **payload(items, "before"))
            return annotations.change(write.action, **storable_payload(items, "new", self._defaults))
        except CvatError as error:
            if error.stored_nothing and is_first:
                self._journal.waits_again(write)
            raise

    def _look_for(self, write: Write) -> list[Item] | None:
        """The items of a create with their ids, if it arrived; None if not.

        CVAT stores a request in one transaction, so one item proves that all arrived.
        """
        for _ in poll(write.job, self._tell):
            new = self._contents(write.job).later_than(write.after)
            alike = [new.get((item["kind"], content(item["new"], item["kind"])), []) for item in write.items]
            if any(alike):
                return [_with_id(item, ids) for item, ids in zip(write.items, alike, strict=True)]
        return None

    def _look_for_change(self, write: Write) -> Sequence[Item] | None:
        """The items of an update or a delete, if it arrived; None if not."""
        for _ in poll(write.job, self._tell):
            contents = self._contents(write.job)
            if not any(contents.is_as_before(item) and not contents.is_as_written(item) for item in write.items):
                return write.items
        return None

    def _update(self, write: Write) -> None:
        """Update what people have not changed meanwhile."""
        contents = self._contents(write.job)
        done = [item for item in write.items if contents.is_as_written(item)]
        todo = [item for item in write.items if item not in done and contents.is_as_before(item)]
        if todo:
            self._journal.about_to_send(write)
            self._change(write, todo, is_first=write.state != "sending")
        self._journal.arrived(write, [*done, *todo])

    def _delete(self, write: Write) -> None:
        """Delete what people have not changed meanwhile."""
        contents = self._contents(write.job)
        if todo := [item for item in write.items if contents.is_as_before(item)]:
            self._journal.about_to_send(write)
            self._change(write, todo, is_first=write.state != "sending")
        self._journal.arrived(write, write.items)

    def _contents(self, job: int) -> JobContents:
        return JobContents(JobAnnotations(self._client, job).read(), self._defaults)

    @cached_property
    def _defaults(self) -> Defaults:
        return defaults_in(self._client, self._task)


def _with_id(item: Item, ids: list[int]) -> Item:
    """The item with the highest of the ``ids`` of equal annotations, which is removed; None if people deleted it.

    The highest is taken since a lower one may be another machine's, which wrote the same at the same time.
    """
    return {**item, "id": ids.pop() if ids else None}
