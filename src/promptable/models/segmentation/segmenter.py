"""The interface of all models that turn clicks and boxes on one picture into masks.

Coordinates are continuous pixels of the original picture: pixel (row, column) covers
[column, column + 1) x [row, row + 1).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from promptable.models.pixels.picture import Picture
from promptable.models.segmentation.extent import Extent
from promptable.models.segmentation.features import ImageFeatures


def _no_points() -> NDArray[np.float32]:
    return np.zeros((0, 2), np.float32)


def _no_labels() -> NDArray[np.int32]:
    return np.zeros(0, np.int32)


@dataclass(frozen=True)
class Prompt:
    """Everything that points at one object.

    ``points_xy`` float32 [N, 2] with ``labels`` int32 [N], 1 for a point on the object and 0 for a point outside it;
    ``box_xyxy`` float32 [4] or None; ``mask_input`` float32 [h, w], the low-res logits of an earlier ``Prediction`` for
    the same object, or None. Raises ValueError for other shapes or labels, and for a prompt without any of these.
    """

    points_xy: NDArray[np.float32] = field(default_factory=_no_points)
    labels: NDArray[np.int32] = field(default_factory=_no_labels)
    box_xyxy: NDArray[np.float32] | None = None
    mask_input: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        count = len(self.points_xy)
        if self.points_xy.shape != (count, 2) or self.labels.shape != (count,):
            raise ValueError(
                f"expected points [N, 2] and labels [N], got {self.points_xy.shape} and {self.labels.shape}"
            )
        if not np.isin(self.labels, (0, 1)).all():
            raise ValueError(f"expected labels of 0 and 1, got {self.labels.tolist()}")
        if self.box_xyxy is not None and self.box_xyxy.shape != (4,):
            raise ValueError(f"expected a box of [4], got {self.box_xyxy.shape}")
        if self.mask_input is not None and self.mask_input.ndim != 2:
            raise ValueError(f"expected a mask input of [h, w], got {self.mask_input.shape}")
        if not count and self.box_xyxy is None and self.mask_input is None:
            raise ValueError("expected a point, a box or a mask input, got none")

    @property
    def is_ambiguous(self) -> bool:
        """True for a single point without box and mask input: it may mean a part of an object or the whole object.

        For such a prompt ``SamPredictor.predict`` and ``SAM2ImagePredictor.predict`` recommend ``multimask_output``.
        """
        return len(self.points_xy) == 1 and self.box_xyxy is None and self.mask_input is None


@dataclass(frozen=True)
class Prediction:
    """A model's answer to one prompt.

    ``mask`` bool [H, W] in pixels of the original picture; ``score``, the model's own estimate of the mask's IoU; and
    ``low_res_logits`` float32 [h, w], which a further ``Prompt`` can have as mask input to refine the mask.
    """

    mask: NDArray[np.bool_]
    score: float
    low_res_logits: NDArray[np.float32]


class PictureError(ValueError):
    """The model cannot encode this picture; the message says why."""


class Segmenter(Protocol):
    """A promptable image segmentation model: it encodes a picture once and then answers any number of prompts on it."""

    def encode_image(self, image: Picture) -> ImageFeatures:
        """Encode a picture, uint8 RGB [H, W, 3]. Raises PictureError."""

    def predict(self, features: ImageFeatures, prompt: Prompt, extent: Extent = Extent.BEST) -> Prediction:
        """The mask of the object that the prompt points at; ``extent`` says which mask a single point means."""

    def predict_boxes(self, features: ImageFeatures, boxes_xyxy: NDArray[np.float32]) -> Iterator[Prediction]:
        """One mask for each box, float32 [N, 4], all in one decoding; each is made when it is taken."""
