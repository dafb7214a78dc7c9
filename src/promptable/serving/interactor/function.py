"""The function sam-interactor: from clicks and boxes on a picture to masks."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from promptable.config.environment import read
from promptable.config.settings import InteractorSettings
from promptable.models.catalogue import AUTO, sam2_model
from promptable.models.cores.threads import choose_threads, take_threads
from promptable.models.load import load_segmenter
from promptable.models.runtime import device
from promptable.models.runtime.memory import keep_freed_memory
from promptable.models.runtime.out_of_memory import naming_out_of_memory
from promptable.models.runtime.precision import decide
from promptable.models.segmentation.extent import Extent
from promptable.models.segmentation.features import ImageFeatures
from promptable.models.segmentation.segmenter import Prediction, Prompt, Segmenter
from promptable.models.weights import fingerprint, locate
from promptable.serving.cleaning import cleaning
from promptable.serving.encode import encode
from promptable.serving.feature_cache import FeatureCache
from promptable.serving.interactor.click_history import ClickHistory, SharedHistory
from promptable.serving.interactor.prompts import prompts_of
from promptable.serving.interactor.shared_features import SharedFeatures
from promptable.serving.interactor.warm_up import warm_up
from promptable.serving.logs import log_to
from promptable.serving.redis import shared_redis
from promptable.store.redis_cache import RedisCache
from promptable.store.redis_server import RedisServer
from promptable.wire import interactor as wire
from promptable.wire.images.encoded import EncodedImage

_CLICKS_WITH_GRAPHS = 6  # graphs for up to 6 clicks on one object are captured at start; others at the first such click
_FORM = 2  # the version of the values in Redis; increase it when their meaning changes
_LIFETIME_SECONDS = 3600  # a picture that nobody has clicked into for an hour is done


def load_function(logger: Any) -> "InteractorFunction":
    """Load the function with the settings of the environment; ``logger`` is nuclio-sdk's."""
    log_to(logger)
    settings = read(InteractorSettings)
    keep_freed_memory()
    where = device.resolve(settings.device)
    model = sam2_model(where) if settings.model == AUTO else settings.model
    files = locate(model, settings.weights_dir)
    if where == "cpu":
        choose_threads([files.weights])
    redis = shared_redis()
    precision = decide(settings.precision, where, shared=redis is not None)
    segmenter = load_segmenter(model, settings.weights_dir, where, precision, settings.cuda_graphs)
    if redis is None and where == "cpu":  # nothing to warm there, and nobody to agree with on the features' form
        return InteractorFunction(segmenter, settings)
    with_graphs = settings.cuda_graphs and where != "cpu"
    features, logits = warm_up(segmenter, _CLICKS_WITH_GRAPHS if with_graphs else 1)
    if redis is None:
        return InteractorFunction(segmenter, settings)
    encoder = f"{_FORM}:{fingerprint(files.weights, files.config)}:{precision}:{where.partition(':')[0]}"
    feature_cache, history_cache = _caches(redis, encoder, settings.click_means)
    shared = SharedFeatures(feature_cache, features), SharedHistory(history_cache, logits.shape)
    return InteractorFunction(segmenter, settings, *shared)


def _caches(redis: RedisServer, encoder: str, click_means: Extent) -> tuple[RedisCache, RedisCache]:
    """The caches of features and clicks for replicas of one ``encoder``: one model, precision and kind of device."""
    prefixes = (f"promptable:features:{encoder}:", f"promptable:clicks:{encoder}:{click_means}:")
    features, clicks = (RedisCache(redis, prefix, _LIFETIME_SECONDS) for prefix in prefixes)
    return features, clicks


class InteractorFunction:
    """Answers interactor requests: one mask for each box, or without boxes one mask for all points."""

    def __init__(
        self,
        segmenter: Segmenter,
        settings: InteractorSettings,
        shared_features: SharedFeatures | None = None,
        shared_history: SharedHistory | None = None,
    ) -> None:
        self._segmenter = segmenter
        self._settings = settings
        self._shared = shared_features
        self._features: FeatureCache[ImageFeatures] = FeatureCache(settings.feature_cache_mb * 2**20)
        self._history = ClickHistory(shared_history)
        self._cleaning = cleaning(settings)

    def __call__(self, body: object) -> str:
        """From the request body to the answer as JSON text. Raises BadRequestError, OutOfMemoryError."""
        take_threads()
        request = wire.parse(body)
        hw = self._hw(request.image)
        prompts = prompts_of(request.inside(hw))
        with naming_out_of_memory(), self._features.only_finite(request.image.digest):
            masks = self._masks(request.image, hw, prompts)
            return wire.encode(masks, hw, self._settings.answer_form, self._settings.polygon_tolerance)

    def _hw(self, image: EncodedImage) -> tuple[int, int]:
        """The picture's height and width, a new one's from its header: prompts are checked before it is encoded."""
        known = self._features.find(image.digest)
        return image.hw(self._settings.max_megapixels) if known is None else known.hw

    def _encode(self, image: EncodedImage, hw: tuple[int, int]) -> ImageFeatures:
        encoded = partial(encode, self._segmenter, image, self._settings.max_megapixels)

        def find() -> ImageFeatures:
            return encoded() if self._shared is None else self._shared.get(image.digest, hw, encoded)

        return self._features.get(image.digest, find)

    def _masks(self, image: EncodedImage, hw: tuple[int, int], prompts: Sequence[Prompt]) -> Iterator[wire.ScoredMask]:
        """The masks, computed one by one, so that only one mask of the picture's size is in memory at a time."""
        if not prompts:
            return
        features = self._encode(image, hw)
        for prompt in prompts:
            found = self._predict(image.digest, features, prompt)
            yield wire.ScoredMask(self._cleaning.apply(found.mask), found.score)

    def _predict(self, digest: str, features: ImageFeatures, prompt: Prompt) -> Prediction:
        prompt = self._history.with_mask_input(digest, prompt)
        prediction = self._segmenter.predict(features, prompt, self._settings.click_means)
        self._history.remember(digest, prompt, prediction.low_res_logits)
        return prediction
