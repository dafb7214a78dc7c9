"""A further click goes on from the answer before; anything else starts fresh."""

import numpy as np

from promptable.models.segmenter import Prompt
from promptable.serving.refinement import Refinement

LOGITS = np.full((4, 4), 1.5, np.float32)
BOX = np.array([0, 0, 9, 9], np.float32)


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


def test_a_first_click_into_a_box_continues() -> None:
    assert _continues(_prompt(box=True), _prompt((1, 1, 1), box=True))


def test_another_picture_starts_fresh() -> None:
    assert not _continues(_prompt((1, 1, 1)), _prompt((1, 1, 1), (2, 2, 1)), same_picture=False)


def test_a_moved_or_removed_click_starts_fresh() -> None:
    assert not _continues(_prompt((1, 1, 1)), _prompt((1, 2, 1), (2, 2, 1)))
    assert not _continues(_prompt((1, 1, 1), (2, 2, 1)), _prompt((1, 1, 1)))
    assert not _continues(_prompt((1, 1, 1)), _prompt((1, 1, 1)))


def test_a_click_that_changed_its_sign_starts_fresh() -> None:
    assert not _continues(_prompt((1, 1, 1), (2, 2, 1)), _prompt((1, 1, 1), (2, 2, 0), (3, 3, 0)))


def test_a_new_box_starts_fresh() -> None:
    assert not _continues(_prompt((1, 1, 1)), _prompt((1, 1, 1), (2, 2, 1), box=True))
