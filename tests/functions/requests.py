"""Good requests for each function, on a scene that no training has seen."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from demo.interact import deepest
from promptable.wire.masks import mask_to_polygon, mask_to_rle
from toy.png import png_base64
from toy.scenes import Scene, scene, video

SCENE: Scene = scene(30_000_000)
VIDEO: list[Scene] = video(30_000_012, leaving=0.0)


def good_request(function: str, image: NDArray[np.uint8] = SCENE.image) -> dict[str, Any]:
    """A request that the function of this kind answers."""
    return {"image": png_base64(image)} | dict(_REST[function])


_REST: Mapping[str, Mapping[str, Any]] = {
    "detector": {"threshold": 0.3},
    "interactor": {"pos_points": [deepest(SCENE.objects[-1].mask)], "neg_points": [], "obj_bbox": []},
    "tracker": {"shapes": [{"type": "rectangle", "points": [60, 60, 130, 130]}], "states": []},
}


def first_shapes(kind: str, frame: int = 0) -> list[dict[str, Any]]:
    """The objects of a frame of the video, as shapes of one type."""
    return [{"type": kind, "points": _points(kind, thing.mask, thing.xyxy)} for thing in VIDEO[frame].objects]


def _points(kind: str, mask: NDArray[np.bool_], xyxy: NDArray[np.float32]) -> list[Any]:
    match kind:
        case "rectangle":
            return xyxy.tolist()
        case "mask":
            return mask_to_rle(mask).tolist()
        case _:
            return mask_to_polygon(mask)


def file_bytes(image: NDArray[np.unsignedinteger[Any]], kind: str) -> bytes:
    """A picture as the bytes of a file of this Pillow format."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, kind)
    return buffer.getvalue()


def starting(shapes: Sequence[Any], frame: int = 0) -> dict[str, Any]:
    """The tracker's request for new objects on a frame of the video."""
    return {"image": png_base64(VIDEO[frame].image), "shapes": list(shapes), "states": []}


def continuing(states: Sequence[Any], frame: int) -> dict[str, Any]:
    """The tracker's request for the next frame."""
    return {"image": png_base64(VIDEO[frame].image), "shapes": [None] * len(states), "states": list(states)}
