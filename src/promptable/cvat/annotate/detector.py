"""What a run asks of each picture: one function, one label list, and what of the answer is worth uploading."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from promptable.cvat.annotate.candidates import read_candidates
from promptable.cvat.annotate.options import FLOOR, Options
from promptable.cvat.answers import named, read_answer
from promptable.cvat.detection import Detection
from promptable.cvat.functions import Function, Picture, blank
from promptable.cvat.labels.task_labels import TaskLabels
from promptable.cvat.server.errors import CvatError, OptionError

PAUSES = (0.5, 2.0)
"""Seconds before each further try of a picture that failed."""
_REFUSED = 400
DEFAULT_THRESHOLD = 0.35
"""Grounding DINO's own: what a label without a threshold gets from a function that does not say (an older one)."""


@dataclass(frozen=True)
class Described:
    """What a function says of itself: its labels (``name``, ``type``, ``threshold`` ...) and by which rules it chooses.

    ``proposes`` is whether it answers with everything down to a floor, for the caller to choose from. ``model`` tells
    its weights from others, where it says.
    """

    labels: Sequence[Mapping[str, Any]]
    rules: Mapping[str, Any]
    proposes: bool
    model: str | None = None


def describe(function: Function, options: Options) -> Described:
    """Ask a function what it looks for with these options. Raises CvatError."""
    if not function.takes_labels:
        if options.labels is not None:
            raise OptionError(
                f"--labels: CVAT passes no labels on to {function!r}, it answers for those it is deployed with: leave "
                "--labels out, or use --function URL or --local to try others"
            )
        return Described(list(getattr(function, "described", {}).get("labels_v2", ())), {}, proposes=False)
    answer = function.call(blank("asked for its labels"), _with_labels({"floor": 1.0}, options))
    match answer:
        case {"labels": list(labels), "rules": dict(rules)}:
            return Described(labels, rules, proposes=True, model=answer.get("model"))
        case list():
            return Described(options.labels or (), {}, proposes=False)
    raise CvatError(f"{function!r} does not answer as a detector does: is it the detector's address?")


def _with_labels(fields: Mapping[str, Any], options: Options) -> dict[str, Any]:
    return {**fields} if options.labels is None else {**fields, "labels": [dict(one) for one in options.labels]}


@dataclass(frozen=True)
class Detector:
    """A function, what it is asked, and the labels of the task it is asked for."""

    function: Function
    described: Described
    options: Options
    labels: TaskLabels

    def ask(self, picture: Picture, hw: tuple[int, int]) -> list[Detection]:
        """What is found on a picture of ``hw``, down to the floor. Raises CvatError after a few tries.

        What the function refuses (400) it would refuse again.
        """
        for pause in PAUSES:
            try:
                return self._ask(picture, hw)
            except CvatError as error:
                if error.status == _REFUSED:
                    raise
                time.sleep(pause)
        return self._ask(picture, hw)

    def _ask(self, picture: Picture, hw: tuple[int, int]) -> list[Detection]:
        answer = self.function.call(picture, self._fields())
        if self.described.proposes:
            return read_candidates(answer, self._thresholds, hw, polygons=self.options.polygons)
        found = read_answer(named(answer, self.labels), hw, polygons=self.options.polygons)
        return [replace(one, chosen=not one.is_below(self._threshold(one.label))) for one in found]

    def _fields(self) -> Mapping[str, Any]:
        """A request of everything down to the floor; through CVAT at one threshold, since it passes no scores on."""
        options = self.options
        if not self.function.takes_labels:
            fields = {} if options.min_confidence is None else {"threshold": options.min_confidence}
            return fields | ({"conv_mask_to_poly": True} if options.polygons else {})
        floor = min([FLOOR, *self._thresholds.values()])
        return _with_labels({"floor" if self.described.proposes else "threshold": floor}, options)

    @cached_property
    def _thresholds(self) -> Mapping[str, float]:
        return {entry["name"]: self._threshold(entry["name"]) for entry in self.described.labels}

    def _threshold(self, label: str) -> float:
        """From which score on a detection is uploaded."""
        if self.options.min_confidence is not None:
            return self.options.min_confidence
        if not self.function.takes_labels:
            return 0.0
        own = (entry.get("threshold") for entry in self.described.labels if entry["name"] == label)
        return next((float(one) for one in own if one is not None), DEFAULT_THRESHOLD)
