"""A further click goes on from the answer before; anything else starts fresh."""

from collections.abc import Callable

import numpy as np
import pytest

from promptable.models.segmentation.segmenter import Prompt
from promptable.serving.interactor import click_history
from promptable.serving.interactor.click_history import ClickHistory, Logits, PastPrediction

LOGITS = np.full((4, 4), 1.5, np.float32)
BOX = np.array([0, 0, 9, 9], np.float32)
A, B, C = (1, 1, 1), (2, 2, 1), (5, 5, 0)


def _prompt(*clicks: tuple[float, float, int], box: bool = False) -> Prompt:
    return Prompt(
        np.array([click[:2] for click in clicks], np.float32).reshape(-1, 2),
        np.array([click[2] for click in clicks], np.int32),
        BOX if box else None,
    )


def _continues(answered: Prompt, then: Prompt, same_picture: bool = True) -> bool:
    history = ClickHistory()
    history.remember("picture", answered, LOGITS)
    logits = history.with_mask_input("picture" if same_picture else "other", then).mask_input
    return logits is not None and bool((logits == LOGITS).all())


def test_one_more_positive_or_negative_click_continues() -> None:
    assert _continues(_prompt((1, 1, 1)), _prompt((1, 1, 1), (2, 2, 1)))
    assert _continues(_prompt((1, 1, 1)), _prompt((1, 1, 1), (2, 2, 0)))
    assert _continues(_prompt((1, 1, 1), (5, 5, 0)), _prompt((1, 1, 1), (2, 2, 1), (5, 5, 0)))


@pytest.mark.parametrize(
    "more",
    [
        [B, C],
        [B, (3, 3, 1)],
        [(6, 6, 0), C],
        [B, (3, 3, 1), (4, 4, 1), C, (6, 6, 0), (7, 7, 0)],
        [B, *[(number, 3, 1) for number in range(7)]],
    ],
    ids=str,
)
@pytest.mark.parametrize("box", [True, False])
def test_several_clicks_more_continue_too(more: list[tuple[float, float, int]], box: bool) -> None:
    """CVAT sends only the newest request while one is under way, so the next may be several clicks longer."""
    assert _continues(_prompt(A, box=box), _prompt(A, *more, box=box))


def test_a_first_click_into_a_box_continues() -> None:
    assert _continues(_prompt(box=True), _prompt((1, 1, 1), box=True))
    assert _continues(_prompt(box=True), _prompt(A, B, C, box=True))


def test_more_than_eight_clicks_at_once_start_fresh() -> None:
    assert not _continues(_prompt(A), _prompt(A, *[(number, 3, 1) for number in range(9)]))


def test_the_longest_known_prompt_is_gone_on_from() -> None:
    history = ClickHistory()
    for number, clicks in enumerate([(A,), (A, B), (A, C)]):
        history.remember("picture", _prompt(*clicks), np.full((4, 4), number, np.float32))
    continued = history.with_mask_input("picture", _prompt(A, B, (3, 3, 1), (4, 4, 1)))
    assert continued.mask_input is not None
    assert continued.mask_input[0, 0] == 1


@pytest.mark.parametrize("order", [[0, 1], [1, 0]], ids=str)
def test_of_two_equally_long_prompts_the_one_with_more_negative_clicks_is_gone_on_from(order: list[int]) -> None:
    history = ClickHistory()
    for number in order:
        history.remember("picture", [_prompt(A, B), _prompt(A, C)][number], np.full((4, 4), number, np.float32))
    continued = history.with_mask_input("picture", _prompt(A, B, C))
    assert continued.mask_input is not None
    assert continued.mask_input[0, 0] == 1


def test_another_picture_starts_fresh() -> None:
    assert not _continues(_prompt((1, 1, 1)), _prompt((1, 1, 1), (2, 2, 1)), same_picture=False)


def test_a_moved_or_removed_click_starts_fresh() -> None:
    assert not _continues(_prompt((1, 1, 1)), _prompt((1, 2, 1), (2, 2, 1)))
    assert not _continues(_prompt((1, 1, 1), (2, 2, 1)), _prompt((1, 1, 1)))
    assert not _continues(_prompt((1, 1, 1)), _prompt((1, 1, 1)))
    assert not _continues(_prompt(A, B), _prompt(A, (2, 3, 1), C))


def test_a_click_that_changed_its_sign_starts_fresh() -> None:
    assert not _continues(_prompt((1, 1, 1), (2, 2, 1)), _prompt((1, 1, 1), (2, 2, 0), (3, 3, 0)))


def test_a_new_box_starts_fresh() -> None:
    assert not _continues(_prompt((1, 1, 1)), _prompt((1, 1, 1), (2, 2, 1), box=True))


def _told_apart() -> Callable[[ClickHistory, Prompt], Logits]:
    """A model whose every answer is another number, unless it is asked the very same."""
    numbers: dict[object, int] = {}

    def answer(history: ClickHistory, prompt: Prompt) -> Logits:
        continued = history.with_mask_input("picture", prompt)
        start = continued.mask_input
        asked = (prompt.points_xy.tobytes(), prompt.labels.tobytes(), None if start is None else start.tobytes())
        logits = np.full((4, 4), numbers.setdefault(asked, len(numbers)), np.float32)
        history.remember("picture", continued, logits)
        return logits

    return answer


def test_the_first_answer_to_a_prompt_is_kept() -> None:
    """One annotator makes two clicks at once, then another the same two, one by one."""
    answer, history = _told_apart(), ClickHistory()
    first = answer(history, _prompt(A, C))
    answer(history, _prompt(A))
    np.testing.assert_array_equal(answer(history, _prompt(A, C)), first)
    continued = history.with_mask_input("picture", _prompt(A, C, B))
    np.testing.assert_array_equal(continued.mask_input, first)


def test_an_answer_is_never_replaced() -> None:
    history = ClickHistory()
    history.remember("picture", _prompt(A), LOGITS)
    history.remember("picture", _prompt(A), 2 * LOGITS)
    np.testing.assert_array_equal(history.with_mask_input("picture", _prompt(A, B)).mask_input, LOGITS)


def test_no_more_is_kept_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(click_history, "_CAPACITY_BYTES", 3 * LOGITS.nbytes)
    history = ClickHistory()
    for x in range(4):
        history.remember("picture", _prompt((x, 1, 1)), LOGITS)
    kept = [history.with_mask_input("picture", _prompt((x, 1, 1), C)).mask_input is not None for x in range(4)]
    assert kept == [False, True, True, True]


@pytest.mark.parametrize("start", [None, 2 * LOGITS], ids=["fresh", "refined"])
def test_an_answer_comes_back_from_its_bytes(start: Logits | None) -> None:
    found = PastPrediction.from_bytes(PastPrediction(LOGITS, start).to_bytes(), (4, 4))
    np.testing.assert_array_equal(found.logits, LOGITS)
    np.testing.assert_array_equal(found.mask_input, start)
