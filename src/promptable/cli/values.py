"""Types of options' values, for argparse: what does not fit is a sentence that says what was expected."""

import argparse
from collections.abc import Callable


def number(text: str, expected: str, fits: Callable[[float], bool]) -> float:
    """A number that ``fits``; ``expected`` says which ones do."""
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not fits(value):
        raise argparse.ArgumentTypeError(f"expected {expected}, got {text!r}")
    return value


def unit_number(text: str) -> float:
    """A number from 0 to 1."""
    return number(text, "a number from 0 to 1", lambda value: 0 <= value <= 1)


def count(text: str) -> int:
    """A whole number above 0."""
    if not (text.isascii() and text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"expected a whole number above 0, got {text!r}")
    return int(text)


def frame_number(text: str) -> int:
    """The number of a frame, or another one of CVAT's, from 0 on."""
    if not (text.isascii() and text.isdecimal()):
        raise argparse.ArgumentTypeError(f"expected a frame's number, got {text!r}")
    return int(text)
