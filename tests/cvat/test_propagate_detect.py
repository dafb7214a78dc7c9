"""``promptable propagate --detect``: words on frames of a video, and what joins, is known, or comes back."""

import base64
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from promptable.cli.main import main
from promptable.cvat.geometry.position import Placed, Position, position_at
from promptable.cvat.propagate.following.matching import matched
from promptable.cvat.server import late_requests
from promptable.errors import GoneError
from tests.cvat.killing import assert_same_wherever_killed, run_until
from tests.cvat.propagating import (
    CAR,
    COMES_IN,
    PERSON,
    asked,
    draw,
    draw_track,
    frame_of,
    keyframes,
    prepare,
    propagate,
    stored,
    track,
)
from toy.cvat.stand_in import StandIn

BOX = (10, 20, 30, 40)
LATE = (100, 70, 120, 90)
"""Where a second object is on frame 5, when the detector finds it first; it has come in before, on frame 3."""
AWAY = (10, 60, 30, 80)
"""Lost on frames 5 to 7."""


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No waiting, and a journal of the test's own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(late_requests, "POLL_PAUSES", ())


def at(box: Sequence[float], frames: int) -> tuple[float, ...]:
    """Where the tracker of ``propagating`` follows a box to in less than eleven frames."""
    return box[0] + 2 * frames, box[1], box[2] + 2 * frames, box[3]


def two_cars(frame: int) -> list[tuple[str, Sequence[float]]]:
    """The first is seen a little off, the second is found from frame 5 on."""
    x1, y1, x2, y2 = at(BOX, frame)
    late = [("car", at(LATE, frame - 5))] if frame >= 5 else []
    return [("car", (x1 + 1, y1, x2 + 2, y2 + 1)), *late]


def detector(found: Callable[[int], list[tuple[str, Sequence[float]]]]) -> Callable[[Mapping[str, Any]], Any]:
    """Answers with what ``found`` gives for a frame: labels and boxes."""

    def detect(request: Mapping[str, Any]) -> Any:
        word, _, number = base64.b64decode(request["image"]).partition(b" ")
        seen = found(int(number)) if word == b"picture" else []
        asked = request.get("labels", [{"name": "car", "type": "rectangle"}])
        names = [label["name"] for label in asked]
        seen = [(label, box) for label, box in seen if label in names]
        return {
            "model": "swin-t 1",
            "hw": [100, 200],
            "floor": request["floor"],
            "labels": [{"threshold": 0.35, "max_area": 1.0, "marks": None} | dict(label) for label in asked],
            "rules": {"nms_iou": 0.7, "cross_label_iou": 1.0, "limit": 300},
            "proposals": {
                "boxes": [list(box) for _, box in seen],
                "labels": [names.index(label) for label, _ in seen],
                "scores": [0.9] * len(seen),
                "captions": [0] * len(seen),
                "cut": [[0] * 4] * len(seen),
                "beyond_overlap": [0] * len(seen),
            },
            "masks": [],
        }

    return detect


def detect(cvat: StandIn, *options: str) -> int:
    """The command's exit status."""
    return propagate(cvat, "--detect", f"{cvat.url}/detector", *options)


def looked_at(cvat: StandIn) -> list[int]:
    """The frames that the detector was asked about."""
    bodies = [body for body in cvat.bodies if isinstance(body, dict) and "floor" in body]
    pictures = [base64.b64decode(body["image"]).split() for body in bodies]
    return [int(parts[1]) for parts in pictures if parts[0] == b"picture"]


def tracks(cvat: StandIn, job: int = 1) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = cvat.annotations.read(job)["tracks"]
    return found


def test_what_words_find_ends_where_an_earlier_run_has_it(cvat: StandIn) -> None:
    """The detector finds it where CVAT does not show it, and the tracker follows it to where CVAT does."""
    prepare(cvat, jobs=[(1, "annotation", 0, 19)])
    cvat.answers["detector"] = detector(lambda frame: [("car", at(BOX, frame))])
    assert detect(cvat, "--from", "5", "--to", "10") == 0
    assert detect(cvat, "--to", "10") == 0
    shown = [sum(position_at(track, frame) is not None for track in tracks(cvat)) for frame in range(11)]
    assert shown == [1] * 11


def test_what_is_found_on_the_first_frame_and_what_joins_later_become_tracks(
    cvat: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(cvat)
    cvat.answers["detector"] = detector(two_cars)
    assert detect(cvat, "--job", "1", "--every", "5", "--to", "10") == 0
    assert looked_at(cvat) == [0, 5, 10]
    first, late = tracks(cvat)
    seen = (11, 20, 32, 41)
    assert keyframes(first) == [(0, seen, False), (10, at(seen, 10), False), (11, at(seen, 10), True)]
    assert keyframes(late) == [(COMES_IN, at(LATE, -2), False), (10, at(LATE, 5), False), (11, at(LATE, 5), True)]
    assert {(one["label_id"], one["source"], one["group"]) for one in (first, late)} == {(CAR, "auto", 0)}
    out = capsys.readouterr().out
    assert "1 object (1 rectangle) to follow through 10 frames" in out
    assert "new ones are looked for on the first frame and then on one in 5, and followed back to where" in out


def test_where_an_object_starts_is_no_doubt_however_sure_the_detector_was(cvat: StandIn) -> None:
    """Its score is not the tracker's."""
    prepare(cvat)
    answer = detector(two_cars)

    def unsure(request: Mapping[str, Any]) -> Any:
        found = answer(request)
        return found | {"proposals": found["proposals"] | {"scores": [0.5] * len(found["proposals"]["boxes"])}}

    cvat.answers["detector"] = unsure
    assert detect(cvat, "--job", "1", "--every", "5", "--to", "10", "--issues") == 0
    assert cvat.issues == []


def test_what_people_drew_is_known_and_made_no_double(cvat: StandIn) -> None:
    prepare(cvat)
    cvat.answers["detector"] = detector(two_cars)
    draw(cvat, BOX)
    draw_track(cvat, [(3, at(LATE, -2), False), (11, at(LATE, 6), False)])
    assert detect(cvat, "--job", "1", "--every", "3", "--to", "9") == 0
    assert [keyframes(one)[0] for one in tracks(cvat)] == [(3, at(LATE, -2), False), (0, BOX, False)]


def test_what_another_annotator_has_in_a_replica_is_not_known(cvat: StandIn) -> None:
    replica = (2, "consensus_replica", 0, 19)
    prepare(cvat, jobs=[(1, "annotation", 0, 19), replica])
    cvat.answers["detector"] = detector(two_cars)
    for frame in (0, 5, 10):
        draw(cvat, at(BOX, frame), frame=frame, job=2)
    assert detect(cvat, "--every", "5", "--to", "10") == 0
    assert len(tracks(cvat)) == 2


def test_a_second_run_makes_no_doubles(cvat: StandIn) -> None:
    prepare(cvat)
    cvat.answers["detector"] = detector(two_cars)
    assert detect(cvat, "--every", "5", "--to", "10") == 0
    before = stored(cvat)
    assert detect(cvat, "--every", "5", "--to", "10") == 0
    assert stored(cvat) == before


def test_a_lost_object_is_taken_up_by_a_detection_of_its_label_where_it_was(cvat: StandIn, tmp_path: Path) -> None:
    prepare(cvat)
    back = (22, 58, 42, 78)
    cvat.answers["detector"] = detector(lambda frame: [("person", at(AWAY, 4)), ("car", back)] if frame == 6 else [])
    draw(cvat, AWAY)
    (words := tmp_path / "labels.yaml").write_text("- car\n- person\n")
    assert detect(cvat, "--job", "1", "--every", "6", "--to", "9", "--labels", str(words)) == 0
    own, other = tracks(cvat)
    assert own["label_id"] == CAR
    assert keyframes(own)[:4] == [(0, AWAY, False), (4, at(AWAY, 4), False), (5, at(AWAY, 4), True), (6, back, False)]
    assert other["label_id"] == PERSON


def test_without_any_object_only_the_frames_of_the_detector_are_asked_about(cvat: StandIn) -> None:
    prepare(cvat)
    cvat.answers["detector"] = detector(lambda frame: [("car", LATE)] if frame >= 8 else [])
    assert detect(cvat, "--job", "1", "--every", "4") == 0
    assert looked_at(cvat) == [0, 4, 8]
    assert [frame for frame, _ in _of_tracker(cvat)] == [8, 9, 10, 11, *range(8, COMES_IN - 2, -1)]
    assert keyframes(tracks(cvat)[0])[0] == (COMES_IN, at(LATE, -5), False)
    assert detect(cvat, "--job", "1", "--from", "2", "--to", "3") == 0, "nothing is found, and nothing is wrong"


def _of_tracker(cvat: StandIn) -> list[tuple[int, int]]:
    bodies = [body for body in cvat.bodies if "shapes" in body or "states" in body]
    cvat.bodies = [body for body in bodies if "floor" not in body]
    return asked(cvat)


def test_both_ways_each_finds_its_own(cvat: StandIn) -> None:
    prepare(cvat)
    cvat.answers["detector"] = detector(lambda frame: [("car", LATE)] if frame in (2, 10) else [])
    assert detect(cvat, "--job", "1", "--from", "6", "--both", "--every", "4") == 0
    later, earlier = tracks(cvat)
    assert [frame for frame, _, outside in keyframes(later) if not outside] == [6, 11]
    assert [frame for frame, _, outside in keyframes(earlier) if not outside] == [2, 6]


def test_masks_that_join_get_a_group_each(cvat: StandIn) -> None:
    prepare(cvat)
    cvat.answers["detector"] = detector(two_cars)
    draw(cvat, (150, 5, 160, 9), group=4)
    assert detect(cvat, "--job", "1", "--every", "5", "--to", "6", "--as", "mask") == 0
    shapes = [one for one in cvat.annotations.read(1)["shapes"] if one["type"] == "mask"]
    frames = {group: [one["frame"] for one in shapes if one["group"] == group] for group in (4, 5, 6)}
    assert frames == {4: list(range(7)), 5: list(range(7)), 6: [3, 4, 5, 6]}
    assert {one["source"] for one in shapes if one["group"] > 4} == {"auto"}


def test_through_cvat_the_detector_finds_what_it_is_deployed_with(cvat: StandIn) -> None:
    prepare(cvat)
    cvat.answers["sam2"] = lambda request: track(
        request | {"image": base64.b64encode(f"picture {request['frame']}".encode())}
    )
    shape = {"type": "rectangle", "label_id": CAR, "attributes": []}
    cvat.answers["dino"] = lambda request: {
        "shapes": [shape | {"points": list(box)} for _, box in two_cars(request["frame"])],
        "tags": [],
    }
    ways = ("--via-cvat", "sam2", "--detect", "dino", "--every", "5", "--to", "6")
    cvat.kinds = {"sam2": "tracker", "dino": "detector"}
    assert main(["propagate", "--job", "1", "--url", cvat.url, *ways]) == 0
    assert [keyframes(one)[0][0] for one in tracks(cvat)] == [0, COMES_IN]


def test_killed_at_every_point_and_run_again_it_ends_the_same(
    cvat: StandIn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fresh(number: int) -> None:
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / f"state-{number}"))
        prepare(cvat, jobs=[(1, "annotation", 0, 3)])
        cvat.annotations = type(cvat.annotations)()
        cvat.answers["detector"] = detector(lambda frame: two_cars(frame + 3))

    def run() -> int:
        return detect(cvat, "--every", "2")

    assert assert_same_wherever_killed(fresh, run, lambda: stored(cvat)) > 10
    assert len(stored(cvat)) == 2


def test_a_tracker_that_has_forgotten_finds_the_same_objects_again(cvat: StandIn) -> None:
    prepare(cvat)
    cvat.answers["detector"] = detector(two_cars)
    answer, stop = cvat.answers[""], [True]

    def stopping(request: Any) -> Any:
        if stop and len(request.get("states", ())) == 2:
            raise ConnectionError
        return answer(request)

    cvat.answers[""] = stopping
    assert detect(cvat, "--job", "1", "--every", "5") == 1
    stop.clear()
    refusals = [GoneError("states: a state has expired")]

    def forgetful(request: Any) -> Any:
        if refusals and "states" in request:
            raise refusals.pop()
        return answer(request)

    cvat.answers[""] = forgetful
    assert detect(cvat, "--job", "1", "--every", "5") == 0
    assert not refusals
    assert [keyframes(one)[0][0] for one in tracks(cvat)] == [0, COMES_IN]


def test_what_joins_is_not_followed_back_into_another_object_of_its_label(cvat: StandIn) -> None:
    """An object is lost on frame 5 and found as another one on frame 8; where both would be it, the first is."""
    prepare(cvat)
    draw(cvat, BOX)
    far = (62, 20, 82, 40)
    cvat.answers["detector"] = detector(lambda frame: [("car", far)] if frame == 8 else [])
    cvat.answers[""] = _followed_by_halves
    assert detect(cvat, "--job", "1", "--every", "8", "--to", "9") == 0
    own, joined = tracks(cvat)
    assert [frame for frame, _, outside in keyframes(own) if not outside] == [0, 4]
    assert keyframes(joined)[0] == (5, (26, 20, 46, 40), False)


def _followed_by_halves(request: Mapping[str, Any]) -> Any:
    """What starts on frame 0 is lost from frame 5 on; what starts later moves by 12 pixels a frame, and never is."""
    found = track(request)
    frame = frame_of(request)
    for i, state in enumerate(request.get("states", ())):
        box, frames = state["start"]["points"], frame - state["at"]
        moved = at(box, frames if not state["at"] else 6 * frames)
        found["shapes"][i] = {"type": "rectangle", "points": moved, "outside": not state["at"] and frame >= 5}
    return found


def test_what_joins_is_not_followed_back_to_where_the_tracker_is_not_sure_of_it(cvat: StandIn) -> None:
    prepare(cvat)
    cvat.answers["detector"] = detector(two_cars)
    answer = cvat.answers[""]

    def unsure(request: Any) -> Any:
        found = answer(request)
        if base64.b64decode(request["image"]) == b"picture 4" and len(found["shapes"]) == 1:
            found["shapes"][0]["score"] = 0.5 if "states" in request and request["states"][0]["at"] else 0.9
        return found

    cvat.answers[""] = unsure
    assert detect(cvat, "--job", "1", "--every", "5", "--to", "6") == 0
    assert [keyframes(one)[0][0] for one in tracks(cvat)] == [0, 5]


def test_what_joins_is_not_followed_back_into_what_an_earlier_run_wrote(cvat: StandIn) -> None:
    prepare(cvat)
    cvat.answers["detector"] = detector(two_cars)
    draw(cvat, at(LATE, -2), frame=3)
    assert propagate(cvat, "--job", "1", "--from", "3", "--to", "4") == 0
    assert detect(cvat, "--job", "1", "--every", "5", "--to", "8") == 0
    assert [keyframes(one)[0][0] for one in tracks(cvat)] == [3, 0, 5]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--detect", "URL", "--labels", "none.yaml"), "none.yaml"),
        (("--detect", "URL", "--as", "mask", "--labels", "bike.yaml"), "label 'bike' takes a rectangle in the task"),
        (("--detect", "URL", "--labels", "boat.yaml"), "'boat': mend the names, or add them to the task in CVAT"),
    ],
)
def test_what_cannot_be_is_a_sentence(
    cvat: StandIn, capsys: pytest.CaptureFixture[str], tmp_path: Path, options: tuple[str, ...], sentence: str
) -> None:
    prepare(cvat)
    cvat.answers["detector"] = detector(two_cars)
    for name in ("bike", "boat"):
        (tmp_path / f"{name}.yaml").write_text(f"- {name}\n")
    named = [f"{cvat.url}/detector" if one == "URL" else one for one in options]
    named = [str(tmp_path / one) if one.endswith(".yaml") else one for one in named]
    assert propagate(cvat, *named) == 1
    assert sentence in capsys.readouterr().err
    assert not stored(cvat)


def test_other_words_do_not_go_on_with_a_run(cvat: StandIn, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    prepare(cvat)
    cvat.answers["detector"] = detector(two_cars)
    run_until(8, lambda: detect(cvat, "--every", "5"))
    (tmp_path / "labels.yaml").write_text("- car\n")
    assert detect(cvat, "--every", "5", "--labels", str(tmp_path / "labels.yaml")) == 1
    assert "begun with --labels not given, now of 1 labels, car" in capsys.readouterr().err


def test_a_dry_run_asks_the_detector_about_no_frame(cvat: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    prepare(cvat)
    cvat.answers["detector"] = detector(two_cars)
    assert detect(cvat, "--dry-run") == 0
    assert "0 objects (none yet) would be followed through 19 frames" in capsys.readouterr().out
    assert not looked_at(cvat)
    cvat.answers["detector"] = {"shapes": [], "states": []}
    assert detect(cvat, "--dry-run") == 1
    assert "does not answer as a detector does: is it the detector's address?" in capsys.readouterr().err


def _placed(label: int, *boxes: Sequence[float]) -> list[Placed]:
    return [Placed(label, Position("rectangle", tuple(box))) for box in boxes]


def test_matching_is_one_to_one_and_best_in_all() -> None:
    """The first detection overlaps both: the nearest to each would leave the second one without."""
    known = _placed(0, (0, 0, 10, 10), (4, 0, 14, 10))
    found = _placed(0, (3, 0, 13, 10), (7, 0, 17, 10))
    assert matched(found, known) == {0: 0, 1: 1}
    assert matched(found, _placed(1, (3, 0, 13, 10))) == {}, "another label"
    assert matched(_placed(0, (9, 0, 19, 10)), known[:1]) == {}, "too far"
    assert matched([], known) == matched(found, []) == {}


def test_matching_finds_every_one_in_a_crowd() -> None:
    rng = np.random.default_rng(5)
    boxes = [(x, y, x + 10, y + 10) for x, y in rng.permutation([(12 * i, 12 * j) for i in range(9) for j in range(9)])]
    order = rng.permutation(len(boxes))
    moved = [np.add(boxes[i], rng.uniform(-2, 2)) for i in order]
    assert matched(_placed(0, *moved), _placed(0, *boxes)) == dict(enumerate(order.tolist()))
