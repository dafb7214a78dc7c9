"""The Redis that replicas of a function share, as the environment's settings describe it."""

import logging

from redis import Redis, RedisError

from promptable.config.settings import RedisSettings, read
from promptable.serving.logs import log_to_stderr
from promptable.store.redis_connection import connect

_log = logging.getLogger(__name__)


def shared_redis() -> Redis | None:
    """A client, or None where none is configured. Raises SettingsError.

    Whether the server answers is logged and no more: it may come later, and every caller can do without.
    """
    settings = read(RedisSettings)
    if not settings.host:
        return None
    log_to_stderr()
    password = settings.password or settings.password_from_file
    client = connect(settings.host, settings.port, password, settings.tls, settings.ca_file)
    _try(client, f"Redis at {settings.host}:{settings.port}")
    return client


def _try(client: Redis, server: str) -> None:
    try:
        client.ping()
        _log.info("%s answers", server)
    except RedisError as error:
        _log.warning("%s fails, check CVAT_FUNCTIONS_REDIS_*: %s", server, error)
