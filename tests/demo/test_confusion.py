import numpy as np

from demo.confusion import MISSED, NOTHING, Confusion


def _box(*xyxy: float) -> np.ndarray:
    return np.array(xyxy, np.float32)


def test_objects_are_counted_by_what_they_were_taken_for() -> None:
    confusion = Confusion()
    truth = [("cat", _box(0, 0, 10, 10)), ("dog", _box(20, 0, 30, 10)), ("dog", _box(40, 0, 50, 10))]
    found = [("cat", _box(20, 0, 30, 9)), ("cat", _box(0, 0, 10, 9)), ("dog", _box(0, 50, 9, 60))]
    confusion.add(found, truth)
    assert confusion.counts == {("cat", "cat"): 1, ("dog", "cat"): 1, ("dog", MISSED): 1, (NOTHING, "dog"): 1}
    assert confusion.rows(["cat", "dog"]) == [("cat", [1, 0, 0]), ("dog", [1, 0, 1]), (NOTHING, [0, 1, 0])]
    assert confusion.right == 0.5


def test_nothing_found_and_nothing_there() -> None:
    confusion = Confusion()
    confusion.add([], [])
    assert (confusion.right, dict(confusion.counts)) == (0, {})
