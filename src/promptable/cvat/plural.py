"""Numbers of things in sentences."""

from collections.abc import Sequence


def counted(number: int, noun: str) -> str:
    """Such as ``1 frame`` and ``3 frames``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def ranges(numbers: Sequence[int]) -> str:
    """Sorted numbers as people write them: 0-3, 7, 9-12; the first few."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    shown = [str(first) if first == last else f"{first}-{last}" for first, last in runs[:8]]
    return ", ".join(shown) + (" ..." if len(runs) > len(shown) else "")
