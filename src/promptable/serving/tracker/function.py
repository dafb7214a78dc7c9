"""The function sam2-tracker: finds the objects of one frame again on the next frame."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from promptable.config.environment import read
from promptable.config.settings import OnExpired, TrackerSettings
from promptable.errors import BadRequestError, GoneError
from promptable.models.cores.threads import choose_threads, take_threads
from promptable.models.load import load_video_tracker
from promptable.models.runtime import device
from promptable.models.runtime.memory import keep_freed_memory
from promptable.models.runtime.out_of_memory import naming_out_of_memory
from promptable.models.runtime.precision import decide
from promptable.models.sam2.object_results import ObjectResult
from promptable.models.sam2.video_tracker import VideoTracker
from promptable.models.segmentation.features import ImageFeatures
from promptable.models.weights import locate
from promptable.serving.encode import encode
from promptable.serving.feature_cache import FeatureCache
from promptable.serving.logs import log_to
from promptable.serving.redis import shared_redis
from promptable.serving.tracker.answers import Answer, absent, answer
from promptable.serving.tracker.entries import MemoryEntry, read_entry
from promptable.serving.tracker.objects import Objects
from promptable.serving.tracker.prompts import last_box, prompt_of
from promptable.serving.tracker.shapes import AnsweredShapes
from promptable.serving.tracker.stored_memories import Names, StoredMemories
from promptable.serving.tracker.track import Drawing, NewTrack, Track
from promptable.store.entry_store import EntryStore, InProcessStore
from promptable.store.redis_server import RedisServer
from promptable.store.redis_store import RedisStore
from promptable.wire import tracker as wire
from promptable.wire.images.encoded import EncodedImage
from promptable.wire.most_objects import most_objects
from promptable.wire.shapes import Shape
from promptable.wire.state import TrackState

_log = logging.getLogger(__name__)

_WARM_UP_HW = (720, 1280)


def load_function(logger: Any) -> "TrackerFunction":
    """Load the function with the settings of the environment; ``logger`` is nuclio-sdk's."""
    log_to(logger)
    return load(read(TrackerSettings))


def load(settings: TrackerSettings) -> "TrackerFunction":
    """Load the function and its model with these settings."""
    keep_freed_memory()
    where = device.resolve(settings.device)
    if where == "cpu":
        choose_threads([locate(settings.model, settings.weights_dir).weights])
    redis = shared_redis()
    precision = decide(settings.precision, where, shared=redis is not None)
    source = settings.model, settings.weights_dir, where, precision
    model = load_video_tracker(*source, settings.track_memory, settings.cuda_graphs)
    if where != "cpu":  # a GPU's first picture takes seconds
        model.encode_image(np.full((*_WARM_UP_HW, 3), 128, np.uint8))
    return TrackerFunction(model, _store(settings, redis), settings)


def _store(settings: TrackerSettings, redis: RedisServer | None) -> EntryStore[MemoryEntry]:
    local: InProcessStore[MemoryEntry] = InProcessStore(settings.store_mb * 2**20)
    return local if redis is None else RedisStore(redis, local, read_entry)


class TrackerFunction:
    """Answers tracker requests. It holds nothing about a track: the track's state names entries of the store."""

    def __init__(self, model: VideoTracker, store: EntryStore[MemoryEntry], settings: TrackerSettings) -> None:
        self._model = model
        self._objects = Objects(model)
        self._shapes = AnsweredShapes(settings)
        self._memories = StoredMemories(model, store)
        self._settings = settings
        self._features: FeatureCache[ImageFeatures] = FeatureCache(settings.feature_cache_mb * 2**20)

    def __call__(self, body: object) -> str:
        """From the request body to the answer as JSON text.

        Raises BadRequestError; GoneError for a state that has expired or is of another model; NotReadyError if the
        store cannot be reached; OutOfMemoryError.
        """
        take_threads()
        request = wire.parse(body)
        with naming_out_of_memory(), self._features.only_finite(request.image.digest):
            return self._start(request) if isinstance(request, wire.StartRequest) else self._continue(request)

    def _start(self, request: wire.StartRequest) -> str:
        """Start tracks: the answer has the drawn shapes, cut at the picture's border, and a state for each.

        If the answer is of another type than the drawn shape, a drawn mask or polygon is converted to that type. For a
        drawn box, the model's mask of the object in the box is converted.
        """
        self._check_count("shapes", len(request.shapes), request.image)
        features = self._encode(request.image)
        tracks = _new_tracks(request, features.hw)
        prompts = [track.drawing.prompt for track in tracks]
        results = self._objects.start(features, [prompt for prompt in prompts if prompt is not None])
        begun = iter(zip(results, self._memories.start([result.memory for result in results]), strict=True))
        answers = [
            self._begun(track, None if prompt is None else next(begun), request.bare, features.hw)
            for track, prompt in zip(tracks, prompts, strict=True)
        ]
        return wire.encode([shape for shape, _ in answers], [state for _, state in answers], request.bare)

    def _begun(
        self, track: NewTrack, begun: tuple[ObjectResult, Names] | None, bare: bool, hw: tuple[int, int]
    ) -> Answer:
        """One object's first shape and state; ``begun`` is the model's result and the memory's name, None for a shape
        outside the picture."""
        shape = self._shapes.drawn(track.drawing, track.answered, None if begun is None else begun[0], hw)
        if begun is None and shape is None:
            return None, None
        state = TrackState(
            self._model.fingerprint,
            shape_type=track.answered,
            bare=bare,
            step=0,
            memories=() if begun is None else begun[1],
            last_xyxy=None if shape is None else shape.xyxy,
            outside=begun is None or shape is None,
        )
        return shape, state

    def _continue(self, request: wire.ContinueRequest) -> str:
        """Continue tracks: the answer has the shapes that were found or corrected, and the new states.

        A shape is None if the state is None, or if the object is lost and not a rectangle. Raises GoneError for an
        expired state, unless the settings say that its track starts again.
        """
        states = [state for state in request.states if state is not None]
        self._check_count("states", len(states), request.image)
        pasts = self._memories.read(states)
        if None in pasts and self._settings.on_expired is OnExpired.ERROR:
            raise GoneError("states: a state has expired, start tracking again from this frame")
        features = self._encode(request.image)
        corrected = _corrections(request, features.hw)
        tracks = [Track(*each) for each in zip(states, pasts, corrected, strict=True)]
        answers = iter(self._answers(features, tracks))
        pairs = [(None, None) if state is None else next(answers) for state in request.states]
        return wire.encode([shape for shape, _ in pairs], [state for _, state in pairs], request.bare)

    def _answers(self, features: ImageFeatures, tracks: Sequence[Track]) -> list[Answer]:
        known = [i for i, track in enumerate(tracks) if track.past]
        others = [i for i, track in enumerate(tracks) if not track.past]
        followed = self._follow(features, [tracks[i] for i in known])
        restarted = self._restart(features, [tracks[i] for i in others])
        answers = dict(zip([*known, *others], [*followed, *restarted], strict=True))
        return [answers[i] for i in range(len(tracks))]

    def _follow(self, features: ImageFeatures, tracks: Sequence[Track]) -> list[Answer]:
        """The answers for objects with memories: found again, or corrected."""
        states, pasts = [track.state for track in tracks], [track.past or [] for track in tracks]
        results = self._objects.find(features, states, pasts, [track.prompt for track in tracks])
        kept = self._memories.advance(states, pasts, [result.memory for result in results])
        return [
            self._answer(track, track.state.step + 1, result, names)
            for track, result, names in zip(tracks, results, kept, strict=True)
        ]

    def _restart(self, features: ImageFeatures, tracks: Sequence[Track]) -> list[Answer]:
        """The answers for objects without memories, which start again from their correction or their last box.

        An object that was lost in the last answer, and is not corrected, stays lost.
        """
        if expired := sum(track.past is None for track in tracks):
            _log.warning("%d states have expired: their tracks start again from their last boxes", expired)
        prompts = [track.prompt or last_box(track.state, features.hw) for track in tracks]
        results = self._objects.start(features, [prompt for prompt in prompts if prompt is not None])
        begun = zip(results, self._memories.start([result.memory for result in results]), strict=True)
        return [
            absent(track.state, features.hw) if prompt is None else self._answer(track, 0, *next(begun))
            for track, prompt in zip(tracks, prompts, strict=True)
        ]

    def _answer(self, track: Track, step: int, result: ObjectResult, names: Names) -> Answer:
        """The answer for an object that is at this step now, and remembers ``names``."""
        state, hw = replace(track.state, step=step, memories=names), result.hw
        if track.drawing is None:
            return answer(state, self._shapes.found(state.shape_type, result), hw)
        return answer(state, self._shapes.drawn(track.drawing, state.shape_type, result, hw), hw)

    def _check_count(self, field: str, count: int, image: EncodedImage) -> None:
        """Raise BadRequestError for objects whose masks would take gigabytes, each as large as the picture."""
        hw = image.hw(self._settings.max_megapixels)
        if count > (most := most_objects(hw)):
            expected = f"expected at most {most} objects at once in a {hw[1]} x {hw[0]} picture"
            raise BadRequestError(f"{field}: {expected}, got {count}: send the others in another request")

    def _encode(self, image: EncodedImage) -> ImageFeatures:
        return self._features.get(image.digest, partial(encode, self._model, image, self._settings.max_megapixels))


def _new_tracks(request: wire.StartRequest, hw: tuple[int, int]) -> list[NewTrack]:
    prompts = [prompt_of(shape, hw, f"shapes[{i}].points") for i, shape in enumerate(request.shapes)]
    if outside := [i for i, prompt in enumerate(prompts) if prompt is None]:
        _log.warning("shapes %s lie outside the %d x %d picture: no track starts there", outside, hw[1], hw[0])
    drawings = [Drawing(*each) for each in zip(request.shapes, prompts, strict=True)]
    return [NewTrack(*each) for each in zip(drawings, request.answered_types, strict=True)]


def _corrections(request: wire.ContinueRequest, hw: tuple[int, int]) -> list[Drawing | None]:
    """The correction of each object whose state is not None; None for an object without a correction.

    Raises BadRequestError for a shape wholly outside the picture.
    """
    given = zip(request.states, request.corrections, strict=True)
    return [
        None if shape is None else _correction(f"corrections[{i}].points", shape, hw)
        for i, (state, shape) in enumerate(given)
        if state is not None
    ]


def _correction(field: str, shape: Shape, hw: tuple[int, int]) -> Drawing:
    prompt = prompt_of(shape, hw, field)
    if prompt is None:
        raise BadRequestError(f"{field}: expected an object in the {hw[1]} x {hw[0]} picture, got one outside")
    return Drawing(shape, prompt)
