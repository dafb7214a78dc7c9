"""The pictures of a report. Frames are fetched one at a time, and only thumbnails are kept."""

from collections.abc import Sequence
from dataclasses import dataclass

from PIL.Image import Image

from promptable.cvat.effort.page.thumbnails import before_and_after, track_before_and_after
from promptable.cvat.effort.report import Report
from promptable.cvat.progress import Progress
from promptable.cvat.server.errors import CvatError
from promptable.cvat.server.frames import Frames

Pair = tuple[Image, Image]
"""A picture before and one after people's corrections."""


@dataclass(frozen=True)
class Pictures:
    """The pictures of a report's worst ``frames``, and of the ``tracks``' most corrected frames, in its order."""

    frames: Sequence[Pair]
    tracks: Sequence[Sequence[Pair]]


def pictures(report: Report, tasks: Sequence[Frames]) -> Pictures:
    """Fetch and draw the pictures; ``tasks`` are those of the report. Frames that cannot be fetched are gray."""
    by_id = {frames.task.id: frames for frames in tasks}
    worst, tracks = report.effort.worst_frames(), report.effort.worst_tracks
    with Progress() as progress:
        bar = progress.begin("pictures", len(worst) + sum(len(track.corrected) for track in tracks))
        of_frames, of_tracks = list[Pair](), list[list[Pair]]()
        for frame in worst:
            of_frames.append(before_and_after(*_picture(by_id[frame.task], frame.number), frame.judged))
            bar.advance()
        for track in tracks:
            of_tracks.append([])
            for one in track.corrected:
                data, hw = _picture(by_id[track.judged.task], one.frame)
                of_tracks[-1].append(track_before_and_after(data, hw, one, track.judged.verdict))
                bar.advance()
    return Pictures(of_frames, of_tracks)


def _picture(frames: Frames, number: int) -> tuple[bytes, tuple[int, int]]:
    """The bytes of a frame and its ``hw``; the bytes are empty if CVAT does not give them."""
    try:
        return frames.data(number), frames.frame(number).hw
    except CvatError:
        return b"", frames.frame(number).hw
