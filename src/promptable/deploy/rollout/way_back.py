"""Which version ``rollback`` deploys."""

from collections.abc import Mapping
from dataclasses import dataclass

from promptable.deploy.console import Console
from promptable.deploy.image.build import Images
from promptable.deploy.platforms.base import Platform
from promptable.deploy.rendering.rendered import Rendered
from promptable.deploy.rendering.reported import Reported
from promptable.deploy.rollout.past import past
from promptable.deploy.rollout.state import State

_REMEDY = "deploy the version you want with ./deploy.sh"


@dataclass(frozen=True)
class WayBack:
    """What is wrong with it is said on the console."""

    console: Console
    platform: Platform
    images: Images
    state: State

    def choose(self, reported: Mapping[str, Reported | None], *, named: bool) -> Mapping[str, Rendered]:
        """Each function's version before. ``reported`` is what Nuclio runs of each.

        Functions that somebody ``named`` must have one; of the others those are left out that do not, or do not run.
        """
        found = {function: past(self.state, function, there).back for function, there in reported.items()}
        chosen = {
            function: before
            for function, before in found.items()
            if before is not None and (named or reported[function] is not None)
        }
        for function in found:
            if named and function not in chosen:
                self.console.problem(f"nothing was deployed before the present {function}", _REMEDY)
        if not chosen and not named:
            self.console.problem(f"no function that runs has a previous version in {self.state.folder}", _REMEDY)
        self._check_images(chosen)
        return chosen

    def _check_images(self, chosen: Mapping[str, Rendered]) -> None:
        """Are they still there? Else a version that works would be replaced by one that cannot start."""
        if not self.platform.holds_images():
            return
        for function, rendered in chosen.items():
            if not self.images.exists(rendered.image):
                what = f"{rendered.image}, which was before the present {function}, is no longer on this machine"
                self.console.problem(what, _REMEDY)
