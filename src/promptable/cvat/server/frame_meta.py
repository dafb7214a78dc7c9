"""CVAT's metadata of a task's frames."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from promptable.cvat.server.http.json_api import get_json


@dataclass(frozen=True)
class FrameMeta:
    """CVAT's metadata of a task: ``names`` and ``sizes`` (height and width) by frame; for a video, one for all frames.

    Frame 0 of the task is frame ``start`` of the source; from there, every ``step``-th frame of the source is a frame.
    """

    chunk_size: int
    start: int
    step: int
    deleted: frozenset[int]
    names: Sequence[str]
    sizes: Sequence[tuple[int, int]]


def read_meta(client: Any, task: int) -> FrameMeta:
    """Read the metadata of a task; ``client`` is cvat-sdk's. Raises CvatError.

    Only the name and size of each frame are kept, some 70 bytes; cvat-sdk's models take kilobytes.
    """
    names: list[str] = []
    sizes: list[tuple[int, int]] = []
    shared: dict[tuple[int, int], tuple[int, int]] = {}  # one tuple for all frames of a size

    def take(parsed: dict[str, Any]) -> dict[str, Any] | None:
        """Keep what we need of a frame while JSON is parsed, and drop the rest at once."""
        if "height" not in parsed:
            return parsed
        hw = int(parsed["height"]), int(parsed["width"])
        names.append(parsed["name"])
        sizes.append(shared.setdefault(hw, hw))
        return None

    meta = get_json(client, f"/api/tasks/{task}/data/meta", take)
    step = re.search(r"step=(\d+)", meta["frame_filter"] or "")
    start, every = int(meta["start_frame"]), int(step[1]) if step else 1
    return FrameMeta(int(meta["chunk_size"]), start, every, frozenset(meta["deleted_frames"] or ()), names, sizes)
