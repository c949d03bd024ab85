"""Top-down: a bottom model's paths brought to the segment totals of another, half of the draws each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foregate.modeling.coherence import aggregate, conditioned
from foregate.modeling.counts import COUNT_FILTER
from foregate.modeling.segment_trees import TREES
from foregate.modeling.series import History

Paths = NDArray[np.int32]


@dataclass(frozen=True)
class TopDown:
    """The count filter's paths, conditioned on segment totals that come from the trees in a share of the draws.

    Structure is found where counts are large, calibration where they are small; children still sum to the totals drawn,
    every day and path. `weight` is the share of draws, 0 to 1, whose totals are the trees'.
    """

    name: str = "top_down"
    complexity: int = 7
    weight: float = 0.5

    def paths(self, history: History, horizon: int, draws: int, rng: np.random.Generator) -> Paths:
        """Return joint paths [draws, series, horizon] whose segment sums are the totals that were drawn."""
        below = COUNT_FILTER.paths(history, horizon, draws, rng)
        above = aggregate(TREES["segment_trees"].paths(history, horizon, draws, rng), history.segments)
        weights = np.full(history.super_segments, self.weight)
        return conditioned(below, above, history.segments, weights, rng, alive=history.alive)


TOP_DOWN = TopDown()
