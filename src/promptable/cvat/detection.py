"""What a function found on a frame, in CVAT's terms."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from promptable.config.labels import REVIEW

RECTANGLE, POLYGON, MASK, TAG = "rectangle", "polygon", "mask", "tag"
SYNONYM_SCORE = "synonym_score"
"""The attribute with how well another prompt of the label fits, from 0 to 1, where that is known."""
MASK_SCORE = "mask_score"
"""The attribute with the segmenter's own estimate of a mask's IoU, from 0 to 1, where it says."""


@dataclass(frozen=True)
class Detection:
    """An object, or with type ``tag`` what the frame shows; ``score`` in [0, 1], None where nobody says it.

    ``points`` are CVAT's by ``type``: corners or an outline, flat x, y in picture pixels; run lengths with left, top,
    right, bottom; nothing for a tag. ``attributes`` are the function's own, name -> value, both texts. ``chosen`` is
    whether it is worth uploading, or only known.
    """

    label: str
    type: str
    score: float | None
    points: Sequence[float] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)
    chosen: bool = True

    @property
    def stored_score(self) -> float:
        """As CVAT stores it: 1 where nobody says it."""
        return 1.0 if self.score is None else self.score

    def is_below(self, score: float) -> bool:
        """Whether it is known to have a lower score."""
        return self.score is not None and self.score < score

    def is_doubtful(self, review_below: float) -> bool:
        """Whether somebody should look at it: by its score, or because the function says so."""
        return self.is_below(review_below) or self.attributes.get(REVIEW) == "true"
