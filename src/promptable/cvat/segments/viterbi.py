"""Finding ranges of frames: a Viterbi algorithm with two states, and with least lengths of ranges and of gaps."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import inf


@dataclass(frozen=True)
class Smoothing:
    """``shortest`` is the least length of a range, ``shortest_gap`` that of a gap between two, in frames, at least 1.

    ``switch`` is the cost of beginning or ending a range, in nats: log((1 - p) / p) for its probability p at a frame.
    """

    shortest: int = 10
    shortest_gap: int = 5
    switch: float = 4.6  # p = 0.01


def ranges(evidence: Sequence[float], smoothing: Smoothing) -> list[range]:
    """The ranges with the most evidence, in order, as indices of ``evidence``.

    ``evidence`` is, for each frame, the log-likelihood ratio of "it is there" to "it is not", in nats; 0 is neutral.
    The gaps before the first range and after the last one may have any length. A range that begins with the first
    frame costs a switch as any other; one that reaches the last frame costs none for its end.

    Viterbi's algorithm for a hidden Markov model with explicit durations (Rabiner, A Tutorial on Hidden Markov Models,
    Proc. IEEE 77, 1989, IV.D): the best labelling of the first k frames that ends with a range is the best that ends
    with a gap at s, plus the evidence from s to k, over all s up to ``k - shortest``; and the same for gaps, whose
    evidence is 0. Since beyond the least length every frame costs the same, a running maximum over s is enough, and the
    work grows with the frames alone.

    >>> ranges([-1, 2, 2, -1, 2, -1, -1], Smoothing(2, 2, switch=1))
    [range(1, 5)]
    """
    passed = [0.0, *accumulate(evidence)]
    seen = [-inf] * len(passed)  # the best that ends with a range at k
    unseen = [0.0] * len(passed)  # the best that ends with a gap at k
    begin = [0] * len(passed)  # where that range began
    before = [0] * len(passed)  # where the range before that gap ended
    best_begin, best_end = (-inf, 0), (0.0, 0)
    for k in range(len(passed)):
        if (s := k - smoothing.shortest_gap) >= 0:
            best_end = max(best_end, (seen[s] - smoothing.switch, s), key=_first)
        unseen[k], before[k] = best_end
        if (s := k - smoothing.shortest) >= 0:
            best_begin = max(best_begin, (unseen[s] - passed[s], s), key=_first)
            seen[k], begin[k] = best_begin[0] + passed[k] - smoothing.switch, best_begin[1]
    return _walked(_end(seen, smoothing.switch), begin, before)


def _first(pair: tuple[float, int]) -> float:
    return pair[0]


def _end(seen: Sequence[float], switch: float) -> int:
    """Where the last range ends; 0 if there is none."""
    ends = [(value - switch, k) for k, value in enumerate(seen[:-1])] + [(seen[-1], len(seen) - 1)]
    best = max(ends, key=_first)
    return best[1] if best[0] > 0 else 0


def _walked(end: int, begin: Sequence[int], before: Sequence[int]) -> list[range]:
    """The ranges, found from the end of the last one backward, in order."""
    found = []
    while end:
        found.append(range(begin[end], end))
        end = before[begin[end]]
    return found[::-1]
