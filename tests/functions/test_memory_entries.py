"""What the tracker keeps of a memory: it comes back from its bytes, and its size is what it takes."""

import psutil
import pytest
import torch

from promptable.models.sam2.evidence import Evidence
from promptable.models.sam2.memory import Memory, MemoryFeatures
from promptable.serving.tracker.entries import MemoryEntry, PointerEntry, features_key, pointer_key, read_entry
from promptable.store.entry_store import InProcessStore

FEATURES = torch.arange(24.0).reshape(2, 3, 4).bfloat16()


def pointer(step: int = 7) -> PointerEntry:
    evidence = Evidence(score=0.25, iou=step + 0.5, area=1000 + step, rival=True)
    return PointerEntry(bytes(range(16)), Memory(step, False, torch.arange(256.0), None, evidence))


def test_entries_come_back_from_their_bytes() -> None:
    found = read_entry(pointer_key("model", "name"), pointer().to_bytes())
    assert isinstance(found, PointerEntry)
    assert (found.digest, found.memory.step, found.memory.evidence) == (bytes(range(16)), 7, pointer().memory.evidence)
    assert torch.equal(found.memory.pointer, pointer().memory.pointer)
    features = read_entry(features_key("model", "name"), MemoryFeatures(FEATURES).to_bytes())
    assert isinstance(features, MemoryFeatures)
    assert torch.equal(features.values, FEATURES)


def test_neither_is_read_as_the_other() -> None:
    for key, entry in ((pointer_key("m", "n"), MemoryFeatures(FEATURES)), (features_key("m", "n"), pointer())):
        with pytest.raises(ValueError, match="memory"):
            read_entry(key, entry.to_bytes())


def test_a_part_of_something_larger_counts_as_all_of_it() -> None:
    batch = torch.zeros(10, 64, 64, 64, dtype=torch.bfloat16)
    assert MemoryFeatures(batch[0]).nbytes > batch.nbytes
    assert MemoryFeatures(batch[0].clone()).nbytes < batch.nbytes / 9


def test_a_store_takes_no_more_memory_than_it_counts() -> None:
    """Of pointers, which are so small that what comes beside their numbers is most of it."""
    process, count = psutil.Process(), 20_000
    store: InProcessStore[MemoryEntry] = InProcessStore(2**30)
    store.put({pointer_key("0" * 16, f"{-1:016}"): pointer()})
    before = process.memory_info().rss
    for number in range(count):
        store.put({pointer_key("0" * 16, f"{number:016}"): pointer(number)})
    assert process.memory_info().rss - before <= count * pointer().nbytes
