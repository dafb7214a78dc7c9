"""One function's deployment."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from time import monotonic

from promptable.deploy.commands import CommandError
from promptable.deploy.console import Console
from promptable.deploy.errors import DeployError
from promptable.deploy.image.build import Images
from promptable.deploy.nuclio import Nuclio
from promptable.deploy.platforms.base import OpenError, Platform
from promptable.deploy.rendering.rendered import Rendered
from promptable.deploy.rendering.reported import Reported
from promptable.deploy.rollout import smoke
from promptable.deploy.rollout.outcome import Outcome
from promptable.deploy.rollout.past import Past, past
from promptable.deploy.rollout.restoring import Restorer
from promptable.deploy.rollout.settling import Settling
from promptable.deploy.rollout.smoke import SmokeError, Timing
from promptable.deploy.rollout.starting import Starter
from promptable.deploy.rollout.state import State

_ASK_AGAIN = "run the same command again once Nuclio answers"
_OTHERS = "./deploy.sh status shows what runs: agree with whoever else deploys here, then run the same command again"


@dataclass(frozen=True)
class Rollout:
    """Deploys rendered functions one by one. A version that does not work is replaced by the one before."""

    platform: Platform
    nuclio: Nuclio
    images: Images
    state: State
    console: Console
    work: Path

    def deploy(self, function: str, rendered: Rendered) -> Outcome:
        """Deploy it and check it; if it does not work, bring back what ran before.

        Exactly that, where it runs already and answers, is left alone.
        """
        try:
            reported = self._settled(function)
        except DeployError as error:
            return Outcome(None, "unknown", f"not deployed: {function}: {error}", _ASK_AGAIN)
        before, images = past(self.state, function, reported), self.state.images(function) | {rendered.image}
        outcome = self._left_alone(function, rendered, before) or self._replace(function, rendered, before)
        self._drop(images - self.state.images(function))
        return outcome

    def confirmed(self, function: str, outcome: Outcome) -> Outcome:
        """The outcome at the end of the run: somebody else may have removed or replaced what it says runs."""
        if outcome.runs is None:
            return outcome
        try:
            reported = self.nuclio.get(function)
        except DeployError:
            return outcome
        if reported is not None and reported.holds(outcome.runs):
            return outcome
        how = "gone" if reported is None else "replaced"
        what = f"{function} is {how}: somebody else has {'removed' if reported is None else 'deployed'} it meanwhile"
        return Outcome(None, how, "; ".join(filter(None, (outcome.failure, what))), _OTHERS)

    def _settled(self, function: str) -> Reported | None:
        attempt = self.state.attempt(function)
        settling = Settling(self.platform, self.nuclio, self.console)
        return settling.settled(function, None if attempt is None else attempt.tried)

    def _left_alone(self, function: str, rendered: Rendered, before: Past) -> Outcome | None:
        """The outcome where exactly that runs and answers; None where it has to be deployed."""
        timing = self._answering(function, rendered) if before.leads_to(rendered) else None
        if timing is None:
            return None
        self.console.say("unchanged and ready: left alone")
        outcome = Outcome(rendered, "unchanged", timing=timing)
        return self._remembered(function, rendered, before, before.reported, outcome)

    def _replace(self, function: str, rendered: Rendered, before: Past) -> Outcome:
        """Deploy it in place of what is there, check it and remember it, or bring back what ran."""
        start = monotonic()
        self.state.begin(function, rendered, before.runs)
        if before.reported is not None and before.reported.provisioning:
            self.console.say(f"{function} is stuck in an earlier deployment: cleared")
            self._starter.clear(function)
        running = self.platform.instance(function).identity
        try:
            self._starter.start(function, rendered, running)
            there = self.nuclio.look(function)  # what somebody changes from here on is no part of it
            timing = self._smoke(function, rendered)
        except (CommandError, SmokeError, OpenError) as error:
            return self._restorer.restore(function, rendered, before.runs, running, error)
        outcome = Outcome(rendered, f"{monotonic() - start:.0f} s", timing=timing)
        return self._remembered(function, rendered, before, there, outcome)

    @cached_property
    def _starter(self) -> Starter:
        return Starter(self.platform, self.nuclio, self.console, self.work)

    @cached_property
    def _restorer(self) -> Restorer:
        return Restorer(self.platform, self.nuclio, self.state, self.console, self._starter)

    def _answering(self, function: str, rendered: Rendered) -> Timing | None:
        """How fast it answers that runs already; None if it is not ready, or answers wrongly."""
        if not self.platform.ready(function, rendered.replicas):
            return None
        try:
            return self._smoke(function, rendered)
        except (SmokeError, OpenError) as error:
            self.console.say(f"{function} runs, but {error}: deployed anew")
            return None

    def _smoke(self, function: str, rendered: Rendered) -> Timing:
        """Two real requests."""
        with self.console.progress(f"{function}: two requests"), self.platform.open(function, rendered) as url:
            return smoke.call_twice(url, rendered.config)

    def _remembered(
        self, function: str, rendered: Rendered, before: Past, reported: Reported | None, outcome: Outcome
    ) -> Outcome:
        """The outcome of what runs, as Nuclio ``reported`` it: what worked last becomes the version before."""
        try:
            self.state.remember(function, rendered, before.last, reported)
        except OSError as error:
            failure = (
                f"{function} runs, but rollback would not know it: {self.state.folder} cannot be written ({error})"
            )
            remedy = f"let this user write to {self.state.folder}, then run the same command again"
            return replace(outcome, how="unrecorded", failure=failure, remedy=remedy)
        return outcome

    def _drop(self, images: Iterable[str]) -> None:
        """Images of versions that nobody can come back to."""
        if self.platform.holds_images():
            for image in sorted(images):
                self.images.drop(image)
