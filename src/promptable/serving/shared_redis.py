"""The Redis that replicas of a function share, as the environment's settings describe it."""

from redis import Redis

from promptable.serving.settings import RedisSettings, read
from promptable.store.redis_connection import connect


def shared_redis() -> Redis | None:
    """A client, or None where none is configured. Raises SettingsError; whether a server answers shows at first use."""
    settings = read(RedisSettings)
    if not settings.host:
        return None
    password = settings.password or settings.password_from_file
    return connect(settings.host, settings.port, password, settings.tls, settings.ca_file)
