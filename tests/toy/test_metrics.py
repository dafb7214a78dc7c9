"""The demo's own measures, on cases that can be checked by hand."""

import numpy as np
import pytest

from toy.metrics import box_iou, f1, mask_iou, match, mean


def _box(*xyxy: float) -> np.ndarray:
    return np.array(xyxy, np.float32)


def test_mask_iou() -> None:
    a, b = np.zeros((2, 4), bool), np.zeros((2, 4), bool)
    assert mask_iou(a, b) == 1
    a[0, :3], b[0, 1:] = True, True
    assert mask_iou(a, b) == 0.5
    assert mask_iou(a, ~a) == 0


def test_box_iou() -> None:
    assert box_iou(_box(0, 0, 2, 2), _box(1, 0, 3, 2)) == pytest.approx(1 / 3)
    assert box_iou(_box(0, 0, 1, 1), _box(5, 5, 6, 6)) == 0


def test_a_truth_is_matched_once_by_the_strongest_of_its_label() -> None:
    found = [("car", _box(0, 0, 10, 10)), ("car", _box(0, 0, 10, 9)), ("bus", _box(20, 0, 30, 10))]
    truth = [("bus", _box(0, 0, 10, 10)), ("car", _box(0, 0, 10, 10)), ("bus", _box(24, 0, 40, 10))]
    assert match(found, truth) == [(0, 1)]


def test_f1_and_mean() -> None:
    assert f1(matched=3, found=4, true=6) == pytest.approx(2 * (3 / 4) * (3 / 6) / (3 / 4 + 3 / 6))
    assert f1(0, 0, 0) == 1
    assert mean([1, 2, 3]) == 2
    assert mean([]) == 0
