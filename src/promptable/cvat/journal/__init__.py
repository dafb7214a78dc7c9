"""The journal of a task: what commands found, uploaded and failed to do. It is written before and after every step.

So no result is lost when a command is interrupted. Each task has one SQLite file in the user's state folder, named by
server and task, so that commands find it from any working directory. Commands that write use a ``Journal``. Commands
that only read use a ``JournalReader``, even while another command is writing.
"""

from promptable.cvat.journal.database import journal_path, path_of
from promptable.cvat.journal.labels import labels_of, up_to_date
from promptable.cvat.journal.reading import JournalReader
from promptable.cvat.journal.records import Batch, Deleted, Found, OpenedIssue, Run, SentUpload, Upload
from promptable.cvat.journal.writing import Journal

__all__ = [
    "Batch",
    "Deleted",
    "Found",
    "Journal",
    "JournalReader",
    "OpenedIssue",
    "Run",
    "SentUpload",
    "Upload",
    "journal_path",
    "labels_of",
    "path_of",
    "up_to_date",
]
