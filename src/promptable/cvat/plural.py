"""Numbers of things in sentences."""


def counted(number: int, noun: str) -> str:
    """Such as ``1 frame`` and ``3 frames``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
