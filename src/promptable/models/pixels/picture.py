"""The form in which all models take a picture. This module does not import torch."""

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

Picture: TypeAlias = "NDArray[np.uint8] | Tensor"
"""uint8 RGB [H, W, 3]: an array, or, so that several models share one copy, a tensor on the device of the model."""
