"""functions/sam-interactor: clicks and boxes on a picture become masks."""

import numpy as np

from promptable.defaults import AUTO, sam2_model
from promptable.models import device, segmenters
from promptable.models.cpu import keep_freed_memory
from promptable.models.segmenter import ImageFeatures, Prediction, Prompt, Segmenter
from promptable.serving.feature_cache import FeatureCache
from promptable.serving.prompts import prompts_of
from promptable.serving.refinement import Refinement
from promptable.serving.settings import InteractorSettings, read
from promptable.serving.shared_features import SharedFeatures, shared_features
from promptable.wire import interactor as wire
from promptable.wire.clean import Cleaning
from promptable.wire.images import EncodedImage

_WARM_HW = (720, 1280)


def load_interactor() -> "Interactor":
    """The function as the environment's settings describe it."""
    settings = read(InteractorSettings)
    where = device.resolve(settings.device)
    if where == "cpu":
        keep_freed_memory()
    model = sam2_model(where) if settings.model == AUTO else settings.model
    segmenter = segmenters.load(model, settings.weights_dir, where, settings.precision)
    _warm_up(segmenter)
    return Interactor(segmenter, settings, shared_features(model, settings.weights_dir, where, settings.precision))


def _warm_up(segmenter: Segmenter) -> None:
    """One inference on a gray picture, so that the first click is not the slow one."""
    gray = np.full((*_WARM_HW, 3), 128, np.uint8)
    click = Prompt(np.array([[_WARM_HW[1] / 2, _WARM_HW[0] / 2]], np.float32), np.ones(1, np.int32))
    segmenter.predict(segmenter.encode_image(gray), click)


class Interactor:
    """Answers interactor requests: one mask per box, or one for all the points."""

    def __init__(self, segmenter: Segmenter, settings: InteractorSettings, shared: SharedFeatures) -> None:
        self._segmenter = segmenter
        self._settings = settings
        self._shared = shared
        self._features: FeatureCache[ImageFeatures] = FeatureCache(settings.feature_cache_mb * 2**20)
        self._refinement = Refinement()
        self._cleaning = Cleaning(
            settings.fill_holes, settings.remove_specks, settings.largest_part_only, settings.smooth_edges
        )

    def __call__(self, body: object) -> str:
        """Request body -> answer JSON. Raises BadRequestError."""
        request = wire.parse(body)
        features = self._encode(request.image)
        prompts = prompts_of(request.inside(features.hw))
        predictions = [self._predict(request.image.digest, features, prompt) for prompt in prompts]
        masks = [wire.ScoredMask(self._cleaning.apply(found.mask), found.score) for found in predictions]
        return wire.encode(masks, features.hw, self._settings.answer_form, self._settings.polygon_tolerance)

    def _encode(self, image: EncodedImage) -> ImageFeatures:
        def encode() -> ImageFeatures:
            return self._segmenter.encode_image(image.decode(self._settings.max_megapixels))

        return self._features.get(image.digest, lambda: self._shared.get(image.digest, encode))

    def _predict(self, digest: str, features: ImageFeatures, prompt: Prompt) -> Prediction:
        continued = self._refinement.continued(digest, prompt)
        prediction = self._segmenter.predict(features, continued, self._settings.click_means)
        self._refinement.remember(digest, prompt, prediction.low_res_logits)
        return prediction
