"""What every model that turns clicks and boxes on one picture into masks has in common.

Coordinates are continuous pixels of the original picture: pixel (row, column) covers
[column, column + 1) x [row, row + 1).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from promptable.models.segmentation.extent import Extent

_HW = "hw"


@dataclass(frozen=True)
class ImageFeatures:
    """One encoded picture of height and width ``hw`` in pixels; the tensors are the encoding model's own affair."""

    hw: tuple[int, int]
    tensors: tuple[Tensor, ...]

    @property
    def nbytes(self) -> int:
        """Memory that the tensors hold, in bytes."""
        return sum(tensor.nbytes for tensor in self.tensors)

    def to_bytes(self) -> bytes:
        """In safetensors form, exact to the bit."""
        contiguous = [tensor.contiguous() for tensor in self.tensors]
        return save({_HW: torch.tensor(self.hw), **_named(contiguous)})

    @classmethod
    def from_bytes(cls, data: bytes, hw: tuple[int, int], like: "ImageFeatures") -> "ImageFeatures":
        """Read what ``to_bytes`` wrote, onto the device of ``like``, which is another picture's from the same model.

        Raises ValueError for anything else than finite features of a picture of ``hw``, in tensors of that form.
        """
        named = _loaded(data)
        found_hw = named.pop(_HW, None)
        if found_hw is None or found_hw.tolist() != list(hw):
            raise ValueError(f"features: expected those of a picture of {list(hw)}, got {found_hw}")
        if _form(named) != _form(_named(like.tensors)):
            raise ValueError(
                f"features: expected {_form(_named(like.tensors))}, got {len(named)} tensors of another form"
            )
        if not all_finite(*named.values()):
            raise ValueError("features: expected finite numbers, got NaN or Infinity")
        return cls(hw, tuple(named[name].to(one.device) for name, one in _named(like.tensors).items()))


def _named(tensors: Sequence[Tensor]) -> dict[str, Tensor]:
    return {str(number): tensor for number, tensor in enumerate(tensors)}


def _loaded(data: bytes) -> dict[str, Tensor]:
    try:
        return load(data)
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"features: expected safetensors, got {len(data)} bytes: {error!r}") from error


def _form(named: Mapping[str, Tensor]) -> dict[str, str]:
    return {name: f"{tensor.dtype} {list(tensor.shape)}" for name, tensor in named.items()}


def all_finite(*tensors: Tensor) -> bool:
    """Whether there is no NaN and no Infinity in them."""
    return all(bool(tensor.isfinite().all()) for tensor in tensors)


def _no_points() -> NDArray[np.float32]:
    return np.zeros((0, 2), np.float32)


def _no_labels() -> NDArray[np.int32]:
    return np.zeros(0, np.int32)


@dataclass(frozen=True)
class Prompt:
    """All that points at one object.

    ``points_xy`` float32 [N, 2] with ``labels`` int32 [N], 1 on the object and 0 beside it; ``box_xyxy`` float32 [4] or
    None; ``low_res_logits`` float32 [h, w], as an earlier ``Prediction`` of the same picture holds them, or None.
    Raises ValueError for other shapes or labels, and when there is nothing at all.
    """

    points_xy: NDArray[np.float32] = field(default_factory=_no_points)
    labels: NDArray[np.int32] = field(default_factory=_no_labels)
    box_xyxy: NDArray[np.float32] | None = None
    low_res_logits: NDArray[np.float32] | None = None

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
        if self.low_res_logits is not None and self.low_res_logits.ndim != 2:
            raise ValueError(f"expected logits of [h, w], got {self.low_res_logits.shape}")
        if not count and self.box_xyxy is None and self.low_res_logits is None:
            raise ValueError("expected a point, a box or logits, got none")

    @property
    def is_ambiguous(self) -> bool:
        """True for one lone point: it may mean a part or the whole, so the best of several masks is wanted.

        The rule that ``SamPredictor.predict`` and ``SAM2ImagePredictor.predict`` recommend for ``multimask_output``.
        """
        return len(self.points_xy) == 1 and self.box_xyxy is None and self.low_res_logits is None


@dataclass(frozen=True)
class Prediction:
    """What a model answers to one prompt.

    ``mask`` bool [H, W] of the original picture, the model's own estimate ``score`` of its IoU, and ``low_res_logits``
    float32 [h, w], which a further ``Prompt`` can carry to refine the mask.
    """

    mask: NDArray[np.bool_]
    score: float
    low_res_logits: NDArray[np.float32]


class Segmenter(Protocol):
    """A promptable image segmentation model: encode a picture once, then prompt it as often as wanted."""

    def encode_image(self, image: NDArray[np.uint8]) -> ImageFeatures:
        """Encode a picture, uint8 RGB [H, W, 3]."""
        ...

    def predict(self, features: ImageFeatures, prompt: Prompt, extent: Extent = Extent.BEST) -> Prediction:
        """The mask of the object that the prompt points at; ``extent`` says what one lone point means."""
        ...

    def predict_boxes(self, features: ImageFeatures, boxes_xyxy: NDArray[np.float32]) -> list[Prediction]:
        """One mask for each box, float32 [N, 4], all in one decoding."""
        ...


def chosen_of(low_res_logits: Tensor, scores: Tensor, extent: Extent = Extent.BEST) -> tuple[Tensor, Tensor]:
    """Of each object's C candidates, logits [N, C, h, w] and scores [N, C], the wanted: [N, 1, h, w] and [N].

    Choosing before upscaling saves most of the work on a large picture. Raises FloatingPointError at NaN and Infinity,
    which have no sense to choose from.
    """
    if not all_finite(low_res_logits, scores):
        raise FloatingPointError("the model answered NaN or Infinity: its weights are damaged, or the device is")
    objects = torch.arange(len(scores), device=scores.device)
    chosen = _choice(low_res_logits, scores, extent)
    return low_res_logits[objects, chosen].unsqueeze(1), scores[objects, chosen]


def _choice(low_res_logits: Tensor, scores: Tensor, extent: Extent) -> Tensor:
    """The wanted candidate's number for each object [N]."""
    if extent is Extent.BEST:
        return scores.argmax(1)
    areas = (low_res_logits > 0).sum((2, 3))
    if extent is Extent.WHOLE:
        return areas.argmax(1)
    return areas.where(areas > 0, areas.max() + 1).argmin(1)


def check_boxes(boxes_xyxy: NDArray[np.float32]) -> None:
    """Raise ValueError unless the boxes are [N, 4]."""
    if boxes_xyxy.ndim != 2 or boxes_xyxy.shape[1] != 4:
        raise ValueError(f"expected boxes of [N, 4], got {boxes_xyxy.shape}")


def check_logits(logits: NDArray[np.float32], hw: tuple[int, int]) -> None:
    """Raise ValueError unless the logits of a prompt have the height and width that the model's mask prompts have."""
    if logits.shape != hw:
        raise ValueError(f"expected logits of {list(hw)} from an earlier prediction, got {list(logits.shape)}")
