"""The bootstrap: repeatable weights, and bounds that never leave the value or the range."""

import math

import numpy as np

from foregate.metrics.resampling import percentile_bounds, row_weights


def test_weights_are_whole_draws_and_repeat_with_their_seed() -> None:
    first, again = list(row_weights(50, 3, seed=1)), list(row_weights(50, 3, seed=1))
    assert np.array_equal(first, again)
    assert [weights.sum() for weights in first] == [50.0] * 3
    assert not np.array_equal(first[0], first[1])


def test_bounds_hold_the_value_the_range_and_what_could_be_told() -> None:
    draws = np.array([0.2, 0.3, math.nan, 1.5])
    assert percentile_bounds(0.9, draws, (0.0, 1.0), 9, 0.5)[:2] == (0.9, 0.25)
    assert percentile_bounds(0.1, draws, (0.0, 1.0), 9, 0.999)[1:3] == (0.1, 1.0)
    assert percentile_bounds(0.5, np.array([math.nan]), (0.0, 1.0), 9, 0.95)[:3] == (0.5, 0.0, 1.0)
    assert percentile_bounds(math.nan, draws, (-1.0, 1.0), 9, 0.95)[1:3] == (-1.0, 1.0)
