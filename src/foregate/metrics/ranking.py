"""How well scores put the hits first: area under the curve, precision, lift, deciles."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, logit, stdtrit

from foregate.metrics.estimate import Estimate, Floats, Integers, bracketed, checked_level, untold
from foregate.metrics.inputs import at_least, labelled, scores_of, share_of
from foregate.metrics.order import Ranking, group_by_rank, midranks, places_in, ranking
from foregate.metrics.rates import clopper_pearson, rate, rate_ratio
from foregate.metrics.resampling import percentile_bounds, row_weights


def delong_components(outcomes: ArrayLike, scores: ArrayLike) -> tuple[Floats, Floats]:
    """Return the placement values: V10, one for each hit, and V01, one for each miss, in row order.

    V10 is the share of misses scored below the hit, V01 the share of hits scored above the miss; a tie
    counts one half. The mean of either is the AUC. An absent class leaves both of NaN or empty.
    ValueError for NaN scores, outcomes not 0 or 1, unequal lengths. DeLong et al. 1988; by mid-ranks as
    in Sun & Xu 2014.

    >>> delong_components([1, 0, 1, 0], [0.9, 0.4, 0.4, 0.1])
    (array([1.  , 0.75]), array([0.75, 1.  ]))
    """
    known, scored = labelled(outcomes, scores)
    hit = known == 1.0
    hits, misses = int(hit.sum()), int((~hit).sum())
    if hits == 0 or misses == 0:
        return np.full(hits, np.nan), np.full(misses, np.nan)
    ranks = midranks(scored)
    above = (ranks[hit] - midranks(scored[hit])) / misses
    below = 1.0 - (ranks[~hit] - midranks(scored[~hit])) / hits
    return above, below


def _without_variance(auc: float, pairs: int, rows: int, level: float) -> Estimate:
    """Return the AUC with an exact interval from as many pairs of a hit and a miss as share no row."""
    exact = clopper_pearson(auc * pairs, pairs, level)
    return bracketed(auc, exact.low, exact.high, rows, level)


def placement_error(above: Floats, below: Floats, level: float) -> tuple[float, float]:
    """Return the variance of the mean placement and the t quantile to multiply its root by.

    DeLong's variance is the sum of two sample variances, most often one of few hits: Welch &
    Satterthwaite's degrees of freedom keep the interval honest where the normal quantile is too short.
    Needs two values of each at least; no variance has the quantile of no freedom, infinity.

    >>> variance, quantile = placement_error(np.array([0.9, 0.7, 0.8]), np.array([0.7, 0.9]), 0.95)
    >>> round(variance, 5), round(quantile, 3)
    (0.01333, 5.176)
    """
    parts = np.array([np.var(above, ddof=1) / above.size, np.var(below, ddof=1) / below.size])
    variance, tail = float(parts.sum()), 0.5 + checked_level(level) / 2
    if variance < 1e-18:
        return 0.0, math.inf
    freedom = variance**2 / float(parts**2 @ np.array([1 / (above.size - 1), 1 / (below.size - 1)]))
    return variance, float(stdtrit(freedom, tail))


def auc_roc(outcomes: ArrayLike, scores: ArrayLike, level: float = 0.95) -> Estimate:
    """Return the area under the ROC curve, in [0, 1]: how often a hit outscores a miss, ties one half.

    The interval is DeLong's on the logit scale, so it stays within [0, 1], with the t quantile of
    `placement_error`; below about 20 hits and above an AUC of 0.95 it holds the truth less often than its
    level says. Where DeLong's variance is nought (AUC 0 or 1, constant scores) it is the exact binomial
    interval of min(hits, misses) disjoint pairs, which is wide and never too short. Fewer than two of a
    class: interval [0, 1], and value NaN when a class is absent. ValueError for NaN scores, outcomes not
    0 or 1, unequal lengths. DeLong et al. 1988; Sun & Xu 2014; logit scale: Pepe 2003.

    >>> [round(x, 3) for x in auc_roc([1, 1, 1, 0, 0, 0, 0], [9, 7, 3, 5, 4, 2, 1])[:3]]
    [0.833, 0.071, 0.997]
    >>> [round(x, 3) for x in auc_roc([1, 1, 0, 0], [4, 3, 2, 1])[:3]]
    [1.0, 0.158, 1.0]
    """
    above, below = delong_components(outcomes, scores)
    rows, fewer = above.size + below.size, min(above.size, below.size)
    checked_level(level)
    if fewer == 0:
        return untold(0, 1, rows, level)
    auc = float(min(1.0, max(0.0, above.mean())))
    if fewer < 2:
        return bracketed(auc, 0.0, 1.0, rows, level)
    variance, quantile = placement_error(above, below, level)
    if variance == 0 or auc in (0.0, 1.0):
        return _without_variance(auc, fewer, rows, level)
    centre, half = float(logit(auc)), quantile * math.sqrt(variance) / (auc * (1 - auc))
    return bracketed(auc, float(expit(centre - half)), float(expit(centre + half)), rows, level)


def _precision(ranked: Ranking, weights: Floats, hits: Floats) -> float:
    """Return average precision of weighted rows; NaN when no hit has weight."""
    found = ranked.summed(weights * hits)
    taken, caught = np.cumsum(ranked.summed(weights)), np.cumsum(found)
    if caught[-1] == 0:
        return math.nan
    return min(1.0, float(np.sum(found * caught / np.maximum(taken, 1e-300)) / caught[-1]))


def average_precision(
    outcomes: ArrayLike, scores: ArrayLike, seed: int, level: float = 0.95, replicates: int = 500
) -> Estimate:
    """Return the area under the precision-recall steps, in [0, 1]; a run of ties is one step.

    The interval is the percentile interval of a seeded bootstrap over rows, widened to hold the value;
    with fewer than about ten hits it is too short. No hits: value NaN, interval [0, 1]. ValueError for
    NaN scores, outcomes not 0 or 1, unequal lengths. Boyd, Eng & Page 2013 (AP estimator).

    >>> round(average_precision([1, 0, 1, 0], [4, 3, 2, 1], seed=1).value, 4)
    0.8333
    """
    known, scored = labelled(outcomes, scores)
    ranked = ranking(scored)
    value = _precision(ranked, np.ones(known.size), known)
    if math.isnan(value):
        return untold(0, 1, known.size, level)
    resampled = row_weights(known.size, at_least(replicates, 1, "replicates"), seed)
    draws = np.array([_precision(ranked, weights, known) for weights in resampled])
    return percentile_bounds(value, draws, (0.0, 1.0), known.size, level)


def top_share(scores: ArrayLike, share: float) -> Floats:
    """Return how much of each row, in [0, 1], is in the top share; the weights sum to a whole number.

    The top has share * n places, rounded half up and at least one. Rows above the score at the cut weigh
    1; rows at it share the places that are left equally, so no order of rows is favoured. ValueError for
    NaN scores or a share outside (0, 1].

    >>> top_share([4, 2, 2, 1], 0.5)
    array([1. , 0.5, 0.5, 0. ])
    """
    scored, share = scores_of(scores), share_of(share)
    places = places_in(scored.size, share)
    cut = np.partition(scored, scored.size - places)[scored.size - places]
    inside, tied = scored > cut, scored == cut
    weights: Floats = inside.astype(np.float64)
    weights[tied] = (places - inside.sum()) / tied.sum()
    return weights


def _nested_lift(hits: float, rows: float, all_hits: float, all_rows: float, level: float) -> Estimate:
    """Return the lift of a part over the whole it belongs to, from the ratio of the part to the rest."""
    share, ratio = rows / all_rows if all_rows else 0.0, math.inf
    if rows == 0 or all_hits == 0:
        return untold(0, 1 / share if share else math.inf, rows, level)
    if rows == all_rows:
        return bracketed(1.0, 1.0, 1.0, rows, level)
    ratio_found = rate_ratio(hits, rows, max(0.0, all_hits - hits), all_rows - rows, level)

    def lifted(ratio: float) -> float:
        return 1 / share if math.isinf(ratio) else ratio / (share * ratio + 1 - share)

    low, ratio, high = ratio_found.low, ratio_found.value, ratio_found.high
    return bracketed(lifted(ratio), lifted(low), lifted(high), rows, level)


def lift_at(outcomes: ArrayLike, scores: ArrayLike, share: float, level: float = 0.95) -> Estimate:
    """Return the rate of the top share over the rate of all rows; 0 to n / places, 1 is no better.

    The top and the rest are independent, the top and the whole are not: the interval is Koopman's for
    r = top / rest, carried through lift = r / (s r + 1 - s) with s the share of places, which only rises.
    Ties at the cut enter by their expected hits, as in `top_share`. `rows` counts the places. No hits at
    all: value NaN, interval [0, n / places]. The whole as its own top: 1 within [1, 1]. ValueError for NaN
    scores, outcomes not 0 or 1, unequal lengths, share outside (0, 1]. Koopman 1984.

    >>> outcomes = [1, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]
    >>> [round(x, 2) for x in lift_at(outcomes, range(20, 0, -1), 0.2)[:3]]
    [3.75, 1.71, 4.73]
    """
    known, scored = labelled(outcomes, scores)
    weights = top_share(scored, share)
    places = places_in(known.size, share)
    return _nested_lift(float(weights @ known), places, float(known.sum()), known.size, level)


def bottom_rate(outcomes: ArrayLike, scores: ArrayLike, share: float, level: float = 0.95) -> Estimate:
    """Return the rate of hits, in [0, 1], in the bottom share of the scores: what skipping it would lose.

    Ties at the cut enter by their expected hits. `rows` counts the places, rounded half up and at least
    one. Interval as in `rate`. ValueError for NaN scores, outcomes not 0 or 1, unequal lengths, share
    outside (0, 1].

    >>> bottom_rate([1, 0, 1, 0], [4, 3, 2, 1], 0.5).value
    0.5
    """
    known, scored = labelled(outcomes, scores)
    weights = top_share(-scored, share)
    return rate(float(weights @ known), places_in(known.size, share), level)


class DecileRow(NamedTuple):
    """One group of the ranking: 1 holds the top scores; `rate` is its own, `lift` is over all rows."""

    decile: int
    rows: int
    hits: int
    rate: Estimate
    lift: Estimate


def _counts_by_group(known: Floats, scored: Floats, groups: int) -> tuple[Integers, Integers]:
    group = group_by_rank(-scored, groups)
    rows = np.bincount(group, minlength=groups)
    return rows, np.bincount(group, weights=known, minlength=groups).astype(np.int64)


def lift_by_decile(outcomes: ArrayLike, scores: ArrayLike, groups: int = 10, level: float = 0.95) -> list[DecileRow]:
    """Return one row for each group of the ranking, top scores first; their rows sum to all rows.

    Equal scores are in one group, that of their mid-rank, whatever the row order; ties therefore make
    groups unequal, and an empty group has rate NaN in [0, 1] and lift NaN in [0, inf]. Lift and its
    interval as in `lift_at`. ValueError as there, or for fewer than one group.

    >>> [(row.decile, row.rows, row.hits) for row in lift_by_decile([1, 0, 1, 0], [4, 3, 2, 1], groups=2)]
    [(1, 2, 1), (2, 2, 1)]
    """
    known, scored = labelled(outcomes, scores)
    sizes, found = _counts_by_group(known, scored, at_least(groups, 1, "groups"))
    total = float(known.sum())
    return [
        DecileRow(
            place + 1,
            int(rows),
            int(hits),
            rate(float(hits), float(rows), level),
            _nested_lift(float(hits), float(rows), total, float(known.size), level),
        )
        for place, (rows, hits) in enumerate(zip(sizes, found, strict=True))
    ]


def percentiles(scores: ArrayLike) -> Integers:
    """Return each row's percentile, 1 to 100, 100 the highest; equal scores have equal percentiles.

    The percentile is that of the mid-rank: floor(100 (rank - 1/2) / n) + 1. Without ties a share p / 100
    of the rows stands at or below p, to within one row, and from 50 rows on the highest row has 100.
    ValueError for NaN or no scores.

    >>> percentiles([0.1, 0.2, 0.2, 0.9])
    array([13, 51, 51, 88])
    """
    return group_by_rank(scores_of(scores), 100) + 1


def _falling(rates: Floats) -> Floats:
    """Return, along the last axis, the share of pairs that fall less the share that rise; NaN if none."""
    ahead, behind = np.triu_indices(rates.shape[-1], k=1)
    signs = np.sign(rates[..., ahead] - rates[..., behind])
    told = (~np.isnan(signs)).sum(axis=-1)
    summed = np.nansum(signs, axis=-1)
    return np.asarray(np.where(told > 0, summed / np.maximum(told, 1), np.nan), dtype=np.float64)


def monotonicity(
    outcomes: ArrayLike,
    scores: ArrayLike,
    groups: int,
    seed: int,
    replicates: int = 500,
    level: float = 0.95,
) -> Estimate:
    """Return how steadily the rate falls from the top group down: 1 always, 0 no order, -1 always rises.

    Kendall's tau-a of the group rates against the group order: pairs of groups that fall, less pairs that
    rise, over all pairs; equal rates count neither way. Groups as in `lift_by_decile`, empty ones left
    out. The interval is a seeded bootstrap of the rows within the groups found, widened to hold the
    value. Fewer than two groups with rows, or outcomes all alike: value NaN, interval [-1, 1].
    ValueError for NaN scores, outcomes not 0 or 1, unequal lengths, fewer than two groups.

    >>> monotonicity([1, 1, 1, 0, 1, 0, 0, 0], [8, 7, 6, 5, 4, 3, 2, 1], groups=4, seed=1).value
    0.8333333333333334
    """
    known, scored = labelled(outcomes, scores)
    sizes, found = _counts_by_group(known, scored, at_least(groups, 2, "groups"))
    if known.min() == known.max() or np.count_nonzero(sizes) < 2:
        return untold(-1, 1, known.size, level)
    cells = np.concatenate([found, sizes - found]) / known.size
    random = np.random.default_rng(seed)
    drawn = random.multinomial(known.size, cells, size=at_least(replicates, 1, "replicates"))
    hits, misses = drawn[:, :groups].astype(np.float64), drawn[:, groups:]
    with np.errstate(invalid="ignore"):
        value, draws = float(_falling(found / sizes)), _falling(hits / (hits + misses))
    return percentile_bounds(value, draws, (-1.0, 1.0), known.size, level)
