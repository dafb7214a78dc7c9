"""Runs in a function's image: a PING to the Redis of its settings, as the function reaches it.

Prints ``ok``, or what is wrong.
"""

import sys

from redis import RedisError

from promptable.config.environment import SettingsError, read
from promptable.config.settings import RedisSettings
from promptable.serving.redis import redis_of

try:
    redis_of(read(RedisSettings)).client.ping()
except (SettingsError, RedisError, OSError) as error:
    sys.exit(f"{error}")
sys.stdout.write("ok\n")
