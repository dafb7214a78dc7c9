"""Writing an answer as JSON text. No answer contains NaN: CVAT would store it and could not read the task again."""

import numpy as np
import orjson
from numpy.typing import ArrayLike, NDArray


def to_json(answer: object) -> str:
    """The JSON text; numpy arrays become lists.

    orjson silently writes NaN as null, so every computed number must pass one of the checks below first.
    """
    return orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY).decode()


def finite(name: str, numbers: ArrayLike) -> NDArray[np.number]:
    """The numbers as a contiguous array of the same dtype. Raises ValueError for NaN or Infinity: a bug of ours."""
    array = np.ascontiguousarray(numbers)
    if not np.isfinite(array).all():
        raise ValueError(f"{name}: NaN or Infinity in an answer")
    return array


def corners(xyxy: ArrayLike) -> NDArray[np.number]:
    """A box x1, y1, x2, y2 [4]. Raises ValueError unless it is finite and x1 < x2, y1 < y2."""
    box = finite("rectangle", xyxy)
    if box.shape != (4,) or not (box[0] < box[2] and box[1] < box[3]):
        raise ValueError(f"rectangle: expected ordered x1, y1, x2, y2, got {box.tolist()}")
    return box


def outline(points: ArrayLike) -> NDArray[np.number]:
    """A polygon, flat x, y of at least 3 points. Raises ValueError for fewer points, or for NaN or Infinity."""
    flat = finite("polygon", points)
    if flat.ndim != 1 or flat.size < 6 or flat.size % 2:
        raise ValueError(f"polygon: expected flat x, y of at least 3 points, got shape {flat.shape}")
    return flat


def unit(name: str, number: float) -> float:
    """A score. Raises ValueError unless it is in [0, 1]."""
    if not 0 <= number <= 1:
        raise ValueError(f"{name}: expected a number from 0 to 1, got {number}")
    return float(number)
