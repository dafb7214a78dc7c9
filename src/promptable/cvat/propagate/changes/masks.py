"""The masks of an object: one shape on every frame, since CVAT has no tracks of masks."""

from collections.abc import Iterator
from typing import Any

from promptable.cvat.geometry.position import MASK
from promptable.cvat.propagate.changes.job_part import JobPart
from promptable.cvat.propagate.objects import held_values


def mask_shapes(part: JobPart) -> Iterator[dict[str, Any]]:
    """A mask, as CVAT's REST API takes it, on every frame on which the object was found and is not drawn already."""
    item, held = part.object.item, held_values(part.object.item, part.object.frame)
    attributes = {one["spec_id"]: one for one in (*item["attributes"], *held["attributes"])}
    for frame, position in part.found.items():
        if position is not None and frame not in part.unwritten_frames:
            yield {
                "frame": frame,
                "label_id": item["label_id"],
                "type": MASK,
                "points": list(position.points),
                "group": part.group,
                "source": part.source,
                "occluded": held["occluded"],
                "outside": False,
                "z_order": held["z_order"],
                "rotation": 0,
                "score": position.score,
                "attributes": list(attributes.values()),
            }
