"""The page: one file that works without a server or a network, and the same as JSON beside it."""

import base64
import io
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageOps

from promptable.cvat.pages.frame import framed

_LONGEST_SIDE = 1920
_QUALITY = 78
"""Of a WebP picture: some 150 to 300 kB at 1080p."""


@dataclass(frozen=True)
class PageFrame:
    """A picture that was asked about; ``hw`` is what CVAT says, None for the picture's own."""

    name: str
    number: int | None
    data: bytes
    hw: tuple[int, int] | None = None


@dataclass(frozen=True)
class PageVariant:
    """A variant's answers, one a frame: candidates, ``{"items": [...]}`` or ``{"error": sentence}``.

    ``labels`` are entries as in ``labels.yaml`` with the ``threshold`` that the sliders begin at.
    """

    name: str
    note: str
    exact: bool
    floor: float
    labels: Sequence[Mapping[str, Any]]
    answers: Sequence[Mapping[str, Any]]


def render(title: str, about: str, frames: Sequence[PageFrame], variants: Sequence[PageVariant]) -> tuple[str, str]:
    """The page and its JSON."""
    shown = [_shown(frame) for frame in frames]
    listed = [
        {"name": frame.name, "number": frame.number, "hw": hw} for frame, (hw, _) in zip(frames, shown, strict=True)
    ]
    data = json.dumps(
        {"title": title, "about": about, "frames": listed, "variants": [vars(variant) for variant in variants]},
        ensure_ascii=False,
    )
    pictures = [
        f'<script id="picture-{i}" type="text/plain">{address}</script>' for i, (_, address) in enumerate(shown)
    ]
    page = framed(
        __package__,
        title,
        ("selection.js", "page.js"),
        pictures="\n".join(pictures),
        data=base64.b64encode(zlib.compress(data.encode(), 9)).decode(),
    )
    return page, data


def _shown(frame: PageFrame) -> tuple[tuple[int, int], str]:
    """Height and width that coordinates are in, and the picture as a data address, no larger than a screen."""
    with Image.open(io.BytesIO(frame.data)) as file:
        image = _eight_bit(ImageOps.exif_transpose(file))
    hw = frame.hw or (image.height, image.width)
    image = image.crop((0, 0, hw[1], hw[0]))
    image.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE), Image.Resampling.LANCZOS)
    packed = io.BytesIO()
    image.save(packed, "WEBP", quality=_QUALITY, method=4)
    return hw, f"data:image/webp;base64,{base64.b64encode(packed.getvalue()).decode()}"


def _eight_bit(image: Image.Image) -> Image.Image:
    """RGB; numbers of more than eight bits are spread over what the picture holds, or it would be white or black."""
    if not image.mode.startswith(("I", "F")):
        return image.convert("RGB")
    low, high = (float(bound) for bound in image.getextrema())  # type: ignore[arg-type]
    scale = 255 / (high - low or 1.0)
    return image.convert("F").point(lambda value: value * scale - low * scale).convert("RGB")
