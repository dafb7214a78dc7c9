"""``promptable warm``: clicks through CVAT before a person's."""

from typing import Any

import pytest

from promptable.cli.main import main
from tests.cvat.annotating import prepare
from toy.cvat.stand_in import StandIn


def _warm(cvat: StandIn, *options: str) -> int:
    return main(["warm", "--job", "2", "--url", cvat.url, *options])


def test_the_next_frames_are_clicked_into_through_cvat(cvat: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    prepare(cvat)

    def click(request: dict[str, Any]) -> dict[str, Any]:
        if request["frame"] == 8:
            raise ValueError("no picture")
        return {"shapes": []}

    cvat.answers, cvat.kinds = {"sam-interactor": click}, {"sam-interactor": "interactor"}
    assert _warm(cvat, "--next", "3", "--from", "6", "--yes") == 3
    said = capsys.readouterr()
    assert "3 frames: 12 MB with SAM, 51 MB with SAM 2.1" in said.out
    assert "2 frames encoded" in said.out
    assert "frame 8 failed" in said.err
    assert sorted(body["frame"] for body in cvat.bodies) == [6, 6, 7, 8]
    assert cvat.bodies[0] == {"pos_points": [[30, 20]], "neg_points": [], "obj_bbox": [], "job": 2, "frame": 6}


def test_frames_that_are_not_there_are_said(cvat: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    prepare(cvat)
    assert _warm(cvat, "--from", "99", "--yes") == 1
    assert "job 2 has no frame from 99 on: its last is 9" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        _warm(cvat, "--next", "0")


def test_it_takes_no_room_unasked(cvat: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    prepare(cvat)
    cvat.answers, cvat.kinds = {"sam-interactor": {"shapes": []}}, {"sam-interactor": "interactor"}
    assert _warm(cvat) == 1
    assert "nothing was encoded: --yes says that there is room" in capsys.readouterr().err
    assert not cvat.bodies


def test_a_function_that_takes_no_clicks_is_named(cvat: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    prepare(cvat)
    cvat.answers = {"sam-interactor": {"shapes": []}, "dino": []}
    cvat.kinds = {"sam-interactor": "interactor", "dino": "detector"}
    assert _warm(cvat, "--via-cvat", "dino", "--yes") == 1
    expected = "dino is of kind detector, not the interactor that is wanted: of these CVAT lists sam-interactor"
    assert expected in capsys.readouterr().err
