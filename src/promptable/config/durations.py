"""Durations as Go and so Nuclio write them."""

import re

_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")


def parse_duration(text: str) -> float:
    """Seconds of a duration such as ``30s``, ``1m30s`` or ``1.5h``. Raises ValueError."""
    if not re.fullmatch(rf"(?:{_PART.pattern})+", text):
        raise ValueError(f"expected a duration such as 30s or 1m30s, got {text!r}")
    return sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))
