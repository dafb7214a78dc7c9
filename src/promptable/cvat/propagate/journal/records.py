"""The records in the journal of runs of ``propagate``."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from promptable.cvat.geometry.position import Position

Key = tuple[str, int]
"""The kind of an annotation, shape or track, and its id in CVAT: ids of shapes and of tracks overlap."""


@dataclass(frozen=True)
class Step:
    """One frame of a pass. ``found`` is where each object is, by its number; None where it is lost.

    ``states`` are the tracker's states to go on with, by number. A state is None while people say that the object is
    outside the picture; an object without a state has ended.
    """

    frame: int
    found: Mapping[int, Position | None]
    states: Mapping[int, Any]


@dataclass(frozen=True)
class Write:
    """One request to a job: its ``action`` is create, update or delete, its ``state`` waiting, sending or stored.

    Each of its ``items`` has these keys:

    - ``kind``: shape or track;
    - ``object``: the number of the object that it is written for;
    - ``new``: what is written, None in a delete;
    - ``before``: what the server had, None in a create;
    - ``id``: the server's, once it is known; None if people deleted the annotation before;
    - ``own``, of a track: the frames of the keyframes that the run writes;
    - ``borders``, of a track that another form takes frames from: the frames of the keyframes at its new ends.

    ``after`` are the highest ids of the job by kind, before a create was sent for the first time.
    """

    id: int
    run: int
    job: int
    action: str
    state: str
    items: Sequence[Mapping[str, Any]]
    after: Mapping[str, int]


def read_write(row: Any) -> Write:
    """The write in a row of the table ``writes``."""
    items, after = json.loads(row["items"]), json.loads(row["after"])
    return Write(row["id"], row["run"], row["job"], row["action"], row["state"], items, after)
