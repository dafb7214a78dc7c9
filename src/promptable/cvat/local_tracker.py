"""The tracker in this process: with ``local_detector`` the one way from here to ``serving``, and so to torch."""

import base64
import json
import os
from collections.abc import Mapping
from typing import Any

from promptable.config.environment import read
from promptable.config.settings import TrackerSettings
from promptable.cvat.functions import Picture
from promptable.cvat.server.errors import CvatError
from promptable.serving.respond import STATUS
from promptable.serving.tracker.function import load


class LocalTracker:
    """The tracker as the environment's settings describe it."""

    takes_labels = True

    def __init__(self, model: str | None = None) -> None:
        """``model`` replaces PROMPTABLE_MODEL. Raises CvatError where the model cannot be loaded."""
        environment = dict(os.environ) | ({} if model is None else {"PROMPTABLE_MODEL": model})
        try:
            settings = read(TrackerSettings, environment)
            self._tracker = load(settings)
        except (FileNotFoundError, ValueError) as error:
            raise CvatError(f"--local: {error}") from None
        self._model = settings.model

    def __repr__(self) -> str:
        return f"{self._model} (local)"

    def call(self, picture: Picture, fields: Mapping[str, object]) -> Any:
        body = {**fields, "image": base64.b64encode(picture.data()).decode()}
        try:
            return json.loads(self._tracker(body))
        except tuple(STATUS) as error:
            raise CvatError(f"{picture.name}: {error}", STATUS[type(error)]) from None
