"""The form in which all models take a picture."""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Picture = NDArray[np.uint8] | Tensor
"""uint8 RGB [H, W, 3]: an array, or, so that several models share one copy, a tensor on the device of the model."""
