"""A run is taken back after people have worked on what it wrote: their work stays, and what is left is said."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from tests.cvat import annotating, propagating
from tests.cvat.propagating import CAR, MUTABLE, PERSON, TASK, draw, prepare, propagate, stored
from toy.cvat.stand_in import StandIn

BOX = (10, 20, 30, 40)
PLATE, BRAKING = MUTABLE[0]["id"], MUTABLE[1]["id"]


def _hand_in(cvat: StandIn, task: int, job: int, state: str = "completed") -> None:
    cvat.tasks[task] = replace(cvat.tasks[task], states={job: state})


def _keyframe(**fields: Any) -> Callable[[dict[str, Any]], None]:
    return lambda track: track["shapes"][1].update(fields)


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param(_keyframe(occluded=True), id="occluded"),
        pytest.param(_keyframe(z_order=3), id="raised"),
        pytest.param(_keyframe(attributes=[{"spec_id": BRAKING, "value": "true"}]), id="attribute of a keyframe"),
        pytest.param(lambda track: track.update(attributes=[{"spec_id": PLATE, "value": "AB 1"}]), id="attribute"),
        pytest.param(lambda track: track.update(source="manual"), id="source"),
        pytest.param(lambda track: track["shapes"].pop(1), id="keyframe deleted"),
    ],
)
def test_a_track_that_people_edited_without_moving_it_stays(
    edit: Callable[[dict[str, Any]], None], cvat: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(cvat)
    draw(cvat, BOX, attributes=[{"spec_id": PLATE, "value": "AB 12"}])
    assert propagate(cvat, "--job", "1") == 0
    (track,) = cvat.annotations.job(1).by_kind["tracks"].values()
    edit(track)
    edited = stored(cvat)
    assert propagate(cvat, "--undo", "1") == 0
    assert stored(cvat) == edited
    said = capsys.readouterr().out
    assert "run 1: 0 annotations taken back\nleft alone: 1 annotation that people have changed\n" in said


@pytest.mark.parametrize("field", [{"occluded": True}, {"z_order": 2}, {"source": "manual"}])
def test_a_mask_that_people_edited_stays(field: Mapping[str, Any], cvat: StandIn) -> None:
    prepare(cvat)
    draw(cvat, (0, 4, 10, 10, 11, 11), "mask")
    assert propagate(cvat, "--job", "1") == 0
    held = cvat.annotations.job(1).by_kind["shapes"]
    edited = held[max(held)]
    edited.update(field)
    assert propagate(cvat, "--undo", "1") == 0
    assert len(held) == 2
    assert edited in held.values()


def test_a_keyframe_whose_attribute_people_changed_is_theirs_when_it_is_followed_again(cvat: StandIn) -> None:
    """It ends there, as where people have moved it."""
    prepare(cvat)
    draw(cvat, BOX)
    assert propagate(cvat, "--job", "1") == 0
    (track,) = cvat.annotations.job(1).by_kind["tracks"].values()
    track["shapes"][1]["attributes"] = [{"spec_id": BRAKING, "value": "true"}]
    assert propagate(cvat, "--job", "1") == 0
    (now,) = cvat.annotations.job(1).by_kind["tracks"].values()
    theirs = [key for key in now["shapes"] if {"spec_id": BRAKING, "value": "true"} in key["attributes"]]
    assert track["shapes"][1]["frame"] in [key["frame"] for key in theirs]


def test_what_people_change_while_it_is_followed_stays_theirs(
    cvat: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(cvat)
    number = draw(cvat, BOX)
    follow = cvat.answers[""]

    def and_a_person_is_at_work(request: Mapping[str, Any]) -> Any:
        cvat.annotations.job(1).by_kind["shapes"][number]["occluded"] = True
        return follow(request)

    cvat.answers[""] = and_a_person_is_at_work
    assert propagate(cvat, "--job", "1") == 0
    assert cvat.annotations.job(1).by_kind["shapes"][number]["occluded"]
    assert f"shape {number} was changed while it was followed" in capsys.readouterr().out


def test_a_drawn_shape_that_an_open_editor_made_again_stays_as_it_is(cvat: StandIn) -> None:
    """CVAT's editor saves by id, and CVAT creates an id again that is gone."""
    prepare(cvat)
    number = draw(cvat, BOX)
    drawn = dict(cvat.annotations.job(1).by_kind["shapes"][number])
    assert propagate(cvat, "--job", "1") == 0
    again = {**drawn, "points": [1, 2, 3, 4]}
    cvat.annotations.patch(1, "update", {"shapes": [again]})
    assert propagate(cvat, "--undo", "1") == 0
    assert cvat.annotations.job(1).by_kind["shapes"] == {number: again}
    assert not cvat.annotations.job(1).by_kind["tracks"]


def test_a_drawn_shape_comes_back_without_an_attribute_that_its_label_has_lost(cvat: StandIn) -> None:
    """CVAT refuses a request that names one."""
    prepare(cvat)
    values = [{"spec_id": PLATE, "value": "AB 12"}, {"spec_id": BRAKING, "value": "true"}]
    number = draw(cvat, BOX, attributes=values)
    assert propagate(cvat) == 0
    cvat.attributes = MUTABLE[1:]
    assert propagate(cvat, "--undo", "1") == 0
    (back,) = cvat.annotations.job(1).by_kind["shapes"].values()
    assert (back["id"], back["attributes"]) == (number, values[1:])
    assert not cvat.annotations.job(1).by_kind["tracks"]


def test_what_went_does_not_come_back_without_its_label(cvat: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a label CVAT deletes what has it, and refuses a request that names it."""
    prepare(cvat)
    cvat.labels["task_id", TASK] = [("car", "any"), ("person", "any")]
    draw(cvat, (0, 400, 10, 60, 29, 79), "mask", label_id=PERSON)
    assert propagate(cvat, "--job", "1", "--to", "3") == 0
    monkeypatch.setattr(propagating, "LOST_AT", range(1, 20))
    assert propagate(cvat, "--job", "1", "--from", "0", "--to", "3") == 0
    assert [one["frame"] for one in cvat.annotations.job(1).by_kind["shapes"].values()] == [0]
    cvat.annotations.job(1).by_kind["shapes"].clear()
    cvat.labels["task_id", TASK].pop(PERSON)
    assert propagate(cvat, "--undo", "2") == 0
    assert not cvat.annotations.job(1).by_kind["shapes"]


@pytest.mark.parametrize("state", ["completed", "rejected"])
def test_jobs_that_people_have_handed_in_are_left_unless_told(
    state: str, cvat: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(cvat)
    draw(cvat, BOX)
    before = stored(cvat)
    assert propagate(cvat) == 0
    (handed_in,) = cvat.annotations.job(1).by_kind["tracks"].values()
    _hand_in(cvat, TASK, 1, state)
    assert propagate(cvat, "--undo", "1") == 0
    assert [*cvat.annotations.job(1).by_kind["tracks"].values()] == [handed_in]
    assert not cvat.annotations.job(2).by_kind["tracks"]
    left = (
        "left alone: 1 job that people have handed in (1), with what the run wrote there: --undo 1 --include completed"
    )
    assert left in capsys.readouterr().out
    assert propagate(cvat, "--undo", "1", "--include", "completed") == 0
    assert stored(cvat) == before
    assert "people have changed" not in capsys.readouterr().out, "what was taken back at first is not theirs"


def test_annotate_leaves_jobs_that_people_have_handed_in_unless_told(
    cvat: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    annotating.prepare(cvat)
    annotating.annotate(cvat)
    in_job_1 = cvat.annotations.read(1)
    _hand_in(cvat, annotating.TASK, 1)
    assert annotating.annotate(cvat, "--undo", "1") == 0
    assert cvat.annotations.read(1) == in_job_1
    assert not cvat.annotations.read(2)["shapes"]
    assert "1 job that people have handed in (1)" in capsys.readouterr().out
    assert annotating.annotate(cvat, "--undo", "1", "--include", "completed") == 0
    assert not cvat.annotations.read(1)["shapes"]


@pytest.mark.parametrize("command", [propagate, annotating.annotate])
def test_a_dry_run_takes_nothing_back(
    command: Callable[..., int], cvat: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    (prepare if command is propagate else annotating.prepare)(cvat)
    if command is propagate:
        draw(cvat, BOX, label_id=CAR)
    command(cvat)
    before = cvat.annotations.all()
    assert command(cvat, "--undo", "1", "--dry-run") == 2
    assert cvat.annotations.all() == before
    assert "--undo deletes what a run wrote, and --dry-run deletes nothing" in capsys.readouterr().err


def test_a_frame_that_lost_its_tag_is_tagged_again(cvat: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    prepare(cvat)
    cvat.labels["task_id", TASK] += [("propagate", "tag")]
    draw(cvat, BOX, frame=2)
    tag = {"frame": 2, "label_id": 3, "group": 0, "source": "manual", "attributes": []}
    cvat.annotations.patch(1, "create", {"tags": [tag]})
    before = cvat.annotations.read(1, MUTABLE)
    assert propagate(cvat, "--tagged", "propagate", "--job", "1") == 0
    assert not cvat.annotations.read(1)["tags"]
    assert propagate(cvat, "--undo", "last", "--job", "1") == 0
    assert cvat.annotations.read(1, MUTABLE) == before
    assert "run 1: 1 annotation taken back, 1 put back\n" in capsys.readouterr().out


@pytest.fixture
def with_issues(cvat: StandIn) -> StandIn:
    """After a run that lost an object, and opened an issue on each of the two places."""
    prepare(cvat)
    draw(cvat, (10, 60, 30, 80))
    assert propagate(cvat, "--job", "1", "--issues") == 0
    assert [one["message"] for one in cvat.issues] == ["car 1: lost", "car 1: back"]
    return cvat


def test_issues_of_a_run_go_with_it(with_issues: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    theirs = {"id": 77, "job": 1, "frame": 5, "message": "car 1: lost", "resolved": False, "assignee": None}
    with_issues.issues.append(theirs)
    assert propagate(with_issues, "--undo", "1") == 0
    assert with_issues.issues == [theirs]
    assert "2 issues withdrawn\n" in capsys.readouterr().out
    assert propagate(with_issues, "--undo", "1") == 0
    assert "issue" not in capsys.readouterr().out


@pytest.mark.parametrize("work", [{"resolved": True}, {"answers": ["it is the pole"]}, {"assignee": {"id": 2}}])
def test_an_issue_that_people_have_worked_on_stays(
    work: Mapping[str, Any], with_issues: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    with_issues.issues[0] |= work
    kept = dict(with_issues.issues[0])
    assert propagate(with_issues, "--undo", "1") == 0
    assert with_issues.issues == [kept]
    said = capsys.readouterr().out
    assert "1 issue withdrawn\nleft alone: 1 issue of it that people have resolved, taken or answered\n" in said


def test_an_issue_of_which_the_answer_was_lost_goes_too(cvat: StandIn) -> None:
    prepare(cvat)
    draw(cvat, (10, 60, 30, 80))
    cvat.lost_issues = 1
    assert propagate(cvat, "--job", "1", "--issues") == 1
    assert [one["message"] for one in cvat.issues] == ["car 1: lost"]
    assert propagate(cvat, "--job", "1", "--undo", "1") == 0
    assert not cvat.issues


def test_issues_in_a_job_that_people_have_handed_in_stay(with_issues: StandIn) -> None:
    _hand_in(with_issues, TASK, 1)
    assert propagate(with_issues, "--undo", "1") == 0
    assert len(with_issues.issues) == 2
    assert propagate(with_issues, "--undo", "1", "--include", "completed") == 0
    assert not with_issues.issues
