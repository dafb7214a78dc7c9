"""From all that a function proposes for a picture to what a run answers: the function's own rules, applied here.

So a run knows what lay below the thresholds, and uploads exactly what the function would have answered at them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promptable.config.labels import REVIEW
from promptable.cvat.answers import read_answer
from promptable.cvat.detection import MASK, MASK_SCORE, POLYGON, RECTANGLE, SYNONYM_SCORE, TAG, Detection
from promptable.cvat.server.errors import CvatError
from promptable.models.detection.proposals import Proposals
from promptable.models.detection.selection import Detections, LabelRule, Suppression, select


def read_candidates(
    answer: Mapping[str, Any], thresholds: Mapping[str, float], hw: tuple[int, int], *, polygons: bool
) -> list[Detection]:
    """The detections inside a picture of ``hw``: ``chosen`` is what the thresholds, by label, let through.

    ``answer`` is as in ``wire.candidates``. Raises CvatError for what is none.
    """
    try:
        chosen, below = _items(answer, thresholds)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise CvatError(f"the answer cannot be read: {type(error).__name__}: {error}") from None
    known = [replace(one, chosen=False) for one in read_answer(below, hw, polygons=polygons)]
    return _tags_once([*read_answer(chosen, hw, polygons=polygons), *known])


def _items(
    answer: Mapping[str, Any], thresholds: Mapping[str, float]
) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    """What the thresholds let through, and what else there is down to the floor, as items of a function's answer."""
    labels = answer["labels"]
    chosen = _selected(answer, [thresholds[label["name"]] for label in labels])
    known = _selected(answer, [float(answer["floor"])] * len(labels))
    masks, synonyms = {_key(mask["box"]): mask for mask in answer["masks"]}, _synonyms(answer)
    keys = {_item_key(chosen, i) for i in range(len(chosen.scores))}
    rest = [i for i in range(len(known.scores)) if _item_key(known, i) not in keys]
    found = [_item(chosen, i, labels, masks, synonyms) for i in range(len(chosen.scores))]
    return found, [_item(known, i, labels, masks, synonyms) for i in rest]


def _synonyms(answer: Mapping[str, Any]) -> Mapping[object, float]:
    """By label and box, as detections have it, how well another prompt fits; not of boxes that were joined."""
    proposed, (height, width) = answer["proposals"], answer["hw"]
    boxes = np.clip(np.asarray(proposed["boxes"], np.float32).reshape(-1, 4), 0, [width, height, width, height])
    scores = proposed.get("synonyms", ())
    return {(label, _key(box)): s for label, box, s in zip(proposed["labels"], boxes, scores, strict=False) if s}


def _selected(answer: Mapping[str, Any], thresholds: Sequence[float]) -> Detections:
    proposed, rules = answer["proposals"], answer["rules"]
    proposals = Proposals(
        np.asarray(proposed["boxes"], np.float32).reshape(-1, 4),
        np.asarray(proposed["labels"], np.int64),
        np.asarray(proposed["scores"], np.float32),
        np.asarray(proposed["captions"], np.int64),
        np.asarray(proposed["cut"], np.bool_).reshape(-1, 4),
        np.asarray(proposed["beyond_overlap"], np.bool_),
        np.zeros((len(proposed["scores"]), 0), np.int16),
        np.zeros((len(proposed["scores"]), 0), np.float32),
    )
    of_labels = [
        LabelRule(threshold, label["max_area"], label["type"] != TAG)
        for threshold, label in zip(thresholds, answer["labels"], strict=True)
    ]
    suppression = Suppression(rules["nms_iou"], rules["cross_label_iou"], int(rules["limit"]))
    return select(proposals, range(len(of_labels)), of_labels, tuple(answer["hw"]), suppression)


def _item(
    found: Detections,
    i: int,
    labels: Sequence[Mapping[str, Any]],
    masks: Mapping[Any, Mapping[str, Any]],
    synonyms: Mapping[object, float],
) -> Mapping[str, Any]:
    """The i-th detection as an item of a function's answer; a box where it has no mask."""
    label, box = labels[int(found.labels[i])], found.boxes_xyxy[i]
    mask = masks.get(_key(box)) if label["type"] in (MASK, POLYGON) else None
    synonym = synonyms.get(_item_key(found, i))
    said = [] if synonym is None else [{"name": SYNONYM_SCORE, "value": f"{synonym:.4f}"}]
    item = {"label": label["name"], "confidence": float(found.scores[i]), "type": label["type"], "attributes": said}
    if mask is None:
        return item | {"type": TAG if label["type"] == TAG else RECTANGLE, "points": box.tolist()}
    points = mask["polygon"] if label["type"] == POLYGON else mask["rle"]
    return item | {"points": points, "polygon": mask["polygon"], "attributes": [*said, *_said_of(mask)]}


def _said_of(mask: Mapping[str, Any]) -> list[Mapping[str, str]]:
    """Attributes: that there was no mask, and how sure the segmenter is of the one that there is, where it says."""
    filled: list[Mapping[str, str]] = [{"name": REVIEW, "value": "true"}] if mask["filled"] else []
    return filled + ([{"name": MASK_SCORE, "value": str(mask["score"])}] if "score" in mask else [])


def _key(box: Sequence[float] | NDArray[np.float32]) -> bytes:
    return np.asarray(box, np.float32).tobytes()


def _item_key(found: Detections, i: int) -> object:
    return int(found.labels[i]), _key(found.boxes_xyxy[i])


def _tags_once(found: Sequence[Detection]) -> list[Detection]:
    """Each tag once, the first: the picture has it or not."""
    tags = {one.label: one for one in reversed(found) if one.type == TAG}
    return [one for one in found if one.type != TAG or one is tags[one.label]]
