"""The pictures of places: each frame is fetched once, and only its thumbnails are kept."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from PIL import Image

from promptable.cvat.geometry.position import Position
from promptable.cvat.journal import Run
from promptable.cvat.pages.pictures import LARGEST, shown
from promptable.cvat.progress import Progress
from promptable.cvat.propagate.journal import TrackReader
from promptable.cvat.propagate.review.places import Place, course
from promptable.cvat.propagate.review.thumbnails import thumbnail
from promptable.cvat.server.errors import CvatError
from promptable.cvat.server.frames import Frames

_FETCHERS = 2

Positions = tuple[Position | None, Position | None]
"""Where an object is on a frame, and where it was seen before."""


def pictures(journal: TrackReader, run: Run, frames: Frames, places: Sequence[Place]) -> dict[Place, Image.Image]:
    """Places with their pictures, without those whose frame is no picture. Raises CvatError."""
    positions = _positions(journal, run, places)
    by_frame: dict[int, list[Place]] = {}
    for place in places:
        by_frame.setdefault(place.frame, []).append(place)
    found: dict[Place, Image.Image] = {}
    with ThreadPoolExecutor(_FETCHERS) as pool, Progress() as progress:
        bar = progress.begin("pictures", len(by_frame))
        for images in pool.map(partial(_of_frame, frames, positions), by_frame.values()):
            found |= images
            bar.advance()
    return found


def _of_frame(
    frames: Frames, positions: Mapping[Place, Positions], places: Sequence[Place]
) -> Mapping[Place, Image.Image]:
    """The pictures of places of one frame."""
    number = places[0].frame
    data = frames.data(number)
    try:
        _, image = shown(data, LARGEST, frames.frame(number).hw)
    except CvatError:
        return {}
    return {place: thumbnail(image, *positions[place]) for place in places}


def _positions(journal: TrackReader, run: Run, places: Sequence[Place]) -> dict[Place, Positions]:
    """Where the object of each place is, and was before."""
    found: dict[Place, Positions] = {}
    for one in journal.objects(run.id):
        its = [place for place in places if place.number == one.number]
        wanted = {frame for place in its for frame in (place.frame, place.before)}
        for direction in journal.directions(run.id) if its else ():
            known = {frame: position for frame, position in course(journal, run.id, one, direction) if frame in wanted}
            found |= {
                place: (known[place.frame], None if place.before is None else known.get(place.before))
                for place in its
                if place.frame in known
            }
    return found
