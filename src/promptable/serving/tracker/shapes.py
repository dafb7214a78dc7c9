"""The shapes of answers: what a person drew, cut at the picture's border, or the model's mask, cleaned."""

from dataclasses import replace

from promptable.config.settings import TrackerSettings
from promptable.models.sam2.object_results import ObjectResult
from promptable.models.sam2.video_prompts import MaskPrompt, VideoPrompt
from promptable.serving.cleaning import cleaning
from promptable.serving.tracker.prompts import drawn_inside
from promptable.serving.tracker.track import NewTrack
from promptable.wire.masks import mask_to_crop
from promptable.wire.tracker import Shape, ShapeType, shape_of_crop, shape_of_mask


class AnsweredShapes:
    """Makes them as the settings say. What a model remembers of an object is its own mask, whatever is answered."""

    def __init__(self, settings: TrackerSettings) -> None:
        self._tolerance = settings.polygon_tolerance
        self._cleaning = cleaning(settings)

    def drawn(self, shape: Shape, prompt: VideoPrompt | None, hw: tuple[int, int]) -> Shape | None:
        """The part of a drawn shape inside the picture; ``prompt`` is that of the shape. None if there is none."""
        return drawn_inside(shape, prompt, hw, self._tolerance)

    def first(self, track: NewTrack, result: ObjectResult | None, hw: tuple[int, int]) -> Shape | None:
        """The drawn shape as a shape of the answered type; None if there is no object inside the picture."""
        if track.answered is track.drawn.type:
            return self.drawn(track.drawn, track.prompt, hw)
        if isinstance(track.prompt, MaskPrompt):
            return shape_of_mask(track.prompt.mask, track.answered, self._tolerance)
        return None if result is None else self._found(track.answered, result)

    def later(self, answered: ShapeType, result: ObjectResult, drawn: Shape | None) -> Shape | None:
        """The shape of a tracked object: the one ``drawn`` on this frame, if it is of the answered type, else the found
        one. None if the object is lost."""
        if drawn is not None and drawn.type is answered:
            return drawn
        shape, memory = self._found(answered, result), result.memory
        return shape if shape is None or memory.conditioning else replace(shape, score=memory.evidence.score)

    def _found(self, answered: ShapeType, result: ObjectResult) -> Shape | None:
        if result.xyxy is None:
            return None
        cleaned = self._cleaning.apply(result.mask)
        crop = mask_to_crop(cleaned, result.xyxy if cleaned is result.mask else None)
        return shape_of_crop(crop, answered, self._tolerance)
