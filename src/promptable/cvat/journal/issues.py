"""The journal of the issues that runs have opened in CVAT."""

from promptable.cvat.journal.records import OpenedIssue
from promptable.cvat.journal.writable import WritableJournal


class Issues(WritableJournal):
    """The part of a journal about issues."""

    def about_to_open(self, run: int, job: int, frame: int, message: str) -> int:
        """Write an issue that a run is about to open; it is safely on the disk when this returns its id in the journal.

        An equal issue without an id of CVAT was never opened, and is deleted from the journal.
        """
        issue = (job, frame, message)
        with self._writing(durable=True):
            never = "DELETE FROM opened_issues WHERE job = ? AND frame = ? AND message = ? AND server_id IS NULL"
            self._db.execute(never, issue)
            return self._insert("opened_issues (run, job, frame, message)", (run, *issue))

    def opened(self, issue: int, server_id: int) -> None:
        """Note CVAT's id of an issue that was about to be opened."""
        self._db.execute("UPDATE opened_issues SET server_id = ? WHERE id = ?", (server_id, issue))

    def opened_issues(self, run: int) -> list[OpenedIssue]:
        """The issues that a run has opened, or was about to."""
        rows = self._db.execute("SELECT * FROM opened_issues WHERE run = ? ORDER BY id", (run,))
        return [OpenedIssue(row["job"], row["frame"], row["message"], row["server_id"]) for row in rows]
