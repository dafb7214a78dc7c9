"""The detector's request and answer (CVAT: cvat/apps/lambda_manager/views.py, kind ``detector``)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from promptable.wire.answers import corners, outline, to_json, unit
from promptable.wire.fields import as_list, as_number, read_object
from promptable.wire.images.encoded import EncodedImage, parse_image
from promptable.wire.masks import MaskCrop


@dataclass(frozen=True)
class DetectorRequest:
    """``threshold`` is in [0, 1], or None when CVAT sent none, as it does when it is not set and when it is 0.

    Two fields are our own extension, which CVAT never sends: ``labels`` replaces the deployed labels (its items are not
    checked yet), and ``floor`` in [0, 1] is the lowest threshold that the caller asks about (``wire.candidates``).
    """

    image: EncodedImage
    threshold: float | None
    labels: Sequence[object] | None = None
    floor: float | None = None


@dataclass(frozen=True)
class Rectangle:
    """A box around an object: ``xyxy`` float32 [4] in picture pixels, which the caller keeps inside the picture.

    For every kind of item: ``confidence`` is in [0, 1]; ``attributes`` map names to values, both texts, as the
    function's metadata declares them (numbers as integers, checkboxes as "true" and "false").
    """

    label: str
    xyxy: NDArray[np.float32]
    confidence: float
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class MaskShape:
    """A mask, and the polygon that CVAT stores instead of it when the user chose to convert masks to polygons.

    ``polygon`` is flat x, y of at least 3 points, in picture pixels, from ``masks.mask_to_polygon``.
    """

    label: str
    mask: MaskCrop
    confidence: float
    polygon: Sequence[float]
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Polygon:
    """An outline: ``points`` are flat x, y of at least 3 points, in picture pixels."""

    label: str
    points: Sequence[float]
    confidence: float
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Tag:
    """A label of the whole picture."""

    label: str
    confidence: float
    attributes: Mapping[str, str] = field(default_factory=dict)


MOST_LABELS = 2000
"""The most labels in one request: more than the largest public label lists have."""

Item = Rectangle | MaskShape | Polygon | Tag


def parse(body: object) -> DetectorRequest:
    """``{"image": str, "threshold": number?, "labels": list?, "floor": number?}``; raises BadRequestError."""
    fields = read_object(body)
    labels = fields.get("labels")
    return DetectorRequest(
        image=parse_image(fields),
        threshold=_unit_number(fields, "threshold"),
        labels=None if labels is None else as_list("labels", labels, MOST_LABELS, least=1),
        floor=_unit_number(fields, "floor"),
    )


def _unit_number(fields: Mapping[str, object], field: str) -> float | None:
    value = fields.get(field)
    return None if value is None else as_number(field, value, 0, 1)


def encode(items: Sequence[Item]) -> str:
    """The JSON list that CVAT reads. Raises ValueError for NaN, swapped corners or an empty mask.

    Items are encoded one by one, because the numbers of a large mask take several times its memory.
    """
    return f"[{','.join(to_json(_common(item) | _geometry(item)) for item in items)}]"


def _common(item: Item) -> dict[str, object]:
    return {
        "label": item.label,
        "confidence": unit("confidence", item.confidence),
        "attributes": [{"name": name, "value": value} for name, value in item.attributes.items()],
    }


def _geometry(item: Item) -> dict[str, object]:
    match item:
        case Rectangle():
            return {"type": "rectangle", "points": corners(item.xyxy)}
        case MaskShape():
            return {"type": "mask", "mask": item.mask.flat(), "points": outline(item.polygon)}
        case Polygon():
            return {"type": "polygon", "points": outline(item.points)}
        case Tag():
            return {"type": "tag"}
