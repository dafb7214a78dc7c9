"""The arithmetic of the memory rules, on memories without a model."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from promptable.models.sam2.evidence import GIVEN, Evidence, evidence_of, read_evidence
from promptable.models.sam2.memory import Memory
from promptable.models.sam2.memory_rules import RULES, Attended, Capacity, MemoryRule
from promptable.models.sam2.track_memory import TrackMemory

ALL, VISIBLE, DISTRACTOR = (RULES[name] for name in TrackMemory)
OFFICIAL = Capacity(prompted=8, features=6, pointers=15)
SURE = Evidence(score=0.9, iou=0.95, area=100, rival=True)
LOST = Evidence(score=0.0, iou=0.3, area=0, rival=False)


def memory(step: int, evidence: Evidence = SURE, *, prompted: bool = False, distractor: bool = False) -> Memory:
    return Memory(step, prompted, torch.zeros(4), torch.zeros(1, 1, 1), evidence, distractor)


def past(newest: int, lost: Iterable[int] = (), prompted: Iterable[int] = (0,)) -> list[Memory]:
    """One memory of each step, which shows the object but where it is lost."""
    return [memory(step, LOST if step in lost else SURE, prompted=step in prompted) for step in range(newest + 1)]


def ages(bank: list[Attended], *, ageless: bool = False, features: bool = False) -> dict[int, int]:
    """Where each step stands, of those that have an age or none, and whose features count."""
    return {
        one.memory.step: one.steps_ago
        for one in bank
        if one.ageless == ageless and (not features or one.memory.features is not None)
    }


def test_all_attends_to_the_last_steps_whatever_they_show() -> None:
    bank = ALL.attended(30, past(29, lost=range(20, 30)), OFFICIAL)
    assert ages(bank, ageless=True, features=True) == {0: 30}
    assert ages(bank, features=True) == {step: 30 - step for step in range(24, 30)}
    assert ages(bank) == {step: 30 - step for step in range(15, 30)}


def test_visible_attends_to_the_last_that_show_the_object_however_long_ago() -> None:
    """They stand where the last steps would stand; the last step counts whatever it shows."""
    bank = VISIBLE.attended(60, past(59, lost=range(20, 60)), OFFICIAL)
    assert ages(bank, ageless=True, features=True) == {0: 60}
    assert ages(bank, features=True) == {15: 6, 16: 5, 17: 4, 18: 3, 19: 2, 59: 1}
    assert ages(bank) == {59: 1, **{step: 21 - step for step in range(6, 20)}}


@pytest.mark.parametrize(("score", "counts"), [(0.0, False), (0.01, False), (0.0101, True), (1.0, True)])
def test_visible_takes_a_score_above_a_hundredth(score: float, counts: bool) -> None:
    bank = VISIBLE.attended(
        3, [memory(0, prompted=True), memory(1, Evidence(score, 0.9, 9, False)), memory(2)], OFFICIAL
    )
    assert (1 in ages(bank)) == counts
    assert 2 in ages(bank)


def test_while_everything_is_seen_visible_is_all() -> None:
    for step in range(1, 40):
        assert ages(VISIBLE.attended(step, past(step - 1), OFFICIAL)) == ages(
            ALL.attended(step, past(step - 1), OFFICIAL)
        )


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES.keys())
def test_what_is_kept_from_step_to_step_is_what_the_whole_past_would_give(rule: MemoryRule) -> None:
    """So that a state names no more than the next step attends to. Right after a lost frame none is prompted or taken
    as a distractor here: that would cost the oldest of the recent."""
    random = np.random.default_rng(0)
    whole, kept = [memory(0, prompted=True)], [memory(0, prompted=True)]
    for step in range(1, 120):
        seen_before = kept[-1].evidence is not LOST
        evidence = replace(SURE, rival=seen_before) if step % 50 == 49 or random.random() < 0.5 else LOST
        seen = [rule.attended(step, known, OFFICIAL) for known in (whole, kept)]
        assert ages(seen[0]) == ages(seen[1])
        assert ages(seen[0], ageless=True) == ages(seen[1], ageless=True)
        assert ages(seen[0], features=True) == ages(seen[1], features=True)
        new = memory(step, evidence, prompted=step % 50 == 0)
        new = memory(step, evidence, prompted=new.conditioning, distractor=rule.is_distractor(new, kept))
        whole.append(new)
        attended = rule.attended(step + 1, [*kept, new], OFFICIAL)
        kept = sorted((one.memory for one in attended), key=lambda each: each.step)
        assert len(kept) <= 26


@pytest.mark.parametrize(
    ("change", "taken"),
    [
        ({}, True),
        ({"iou": 0.8}, False),
        ({"iou": 0.81}, True),
        ({"area": 120}, True),
        ({"area": 121}, False),
        ({"area": 80}, True),
        ({"area": 79}, False),
        ({"rival": False}, False),
    ],
    ids=str,
)
def test_a_distractor_frame_is_sure_steady_and_has_a_rival(change: dict[str, Any], taken: bool) -> None:
    usual: dict[str, Any] = {"score": 0.9, "iou": 0.95, "area": 100, "rival": True}
    evidence = Evidence(**usual | change)
    assert DISTRACTOR.is_distractor(memory(12, evidence), past(11)) == taken
    assert not VISIBLE.is_distractor(memory(12, evidence), past(11))
    assert not ALL.is_distractor(memory(12, evidence), past(11))


@pytest.mark.parametrize(("step", "taken"), [(10, False), (15, False), (16, True)])
def test_more_than_five_frames_lie_between_distractor_frames(step: int, taken: bool) -> None:
    before = [*past(9), memory(10, distractor=True), *(memory(each) for each in range(11, step))]
    assert DISTRACTOR.is_distractor(memory(step), before) == taken


def test_the_area_is_compared_with_the_median_of_the_last_ten_that_show_it() -> None:
    large, small = Evidence(0.9, 0.9, 1000, True), Evidence(0.9, 0.9, 100, True)
    before = [memory(0, prompted=True), *(memory(step, large) for step in range(1, 20))]
    before += [memory(step, small) for step in range(20, 26)]
    assert DISTRACTOR.is_distractor(memory(30, small), before)
    assert not DISTRACTOR.is_distractor(memory(30, small), before[:-2])
    assert DISTRACTOR.is_distractor(memory(30, small), [*before, *(memory(step, LOST) for step in range(26, 30))])


def test_distractor_frames_have_no_age_and_take_the_place_of_recent_ones() -> None:
    """The last three of them; older ones count as what they are."""
    taken = (4, 10, 16, 22)
    before = [memory(step, distractor=step in taken, prompted=step == 0) for step in range(30)]
    bank = DISTRACTOR.attended(30, before, OFFICIAL)
    assert ages(bank, ageless=True, features=True) == {0: 30, 10: 20, 16: 14, 22: 8}
    assert ages(bank, features=True) == {27: 3, 28: 2, 29: 1}


@pytest.mark.parametrize("other", [ALL, VISIBLE])
def test_a_distractor_frame_that_another_rule_has_kept_only_the_pointer_of_is_none_any_more(other: MemoryRule) -> None:
    """While a function is deployed anew with another rule, replicas of both may take turns with a track."""
    before = [memory(step, distractor=step == 4, prompted=step == 0) for step in range(15)]
    kept = [one.memory for one in other.attended(15, before, OFFICIAL)]
    assert next(one for one in kept if one.step == 4).features is None
    bank = DISTRACTOR.attended(15, kept, OFFICIAL)
    assert ages(bank, ageless=True, features=True) == {0: 15}
    assert ages(bank, features=True) == {step: 15 - step for step in range(9, 15)}
    assert ages(bank) == {step: 15 - step for step in range(1, 15)}


def test_of_too_many_prompted_frames_the_nearest_count_and_others_as_any_frame() -> None:
    few = Capacity(prompted=2, features=6, pointers=15)
    bank = ALL.attended(12, past(11, prompted=(0, 3, 8, 10)), few)
    assert [one.memory.step for one in bank if one.ageless] == [8, 10]
    assert ages(bank) == {step: 12 - step for step in range(12) if step not in (8, 10)}


def squares(*places: tuple[int, int] | None) -> torch.Tensor:
    """Logits [1, M, 32, 32] of masks that are squares of 8 pixels at (x, y), or empty."""
    logits = torch.full((1, len(places), 32, 32), -9.0)
    for number, place in enumerate(places):
        if place is not None:
            x, y = place
            logits[0, number, y : y + 8, x : x + 8] = 9.0
    return logits


@pytest.mark.parametrize(
    ("places", "rival"),
    [
        ([(4, 4)], False),
        ([(4, 4), (4, 5), None], False),  # boxes of 64 pixels that share 56: an IoU of 0.78
        ([(4, 4), (4, 6), None], True),  # that share 48: 0.6
        ([(4, 4), (20, 20), (4, 4)], True),
        ([None, None, None], False),
    ],
)
def test_a_rival_is_a_candidate_whose_box_is_elsewhere(places: list[tuple[int, int] | None], rival: bool) -> None:
    candidates = squares(*places)
    ious = torch.linspace(0.9, 0.5, len(places))[None]
    (evidence,) = read_evidence(evidence_of(candidates[:, :1], torch.tensor([[2.0]]), candidates, ious))
    assert evidence.rival == rival
    assert evidence.area == (0 if places[0] is None else 64)
    assert evidence.iou == pytest.approx(0.9)
    assert evidence.score == pytest.approx((2 / (1 + np.exp(-2)) - 1) * 0.9)


@pytest.mark.parametrize(("iou", "score"), [(1.1, 1.0), (-0.1, 0.0)])
def test_a_score_is_a_share_even_if_a_predicted_iou_is_none(iou: float, score: float) -> None:
    """As of a model that predicts IoUs without a sigmoid (``iou_prediction_use_sigmoid``)."""
    mask = squares((4, 4))
    (evidence,) = read_evidence(evidence_of(mask, torch.tensor([[40.0]]), mask, torch.tensor([[iou]])))
    assert evidence.score == score


def test_an_object_that_is_not_there_has_no_score() -> None:
    candidates = squares((4, 4))
    (evidence,) = read_evidence(evidence_of(candidates, torch.tensor([[-1.0]]), candidates, torch.ones(1, 1)))
    assert evidence.score == 0
    assert GIVEN.score == 1
