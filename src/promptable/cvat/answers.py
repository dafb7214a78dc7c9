"""What functions answer, read as detections: the list a function gives, and what CVAT makes of it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from promptable.config.labels import CONFIDENCE, Mark
from promptable.cvat.detection import MASK, POLYGON, RECTANGLE, TAG, Detection
from promptable.cvat.geometry import run_lengths
from promptable.cvat.geometry.outlines import moved_inside
from promptable.cvat.labels.entries import MARKS
from promptable.cvat.labels.task_label import TaskLabel
from promptable.cvat.labels.task_labels import TaskLabels
from promptable.cvat.server.errors import CvatError

_SCORE_DECIMALS = 4


def read_answer(answer: Any, hw: tuple[int, int], *, polygons: bool) -> list[Detection]:
    """The detections of an answer, inside a picture of ``hw``; what lies outside is dropped, and marks of frames.

    Raises CvatError for what is no answer, and where it says that the function failed on the picture.
    """
    try:
        found = [_detection(item, hw, polygons) for item in _items(answer)]
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise CvatError(f"the answer cannot be read: {type(error).__name__}: {error}") from None
    return [one for one in found if one is not None]


def named(answer: Any, labels: TaskLabels) -> Any:
    """What CVAT makes of an answer, which names labels and attributes of the task by number, by their names.

    Raises CvatError for numbers that the task does not have, and for what is no answer.
    """
    if isinstance(answer, list):
        return answer
    try:
        return {
            kind: [_named(one, labels.by_id[one["label_id"]]) for one in answer[kind]] for kind in ("shapes", "tags")
        }
    except (LookupError, TypeError) as error:
        raise CvatError(f"the answer cannot be read: {type(error).__name__}: {error}") from None


def _named(one: Mapping[str, Any], label: TaskLabel) -> Mapping[str, Any]:
    names = {spec["id"]: spec["name"] for spec in label.attributes}
    attributes = [{"name": names[value["spec_id"]], "value": value["value"]} for value in one["attributes"]]
    return {**one, "label": label.name, "attributes": attributes}


def _items(answer: Any) -> Sequence[Mapping[str, Any]]:
    """The items of a function's list, or of CVAT's shapes and tags."""
    items = answer if isinstance(answer, list) else [*answer["shapes"], *({**t, "type": TAG} for t in answer["tags"])]
    if any(MARKS.get(item["label"]) is Mark.FAILURE for item in items):
        raise CvatError("the function failed on this picture, its log says why")
    return [item for item in items if item["label"] not in MARKS]


def _detection(item: Mapping[str, Any], hw: tuple[int, int], polygons: bool) -> Detection | None:
    kind, points = _geometry(item, hw, polygons)
    if not points and kind != TAG:
        return None
    attributes = {one["name"]: str(one["value"]) for one in item.get("attributes") or ()}
    return Detection(item["label"], kind, _score(item, attributes), points, attributes)


def _score(item: Mapping[str, Any], attributes: Mapping[str, str]) -> float | None:
    """A function's confidence; CVAT throws it away but for the attribute, in percent, where the task's label has it."""
    percent = attributes.get(CONFIDENCE, "")
    if "confidence" in item:
        score = float(item["confidence"])
    elif percent.isdecimal() and int(percent) <= 100:  # another function may write what it likes
        score = int(percent) / 100
    else:
        return None
    if not 0 <= score <= 1:
        raise ValueError(f"a confidence of {score}")
    return round(score, _SCORE_DECIMALS)


def _geometry(item: Mapping[str, Any], hw: tuple[int, int], polygons: bool) -> tuple[str, tuple[float, ...]]:
    """Type and points; no points where nothing lies inside the picture."""
    match item["type"]:
        case "tag":
            return TAG, ()
        case "rectangle":
            if item.get("rotation"):
                raise ValueError("a rectangle that is turned; upright ones can be read")
            left, top, right, bottom = moved_inside(item["points"], hw)
            return RECTANGLE, (left, top, right, bottom) if left < right and top < bottom else ()
        case "polygon":
            return POLYGON, _outline(item["points"], hw)
        case "mask" if polygons and ("mask" in item or "polygon" in item):
            return POLYGON, _outline(item["points"] if "mask" in item else item["polygon"], hw)
        case "mask" if "mask" in item:
            return MASK, _mask(item["mask"], hw)
        case "mask":
            return MASK, _clipped(item["points"], hw)
    raise ValueError(f"a shape of type {item['type']!r}")


def _outline(points: Iterable[float], hw: tuple[int, int]) -> tuple[float, ...]:
    inside = moved_inside(points, hw)
    if len(inside) < 6 or len(inside) % 2:
        raise ValueError(f"an outline of {len(inside)} numbers")
    return inside if min(map(np.ptp, (inside[0::2], inside[1::2]))) > 0 else ()


def _mask(flat: Sequence[int], hw: tuple[int, int]) -> tuple[float, ...]:
    """The run lengths of pixels and box, as functions answer them."""
    left, top, right, bottom = (int(number) for number in flat[-4:])
    pixels = np.asarray(flat[:-4], np.bool_).reshape(bottom - top + 1, right - left + 1)
    return run_lengths.encode(*run_lengths.clipped(pixels, left, top, hw))


def _clipped(points: Sequence[float], hw: tuple[int, int]) -> tuple[float, ...]:
    """Run lengths of a picture that may be larger, as a video of odd size is by a pixel."""
    return run_lengths.encode(*run_lengths.clipped(*run_lengths.decode(points), hw))
