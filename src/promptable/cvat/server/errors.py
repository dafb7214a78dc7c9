"""What goes wrong between a command and a CVAT server or a function; no cvat-sdk is needed to know it."""


class CvatError(RuntimeError):
    """CVAT or a function cannot be asked, or refuses: the message is a sentence that says what to do.

    ``status`` is the HTTP status that was answered, None where nothing was.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status
