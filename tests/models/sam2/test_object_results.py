"""Reading what the model says of objects: right masks, whatever the size of the frame, in bounded memory."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from promptable.models.sam2.object_results import ObjectResult, read_results
from promptable.models.segmentation import enlarging

HW = (90, 160)
OBJECTS = 5


def _results(device: torch.device) -> tuple[Tensor, list[ObjectResult]]:
    random = torch.Generator().manual_seed(0)
    low_res = torch.randn(OBJECTS, 1, 16, 16, generator=random)
    rest = [torch.randn(OBJECTS, *shape, generator=random) for shape in ((1,), (8,), (4, 4, 4), (4,))]
    scores, pointers, features, evidence = (each.to(device) for each in rest)
    found = [low_res.to(device), scores, pointers, features]
    return low_res, read_results(HW, found, evidence, [0] * OBJECTS, conditioning=True)


def test_masks_are_enlarged_a_few_at_a_time(cuda: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixteen objects on 100 megapixels would take 6 GB of logits together."""
    pixels: list[int] = []

    plain = F.interpolate

    def interpolate(logits: Tensor, hw: tuple[int, int], **given: Any) -> Tensor:
        enlarged = plain(logits, hw, **given)
        pixels.append(enlarged.numel())
        return enlarged

    one = HW[0] * HW[1]
    monkeypatch.setattr(enlarging, "_PIXELS_AT_ONCE", 2 * one)
    monkeypatch.setattr(F, "interpolate", interpolate)
    for device, groups in ((torch.device("cpu"), [one] * OBJECTS), (cuda, [2 * one, 2 * one, one])):
        pixels.clear()
        low_res, results = _results(device)
        assert pixels == groups
        whole = plain(low_res, HW, mode="bilinear", align_corners=False)[:, 0] > 0
        assert all(torch.equal(torch.from_numpy(one.mask), mask) for one, mask in zip(results, whole, strict=True))
