"""A picture as the PNG file in which CVAT stores and sends it."""

import base64

import cv2
import numpy as np
from numpy.typing import NDArray


def png(image: NDArray[np.uint8]) -> bytes:
    """The file of a picture, uint8 RGB [H, W, 3]."""
    _, data = cv2.imencode(".png", image[..., ::-1])
    return data.tobytes()


def png_base64(image: NDArray[np.uint8]) -> str:
    """The same as the text in a request's field ``image``."""
    return base64.b64encode(png(image)).decode()
