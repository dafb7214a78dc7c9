"""The demo's run over a task is stopped, goes on, and is compared with one at a go."""

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from demo import annotate
from tests.cvat.annotating import candidates
from toy.cvat.http import serve
from toy.cvat.stand_in import StandIn

LABELS = [{"name": "red circle", "type": "rectangle"}]


def _detect(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """Two circles on every picture, after a moment in which the run can be stopped."""
    threading.Event().wait(0.01)
    return candidates([(0.9, [10, 20, 30, 38]), (0.4, [35, 5, 55, 15])], {"labels": LABELS, **request})


def test_a_run_that_is_stopped_and_goes_on_ends_as_one_at_a_go(tmp_path: Path) -> None:
    with serve(StandIn(answers={"": _detect})) as function:
        section = annotate.annotate(tmp_path, f"{function.url}/")
    assert section.figures["at a go"] == section.figures["in the end"] == 3 * 72, "with a tag each"
    assert 0 < section.figures["annotations when stopped"] < 3 * 72
    assert (tmp_path / "review.html").exists()
    assert all((tmp_path / name).exists() for name in section.pictures)
