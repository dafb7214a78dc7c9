"""An object on one picture -> the similar object on unrelated pictures, through the tracker's own calls."""

from dataclasses import dataclass, field
from itertools import count, islice
from pathlib import Path

from demo.answers import drawing_of
from demo.client import Client
from demo.page import Section
from demo.pictures import Drawing, Image, overlay, save_first, side_by_side
from promptable.wire.masks import mask_to_rle
from toy.metrics import mask_iou, mean
from toy.scenes import Scene, SceneObject, scene

_OTHERS = 3
_SHOWN = 0.02  # share of the picture that an object must have


@dataclass
class SimilarResult:
    """Overlap of the object of the same colour and shape on other pictures, each with the reference beside it."""

    ious: list[float] = field(default_factory=list)
    pictures: list[Image] = field(default_factory=list)

    def summary(self) -> dict[str, float]:
        """Mean IoU on the other pictures."""
        return {"similar_iou": mean(self.ious)}

    def section(self, folder: Path) -> Section:
        """What the page says of it; the pictures go into ``folder``."""
        return Section(
            "One reference, other pictures",
            "Beyond video: the same calls, from a mask on one picture (left) to the object of equal colour and shape "
            "on unrelated ones (right), which this small model was never trained for.",
            self.summary(),
            save_first(self.pictures, "similar", folder),
        )


def find_similar(client: Client, seed: int, result: SimilarResult) -> None:
    """Start from the largest object of a picture and go on to others, each from that first state."""
    reference = scene(seed)
    shown = max(reference.objects, key=lambda thing: int(thing.mask.sum()))
    states = client.start_tracking(reference.image, [{"type": "mask", "points": mask_to_rle(shown.mask).tolist()}])
    left = overlay(reference.image, [Drawing(mask=shown.mask, text=shown.label)])
    candidates = ((other, _only(other, shown)) for other in map(scene, count(1000 * seed)))
    for other, (thing,) in islice(filter(lambda candidate: candidate[1], candidates), _OTHERS):
        (shape,), _ = client.track(other.image, states)
        drawing = drawing_of(shape, (other.image.shape[0], other.image.shape[1]))
        result.ious.append(0.0 if drawing.mask is None else mask_iou(drawing.mask, thing.mask))
        result.pictures.append(side_by_side(left, overlay(other.image, [drawing])))


def _only(picture: Scene, shown: SceneObject) -> list[SceneObject]:
    """The object of the same label, if there is one, and only one, and it is clearly visible."""
    alike = [thing for thing in picture.objects if thing.label == shown.label]
    return alike if len(alike) == 1 and alike[0].mask.mean() >= _SHOWN else []
