import numpy as np
import pytest
import torch
from hypothesis import given
from numpy.typing import NDArray

from promptable.models.segmentation.mask_boxes import mask_boxes, read_boxes
from promptable.wire.masks import mask_to_crop
from tests.wire.samples import masks


@given(masks())
def test_a_box_found_on_the_device_is_the_one_that_a_search_of_the_mask_finds(mask: NDArray[np.bool_]) -> None:
    found, empty = read_boxes(mask_boxes(torch.from_numpy(np.stack([mask, np.zeros_like(mask)]))))
    assert found is not None
    assert empty is None
    ours, searched = mask_to_crop(mask, found), mask_to_crop(mask)
    assert ours.ltrb == searched.ltrb
    np.testing.assert_array_equal(ours.pixels, searched.pixels)


@pytest.mark.parametrize("shape", [(1, 4, 6), (2, 3, 4, 6)])
def test_boxes_come_in_the_form_of_the_masks(shape: tuple[int, ...]) -> None:
    picture = torch.zeros(shape, dtype=torch.bool)
    picture[..., 1:3, 2:5] = True
    assert (mask_boxes(picture) == torch.tensor([2, 1, 5, 3])).all()
    assert mask_boxes(picture).shape == (*shape[:-2], 4)
