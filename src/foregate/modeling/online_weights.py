"""Weights of experts learnt from one outcome to the next, each outcome once it has matured: ML-Poly and BOA."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from foregate.metrics.estimate import Floats

Booleans = NDArray[np.bool_]

# Hardly matters: from 0 to 5 % no simulated world's mean loss moved by more than 0.15 % (bench/price_rules.py).
SHARE = 0.02
# 1 would be the unbiased estimate of how much of t squared is signal; 2, as in Akaike's criterion, asks for more. The
# least of 0, 1, 2, 3 with which no simulated world's mean loss is more than 1 % above no change's.
EVIDENCE_PRICE = 2.0
# As many as a promotion of a price forecast is asked to stand on; silver's rise of 1979 filled eight.
LEAST_WINDOWS = 24
TINY = 1e-300


class _Learner(Protocol):
    def after(self, regrets: Floats, awake: Booleans) -> Floats:
        """Return [n, K] unnormalised weights after each of n more outcomes' regrets, for the experts awake then."""


class _Polynomial:
    """Weights in proportion to rate * positive part of the regret; the rate 1 / (range ** 2 + sum of regrets ** 2)."""

    def __init__(self, experts: int) -> None:
        self._regret, self._squares, self._range = np.zeros(experts), np.zeros(experts), 0.0

    def after(self, regrets: Floats, awake: Booleans) -> Floats:
        regret = self._regret + np.cumsum(regrets, axis=0)
        squares = self._squares + np.cumsum(regrets * regrets, axis=0)
        reach = np.maximum(self._range, np.maximum.accumulate(np.abs(regrets).max(axis=1)))
        self._regret, self._squares, self._range = regret[-1], squares[-1], float(reach[-1])
        found: Floats = np.maximum(regret, 0.0) / (squares + (reach * reach + TINY)[:, None])
        return found


class _Bernstein:
    """Weights in proportion to rate * exp(rate * sum of (regret - rate * regret ** 2))."""

    def __init__(self, experts: int) -> None:
        self._gain, self._squares, self._range = np.zeros(experts), np.zeros(experts), 0.0
        self._rate = np.zeros(experts)
        self._entropy = np.log(max(experts, 2))

    def after(self, regrets: Floats, awake: Booleans) -> Floats:
        squares = self._squares + np.cumsum(regrets * regrets, axis=0)
        reach = np.maximum(self._range, np.maximum.accumulate(np.abs(regrets).max(axis=1)))
        half = 0.5 / np.maximum(reach, TINY)[:, None]
        # No rate before the first loss: nothing to scale it by.
        rate = np.where(reach[:, None] > 0, np.minimum(half, np.sqrt(self._entropy / np.maximum(squares, TINY))), 0.0)
        before = np.vstack([self._rate, rate[:-1]])
        gain = self._gain + np.cumsum(regrets - before * regrets * regrets, axis=0)
        self._gain, self._squares, self._range, self._rate = gain[-1], squares[-1], float(reach[-1]), rate[-1]
        power = np.where(awake, rate * gain, -np.inf)
        best = power.max(axis=1, keepdims=True)
        found: Floats = rate * np.exp(power - np.where(np.isfinite(best), best, 0.0))
        return found


def ml_poly(predicted: Floats, realised: Floats, scale: Floats, horizons: Sequence[int], share: float = 0.0) -> Floats:
    """Return [H, T, K] the weights of ML-Poly in force at t, one learner for each horizon, from outcomes matured at t.

    `predicted` [H, T, K] and `realised` [H, T] are log returns, `scale` [H, T] the spread above 0 that divides both;
    the outcome of t is known h days later. NaN in predicted: the expert sleeps, its weight is 0 and its regret stays.
    NaN in realised or scale: nothing is learnt from that origin. Rows sum to 1, or are 0 where nobody is awake. Equal
    before the first outcome and where no regret is positive. `share` 0 to 1 of the weight is dealt out equally to
    those awake, so that whoever becomes good again is still heard; ValueError outside.

    Gaillard, Stoltz & van Erven 2014, algorithm ML-Poly with the losses' range learnt on the way and the absolute loss
    made linear at the forecast issued (gradient trick), so that weights are learnt for mixing and not for choosing.
    With a delay of h the regret bound grows by about sqrt(1 + h) (Joulani, Gyorgy & Szepesvari 2013).

    >>> told = np.zeros((1, 40))
    >>> ml_poly(np.tile([0.0, 1.0], (1, 40, 1)), told, told + 1, [1])[0, [0, -1]]
    array([[0.5, 0.5],
           [1. , 0. ]])
    """
    learners = [_Polynomial(predicted.shape[2]) for _ in horizons]
    return _learnt(learners, predicted, realised, scale, horizons, share)


def boa(predicted: Floats, realised: Floats, scale: Floats, horizons: Sequence[int], share: float = 0.0) -> Floats:
    """Return [H, T, K] the weights of Bernstein online aggregation in force at t; arguments and rows as for `ml_poly`.

    Wintenberger 2017, the version with a rate of its own for each expert: the lesser of 1 / (2 range) and
    sqrt(log K / sum of regrets ** 2), the range of the losses learnt on the way.

    >>> told = np.zeros((1, 40))
    >>> boa(np.tile([0.0, 1.0], (1, 40, 1)), told, told + 1, [1])[0, -1].round(2)
    array([1., 0.])
    """
    learners = [_Bernstein(predicted.shape[2]) for _ in horizons]
    return _learnt(learners, predicted, realised, scale, horizons, share)


def ml_poly_by_regime(
    predicted: Floats,
    realised: Floats,
    scale: Floats,
    horizons: Sequence[int],
    regime: NDArray[np.int64],
    share: float = 0.0,
) -> Floats:
    """Return [H, T, K] ML-Poly's weights where every expert also has a double that is awake in one regime alone.

    `regime` [T] is 0 or 1 as known at t, anything else where it is not known. Three times K experts learn: K always
    awake, K only where regime is 0, K only where it is 1; the weights of an expert and its doubles are summed.
    Specialists as in Freund et al. 1997; all else as for `ml_poly`.

    >>> told = np.zeros((1, 40))
    >>> weights = ml_poly_by_regime(np.tile([0.0, 1.0], (1, 40, 1)), told, told + 1, [1], np.arange(40) % 2)
    >>> weights[0, -1]
    array([1., 0.])
    """
    parts = [predicted] + [np.where((regime == state)[None, :, None], predicted, np.nan) for state in (0, 1)]
    found = ml_poly(np.concatenate(parts, axis=2), realised, scale, horizons, share)
    summed: Floats = found.reshape(*predicted.shape[:2], 3, predicted.shape[2]).sum(axis=2)
    return summed


def proven_share(
    mixed: Floats, realised: Floats, scale: Floats, horizons: Sequence[int], price: float = EVIDENCE_PRICE
) -> Floats:
    """Return [H, T] how much of a forecast the outcomes matured at t bear out against no change, 0 to 1.

    max(0, 1 - price / t ** 2) of the t statistic of the mean gain over no change in absolute scaled error, 0 where that
    mean is not above 0: the positive part of James & Stein 1961 with the price of Akaike's criterion. The variance of
    the mean has Bartlett's kernel over h - 1 lags, about 0 and not about the mean, so that n outcomes count for about
    n / h windows however alike they are. Fewer than 24 windows of h days prove nothing: of so few one market's one
    story can be all. `mixed` [H, T] the log returns forecast, `realised` and `scale` as for `ml_poly`; an origin with a
    NaN in any of them gains nothing and does not count.

    >>> rng = np.random.default_rng(1)
    >>> came = 1 + rng.normal(size=(1, 400))
    >>> proven_share(np.ones((1, 400)), came, np.ones((1, 400)), [1])[0, [0, 399]].round(2)
    array([0.  , 0.97])
    >>> proven_share(-np.ones((1, 400)), came, np.ones((1, 400)), [1])[0, 399]
    np.float64(0.0)
    """
    gains = (np.abs(realised) - np.abs(realised - mixed)) / scale
    known = np.isfinite(gains)
    gains = np.where(known, gains, 0.0)
    found = np.zeros(gains.shape)
    for row, gain, there, days in zip(found, gains, known, horizons, strict=True):
        sums, many = np.cumsum(gain), np.cumsum(there) >= LEAST_WINDOWS * days
        noise = _variance_of_sum(sums, days) / np.maximum(sums * sums, TINY)
        share = np.where((sums > 0) & many, 1 - price * noise, 0.0)
        row[days:] = np.maximum(share, 0.0)[:-days]
    return found


def _variance_of_sum(sums: Floats, days: int) -> Floats:
    """Return [T] Bartlett's variance of a running sum, about 0: the mean square of all windows, those cut off as well.

    Every window of `days` that holds at least one of the days so far; (t, s) is in days - |t - s| of them.
    """
    whole = np.cumsum((sums - _shifted(sums, days)) ** 2)
    # The windows that reach beyond the last day hold the last 1, 2, ... days - 1 days.
    level, square = np.cumsum(sums), np.cumsum(sums * sums)
    before = [_shifted(total, 1) - _shifted(total, days) for total in (level, square)]
    cut_off = (days - 1) * sums * sums - 2 * sums * before[0] + before[1]
    found: Floats = (whole + np.maximum(cut_off, 0.0)) / days
    return found


def _shifted(values: Floats, days: int) -> Floats:
    found = np.zeros(values.shape)
    found[days:] = values[:-days]
    return found


def _learnt(
    learners: Sequence[_Learner],
    predicted: Floats,
    realised: Floats,
    scale: Floats,
    horizons: Sequence[int],
    share: float,
) -> Floats:
    if not 0 <= share <= 1:
        raise ValueError(f"the share dealt out equally is {share}; wanted 0 to 1")
    told = np.isfinite(realised) & np.isfinite(scale)
    inverse = np.where(told, 1 / np.where(told, scale, 1.0), 0.0)
    awake = np.isfinite(predicted)
    scaled = np.where(awake, predicted, 0.0) * inverse[:, :, None]
    came = np.where(told, realised, 0.0) * inverse
    found = np.zeros(predicted.shape)
    for at, (learner, days) in enumerate(zip(learners, horizons, strict=True)):
        found[at] = _one_horizon(learner, scaled[at], came[at], told[at], awake[at], days, share)
    return found


def _one_horizon(
    learner: _Learner, scaled: Floats, came: Floats, told: Booleans, awake: Booleans, days: int, share: float
) -> Floats:
    """Return [T, K] weights, made `days` origins at a time: none of them can learn from another of its block."""
    count = awake.sum(axis=1, keepdims=True)
    equal = awake / np.maximum(count, 1)
    weights: Floats = equal.copy()
    for first in range(days, len(scaled), days):
        last = min(first + days, len(scaled))
        matured = slice(first - days, last - days)
        mixed = np.einsum("tk,tk->t", weights[matured], scaled[matured])
        slope = np.sign(mixed - came[matured]) * told[matured]
        regrets = slope[:, None] * (mixed[:, None] - scaled[matured]) * awake[matured]
        raw = learner.after(regrets, awake[first:last]) * awake[first:last]
        total = raw.sum(axis=1, keepdims=True)
        own = np.where(total > 0, raw / np.maximum(total, TINY), equal[first:last])
        weights[first:last] = own if share == 0 else (1 - share) * own + share * equal[first:last]
    return weights
