"""Whether probabilities mean what they say, and how to make them: scores of error, recalibration."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, logit, stdtrit

from foregate.metrics.estimate import Estimate, Floats, bracketed, checked_level, critical, untold
from foregate.metrics.inputs import at_least, finite, labelled, outcomes_of, probabilities_of, same_length
from foregate.metrics.order import group_by_rank
from foregate.metrics.rates import rate, wilson

Knots = tuple[Floats, Floats]


def _forecast(outcomes: ArrayLike, probabilities: ArrayLike) -> tuple[Floats, Floats]:
    known, told = outcomes_of(outcomes), probabilities_of(probabilities)
    same_length(outcomes=known, probabilities=told)
    return known, told


def _mean(losses: Floats, least: float, most: float, level: float) -> Estimate:
    """Return the mean with Student's interval; the whole range where the rows show no spread."""
    spread = float(np.std(losses, ddof=1)) if losses.size > 1 else 0.0
    if spread < 1e-15:
        return bracketed(float(losses.mean()), least, most, losses.size, level)
    half = float(stdtrit(losses.size - 1, 0.5 + checked_level(level) / 2)) * spread / math.sqrt(losses.size)
    value = float(losses.mean())
    return bracketed(value, max(least, value - half), min(most, value + half), losses.size, level)


def brier(outcomes: ArrayLike, probabilities: ArrayLike, level: float = 0.95) -> Estimate:
    """Return the mean squared error of the probabilities, 0 perfect to 1, with Student's interval.

    Rows that all err alike (one row, a constant one half) show no spread: interval [0, 1]. ValueError for
    outcomes not 0 or 1, probabilities NaN or outside 0 to 1, unequal lengths. Brier 1950.

    >>> round(brier([1, 0, 1, 0], [0.9, 0.2, 0.6, 0.1]).value, 3)
    0.055
    """
    known, told = _forecast(outcomes, probabilities)
    return _mean((told - known) ** 2, 0.0, 1.0, checked_level(level))


def brier_difference(outcomes: ArrayLike, candidate: ArrayLike, reference: ArrayLike, level: float = 0.95) -> Estimate:
    """Return the Brier score of the candidate minus the reference's on the same rows; negative is better.

    In [-1, 1] with Student's interval of the paired differences. Equal probabilities differ by 0 within
    [0, 0]; rows that all differ alike otherwise show no spread: interval [-1, 1]. ValueError for outcomes
    not 0 or 1, probabilities NaN or outside 0 to 1, unequal lengths. Brier 1950; paired as in Diebold &
    Mariano 1995 without lags.

    >>> round(brier_difference([1, 0, 1, 0], [0.9, 0.2, 0.6, 0.1], [0.5, 0.5, 0.5, 0.5]).value, 3)
    -0.195
    """
    known, ours = _forecast(outcomes, candidate)
    _, theirs = _forecast(outcomes, reference)
    checked_level(level)
    if np.array_equal(ours, theirs):
        return bracketed(0.0, 0.0, 0.0, known.size, level)
    return _mean((ours - known) ** 2 - (theirs - known) ** 2, -1.0, 1.0, level)


def calibration_in_the_large(outcomes: ArrayLike, probabilities: ArrayLike, level: float = 0.95) -> Estimate:
    """Return observed hits over the sum of the probabilities: 1 is right, 2 is twice as many as foretold.

    The interval is that of the observed rate (see `rate`) over the mean probability, a little wide where
    the probabilities differ much. Probabilities all 0: value infinite when a hit came, NaN when none did,
    interval [0, inf]. ValueError for outcomes not 0 or 1, probabilities NaN or outside 0 to 1, unequal
    lengths. Cox 1958; Steyerberg 2009, observed to expected.

    >>> round(calibration_in_the_large([1, 0, 0, 0], [0.2, 0.1, 0.1, 0.1]).value, 6)
    2.0
    """
    known, told = _forecast(outcomes, probabilities)
    mean, observed = float(told.mean()), rate(float(known.sum()), known.size, level)
    if mean == 0 and observed.value == 0:
        return untold(0, math.inf, known.size, level)
    if mean == 0:
        return bracketed(math.inf, 0.0, math.inf, known.size, level)
    return bracketed(observed.value / mean, observed.low / mean, observed.high / mean, known.size, level)


class _Line(NamedTuple):
    slope: float
    intercept: float
    slope_error: float


def _logistic_line(margins: Floats, targets: Floats) -> _Line:
    """Return the line of log odds likeliest under the targets, which may be fractions, by damped Newton."""
    centre, scale = float(margins.mean()), float(margins.std())
    scale = scale if scale > 1e-12 * max(1.0, abs(centre)) else math.inf
    across = (margins - centre) / scale
    design = np.column_stack([np.ones(across.size), across])
    at = np.array([float(logit(np.clip(targets.mean(), 1e-12, 1 - 1e-12))), 0.0])

    def cost(point: Floats) -> float:
        odds = design @ point
        return float(np.sum(np.logaddexp(0, odds) - targets * odds))

    ridge = 1e-10 * np.eye(2)
    for _ in range(100):
        told = expit(design @ at)
        curvature = (design * (told * (1 - told))[:, None]).T @ design + ridge
        step = np.linalg.solve(curvature, design.T @ (targets - told))
        now, size = cost(at), 1.0
        while cost(at + size * step) > now + 1e-12 * abs(now) and size > 1e-8:
            size /= 2
        at = at + size * step
        if float(np.abs(step).max()) < 1e-10:
            break
    told = expit(design @ at)
    curvature = (design * (told * (1 - told))[:, None]).T @ design + ridge
    error = math.sqrt(float(np.linalg.inv(curvature)[1, 1])) / scale
    slope = float(at[1]) / scale
    return _Line(slope, float(at[0]) - slope * centre, error)


def _separated(known: Floats, margins: Floats) -> bool:
    hits, misses = margins[known == 1.0], margins[known == 0.0]
    return bool(hits.min() >= misses.max() or hits.max() <= misses.min())


def calibration_slope(outcomes: ArrayLike, probabilities: ArrayLike, level: float = 0.95) -> Estimate:
    """Return the slope of the outcomes' log odds on the forecast's: 1 is right, below 1 too extreme.

    Logistic regression by Newton's method with Wald's interval; probabilities are held 1e-9 away from 0
    and 1. One outcome only, probabilities all alike, or hits and misses that do not overlap: value NaN,
    interval [-inf, inf]. ValueError for outcomes not 0 or 1, probabilities NaN or outside 0 to 1, unequal
    lengths. Cox 1958; Miller, Hui & Tierney 1991.

    >>> outcomes, told = [1, 1, 0, 1, 0, 1, 0, 0], [0.9, 0.8, 0.7, 0.6, 0.4, 0.3, 0.2, 0.1]
    >>> round(calibration_slope(outcomes, told).value, 2)
    1.07
    """
    known, told = _forecast(outcomes, probabilities)
    z, margins = critical(level), logit(np.clip(told, 1e-9, 1 - 1e-9))
    alike = known.min() == known.max() or margins.max() - margins.min() < 1e-12
    if alike or _separated(known, margins):
        return untold(-math.inf, math.inf, known.size, level)
    line = _logistic_line(margins, known)
    half = z * line.slope_error
    return bracketed(line.slope, line.slope - half, line.slope + half, known.size, level)


class ReliabilityRow(NamedTuple):
    """One group of like probabilities: 1 the lowest; `predicted` is their mean, `rate` what came."""

    group: int
    rows: int
    predicted: float
    rate: Estimate


def reliability(
    outcomes: ArrayLike, probabilities: ArrayLike, groups: int = 10, level: float = 0.95
) -> list[ReliabilityRow]:
    """Return predicted and observed rate for each group of like probabilities, lowest first.

    Groups are of equal size but for ties, which stay together; empty groups are left out, so the rows sum
    to all rows. Rates have Wilson intervals. ValueError for outcomes not 0 or 1, probabilities NaN or
    outside 0 to 1, unequal lengths, fewer than one group. Murphy & Winkler 1977; Wilson 1927.

    >>> [(row.group, row.predicted, row.rate.value) for row in reliability([0, 0, 1, 0], [0.1, 0.1, 0.6, 0.6], 2)]
    [(1, 0.1, 0.0), (2, 0.6, 0.5)]
    """
    known, told = _forecast(outcomes, probabilities)
    group = group_by_rank(told, at_least(groups, 1, "groups"))
    sizes = np.bincount(group, minlength=groups)
    hits, sums = (np.bincount(group, weights=values, minlength=groups) for values in (known, told))
    return [
        ReliabilityRow(
            int(place) + 1,
            int(sizes[place]),
            float(sums[place] / sizes[place]),
            wilson(float(hits[place]), float(sizes[place]), level),
        )
        for place in np.flatnonzero(sizes)
    ]


def isotonic_fit(scores: ArrayLike, outcomes: ArrayLike) -> Knots:
    """Return the knots (scores, rates) of the rising curve nearest to the outcomes in squares.

    Pool adjacent violators over the different scores, each weighing its rows; only the ends of each flat
    piece are kept. ValueError for scores NaN or infinite, outcomes not 0 or 1, unequal lengths. Ayer et
    al. 1955; Zadrozny & Elkan 2002.

    >>> isotonic_fit([1, 2, 3, 4], [0, 1, 0, 1])
    (array([1., 2., 3., 4.]), array([0. , 0.5, 0.5, 1. ]))
    """
    from scipy.optimize import isotonic_regression

    known, scored = labelled(outcomes, finite(scores, "scores"))
    distinct, inverse, sizes = np.unique(scored, return_inverse=True, return_counts=True)
    means = np.bincount(inverse, weights=known) / sizes
    heights = np.clip(isotonic_regression(means, weights=sizes.astype(np.float64)).x, 0.0, 1.0)
    rises = np.diff(heights) > 0
    kept = np.concatenate([[True], rises]) | np.concatenate([rises, [True]])
    return distinct[kept], heights[kept]


def isotonic_apply(knots: Knots, scores: ArrayLike) -> Floats:
    """Return the rate, in [0, 1], at each score: straight lines between knots, flat beyond them.

    ValueError for NaN or no scores.

    >>> isotonic_apply(isotonic_fit([1, 2, 3, 4], [0, 1, 0, 1]), [0, 1.5, 9])
    array([0.  , 0.25, 1.  ])
    """
    return np.asarray(np.interp(finite(scores, "scores"), knots[0], knots[1]), dtype=np.float64)


def platt_fit(margins: ArrayLike, outcomes: ArrayLike) -> tuple[float, float]:
    """Return slope and intercept of the log odds of a hit on the margin.

    Targets are smoothed to (hits + 1) / (hits + 2) and 1 / (misses + 2), so the fit is finite even where
    margins part hits from misses. Margins all alike: slope 0. ValueError for margins NaN or infinite,
    outcomes not 0 or 1, unequal lengths. Platt 1999; damped Newton as in Lin, Lin & Weng 2007.

    >>> slope, intercept = platt_fit([-2, -1, 1, 2], [0, 0, 1, 1])
    >>> round(slope, 2), round(abs(intercept), 6)
    (0.67, 0.0)
    """
    known, scored = labelled(outcomes, finite(margins, "margins"))
    hits, misses = float(known.sum()), float(known.size - known.sum())
    targets = np.where(known == 1.0, (hits + 1) / (hits + 2), 1 / (misses + 2))
    line = _logistic_line(scored, targets)
    return line.slope, line.intercept


def platt_apply(line: tuple[float, float], margins: ArrayLike) -> Floats:
    """Return the probability, in [0, 1], at each margin under (slope, intercept).

    ValueError for margins NaN, infinite or none.

    >>> platt_apply((1.0, 0.0), [0.0])
    array([0.5])
    """
    return np.asarray(expit(line[0] * finite(margins, "margins") + line[1]), dtype=np.float64)
