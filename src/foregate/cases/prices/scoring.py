"""Scoring: errors in units of the price beside no-change's, and how often intervals held."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from foregate.cases.prices.combining import Followed
from foregate.cases.prices.tracks import Floats, Track
from foregate.metrics.coverage import coverage
from foregate.metrics.diebold import relative_loss
from foregate.metrics.estimate import Estimate, untold
from foregate.modeling.price_intervals import held

Flags = NDArray[np.bool_]


def naive_errors(track: Track) -> Floats:
    """Return the absolute errors [H, T] of no-change, NaN until they are known."""
    return track.errors(np.zeros_like(track.realised))


def relative_mae(ours: Floats, theirs: Floats, rows: Flags, horizon: int, level: float = 0.95) -> Estimate:
    """Return the mean of our absolute errors over theirs on some origins, with its interval; NaN where none is known.

    `ours` and `theirs` [T] of one horizon; origins at which either is NaN are left out of both.
    """
    both = rows & np.isfinite(ours) & np.isfinite(theirs)
    if not both.any():
        return untold(0, math.inf, 0, level)
    return relative_loss(ours[both], theirs[both], horizon, level)


def percentage_error(track: Track, said: Floats, rows: Flags, row: int) -> float:
    """Return the mean absolute percentage error of one horizon in percent of prices above 0; NaN without any."""
    came, errors = track.came()[row], track.errors(said)[row]
    kept = rows & np.isfinite(errors) & (came > 0)
    return float(100 * (errors[kept] / came[kept]).mean()) if kept.any() else math.nan


def inside(track: Track, found: Followed, level: int, row: int) -> Floats:
    """Return [T] 1 where the return came inside the interval of a level, 0 where outside, NaN where unknown."""
    return held(track.realised[row], found.lower[level, row], found.upper[level, row])


def covered(flags: Floats, nominal: float, rows: Flags, horizon: int, level: float = 0.95) -> Estimate:
    """Return the share of outcomes inside on some origins; origins within a horizon of each other hang together."""
    kept = rows & np.isfinite(flags)
    if not kept.any():
        return untold(0, 1, 0, level)
    return coverage(flags[kept], nominal, np.flatnonzero(kept) // horizon, level, float(kept.sum()) / horizon)
