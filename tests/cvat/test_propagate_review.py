"""Which frames of a followed object a person is shown."""

from promptable.cvat.geometry.position import Position
from promptable.cvat.propagate.review import Doubt, doubts


def _at(left: float, side: float = 20) -> Position:
    return Position("rectangle", (left, 10, left + side, 10 + side))


def test_lost_back_jumped_grown_and_shrunk_are_worth_a_look() -> None:
    found = [_at(0), _at(2), None, None, _at(50), _at(90), _at(90, 25), _at(90, 16), _at(91, 16)]
    assert [(doubt.frame, doubt.what) for doubt in doubts(enumerate(found))] == [
        (2, "lost"),
        (4, "back"),
        (5, "jumped"),
        (6, "grew"),
        (7, "shrank"),
    ]
    assert next(doubts(enumerate(found))).box == (2, 10, 22, 30), "where it was last"


def test_what_begins_lost_is_back_when_it_comes() -> None:
    assert list(doubts(enumerate([None, None, _at(3), _at(4)]))) == [Doubt(2, "back", (3, 10, 23, 30))]
