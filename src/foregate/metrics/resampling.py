"""The bootstrap: rows drawn with replacement as weights, and percentile bounds of what they give."""

from collections.abc import Iterator

import numpy as np

from foregate.metrics.estimate import Estimate, Floats, bracketed, checked_level, untold


def row_weights(rows: int, replicates: int, seed: int) -> Iterator[Floats]:
    """Yield, for each replicate, how often each row is drawn when as many rows are drawn as there are.

    >>> [int(weights.sum()) for weights in row_weights(5, 2, seed=1)]
    [5, 5]
    """
    random = np.random.default_rng(seed)
    for _ in range(replicates):
        yield np.bincount(random.integers(rows, size=rows), minlength=rows).astype(np.float64)


def percentile_bounds(value: float, draws: Floats, whole: tuple[float, float], rows: int, level: float) -> Estimate:
    """Return the estimate with the percentile interval of the draws, widened to hold the value.

    Draws of NaN (a replicate that cannot tell) are left out; when none is left the interval is the whole
    range. Efron & Tibshirani 1993, section 13.3.

    >>> found = percentile_bounds(0.5, np.linspace(0, 1, 101), (0, 1), 10, 0.9)
    >>> round(found.low, 3), round(found.high, 3)
    (0.05, 0.95)
    """
    told = draws[~np.isnan(draws)]
    if np.isnan(value):
        return untold(*whole, rows, level)
    if told.size == 0:
        return bracketed(value, *whole, rows, level)
    tail = (1 - checked_level(level)) / 2
    low, high = np.clip(np.quantile(told, [tail, 1 - tail]), *whole)
    return bracketed(value, float(low), float(high), rows, level)
