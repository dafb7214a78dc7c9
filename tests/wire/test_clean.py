from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from promptable.wire.clean import BOX_MARGIN, Cleaning, box_of_parts, within_box
from promptable.wire.masks import MaskCrop, mask_to_crop, mask_to_xyxy
from tests.wire.samples import mask_of

MASK = mask_of("""
    ##...........
    .............
    ..#######....
    ..#.###.#....
    ..###.###..##
    ..######..###
    ..#######....
    .........#...
""")
WITHOUT_SPECKS = mask_of("""
    .............
    .............
    ..#######....
    ..#.###.#....
    ..###.###..##
    ..######..###
    ..#######....
    .........#...
""")
LARGEST = mask_of("""
    .............
    .............
    ..#######....
    ..#.###.#....
    ..###.###....
    ..######.....
    ..#######....
    .........#...
""")


def test_nothing_is_done_unless_asked_for():
    assert Cleaning().apply(MASK) is MASK


def test_small_parts_go():
    np.testing.assert_array_equal(Cleaning(remove_specks=2).apply(MASK), WITHOUT_SPECKS)
    np.testing.assert_array_equal(Cleaning(remove_specks=1).apply(MASK), MASK)


def test_the_largest_part_stays_whatever_its_size():
    np.testing.assert_array_equal(Cleaning(remove_specks=1000).apply(MASK), LARGEST)
    np.testing.assert_array_equal(Cleaning(largest_part_only=True).apply(MASK), LARGEST)


def test_small_holes_are_filled():
    ring = mask_of("""
        #####.
        #...#.
        #####.
        #.#...
    """)
    filled = mask_of("""
        #####.
        #####.
        #####.
        #.#...
    """)
    np.testing.assert_array_equal(Cleaning(fill_holes=2).apply(ring), ring)
    np.testing.assert_array_equal(Cleaning(fill_holes=3).apply(ring), filled)


def test_background_at_the_pictures_border_is_no_hole():
    corner = mask_of("""
        .##
        ###
        ###
    """)
    np.testing.assert_array_equal(Cleaning(fill_holes=100).apply(corner), corner)


def test_smoothing_takes_off_what_sticks_out_and_keeps_the_rest():
    block = np.zeros((40, 40), bool)
    block[10:30, 10:30] = True
    frayed = block.copy()
    frayed[20, 30:33] = True
    frayed[15, 10] = False
    smooth = Cleaning(smooth_edges=1.5).apply(frayed)
    assert not smooth[20, 31:].any()
    assert smooth[15, 10]
    assert (smooth != block).sum() < 20, "only the corners are rounded"


def test_a_line_too_thin_to_smooth_stays():
    line = np.zeros((9, 9), bool)
    line[4] = True
    np.testing.assert_array_equal(Cleaning(smooth_edges=3).apply(line), line)


@pytest.mark.parametrize("cleaning", [Cleaning(9, 9, True, 2.0), Cleaning(fill_holes=5), Cleaning(remove_specks=5)])
def test_an_empty_mask_stays_empty_and_a_full_one_full(cleaning):
    empty = np.zeros((6, 7), bool)
    assert not cleaning.apply(empty).any()
    assert cleaning.apply(~empty).all()
    assert cleaning.apply(mask_of("#")).all()


def masks():
    """Random masks of every density inside a larger picture, at its borders too."""
    inner = arrays(np.bool_, st.tuples(st.integers(1, 24), st.integers(1, 24)))
    margins = st.tuples(*[st.integers(0, 6)] * 4)
    return st.builds(lambda mask, edges: np.pad(mask, (edges[:2], edges[2:])), inner, margins)


CLEANINGS = st.builds(
    Cleaning, st.integers(0, 9), st.integers(0, 9), st.booleans(), st.sampled_from([0.0, 0.5, 1.0, 2.5, 9.0])
)


@given(masks(), CLEANINGS)
@settings(max_examples=500)
def test_only_the_masks_box_is_looked_at_and_the_whole_picture_would_give_the_same(mask, cleaning):
    whole = cleaning._apply(mask) if mask.any() else mask
    np.testing.assert_array_equal(cleaning.apply(mask), whole)


def test_a_wide_blur_at_the_pictures_border_is_the_same_too():
    for seed in range(20):
        random = np.random.default_rng(seed)
        mask = np.zeros((150, 170), bool)
        top, left = random.integers(0, 90, 2)
        mask[top : top + 60, left : left + 80] = cv2.resize(random.random((7, 9)), (80, 60)) > 0.4
        cleaning = Cleaning(20, 20, False, random.uniform(1, 40))
        np.testing.assert_array_equal(cleaning.apply(mask), cleaning._apply(mask))


BOX = np.array([2, 2, 9, 8], np.float32)
"""Around the largest part of MASK, but for the pixel that hangs from it."""


def inside(mask, xyxy, margin=BOX_MARGIN):
    return within_box(mask, xyxy, margin).in_picture(mask.shape)


def test_what_lies_outside_a_box_goes():
    expected = LARGEST.copy()
    expected[:, 9:] = False
    np.testing.assert_array_equal(inside(MASK, BOX, 0), expected)


def test_the_box_is_slightly_enlarged():
    np.testing.assert_array_equal(inside(MASK, BOX), LARGEST)
    np.testing.assert_array_equal(inside(MASK, BOX, margin=2.5 / 7)[:, :12], MASK[:, :12])


def test_what_is_inside_a_box_does_not_hold_the_picture():
    assert within_box(MASK, BOX).pixels.base is None


def test_a_pixel_that_the_box_touches_is_in_it():
    assert inside(np.ones((4, 4), bool), np.array([1.9, 1, 2.1, 2], np.float32), 0).sum() == 2


@given(masks(), st.lists(st.floats(-5, 40, width=32), min_size=4, max_size=4, unique=True))
def test_nothing_inside_a_box_changes(mask, numbers):
    (x1, x2), (y1, y2) = sorted(numbers[:2]), sorted(numbers[2:])
    kept = inside(mask, np.array([x1, y1, x2, y2], np.float32))
    rows, columns = np.nonzero(mask & ~kept)
    assert not (kept & ~mask).any()
    assert ((columns + 1 <= x1) | (columns >= x2) | (rows + 1 <= y1) | (rows >= y2)).all()


@given(masks(), st.lists(st.integers(0, 30), min_size=4, max_size=4, unique=True), CLEANINGS)
@settings(max_examples=500)
def test_cleaned_inside_a_box_a_mask_is_the_same_as_cleaned_in_the_whole_picture(mask, numbers, cleaning):
    (x1, x2), (y1, y2) = sorted(numbers[:2]), sorted(numbers[2:])
    part = within_box(mask, np.array([x1, y1, x2, y2], np.float32))
    whole = cleaning.apply(part.in_picture(mask.shape))
    np.testing.assert_array_equal(replace(part, pixels=cleaning.apply(part.pixels)).in_picture(mask.shape), whole)


@pytest.mark.parametrize(
    ("least", "xyxy"), [(2 / 32, [0, 0, 13, 8]), (0.1, [2, 2, 13, 8]), (5 / 32, [2, 2, 13, 8]), (0.2, [2, 2, 10, 8])]
)
def test_a_box_is_around_the_parts_that_are_not_too_small_beside_the_largest(least, xyxy):
    assert box_of_parts(MaskCrop(MASK, 0, 0), least).tolist() == xyxy
    assert box_of_parts(MaskCrop(MASK, 30, 500), least).tolist() == np.add(xyxy, [30, 500, 30, 500]).tolist()


@given(masks().filter(np.any))
def test_a_box_around_all_parts_is_the_masks_own(mask):
    np.testing.assert_array_equal(box_of_parts(mask_to_crop(mask), 0), mask_to_xyxy(mask))
