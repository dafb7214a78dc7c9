"""What was before a run: the one answer that bringing back, ``rollback`` and --no-build go by."""

from dataclasses import dataclass

from promptable.deploy.rendering.rendered import Rendered
from promptable.deploy.rendering.reported import Reported
from promptable.deploy.rollout.state import Attempt, State


@dataclass(frozen=True)
class Past:
    """One function's versions that were found to work; one that an interrupted run was trying is none of them."""

    runs: Rendered | None
    """What a version that fails gives its place to: it runs, or did until a run was interrupted. None: nothing did."""
    last: Rendered | None
    """The one that runs, or of a function that was removed the one that did."""
    back: Rendered | None
    """What ``rollback`` deploys: the newest that is not the one that is there."""


def past(state: State, function: str, reported: Reported | None) -> Past:
    """The function's past, by what is remembered of it and by what Nuclio has: somebody else may have deployed that."""
    attempt, current = state.attempt(function), state.current(function)
    runs = _runs(attempt, current, reported)
    return Past(runs, runs or current, _back(attempt, (current, state.previous(function)), reported))


def _runs(attempt: Attempt | None, current: Rendered | None, reported: Reported | None) -> Rendered | None:
    if attempt is not None and not _is_other(reported, attempt.tried):
        return attempt.before
    if reported is None:
        return None
    return reported.deployable() if _is_other(reported, current) else current


def _back(
    attempt: Attempt | None, remembered: tuple[Rendered | None, ...], reported: Reported | None
) -> Rendered | None:
    if attempt is not None and attempt.tried in remembered and attempt.tried != attempt.before:
        return attempt.tried  # a rollback that was interrupted goes where it went
    known = filter(None, (None if attempt is None else attempt.before, *remembered))
    return next((each for each in known if reported is None or reported.differs(each)), None)


def _is_other(reported: Reported | None, known: Rendered | None) -> bool:
    """Whether Nuclio runs something else than ``known``, which works."""
    return reported is not None and reported.working and (known is None or reported.differs(known))
