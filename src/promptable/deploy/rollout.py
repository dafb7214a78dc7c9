"""One function's deployment, and the way back."""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic, sleep

from promptable.deploy import commands, smoke
from promptable.deploy.console import Console
from promptable.deploy.errors import DeployError
from promptable.deploy.image.build import Images
from promptable.deploy.nuclio import Nuclio
from promptable.deploy.platforms.base import Instance, OpenError, Platform
from promptable.deploy.rendering.rendered import Rendered
from promptable.deploy.rendering.reported import Reported
from promptable.deploy.smoke import SmokeError, Timing
from promptable.deploy.state import State

_LOOK_SECONDS = 1.0
"""How often a container is looked at while nuctl waits for it."""
_ENDING_SECONDS = 40
"""Until pods that end have given their place free: Kubernetes' grace is 30."""
_UNSCHEDULED = re.compile(r"pod \(\S+\) is unschedulable")
"""nuctl's words for a pod that had no place: 15 s later it gives up without looking again (Nuclio's lazy.go)."""
_NO_ROOM = "Insufficient"
"""Kubernetes' word for nodes that would do, and are full."""
_GIVE_PLACE = "give every replica a place on the nodes, or name fewer with --replicas, then run the same command again"


class UnscheduledError(commands.CommandError):
    """Nuclio gave up a pod that had no place on a node."""


@dataclass(frozen=True)
class Outcome:
    """How one function's deployment ended."""

    runs: Rendered | None
    """What runs now; None if nothing does."""
    how: str
    """The end in a word, for the table: seconds, ``unchanged``, ``restored``, ``removed``, ``down``, ``unrecorded``."""
    failure: str = ""
    """What went wrong, naming the function; empty if the version that was asked for runs and is remembered."""
    remedy: str = ""
    """Where to look, or what to do, about the failure."""
    timing: Timing | None = None


@dataclass(frozen=True)
class Rollout:
    """Deploys rendered functions one by one. A version that does not work is replaced by the one before."""

    platform: Platform
    nuclio: Nuclio
    images: Images
    state: State
    console: Console
    work: Path

    def before(self, function: str, reported: Reported | None) -> Rendered | None:
        """What runs now: as Nuclio reports it, if that differs from what this user deployed last."""
        known = self.state.current(function)
        if reported is None or not reported.working:
            return known
        if known is not None and not reported.differs(known):
            return known
        return reported.deployable()

    def deploy(self, function: str, rendered: Rendered, reported: Reported | None) -> Outcome:
        """Deploy it unless exactly that runs already, and Nuclio knows it."""
        before = self.before(function, reported)
        if rendered == before and self._as_reported(rendered, reported) and self._ready(function, rendered):
            try:
                timing = self._smoke(function, rendered)
            except (SmokeError, OpenError) as error:
                self.console.say(f"{function} runs, but {error}: deployed anew")
            else:
                self.console.say("unchanged and ready: left alone")
                return Outcome(rendered, "unchanged", timing=timing)
        return self.deploy_anew(function, rendered, before, reported)

    def deploy_anew(
        self, function: str, rendered: Rendered, before: Rendered | None, reported: Reported | None
    ) -> Outcome:
        """Deploy it, check it and remember it; if it does not work, bring back what ran before."""
        start = monotonic()
        if reported is not None and reported.stuck:
            self.console.say(f"{function} is stuck in an earlier deployment: cleared")
            self._remove(function)
        running = self.platform.instance(function).identity
        try:
            self._start(function, rendered, running)
            timing = self._smoke(function, rendered)
        except (commands.CommandError, SmokeError, OpenError) as error:
            self.console.say(f"{function} does not work: {error}")
            answered = not isinstance(error, commands.CommandError)
            where = self._show_log(function, started=answered or self._new_instance(function, running).identity != "")
            outcome = self._restore(function, before, str(error))
            self._drop(rendered.image, before, self.state.previous(function))
            return replace(outcome, remedy=_GIVE_PLACE if isinstance(error, UnscheduledError) else where)
        return self._remembered(function, rendered, before, f"{monotonic() - start:.0f} s", timing)

    def _ready(self, function: str, rendered: Rendered) -> bool:
        return self.platform.ready(function, rendered.config.spec.min_replicas or 1)

    def _as_reported(self, rendered: Rendered, reported: Reported | None) -> bool:
        """Has it come up for Nuclio, and does Nuclio know where: on the right port, or in a cluster at any address?

        In a cluster ``unhealthy`` is also a function of whose replicas some lack a place.
        """
        if reported is None:
            return False
        if rendered.port is None:
            return reported.state in ("ready", "unhealthy") and bool(reported.urls)
        return reported.state == "ready" and reported.port == rendered.port

    def _start(self, function: str, rendered: Rendered, running: str) -> None:
        """Deploy it in place of the instance ``running``, twice if Nuclio gave it up too soon. Raises CommandError."""
        try:
            self._run_nuctl(function, rendered, running)
        except UnscheduledError:
            if not self._has_place(function, running):
                raise
            self.console.say(f"{function} has a place now, after Nuclio had given it up: once more")
            self._run_nuctl(function, rendered, running)
        if not self._ready(function, rendered):
            raise commands.CommandError("nuctl is done, and the container is not healthy")

    def _has_place(self, function: str, running: str) -> bool:
        """Whether the new pod gets one, once those that were replaced have ended."""
        end = monotonic() + _ENDING_SECONDS
        while _NO_ROOM in (why := self._new_instance(function, running).hindered) and monotonic() < end:
            sleep(_LOOK_SECONDS)
        return not why

    def _run_nuctl(self, function: str, rendered: Rendered, running: str) -> None:
        """Wait for nuctl, but no longer once the container after ``running`` has crashed. Raises CommandError."""
        self.console.command(self.nuclio.deploy_command(function, self.work / f"{function}.yaml", rendered.image))
        with (
            self.console.progress(f"{function}: waiting until it is ready"),
            self.nuclio.deploying(function, rendered, self.work) as nuctl,
        ):
            said, told = commands.Collected(nuctl), {""}
            while not said.ended(_LOOK_SECONDS):
                now = self._new_instance(function, running)
                if now.crashed:
                    nuctl.terminate()
                    raise commands.CommandError("its container has crashed")
                if now.hindered not in told:
                    self.console.warn(now.hindered)
                told.add(now.hindered)
        if nuctl.returncode:
            why = self._new_instance(function, running).hindered or commands.reason(said.text)
            raise UnscheduledError(why) if _UNSCHEDULED.search(said.text) else commands.CommandError(why)

    def _new_instance(self, function: str, before: str) -> Instance:
        """The function's instance; an empty one while that is still the one from before."""
        now = self.platform.instance(function)
        return Instance() if now.identity == before else now

    def _smoke(self, function: str, rendered: Rendered) -> Timing:
        """Two real requests."""
        with self.console.progress(f"{function}: two requests"), self.platform.open(function, rendered) as url:
            return smoke.call_twice(url, rendered.config)

    def _show_log(self, function: str, *, started: bool) -> str:
        """Show and keep the log of the version that fails; returns where it is.

        Where that version was not ``started``, what has a log is the one before.
        """
        log = commands.uncoloured(self.platform.log(function)) if started else ""
        if not log:
            self.console.say(f"{function} has no log: nothing of this version was started, or it wrote none")
            return "it has no log; what was said above shows what happened"
        try:
            file = self.state.keep_log(function, log)
        except OSError as error:
            kept, where = f"not kept, since {self.state.folder} cannot be written ({error})", "its log is above"
        else:
            kept, where = f"kept in {file}", f"its log is above, and in {file}"
        self.console.say(f"{function}'s log, {kept}:")
        self.console.quote(log)
        return where

    def _restore(self, function: str, before: Rendered | None, why: str) -> Outcome:
        """Bring back what ran before this run; a function that never ran is removed, or it would restart for ever."""
        failure = f"not deployed: {function}: {why}"
        if before is None:
            self._remove(function)
            return Outcome(None, "removed", f"{failure}; nothing ran before")
        self.console.say(f"bringing back {before.image}")
        if self._is_stuck(function):
            self._remove(function)
        try:
            self._start(function, before, self.platform.instance(function).identity)
        except commands.CommandError as error:
            return Outcome(
                None, "down", f"{failure}; the one before does not come up either ({error}): nothing runs now"
            )
        return Outcome(before, "restored", f"{failure}; the one before runs again")

    def _is_stuck(self, function: str) -> bool:
        """Whether Nuclio would refuse another deployment; one that does not say is tried."""
        try:
            reported = self.nuclio.get(function)
        except DeployError:
            return False
        return reported is not None and reported.stuck

    def _remembered(
        self, function: str, rendered: Rendered, before: Rendered | None, how: str, timing: Timing
    ) -> Outcome:
        """What was current becomes the previous one, and the image of the one before that goes."""
        forgotten = self.state.previous(function)
        try:
            self.state.remember(function, rendered, before)
        except OSError as error:
            failure = (
                f"{function} runs, but rollback would not know it: {self.state.folder} cannot be written ({error})"
            )
            remedy = f"let this user write to {self.state.folder}, then run the same command again"
            return Outcome(rendered, "unrecorded", failure, remedy, timing)
        if forgotten is not None:
            self._drop(forgotten.image, rendered, self.state.previous(function))
        return Outcome(rendered, how, timing=timing)

    def _drop(self, image: str, *kept: Rendered | None) -> None:
        if self.platform.drops_images():
            self.images.drop(image, [each.image for each in kept if each is not None])

    def _remove(self, function: str) -> None:
        command = self.nuclio.delete_command(function)
        self.console.command(command)
        try:
            commands.run(command)
        except commands.CommandError as error:
            self.console.warn(f"{function} could not be removed: {error}")
