"""The errors that have an HTTP status of their own; every other exception is a fault of ours and answers 500."""


class BadRequestError(ValueError):
    """The request is wrong: answered 400. The message names the field, what was expected and what came."""


class NotReadyError(RuntimeError):
    """The function cannot answer yet: answered 503."""


class OutOfMemoryError(RuntimeError):
    """The device has not enough memory for what was asked; with less to do, a next try can succeed."""
