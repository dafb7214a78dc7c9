"""What the model answered to the prompts before, so that a further click refines that answer as SAM was trained to."""

from collections.abc import Sequence
from dataclasses import replace
from threading import Lock

from cachetools import LRUCache

from promptable.models.segmentation.segmenter import Prompt
from promptable.serving.interactor.answered import Answered, Logits, key_of, shorter
from promptable.serving.interactor.shared_answers import SharedAnswers

_CAPACITY_BYTES = 64 * 2**20


class Refinement:
    """Recent answers' low-res logits, by the picture's digest and the exact prompt that they answered.

    A prompt goes on from the longest answered prompt that it contains; one that was answered before starts from where
    it started then, so that its answer is the same again. The first answer to a prompt is kept and never replaced.
    Nothing belongs to a user: two annotators share an answer only where all the clicks behind it are both's.
    """

    def __init__(self, shared: SharedAnswers | None = None) -> None:
        self._answered: LRUCache[str, Answered] = LRUCache(_CAPACITY_BYTES, getsizeof=lambda answer: answer.nbytes)
        self._lock = Lock()
        self._shared = shared

    def continued(self, digest: str, prompt: Prompt) -> Prompt:
        """The prompt, with the logits of the answer that it refines where there is one."""
        keys = [key_of(digest, each) for each in (prompt, *shorter(prompt))]
        found = self._first_of(keys)
        if found is None:
            return prompt
        key, answered = found
        return replace(prompt, low_res_logits=answered.start if key == keys[0] else answered.logits)

    def remember(self, digest: str, continued: Prompt, logits: Logits) -> None:
        """Keep the logits of the answer to a prompt that ``continued`` returned, unless there was an answer before."""
        key, answered = key_of(digest, continued), Answered(logits, continued.low_res_logits)
        if self._keep(key, answered) and self._shared is not None:
            self._shared.add(key, answered)

    def _first_of(self, keys: Sequence[str]) -> tuple[str, Answered] | None:
        """The first key that is answered, here or elsewhere; others are asked only for what comes before ours."""
        at_hand = self._at_hand(keys)
        earlier = keys if at_hand is None else keys[: keys.index(at_hand[0])]
        elsewhere = None if self._shared is None else self._shared.first_of(earlier)
        if elsewhere is not None:
            self._keep(*elsewhere)
        return elsewhere or at_hand

    def _at_hand(self, keys: Sequence[str]) -> tuple[str, Answered] | None:
        with self._lock:
            known = ((key, self._answered.get(key)) for key in keys)
            return next(((key, answered) for key, answered in known if answered is not None), None)

    def _keep(self, key: str, answered: Answered) -> bool:
        with self._lock:
            is_new = key not in self._answered
            if is_new:
                self._answered[key] = answered
            return is_new
