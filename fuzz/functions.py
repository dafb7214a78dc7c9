"""The three functions on the toy checkpoints, fed with whole requests and with mutated states of real tracks."""

import base64
import json
import os
import tempfile
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import nuclio_sdk

from fuzz.pictures import pictures
from fuzz.targets import BODIES, TOY_LABELS, Answer, Target, request
from promptable.config.function_yaml import dump, load
from promptable.config.labels import render

_TOY = TOY_LABELS.parent


def function_targets() -> list[Target]:
    """Loads the models; the environment's settings are replaced."""
    config = Path(tempfile.mkdtemp()) / "processor.yaml"
    function = load(_TOY.parent / "functions" / "grounding-dino" / "function.yaml")
    config.write_text(dump(function.with_annotations(spec=render(TOY_LABELS))))
    models = {"PROMPTABLE_MODEL": str(_TOY / "grounding-dino"), "PROMPTABLE_MASK_MODEL": str(_TOY / "sam")}
    detector = _loaded("detector", models | {"PROMPTABLE_FUNCTION_CONFIG": str(config)})
    interactor = _loaded("interactor", {"PROMPTABLE_MODEL": str(_TOY / "sam")})
    tracker = _loaded("tracker", {"PROMPTABLE_MODEL": str(_TOY / "sam2")})
    return [
        request("detector", detector, BODIES["detector"]),
        request("interactor", interactor, BODIES["interactor"]),
        request("tracker", tracker, [*BODIES["tracker"], *_tracks(tracker)]),
    ]


def _loaded(kind: str, environment: Mapping[str, str]) -> Answer:
    """One function as its settings in this environment describe it."""
    for variable in [variable for variable in os.environ if variable.startswith("PROMPTABLE_")]:
        del os.environ[variable]
    os.environ.update(environment, PROMPTABLE_MAX_MEGAPIXELS="1", PROMPTABLE_DEVICE="cpu")
    function = import_module(f"promptable.serving.{kind}.function")
    answer: Answer = function.load_function(nuclio_sdk.Logger("CRITICAL"))
    return answer


def _tracks(tracker: Answer) -> list[dict[str, Any]]:
    """Requests that go on with states of this tracker's own."""
    image = base64.b64encode(pictures()[0]).decode()
    bodies = []
    for start in BODIES["tracker"][:2]:
        states = json.loads(str(tracker({"image": image} | start)))["states"]
        bodies.append({"shapes": [None] * len(states), "states": states})
    return bodies
