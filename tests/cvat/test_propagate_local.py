"""``promptable propagate --local``: tracker and detector in this process, on the toy checkpoints, over the stand-in."""

import io
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from promptable.cli.main import main
from promptable.cvat.geometry.overlap import iou
from promptable.cvat.geometry.position import Position, position_at
from promptable.cvat.local_function import LocalFunction
from promptable.wire.masks import mask_to_rle
from toy.cvat.stand_in import StandIn, Task
from toy.scenes import SIZE, Scene, Sprite, draw, texture

TOY = Path(__file__).parents[2] / "toy"
TASK = 4
FRAMES = 6


@pytest.fixture(autouse=True)
def toy_models(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The toy models, and a journal of the test's own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("PROMPTABLE_MODEL", str(TOY / "sam2"))
    monkeypatch.setenv("PROMPTABLE_MASK_MODEL", str(TOY / "sam"))
    monkeypatch.setenv("PROMPTABLE_DEVICE", "cpu")
    monkeypatch.setenv("PROMPTABLE_PRECISION", "fp32")


@pytest.fixture
def clip(cvat: StandIn) -> list[Scene]:
    """A red circle and a blue square that move, in a task with labels for them."""
    rng = np.random.default_rng(3)
    background = texture(rng, SIZE)
    circle = Sprite("red", "circle", (50.0, 60.0), 22.0, 0.0, velocity=(6.0, 2.0))
    square = Sprite("blue", "square", (130.0, 130.0), 24.0, 0.3, velocity=(-5.0, -3.0))
    clip = [draw([sprite.after(t) for sprite in (circle, square)], background, rng) for t in range(FRAMES)]
    pictures = []
    for scene in clip:
        file = io.BytesIO()
        Image.fromarray(scene.image).save(file, "PNG")
        pictures.append(file.getvalue())
    cvat.tasks = {TASK: Task(pictures, (SIZE, SIZE), [(1, "annotation", 0, FRAMES - 1)], video=True)}
    cvat.labels = {("task_id", TASK): [("red circle", "any"), ("blue square", "any")]}
    return clip


def _propagate(cvat: StandIn, tmp_path: Path, *options: str) -> int:
    page = str(tmp_path / "page.html")
    return main(["propagate", "--task", str(TASK), "--url", cvat.url, "--local", "--page", page, *options])


def _truth(scene: Scene, label: int, form: str) -> Position:
    shown = scene.objects[label]
    points = mask_to_rle(shown.mask) if form == "mask" else shown.xyxy.tolist()
    return Position(form, tuple(points))


def test_words_alone_become_tracks_of_what_is_there(cvat: StandIn, clip: list[Scene], tmp_path: Path) -> None:
    (tmp_path / "labels.yaml").write_text("- red circle\n- blue square\n")
    words = ("--detect", str(TOY / "grounding-dino"), "--labels", str(tmp_path / "labels.yaml"))
    assert _propagate(cvat, tmp_path, *words, "--every", "3") == 0
    tracks = {one["label_id"]: one for one in cvat.annotations.read(1)["tracks"]}
    assert len(cvat.annotations.read(1)["tracks"]) == len(tracks) == 2, "found again on frame 3, and no doubles made"
    for label, track in tracks.items():
        shown = [position_at(track, frame) for frame in range(FRAMES)]
        assert all(one and iou(one, _truth(clip[i], label, "rectangle")) > 0.75 for i, one in enumerate(shown))


def _draw_the_circle(cvat: StandIn, clip: list[Scene]) -> None:
    """As a box on the first frame."""
    box: dict[str, Any] = {"type": "rectangle", "points": clip[0].objects[0].xyxy.tolist(), "frame": 0, "label_id": 0}
    rest = {"group": 0, "source": "manual", "z_order": 0, "occluded": False, "outside": False, "attributes": []}
    cvat.annotations.patch(1, "create", {"shapes": [box | rest]})


def test_a_box_becomes_the_masks_of_what_is_in_it(cvat: StandIn, clip: list[Scene], tmp_path: Path) -> None:
    _draw_the_circle(cvat, clip)
    assert _propagate(cvat, tmp_path, "--as", "mask") == 0
    shapes = cvat.annotations.read(1)["shapes"]
    assert sorted(one["frame"] for one in shapes) == list(range(FRAMES))
    for one in shapes:
        found = Position("mask", tuple(one["points"]))
        assert iou(found, _truth(clip[one["frame"]], 0, "mask")) > 0.75


def test_after_an_interruption_the_tracker_has_forgotten_and_is_told_again(
    cvat: StandIn, clip: list[Scene], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    _draw_the_circle(cvat, clip)
    call, calls = LocalFunction.call, count(1)

    def interrupted(self: LocalFunction, *arguments: Any) -> Any:
        if next(calls) == 3:
            raise KeyboardInterrupt
        return call(self, *arguments)

    monkeypatch.setattr(LocalFunction, "call", interrupted)
    assert _propagate(cvat, tmp_path) == 130
    assert _propagate(cvat, tmp_path) == 0
    assert "going on with run 1" in capsys.readouterr().out
    (track,) = cvat.annotations.read(1)["tracks"]
    assert all(position_at(track, frame) for frame in range(FRAMES))


def test_a_model_that_is_not_there_is_a_sentence(
    cvat: StandIn, clip: list[Scene], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setenv("PROMPTABLE_MODEL", "sam9")
    assert _propagate(cvat, tmp_path) == 1
    assert "--local: " in capsys.readouterr().err
