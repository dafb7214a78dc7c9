"""What a deployment needs of a platform."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

from promptable.deploy.rendering.rendered import Rendered
from promptable.deploy.rendering.target import Device


@dataclass(frozen=True)
class Site:
    """What the checks found out of Nuclio, CVAT and this machine; an empty text is not known."""

    nuclio_version: str = ""
    cvat_version: str = ""
    network: str = ""
    """CVAT's Docker network; in Kubernetes there is none."""
    free: Mapping[str, str] = field(default_factory=dict)
    """What is free, in words, by its name: disk, memory, GPU memory."""


@dataclass(frozen=True)
class Instance:
    """A function's container, as it is now."""

    identity: str = ""
    """Its name or id, another one after each deployment; empty if there is no container."""
    crashed: bool = False
    """Has it ended, or been started again?"""
    hindered: str = ""
    """What keeps it from starting, as the platform says it; empty if nothing does, or nothing says it."""


class OpenError(RuntimeError):
    """A function cannot be reached from this machine."""


class Platform(Protocol):
    """Docker on this machine, or a Kubernetes cluster.

    Methods that find something wrong say so on the run's console, with a remedy; only those that say so raise.
    """

    @property
    def columns(self) -> Sequence[str]:
        """The columns of ``status``, after the function's name."""

    def default_device(self) -> Device:
        """What the models run on where no option says it."""

    def reach(self) -> None:
        """What keeps status, logs, rollback and remove from working?"""

    def check(self, device: Device | None, building: bool, ports: Mapping[str, int]) -> Site:
        """What would keep a deployment from working? Changes nothing but for fetching what Nuclio itself needs.

        ``ports`` are the functions' on this machine, 0 for one that nothing says. ``device`` is None where only an
        image decides it.
        """

    def check_gpu(self) -> None:
        """Would a function see a GPU that PyTorch can use?"""

    def instance(self, function: str) -> Instance:
        """The newest container, looked at while nuctl waits; none is ``crashed`` where nuctl notices that itself."""

    def ready(self, function: str, replicas: int) -> bool:
        """Are so many replicas up? The function is asked itself: what Nuclio has stored is wrong after a crash."""

    def patience(self, *, own: bool) -> int:
        """Seconds in which a deployment that is under way may yet come to its end.

        ``own``: a run of this user began it, and was interrupted.
        """

    def log(self, function: str) -> str:
        """The last lines of its log; empty if nothing runs."""

    def follow_command(self, function: str) -> Sequence[str]:
        """Prints its log and goes on; empty if nothing runs."""

    def open(self, function: str, rendered: Rendered) -> AbstractContextManager[str]:
        """The function's URL on this machine while the block runs. Raises OpenError."""

    def held_models(self, image: str, current: Rendered | None) -> set[str]:
        """The models in an image. ``current`` is what runs with it."""

    def publish(self, image: str) -> None:
        """Bring an image that was just built to where it runs. Raises CommandError."""

    def ask_redis(self, rendered: Rendered) -> str:
        """``ok``, or what Redis says to a container as this one; empty where none can be asked before it runs."""

    def verify(self, deployed: Mapping[str, Rendered]) -> None:
        """After the deployment: does CVAT find these functions, and reach them?"""

    def holds_images(self) -> bool:
        """Are the images on this machine, where a version needs its own and old ones take disk?"""

    def status(self, function: str) -> Sequence[str]:
        """A row of ``columns``."""
