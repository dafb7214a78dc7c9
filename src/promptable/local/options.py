"""How to serve the functions: ports, models, labels, environment."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from promptable.config import labels
from promptable.config.environment import OUTSIDE_IMAGES
from promptable.config.function_yaml import dump
from promptable.config.nuclio import FunctionConfig, FunctionType
from promptable.models.cores import openmp

_MODEL_FOLDERS = {"grounding-dino": "grounding-dino", "sam-interactor": "sam", "sam2-tracker": "sam2"}
_MASK_MODEL_FOLDER = "sam"


@dataclass(frozen=True)
class Options:
    """How to serve. Paths may be relative to the working directory."""

    host: str = "127.0.0.1"
    """Address to listen on."""
    allowed_hosts: Sequence[str] = ()
    """Public names of this machine that CVAT calls it by; private names and addresses need none (``hosts``)."""
    dashboard_port: int = 8070
    """0: any free port."""
    port_base: int | None = None
    """The first function's port, the others follow; None: as the function.yaml files say; 0: any free ports."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Variables for every function, over those of its function.yaml."""
    models: Path | None = None
    """Folder with the model folders grounding-dino, sam and sam2, to use in place of the settings' models."""
    labels: Path | None = None
    """A labels.yaml to use in place of the detectors' own labels."""
    log: Path | None = None
    """File to append the functions' logs to; None: stderr."""
    ready_seconds: float = 600.0
    """How long the functions may take to start."""

    def port(self, config: FunctionConfig, number: int) -> int:
        """The port of the function that is served as this number, counted from 0; 0 for any free port."""
        if self.port_base is None:
            return config.trigger.port
        return self.port_base + number if self.port_base else 0


def with_labels(config: FunctionConfig, options: Options) -> FunctionConfig:
    """The function with the labels to serve it with. Raises LabelError."""
    if options.labels is None or config.type is not FunctionType.DETECTOR:
        return config
    return config.with_annotations(spec=labels.render(options.labels))


def environment(config: FunctionConfig, options: Options, config_dir: Path) -> Mapping[str, str]:
    """The environment of the function's processes, the server's own at the bottom.

    Writes into ``config_dir`` the function's configuration, as Nuclio writes processor.yaml into the container.
    """
    deployed = config_dir / f"{config.name}.yaml"
    deployed.write_text(dump(config), encoding="utf-8")
    return {
        **OUTSIDE_IMAGES,
        **openmp.ENVIRONMENT,
        **os.environ,
        **config.env,
        **_models(config.name, options.models),
        **options.env,
        "PROMPTABLE_FUNCTION_CONFIG": str(deployed),
    }


def _models(function: str, models: Path | None) -> Mapping[str, str]:
    if models is None or function not in _MODEL_FOLDERS:
        return {}
    return {
        "PROMPTABLE_MODEL": str(models.resolve() / _MODEL_FOLDERS[function]),
        "PROMPTABLE_MASK_MODEL": str(models.resolve() / _MASK_MODEL_FOLDER),
    }
