"""Every official model is one row, and all that is said of models elsewhere belongs to a row."""

from importlib.util import find_spec
from urllib.parse import urlparse

import pytest

from promptable.models.catalogue import OFFICIAL, Checkpoint, Task, names
from promptable.models.grounding_dino.build import PRESETS as GROUNDING_DINO_SIZES
from promptable.models.sam.build import PRESETS as SAM_SIZES
from promptable.models.sam2.build import official_config


def test_the_tasks_of_the_official_models() -> None:
    sam2 = ("sam2.1-tiny", "sam2.1-small", "sam2.1-base-plus", "sam2.1-large")
    assert names(Task.DETECTION) == ("swin-t", "swin-b")
    assert names(Task.SEGMENTATION) == ("vit_b", "vit_l", "vit_h", *sam2)
    assert names(Task.TRACKING) == sam2


def test_every_official_model_has_its_sizes() -> None:
    assert set(names(Task.DETECTION)) == set(GROUNDING_DINO_SIZES)
    assert set(names(Task.SEGMENTATION)) == {*SAM_SIZES, *names(Task.TRACKING)}
    assert all(official_config(name).is_file() for name in names(Task.TRACKING))


@pytest.mark.parametrize("checkpoint", OFFICIAL.values(), ids=OFFICIAL)
def test_a_row_is_complete(checkpoint: Checkpoint) -> None:
    for source in (checkpoint, *checkpoint.beside):
        assert urlparse(source.url).scheme == "https"
        assert len(bytes.fromhex(source.sha256)) == 32
    assert checkpoint.size is None or 2 * checkpoint.size <= checkpoint.memory_gib * 2**30
    assert checkpoint.family.licence == "Apache-2.0"
    assert all(find_spec(module) for module in checkpoint.family.adapters.values())


def test_no_file_is_published_twice() -> None:
    assert len({checkpoint.file_name for checkpoint in OFFICIAL.values()}) == len(OFFICIAL)
    assert len({checkpoint.sha256 for checkpoint in OFFICIAL.values()}) == len(OFFICIAL)
