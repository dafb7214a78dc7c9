"""The errors of stores. The caller decides what they mean for a request."""


class EntryDamagedError(ValueError):
    """The value stored under a key is not the value that was written there."""


class ServerError(RuntimeError):
    """The server that replicas share cannot be reached or has refused a command."""
