"""How far one column tells another: rank correlation, categories, and columns that give the answer away."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from foregate.metrics.drift import cells_of
from foregate.metrics.estimate import Estimate, Floats, Integers, bracketed, checked_level, critical, untold
from foregate.metrics.inputs import at_least, codes_of, numbers, outcomes_of, same_length
from foregate.metrics.noncentral import noncentrality_bounds
from foregate.metrics.order import midranks
from foregate.metrics.ranking import auc_roc
from foregate.metrics.rates import rate_ratio

BINS = 20
# A bin's rate is drawn towards the rate of all rows as if it held this many more average rows.
SMOOTHING = 5.0


def rank_correlation(a: ArrayLike, b: ArrayLike, level: float = 0.95) -> Estimate:
    """Return Spearman's correlation of the mid-ranks, in [-1, 1]; pairs with a NaN are dropped.

    The interval is Fisher's with the variance (1 + r^2 / 2) / (n - 3). `rows` counts the pairs kept.
    Fewer than two pairs or a constant column: value NaN, interval [-1, 1]; fewer than four pairs:
    interval [-1, 1]. ValueError when empty, not numbers or of unequal lengths. Spearman 1904; Bonett &
    Wright 2000.

    >>> round(rank_correlation([1, 2, 3, 4, 5], [2, 1, 4, 3, 5]).value, 3)
    0.8
    """
    left, right = numbers(a, "left values"), numbers(b, "right values")
    same_length(left=left, right=right)
    z, both = critical(level), ~(np.isnan(left) | np.isnan(right))
    rows = int(both.sum())
    if rows < 2:
        return untold(-1, 1, rows, level)
    first, second = (midranks(column[both]) - (rows + 1) / 2 for column in (left, right))
    scale = math.sqrt(float(first @ first) * float(second @ second))
    if scale == 0:
        return untold(-1, 1, rows, level)
    value = min(1.0, max(-1.0, float(first @ second) / scale))
    if rows < 4:
        return bracketed(value, -1.0, 1.0, rows, level)
    centre = math.atanh(min(1 - 1e-12, max(-1 + 1e-12, value)))
    half = z * math.sqrt((1 + value * value / 2) / (rows - 3))
    return bracketed(value, math.tanh(centre - half), math.tanh(centre + half), rows, level)


def cramers_v(a_codes: ArrayLike, b_codes: ArrayLike, level: float = 0.95) -> Estimate:
    """Return how strongly two columns of categories go together, 0 not at all to 1, chance taken off.

    Bergsma's bias-corrected V; the interval inverts the noncentral chi-square of the table. None and NaN
    together are one category. A column of one category, or one row: value NaN, interval [0, 1].
    ValueError when empty or of unequal lengths. Cramér 1946; Bergsma 2013, equations 5 and 6.

    >>> cramers_v(["x", "y"] * 50, ["p", "q"] * 50).value
    1.0
    """
    left, _, _ = codes_of(a_codes, a_codes)
    right, _, _ = codes_of(b_codes, b_codes)
    rows = same_length(left=left, right=right)
    checked_level(level)
    # Only the pairs that occur are counted: two columns of names would make a table of billions.
    pairs, counts = np.unique(left * (right.max() + 1) + right, return_counts=True)
    of_left, of_right = np.bincount(left), np.bincount(right)
    high, wide = int(np.count_nonzero(of_left)), int(np.count_nonzero(of_right))
    if min(high, wide) < 2 or rows < 2:
        return untold(0, 1, rows, level)
    alone = of_left[pairs // (right.max() + 1)] * of_right[pairs % (right.max() + 1)].astype(np.float64)
    squared = max(0.0, float(np.sum(counts.astype(np.float64) ** 2 / alone)) - 1.0)
    freedom = (high - 1) * (wide - 1)
    most = min(size - (size - 1) ** 2 / (rows - 1) for size in (high, wide)) - 1
    if most <= 1e-12:
        return untold(0, 1, rows, level)
    low, top = noncentrality_bounds(squared * rows, freedom, level)
    value, lowest, highest = (
        math.sqrt(min(1.0, max(0.0, part) / most)) for part in (squared - freedom / (rows - 1), low / rows, top / rows)
    )
    return bracketed(value, lowest, highest, rows, level)


def _bins(column: ArrayLike, categorical: bool) -> Integers:
    if categorical:
        return codes_of(column, column)[0]
    values = numbers(column, "column values")
    return cells_of(values, values, BINS)


def _out_of_fold(known: Floats, bins: Integers, folds: int, seed: int) -> Floats:
    """Return, for each row, how far the other folds' rate of its bin is above their rate of all rows."""
    scores = np.zeros(known.size)
    count = int(bins.max()) + 1
    sizes, hits = np.bincount(bins, minlength=count), np.bincount(bins, weights=known, minlength=count)
    for fold in np.array_split(np.random.default_rng(seed).permutation(known.size), folds):
        rest_sizes = sizes - np.bincount(bins[fold], minlength=count)
        rest_hits = hits - np.bincount(bins[fold], weights=known[fold], minlength=count)
        base = rest_hits.sum() / rest_sizes.sum()
        above = (rest_hits - base * rest_sizes) / (rest_sizes + SMOOTHING)
        scores[fold] = above[bins[fold]]
    # A bin of all rows has excess nought but for rounding, which would rank the folds.
    return np.round(scores, 12)


def giveaway_auc(
    outcomes: ArrayLike,
    column: ArrayLike,
    level: float = 0.95,
    *,
    categorical: bool,
    seed: int,
    folds: int = 5,
) -> Estimate:
    """Return how well this one column alone puts hits first, as an AUC in [0, 1], whatever its direction.

    Numbers are cut into up to 20 quantile bins (their own values when there are no more), categories are
    bins as they are, and missing is a bin. Each row's score is the excess rate of its bin in the other
    folds, drawn towards 0 where the bin is small, so that a column of names earns nothing; folds are a
    seeded permutation cut into `folds`. The interval is that of `auc_roc` for these scores. A column that
    says nothing comes out at or a little below one half, and there the interval is too short (a 95% one
    lies above one half about 7% of the time, not 2.5%), for the rates of the bins are themselves learnt.
    Fewer rows than folds, or one outcome only: value NaN, interval [0, 1]. ValueError for outcomes not 0
    or 1, unequal lengths, fewer than 2 folds. Cross-fitted target encoding: Micci-Barreca 2001; DeLong et
    al. 1988.

    >>> outcomes = [0, 1] * 50
    >>> giveaway_auc(outcomes, [3 - 2 * outcome for outcome in outcomes], categorical=False, seed=1).value
    1.0
    """
    known, bins = outcomes_of(outcomes), _bins(column, categorical)
    same_length(outcomes=known, column=bins)
    if at_least(folds, 2, "folds") > known.size or known.min() == known.max():
        return untold(0, 1, known.size, checked_level(level))
    return auc_roc(known, _out_of_fold(known, bins, folds, seed), level)


class Disagreement(NamedTuple):
    """Two columns that nearly say the same: the share of rows which agree, and what disagreeing means.

    `ratio` is the outcome rate of the rows that disagree over that of the rows that agree; `rows` is all
    rows.
    """

    agreement: float
    ratio: Estimate
    rows: int


def disagreement(
    outcomes: ArrayLike, left_codes: ArrayLike, right_codes: ArrayLike, level: float = 0.95
) -> Disagreement:
    """Return how often two columns agree and how the outcome rate differs where they do not.

    A ratio far from 1 betrays a column that is overwritten once the outcome is known (a room assigned,
    beside the room reserved). Koopman's interval; two missing codes agree. All rows alike, or no hit: the
    ratio is NaN in [0, inf]. ValueError for outcomes not 0 or 1, unequal lengths, text against numbers.
    Koopman 1984.

    >>> found = disagreement([1, 1, 0, 0, 0, 1], list("aaabbb"), list("aaabab"))
    >>> round(found.agreement, 3), found.ratio.value, found.rows
    (0.833, 0.0, 6)
    """
    known, (left, right, _) = outcomes_of(outcomes), codes_of(left_codes, right_codes)
    rows = same_length(outcomes=known, left=left, right=right)
    apart = left != right
    ratio = rate_ratio(
        float(known[apart].sum()), int(apart.sum()), float(known[~apart].sum()), int((~apart).sum()), level
    )
    return Disagreement(float(1 - apart.mean()), ratio, rows)
