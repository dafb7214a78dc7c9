"""What was before: each row is how a function was left, and what a version that fails gives place to, --no-build goes
by, and ``rollback`` deploys."""

from pathlib import Path

import pytest
import yaml

from promptable.deploy.rendering.rendered import Rendered
from promptable.deploy.rendering.reported import Reported
from promptable.deploy.rollout.past import Past, past
from promptable.deploy.rollout.state import State

FUNCTION = "sam2-tracker"


def _version(name: str) -> Rendered | None:
    """A version by its name: the letter of its image, with a digit that says how many replicas; ``-`` is none."""
    metadata = {"name": FUNCTION, "namespace": "nuclio", "annotations": {"type": "tracker", "spec": ""}}
    replicas = {"minReplicas": int(name[1:])} if name[1:] else {}
    spec = {"description": "Follows", "handler": "main:handler", "image": f"tracker:cpu-{name[0]}", **replicas}
    return None if name == "-" else Rendered(yaml.safe_dump({"metadata": metadata, "spec": spec}))


def _name(version: Rendered | None) -> str:
    if version is None:
        return "-"
    return version.image[-1] + str(version.config.spec.min_replicas or "")


def _state(folder: Path, remembered: str, attempt: str) -> State:
    """``remembered``: current and previous. ``attempt``: what was tried in place of what."""
    state, (current, previous) = State(folder), map(_version, remembered.split())
    if previous is not None:
        state.remember(FUNCTION, previous, None, Reported(previous.config, "ready", 32103))
    if current is not None:
        state.remember(FUNCTION, current, previous, Reported(current.config, "ready", 32103))
    tried, before = map(_version, (attempt or "- -").split())
    if tried is not None:
        state.begin(FUNCTION, tried, before)
    return state


def _reported(there: str) -> Reported | None:
    name, _, state = there.partition(" ")
    version = _version(name)
    return None if version is None else Reported(version.config, state or "ready", 32103)


def test_what_runs_unchanged_is_what_was_rendered_and_not_what_nuclio_made_of_it(tmp_path: Path) -> None:
    state = _state(tmp_path, "B A", "")
    assert past(state, FUNCTION, _reported("B")).runs == state.current(FUNCTION)


def test_what_has_not_begun_is_no_attempt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after kill -9 between the two files."""
    state, write = _state(tmp_path, "B A", ""), State._write

    def killed(state: State, function: str, which: str, version: Rendered | None) -> None:
        write(state, function, which, version)
        raise KeyboardInterrupt

    monkeypatch.setattr(State, "_write", killed)
    tried = _version("C")
    assert tried is not None
    with pytest.raises(KeyboardInterrupt):
        state.begin(FUNCTION, tried, _version("B"))
    assert state.attempt(FUNCTION) is None


@pytest.mark.parametrize(
    ("remembered", "attempt", "there", "runs", "last", "back"),
    [
        # current and previous, tried and before, what Nuclio has
        pytest.param("- -", "", "-", "-", "-", "-", id="first deployment"),
        pytest.param("A -", "", "A", "A", "A", "-", id="deployed once"),
        pytest.param("B A", "", "B", "B", "B", "A", id="deployed twice"),
        pytest.param("B A", "", "B unhealthy", "B", "B", "A", id="unhealthy"),
        pytest.param("B A", "", "B error", "B", "B", "A", id="does not come up again"),
        pytest.param("B A", "", "B scaledToZero", "B", "B", "A", id="scaled to zero"),
        pytest.param("- -", "A -", "-", "-", "-", "-", id="first one, interrupted before nuctl"),
        pytest.param("- -", "A -", "A building", "-", "-", "-", id="first one, interrupted while nuctl ran"),
        pytest.param("- -", "A -", "A", "-", "-", "-", id="first one, interrupted while it was checked"),
        pytest.param("B A", "C B", "B", "B", "B", "A", id="interrupted before nuctl"),
        pytest.param("B A", "C B", "C building", "B", "B", "B", id="interrupted while nuctl ran"),
        pytest.param("B A", "C B", "C", "B", "B", "B", id="interrupted while it was checked"),
        pytest.param("B A", "C B", "C error", "B", "B", "B", id="interrupted, and crashed since"),
        pytest.param("B A", "C B", "-", "B", "B", "B", id="interrupted after what was stuck had been cleared"),
        pytest.param("B A", "C B", "B error", "B", "B", "A", id="failed, and the one before did not come up either"),
        pytest.param("B A", "A B", "A building", "B", "B", "A", id="rollback, interrupted while nuctl ran"),
        pytest.param("B A", "A B", "A", "B", "B", "A", id="rollback, interrupted while it was checked"),
        pytest.param("B A", "B B", "B building", "B", "B", "A", id="the same anew, interrupted"),
        pytest.param("B A", "", "-", "-", "B", "B", id="removed"),
        pytest.param("B A", "C -", "-", "-", "B", "B", id="removed, then interrupted before nuctl"),
        pytest.param("B A", "C -", "C", "-", "B", "B", id="removed, then interrupted while it was checked"),
        pytest.param("B A", "B -", "B building", "-", "B", "B", id="removed, then rollback, interrupted"),
        pytest.param("B A", "", "X", "X", "X", "B", id="somebody else's version"),
        pytest.param("- -", "", "X", "X", "X", "-", id="only somebody else's version"),
        pytest.param("B A", "", "X building", "B", "B", "B", id="somebody else's, which never came up"),
        pytest.param("B A", "C B", "X", "X", "X", "B", id="somebody else's, after an interruption"),
        pytest.param("B A", "C X", "C", "X", "X", "X", id="interrupted in place of somebody else's"),
        pytest.param("B A", "C X", "X", "X", "X", "B", id="interrupted before nuctl touched somebody else's"),
        pytest.param("B A", "", "B2", "B2", "B2", "A", id="somebody scaled it"),
        pytest.param("B A", "", "B2 error", "B", "B", "A", id="somebody scaled it, and it never came up"),
        pytest.param("B A", "", "A2", "A2", "A2", "B", id="somebody rolled back, and scaled it"),
        pytest.param("B2 B", "", "B2", "B2", "B2", "B", id="only scaled"),
        pytest.param("B2 B", "B3 B2", "B2", "B2", "B2", "B", id="only scaled, interrupted before nuctl"),
        pytest.param("B2 B", "B3 B2", "B3", "B2", "B2", "B2", id="only scaled, interrupted while it was checked"),
    ],
)
def test_what_was_before(
    remembered: str, attempt: str, there: str, runs: str, last: str, back: str, tmp_path: Path
) -> None:
    found: Past = past(_state(tmp_path, remembered, attempt), FUNCTION, _reported(there))
    assert [_name(each) for each in (found.runs, found.last, found.back)] == [runs, last, back]
