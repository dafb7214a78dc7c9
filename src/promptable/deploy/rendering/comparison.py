"""Whether Nuclio has what was deployed.

It leaves out what is empty, fills in some defaults, and Kubernetes writes amounts in its own way.
"""

from collections.abc import Mapping
from typing import Any

from promptable.config import function_yaml
from promptable.config.nuclio import FunctionConfig
from promptable.deploy.rendering.quantity import quantity

_EMPTY_BY_DEFAULT = (
    "nodeSelector",
    "tolerations",
    "affinity",
    "volumes",
    "envFrom",
    "eventTimeout",
    "imagePullSecrets",
)
"""Nuclio fills in nothing here: what is there beside what was deployed, somebody has added."""
_CONTAINERS = ("initContainers", "sidecars")
"""Nuclio fills in what is inside them, the function's variables for one."""
_FILLED_IN = ("minReplicas", "maxReplicas", "resources")
"""What a deployment does not say of these, Nuclio does."""
_AMOUNTS = ("requests", "limits", "sizeLimit", "divisor")
"""Keys under which the numbers are amounts."""


def same(there: FunctionConfig, known: FunctionConfig) -> bool:
    """Whether ``there``, which Nuclio reports, is what deploying ``known`` gives, as to when, where and how it runs."""
    has, says = _spec(there), _spec(known)
    return all(has.get(key) == says.get(key) for key in ("env", *_EMPTY_BY_DEFAULT, *_CONTAINERS)) and all(
        _covers(has.get(key), says[key]) for key in _FILLED_IN if key in says
    )


def _spec(config: FunctionConfig) -> Mapping[str, Any]:
    spec = function_yaml.to_document(config)["spec"]
    told_apart = {
        "env": {variable["name"]: variable for variable in spec.get("env", ())},
        **{key: [container.get("name") for container in spec.get(key) or ()] for key in _CONTAINERS},
    }
    bare: Mapping[str, Any] = _bare({**spec, **told_apart})
    return bare


def _bare(value: Any, key: str = "") -> Any:
    """Without what is empty or false in mappings, and with amounts as numbers."""
    if isinstance(value, Mapping):
        bare = {name: _bare(each, key if key in _AMOUNTS else name) for name, each in value.items()}
        return {name: each for name, each in bare.items() if each is not False and each not in (None, "", {}, [])}
    if isinstance(value, list):
        return [_bare(each, key) for each in value]
    return quantity(value) if key in _AMOUNTS else value


def _covers(has: Any, says: Any) -> bool:
    """Whether ``has`` says all that ``says`` does."""
    if isinstance(says, Mapping):
        return all(_covers((has or {}).get(key), value) for key, value in says.items())
    return bool(has == says)
