"""The errors that layers raise to one another; ``serving.respond`` answers each with an HTTP status of its own."""


class BadRequestError(ValueError):
    """The request is wrong (400). The message names the field, what was expected and what came."""


class GoneError(RuntimeError):
    """What the request builds on is no longer kept (410): it has to be begun anew, and no repeat of it succeeds."""


class NotReadyError(RuntimeError):
    """The function cannot answer yet (503): the same request can succeed in a moment."""


class OutOfMemoryError(RuntimeError):
    """The device has not enough memory for what was asked (507): with less to do, a next try can succeed."""
