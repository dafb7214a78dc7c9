"""A version in place of another: nuctl deploys it, and its container is looked at meanwhile."""

import re
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

from promptable.deploy import commands
from promptable.deploy.commands import CONTAINER_SECONDS, CommandError
from promptable.deploy.console import Console
from promptable.deploy.nuclio import Nuclio
from promptable.deploy.platforms.base import Instance, Platform
from promptable.deploy.reasons import reason
from promptable.deploy.rendering.rendered import Rendered

_LOOK_SECONDS = 1.0
"""How often a container is looked at while nuctl waits for it."""
_START_SECONDS = 120
"""Until Nuclio has made a container. nuctl waits on where its controller makes none, and where somebody removes it."""
_ENDING_SECONDS = 40
"""Until pods that end have given their place free: Kubernetes' grace is 30."""
_UNSCHEDULED = re.compile(r"pod \(\S+\) is unschedulable")
"""nuctl's words for a pod that had no place: 15 s later it gives up without looking again (Nuclio's lazy.go)."""
_NO_ROOM = "Insufficient"
"""Kubernetes' word for nodes that would do, and are full."""


class NotStartedError(CommandError):
    """Nuclio does not start the version; ``remedy`` is what to do."""

    remedy = (
        "Nuclio's own log says why: docker logs of its dashboard, or kubectl logs -l nuclio.io/app=controller; once it"
        " works, run the same command again"
    )


class UnscheduledError(NotStartedError):
    """A pod has no place on a node."""

    remedy = (
        "make room on the nodes for every replica and one more, or deploy with a fixed number that fits (--replicas 1)"
    )


class _Patience:
    """How long nuctl may go on: until a container is ready whose image may have to be pulled first."""

    def __init__(self, rendered: Rendered) -> None:
        self._most = CONTAINER_SECONDS + rendered.config.spec.readiness_timeout_seconds
        self._start = self._seen = monotonic()

    def check(self, instance: Instance) -> None:
        """Is it to be given up? Raises NotStartedError."""
        now = monotonic()
        if instance.identity:
            self._seen = now
        if now - self._seen > _START_SECONDS:
            minutes = f"{_START_SECONDS / 60:.0f} minutes"
            raise NotStartedError(f"it had no container for {minutes}: Nuclio makes none, or somebody has removed it")
        if now - self._start > self._most:
            raise NotStartedError(f"it is not ready after {self._most // 60} minutes")


@dataclass(frozen=True)
class Starter:
    """Starts versions. ``running`` is always the identity of the instance that ran before."""

    platform: Platform
    nuclio: Nuclio
    console: Console
    work: Path

    def start(self, function: str, rendered: Rendered, running: str) -> None:
        """Deploy it, until it is ready. Raises CommandError."""
        self._deploy(function, rendered, running)
        if self.platform.ready(function, rendered.replicas):
            return
        why = self.new_instance(function, running).hindered
        if _NO_ROOM in why:
            raise UnscheduledError(why)
        raise CommandError("nuctl is done, and the container is not healthy")

    def new_instance(self, function: str, running: str) -> Instance:
        """The function's instance; an empty one while that is still the one from before."""
        now = self.platform.instance(function)
        return Instance() if now.identity == running else now

    def clear(self, function: str) -> None:
        """Take away what does not work: Nuclio refuses to deploy over what it is still deploying."""
        command = self.nuclio.delete_command(function)
        self.console.command(command)
        try:
            commands.run(command)
        except CommandError as error:
            self.console.warn(f"{function} could not be removed: {error}")

    def _deploy(self, function: str, rendered: Rendered, running: str) -> None:
        """Run nuctl, and once more if Nuclio gave a pod up too soon. Raises CommandError."""
        try:
            self._run_nuctl(function, rendered, running)
        except UnscheduledError:
            if not self._has_place(function, running):
                raise
            self.console.say(f"{function} has a place now, after Nuclio had given it up: once more")
            self._run_nuctl(function, rendered, running)

    def _has_place(self, function: str, running: str) -> bool:
        """Whether the new pod gets one, once those that were replaced have ended."""
        end = monotonic() + _ENDING_SECONDS
        while _NO_ROOM in (why := self.new_instance(function, running).hindered) and monotonic() < end:
            sleep(_LOOK_SECONDS)
        return not why

    def _run_nuctl(self, function: str, rendered: Rendered, running: str) -> None:
        """Wait for nuctl, but no longer once the new container has crashed, or none is made. Raises CommandError."""
        self.console.command(self.nuclio.deploy_command(function, self.work / f"{function}.yaml", rendered.image))
        with (
            self.console.progress(f"{function}: waiting until it is ready"),
            self.nuclio.deploying(function, rendered, self.work) as nuctl,
        ):
            said, told, patience = commands.Collected(nuctl), {""}, _Patience(rendered)
            while not said.ended(_LOOK_SECONDS):
                now = self.new_instance(function, running)
                if now.crashed:
                    raise CommandError("its container has crashed")
                patience.check(now)
                if now.hindered not in told:
                    self.console.warn(now.hindered)
                told.add(now.hindered)
        if nuctl.returncode:
            why = self.new_instance(function, running).hindered or reason(said.text)
            raise UnscheduledError(why) if _UNSCHEDULED.search(said.text) else CommandError(why)
