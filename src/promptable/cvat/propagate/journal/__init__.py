"""What runs of ``propagate`` keep beside those of ``annotate``, in the same file of a task: objects, steps, writes."""

from promptable.cvat.propagate.journal.reading import COMMAND, TrackReader
from promptable.cvat.propagate.journal.records import Ours, Step, Write
from promptable.cvat.propagate.journal.writing import TrackJournal

__all__ = ["COMMAND", "Ours", "Step", "TrackJournal", "TrackReader", "Write"]
