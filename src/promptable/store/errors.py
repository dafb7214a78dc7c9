"""What a store cannot do; who asked knows what that means for a request."""


class EntryDamagedError(ValueError):
    """What is kept under a key is not what was put there."""


class ServerError(RuntimeError):
    """The server that replicas share cannot be reached or has refused a command."""
