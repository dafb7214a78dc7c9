"""Overlays that show an answer on its picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]

# Colours that stay apart on any background and for colour-blind readers (Okabe and Ito, "Color Universal Design").
PALETTE = ((230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0), (204, 121, 167))
_SHORT_SIDE = 384
_FRAME_MILLISECONDS = 180
_SHOWN = 8


@dataclass(frozen=True)
class Drawing:
    """One thing to draw: a mask bool [H, W] or a box xyxy in the picture's pixels, and the words beside it."""

    mask: Mask | None = None
    xyxy: NDArray[np.float32] | None = None
    text: str = ""


@dataclass(frozen=True)
class Click:
    """A click at x, y in the picture's pixels, on the object or beside it."""

    xy: tuple[float, float]
    positive: bool = True


def overlay(image: Image, drawings: Sequence[Drawing], clicks: Sequence[Click] = ()) -> Image:
    """The picture, uint8 RGB [H, W, 3], enlarged where small, with the drawings and clicks on it."""
    scale = max(1, round(_SHORT_SIDE / min(image.shape[:2])))
    canvas: Image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    for number, drawing in enumerate(drawings):
        _draw(canvas, drawing, PALETTE[number % len(PALETTE)], scale)
    for click in clicks:
        centre = (round(click.xy[0] * scale), round(click.xy[1] * scale))
        cv2.circle(canvas, centre, 7, (255, 255, 255), -1, cv2.LINE_AA)
        cv2.circle(canvas, centre, 5, (40, 180, 60) if click.positive else (210, 40, 40), -1, cv2.LINE_AA)
    return canvas


def _draw(canvas: Image, drawing: Drawing, colour: tuple[int, int, int], scale: int) -> None:
    corner = (4, 16)
    if drawing.mask is not None and drawing.mask.any():
        mask = np.kron(drawing.mask, np.ones((scale, scale), bool))
        canvas[mask] = (0.75 * canvas[mask] + 0.25 * np.array(colour)).astype(np.uint8)
        outline, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(canvas, outline, -1, colour, 2, cv2.LINE_AA)
        corner = tuple(cv2.boundingRect(np.concatenate(outline))[:2])
    if drawing.xyxy is not None:
        left, top, right, bottom = (round(float(v) * scale) for v in drawing.xyxy)
        cv2.rectangle(canvas, (left, top), (right, bottom), colour, 2, cv2.LINE_AA)
        corner = (left, top)
    if drawing.text:
        _write(canvas, drawing.text, corner)


def _write(canvas: Image, text: str, corner: tuple[int, int]) -> None:
    (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.45, 1)
    x, y = min(max(corner[0], 0), canvas.shape[1] - width - 4), max(corner[1], height + 6)
    cv2.rectangle(canvas, (x, y - height - 6), (x + width + 4, y), (20, 20, 20), -1)
    cv2.putText(canvas, text, (x + 2, y - 4), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 255), 1, cv2.LINE_AA)


def side_by_side(*images: Image) -> Image:
    """Pictures of one size next to each other, with a white gap."""
    gap = np.full((images[0].shape[0], 8, 3), 255, np.uint8)
    pieces = [piece for image in images for piece in (gap, image)][1:]
    return np.concatenate(pieces, axis=1)


def save(image: Image, path: Path) -> None:
    """Write a picture, uint8 RGB [H, W, 3]; the name's ending tells the format."""
    PillowImage.fromarray(image).save(path)


def save_first(images: Sequence[Image], name: str, folder: Path) -> list[str]:
    """Write the first pictures as ``NAME-0.png`` and so on; returns the files' names."""
    files = [f"{name}-{number}.png" for number in range(min(len(images), _SHOWN))]
    for file, image in zip(files, images, strict=False):
        save(image, folder / file)
    return files


def save_animations(clips: Sequence[Sequence[Image]], name: str, folder: Path) -> list[str]:
    """Write each clip as ``NAME-0.webp`` and so on; returns the files' names."""
    files = [f"{name}-{number}.webp" for number in range(len(clips))]
    for file, frames in zip(files, clips, strict=True):
        save_animation(frames, folder / file)
    return files


def save_animation(frames: Sequence[Image], path: Path) -> None:
    """Write frames as an endless WebP animation, a tenth of a GIF's size."""
    first, *rest = [PillowImage.fromarray(frame) for frame in frames]
    first.save(path, save_all=True, append_images=rest, duration=_FRAME_MILLISECONDS, loop=0, quality=60)
