"""Cheap forecasters of a price, each of every origin in one pass: from no change to a damped trend."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foregate.metrics.estimate import Floats
from foregate.metrics.inputs import finite

Expert = Callable[[ArrayLike, Sequence[int]], Floats]

YEAR_DAYS = 250
FIVE_YEAR_DAYS = 1250
MOMENTUM_DAYS = 60
REVERSION_DAYS = 1000
# Two years: reversion of oil and copper is told in one to a few years (Schwartz 1997), and slower shrinks to no change.
REVERSION_HALF_LIFE_DAYS = 500
SMOOTHING_DAYS = 20
SES_LEVEL = 0.3
HOLT_LEVEL, HOLT_TREND, HOLT_DAMPING = 0.3, 0.1, 0.95


def no_change(y: ArrayLike, horizons: Sequence[int]) -> Floats:
    """Return [H, T] zeros: the price stays. There from the first day on.

    Arguments of every expert: `y` [T] the (displaced) logarithm of the price of each trading day, `horizons` H
    counts of trading days. Every expert returns predicted log returns, the change of y from t to t + h, made of y up to
    and including t alone; NaN where there is too little history. ValueError for y empty, NaN or infinite and for no
    horizon or one below 1 day.

    >>> no_change([3.0, 3.1], (1, 5))
    array([[0., 0.],
           [0., 0.]])
    """
    values, days = _checked(y, horizons)
    return np.zeros((days.size, values.size))


def drift_1y(y: ArrayLike, horizons: Sequence[int]) -> Floats:
    """Return [H, T] the mean daily log return of the last 250 days, h times; NaN for the first 250 days.

    >>> drift_1y(np.arange(252) / 1000, (5,))[0, 249:].round(3)
    array([  nan, 0.005, 0.005])
    """
    return _drift(y, horizons, YEAR_DAYS)


def drift_5y(y: ArrayLike, horizons: Sequence[int]) -> Floats:
    """Return [H, T] the mean daily log return of the last 1,250 days, h times; NaN for the first 1,250 days.

    >>> drift_5y(np.arange(1252) / 1000, (5,))[0, 1249:].round(3)
    array([  nan, 0.005, 0.005])
    """
    return _drift(y, horizons, FIVE_YEAR_DAYS)


def momentum(y: ArrayLike, horizons: Sequence[int]) -> Floats:
    """Return [H, T] the mean daily log return of the last 60 days, h times; NaN for the first 60 days.

    >>> momentum(np.arange(62) / 1000, (5,))[0, 59:].round(3)
    array([  nan, 0.005, 0.005])
    """
    return _drift(y, horizons, MOMENTUM_DAYS)


def mean_reversion(y: ArrayLike, horizons: Sequence[int]) -> Floats:
    """Return [H, T] the way from y to its mean of the last 1,000 days that is gone in h days; NaN for the first 999.

    The distance is halved in 500 trading days: (1 - 0.5 ** (h / 500)) * (mean - y), an Ornstein-Uhlenbeck process
    of that speed (Schwartz 1997, model 1).

    >>> mean_reversion(np.append(np.zeros(999), 1.0), (500,))[0, -2:]
    array([    nan, -0.4995])
    """
    values, days = _checked(y, horizons)
    gone = 1 - 0.5 ** (days / REVERSION_HALF_LIFE_DAYS)
    return _towards(values, _trailing_mean(values, REVERSION_DAYS), gone)


def sma_20(y: ArrayLike, horizons: Sequence[int]) -> Floats:
    """Return [H, T] the way from y to its mean of the last 20 days, the same at every horizon; NaN for the first 19.

    >>> sma_20(np.append(np.zeros(19), 1.0), (1,))[0, -2:]
    array([  nan, -0.95])
    """
    values, days = _checked(y, horizons)
    return _towards(values, _trailing_mean(values, SMOOTHING_DAYS), np.ones(days.size))


def ses(y: ArrayLike, horizons: Sequence[int]) -> Floats:
    """Return [H, T] the way from y to its exponentially smoothed level, the same at every horizon; NaN for 19 days.

    Level = 0.3 y + 0.7 of the level before, from the first y on, which weighs below 0.2 % when it first forecasts.

    >>> ses(np.append(np.zeros(20), 1.0), (1,))[0, -1:]
    array([-0.7])
    """
    values, days = _checked(y, horizons)
    level = values[0] + _filtered([SES_LEVEL], [1.0, SES_LEVEL - 1], values - values[0])
    return _towards(values, _after_start(level), np.ones(days.size))


def damped_holt(y: ArrayLike, horizons: Sequence[int]) -> Floats:
    """Return [H, T] the way from y to a smoothed level with a damped trend; NaN for the first 19 days.

    Level 0.3, trend 0.1, damping 0.95 (Gardner & McKenzie 1985): level = 0.3 y + 0.7 (level + 0.95 trend) of the day
    before; trend = 0.1 (change of the level) + 0.9 * 0.95 of the trend before; forecast of h days =
    level + (0.95 + ... + 0.95 ** h) trend. From level y and trend 0 on the first day.

    >>> damped_holt(np.arange(100) / 100, (1, 5))[:, -1].round(4)
    array([-0.0015,  0.0216])
    """
    values, days = _checked(y, horizons)
    # The recursion is linear, x = (F - g w) x + g y, so both parts of its state are filters of y with two poles.
    gain = np.array([HOLT_LEVEL, HOLT_LEVEL * HOLT_TREND])
    step = np.array([[1.0, HOLT_DAMPING], [0.0, HOLT_DAMPING]]) - np.outer(gain, [1.0, HOLT_DAMPING])
    poles = [1.0, -float(np.trace(step)), float(np.linalg.det(step))]
    for_level = [gain[0], step[0, 1] * gain[1] - step[1, 1] * gain[0]]
    for_trend = [gain[1], step[1, 0] * gain[0] - step[0, 0] * gain[1]]
    moved = values - values[0]
    level, trend = values[0] + _filtered(for_level, poles, moved), _filtered(for_trend, poles, moved)
    reach = HOLT_DAMPING * (1 - HOLT_DAMPING**days) / (1 - HOLT_DAMPING)
    found: Floats = _towards(values, _after_start(level), np.ones(days.size)) + reach[:, None] * trend
    return found


COMPLEXITY = ("no_change", "drift_5y", "drift_1y", "momentum", "sma_20", "ses", "mean_reversion", "damped_holt")
"""Names of the experts, the simplest first; of two that are as good the earlier one is taken."""

EXPERTS: dict[str, Expert] = {
    "no_change": no_change,
    "drift_5y": drift_5y,
    "drift_1y": drift_1y,
    "momentum": momentum,
    "sma_20": sma_20,
    "ses": ses,
    "mean_reversion": mean_reversion,
    "damped_holt": damped_holt,
}


def predicted(y: ArrayLike, horizons: Sequence[int], names: Sequence[str] = COMPLEXITY) -> Floats:
    """Return [H, T, K] the predicted log returns of the experts named, in their order; NaN where one is not there yet.

    ValueError for a name that is not in `EXPERTS`, for no name, and as for `no_change`.

    >>> predicted([3.0, 3.1], (1, 5), ["no_change", "momentum"]).shape
    (2, 2, 2)
    """
    unknown = [name for name in names if name not in EXPERTS]
    if unknown or not names:
        asked = ", ".join(unknown) or "no expert"
        raise ValueError(f"found {asked}; wanted some of the experts {', '.join(EXPERTS)}")
    return np.stack([EXPERTS[name](y, horizons) for name in names], axis=-1)


def realised(y: ArrayLike, horizons: Sequence[int]) -> Floats:
    """Return [H, T] what came: y[t + h] - y[t], NaN where t + h is after the last day. ValueError as for `no_change`.

    Known at t + h, never before: who reads it at an origin t may read columns up to t - h alone.

    >>> realised([0.0, 1.0, 3.0], (1, 2))
    array([[ 1.,  2., nan],
           [ 3., nan, nan]])
    """
    values, days = _checked(y, horizons)
    found = np.full((days.size, values.size), np.nan)
    for row, ahead in zip(found, days.tolist(), strict=True):
        row[: max(0, values.size - ahead)] = values[ahead:] - values[:-ahead]
    return found


def _checked(y: ArrayLike, horizons: Sequence[int]) -> tuple[Floats, NDArray[np.int64]]:
    days = np.asarray(horizons, dtype=np.int64)
    if days.ndim != 1 or days.size == 0 or days.min() < 1:
        raise ValueError(f"the horizons are {list(horizons)}; wanted at least one, each at least 1 trading day")
    return finite(y, "logarithms of the price"), days


def _drift(y: ArrayLike, horizons: Sequence[int], window: int) -> Floats:
    values, days = _checked(y, horizons)
    daily = np.full(values.size, np.nan)
    daily[window:] = (values[window:] - values[:-window]) / window
    found: Floats = days[:, None] * daily
    return found


def _towards(y: Floats, level: Floats, share: Floats) -> Floats:
    found: Floats = share[:, None] * (level - y)
    return found


def _trailing_mean(y: Floats, window: int) -> Floats:
    """Return [T] the mean of the last `window` values, NaN before there are as many."""
    # Sums of the distance from the first value, so that a high level does not cost digits.
    sums = np.concatenate([[0.0], np.cumsum(y - y[0])])
    found = np.full(y.size, np.nan)
    found[window - 1 :] = y[0] + (sums[window:] - sums[:-window]) / window
    return found


def _after_start(level: Floats) -> Floats:
    return np.where(np.arange(level.size) < SMOOTHING_DAYS - 1, np.nan, level)


def _filtered(of_input: Sequence[float], of_output: Sequence[float], y: Floats) -> Floats:
    # Half a second of import that other commands must not wait for.
    from scipy.signal import lfilter

    found: NDArray[Any] = lfilter(of_input, of_output, y)
    return np.asarray(found, dtype=np.float64)
