"""The journal of runs of ``propagate``: their objects, steps and writes, in the same file as ``annotate``'s journal."""

from promptable.cvat.propagate.journal.reading import COMMAND, TrackReader
from promptable.cvat.propagate.journal.records import Key, Step, Write
from promptable.cvat.propagate.journal.run_writes import RunWrites, WrittenShapes
from promptable.cvat.propagate.journal.writing import TrackJournal

__all__ = ["COMMAND", "Key", "RunWrites", "Step", "TrackJournal", "TrackReader", "Write", "WrittenShapes"]
