"""A function that is being deployed already: watched until that has ended, or nobody can be at it any more."""

from dataclasses import dataclass
from time import monotonic, sleep

from promptable.deploy.console import Console
from promptable.deploy.nuclio import Nuclio
from promptable.deploy.platforms.base import Platform
from promptable.deploy.rendering.rendered import Rendered
from promptable.deploy.rendering.reported import Reported

_LOOK_SECONDS = 2.0


@dataclass(frozen=True)
class Settling:
    """Waits for deployments that this run has not begun."""

    platform: Platform
    nuclio: Nuclio
    console: Console

    def settled(self, function: str, tried: Rendered | None) -> Reported | None:
        """What Nuclio has, once it is not being deployed; what still is then, is stuck. Raises DeployError.

        ``tried`` is what an interrupted run of this user was deploying.
        """
        reported = self.nuclio.get(function)
        if reported is None or not reported.provisioning:
            return reported
        own = tried is not None and reported.holds(tried)
        if patience := self.platform.patience(own=own):
            whose = "a run that was interrupted" if own else "somebody else, or by a run that was interrupted"
            self.console.say(
                f"{function} is being deployed already, by {whose}: waiting up to {patience} s for that to end"
            )
            return self._watch(function, reported, patience)
        return reported

    def _watch(self, function: str, reported: Reported | None, patience: float) -> Reported | None:
        end = monotonic() + patience
        with self.console.progress(f"{function}: another deployment of it") as tell:
            while reported is not None and reported.provisioning and monotonic() < end:
                tell(reported.state)
                sleep(_LOOK_SECONDS)
                reported = self.nuclio.get(function)
        return reported
