import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from promptable.errors import BadRequestError
from promptable.wire.masks import (
    mask_to_crop,
    mask_to_polygon,
    mask_to_rle,
    mask_to_xyxy,
    polygon_to_mask,
    rle_to_mask,
)
from tests.wire.samples import mask_of, masks

RING = mask_of("""
    ........
    ..####..
    ..#..#..
    ..####..
    ........
""")
L_SHAPE = mask_of("""
    #...
    ##..
""")
DIAGONAL = mask_of("""
    #..
    .#.
    ..#
""")


def test_run_lengths_of_a_ring():
    assert mask_to_rle(RING).tolist() == [0, 5, 2, 5, 2, 1, 5, 3]


def test_run_lengths_start_with_zeros():
    assert mask_to_rle(mask_of(".## #..")).tolist() == [1, 3, 2, 0, 0, 2, 1]


def test_the_run_lengths_of_a_recorded_mask():
    mask = rle_to_mask([1, 2, 1, 4, 1, 2, 1, 10, 20, 13, 22], (30, 20))
    np.testing.assert_array_equal(mask[20:23, 10:14], mask_of(".##. #### .##."))
    assert mask.sum() == 8


@pytest.mark.parametrize("points", [[0, 6, 1, 1, 3, 2], [0.0, 6.0, 1.0, 1.0, 3.0, 2.0], [0, 3, 0, 3, 0, 1, 1, 3, 2]])
def test_run_lengths_may_be_floats_and_may_hold_empty_runs(points):
    np.testing.assert_array_equal(rle_to_mask(points, (4, 5)), mask_of("..... .###. .###. ....."))


@given(masks())
def test_run_lengths_round_trip(mask):
    np.testing.assert_array_equal(rle_to_mask(mask_to_rle(mask), mask.shape), mask)


@given(masks(), st.integers(0, 2), st.booleans())
def test_any_memory_layout_gives_the_same(mask, offset, transposed):
    view = np.zeros((mask.shape[0] + 3, 2 * mask.shape[1] + 3), bool)[offset:, offset:]
    view = view[: mask.shape[0], : 2 * mask.shape[1] : 2]
    view[:] = mask
    if transposed:
        view, mask = view.T, np.ascontiguousarray(mask.T)
    np.testing.assert_array_equal(mask_to_rle(view), mask_to_rle(mask))
    assert mask_to_polygon(view) == mask_to_polygon(mask)
    np.testing.assert_array_equal(mask_to_crop(view).flat(), mask_to_crop(mask).flat())


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([], "expected run lengths and l, t, r, b, got 0 numbers"),
        ([0, 0, 0, 0], "expected run lengths and l, t, r, b, got 4 numbers"),
        ([0, 5, 1, 1, 3, 2], "expected run lengths that add up to 6, the box's area, got 5"),
        ([0, 7, 1, 1, 3, 2], "expected run lengths that add up to 6, the box's area, got 7"),
        ([-1, 7, 1, 1, 3, 2], "expected integers of at least 0, got -1"),
        ([0, 5.5, 0.5, 1, 1, 3, 2], "expected integers of at least 0, got 5.5"),
        ([0, 6, 3, 1, 1, 2], "expected l <= r and t <= b"),
        ([0, 6, 1, 2, 3, 1], "expected l <= r and t <= b"),
        ([0, 6, 1, 1, 3, -2], "expected integers of at least 0, got -2"),
    ],
)
def test_wrong_run_lengths_are_refused(points, message):
    with pytest.raises(BadRequestError, match=f"^shapes\\[3\\].points: {message}"):
        rle_to_mask(points, (4, 5), "shapes[3].points")


def test_a_huge_mask_takes_no_more_memory_than_the_picture():
    mask = rle_to_mask([3, 10**9 - 3, 0, 0, 10**9 - 1, 0], (4, 5))
    np.testing.assert_array_equal(mask, mask_of("...## ..... ..... ....."))


@given(masks(), st.integers(1, 12), st.integers(1, 12))
def test_what_reaches_outside_the_picture_is_cut_off(mask, height, width):
    padded = np.pad(mask, ((0, height), (0, width)))[:height, :width]
    np.testing.assert_array_equal(rle_to_mask(mask_to_rle(mask), (height, width)), padded)


def test_the_flattened_crop():
    assert mask_to_crop(RING).flat().tolist() == [1, 1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 1, 2, 1, 5, 3]


@given(masks())
def test_the_flattened_crop_is_the_tight_box(mask):
    crop = mask_to_crop(mask).flat()
    left, top, right, bottom = crop[-4:]
    np.testing.assert_array_equal(crop[:-4].reshape(bottom - top + 1, -1), mask[top : bottom + 1, left : right + 1])
    assert crop[:-4].sum() == mask.sum()


@given(masks())
def test_a_crop_goes_back_to_where_it_was(mask):
    np.testing.assert_array_equal(mask_to_crop(mask).in_picture(mask.shape), mask)


def test_the_box_is_in_continuous_coordinates():
    xyxy = mask_to_xyxy(RING)
    assert xyxy.dtype == np.float32
    assert xyxy.tolist() == [2, 1, 6, 4]


@pytest.mark.parametrize("convert", [mask_to_rle, mask_to_crop, mask_to_xyxy, mask_to_polygon])
def test_an_empty_mask_has_no_form(convert):
    with pytest.raises(ValueError, match="the mask is empty"):
        convert(np.zeros((4, 5), bool))


def corners(points):
    return set(zip(points[::2], points[1::2], strict=True))


def test_the_polygon_runs_along_pixel_edges():
    assert corners(mask_to_polygon(mask_of("... .#. ..."))) == {(1, 1), (2, 1), (2, 2), (1, 2)}
    assert corners(mask_to_polygon(L_SHAPE)) == {(0, 0), (1, 0), (1, 1), (2, 1), (2, 2), (0, 2)}


def test_the_polygon_drops_holes():
    assert corners(mask_to_polygon(RING)) == {(2, 1), (6, 1), (6, 4), (2, 4)}


def test_pixels_that_touch_at_a_corner_are_one_part():
    np.testing.assert_array_equal(polygon_to_mask(mask_to_polygon(DIAGONAL), (3, 3)), DIAGONAL)


def test_the_largest_part_counts_its_holes():
    mask = mask_of("""
        ####.......
        #..#.####..
        #..#.####..
        #..#.####..
        ####.......
    """)
    assert mask[:, :4].sum() == 14
    assert corners(mask_to_polygon(mask)) == {(0, 0), (4, 0), (4, 5), (0, 5)}


def filled_parts(mask):
    """The mask's parts (joined at sides and corners), each with its holes filled, by flood fill."""
    count, numbers = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    for number in range(1, count):
        around = np.pad(numbers != number, 1, constant_values=True).astype(np.uint8)
        outside = cv2.connectedComponents(around, connectivity=4)[1]
        yield (outside != outside[0, 0])[1:-1, 1:-1]


@settings(max_examples=400)
@given(masks())
def test_the_polygon_is_exactly_the_largest_part(mask):
    polygon = mask_to_polygon(mask)
    found = polygon_to_mask(polygon, mask.shape)
    parts = list(filled_parts(mask))
    assert found.sum() == max(part.sum() for part in parts)
    assert any((found == part).all() for part in parts)
    assert len(polygon) >= 8


@given(masks())
def test_the_polygon_has_no_needless_points(mask):
    xy = np.reshape(mask_to_polygon(mask), (-1, 2))
    before, after = xy - np.roll(xy, 1, 0), np.roll(xy, -1, 0) - xy
    assert (np.count_nonzero(before, axis=1) == 1).all()
    assert ((before * after).sum(1) == 0).all()


@given(masks(), st.sampled_from([0.5, 1.0, 2.5, 100.0]))
def test_a_simplified_polygon_keeps_three_points_of_the_outline(mask, tolerance):
    simple, exact = mask_to_polygon(mask, tolerance), mask_to_polygon(mask)
    assert 6 <= len(simple) <= len(exact)
    assert corners(simple) <= corners(exact)


def disc(hw, radius):
    rows, columns = np.ogrid[: hw[0], : hw[1]]
    return np.hypot(rows - hw[0] / 2, columns - hw[1] / 2) < radius


def test_a_simplified_disc_stays_close_with_far_fewer_points():
    mask = disc((200, 240), 80)
    simple = mask_to_polygon(mask, 1.0)
    again = polygon_to_mask(simple, mask.shape)
    assert (mask & again).sum() / (mask | again).sum() > 0.97
    assert len(simple) < len(mask_to_polygon(mask)) / 4


def test_a_picture_of_4k_is_exact():
    mask = disc((2160, 3840), 1000.3)
    np.testing.assert_array_equal(polygon_to_mask(mask_to_polygon(mask), mask.shape), mask)
    np.testing.assert_array_equal(rle_to_mask(mask_to_rle(mask), mask.shape), mask)


def inside_by_definition(xy, hw):
    """Even-odd at every pixel centre, by counting the edges that a ray to the right crosses."""
    rows, columns = np.mgrid[: hw[0], : hw[1]] + 0.5
    inside = np.zeros(hw, bool)
    for (x1, y1), (x2, y2) in zip(xy, np.roll(xy, -1, 0), strict=True):
        if y1 != y2:
            crosses = (rows >= min(y1, y2)) & (rows < max(y1, y2))
            inside ^= crosses & (columns >= x1 + (rows - y1) / (y2 - y1) * (x2 - x1))
    return inside


@given(hnp.arrays(np.float64, st.tuples(st.integers(3, 9), st.just(2)), elements=st.integers(-60, 180)))
def test_polygons_fill_by_even_odd_at_pixel_centres(grid):
    xy = grid / 10 + (np.sqrt(2) / 100, np.pi / 100)  # irrational: no edge meets a pixel centre, where rounding decides
    np.testing.assert_array_equal(polygon_to_mask(xy.ravel(), (11, 13)), inside_by_definition(xy, (11, 13)))


def test_a_polygon_is_cut_off_at_the_picture():
    assert polygon_to_mask([-50, -50, 90, -50, 90, 90, -50, 90], (4, 5)).all()
    assert not polygon_to_mask([10, 10, 20, 10, 20, 20], (4, 5)).any()


def test_a_five_pointed_star_is_hollow():
    angles = np.arange(5) * 4 * np.pi / 5
    mask = polygon_to_mask(np.stack([50 + 45 * np.sin(angles), 50 - 45 * np.cos(angles)], 1).ravel(), (100, 100))
    assert not mask[50, 50]
    assert mask[10, 50]


def test_an_endless_outline_is_refused():
    xs = np.arange(20_000) % 7
    ys = np.arange(20_000) % 2 * 2000.0
    with pytest.raises(BadRequestError, match=r"^points: expected the outline of one object"):
        polygon_to_mask(np.stack([xs, ys], 1).ravel(), (2000, 2000))
