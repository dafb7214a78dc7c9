"""A set of labels, with values that the detector derives from it once."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from threading import Lock

from cachetools import LRUCache

from promptable.config import labels as labelling
from promptable.config.labels import Label, LabelError
from promptable.errors import BadRequestError
from promptable.serving.detector.models import MASKED, Models

_SETS_KEPT = 8
_MOST_PROMPTS = 4000
_MOST_CHARACTERS = 500
"""The most characters of an error sentence about labels."""


@dataclass(frozen=True)
class LabelSet:
    """Labels that the model can read. ``key`` is a digest of all prompts: equal prompts find equal boxes."""

    labels: tuple[Label, ...]

    @cached_property
    def prompts(self) -> tuple[str, ...]:
        """All prompts, label after label."""
        return tuple(prompt for label in self.labels for prompt in label.prompts)

    @cached_property
    def label_of_prompt(self) -> Sequence[int]:
        """The index of each prompt's label."""
        return [number for number, label in enumerate(self.labels) for _ in label.prompts]

    @cached_property
    def key(self) -> str:
        return blake2b(json.dumps(self.prompts).encode(), digest_size=16).hexdigest()

    @cached_property
    def needs_masks(self) -> bool:
        """Whether a label is answered as a mask or polygon."""
        return any(label.type in MASKED for label in self.labels)

    def check(self, models: Models) -> None:
        """Raise LabelError for a prompt that the model cannot read, or cannot tell from another label's prompt."""
        labelling.check_spelling(self.labels, models.detector.spell)


class RequestedLabels:
    """The label sets of requests: each is checked once, the latest 8 are kept and found again by content."""

    def __init__(self, models: Models) -> None:
        self._models = models
        self._sets: LRUCache[str, LabelSet] = LRUCache(_SETS_KEPT)
        self._lock = Lock()

    def get(self, entries: Sequence[object]) -> LabelSet:
        """The label set of these entries, which are as in ``labels.yaml``. Raises BadRequestError for wrong entries.

        If a label needs masks, this loads the mask model.
        """
        try:
            content = blake2b(json.dumps(entries, default=str).encode(), digest_size=16).hexdigest()
            with self._lock:
                if content not in self._sets:
                    self._sets[content] = self._checked(entries)
                return self._sets[content]
        except RecursionError:
            raise BadRequestError("labels: expected names and mappings, got lists within lists without end") from None

    def _checked(self, entries: Sequence[object]) -> LabelSet:
        try:
            labels = LabelSet(labelling.parse(list(entries)))
            if len(labels.prompts) > _MOST_PROMPTS:
                raise LabelError(f"expected at most {_MOST_PROMPTS} prompts, got {len(labels.prompts)}")
            labels.check(self._models)
            if labels.needs_masks:
                self._models.segmenter()
        except LabelError as error:
            raise BadRequestError(f"labels: {_shortened(str(error))}") from None
        except FileNotFoundError as error:
            raise BadRequestError(f"labels: types mask and polygon need the mask model, and {error}") from None
        return labels


def _shortened(sentence: str) -> str:
    """The sentence, shortened: it may quote the request, and answer and log should stay short."""
    return sentence if len(sentence) <= _MOST_CHARACTERS else f"{sentence[:_MOST_CHARACTERS]} ..."
