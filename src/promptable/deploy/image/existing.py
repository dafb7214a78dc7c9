"""The images that --no-build deploys once more: which they are, for what device, and with which models."""

from collections.abc import Mapping
from dataclasses import dataclass

from promptable.deploy.console import Console
from promptable.deploy.image.build import Images
from promptable.deploy.options import Options
from promptable.deploy.platforms.base import Platform
from promptable.deploy.rendering.rendered import Rendered, image_device
from promptable.deploy.rendering.target import Device, PlatformName

_WITH_BUILD = "leave --no-build out, so that"


@dataclass(frozen=True)
class ExistingImages:
    """What is wrong with them is said on the console."""

    options: Options
    console: Console
    platform: Platform
    images: Images

    def find(self, last: Mapping[str, Rendered | None]) -> Mapping[str, str]:
        """Each function's image: that of its ``last`` version, or else the newest that was built here."""
        found = {function: self._image(function, version) for function, version in last.items()}
        for function, image in found.items():
            if not image:
                self.console.problem(f"there is no image of {function} yet for --no-build", "leave --no-build out once")
            elif self.options.device and self.options.device != device_of(image):
                self.console.problem(
                    f"--{self.options.device}: {image} was built for {device_of(image)}",
                    f"{_WITH_BUILD} one for {self.options.device} is built",
                )
        return {function: image for function, image in found.items() if image}

    def device(self, found: Mapping[str, str]) -> Device:
        """The device that they were built for; with a GPU, is there one?"""
        if Device.GPU not in map(device_of, found.values()):
            return Device.CPU
        self.platform.check_gpu()
        return Device.GPU

    def check_models(self, rendered: Rendered, last: Rendered | None) -> None:
        """Does its image hold the checkpoints of the function.yaml? ``last`` is the version that had this image."""
        if rendered.claim:
            return
        held = self.platform.held_models(rendered.image, last)
        for model in rendered.models:
            if model not in held:
                self.console.problem(
                    f"{rendered.image} does not hold {model}, but: {' '.join(sorted(held)) or 'nothing'}",
                    f"{_WITH_BUILD} an image with it is built",
                )

    def _image(self, function: str, last: Rendered | None) -> str:
        if last is not None:
            return last.image
        local = self.options.platform is PlatformName.LOCAL
        return self.images.newest(function, self.options.device) if local else ""


def device_of(image: str) -> Device:
    """What an image was built for; one that is not ours runs without a GPU."""
    try:
        return image_device(image)
    except ValueError:
        return Device.CPU
