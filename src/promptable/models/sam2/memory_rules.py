"""Which of an object's frames a step attends to: the rules to choose from, each a frozen value.

SAM 2 remembers the last frames whatever they show, so that an occlusion fills its memory with frames of nothing, and a
look-alike with frames of something else. Two rules of the literature need no training:

- ``visible``, the rule of SAM 3's tracker: a frame counts where the object is surely seen in it. The last that count
  are taken, however long ago they were, and stand where the last frames would stand.
- ``distractor`` (Videnovic et al., "A Distractor-Aware Memory for Visual Object Tracking with SAM2", CVPR 2025): recent
  memory as above; and a few frames in which the mask was sure and steady although the model saw something alike beside
  it. They take places of recent frames, so that a step costs no more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from types import MappingProxyType

from promptable.models.sam2.memory import Memory
from promptable.models.sam2.track_memory import TrackMemory

# When a frame is taken into the distractor memory.
_SURE_IOU = 0.8
_STEADY = 0.2
_STEADY_OVER = 10
_APART = 5


@dataclass(frozen=True)
class Capacity:
    """What a model has room for: prompted frames, the features of recent frames, the pointers of recent frames."""

    prompted: int
    features: int
    pointers: int


@dataclass(frozen=True)
class Attended:
    """A memory as a step attends to it: as one of so many steps ago, or as a prompted frame, which has no age.

    The age of a pointer counts even so. The features are None where the step attends to the pointer alone.
    """

    memory: Memory
    steps_ago: int
    ageless: bool


@dataclass(frozen=True)
class MemoryRule:
    """Which frames become memory beside those that were prompted.

    ``least_score``: a frame counts only if its evidence's score is above, or it is the last one; None lets each of the
    last frames count. ``distractors``: the size of the distractor memory.
    """

    least_score: float | None = None
    distractors: int = 0

    def attended(self, step: int, memories: Sequence[Memory], capacity: Capacity) -> list[Attended]:
        """What ``step`` attends to of memories, oldest first: the ageless, and then the recent.

        Of too many prompted frames the nearest count as such, and the others as any frame, as upstream has it.
        """
        prompted = [memory for memory in memories if memory.conditioning]
        ageless = [*prompted[-capacity.prompted :], *self._distractors(memories)]
        others = [memory for memory in memories if memory not in ageless]
        room = capacity.features - len(self._distractors(memories))
        return [
            *(Attended(memory, step - memory.step, ageless=True) for memory in ageless),
            *(
                Attended(memory if ago <= room else replace(memory, features=None), ago, ageless=False)
                for ago, memory in self._recent(step, others)
                if ago <= capacity.pointers
            ),
        ]

    def is_distractor(self, memory: Memory, past: Sequence[Memory]) -> bool:
        """Whether an object's newest memory goes into the distractor memory; ``past`` is what it remembered before."""
        if not self.distractors or memory.conditioning:
            return False
        areas = [one.evidence.area for one in past if one.evidence.area > 0][-_STEADY_OVER:]
        taken = max(one.step for one in past if one.conditioning or one.distractor)
        return (
            memory.evidence.rival
            and memory.evidence.iou > _SURE_IOU
            and memory.step - taken > _APART
            and bool(areas)
            and abs(memory.evidence.area - median(areas)) <= _STEADY * median(areas)
        )

    def _distractors(self, memories: Sequence[Memory]) -> list[Memory]:
        taken = [memory for memory in memories if memory.distractor and memory.features is not None]
        return taken[max(0, len(taken) - self.distractors) :]

    def _recent(self, step: int, memories: Sequence[Memory]) -> list[tuple[int, Memory]]:
        """The memories that count, oldest first, each with how many steps ago it stands."""
        if self.least_score is None:
            return [(step - memory.step, memory) for memory in memories]
        counting = [one for one in memories if one.evidence.score > self.least_score or one.step == step - 1]
        return [(len(counting) - position, memory) for position, memory in enumerate(counting)]


RULES: Mapping[TrackMemory, MemoryRule] = MappingProxyType(
    {
        TrackMemory.ALL: MemoryRule(),
        TrackMemory.VISIBLE: MemoryRule(least_score=0.01),
        TrackMemory.DISTRACTOR: MemoryRule(least_score=0.01, distractors=3),
    }
)
"""``all`` is upstream's."""
