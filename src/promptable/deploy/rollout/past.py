"""What was before a run: the one answer that bringing back, ``rollback`` and --no-build go by."""

from collections.abc import Iterator
from dataclasses import dataclass

from promptable.deploy.rendering.rendered import Rendered
from promptable.deploy.rendering.reported import Reported
from promptable.deploy.rollout.state import Attempt, State


@dataclass(frozen=True)
class Past:
    """One function's versions that were found to work; one that an interrupted run was trying is none of them."""

    current: Rendered | None
    previous: Rendered | None
    attempt: Attempt | None
    reported: Reported | None
    """What Nuclio has: somebody else may have deployed that."""
    unchanged: bool
    """Is that the current version, as it was when it was found to work?"""

    @property
    def runs(self) -> Rendered | None:
        """What a version that fails gives its place to: it runs, or did until a run was interrupted. None: nothing."""
        works = self.reported is not None and self.reported.working
        if self.attempt is not None and not (works and self._is_other(self.attempt.tried)):
            return self.attempt.before
        if self.reported is None:
            return None
        return self.reported.deployable() if works and not self.unchanged else self.current

    @property
    def last(self) -> Rendered | None:
        """The one that runs, or of a function that was removed the one that did."""
        return self.runs or self.current

    @property
    def back(self) -> Rendered | None:
        """What ``rollback`` deploys: the newest that is not the one that is there."""
        attempt, there = self.attempt, self._there
        if attempt is not None and attempt.tried in (self.current, self.previous) and attempt.tried != attempt.before:
            return attempt.tried  # a rollback that was interrupted goes where it went
        return next((each for each in self._worked if each != there), None)

    def leads_to(self, rendered: Rendered) -> bool:
        """Is it the current version, unchanged, and does CVAT find it?"""
        known = self.unchanged and rendered == self.current
        return known and self.reported is not None and self.reported.leads_to(rendered)

    @property
    def _worked(self) -> Iterator[Rendered]:
        """The newest first."""
        before = None if self.attempt is None else self.attempt.before
        return filter(None, (before, self.current, self.previous))

    @property
    def _there(self) -> Rendered | None:
        """The version that Nuclio has, though somebody may have changed something in it; None if it is none."""
        if self.unchanged:
            return self.current
        tried = () if self.attempt is None else (self.attempt.tried,)
        return next((each for each in (*tried, *self._worked) if not self._is_other(each)), None)

    def _is_other(self, known: Rendered) -> bool:
        return self.reported is None or not self.reported.holds(known)


def past(state: State, function: str, reported: Reported | None) -> Past:
    """The function's past, as it is remembered. ``reported`` is what Nuclio has now."""
    return Past(
        state.current(function),
        state.previous(function),
        state.attempt(function),
        reported,
        state.unchanged(function, reported),
    )
