"""Order of scores with ties treated alike: mid-ranks, groups by rank, and sums down the ranking."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from foregate.metrics.estimate import Floats, Integers


def midranks(scores: Floats) -> Floats:
    """Return ranks 1..n, lowest score first; equal scores share the mean of the ranks they span.

    >>> midranks(np.array([5.0, 1.0, 5.0]))
    array([2.5, 1. , 2.5])
    """
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    shared = np.cumsum(counts) - (counts - 1) / 2.0
    return np.asarray(shared[inverse], dtype=np.float64)


def group_by_rank(scores: Floats, groups: int) -> Integers:
    """Return each row's group 0..groups-1, lowest scores first, of equal size but for ties.

    Equal scores are in one group, the group of their mid-rank, so the row order never matters; heavy ties
    leave neighbouring groups small or empty.

    >>> group_by_rank(np.array([0.1, 0.4, 0.2, 0.3]), 2)
    array([0, 1, 0, 1])
    """
    places = (midranks(scores) - 0.5) * groups / scores.size
    return np.minimum(np.floor(places), groups - 1).astype(np.int64)


def places_in(rows: int, share: float) -> int:
    """Return how many rows a share of them is: rounded half up, at least one.

    >>> places_in(25, 0.1), places_in(3, 0.1)
    (3, 1)
    """
    return min(rows, max(1, int(np.floor(share * rows + 0.5))))


class Ranking(NamedTuple):
    """Rows from the highest score down: `order` sorts them, `starts` marks where each run of ties begins."""

    order: Integers
    starts: Integers

    def summed(self, values: Floats) -> Floats:
        """Return the sum of the values over each run of ties, from the highest score down.

        >>> ranking(np.array([1.0, 3.0, 1.0])).summed(np.array([10.0, 20.0, 30.0]))
        array([20., 40.])
        """
        return np.asarray(np.add.reduceat(values[self.order], self.starts), dtype=np.float64)


def ranking(scores: Floats) -> Ranking:
    """Return the ranking of the scores from the highest down.

    >>> ranking(np.array([1.0, 3.0, 1.0])).starts
    array([0, 1])
    """
    order = np.argsort(-scores, kind="stable").astype(np.int64)
    falling = scores[order]
    begins: NDArray[np.bool_] = np.concatenate([[True], falling[1:] != falling[:-1]])
    return Ranking(order, np.flatnonzero(begins).astype(np.int64))
