"""A further click goes on from the answer before; anything else starts fresh."""

from collections.abc import Callable

import numpy as np
import pytest

from promptable.models.segmentation.segmenter import Prompt
from promptable.serving.interactor import refinement as module
from promptable.serving.interactor.answered import Answered, Logits
from promptable.serving.interactor.refinement import Refinement

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
    refinement = Refinement()
    refinement.remember("picture", answered, LOGITS)
    logits = refinement.continued("picture" if same_picture else "other", then).low_res_logits
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
    refinement = Refinement()
    for number, clicks in enumerate([(A,), (A, B), (A, C)]):
        refinement.remember("picture", _prompt(*clicks), np.full((4, 4), number, np.float32))
    continued = refinement.continued("picture", _prompt(A, B, (3, 3, 1), (4, 4, 1)))
    assert continued.low_res_logits is not None
    assert continued.low_res_logits[0, 0] == 1


@pytest.mark.parametrize("order", [[0, 1], [1, 0]], ids=str)
def test_of_two_equally_long_prompts_the_one_with_more_negative_clicks_is_gone_on_from(order: list[int]) -> None:
    refinement = Refinement()
    for number in order:
        refinement.remember("picture", [_prompt(A, B), _prompt(A, C)][number], np.full((4, 4), number, np.float32))
    continued = refinement.continued("picture", _prompt(A, B, C))
    assert continued.low_res_logits is not None
    assert continued.low_res_logits[0, 0] == 1


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


def _told_apart() -> Callable[[Refinement, Prompt], Logits]:
    """A model whose every answer is another number, unless it is asked the very same."""
    numbers: dict[object, int] = {}

    def answer(refinement: Refinement, prompt: Prompt) -> Logits:
        continued = refinement.continued("picture", prompt)
        start = continued.low_res_logits
        asked = (prompt.points_xy.tobytes(), prompt.labels.tobytes(), None if start is None else start.tobytes())
        logits = np.full((4, 4), numbers.setdefault(asked, len(numbers)), np.float32)
        refinement.remember("picture", continued, logits)
        return logits

    return answer


def test_the_first_answer_to_a_prompt_is_kept() -> None:
    """One annotator makes two clicks at once, then another the same two, one by one."""
    answer, refinement = _told_apart(), Refinement()
    first = answer(refinement, _prompt(A, C))
    answer(refinement, _prompt(A))
    np.testing.assert_array_equal(answer(refinement, _prompt(A, C)), first)
    continued = refinement.continued("picture", _prompt(A, C, B))
    np.testing.assert_array_equal(continued.low_res_logits, first)


def test_an_answer_is_never_replaced() -> None:
    refinement = Refinement()
    refinement.remember("picture", _prompt(A), LOGITS)
    refinement.remember("picture", _prompt(A), 2 * LOGITS)
    np.testing.assert_array_equal(refinement.continued("picture", _prompt(A, B)).low_res_logits, LOGITS)


def test_no_more_is_kept_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CAPACITY_BYTES", 3 * LOGITS.nbytes)
    refinement = Refinement()
    for x in range(4):
        refinement.remember("picture", _prompt((x, 1, 1)), LOGITS)
    kept = [refinement.continued("picture", _prompt((x, 1, 1), C)).low_res_logits is not None for x in range(4)]
    assert kept == [False, True, True, True]


@pytest.mark.parametrize("start", [None, 2 * LOGITS], ids=["fresh", "refined"])
def test_an_answer_comes_back_from_its_bytes(start: Logits | None) -> None:
    found = Answered.from_bytes(Answered(LOGITS, start).to_bytes(), (4, 4))
    np.testing.assert_array_equal(found.logits, LOGITS)
    np.testing.assert_array_equal(found.start, start)
