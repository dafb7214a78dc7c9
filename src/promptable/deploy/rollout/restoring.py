"""A version that does not work gives its place back to the one that ran before it."""

from dataclasses import dataclass, replace

from promptable.deploy.commands import CommandError
from promptable.deploy.console import Console
from promptable.deploy.nuclio import Nuclio
from promptable.deploy.platforms.base import Platform
from promptable.deploy.reasons import uncoloured
from promptable.deploy.rendering.rendered import Rendered
from promptable.deploy.rendering.reported import Reported
from promptable.deploy.rollout.outcome import Outcome
from promptable.deploy.rollout.starting import NotStartedError, Starter
from promptable.deploy.rollout.state import State


@dataclass(frozen=True)
class Restorer:
    """Keeps the log of versions that do not work, and brings back what ran. ``running`` is as for ``Starter``."""

    platform: Platform
    nuclio: Nuclio
    state: State
    console: Console
    starter: Starter

    def restore(
        self, function: str, failed: Rendered, before: Rendered | None, running: str, error: Exception
    ) -> Outcome:
        """Say why ``failed`` does not work, keep its log, and bring back what ran ``before``; None if nothing did."""
        self.console.say(f"{function} does not work: {error}")
        where = self._show_log(function, running)
        outcome = self._restored(function, failed, before, f"not deployed: {function}: {error}")
        return replace(outcome, remedy=error.remedy if isinstance(error, NotStartedError) else where)

    def _restored(self, function: str, failed: Rendered, before: Rendered | None, failure: str) -> Outcome:
        there = self.nuclio.look(function)
        if there is not None and not any(each is not None and there.holds(each) for each in (failed, before)):
            self.state.end(function)
            return Outcome(None, "replaced", f"{failure}; somebody else has deployed it meanwhile, which stays")
        if before is not None:
            return self._bring_back(function, before, failure, there)
        self.starter.clear(function)  # or it would restart for ever
        self.state.end(function)
        return Outcome(None, "removed", f"{failure}; nothing ran before")

    def _bring_back(self, function: str, before: Rendered, failure: str, there: Reported | None) -> Outcome:
        self.console.say(f"bringing back {before.image}")
        if there is not None and there.provisioning:
            self.starter.clear(function)
        try:
            self.starter.start(function, before, self.platform.instance(function).identity)
        except CommandError as error:
            what = f"{failure}; the one before does not come up either ({error}): nothing runs now"
            return Outcome(None, "down", what)
        self.state.end(function)
        return Outcome(before, "restored", f"{failure}; the one before runs again")

    def _show_log(self, function: str, running: str) -> str:
        """Show and keep the log of the version that fails; returns where it is.

        Where the instance is still ``running``, nothing of that version was started, and the log is the one before's.
        """
        started = self.starter.new_instance(function, running).identity
        log = uncoloured(self.platform.log(function)) if started else ""
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
