"""Reading and writing the annotations of a job through CVAT's REST API."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise, zip_longest
from typing import Any

from promptable.cvat.server.http.json_api import get_json, send_json

Annotations = Mapping[str, Sequence[Mapping[str, Any]]]
"""All or some annotations of a job, under the keys ``shapes``, ``tags``, ``tracks``, as CVAT's REST API has them."""
KINDS = ("shape", "tag")
_MOST_ITEMS = 5000
_MOST_NUMBERS = 1_000_000
"""Items, and coordinates, in one request: few enough for a busy server to answer before a proxy gives up."""


class JobAnnotations:
    """The annotations of one job: shapes, tags and tracks."""

    def __init__(self, client: Any, job: int) -> None:
        """``client`` is cvat-sdk's."""
        self._client = client
        self._path = f"/api/jobs/{job}/annotations"

    def read(self) -> Mapping[str, Any]:
        """All annotations of the job, under the keys ``shapes``, ``tags``, ``tracks``. Raises CvatError."""
        annotations: Mapping[str, Any] = get_json(self._client, self._path)
        return annotations

    def create(self, shapes: Sequence[Mapping[str, Any]], tags: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
        """Append shapes and tags in one transaction. Returns them in the same order, with their ids.

        Raises CvatError. If it has no status, or one of 500 or higher, the server may have stored them nevertheless.
        """
        return self._patch("create", shapes, tags)

    def delete(
        self,
        shapes: Sequence[Mapping[str, Any]],
        tags: Sequence[Mapping[str, Any]] = (),
        tracks: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        """Delete by ``id``; ids that no longer exist are ignored. Raises CvatError."""
        for parts in zip_longest(*map(_parts, (shapes, tags, tracks)), fillvalue=()):
            self._patch("delete", *parts)

    def put_back(self, shapes: Sequence[Mapping[str, Any]], tags: Sequence[Mapping[str, Any]]) -> None:
        """Store deleted shapes and tags again, under their former ids. Repeating it is harmless. Raises CvatError."""
        for parts in zip_longest(_parts(shapes), _parts(tags), fillvalue=()):
            self._patch("update", *parts)

    def change(
        self, action: str, shapes: Sequence[Mapping[str, Any]], tracks: Sequence[Mapping[str, Any]]
    ) -> Mapping[str, Any]:
        """Carry out an ``action``, create, update or delete, on shapes and tracks in one transaction.

        Returns CVAT's answer: the shapes and tracks, in the same order, with their ids. An update creates shapes and
        tracks again that were deleted, under their former ids; deleting ignores those that no longer exist. Raises
        CvatError; what ``create`` says of its status holds here too.
        """
        return self._patch(action, shapes, (), tracks)

    def _patch(
        self,
        action: str,
        shapes: Sequence[Mapping[str, Any]],
        tags: Sequence[Mapping[str, Any]],
        tracks: Sequence[Mapping[str, Any]] = (),
    ) -> Mapping[str, Any]:
        body = {"shapes": list(shapes), "tags": list(tags), "tracks": list(tracks)}
        answer: Mapping[str, Any] = send_json(self._client, "PATCH", self._path, body, [("action", action)])
        return answer


def _parts(items: Iterable[Mapping[str, Any]]) -> Iterator[Sequence[Mapping[str, Any]]]:
    """The items in portions, each of which fits into one request."""
    part: list[Mapping[str, Any]] = []
    numbers = 0
    for one in items:
        part.append(one)
        numbers += len(one.get("points", ()))
        if numbers > _MOST_NUMBERS or len(part) == _MOST_ITEMS:
            yield part
            part, numbers = [], 0
    if part:
        yield part


def read_task(client: Any, task: int) -> Mapping[str, Any]:
    """The annotations of all jobs of a task, as ``JobAnnotations.read``. Raises CvatError."""
    annotations: Mapping[str, Any] = get_json(client, f"/api/tasks/{task}/annotations")
    return annotations


def highest_ids(annotations: Annotations, kinds: Sequence[str] = KINDS) -> dict[str, int]:
    """The highest id of each of the ``kinds``; 0 if there is none."""
    return {kind: max((one["id"] for one in annotations[f"{kind}s"]), default=0) for kind in kinds}


def annotated_frames(annotations: Mapping[str, Any], stop_frame: int) -> set[int]:
    """The frames with a shape, a tag or a visible track; a track without an end is visible up to ``stop_frame``."""
    frames = {one["frame"] for kind in ("shapes", "tags") for one in annotations[kind]}
    for track in annotations["tracks"]:
        frames.update(_shown(track, stop_frame))
    return frames


def _shown(track: Mapping[str, Any], stop_frame: int) -> Iterator[int]:
    """The frames on which a track is visible: from each visible keyframe up to the next one, or to ``stop_frame``."""
    keyframes = sorted((shape["frame"], shape["outside"]) for shape in track["shapes"])
    for (first, outside), (end, _) in pairwise([*keyframes, (stop_frame + 1, True)]):
        if not outside:
            yield from range(first, max(end, first + 1))
