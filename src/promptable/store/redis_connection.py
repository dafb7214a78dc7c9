"""The connection to the Redis that replicas share; any server of its protocol will do (CVAT's own is Kvrocks)."""

from pathlib import Path

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

# Someone waits for the answer, and every caller can do without Redis.
_CONNECT_SECONDS = 1.0
_REPLY_SECONDS = 3.0


def connect(host: str, port: int, password: str = "", tls: bool = False, ca_file: Path | None = None) -> Redis:
    """A client of that server, safe to share among threads. It connects at the first command, which may fail.

    A command raises redis.RedisError where the server cannot be reached, refuses the password or fails; it is tried
    once more first, since the connection may be an old one to a server that has restarted.
    """
    return Redis(
        host=host,
        port=port,
        password=password or None,
        ssl=tls,
        ssl_ca_certs=None if ca_file is None else str(ca_file),
        socket_connect_timeout=_CONNECT_SECONDS,
        socket_timeout=_REPLY_SECONDS,
        retry=Retry(NoBackoff(), retries=1),
        protocol=2,
    )
