"""The interactor's request, and its answer in two forms: one for CVAT 2.60 and later, one for every version."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from promptable.errors import BadRequestError
from promptable.wire.answer_form import AnswerForm
from promptable.wire.answers import finite, to_json
from promptable.wire.fields import as_list, as_pairs, as_xyxy, clipped_xyxy, expected, read_object
from promptable.wire.images.encoded import EncodedImage, parse_image
from promptable.wire.masks import Mask, mask_to_polygon, mask_to_rle

MOST_POINTS = 1000
"""The most positive points in one request, and the most negative points."""
MOST_BOXES = 100
MOST_SLIP = 0.02
"""How far outside the picture a click may lie and still be accepted, as a share of the picture's longer side."""


@dataclass(frozen=True, eq=False)
class InteractorRequest:
    """Positive clicks float32 [N, 2], negative ones [M, 2], boxes float32 [K, 4] in picture pixels; N + M + K >= 1.

    A request with only negative clicks (N + K = 0) does not point at an object yet. CVAT's editor sends such a request
    when the user's first click is with the right mouse button.
    """

    image: EncodedImage
    positive_xy: NDArray[np.float32]
    negative_xy: NDArray[np.float32]
    boxes_xyxy: NDArray[np.float32]

    def inside(self, hw: tuple[int, int]) -> "InteractorRequest":
        """The request in a picture of ``hw`` (height, width): boxes are cut at its border.

        A click that slipped off the edge, by at most ``MOST_SLIP`` of the longer side, is moved to the nearest point of
        the border. Raises BadRequestError for a point further outside and for a box with no part inside.
        """
        boxes = [clipped_xyxy(f"obj_bbox[{2 * i}]", box, hw) for i, box in enumerate(self.boxes_xyxy)]
        return replace(
            self,
            positive_xy=_moved_inside("pos_points", self.positive_xy, hw),
            negative_xy=_moved_inside("neg_points", self.negative_xy, hw),
            boxes_xyxy=np.array(boxes, np.float32).reshape(-1, 4),
        )


@dataclass(frozen=True, eq=False)
class ScoredMask:
    """A mask, bool [H, W], and the model's own estimate of its IoU; scores outside [0, 1] are clipped in the answer."""

    mask: Mask
    score: float


def parse(body: object) -> InteractorRequest:
    """``{"image", "pos_points", "neg_points", "obj_bbox"}``; raises BadRequestError.

    ``obj_bbox`` is null, absent, [] or two opposite corners per box, in any order. CVAT 2.60 and later may also send
    ``text_prompts``: beside clicks or boxes they are ignored, alone they are an error.
    """
    fields = read_object(body)
    request = InteractorRequest(
        image=parse_image(fields),
        positive_xy=as_pairs("pos_points", fields.get("pos_points"), MOST_POINTS),
        negative_xy=as_pairs("neg_points", fields.get("neg_points"), MOST_POINTS),
        boxes_xyxy=_boxes(fields.get("obj_bbox")),
    )
    if not any(map(len, (request.positive_xy, request.negative_xy, request.boxes_xyxy))):
        raise _nothing_given(fields)
    return request


def _nothing_given(fields: Mapping[str, object]) -> BadRequestError:
    if fields.get("text_prompts"):
        return BadRequestError(
            "text_prompts: this model takes no words: expected a click in pos_points or a box in obj_bbox"
        )
    return BadRequestError("pos_points: expected at least one point, or a box in obj_bbox, got neither")


def encode(masks: Iterable[ScoredMask], hw: tuple[int, int], form: AnswerForm, tolerance: float = 0.0) -> str:
    """The answer for a picture of ``hw`` (height, width). Empty masks are left out: there, nothing was found.

    Masks are read one by one, and none is kept in memory. ``SHAPES``: a shape for each mask, with the score in the
    attribute of ``spec_id`` 0. ``MASK``: the union of all masks at full size, and the outline of its largest part,
    which may differ from the mask by ``tolerance`` pixels; no ``bounds``, which only CVAT before 2.60 reads. Raises
    ValueError for a score of NaN or Infinity, even if the mask is empty.
    """
    found = _found(masks)
    if form is AnswerForm.SHAPES:
        return to_json({"shapes": [_shape(each) for each in found]})
    whole = np.zeros(hw, np.bool_)
    for each in found:
        whole |= each.mask
    points = np.reshape(mask_to_polygon(whole, tolerance) if whole.any() else [], (-1, 2))
    return to_json({"mask": whole.view(np.uint8), "points": points})


def _found(masks: Iterable[ScoredMask]) -> Iterator[ScoredMask]:
    """The masks that are not empty. Raises ValueError for a score of NaN or Infinity."""
    for each in masks:
        finite("score", each.score)
        if each.mask.any():
            yield each


def _shape(found: ScoredMask) -> dict[str, object]:
    score = min(max(found.score, 0.0), 1.0)
    return {
        "type": "mask",
        "points": mask_to_rle(found.mask),
        "attributes": [{"spec_id": 0, "value": f"{score:.4f}"}],
    }


def _boxes(value: object) -> NDArray[np.float32]:
    corners = as_pairs("obj_bbox", value, 2 * MOST_BOXES)
    if len(corners) % 2:
        raise expected("obj_bbox", "two corners [x, y] per box", as_list("obj_bbox", value, 2 * MOST_BOXES))
    boxes = [as_xyxy(f"obj_bbox[{2 * i}]", pair) for i, pair in enumerate(corners.reshape(-1, 4))]
    return np.array(boxes, np.float32).reshape(-1, 4)


def _moved_inside(field: str, xy: NDArray[np.float32], hw: tuple[int, int]) -> NDArray[np.float32]:
    height, width = hw
    inside = np.clip(xy, 0, np.array([width, height], np.float32))
    beyond = np.flatnonzero(np.linalg.norm(xy - inside, axis=1) > MOST_SLIP * max(hw))
    if beyond.size:
        index = int(beyond[0])
        point = xy[index].tolist()
        raise BadRequestError(f"{field}[{index}]: expected a point inside the {width} x {height} picture, got {point}")
    return inside
