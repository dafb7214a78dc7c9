"""A click or a box -> a mask; further clicks correct it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from demo.answers import truth
from demo.client import Client
from demo.page import Section
from demo.pictures import Click, Drawing, Image, Mask, overlay, save_first, side_by_side
from toy.metrics import mask_iou, mean
from toy.scenes import Scene

_CORRECTIONS = 2


@dataclass
class InteractorResult:
    """Mask IoU of every object clicked on, boxed, and clicked on with corrections."""

    click_ious: list[float] = field(default_factory=list)
    box_ious: list[float] = field(default_factory=list)
    refined_ious: list[float] = field(default_factory=list)
    pictures: list[Image] = field(default_factory=list)

    def summary(self) -> dict[str, float]:
        """Means over the objects."""
        return {
            "click_iou": mean(self.click_ious),
            "box_iou": mean(self.box_ious),
            "refined_iou": mean(self.refined_ious),
        }

    def section(self, folder: Path) -> Section:
        """What the page says of it; the pictures go into ``folder``."""
        return Section(
            "A click becomes a mask",
            f"{len(self.click_ious)} objects: one click in the middle, then up to two correcting clicks (green on the "
            "object, red beside it). Also one box each, not drawn. Left the truth, right the corrected masks.",
            self.summary(),
            save_first(self.pictures, "interactor", folder),
        )


def interact(client: Client, scene: Scene, result: InteractorResult) -> None:
    """Ask for each object by one click, by its box, and by a click with corrections where the mask was wrong."""
    drawings: list[Drawing] = []
    clicks: list[Click] = []
    for thing in scene.objects:
        boxed = client.interact(scene.image, box=thing.xyxy.tolist())
        first, refined, made = click_and_correct(client, scene.image, thing.mask)
        result.box_ious.append(mask_iou(boxed, thing.mask))
        result.click_ious.append(mask_iou(first, thing.mask))
        result.refined_ious.append(mask_iou(refined, thing.mask))
        drawings.append(Drawing(mask=refined, text=f"IoU {result.refined_ious[-1]:.2f}"))
        clicks += made
    result.pictures.append(side_by_side(truth(scene), overlay(scene.image, drawings, clicks)))


def click_and_correct(client: Client, image: Image, wanted: Mask) -> tuple[Mask, Mask, list[Click]]:
    """The mask after one click, the mask after the corrections, and the clicks, each in the middle of an error."""
    clicks = [Click(deepest(wanted))]
    masks = [_interact(client, image, clicks)]
    for _ in range(_CORRECTIONS):
        missing, surplus = wanted & ~masks[-1], masks[-1] & ~wanted
        if not (missing | surplus).any():
            break
        positive = bool(missing.sum() >= surplus.sum())
        clicks.append(Click(deepest(missing if positive else surplus), positive))
        masks.append(_interact(client, image, clicks))
    return masks[0], masks[-1], clicks


def deepest(mask: Mask) -> tuple[float, float]:
    """x, y of the middle of the pixel that lies furthest inside the mask."""
    depth = cv2.distanceTransform(np.pad(mask.astype(np.uint8), 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
    row, column = np.unravel_index(int(depth.argmax()), depth.shape)
    return float(column) + 0.5, float(row) + 0.5


def _interact(client: Client, image: Image, clicks: Sequence[Click]) -> Mask:
    return client.interact(
        image,
        positive=[click.xy for click in clicks if click.positive],
        negative=[click.xy for click in clicks if not click.positive],
    )
