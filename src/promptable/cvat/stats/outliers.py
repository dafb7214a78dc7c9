"""Objects whose size is far from that of the others of their label."""

import numpy as np
from numpy.typing import NDArray

_DEVIATIONS = 3.5
_LEAST_RATIO = 4.0
"""Labels whose objects are all of one size have no deviation to speak of."""
_FEWEST = 10


def outliers(areas: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which of the areas [N] are far from the median in log area.

    The modified z-score 0.6745 |x - median| / MAD above 3.5 (Iglewicz and Hoaglin, How to Detect and Handle Outliers,
    1993), MAD being the median of |x - median|; and at least four times the median area, or a quarter. None of fewer
    than ten. NaN and 0 are no area.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(np.where(areas > 0, areas, np.nan))
    if np.isfinite(logs).sum() < _FEWEST:
        return np.zeros(len(areas), np.bool_)
    apart = np.abs(logs - np.nanmedian(logs))
    return np.asarray((0.6745 * apart > _DEVIATIONS * np.nanmedian(apart)) & (apart >= np.log(_LEAST_RATIO)))
