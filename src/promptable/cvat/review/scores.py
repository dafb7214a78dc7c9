"""What is doubtful in a task of which no journal is here: by the scores that its shapes have."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any

from promptable.cvat.geometry.extent import extent_of
from promptable.cvat.review.found import BINS, two_decimals
from promptable.cvat.review.queue import Doubt


def scored(annotations: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The automatic shapes of a job that have a score: CVAT gives 1 to those without, its own runs' among them."""
    return [one for one in annotations["shapes"] if one["source"] == "auto" and one.get("score", 1.0) < 1.0]


def doubtful_frames(
    shapes: Iterable[Mapping[str, Any]], names: Mapping[int, str], review_below: float
) -> Iterator[tuple[int, list[Doubt]]]:
    """The frames with a score below ``review_below``; sure is its share of that."""
    weak = [one for one in shapes if one["score"] < review_below]
    for frame, group in groupby(sorted(weak, key=_place), key=lambda one: int(one["frame"])):
        yield frame, [_doubt(one, names, review_below) for one in group]


def binned(shapes: Iterable[Mapping[str, Any]], names: Mapping[int, str]) -> Iterator[tuple[str, int, int]]:
    """For each, what a row for ``found.counted`` begins with."""
    for one in shapes:
        yield names[one["label_id"]], 0, min(int(one["score"] * BINS + 1e-6), BINS - 1)


def _place(one: Mapping[str, Any]) -> tuple[int, float]:
    return int(one["frame"]), float(one["score"])


def _doubt(one: Mapping[str, Any], names: Mapping[int, str], review_below: float) -> Doubt:
    try:
        box = extent_of(one).box
    except ValueError:
        box = None
    return Doubt(names[one["label_id"]], f"score {two_decimals(one['score'])}", one["score"] / review_below, box)
