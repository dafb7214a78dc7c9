"""The page: one file that works without a server or a network, and the same as JSON beside it."""

import base64
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from promptable.cvat.pages.frame import framed
from promptable.cvat.pages.pictures import address, shown
from promptable.cvat.server.errors import CvatError

_LONGEST_SIDE = 1920
_QUALITY = 78
"""Of a WebP picture: some 150 to 300 kB at 1080p."""


@dataclass(frozen=True)
class PageFrame:
    """A picture that is asked about; ``hw`` is what CVAT says, None for the picture's own. ``url`` opens it in CVAT.

    ``data`` gives the file's bytes. Raises CvatError where it cannot be read.
    """

    name: str
    number: int | None
    data: Callable[[], bytes]
    hw: tuple[int, int] | None = None
    url: str | None = None

    @cached_property
    def shown(self) -> tuple[tuple[int, int], str]:
        """Height and width that coordinates are in, and the picture as a data address. Raises CvatError for no picture.

        It is decoded once, and not kept decoded.
        """
        hw, image = shown(self.data(), _LONGEST_SIDE, self.hw)
        return hw, address(image, _QUALITY)


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
    listed = [{"name": frame.name, "number": frame.number, "url": frame.url, "hw": frame.shown[0]} for frame in frames]
    data = json.dumps(
        {"title": title, "about": about, "frames": listed, "variants": [vars(variant) for variant in variants]},
        ensure_ascii=False,
    )
    pictures = [
        f'<script id="picture-{i}" type="text/plain">{frame.shown[1]}</script>' for i, frame in enumerate(frames)
    ]
    page = framed(
        __package__,
        title,
        ("selection.js", "page.js"),
        pictures="\n".join(pictures),
        data=base64.b64encode(zlib.compress(data.encode(), 9)).decode(),
    )
    return page, data


def broken(frame: PageFrame) -> str | None:
    """Why a frame cannot be shown; None where it can."""
    try:
        _ = frame.shown
    except CvatError as error:
        return f"{frame.name}: {error}"
    return None
