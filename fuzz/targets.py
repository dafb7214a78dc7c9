"""What is fed, and with what: each target takes a case's random generator, and raises what it finds."""

import base64
import json
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fuzz.mutate import mutated_bytes, mutated_json
from fuzz.pictures import pictures
from promptable.config.labels import LabelError, render
from promptable.errors import BadRequestError, GoneError
from promptable.wire import detector, interactor, tracker
from promptable.wire.images.encoded import EncodedImage

Target = Callable[[Random], None]
Answer = Callable[[object], object]

TOY_LABELS = Path(__file__).parents[1] / "toy" / "labels.yaml"
_MOST_MEGAPIXELS = 1.0
_YAML = [
    b"&a ",
    b"*a",
    b"<<: ",
    b"!!python/object ",
    b"? ",
    b"- ",
    b": ",
    b"\t",
    b"%YAML 9",
    b".nan",
    b"1e999",
    b"|",
    b"{",
    b"[",
]


def picture(rng: Random) -> None:
    """A picture is decoded, to uint8 RGB of the size that its header says, or refused."""
    image = EncodedImage(mutated_bytes(rng, rng.choice(pictures()), pictures()))
    try:
        hw = image.hw(_MOST_MEGAPIXELS)
        if min(hw) < 1:
            raise AssertionError(f"the header of a picture without pixels is read: {hw}")
        pixels: NDArray[np.uint8] = image.decode(_MOST_MEGAPIXELS)
    except BadRequestError:
        return
    if pixels.shape != (*hw, 3) or pixels.dtype != np.uint8:
        raise AssertionError(f"decoded to {pixels.shape} of {pixels.dtype}, where the header says {hw}")


def label_file(rng: Random) -> None:
    """A labels.yaml becomes the annotation of a function, or is refused."""
    words = [TOY_LABELS.read_bytes(), *_YAML]
    with tempfile.NamedTemporaryFile(suffix=".yaml") as file:
        Path(file.name).write_bytes(mutated_bytes(rng, words[0], words))
        try:
            render(Path(file.name))
        except LabelError:
            return


def _image(rng: Random) -> str:
    data = rng.choice(pictures())
    return base64.b64encode(data if rng.random() < 0.8 else mutated_bytes(rng, data, pictures())).decode()


_BOX = {"type": "rectangle", "points": [2, 3, 20, 15]}
_MASK = {"type": "mask", "points": [1, 2, 1, 4, 1, 2, 1, 10, 10, 13, 12]}
_POLYGON = {"type": "polygon", "points": [1, 1, 20, 1, 20, 20]}
_STATE = {
    **{"version": 3, "model": "0123456789abcdef", "type": "rectangle", "bare": False, "step": 3},
    **{
        "memories": [["AAAAaaaa0000__--", 0, True], ["b" * 22, 3, True]],
        "box": [1.5, 2.0, 30.25, 20.0],
        "outside": False,
    },
}
BODIES: Mapping[str, list[dict[str, Any]]] = {
    "detector": [{"threshold": 0.3}, {"labels": ["a star", {"name": "ring", "prompts": ["a ring"], "type": "mask"}]}],
    "interactor": [
        {"pos_points": [[5, 5]], "neg_points": [[9, 9]], "obj_bbox": []},
        {"pos_points": [], "neg_points": [], "obj_bbox": [[1, 1], [20, 20], [3, 3], [9, 9]], "text_prompts": ["a"]},
    ],
    "tracker": [
        {"shapes": [_BOX, _MASK, _POLYGON], "states": []},
        {"shapes": [[2, 3, 20, 15]], "states": []},
        {"shapes": [None, None], "states": [_STATE, None]},
    ],
}


def request(kind: str, answer: Answer, bodies: list[dict[str, Any]]) -> Target:
    """A body is answered, or refused: a track of another model as gone. Some arrive as text that may be no JSON."""

    def target(rng: Random) -> None:
        body = mutated_json(rng, {"image": _image(rng)} | rng.choice(bodies))
        if rng.random() < 0.1:
            body = mutated_bytes(rng, json.dumps(body).encode(), [b'{"image": "'])
        with suppress(BadRequestError, GoneError):
            answer(body)

    target.__name__ = kind
    return target


def light_targets() -> list[Target]:
    """Those that need no model: of the functions, what reads their requests."""
    readers: Mapping[str, Answer] = {
        "detector": detector.parse,
        "interactor": interactor.parse,
        "tracker": tracker.parse,
    }
    return [
        picture,
        picture,
        picture,
        label_file,
        *(request(kind, read, BODIES[kind]) for kind, read in readers.items()),
    ]
