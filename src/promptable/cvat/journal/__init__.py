"""What the commands did to a task: found, uploaded, failed. Written before and after every step: nothing is lost.

One SQLite file a task, in the user's state folder by server and task, found from any working directory. Commands that
write hold a ``Journal``; who wants to know what was done opens a ``JournalReader``, beside a run that is at work too.
"""

from promptable.cvat.journal.database import journal_path, path_of
from promptable.cvat.journal.reading import JournalReader
from promptable.cvat.journal.records import Batch, Found, Run, SentUpload, Upload
from promptable.cvat.journal.writing import Journal

__all__ = ["Batch", "Found", "Journal", "JournalReader", "Run", "SentUpload", "Upload", "journal_path", "path_of"]
