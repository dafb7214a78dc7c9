"""The detector in this process: with ``local_tracker`` the one way from here to ``serving``, and so to torch."""

import base64
import json
import os
from collections.abc import Mapping
from threading import Lock
from typing import Any

from promptable.config.environment import read
from promptable.config.settings import DetectorSettings
from promptable.cvat.functions import Picture
from promptable.cvat.server.errors import CvatError
from promptable.serving.detector.function import DetectorFunction
from promptable.serving.detector.models import load_models
from promptable.serving.respond import STATUS


class LocalDetector:
    """The detector as the environment's settings describe it, without labels of its own."""

    takes_labels = True

    def __init__(self, model: str | None = None) -> None:
        """``model`` replaces PROMPTABLE_MODEL. Raises CvatError where the models cannot be loaded."""
        environment = dict(os.environ) | ({} if model is None else {"PROMPTABLE_MODEL": model})
        try:
            settings = read(DetectorSettings, environment)
            self._detector = DetectorFunction(load_models(settings, ()), (), settings)
        except (FileNotFoundError, ValueError) as error:
            raise CvatError(f"--local: {error}") from None
        self._model = settings.model
        self._lock = Lock()

    def __repr__(self) -> str:
        return f"{self._model} (local)"

    def call(self, picture: Picture, fields: Mapping[str, object]) -> Any:
        body = {**fields, "image": base64.b64encode(picture.data()).decode()}
        try:
            with self._lock:  # threads would only share the one device
                return json.loads(self._detector(body))
        except tuple(STATUS) as error:
            raise CvatError(f"{picture.name}: {error}", STATUS[type(error)]) from None
