"""Kubernetes' amounts: 1Gi is 1024Mi, and 0.5 is 500m."""

import re
from fractions import Fraction

_NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)([KMGTPE]i|[numkMGTPE]?)")
_BINARY = {f"{prefix}i": Fraction(1024**power) for power, prefix in enumerate("KMGTPE", start=1)}
_DECIMAL = {prefix: Fraction(1000) ** power for power, prefix in enumerate(["n", "u", "m", "", *"kMGTPE"], start=-3)}
_FACTORS = _BINARY | _DECIMAL


def quantity(written: object) -> object:
    """The number that is written so; what is none, as it is."""
    found = _NUMBER.fullmatch(str(written))
    return Fraction(found[1]) * _FACTORS[found[2]] if found else written
