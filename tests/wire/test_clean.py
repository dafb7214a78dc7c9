import numpy as np
import pytest

from promptable.wire.clean import Cleaning
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
