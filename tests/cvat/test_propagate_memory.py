"""A long video is followed in the memory of a short one: what was found lies in the journal."""

import tracemalloc
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from promptable.cvat.functions import Picture
from promptable.cvat.geometry.position import Position
from promptable.cvat.progress import Progress
from promptable.cvat.propagate.following.follower import Follower
from promptable.cvat.propagate.following.passes import Pass
from promptable.cvat.propagate.journal import TrackJournal
from promptable.cvat.propagate.objects import Copy, Object
from promptable.cvat.server.frames import Frame
from promptable.cvat.tracking import Tracker

FRAMES = 1000
OBJECTS = 5


class _Frames:
    """Frames of 10 KB each."""

    def frame(self, number: int) -> Frame:
        return Frame(number, f"{number}.png", (100, 200))

    def data(self, number: int) -> bytes:
        return bytes(10_000)


class _Standing:
    """A tracker of objects that stand still, and notes how much memory is in use."""

    takes_labels = True

    def __init__(self) -> None:
        self.used: list[int] = []

    def call(self, picture: Picture, fields: Mapping[str, Any]) -> Any:
        assert len(picture.data()) == 10_000
        self.used.append(tracemalloc.get_traced_memory()[0])
        shape = {"type": "mask", "points": [0, 5000, 0, 0, 99, 49]}
        return {"shapes": [shape] * OBJECTS, "states": [{"memories": ["x" * 16] * 16}] * OBJECTS}


def test_memory_is_flat_over_a_thousand_frames(tmp_path: Path) -> None:
    journal = TrackJournal(tmp_path / "journal.sqlite")
    start = Position("mask", (0, 5000, 0, 0, 99, 49))
    objects = [Object(i, 0, "mask", 0, start, [Copy(1, "shape", {"id": i})], {}) for i in range(OBJECTS)]
    run = journal.begin_objects({}, {}, objects)
    function = _Standing()
    follower = Follower(Tracker(function), _Frames(), Pass(journal, run.id, 1, range(FRAMES)))  # type: ignore[arg-type]
    tracemalloc.start()
    with Progress() as progress:
        follower.follow(progress)
    tracemalloc.stop()
    assert len(function.used) == FRAMES
    early, late = max(function.used[100:200]), max(function.used[-100:])
    # the bar remembers the times of its last 1000 updates; kept pictures would be 8 MB, kept positions and states 2 MB
    assert late < early + 400_000, f"{early} bytes after 200 frames, {late} after 1000"
    assert sum(1 for _ in journal.positions(run.id, 0)) == FRAMES
    journal.close()
