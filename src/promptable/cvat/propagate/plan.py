"""Which objects a run follows through which frames, and what it leaves alone. Nothing is written here."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from promptable.cvat.annotate.plan import OPEN
from promptable.cvat.geometry.position import FORMS, MASK, POLYGON, RECTANGLE, Position, position_at, position_of
from promptable.cvat.labels import listed
from promptable.cvat.propagate.journal import Ours
from promptable.cvat.propagate.objects import (
    SHAPE,
    TRACK,
    Copy,
    Object,
    found_on,
    keyframe_content,
    shape_content,
)
from promptable.cvat.propagate.options import Options
from promptable.cvat.server.annotations import JobAnnotations, read_task
from promptable.cvat.server.errors import CvatError
from promptable.cvat.server.frames import Frames, text_of

_CHANGES = {(POLYGON, RECTANGLE), (POLYGON, MASK), (MASK, RECTANGLE)}
"""What a form can become: an outline is not to be had of a box."""


class NothingToFollowError(CvatError):
    """A frame has no object that can be followed."""


@dataclass(frozen=True)
class Plan:
    """``passes`` are the frames in the order of following, by direction, 1 or -1; each begins with the first frame."""

    objects: Sequence[Object]
    passes: Mapping[int, Sequence[int]]
    left_out: Sequence[str]

    @property
    def frames(self) -> int:
        """How many frames are asked about beside the first."""
        return sum(len(frames) - 1 for frames in self.passes.values())


def make_plan(client: Any, frames: Frames, options: Options, ours: Ours) -> Plan:
    """Look at jobs and annotations. ``client`` is cvat-sdk's. Raises CvatError."""
    left_out: list[str] = []
    jobs = [job for job in frames.jobs if _is_open(job, options, left_out)]
    if not jobs:
        raise CvatError("; ".join(left_out) or "there is no job")
    first = min(job.start_frame for job in jobs) if options.first is None else options.first
    frames.frame(first)  # raises where there is none
    held = {job.id: JobAnnotations(client, job.id).read() for job in jobs}
    labels = {int(label["id"]): label for label in listed(client, frames.task.id)}
    objects = _objects(jobs, held, first, options, ours, labels, left_out)
    if any(one.form == MASK and not one.group for one in objects):
        objects = _grouped(objects, client, frames.task.id)
    if not objects:
        why = "; ".join(left_out) or "draw a rectangle, polygon or mask there first"
        raise NothingToFollowError(f"there is nothing to follow on frame {first}: {why}")
    return Plan(objects, passes(frames, jobs, first, options), left_out)


def passes(frames: Frames, jobs: Iterable[Any], first: int, options: Options) -> dict[int, list[int]]:
    """The frames of each direction, from ``first`` to the last one that a job shows."""
    shown = {number for job in jobs for number in range(job.start_frame, job.stop_frame + 1)} & set(frames.numbers)
    last = options.last if options.last is not None else (max(shown) if 1 in options.direction.steps else min(shown))
    ways = {}
    for step in options.direction.steps:
        end = last if len(options.direction.steps) == 1 else (max(shown) if step > 0 else min(shown))
        end = min(end, max(shown)) if step > 0 else max(end, min(shown))
        if (end - first) * step < 0:
            raise CvatError(f"--to {end} lies before --from {first}: --backward follows towards earlier frames")
        way = sorted(number for number in frames.numbers if first * step <= number * step <= end * step)
        ways[step] = way[::step]
    return ways


def _is_open(job: Any, options: Options, left_out: list[str]) -> bool:
    state, kind = text_of(job.state), text_of(job.type)
    if kind != "annotation" and options.job is None:
        left_out.append(f"job {job.id} is a {kind.replace('_', ' ')} job")
        return False
    if state not in OPEN and not options.completed_jobs:
        left_out.append(f"job {job.id} is {state}: --completed-jobs takes it too")
        return False
    return True


def _objects(
    jobs: Sequence[Any],
    held: Mapping[int, Mapping[str, Any]],
    first: int,
    options: Options,
    ours: Ours,
    labels: Mapping[int, Mapping[str, Any]],
    left_out: list[str],
) -> list[Object]:
    objects: list[Object] = []
    starts = [
        (Copy(job.id, kind, item), position)
        for job in jobs
        for kind, item, position in found_on(held[job.id], first)
        if _is_wanted(item, options, labels)
    ]
    for copies, position in _merged(starts):
        item = copies[0].item
        form = options.form or position.form
        label = labels[item["label_id"]]
        if (why := _cannot(position, form, copies[0].kind, label)) is not None:
            left_out.append(f"{copies[0].kind} {item['id']} ({label['name']}): {why}")
            continue
        spread = _spread(copies, jobs, held) if copies[0].kind == TRACK else copies
        theirs = _theirs(spread, held, first, ours)
        objects.append(Object(len(objects), item["label_id"], form, position, spread, int(item["group"] or 0), theirs))
    return objects


def _is_wanted(item: Mapping[str, Any], options: Options, labels: Mapping[int, Mapping[str, Any]]) -> bool:
    named = options.labels is None or labels[item["label_id"]]["name"] in options.labels
    return named and (options.shapes is None or item["id"] in options.shapes)


def _merged(starts: Sequence[tuple[Copy, Position]]) -> Iterator[tuple[list[Copy], Position]]:
    """Objects with their copies: two jobs that share the frame may both hold one."""
    groups: dict[tuple[Any, ...], list[tuple[Copy, Position]]] = {}
    for copy, position in starts:
        points = tuple(round(number) for number in position.points)
        groups.setdefault((copy.kind, copy.item["label_id"], position.form, points), []).append((copy, position))
    for group in groups.values():
        jobs = [copy.job for copy, _ in group]
        if len(set(jobs)) == len(jobs):
            yield [copy for copy, _ in group], group[0][1]
        else:  # people drew it twice
            yield from (([copy], position) for copy, position in group)


def _cannot(position: Position, form: str, kind: str, label: Mapping[str, Any]) -> str | None:
    """Why an object cannot be followed as ``form``."""
    if form not in (position.form, *(to for of, to in _CHANGES if of == position.form)):
        return f"a {position.form} cannot become a {form}: draw it as a {form}"
    if kind == TRACK and form != position.form:
        return f"a {position.form} track stays one: leave out --as {form}"
    if label["type"] not in ("any", form):
        return f"the label takes shapes of type {label['type']}, not {form}"
    return None


def _spread(copies: Sequence[Copy], jobs: Sequence[Any], held: Mapping[int, Mapping[str, Any]]) -> list[Copy]:
    """With the tracks of other jobs that go on with it: there they overlap, as CVAT itself joins them."""
    found = list(copies)
    ranges = {job.id: range(job.start_frame, job.stop_frame + 1) for job in jobs}
    for copy in found:  # grows
        for job, annotations in held.items():
            if job in {one.job for one in found}:
                continue
            seam = sorted(set(ranges[job]) & set(ranges[copy.job]))
            found += [Copy(job, TRACK, track) for track in annotations["tracks"] if _goes_on(copy.item, track, seam)][
                :1
            ]
    return found


def _goes_on(track: Mapping[str, Any], other: Mapping[str, Any], seam: Sequence[int]) -> bool:
    if not seam or track["label_id"] != other["label_id"] or other.get("elements"):
        return False
    pairs = [(position_at(track, frame), position_at(other, frame)) for frame in seam if other["shapes"]]
    both = [(one, two) for one, two in pairs if one is not None and two is not None]
    return bool(both) and all(one.form == two.form and one.overlaps(two) for one, two in both)


def _theirs(
    copies: Sequence[Copy], held: Mapping[int, Mapping[str, Any]], first: int, ours: Ours
) -> dict[int, Position | None]:
    """Where people have the object on other frames: their keyframes of its track, their shapes of its group."""
    theirs: dict[int, Position | None] = {}
    for copy in copies:
        if copy.kind == TRACK:
            written = ours.keyframes(copy.item["id"])
            keys = [key for key in copy.item["shapes"] if keyframe_content(key) not in written]
            theirs |= {key["frame"]: None if key["outside"] else position_of(key) for key in keys}
        elif copy.item["group"]:
            alike = [one for one in held[copy.job]["shapes"] if _same_group(one, copy.item) and not ours.has(one)]
            theirs |= {one["frame"]: position_of(one) for one in alike}
    return {frame: position for frame, position in sorted(theirs.items()) if frame != first}


def _same_group(shape: Mapping[str, Any], start: Mapping[str, Any]) -> bool:
    same = shape["group"] == start["group"] and shape["label_id"] == start["label_id"]
    return same and shape["type"] in FORMS and shape["frame"] != start["frame"]


def _grouped(objects: Sequence[Object], client: Any, task: int) -> list[Object]:
    """Masks without a group get a new one each."""
    held = read_task(client, task)
    highest = max((int(one["group"] or 0) for kind in ("shapes", "tracks", "tags") for one in held[kind]), default=0)
    grouped = []
    for one in objects:
        if one.form == MASK and not one.group:
            highest += 1
        grouped.append(replace(one, group=highest) if one.form == MASK and not one.group else one)
    return grouped


def people_around(
    annotations: Mapping[str, Any], objects: Sequence[Object], ours: Ours
) -> dict[int, list[tuple[int, Position]]]:
    """By frame: label and position of the shapes and keyframes of a job that are people's and of no object here."""
    own = {(copy.kind, copy.item["id"]) for one in objects for copy in one.copies}
    around: dict[int, list[tuple[int, Position]]] = {}
    for shape in annotations["shapes"]:
        if shape["type"] in FORMS and (SHAPE, shape["id"]) not in own and not ours.has(shape):
            around.setdefault(shape["frame"], []).append((shape["label_id"], position_of(shape)))
    for track in annotations["tracks"]:
        written = ours.keyframes(track["id"])
        for key in track["shapes"]:
            theirs = not key["outside"] and key["type"] in FORMS and keyframe_content(key) not in written
            if theirs and (TRACK, track["id"]) not in own:
                around.setdefault(key["frame"], []).append((track["label_id"], position_of(key)))
    return around


def is_same(shape: Mapping[str, Any], other: Mapping[str, Any], kind: str) -> bool:
    """Whether CVAT gives a shape or track as it gave it before."""
    if shape["label_id"] != other["label_id"] or shape["group"] != other["group"]:
        return False
    if _values(shape) != _values(other):
        return False
    if kind == SHAPE:
        return shape_content(shape) == shape_content(other)
    return sorted(map(keyframe_content, shape["shapes"])) == sorted(map(keyframe_content, other["shapes"]))


def _values(shape: Mapping[str, Any]) -> list[tuple[int, str]]:
    return sorted((one["spec_id"], str(one["value"])) for one in shape["attributes"])
