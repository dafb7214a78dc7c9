"""Confidence intervals of shares."""

from math import sqrt

_Z = 1.959964
"""The quantile of the standard normal distribution for 95%."""


def wilson(part: int, whole: int) -> tuple[float, float]:
    """The 95% interval of the share ``part / whole``, by Wilson's score: https://doi.org/10.1080/01621459.1927.10502953.

    >>> [round(bound, 3) for bound in wilson(9, 10)]
    [0.596, 0.982]
    """
    if not whole:
        return 0.0, 1.0
    share, z2 = part / whole, _Z**2
    middle = share + z2 / (2 * whole)
    reach = _Z * sqrt(share * (1 - share) / whole + z2 / (4 * whole**2))
    low, high = ((middle + side * reach) / (1 + z2 / whole) for side in (-1, 1))
    return max(low, 0.0), min(high, 1.0)
