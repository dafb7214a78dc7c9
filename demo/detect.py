"""Words -> rectangles, polygons and masks."""

from dataclasses import dataclass, field
from pathlib import Path

from demo.answers import box_of, drawing_of, truth
from demo.client import Client
from demo.confusion import MISSED, Confusion
from demo.page import Section, Table
from demo.pictures import Image, overlay, save_first, side_by_side
from toy.metrics import box_iou, f1, mask_iou, match, mean
from toy.scenes import LABELS, Scene


@dataclass
class DetectorResult:
    """Counts and overlaps over all pictures so far."""

    matched: int = 0
    found: int = 0
    true: int = 0
    box_ious: list[float] = field(default_factory=list)
    mask_ious: list[float] = field(default_factory=list)
    pictures: list[Image] = field(default_factory=list)
    confusion: Confusion = field(default_factory=Confusion)

    def summary(self) -> dict[str, float]:
        """F1 at IoU 0.5 by label; mean IoU of rectangles, and of masks and polygons; share of right labels."""
        return {
            "f1": f1(self.matched, self.found, self.true),
            "mean_iou": mean(self.box_ious),
            "mask_iou": mean(self.mask_ious),
            "right_label": self.confusion.right,
        }

    def section(self, folder: Path) -> Section:
        """What the page says of it; the pictures go into ``folder``."""
        return Section(
            "Words become boxes and masks",
            f"{len(self.pictures)} pictures, {len(LABELS)} labels with a synonym each asked for at once. Circles are "
            "answered as rectangles, squares as polygons, triangles and stars as masks. Left the truth, right the "
            "answer.",
            self.summary(),
            save_first(self.pictures, "detector", folder),
            Table(
                "What each object (rows) was answered as (columns), wherever boxes overlap by an IoU of at least 0.5.",
                (*LABELS, MISSED),
                self.confusion.rows(LABELS),
            ),
        )


def detect(client: Client, scene: Scene, result: DetectorResult) -> None:
    """Look for every label on one picture, and add what came of it to ``result``."""
    height, width = scene.image.shape[:2]
    items = client.detect(scene.image)
    drawings = [drawing_of(item, (height, width)) for item in items]
    found = [(str(item["label"]), box_of(drawing)) for item, drawing in zip(items, drawings, strict=True)]
    true = [(thing.label, thing.xyxy) for thing in scene.objects]
    result.confusion.add(found, true)
    pairs = match(found, true)
    result.matched += len(pairs)
    result.found += len(items)
    result.true += len(scene.objects)
    for i, j in pairs:
        mask, thing = drawings[i].mask, scene.objects[j]
        if mask is None:
            result.box_ious.append(box_iou(found[i][1], thing.xyxy))
        else:
            result.mask_ious.append(mask_iou(mask, thing.mask))
    result.pictures.append(side_by_side(truth(scene), overlay(scene.image, drawings)))
