"""A function.yaml as it is deployed: its text, and what the deployment reads in it."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath

import yaml

from promptable.config import function_yaml
from promptable.config.nuclio import FunctionConfig
from promptable.config.settings import SETTINGS
from promptable.deploy.rendering.target import WEIGHTS_DIR, Device

_MODEL_FIELDS = ("model", "mask_model")


@dataclass(frozen=True)
class Rendered:
    """A function.yaml that nuctl can deploy. Two are the same deployment when their texts are equal."""

    text: str

    @cached_property
    def config(self) -> FunctionConfig:
        return function_yaml.parse_deployed(yaml.safe_load(self.text), "the function.yaml that is deployed")

    @property
    def image(self) -> str:
        return self.config.spec.image

    def with_image(self, image: str) -> "Rendered":
        """The same deployment of another image."""
        return Rendered(function_yaml.dump(self.config.with_spec(image=image)))

    @property
    def device(self) -> str:
        """What the image was built for; ``?`` for one that is not ours."""
        try:
            return image_device(self.image)
        except ValueError:
            return "?"

    @property
    def port(self) -> int | None:
        """The port on the host; None in Kubernetes."""
        return self.config.trigger.port or None

    @property
    def replicas(self) -> int:
        """How many there are at least; on Docker one."""
        return self.config.spec.min_replicas or 1

    @property
    def models(self) -> tuple[str, ...]:
        """What the function loads, its own first: official names, and names of model folders."""
        return models_of(self.config)

    @property
    def redis_host(self) -> str:
        """The host of the Redis that it uses, in words; empty: it uses none."""
        return self.config.redis_host

    @property
    def claim(self) -> str:
        """The PersistentVolumeClaim with its checkpoints; empty: they are in the image."""
        weights = PurePosixPath(self.config.env.get("PROMPTABLE_WEIGHTS", WEIGHTS_DIR))
        for each in self.config.spec.volumes:
            claim = each.volume.get("persistentVolumeClaim")
            if claim and weights.is_relative_to(each.volume_mount.get("mountPath", "")):
                return str(claim["claimName"])
        return ""


def models_of(config: FunctionConfig) -> tuple[str, ...]:
    """What a function with this configuration loads, as ``Rendered.models``."""
    models = (model_setting(config, field) for field in _MODEL_FIELDS)
    return tuple(dict.fromkeys(PurePosixPath(model).name for model in models if model))


def model_setting(config: FunctionConfig, field: str) -> str:
    """The value of a setting that names a model, or its default; empty: only Kubernetes knows it, or there is none."""
    setting = SETTINGS[config.type].model_fields.get(field)
    if setting is None or setting.alias in config.looked_up:
        return ""
    return config.env.get(str(setting.alias)) or str(setting.default)


def image_device(image: str) -> Device:
    """The device in the tag of an image of ours, gpu-0123456789ab. Raises ValueError for another image."""
    return Device(image.rpartition(":")[2].partition("-")[0])
