"""Runs in a function's image: a PING to the Redis of its settings. Prints ``ok``, or what is wrong."""

import os
import sys

import redis

env = os.environ.get
prefix = "CVAT_FUNCTIONS_REDIS_"
try:
    path = env(f"{prefix}PASSWORD_FILE")
    password = open(path).read().strip() if path else None
    tls = env(f"{prefix}TLS") == "true"
    host, port = env(f"{prefix}HOST", ""), int(env(f"{prefix}PORT", "6379"))
    redis.Redis(host, port, password=password, ssl=tls, socket_connect_timeout=5, socket_timeout=5).ping()
except (OSError, redis.RedisError) as error:
    print(error)
    sys.exit(1)
print("ok")
