"""What Nuclio says it runs, as a function.yaml that can be deployed again.

``nuctl get function --output yaml`` prints a function's configuration with its status (Nuclio's ConfigWithStatus in
pkg/functionconfig/types.go), after log lines if there are any.
"""

import re
from collections.abc import Mapping
from typing import Any

import yaml

from promptable.deploy.render import DeployError, dump

_WORKING = ("ready", "unhealthy", "scaledToZero")
"""States of a function that has come up; ``unhealthy`` is one whose container does not answer at the moment."""


def unknown(said: str, known: str) -> str:
    """The function.yaml of the working function in ``said``; empty without one, or where it is the ``known`` one.

    Raises DeployError where ``said`` is not a function's configuration.
    """
    config = _configuration(said)
    if config["status"].get("state") not in _WORKING or not config["spec"].get("image"):
        return ""
    if known and _essence(config) == _essence(yaml.safe_load(known)):
        return ""
    return dump(_deployable(config))


def _configuration(said: str) -> Mapping[str, Any]:
    start = re.search(r"^metadata:$", said, re.MULTILINE)
    config = yaml.safe_load(said[start.start() :]) if start else None
    if not isinstance(config, dict) or not {"metadata", "spec", "status"} <= config.keys():
        raise DeployError(f"nuctl get function: expected metadata, spec and status, got {said[:300]!r}")
    return config


def _essence(config: Mapping[str, Any]) -> tuple[object, ...]:
    """What a deployment chooses; Nuclio fills in the rest."""
    spec = config["spec"]
    environment = {entry["name"]: entry.get("value") for entry in spec.get("env") or ()}
    return spec.get("image"), environment, (config["metadata"].get("annotations") or {}).get("spec")


def _deployable(config: Mapping[str, Any]) -> dict[str, Any]:
    metadata = {
        key: config["metadata"][key] for key in ("name", "namespace", "annotations") if key in config["metadata"]
    }
    return {"metadata": metadata, "spec": {key: value for key, value in config["spec"].items() if key != "build"}}
