"""Image features that replicas share through Redis, and that a restart keeps: the second level behind FeatureCache."""

import logging
from collections.abc import Callable
from pathlib import Path

from promptable.models.checkpoints import fingerprint, locate
from promptable.models.segmenter import ImageFeatures
from promptable.serving.shared_redis import shared_redis
from promptable.store.redis_cache import RedisCache

_log = logging.getLogger(__name__)

_LIFETIME_SECONDS = 3600  # a picture that nobody has clicked into for an hour is done


class SharedFeatures:
    """Features by the picture's digest, in safetensors form; without a Redis nothing is shared."""

    def __init__(self, cache: RedisCache | None, device: str) -> None:
        self._cache = cache
        self._device = device

    def get(self, digest: str, encode: Callable[[], ImageFeatures]) -> ImageFeatures:
        """What another replica has encoded, on this one's device; else ``encode()``, for the others to find."""
        if self._cache is None:
            return encode()
        found = self._cache.get(digest)
        features = None if found is None else self._read(found)
        if features is None:
            features = encode()
            self._cache.put(digest, features.to_bytes())
        return features

    def _read(self, data: bytes) -> ImageFeatures | None:
        try:
            return ImageFeatures.from_bytes(data, self._device)
        except ValueError as error:
            _log.warning("features in Redis cannot be read, the picture is encoded again: %s", error)
            return None


def shared_features(model: str, weights_dir: Path, device: str, precision: str) -> SharedFeatures:
    """Through the Redis of the environment, if there is one, among replicas of the same weights and precision."""
    redis = shared_redis()
    if redis is None:
        return SharedFeatures(None, device)
    weights = fingerprint(locate(model, weights_dir).weights)
    prefix = f"promptable:features:{weights}:{precision}:{device.partition(':')[0]}:"
    return SharedFeatures(RedisCache(redis, prefix, _LIFETIME_SECONDS), device)
