"""Where a GPU's memory is too small, the request is done in smaller parts or refused, and the process goes on.

The memory is a real GPU's, of which this process allows itself only a part.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import torch
from torch import Tensor

from promptable.errors import OutOfMemoryError
from promptable.models.load import load_video_tracker
from promptable.models.runtime.out_of_memory import in_batches
from promptable.models.sam2.object_results import ObjectResult
from promptable.models.sam2.video_prompts import MaskPrompt
from tests.functions.conftest import TOY, Function, new_detector
from tests.functions.requests import SCENE, good_request
from tests.golden.alike import assert_alike
from toy.png import png_base64

CUDA = torch.device("cuda")
LARGE = SCENE.image.repeat(8, 0).repeat(8, 1)
"""28 MB."""
_SEGMENT = 20 * 2**20
"""What PyTorch takes from the GPU at a time, for anything of 1 to 10 MB."""
WITHOUT_GRAPHS = {"PROMPTABLE_DEVICE": "cuda", "PROMPTABLE_CUDA_GRAPHS": "false"}


@contextmanager
def _room_for(nbytes: int) -> Iterator[None]:
    """Inside, this process gets no more of the GPU's memory than this beside what is in use."""
    torch.cuda.empty_cache()
    _allow(0)
    left_over = _all_that_is_free()
    _allow(nbytes)
    try:
        yield
    finally:
        left_over.clear()
        torch.cuda.set_per_process_memory_fraction(1.0)


def _allow(nbytes: int) -> None:
    total = torch.cuda.get_device_properties(CUDA).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + nbytes) / total)


def _all_that_is_free() -> list[Tensor]:
    """Of what PyTorch has taken from the GPU already, as it keeps a block of which any part is in use."""
    taken: list[Tensor] = []
    for size in (2**24, 2**22, 2**20):
        with suppress(torch.OutOfMemoryError):
            while True:
                taken.append(torch.empty(size, dtype=torch.uint8, device=CUDA))
    return taken


def _times_out_of_memory() -> int:
    return int(torch.cuda.memory_stats()["num_ooms"])


def test_a_batch_that_does_not_fit_is_halved() -> None:
    tried: list[int] = []

    def run(batch: Sequence[int]) -> list[int]:
        tried.append(len(batch))
        held = torch.ones(len(batch), 2**26, dtype=torch.uint8, device=CUDA)
        return (held[:, 0].cpu() * torch.tensor(batch)).tolist()

    with _room_for(3 * 2**26):
        assert in_batches(range(8), run, 8) == [*range(8)]
    assert tried == [8, 4, 2, 2, 2, 2]


def test_one_that_does_not_fit_is_an_error_and_the_next_one_is_done() -> None:
    def run(batch: Sequence[int]) -> list[int]:
        return [int(torch.ones(size, dtype=torch.uint8, device=CUDA)[-1]) for size in batch]

    with _room_for(2**26):
        with pytest.raises(OutOfMemoryError, match="not enough memory"):
            in_batches([2**28], run, 1)
        assert in_batches([2**25], run, 1) == [1]


def test_many_objects_are_tracked_in_smaller_batches() -> None:
    tracker = load_video_tracker(str(TOY / "sam2"), TOY, "cuda")
    features = tracker.encode_image(LARGE)
    prompts = [MaskPrompt(SCENE.objects[-1].mask.repeat(8, 0).repeat(8, 1))] * 16

    def started(count: int) -> tuple[list[ObjectResult], int]:
        """And how much memory it took."""
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        results = tracker.start(features, prompts[:count])
        return results, torch.cuda.max_memory_allocated() - before

    started(1)  # what libraries keep from then on
    (expected, for_all), (_, for_two) = started(16), started(2)
    room = 2 * for_two + _SEGMENT
    assert for_all > room, "or this shows nothing"
    before = _times_out_of_memory()
    with _room_for(room):
        found = tracker.start(features, prompts)
    assert _times_out_of_memory() > before
    for ours, wanted in zip(found, expected, strict=True):
        assert (ours.mask != wanted.mask).mean() < 1e-4


@pytest.mark.parametrize("function", ["sam-interactor", "sam2-tracker"])
def test_a_picture_that_does_not_fit_is_a_507_and_the_next_one_is_answered(function: str) -> None:
    loaded = Function(function, WITHOUT_GRAPHS | {"PROMPTABLE_MODEL": str(TOY / "sam2")})
    body = good_request(function.partition("-")[2])
    expected = loaded.answer(body)
    with _room_for(0):
        refused = loaded.post(body | {"image": png_base64(LARGE)})
    assert refused.status_code == 507
    assert "memory" in refused.body
    again = loaded.answer(body)
    assert_alike(again["shapes"], expected["shapes"])
    assert loaded.answer(body | {"image": png_base64(LARGE)}), "as soon as there is room"


def test_a_picture_for_boxes_goes_to_the_cpu(tmp_path: Path) -> None:
    labels = [{"name": SCENE.objects[-1].label, "type": "mask"}]
    function = new_detector(tmp_path, labels, **WITHOUT_GRAPHS, PROMPTABLE_CPU_FALLBACK="true")
    body = {"image": png_base64(LARGE), "threshold": 0.05}
    with _room_for(0):
        slowly = function.answer(body)
    assert "not enough memory for" in function.log.getvalue()
    other = new_detector(tmp_path, labels, **WITHOUT_GRAPHS).answer(body)
    assert len(slowly) == len(other) > 0
