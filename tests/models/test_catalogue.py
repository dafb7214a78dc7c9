"""Every official model is one row, and all that is said of models elsewhere belongs to a row."""

from importlib.util import find_spec
from urllib.parse import urlparse

import pytest

from promptable.models.catalogue import OFFICIAL, Checkpoint, Task, names
from promptable.models.grounding_dino.build import PRESETS as GROUNDING_DINO_SIZES
from promptable.models.mm_grounding_dino.build import PRESETS as MM_GROUNDING_DINO_SIZES
from promptable.models.sam.build import PRESETS as SAM_SIZES
from promptable.models.sam2.build import official_config


def test_the_tasks_of_the_official_models() -> None:
    sam2 = ("sam2.1-tiny", "sam2.1-small", "sam2.1-base-plus", "sam2.1-large")
    mm = ("mm-grounding-dino-tiny", "mm-grounding-dino-base", "mm-grounding-dino-large")
    assert names(Task.DETECTION) == ("swin-t", "swin-b", *mm, "llmdet-tiny", "llmdet-base", "llmdet-large")
    assert names(Task.SEGMENTATION) == ("vit_b", "vit_l", "vit_h", *sam2)
    assert names(Task.TRACKING) == sam2


def test_every_official_model_has_its_sizes() -> None:
    assert set(names(Task.DETECTION)) == {*GROUNDING_DINO_SIZES, *MM_GROUNDING_DINO_SIZES}
    assert set(names(Task.SEGMENTATION)) == {*SAM_SIZES, *names(Task.TRACKING)}
    assert all(official_config(name).is_file() for name in names(Task.TRACKING))


@pytest.mark.parametrize("checkpoint", OFFICIAL.values(), ids=OFFICIAL)
def test_a_row_is_complete(checkpoint: Checkpoint) -> None:
    for source in (checkpoint, *checkpoint.beside):
        assert urlparse(source.url).scheme == "https"
        assert source.sha256 is None or len(bytes.fromhex(source.sha256)) == 32
    assert checkpoint.millions is not None
    assert 2 * (checkpoint.size or 4_000_000 * checkpoint.millions) <= checkpoint.memory_gib * 2**30
    assert checkpoint.family.licence == "Apache-2.0"
    assert checkpoint.figure is None or urlparse(checkpoint.figure.source).scheme == "https"
    assert bool(checkpoint.family.threshold_source) == (Task.DETECTION in checkpoint.family.adapters)
    assert all(find_spec(module) for module in checkpoint.family.adapters.values())


def test_no_file_is_published_twice() -> None:
    assert len({checkpoint.file_name for checkpoint in OFFICIAL.values()}) == len(OFFICIAL)
    assert len({checkpoint.url for checkpoint in OFFICIAL.values()}) == len(OFFICIAL)
    known = [checkpoint.sha256 for checkpoint in OFFICIAL.values() if checkpoint.sha256]
    assert len(set(known)) == len(known)
