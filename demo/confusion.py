"""What objects were taken for: a table of true labels against answered ones."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from toy.metrics import Box, match

MISSED, NOTHING = "missed", "nothing there"


@dataclass
class Confusion:
    """How often an object of one label was answered as another, by boxes that overlap by an IoU of at least 0.5.

    An object without a box counts as ``MISSED``, a box without an object as found where ``NOTHING`` is.
    """

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, found: Sequence[tuple[str, Box]], truth: Sequence[tuple[str, Box]]) -> None:
        """Count one picture; ``found`` comes strongest first."""
        pairs = dict(match([("", box) for _, box in found], [("", box) for _, box in truth]))
        matched = set(pairs.values())
        self.counts.update((truth[j][0], found[i][0]) for i, j in pairs.items())
        self.counts.update((label, MISSED) for j, (label, _) in enumerate(truth) if j not in matched)
        self.counts.update((NOTHING, label) for i, (label, _) in enumerate(found) if i not in pairs)

    def rows(self, labels: Sequence[str]) -> list[tuple[str, list[int]]]:
        """For each label and for ``NOTHING`` the counts by answered label, ``MISSED`` last."""
        answers = (*labels, MISSED)
        return [(label, [self.counts[label, answer] for answer in answers]) for label in (*labels, NOTHING)]

    @property
    def right(self) -> float:
        """Share of the found objects that have their own label; 0 of none."""
        found = {pair: count for pair, count in self.counts.items() if NOTHING not in pair and MISSED not in pair}
        return sum(count for (label, answer), count in found.items() if label == answer) / max(sum(found.values()), 1)
