"""Requests as CVAT's editor sends them: a photo-like picture as JPEG, and clicks."""

import base64
import json
from io import BytesIO

import cv2
import numpy as np
from PIL import Image

SIZES = {"1080p": (1080, 1920), "4K": (2160, 3840)}
_GRAIN = 6  # deviation in gray levels


def jpeg(size: str, seed: int = 0) -> bytes:
    """Soft colours with the grain of a photo, so that it decodes like one."""
    height, width = SIZES[size]
    random = np.random.default_rng(seed)
    colours = cv2.resize(random.uniform(0, 255, (9, 16, 3)), (width, height), interpolation=cv2.INTER_CUBIC)
    grained = colours + random.normal(0, _GRAIN, colours.shape)
    buffer = BytesIO()
    Image.fromarray(grained.clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def body(size: str, *clicks: tuple[float, float], seed: int = 0) -> bytes:
    """Positive clicks at these parts of the width and height of the picture of this seed."""
    height, width = SIZES[size]
    image = base64.b64encode(jpeg(size, seed)).decode()
    points = [[x * width, y * height] for x, y in clicks]
    return json.dumps({"image": image, "pos_points": points, "neg_points": [], "obj_bbox": []}).encode()
