"""Challenger against champion on the same rows: differences, swapped rows, a verdict, rows to tell."""

import math
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import bdtr, ndtri

from foregate.metrics.estimate import (
    Estimate,
    Floats,
    bracketed,
    checked_level,
    critical,
    squared_and_added,
    untold,
)
from foregate.metrics.inputs import at_least, labelled, same_length, share_of
from foregate.metrics.order import Ranking, midranks, places_in, ranking
from foregate.metrics.ranking import auc_roc, delong_components, placement_error
from foregate.metrics.resampling import percentile_bounds, row_weights


def _paired(outcomes: ArrayLike, challenger: ArrayLike, champion: ArrayLike) -> tuple[Floats, Floats, Floats]:
    known, ours = labelled(outcomes, challenger)
    _, theirs = labelled(outcomes, champion)
    return known, ours, theirs


def auc_difference(outcomes: ArrayLike, challenger: ArrayLike, champion: ArrayLike, level: float = 0.95) -> Estimate:
    """Return AUC of the challenger minus AUC of the champion on the same rows, in [-1, 1].

    DeLong's paired interval with the t quantile of `placement_error`. Scores that rank the rows alike
    differ by 0 within [0, 0]. A difference without variance (both rankings perfect or constant) takes its
    bounds from the two single intervals. Fewer than two of a class: interval [-1, 1], and value NaN when
    a class is absent. ValueError for NaN scores, outcomes not 0 or 1, unequal lengths. DeLong et al.
    1988; Sun & Xu 2014.

    >>> found = auc_difference([1, 1, 0, 1, 0, 0], [6, 5, 3, 4, 2, 1], [6, 3, 5, 2, 4, 1])
    >>> [round(x, 3) for x in found[:3]]
    [0.444, -0.428, 1.0]
    """
    known, ours, theirs = _paired(outcomes, challenger, champion)
    hits, rows = int(known.sum()), known.size
    checked_level(level)
    if min(hits, rows - hits) == 0:
        return untold(-1, 1, rows, level)
    if np.array_equal(midranks(ours), midranks(theirs)):
        return bracketed(0.0, 0.0, 0.0, rows, level)
    (above, below), (above_b, below_b) = delong_components(known, ours), delong_components(known, theirs)
    gaps, gaps_below = above - above_b, below - below_b
    value = float(gaps.mean())
    if min(hits, rows - hits) < 2:
        return bracketed(value, -1.0, 1.0, rows, level)
    variance, quantile = placement_error(gaps, gaps_below, level)
    if variance > 0:
        low, high = value - quantile * math.sqrt(variance), value + quantile * math.sqrt(variance)
    else:
        low, high = squared_and_added(auc_roc(known, ours, level), auc_roc(known, theirs, level))
    return bracketed(value, max(-1.0, low), min(1.0, high), rows, level)


def _weighted_lift(ranked: Ranking, weights: Floats, hits: Floats, places: int) -> float:
    """Return the lift of the top places of weighted rows, ties sharing the last places; NaN if no hits."""
    sizes, found = ranked.summed(weights), ranked.summed(weights * hits)
    if found.sum() == 0:
        return math.nan
    before = np.cumsum(sizes) - sizes
    taken = np.clip(places - before, 0.0, sizes) / np.maximum(sizes, 1.0)
    return float((taken @ found / places) / (found.sum() / sizes.sum()))


def lift_difference(
    outcomes: ArrayLike,
    challenger: ArrayLike,
    champion: ArrayLike,
    share: float,
    seed: int,
    replicates: int = 500,
    level: float = 0.95,
) -> Estimate:
    """Return lift of the challenger's top share minus lift of the champion's, on the same rows.

    Lift and ties as in `lift_at`; the range is -n / places to n / places. The interval is a seeded
    bootstrap over rows, each replicate cutting both tops anew, widened to hold the value. Equal rankings
    differ by 0 within [0, 0]. No hits: value NaN, interval the whole range. ValueError for NaN scores,
    outcomes not 0 or 1, unequal lengths, share outside (0, 1]. Efron & Tibshirani 1993.

    >>> lift_difference([1, 0, 1, 0], [4, 2, 3, 1], [4, 3, 2, 1], 0.5, seed=1).value
    1.0
    """
    known, ours, theirs = _paired(outcomes, challenger, champion)
    places = places_in(known.size, share_of(share))
    pair = ranking(ours), ranking(theirs)

    def gap(weights: Floats) -> float:
        return _weighted_lift(pair[0], weights, known, places) - _weighted_lift(pair[1], weights, known, places)

    whole = (-known.size / places, known.size / places)
    value = gap(np.ones(known.size))
    if math.isnan(value):
        return untold(*whole, known.size, level)
    resampled = row_weights(known.size, at_least(replicates, 1, "replicates"), seed)
    return percentile_bounds(value, np.array([gap(w) for w in resampled]), whole, known.size, level)


class SwapSet(NamedTuple):
    """Rows that one model would list and the other would not, with their hits.

    `mid_p` is the two-sided McNemar mid-p value that both sets are equally good; both hold equally many
    rows.
    """

    only_challenger: int
    only_challenger_hits: int
    only_champion: int
    only_champion_hits: int
    mid_p: float


def _mcnemar_mid_p(ours: int, theirs: int) -> float:
    if ours + theirs == 0:
        return 1.0
    fewer, both = min(ours, theirs), ours + theirs
    here = float(bdtr(fewer, both, 0.5)) - (float(bdtr(fewer - 1, both, 0.5)) if fewer else 0.0)
    if ours == theirs:
        return 1.0 - 0.5 * here
    return min(1.0, 2.0 * float(bdtr(fewer, both, 0.5)) - here)


def _listed(scores: Floats, key: NDArray[np.generic], places: int) -> NDArray[np.bool_]:
    chosen = np.zeros(scores.size, dtype=np.bool_)
    chosen[np.lexsort((key, -scores))[:places]] = True
    return chosen


def swap_set(outcomes: ArrayLike, challenger: ArrayLike, champion: ArrayLike, share: float, key: ArrayLike) -> SwapSet:
    """Return what changes hands when the challenger's top share replaces the champion's, on the same rows.

    Both lists have share * n places, rounded half up and at least one; equal scores at the cut are taken
    in the order of `key`, which is one different value for each row (a hash of its name, not its place
    in the file). Both sets being of equal size, a hit in one of them falls in either with probability
    1/2 when the models are equally good. No hit in either: mid_p is 1. ValueError for NaN scores,
    outcomes not 0 or 1, unequal lengths, a key that repeats, share outside (0, 1]. McNemar 1947;
    Fagerland, Lydersen & Laake 2013, mid-p.

    >>> swap_set([1, 0, 1, 0], [4, 2, 3, 1], [4, 3, 2, 1], 0.5, key=[1, 2, 3, 4])
    SwapSet(only_challenger=1, only_challenger_hits=1, only_champion=1, only_champion_hits=0, mid_p=0.5)
    """
    known, ours, theirs = _paired(outcomes, challenger, champion)
    keys = np.asarray(key)
    same_length(outcomes=known, key=keys)
    if np.unique(keys).size != keys.size:
        raise ValueError(f"the key has {np.unique(keys).size} values for {keys.size} rows; wanted one each")
    places = places_in(known.size, share_of(share))
    mine, yours = _listed(ours, keys, places), _listed(theirs, keys, places)
    gained, lost = mine & ~yours, yours & ~mine
    gained_hits, lost_hits = int(known[gained].sum()), int(known[lost].sum())
    mid_p = _mcnemar_mid_p(gained_hits, lost_hits)
    return SwapSet(int(gained.sum()), gained_hits, int(lost.sum()), lost_hits, mid_p)


class Verdict(StrEnum):
    """What an interval of a difference, challenger minus champion, lets one say."""

    BETTER = "better"
    NOT_WORSE = "not worse"
    WORSE = "worse"
    CANNOT_TELL = "cannot tell"


def verdict(difference: Estimate, margin: float) -> Verdict:
    """Return what the difference lets one say, a higher difference being better.

    Better when the whole interval is above 0, worse when it is below 0, not worse when it is above
    -margin (in the unit of the difference), else cannot tell; NaN cannot tell. ValueError for a negative
    or NaN margin. Non-inferiority: Schuirmann 1987.

    >>> verdict(Estimate(0.01, -0.01, 0.03, 900), margin=0.02).value
    'not worse'
    """
    if not margin >= 0:
        raise ValueError(f"the margin is {margin}; wanted a number of at least 0")
    if any(math.isnan(part) for part in difference[:3]):
        return Verdict.CANNOT_TELL
    if difference.low > 0:
        return Verdict.BETTER
    if difference.high < 0:
        return Verdict.WORSE
    return Verdict.NOT_WORSE if difference.low > -margin else Verdict.CANNOT_TELL


def _checked_power(power: float) -> float:
    if not 0 < power < 1:
        raise ValueError(f"the power is {power}; wanted a share strictly between 0 and 1")
    return float(ndtri(power))


def rows_to_tell(difference: Estimate, power: float = 0.8) -> int | None:
    """Return how many rows of the same kind would tell this difference from 0, were it the true one.

    The standard error is half the interval over its normal quantile and shrinks with the root of the
    rows; the answer counts rows as the estimate does. None when the difference is 0, NaN or has no finite
    interval. ValueError for a power outside (0, 1).

    >>> rows_to_tell(Estimate(0.02, -0.02, 0.06, 1000))
    8173
    """
    strength = _checked_power(power) + critical(difference.level)
    error = (difference.high - difference.low) / (2 * critical(difference.level))
    if math.isnan(difference.value) or difference.value == 0 or not math.isfinite(error):
        return None
    needed = difference.rows * (strength * error / difference.value) ** 2
    return max(1, math.ceil(needed)) if difference.rows > 0 else None


def two_rates_rows(base: float, ratio: float, power: float = 0.8, level: float = 0.95) -> int:
    """Return how many rows each of two arms needs to tell a rate of base * ratio from the base rate.

    Normal approximation with the pooled rate under no difference, two-sided. ValueError for a base
    outside (0, 1), a ratio of 1, or a second rate outside (0, 1). Fleiss, Levin & Paik 2003, chapter
    4, without continuity correction.

    >>> two_rates_rows(0.0456, 1.25), two_rates_rows(0.0456, 1.5)
    (5878, 1622)
    """
    other, tail = base * ratio, critical(checked_level(level))
    if not (0 < base < 1 and 0 < other < 1) or ratio == 1:
        raise ValueError(f"base {base} and ratio {ratio}; wanted two different rates, both within (0, 1)")
    middle = (base + other) / 2
    null = tail * math.sqrt(2 * middle * (1 - middle))
    effect = _checked_power(power) * math.sqrt(base * (1 - base) + other * (1 - other))
    return math.ceil(((null + effect) / (base - other)) ** 2)
