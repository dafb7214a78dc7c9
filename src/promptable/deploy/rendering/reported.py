"""What Nuclio says it runs.

``nuctl get function --output yaml`` prints a function's configuration with its status (Nuclio's ConfigWithStatus in
pkg/functionconfig/types.go), after log lines if there are any.
"""

import re
from dataclasses import dataclass
from typing import Any

import yaml

from promptable.config import function_yaml
from promptable.config.function_yaml import FunctionConfigError
from promptable.config.nuclio import FunctionConfig
from promptable.deploy.errors import DeployError
from promptable.deploy.rendering.rendered import Rendered

_UP = ("ready", "unhealthy")
"""States of a function that is there; ``unhealthy`` is one whose container did not answer when Nuclio looked last."""
_WORKING = (*_UP, "scaledToZero")
"""States of a function that has come up."""
_PROVISIONED = (*_WORKING, "error", "imported")
"""States that a deployment ends in (Nuclio's FunctionStateProvisioned)."""


@dataclass(frozen=True)
class Reported:
    """A function's configuration, and Nuclio's state of it."""

    config: FunctionConfig
    state: str
    """``ready`` and others; ``unknown`` if Nuclio does not say."""
    port: int | None
    """The port that CVAT reads here and calls."""
    urls: tuple[str, ...] = ()
    """Where Nuclio's dashboard calls it for CVAT in a cluster; none after one that failed, even if it is ready."""

    @property
    def provisioning(self) -> bool:
        """Is it being deployed, or was that interrupted? Nuclio refuses another deployment then."""
        return self.state not in _PROVISIONED

    @property
    def working(self) -> bool:
        """Has it come up once?"""
        return self.state in _WORKING

    def leads_to(self, known: Rendered) -> bool:
        """Has it come up, and does CVAT find ``known`` by this: on its port, or in a cluster at any address?

        ``unhealthy`` says little: on Docker it stays for half a minute after it is true, in a cluster it is also a
        function of whose replicas some lack a place, and CVAT does not read it.
        """
        if self.state not in _UP:
            return False
        return bool(self.urls) if known.port is None else self.port == known.port

    def holds(self, known: Rendered) -> bool:
        """Is it ``known``, as far as Nuclio keeps every letter of it? The rest it writes in its own way."""
        return _essence(self.config) == _essence(known.config)

    def deployable(self) -> Rendered:
        """The function.yaml that deploys it again: the same text for as long as nobody changes anything."""
        own = self.config.with_metadata(labels=None, resource_version=None).with_spec(build=None, image_hash=None)
        return Rendered(function_yaml.dump(FunctionConfig(metadata=own.metadata, spec=own.spec)))


def read(said: str) -> Reported:
    """What nuctl printed. Raises DeployError where that is not a function's configuration."""
    start = re.search(r"^metadata:$", said, re.MULTILINE)
    document = _parsed(said[start.start() :]) if start else None
    if not isinstance(document, dict) or not isinstance(document.get("status"), dict):
        raise DeployError(f"nuctl get function: expected metadata, spec and status, got {said[:300]!r}")
    status = document.pop("status")
    try:
        config = function_yaml.parse_deployed(document, "nuctl get function")
    except FunctionConfigError as error:
        raise DeployError(str(error)) from None
    urls = tuple(status.get("internalInvocationUrls") or ())
    return Reported(config, status.get("state") or "unknown", status.get("httpPort") or None, urls)


def _parsed(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return None


def _essence(config: FunctionConfig) -> tuple[object, ...]:
    """What every deployment chooses."""
    return config.spec.image, config.env, config.metadata.annotations.spec, config.trigger.workers
