"""The bars of long commands."""

import pytest
from rich.console import Console

from promptable.cvat import progress


def test_one_object_is_no_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(force_terminal=True, width=200, record=True)
    monkeypatch.setattr(progress, "Console", lambda **_: console)
    with progress.Progress() as bars:
        bar = bars.begin("frames", 3)
        bar.advance(objects=1, failed=0)
        bars.waits_for("")
        one = console.export_text()
        bar.advance(objects=2, failed=1)
        bars.waits_for("")
    assert "1 object, 0 failed" in one
    assert "2 objects, 1 failed" in console.export_text()
