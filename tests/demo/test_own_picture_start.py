"""What people get wrong with a picture of their own is said before any model loads, in a line."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from demo import __main__ as demo
from promptable.local.server import ServeError


@contextmanager
def _failing(*_: object) -> Iterator[None]:
    raise ServeError("grounding-dino could not start: w.pth is missing: promptable download swin-t")
    yield


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demo, "serve", _failing)


def test_a_picture_that_does_not_exist_is_named_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMPTABLE_IMAGE", "absent.jpg")
    with pytest.raises(SystemExit, match=r"PROMPTABLE_IMAGE: there is no file absent\.jpg"):
        demo.main()


def test_missing_weights_are_a_line_with_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "photo.jpg").touch()
    monkeypatch.setenv("PROMPTABLE_IMAGE", "photo.jpg")
    with pytest.raises(SystemExit, match=r"The demo stopped: .* promptable download swin-t"):
        demo.main()
