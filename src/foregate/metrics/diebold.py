"""Two forecasters on the same days: which one errs less, by how much, and whether the days can tell."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtr, stdtrit

from foregate.metrics.compare import Verdict, verdict
from foregate.metrics.estimate import Estimate, Floats, bracketed, checked_level, untold
from foregate.metrics.inputs import at_least, finite, same_length

Alternative = Literal["two-sided", "less", "greater"]

LEAST_ROWS = 8


@dataclass(frozen=True, slots=True)
class LossComparison:
    """What losses of the same rows say of two forecasters.

    `difference` is mean loss a minus mean loss b, below 0 where a errs less; `statistic` is the corrected
    Diebold-Mariano statistic and `p_value` that of no difference against the alternative asked for, both NaN
    where the rows can not tell; `rows` counts them.
    """

    difference: Estimate
    statistic: float
    p_value: float
    rows: int


@dataclass(frozen=True, slots=True)
class _Frame:
    """How far rows depend on each other, and what that leaves of them."""

    rows: int
    horizon: int
    lags: int | None

    def tells(self) -> bool:
        return self.rows >= max(LEAST_ROWS, 2 * self.horizon)

    def freedom(self) -> float:
        """Return the degrees of freedom: rows - 1, fewer where windows overlap (1.5 to each whole window)."""
        return min(self.rows - 1.0, 1.5 * self.rows / self.horizon - 1.0)

    def shrinkage(self) -> float:
        """Return the factor on the variance of the mean, Harvey, Leybourne & Newbold 1997."""
        whole = float(self.rows - self.horizon)
        return self.rows * self.rows / (whole * (whole + 1))

    def weightings(self) -> list[Floats]:
        """Return the kernels' weights of lags 1 and on: those asked for, else Bartlett's and the flat ones."""
        reach = self.horizon - 1 if self.lags is None else min(self.lags, self.rows - 1)
        bartlett = 1 - np.arange(1, reach + 1) / (reach + 1)
        return [bartlett] if self.lags is not None or reach == 0 else [bartlett, np.ones(reach)]


def _frame(left: Floats, right: Floats, horizon: int, lags: int | None = None) -> _Frame:
    same_length(losses_a=left, losses_b=right)
    reach = None if lags is None else at_least(lags, 0, "lags")
    return _Frame(left.size, at_least(horizon, 1, "steps in the horizon"), reach)


def _covariance(left: Floats, right: Floats, weights: Floats) -> float:
    """Return the long-run covariance of two series of the same rows, the weights those of lags 1 and on."""
    a, b = left - left.mean(), right - right.mean()
    found = float(a @ b)
    for lag, weight in enumerate(weights.tolist(), start=1):
        found += weight * float(a[lag:] @ b[:-lag] + b[lag:] @ a[:-lag])
    return found / float(a.size)


def _flat(series: Floats, scale: float) -> bool:
    return float(np.ptp(series)) <= 1e-12 * scale


def _p_value(statistic: float, freedom: float, alternative: Alternative) -> float:
    if alternative == "two-sided":
        return float(2 * stdtr(freedom, -abs(statistic)))
    return float(stdtr(freedom, statistic if alternative == "less" else -statistic))


def diebold_mariano(
    loss_a: ArrayLike,
    loss_b: ArrayLike,
    horizon: int = 1,
    alternative: Alternative = "two-sided",
    lags: int | None = None,
    level: float = 0.95,
) -> LossComparison:
    """Return mean loss a minus mean loss b with its interval, and the p-value that there is no difference.

    One row for each origin in order of time, evenly spaced; a loss of many series is averaged first.
    `horizon` counts in steps between rows: forecasts 28 days ahead issued every 7 days overlap as 4 steps.
    `alternative` "less" asks whether a errs less. The long-run variance is the greater of Bartlett's and
    the flat kernel's at horizon - 1 lags, and Student's quantile has 1.5 rows / horizon - 1 degrees of
    freedom, rows - 1 at most: at 5 % Bartlett's alone with rows - 1 objects to equal forecasters up to 18
    times of 100 where windows overlap, this 3 to 9 times (30 to 100 rows of at least four horizons). Given
    `lags`, Bartlett's kernel with those.

    Losses equal row by row differ by 0 within [0, 0]. Differences without variance otherwise, fewer than 8
    rows, or fewer than two horizons: interval -inf to inf. In all three the p-value is NaN. ValueError for
    NaN, infinite or empty losses, unequal lengths, a horizon below 1, an alternative of another name.
    Diebold & Mariano 1995; Newey & West 1987; Harvey, Leybourne & Newbold 1997.

    >>> found = diebold_mariano([1, 2, 1, 3, 2, 1, 2, 2], [2, 2, 3, 3, 4, 2, 2, 3])
    >>> found.difference.value, round(found.p_value, 3)
    (-0.875, 0.021)
    """
    if alternative not in ("two-sided", "less", "greater"):
        raise ValueError(f"the alternative is {alternative!r}; wanted two-sided, less or greater")
    ours, theirs = finite(loss_a, "losses a"), finite(loss_b, "losses b")
    frame, gaps, checked = _frame(ours, theirs, horizon, lags), ours - theirs, checked_level(level)
    if not gaps.any():
        return LossComparison(bracketed(0.0, 0.0, 0.0, frame.rows, checked), math.nan, math.nan, frame.rows)
    value = float(gaps.mean())
    variance = max(_covariance(gaps, gaps, weights) for weights in frame.weightings())
    if not frame.tells() or variance <= 0 or _flat(gaps, float(np.abs(ours).max())):
        unknown = bracketed(value, -math.inf, math.inf, frame.rows, checked)
        return LossComparison(unknown, math.nan, math.nan, frame.rows)
    error = math.sqrt(variance * frame.shrinkage() / frame.rows)
    half = float(stdtrit(frame.freedom(), 0.5 + checked / 2)) * error
    difference = bracketed(value, value - half, value + half, frame.rows, checked)
    p_value = _p_value(value / error, frame.freedom(), alternative)
    return LossComparison(difference, value / error, p_value, frame.rows)


def _fieller(ours: Floats, theirs: Floats, weights: Floats, price: float) -> tuple[float, float]:
    """Return the ratios r for which the mean of a - r b is not told from 0; (inf, -inf) when there is none."""
    a, b = float(ours.mean()), float(theirs.mean())
    square = b * b - price * _covariance(theirs, theirs, weights)
    middle = a * b - price * _covariance(ours, theirs, weights)
    rest = a * a - price * _covariance(ours, ours, weights)
    spread = middle * middle - square * rest
    if square <= 0:
        return 0.0, math.inf
    if spread < 0:
        return math.inf, -math.inf
    return max(0.0, (middle - math.sqrt(spread)) / square), max(0.0, (middle + math.sqrt(spread)) / square)


def relative_loss(loss_a: ArrayLike, loss_b: ArrayLike, horizon: int = 1, level: float = 0.95) -> Estimate:
    """Return the mean loss of a over the mean loss of b, 0 to infinity; below 1 a errs less.

    Rows, horizon and variance as for `diebold_mariano`. The interval holds every ratio r for which the
    mean of a - r b is not told from 0 by that very test, so it leaves out 1 exactly where the test at
    1 - level sees a difference. Losses equal row by row: 1 within [1, 1]. b without loss: value infinite, or
    NaN when a has none either. Rows that can not tell, as there, or a mean of b that they do not tell
    from 0: interval [0, inf]. ValueError for losses below 0 and as there. Fieller 1954.

    >>> [round(x, 2) for x in relative_loss([1, 2, 1, 3, 2, 1, 2, 2], [2, 2, 3, 3, 4, 2, 2, 3])[:3]]
    [0.67, 0.45, 0.92]
    """
    ours, theirs = finite(loss_a, "losses a"), finite(loss_b, "losses b")
    frame, checked = _frame(ours, theirs, horizon), checked_level(level)
    if min(ours.min(), theirs.min()) < 0:
        raise ValueError(f"the least loss is {min(ours.min(), theirs.min()):g}; wanted losses of at least 0")
    if not (ours.any() or theirs.any()):
        return untold(0, math.inf, frame.rows, checked)
    if np.array_equal(ours, theirs):
        return bracketed(1.0, 1.0, 1.0, frame.rows, checked)
    value = float(ours.mean() / theirs.mean()) if theirs.any() else math.inf
    scale = float(max(ours.max(), theirs.max()))
    proportional = math.isinf(value) or _flat(ours - value * theirs, scale) or _flat(ours - theirs, scale)
    if proportional or not frame.tells():
        return bracketed(value, 0.0, math.inf, frame.rows, checked)
    price = float(stdtrit(frame.freedom(), 0.5 + checked / 2)) ** 2 * frame.shrinkage() / frame.rows
    bounds = [_fieller(ours, theirs, weights, price) for weights in frame.weightings()]
    return bracketed(value, min(low for low, _ in bounds), max(high for _, high in bounds), frame.rows, checked)


def forecast_verdict(
    loss_a: ArrayLike, loss_b: ArrayLike, horizon: int = 1, margin: float = 0.01, level: float = 0.9
) -> Verdict:
    """Return what the losses let one say of challenger a against champion b.

    Read off `relative_loss`: better when its whole interval is below 1, worse when above 1, not worse when
    below 1 + margin, else cannot tell. The margin is a share of the champion's loss, 0.01 allows 1 % more.
    A level of 0.9 leaves each side an error of 0.05. ValueError as for `relative_loss`, and for a negative
    margin.

    >>> forecast_verdict([1, 2, 1, 3, 2, 1, 2, 2], [2, 2, 3, 3, 4, 2, 2, 3]).value
    'better'
    """
    found = relative_loss(loss_a, loss_b, horizon, level)
    saved = found._replace(value=1 - found.value, low=1 - found.high, high=1 - found.low)
    return verdict(saved, margin)
