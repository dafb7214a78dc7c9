"""The Redis that replicas of a function share, as the environment's settings describe it."""

import logging

from redis import RedisError

from promptable.config.environment import read
from promptable.config.settings import RedisSettings
from promptable.store.redis_server import RedisServer, connect

_log = logging.getLogger(__name__)


def shared_redis() -> RedisServer | None:
    """The Redis server of the settings, or None if none is configured. Raises SettingsError.

    If the server does not answer, that is only logged: it may start later, and every caller works without it.
    """
    settings = read(RedisSettings)
    if not settings.host:
        return None
    server = redis_of(settings)
    _try(server, f"Redis at {settings.host}:{settings.port}")
    return server


def redis_of(settings: RedisSettings) -> RedisServer:
    """The server that the settings name; it is not asked yet."""
    password = settings.password or settings.password_from_file
    return connect(settings.host, settings.port, password, settings.tls, settings.ca_file)


def _try(server: RedisServer, name: str) -> None:
    try:
        server.client.ping()
        _log.info("%s answers", name)
    except RedisError as error:
        _log.warning("%s fails, check CVAT_FUNCTIONS_REDIS_*: %s", name, error)
