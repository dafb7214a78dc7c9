"""A function in this process: the one way from here to ``serving``, and so to torch."""

import base64
import json
import os
from collections.abc import Callable, Mapping
from functools import cache
from threading import Lock
from typing import Any

from promptable.config.environment import OUTSIDE_IMAGES, read
from promptable.config.settings import DetectorSettings, TrackerSettings
from promptable.cvat.functions import Picture
from promptable.cvat.server.errors import CvatError
from promptable.serving.respond import STATUS

Answer = Callable[[Any], str]


class LocalFunction:
    """A function as the environment's settings describe it, a detector without labels of its own."""

    takes_labels = True

    def __init__(self, kind: str, model: str | None = None) -> None:
        """``kind`` is detector or tracker; ``model`` replaces PROMPTABLE_MODEL.

        Raises CvatError where the models cannot be loaded, ImportError without their packages.
        """
        environment = {**OUTSIDE_IMAGES, **{name: value for name, value in os.environ.items() if value}}
        if model is not None:
            environment["PROMPTABLE_MODEL"] = model
        try:
            self._answer, self._model = _LOADERS[kind](environment)
        except (FileNotFoundError, ValueError) as error:
            raise CvatError(f"--local: {error}") from None
        self._lock = Lock()

    def __repr__(self) -> str:
        return f"{self._model} (local)"

    def call(self, picture: Picture, fields: Mapping[str, object]) -> Any:
        body = {**fields, "image": base64.b64encode(picture.data()).decode()}
        try:
            with self._lock:  # threads would only share the one device
                return json.loads(self._answer(body))
        except tuple(STATUS) as error:
            raise CvatError(f"{picture.name}: {error}", STATUS[type(error)]) from None


def _detector(environment: Mapping[str, str]) -> tuple[Answer, str]:
    settings = read(DetectorSettings, environment)
    return _loaded_detector(settings), settings.model


@cache
def _loaded_detector(settings: DetectorSettings) -> Answer:
    """Once for all tasks of a project, of which it remembers nothing."""
    from promptable.serving.detector.function import DetectorFunction  # here, since it takes seconds
    from promptable.serving.detector.models import load_models

    return DetectorFunction(load_models(settings, ()), (), settings)


def _tracker(environment: Mapping[str, str]) -> tuple[Answer, str]:
    from promptable.serving.tracker.function import load

    settings = read(TrackerSettings, environment)
    return load(settings), settings.model


_LOADERS: Mapping[str, Callable[[Mapping[str, str]], tuple[Answer, str]]] = {
    "detector": _detector,
    "tracker": _tracker,
}
