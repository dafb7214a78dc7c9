"""functions/sam-interactor: clicks and boxes on a picture become masks."""

from collections.abc import Iterator, Sequence

from redis import Redis

from promptable.config.settings import InteractorSettings, read
from promptable.models.catalogue import AUTO, sam2_model
from promptable.models.load import load_segmenter
from promptable.models.runtime import device
from promptable.models.runtime.cpu import prepare
from promptable.models.segmentation.segmenter import ImageFeatures, Prediction, Prompt, Segmenter
from promptable.models.weights import fingerprint, locate
from promptable.serving.feature_cache import FeatureCache
from promptable.serving.interactor.prompts import prompts_of
from promptable.serving.interactor.refinement import Refinement
from promptable.serving.interactor.shared_answers import SharedAnswers
from promptable.serving.interactor.shared_features import SharedFeatures
from promptable.serving.interactor.warm_up import warm_up
from promptable.serving.redis import shared_redis
from promptable.store.redis_cache import RedisCache
from promptable.wire import interactor as wire
from promptable.wire.clean import Cleaning
from promptable.wire.images import EncodedImage

_FORM = 1  # of what is shared; another one when what it means changes
_LIFETIME_SECONDS = 3600  # a picture that nobody has clicked into for an hour is done


def load_function() -> "InteractorFunction":
    """The function as the environment's settings describe it."""
    settings = read(InteractorSettings)
    where = device.resolve(settings.device)
    model = sam2_model(where) if settings.model == AUTO else settings.model
    if where == "cpu":
        prepare([locate(model, settings.weights_dir).weights])
    segmenter = load_segmenter(model, settings.weights_dir, where, settings.precision)
    features, logits = warm_up(segmenter)
    redis = shared_redis()
    if redis is None:
        return InteractorFunction(segmenter, settings)
    encoded, answered = _caches(redis, settings, model, where)
    shared = SharedFeatures(encoded, features), SharedAnswers(answered, logits.shape)
    return InteractorFunction(segmenter, settings, *shared)


def _caches(redis: Redis, settings: InteractorSettings, model: str, where: str) -> tuple[RedisCache, RedisCache]:
    """For features and for answers, among replicas of the same weights, precision and kind of device."""
    weights = fingerprint(locate(model, settings.weights_dir).weights)
    encoder = f"{_FORM}:{weights}:{settings.precision}:{where.partition(':')[0]}"
    prefixes = (f"promptable:features:{encoder}:", f"promptable:answers:{encoder}:{settings.click_means}:")
    features, answers = (RedisCache(redis, prefix, _LIFETIME_SECONDS) for prefix in prefixes)
    return features, answers


class InteractorFunction:
    """Answers interactor requests: one mask per box, or one for all the points."""

    def __init__(
        self,
        segmenter: Segmenter,
        settings: InteractorSettings,
        shared_features: SharedFeatures | None = None,
        shared_answers: SharedAnswers | None = None,
    ) -> None:
        self._segmenter = segmenter
        self._settings = settings
        self._shared = shared_features
        self._features: FeatureCache[ImageFeatures] = FeatureCache(settings.feature_cache_mb * 2**20)
        self._refinement = Refinement(shared_answers)
        self._cleaning = Cleaning(
            settings.fill_holes, settings.remove_specks, settings.largest_part_only, settings.smooth_edges
        )

    def __call__(self, body: object) -> str:
        """Request body -> answer JSON. Raises BadRequestError."""
        request = wire.parse(body)
        hw = self._hw(request.image)
        prompts = prompts_of(request.inside(hw))
        masks = self._masks(request.image, hw, prompts)
        return wire.encode(masks, hw, self._settings.answer_form, self._settings.polygon_tolerance)

    def _hw(self, image: EncodedImage) -> tuple[int, int]:
        """The picture's height and width, if new by its header: prompts are checked before it is encoded."""
        known = self._features.find(image.digest)
        return image.hw(self._settings.max_megapixels) if known is None else known.hw

    def _encode(self, image: EncodedImage, hw: tuple[int, int]) -> ImageFeatures:
        def encode() -> ImageFeatures:
            return self._segmenter.encode_image(image.decode(self._settings.max_megapixels))

        def find() -> ImageFeatures:
            return encode() if self._shared is None else self._shared.get(image.digest, hw, encode)

        return self._features.get(image.digest, find)

    def _masks(self, image: EncodedImage, hw: tuple[int, int], prompts: Sequence[Prompt]) -> Iterator[wire.ScoredMask]:
        """One by one, so that no more than one mask of the picture's size is there at a time."""
        if not prompts:
            return
        features = self._encode(image, hw)
        for prompt in prompts:
            found = self._predict(image.digest, features, prompt)
            yield wire.ScoredMask(self._cleaning.apply(found.mask), found.score)

    def _predict(self, digest: str, features: ImageFeatures, prompt: Prompt) -> Prediction:
        continued = self._refinement.continued(digest, prompt)
        prediction = self._segmenter.predict(features, continued, self._settings.click_means)
        self._refinement.remember(digest, continued, prediction.low_res_logits)
        return prediction
