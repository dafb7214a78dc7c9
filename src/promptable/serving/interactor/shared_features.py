"""Image features that replicas share through Redis, where they survive a restart: the cache behind FeatureCache."""

import logging
from collections.abc import Callable

from promptable.models.segmentation.features import ImageFeatures
from promptable.store.redis_cache import RedisCache

_log = logging.getLogger(__name__)


class SharedFeatures:
    """The features of one model by the picture's digest, as safetensors; ``like`` are features of any picture from the
    same model."""

    def __init__(self, cache: RedisCache, like: ImageFeatures) -> None:
        self._cache = cache
        self._like = like

    def get(self, digest: str, hw: tuple[int, int], encode: Callable[[], ImageFeatures]) -> ImageFeatures:
        """The features of a picture of ``hw`` from Redis, or else from ``encode()``; these are stored."""
        found = self._cache.get(digest)
        features = None if found is None else self._read(found, hw)
        if features is None:
            features = encode()
            self._cache.put(digest, features.to_bytes())
        return features

    def _read(self, data: bytes, hw: tuple[int, int]) -> ImageFeatures | None:
        try:
            return ImageFeatures.from_bytes(data, hw, self._like)
        except ValueError as error:
            _log.warning("features in Redis cannot be read, the picture is encoded again: %s", error)
            return None
