"""The shapes of answers: what a person drew, cut at the picture's border, or the model's mask, cleaned."""

from dataclasses import replace

import numpy as np

from promptable.config.settings import TrackerSettings
from promptable.models.sam2.object_results import ObjectResult
from promptable.models.sam2.video_prompts import BoxPrompt, MaskPrompt
from promptable.serving.cleaning import cleaning
from promptable.serving.tracker.track import Drawing
from promptable.wire.clean import box_of_parts
from promptable.wire.masks import mask_to_crop
from promptable.wire.shapes import Shape, ShapeType, lost_rectangle, shape_of_crop, shape_of_mask


class AnsweredShapes:
    """Makes them as the settings say. What a model remembers of an object is its own mask, whatever is answered."""

    def __init__(self, settings: TrackerSettings) -> None:
        self._tolerance = settings.polygon_tolerance
        self._cleaning = cleaning(settings)
        self._box_parts = settings.box_parts

    def drawn(
        self, drawing: Drawing, answered: ShapeType, result: ObjectResult | None, hw: tuple[int, int]
    ) -> Shape | None:
        """A drawing in a picture of ``hw`` as a shape of the answered type; ``result`` is the model's for its prompt.

        A mask or polygon is converted, a polygon without a pixel to its box; for a box, the model's mask of the object
        in it. None if there is no object inside the picture.
        """
        if answered is drawing.shape.type:
            return self._inside(drawing, hw)
        match drawing.prompt:
            case MaskPrompt(mask=mask):
                return shape_of_mask(mask, answered, self._tolerance)
            case BoxPrompt(xyxy=xyxy) if answered is ShapeType.RECTANGLE:
                return Shape(answered, xyxy.astype(np.float64))
        return None if result is None else self._seen(answered, result)

    def found(self, answered: ShapeType, result: ObjectResult) -> Shape | None:
        """The shape of an object that the model has found, with its score, or that starts again, without. None if the
        object is lost."""
        shape, memory = self._seen(answered, result), result.memory
        return shape if shape is None or memory.conditioning else replace(shape, score=memory.evidence.score)

    def _inside(self, drawing: Drawing, hw: tuple[int, int]) -> Shape | None:
        """The part of a drawing inside the picture, in its own type.

        A rectangle wholly outside the picture becomes one pixel at the nearest border, marked ``outside``; any other
        shape wholly outside becomes None. A polygon that must be cut may differ from the drawn one by the tolerance.
        """
        shape = drawing.shape
        match drawing.prompt:
            case None:
                return lost_rectangle(shape.xyxy, hw) if shape.type is ShapeType.RECTANGLE else None
            case BoxPrompt(xyxy=xyxy):
                return Shape(shape.type, xyxy.astype(np.float64)) if shape.type is ShapeType.RECTANGLE else shape
            case MaskPrompt(mask=mask):
                return shape if shape.lies_in(hw) else shape_of_mask(mask, shape.type, self._tolerance)

    def _seen(self, answered: ShapeType, result: ObjectResult) -> Shape | None:
        if result.xyxy is None:
            return None
        cleaned = self._cleaning.apply(result.mask)
        crop = mask_to_crop(cleaned, result.xyxy if cleaned is result.mask else None)
        if answered is ShapeType.RECTANGLE:
            return Shape(answered, box_of_parts(crop, self._box_parts).astype(np.float64))
        return shape_of_crop(crop, answered, self._tolerance)
