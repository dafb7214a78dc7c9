"""functions/sam2-tracker: shapes on one frame are found again on the next."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from promptable.config.settings import TrackerSettings, read
from promptable.models.load import load_video_tracker
from promptable.models.runtime import device
from promptable.models.runtime.cpu import prepare
from promptable.models.sam2.memory import Memory
from promptable.models.sam2.video_tracker import BoxPrompt, MaskPrompt, ObjectResult, VideoPrompt, VideoTracker
from promptable.models.segmentation.features import ImageFeatures
from promptable.models.weights import locate
from promptable.serving.encode import encode
from promptable.serving.feature_cache import FeatureCache
from promptable.serving.logs import log_to
from promptable.serving.redis import shared_redis
from promptable.serving.tracker.stored_memories import Names, StoredMemories
from promptable.store.entry_store import EntryStore, InProcessStore
from promptable.store.redis_store import RedisStore
from promptable.wire import tracker as wire
from promptable.wire.images import EncodedImage
from promptable.wire.masks import mask_to_xyxy
from promptable.wire.tracker import Shape, ShapeType, TrackState, lost_rectangle, shape_of_mask


def load_function(logger: Any) -> "TrackerFunction":
    """The function as the environment's settings describe it; ``logger`` is nuclio-sdk's."""
    log_to(logger)
    return load(read(TrackerSettings))


def load(settings: TrackerSettings) -> "TrackerFunction":
    """The function with its weights, as these settings say."""
    where = device.resolve(settings.device)
    if where == "cpu":
        prepare([locate(settings.model, settings.weights_dir).weights])
    model = load_video_tracker(settings.model, settings.weights_dir, where, settings.precision, settings.track_memory)
    return TrackerFunction(model, _store(settings), settings)


def _store(settings: TrackerSettings) -> EntryStore:
    local = InProcessStore(settings.store_mb * 2**20)
    redis = shared_redis()
    return local if redis is None else RedisStore(redis, local)


class TrackerFunction:
    """Answers tracker requests. Nothing of a track is kept here: its state names entries of the store."""

    def __init__(self, model: VideoTracker, store: EntryStore, settings: TrackerSettings) -> None:
        self._model = model
        self._memories = StoredMemories(model, store)
        self._settings = settings
        self._features: FeatureCache[ImageFeatures] = FeatureCache(settings.feature_cache_mb * 2**20)

    def __call__(self, body: object) -> str:
        """Request body -> answer JSON. Raises BadRequestError."""
        request = wire.parse(body)
        if isinstance(request, wire.StartRequest):
            return self._start(request)
        return self._continue(request)

    def _start(self, request: wire.StartRequest) -> str:
        """The shapes as they came, since people drew them, and a state for each."""
        features = self._encode(request.image)
        prompts = [_prompt(f"shapes[{i}].points", shape, features.hw) for i, shape in enumerate(request.shapes)]
        kept = self._memories.start([result.memory for result in self._begin(features, prompts)])
        states = [
            TrackState(
                model=self._model.fingerprint,
                shape_type=shape.type,
                bare=request.bare,
                step=0,
                memories=names,
                last_xyxy=_corners(shape),
            )
            for shape, names in zip(request.shapes, kept, strict=True)
        ]
        return wire.encode(request.shapes, states, request.bare)

    def _continue(self, request: wire.ContinueRequest) -> str:
        """The shapes found again, or as they were corrected; None where a state is None or its object is lost. And the
        new states."""
        tracked = [state for state in request.states if state is not None]
        memories = self._memories.read(tracked)
        features = self._encode(request.image)
        drawn = [shape for state, shape in zip(request.states, request.corrections, strict=True) if state is not None]
        results = self._find(features, tracked, memories, _corrections(request, features.hw))
        kept = self._memories.advance(tracked, memories, [result.memory for result in results])
        advanced = iter(map(self._advance, tracked, results, kept, drawn))
        pairs = [(None, None) if state is None else next(advanced) for state in request.states]
        return wire.encode([shape for shape, _ in pairs], [state for _, state in pairs], request.bare)

    def _encode(self, image: EncodedImage) -> ImageFeatures:
        return self._features.get(image.digest, partial(encode, self._model, image, self._settings.max_megapixels))

    def _find(
        self,
        features: ImageFeatures,
        states: Sequence[TrackState],
        memories: Sequence[Sequence[Memory]],
        corrections: Sequence[VideoPrompt | None],
    ) -> list[ObjectResult]:
        """Objects on this frame: found by what each remembers, or shown where there is a correction."""
        steps = [state.step + 1 for state in states]
        left = [i for i, prompt in enumerate(corrections) if prompt is None]
        shown = {i: prompt for i, prompt in enumerate(corrections) if prompt is not None}
        found = self._model.step(features, [steps[i] for i in left], [memories[i] for i in left])
        corrected = self._begin(features, list(shown.values()), [steps[i] for i in shown])
        results = dict(zip([*left, *shown], [*found, *corrected], strict=True))
        return [results[i] for i in range(len(states))]

    def _begin(
        self, features: ImageFeatures, prompts: Sequence[VideoPrompt], steps: Sequence[int] | None = None
    ) -> list[ObjectResult]:
        """What the model makes of the prompts. A mask too small for the model to see starts from its box instead."""
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

    def _advance(
        self, state: TrackState, result: ObjectResult, memories: Names, drawn: Shape | None
    ) -> tuple[Shape | None, TrackState]:
        """One object's shape on this frame, as it was drawn if it was, and its next state."""
        shape = drawn if drawn is not None and drawn.type is state.shape_type else self._shape(state, result)
        last = None if shape is None else _corners(shape)
        return shape, replace(state, step=state.step + 1, memories=memories, last_xyxy=last)

    def _shape(self, state: TrackState, result: ObjectResult) -> Shape | None:
        """The mask as a shape of the state's type. Of a lost object a rectangle keeps its last box, and is outside;
        others are None. CVAT's stock sidebar, which tracks rectangles only, breaks on None."""
        if result.mask.any():
            return shape_of_mask(result.mask, state.shape_type, self._settings.polygon_tolerance)
        if state.last_xyxy is not None:
            height, width = result.mask.shape
            return lost_rectangle(state.last_xyxy, (height, width))
        return None


def _corrections(request: wire.ContinueRequest, hw: tuple[int, int]) -> list[VideoPrompt | None]:
    """Of each object that is followed, where it was drawn anew."""
    return [
        None if shape is None else _prompt(f"corrections[{i}].points", shape, hw)
        for i, (state, shape) in enumerate(zip(request.states, request.corrections, strict=True))
        if state is not None
    ]


def _prompt(field: str, shape: Shape, hw: tuple[int, int]) -> VideoPrompt:
    """What the model starts from. Raises BadRequestError for a shape with nothing inside the picture."""
    if shape.type is ShapeType.RECTANGLE:
        return BoxPrompt(shape.to_xyxy(hw, field))
    return MaskPrompt(shape.to_mask(hw, field))


def _corners(shape: Shape) -> tuple[float, float, float, float] | None:
    """A rectangle's corners, None for other shapes."""
    if shape.type is not ShapeType.RECTANGLE:
        return None
    left, top, right, bottom = shape.points
    return left, top, right, bottom
