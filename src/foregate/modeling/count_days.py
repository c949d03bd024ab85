"""What kind of day it was, before any level is followed: its weekday's share, and bursts apart from the level."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from foregate.modeling.series import History, Indices

Floats = NDArray[np.float64]
MEMORY_DAYS = 365.0
# A weekday's own share is believed from its second occurrence on (a little less, by decay).
FEW = 1.5
LEAST_FACTOR = 0.02
# A cap on what counts towards the level: a first week is never cut, and never the first two events beyond it.
FIRST_DAYS = 7
ALLOWED = 2.0
BURST_HALF_LIFE = 28.0
FIRST_DISPERSION, FIRST_WEIGHT = 0.25, 50.0


def weekday_factors(counts: NDArray[np.int64], weekdays: Indices, parent: Floats | None = None) -> Floats:
    """Return [days + 1, nodes, 7] each weekday's share of the level, mean 1, as known in the evening before each day.

    `counts` [nodes, days]; row t is made of the days before column t alone, the last row of all of them. A node's own
    factors are pulled towards its parent's ([days + 1, 1, 7]; none: towards 1) by as much of their spread as chance
    alone would make, after James & Stein 1961; days lose weight with a half-life of a year.

    >>> flat = np.full((1, 70), 3)
    >>> weekday_factors(flat, np.arange(70) % 7)[-1].tolist()
    [[1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]]
    """
    nodes, days = counts.shape
    kept = np.zeros((3, days, nodes, 7))
    state, keep = np.zeros((3, nodes, 7)), 0.5 ** (1 / MEMORY_DAYS)
    told = np.stack([counts, counts**2, np.ones_like(counts)]).astype(np.float64)
    for day in range(days):
        state *= keep
        state[:, :, weekdays[day]] += told[:, :, day]
        kept[:, day] = state
    around = np.ones((days + 1, nodes, 7)) if parent is None else np.repeat(parent, nodes, axis=1)
    found = around.copy()
    enough = kept[2].min(axis=(1, 2)) >= FEW
    found[1:][enough] = _shrunk(kept[:, enough], around[1:][enough])
    return found


def _shrunk(kept: Floats, around: Floats) -> Floats:
    """Return [days, nodes, 7] factors between own and `around`; `kept`: sums of counts, their squares, and days."""
    sums, squares, seen = kept
    mean, level = sums / seen, sums.sum(axis=-1, keepdims=True) / seen.sum(axis=-1, keepdims=True)
    positive = np.where(level > 0, level, 1.0)
    variance = np.maximum(squares / seen - mean**2, mean) / seen
    noise = variance.mean(axis=-1, keepdims=True) / positive**2
    gap = mean / positive - around
    spread = (gap**2).mean(axis=-1, keepdims=True)
    trust = np.where(level > 0, np.maximum(0.0, 1 - noise / np.maximum(spread, 1e-12)), 0.0)
    factor = np.maximum(around + trust * gap, LEAST_FACTOR)
    return np.asarray(factor / factor.mean(axis=-1, keepdims=True))


def without_bursts(history: History, deviations: float) -> NDArray[np.int64]:
    """Return [series, days] the counts with each day cut where it is too great to tell of the level.

    The cut is `deviations` standard deviations of a negative binomial day above the level of the days before, with
    the dispersion of the super-segment's days so far (at least two events above it; never in a series' first week).
    What is cut off is no error and must be forecast on its own: a group that books forty rooms is real, but says
    little about tomorrow. Days of absence are 0. No day's cut looks at a later day.

    >>> from datetime import date
    >>> counts = np.full((1, 30), 4)
    >>> counts[0, 20] = 90
    >>> one = History(counts, date(2025, 3, 3), np.array([0]), np.array([30]), np.array([0]))
    >>> found = without_bursts(one, 4.0)
    >>> int(found[0, 20]) < 30, found[0, 19:22:2].tolist()
    (True, [4, 4])
    """
    groups, count = history.segments, history.super_segments
    # Days first: a day's column would be a thousand cache lines.
    present, counts = history.present().T.copy(), history.counts.T.copy()
    keep = 0.5 ** (1 / BURST_HALF_LIFE)
    events, exposure = np.zeros(history.series), np.zeros(history.series)
    excess, weight = np.full(count, FIRST_DISPERSION * FIRST_WEIGHT), np.full(count, FIRST_WEIGHT)
    found = np.zeros_like(counts)
    for day in range(history.days):
        here = present[day]
        around = np.bincount(groups, events, count) / np.maximum(np.bincount(groups, exposure, count), 1e-9)
        mean = (events + 0.5) / (exposure + 0.5 / np.maximum(around[groups], 0.05))
        dispersion = np.clip(excess / weight, 0.02, 2.0)[groups]
        told = here & (history.born + FIRST_DAYS <= day)
        variance = mean * (1 + 1 / np.maximum(exposure, 1.0)) + dispersion * mean**2
        cut = np.where(told, np.floor(mean + deviations * np.sqrt(variance) + ALLOWED), np.inf)
        counted = np.minimum(counts[day], cut) * here
        found[day] = counted.astype(np.int64)
        excess += np.bincount(groups, told * ((counted - mean) ** 2 - mean) / (1 + mean), count)
        weight += np.bincount(groups, told * mean**2 / (1 + mean), count)
        events, exposure = events * keep + counted, exposure * keep + here
    return found.T.copy()
