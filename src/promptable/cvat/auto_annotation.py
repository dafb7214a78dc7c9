"""The detector as cvat-sdk's auto-annotation function, for ``cvat-cli task auto-annotate``.

    cvat-cli task auto-annotate 12 --function-module promptable.cvat.auto_annotation \\
        -p url=str:http://localhost:32101 -p labels=str:labels.yaml --allow-unmatched-labels

Scores are kept. ``promptable annotate`` does more: jobs, videos, resuming, the review queue.
"""

from dataclasses import replace
from pathlib import Path

from cvat_sdk import auto_annotation as cvataa
from cvat_sdk import models
from PIL import Image

from promptable.cvat.annotate.detector import Detector, describe
from promptable.cvat.annotate.options import Options
from promptable.cvat.detection import TAG, Detection
from promptable.cvat.functions import DirectFunction, Function, Picture
from promptable.cvat.labels.entries import MARKS, read_labels
from promptable.cvat.labels.task_labels import TaskLabels
from promptable.cvat.own_pictures import as_png


def create(url: str, labels: str | None = None) -> "DetectorFunction":
    """The deployed function at ``url``, asked for a labels.yaml or for its own labels. Raises CvatError."""
    entries = None if labels is None else read_labels(Path(labels))
    return DetectorFunction(DirectFunction(url), Options(function=url, labels=entries))


class DetectorFunction:
    """A ``cvat_sdk.auto_annotation.DetectionFunction`` over a function that takes labels."""

    def __init__(self, function: Function, options: Options) -> None:
        self._function = function
        self._options = options
        self._described = describe(function, options)
        labels = [one for one in self._described.labels if not one.get("marks") and one["name"] not in MARKS]
        self._ids = {label["name"]: number for number, label in enumerate(labels)}
        self.spec = cvataa.DetectionFunctionSpec(
            labels=[cvataa.label_spec(one["name"], number, type=one["type"]) for number, one in enumerate(labels)]
        )

    def detect(
        self, context: cvataa.DetectionFunctionContext, image: Image.Image
    ) -> list[models.LabeledImageRequest | models.LabeledShapeRequest]:
        """What reaches the threshold that cvat-cli was given, or that of each label. Raises CvatError."""
        given = {"min_confidence": context.conf_threshold, "polygons": context.conv_mask_to_poly}
        options = replace(self._options, **given)
        detector = Detector(self._function, self._described, options, TaskLabels({}))
        found = detector.ask(Picture(context.frame_name, lambda: as_png(image)), (image.height, image.width))
        return [self._annotation(one) for one in found if one.chosen]

    def _annotation(self, one: Detection) -> models.LabeledImageRequest | models.LabeledShapeRequest:
        number = self._ids[one.label]
        if one.type == TAG:
            return cvataa.tag(number)
        return cvataa.shape(number, type=one.type, points=list(one.points), score=one.stored_score)
