"""The demo on a picture of the user's, with official checkpoints: there is no truth, so it only shows the answers."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageOps
from tqdm import tqdm

from demo.answers import box_of, drawing_of
from demo.client import Client
from demo.interact import deepest
from demo.page import Section
from demo.pictures import Click, Drawing, Image, overlay, save, save_animation
from promptable.wire.masks import mask_to_rle

_FRAMES = 8
_PAN = 0.15  # share of the picture's width that the made-up camera moves


def run(client: Client, picture: Path, folder: Path) -> list[Section]:
    """Look for the labels, click on the strongest find, and follow it while a window pans over the picture."""
    image: Image = np.array(ImageOps.exif_transpose(PillowImage.open(picture)).convert("RGB"))
    height, width = image.shape[:2]
    bar: tqdm[Any]
    with tqdm(total=1 + _FRAMES, unit="step") as bar:
        items = client.detect(image)
        drawings = [drawing_of(item, (height, width)) for item in items]
        save(overlay(image, drawings), folder / "detector.png")
        bar.update()
        sections = [Section("Words", f"{len(items)} objects found.", {}, ["detector.png"])]
        if not items:
            return sections
        strongest = drawings[int(np.argmax([item["confidence"] for item in items]))]
        click = _middle(strongest)
        mask = client.interact(image, positive=[click.xy])
        save(overlay(image, [Drawing(mask=mask)], [click]), folder / "interactor.png")
        bar.update()
        save_animation(_pan(client, image, strongest, bar), folder / "tracker.webp")
    sections.append(Section("A click", "One click in the middle of the strongest find.", {}, ["interactor.png"]))
    sections.append(Section("A track", "The same object while a window pans over the picture.", {}, ["tracker.webp"]))
    return sections


def _middle(drawing: Drawing) -> Click:
    if drawing.mask is not None and drawing.mask.any():
        return Click(deepest(drawing.mask))
    left, top, right, bottom = box_of(drawing).tolist()
    return Click(((left + right) / 2, (top + bottom) / 2))


def _pan(client: Client, image: Image, thing: Drawing, bar: "tqdm[Any]") -> list[Image]:
    """Follow a mask or box while the visible window moves right by ``_PAN`` of the width."""
    reach = round(_PAN * image.shape[1])
    windows = [image[:, shift : image.shape[1] - reach + shift] for shift in np.linspace(0, reach, _FRAMES, dtype=int)]
    shape = _shape_in(thing, windows[0].shape[1])
    states = client.start_tracking(windows[0], [shape])
    frames = [overlay(windows[0], [drawing_of(shape, windows[0].shape[:2])])]
    for window in windows[1:]:
        shapes, states = client.track(window, states)
        frames.append(overlay(window, [drawing_of(shapes[0], window.shape[:2])]))
        bar.update()
    return frames


def _shape_in(thing: Drawing, width: int) -> dict[str, object]:
    """The object as a tracker's shape, cut at the first window's right border."""
    if thing.mask is not None and thing.mask[:, :width].any():
        return {"type": "mask", "points": mask_to_rle(thing.mask[:, :width]).tolist()}
    left, top, right, bottom = box_of(thing).tolist()
    return {"type": "rectangle", "points": [min(left, width - 2), top, min(right, width), bottom]}
