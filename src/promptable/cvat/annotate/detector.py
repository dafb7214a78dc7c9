"""What a run asks of each picture: one function, one label list, and what of the answer is worth uploading."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from promptable.cvat.annotate.answers import named, read_answer
from promptable.cvat.annotate.options import FLOOR, Options
from promptable.cvat.annotate.task_labels import TaskLabels
from promptable.cvat.detection import Detection
from promptable.cvat.errors import CvatError
from promptable.cvat.functions import Function, Picture

PAUSES = (0.5, 2.0)
"""Seconds before each further try of a picture that failed."""
_DEFAULT_THRESHOLD = 0.35
"""PROMPTABLE_THRESHOLD's default: what a label without a threshold gets."""


@dataclass(frozen=True)
class Detector:
    """A function, what it is asked, and the labels of the task it is asked for."""

    function: Function
    options: Options
    labels: TaskLabels

    def ask(self, picture: Picture, hw: tuple[int, int]) -> list[Detection]:
        """What is found on a picture of ``hw``, down to the floor. Raises CvatError after a few tries."""
        for pause in PAUSES:
            try:
                return self._ask(picture, hw)
            except CvatError:
                time.sleep(pause)
        return self._ask(picture, hw)

    def _ask(self, picture: Picture, hw: tuple[int, int]) -> list[Detection]:
        answer = self.function.call(picture, self._fields())
        found = read_answer(named(answer, self.labels), hw, polygons=self.options.polygons)
        return [replace(one, chosen=one.score >= self._threshold(one.label)) for one in found]

    def _fields(self) -> Mapping[str, Any]:
        """A request of everything down to the floor; through CVAT at one threshold, since it passes no scores on."""
        options = self.options
        if not self.function.takes_labels:
            fields = {} if options.min_confidence is None else {"threshold": options.min_confidence}
            return fields | ({"conv_mask_to_poly": True} if options.polygons else {})
        fields = {"threshold": min(FLOOR, *self._thresholds(), 1.0)}
        return fields if options.labels is None else fields | {"labels": [dict(one) for one in options.labels]}

    def _thresholds(self) -> Sequence[float]:
        return [self._threshold(str(entry["name"])) for entry in self.options.labels or ({"name": ""},)]

    def _threshold(self, label: str) -> float:
        """From which score on a detection is uploaded."""
        if self.options.min_confidence is not None:
            return self.options.min_confidence
        if not self.function.takes_labels:
            return 0.0
        own = (entry.get("threshold") for entry in self.options.labels or () if entry["name"] == label)
        return next((float(one) for one in own if one is not None), _DEFAULT_THRESHOLD)
