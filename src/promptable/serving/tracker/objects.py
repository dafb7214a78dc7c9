"""The model's results for objects on a frame: shown to it, or found again."""

from collections.abc import Sequence

from promptable.models.sam2.memory import Memory
from promptable.models.sam2.object_results import ObjectResult
from promptable.models.sam2.video_prompts import BoxPrompt, MaskPrompt, VideoPrompt
from promptable.models.sam2.video_tracker import VideoTracker
from promptable.models.segmentation.features import ImageFeatures
from promptable.wire.masks import mask_to_xyxy
from promptable.wire.state import TrackState


class Objects:
    """Asks a model for results, in the order of what it is asked for."""

    def __init__(self, model: VideoTracker) -> None:
        self._model = model

    def find(
        self,
        features: ImageFeatures,
        states: Sequence[TrackState],
        memories: Sequence[Sequence[Memory]],
        corrections: Sequence[VideoPrompt | None],
    ) -> list[ObjectResult]:
        """The result for each object on this frame, from its memories, or from its correction if it has one."""
        steps = [state.step + 1 for state in states]
        left = [i for i, prompt in enumerate(corrections) if prompt is None]
        shown = {i: prompt for i, prompt in enumerate(corrections) if prompt is not None}
        found = self._model.step(features, [steps[i] for i in left], [memories[i] for i in left])
        corrected = self.start(features, list(shown.values()), [steps[i] for i in shown])
        results = dict(zip([*left, *shown], [*found, *corrected], strict=True))
        return [results[i] for i in range(len(states))]

    def start(
        self, features: ImageFeatures, prompts: Sequence[VideoPrompt], steps: Sequence[int] | None = None
    ) -> list[ObjectResult]:
        """The results for the prompts, at these steps of their objects, else at step 0.

        If the model sees no object in a mask, which may be too small for it, the object starts from the mask's box.
        """
        steps = steps or [0] * len(prompts)
        results = self._model.start(features, prompts, steps)
        unseen = {
            index: BoxPrompt(mask_to_xyxy(prompt.mask))
            for index, (prompt, result) in enumerate(zip(prompts, results, strict=True))
            if isinstance(prompt, MaskPrompt) and result.object_score <= 0
        }
        boxed = self._model.start(features, list(unseen.values()), [steps[index] for index in unseen])
        instead = dict(zip(unseen, boxed, strict=True))
        return [instead.get(index, result) for index, result in enumerate(results)]
