"""The journal of what runs have deleted, so that taking a run back can put it back."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from promptable.cvat.journal.records import Deleted
from promptable.cvat.journal.writable import WritableJournal
from promptable.cvat.server.annotations import KINDS, Annotations, highest_ids

_FORGET = "DELETE FROM deleted WHERE run = ? AND job = ? AND kind = ? AND server_id = ?"


class Deletions(WritableJournal):
    """The part of a journal about what runs have deleted."""

    def jobs(self, run: int) -> list[int]:
        """The jobs that a run wrote into or deleted from."""
        changed = "SELECT job FROM batches WHERE run = :run UNION SELECT job FROM deleted WHERE run = :run"
        return [row["job"] for row in self._db.execute(changed, {"run": run})]

    def keep(self, run: int, job: int, there: Annotations, doomed: Annotations) -> None:
        """Keep what a run is about to delete from a job; it is safely on the disk when this returns.

        ``there`` are all annotations of the job. Those among them that are kept already were not deleted, since the run
        was interrupted, and are kept no longer.
        """
        not_deleted = [(run, job, kind, one["id"]) for kind, one in _by_kind(there)]
        highest = highest_ids(there)
        rows = [(run, job, kind, one["id"], json.dumps(one), highest[kind]) for kind, one in _by_kind(doomed)]
        with self._writing(durable=True):
            self._db.executemany(_FORGET, not_deleted)
            self._db.executemany("INSERT INTO deleted VALUES (?, ?, ?, ?, ?, ?)", rows)

    def deleted(self, run: int, job: int) -> None:
        """Note that what a run has kept of a job is deleted now; uploads of runs among it become ``removed``."""
        self._db.execute(
            "UPDATE uploads SET state = 'removed' WHERE job = :job AND state = 'stored' AND (kind, server_id) IN "
            "(SELECT kind, server_id FROM deleted WHERE run = :run AND job = :job)",
            {"run": run, "job": job},
        )

    def kept(self, run: int, job: int) -> list[Deleted]:
        """What a run has deleted from a job, without what was put back."""
        rows = self._db.execute("SELECT * FROM deleted WHERE run = ? AND job = ? ORDER BY kind, server_id", (run, job))
        return [Deleted(row["kind"], json.loads(row["item"]), row["highest"]) for row in rows]

    def put_back(self, run: int, job: int, deleted: Iterable[Deleted]) -> None:
        """Note that deleted annotations are in the job again, under their former ids."""
        ids = [(one.item["frame"], one.kind, one.item["id"]) for one in deleted]
        with self._writing():
            self._db.executemany(_FORGET, [(run, job, kind, number) for _, kind, number in ids])
            self._db.executemany(
                "UPDATE uploads SET state = 'stored' "
                "WHERE job = ? AND frame = ? AND kind = ? AND server_id = ? AND state = 'removed'",
                [(job, *one) for one in ids],
            )

    def never_put_back(self, run: int, job: int) -> None:
        """Forget what later runs deleted of this run's uploads: the run was taken back, so they are not put back."""
        self._db.execute(
            "DELETE FROM deleted WHERE job = :job AND (kind, server_id) IN "
            "(SELECT kind, server_id FROM uploads WHERE run = :run AND job = :job)",
            {"run": run, "job": job},
        )


def _by_kind(annotations: Annotations) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(kind, item) of all shapes and tags."""
    return ((kind, one) for kind in KINDS for one in annotations[f"{kind}s"])
