"""What CVAT sends to the functions and reads from them, over HTTP in its direct mode."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray

from promptable.wire.masks import rle_to_mask
from toy.png import png_base64

Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]

_TIMEOUT_SECONDS = 120.0


@dataclass(frozen=True)
class Client:
    """Calls the functions at the URLs given by function name. Raises httpx.HTTPStatusError for an error answer."""

    urls: Mapping[str, str]

    def detect(self, image: Image, threshold: float | None = None) -> list[dict[str, Any]]:
        """Detections on a picture, uint8 RGB [H, W, 3], as the function answers them."""
        extra = {} if threshold is None else {"threshold": threshold}
        items: list[dict[str, Any]] = self._call("grounding-dino", {"image": png_base64(image)} | extra)
        return items

    def interact(
        self,
        image: Image,
        positive: Sequence[Sequence[float]] = (),
        negative: Sequence[Sequence[float]] = (),
        box: Sequence[float] | None = None,
    ) -> Mask:
        """The mask, bool [H, W], of the object clicked on or boxed; empty if the function finds none."""
        body = {
            "image": png_base64(image),
            "pos_points": list(positive),
            "neg_points": list(negative),
            "obj_bbox": [] if box is None else [box[:2], box[2:]],
        }
        shapes = self._call("sam-interactor", body)["shapes"]
        return rle_to_mask(shapes[0]["points"], image.shape[:2]) if shapes else np.zeros(image.shape[:2], bool)

    def start_tracking(self, image: Image, shapes: Sequence[Mapping[str, Any]]) -> list[Any]:
        """States of the shapes drawn on the first frame."""
        body = {"image": png_base64(image), "shapes": list(shapes), "states": []}
        states: list[Any] = self._call("sam2-tracker", body)["states"]
        return states

    def track(
        self, image: Image, states: Sequence[Any], corrections: Sequence[Any] = ()
    ) -> tuple[list[Any], list[Any]]:
        """Shapes on the next frame, None where the object is lost, and the new states.

        ``corrections`` is empty, or has for each state None or the shape that the object has on this frame.
        """
        body = {
            "image": png_base64(image),
            "shapes": [None] * len(states),
            "states": list(states),
            "corrections": list(corrections),
        }
        answer = self._call("sam2-tracker", body)
        return answer["shapes"], answer["states"]

    def _call(self, function: str, body: Mapping[str, Any]) -> Any:
        response = httpx.post(self.urls[function], json=body, timeout=_TIMEOUT_SECONDS)
        return response.raise_for_status().json()
