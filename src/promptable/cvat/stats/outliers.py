"""Finding objects whose size is far from that of the others of their label."""

import numpy as np
from numpy.typing import NDArray

_DEVIATIONS = 3.5
"""The least modified z-score of an outlier."""
_LEAST_RATIO = 4.0
"""The least ratio of areas: if all objects of a label have nearly one size, the deviation is close to 0."""
_FEWEST = 10
"""Fewer areas have no outliers."""


def outliers(areas: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which of the areas [N] are outliers, bool [N]; NaN and 0 are no areas, and never outliers.

    An outlier has a modified z-score of its log area, 0.6745 |x - median| / MAD, above 3.5 (Iglewicz and Hoaglin, How
    to Detect and Handle Outliers, 1993); MAD is the median of |x - median|. Its area is also at least four times the
    median, or at most a quarter of it. There are none among fewer than ten areas.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(np.where(areas > 0, areas, np.nan))
    if np.isfinite(logs).sum() < _FEWEST:
        return np.zeros(len(areas), np.bool_)
    apart = np.abs(logs - np.nanmedian(logs))
    return np.asarray((0.6745 * apart > _DEVIATIONS * np.nanmedian(apart)) & (apart >= np.log(_LEAST_RATIO)))
