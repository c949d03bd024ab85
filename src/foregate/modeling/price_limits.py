"""The checks on a price forecast before it is issued: they flag, and change nothing on their own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foregate.metrics.diebold import relative_loss
from foregate.metrics.estimate import Estimate, Floats
from foregate.metrics.inputs import at_least, share_of

LIMIT = 3.0
LEVEL_DAYS = 365

Flags = NDArray[np.bool_]


def _alike(name: str, values: ArrayLike, like: Floats) -> Floats:
    found = np.asarray(values, dtype=np.float64)
    if found.shape != like.shape:
        raise ValueError(f"the {name} has shape {found.shape}; wanted {like.shape}")
    return found


def _checked_limit(limit: float) -> float:
    if not 0 < limit < math.inf:
        raise ValueError(f"the limit is {limit} standard deviations; wanted a finite number above 0")
    return float(limit)


def extreme(m: ArrayLike, spread: ArrayLike, limit: float = LIMIT) -> Flags:
    """Return [H, T] whether a predicted log return is further from 0 than `limit` standard deviations of its horizon.

    m, spread [H, T]; spread as `volatility.over_horizon` gives it. False where either is NaN: a forecast that is
    not there is not extreme. Unlike a test of the level (`extreme_level`) it asks no more of a price that has
    moved away from its mean. ValueError for unequal shapes or a limit not above 0.

    >>> extreme([[0.1, 0.5, np.nan]], [[0.1, 0.1, 0.1]])
    array([[False,  True, False]])
    """
    moved = np.asarray(m, dtype=np.float64)
    return np.asarray(np.abs(moved) > _checked_limit(limit) * _alike("spread", spread, moved))


def extreme_level(price: ArrayLike, forecast: ArrayLike, days: int = LEVEL_DAYS, limit: float = LIMIT) -> Flags:
    """Return [H, T] whether a forecast price is over `limit` standard deviations from the mean of recent prices.

    price [T], forecast [H, T] in price units; mean and standard deviation of the last `days` prices known at each
    day; False before there are so many, and where the forecast is NaN. For a price that wanders, the level is the
    wrong test: of a random walk it flags 1.4 of 100 no-change forecasts, and of forecasts that come true ever more
    with the horizon, 2 of 100 at 5 days and 19 at 126. It is here for those who ask for that rule. ValueError for
    unequal shapes, fewer than 2 days, a limit not above 0.

    >>> calm = np.append(50 + np.arange(10) % 2, 50.0)
    >>> extreme_level(calm, [[52.5] * 10 + [52.5], [51.5] * 11], days=10)[:, -2:]
    array([[ True,  True],
           [False, False]])
    """
    prices, width = np.asarray(price, dtype=np.float64), at_least(days, 2, "days")
    told = np.asarray(forecast, dtype=np.float64)
    if prices.ndim != 1 or told.shape[-1:] != prices.shape:
        raise ValueError(f"forecasts of shape {told.shape} for prices of shape {prices.shape}; wanted [H, T] for [T]")
    flags = np.zeros(told.shape, dtype=np.bool_)
    if prices.size >= width:
        windows = np.lib.stride_tricks.sliding_window_view(prices, width)
        away = np.abs(told[..., width - 1 :] - windows.mean(axis=1))
        flags[..., width - 1 :] = away > _checked_limit(limit) * windows.std(axis=1, ddof=1)
    return flags


def blended(m: ArrayLike, flags: ArrayLike, share: float = 0.5) -> Floats:
    """Return [H, T] the predicted log returns with the flagged ones pulled towards no change by `share` of the way.

    Nothing else moves. To be done only where `blend_gain` of past outcomes says that it errs less. ValueError
    for unequal shapes or a share outside (0, 1].

    >>> blended([[0.4, 0.4]], [[True, False]])
    array([[0.2, 0.4]])
    """
    moved, chosen = np.asarray(m, dtype=np.float64), np.asarray(flags, dtype=np.bool_)
    if moved.shape != chosen.shape:
        raise ValueError(f"flags of shape {chosen.shape} for forecasts of shape {moved.shape}; wanted as many")
    return np.where(chosen, moved * (1 - share_of(share)), moved)


class BlendGain(NamedTuple):
    """What pulling the flagged forecasts of one horizon would have done.

    `rows` origins have matured, `flagged` of them were flagged; mean absolute errors as they were and pulled;
    `ratio` the second over the first with its interval, below 1 where pulling errs less. Without rows the losses
    are NaN.
    """

    rows: int
    flagged: int
    loss_as_is: float
    loss_blended: float
    ratio: Estimate


def blend_gain(
    realised: ArrayLike,
    m: ArrayLike,
    flags: ArrayLike,
    horizons: Sequence[int],
    share: float = 0.5,
    spread: ArrayLike | None = None,
) -> list[BlendGain]:
    """Return, for each horizon, the losses with and without pulling the flagged forecasts to no change.

    realised, m, flags [H, T]; the loss is the absolute error of the log return, divided by `spread` [H, T] where
    given, over the origins whose outcome and forecast are there. The interval is that of `relative_loss` with the
    horizon's overlap; where nothing was flagged the ratio is 1 within [1, 1], with fewer than 8 origins or two
    horizons of them it can not be told. Pull only where the interval's high end is below 1. ValueError for
    unequal shapes.

    >>> found = blend_gain([[0.1] * 10], [[0.2] * 5 + [0.1] * 5], [[True] * 5 + [False] * 5], [1])
    >>> found[0].rows, found[0].flagged, round(found[0].loss_as_is, 3), round(found[0].loss_blended, 3)
    (10, 5, 0.05, 0.0)
    """
    came = np.asarray(realised, dtype=np.float64)
    told = _alike("forecast", m, came)
    scale = np.ones_like(came) if spread is None else _alike("spread", spread, came)
    pulled, chosen = blended(told, flags, share), np.asarray(flags, dtype=np.bool_)
    if len(came) != len(horizons):
        raise ValueError(f"{len(horizons)} horizons for {len(came)} rows of outcomes; wanted as many")
    found = []
    for row, horizon in enumerate(horizons):
        known = ~np.isnan(came[row] + told[row] + scale[row])
        as_is = np.abs(came[row] - told[row])[known] / scale[row][known]
        after = np.abs(came[row] - pulled[row])[known] / scale[row][known]
        found.append(_gain(as_is, after, int(chosen[row][known].sum()), horizon))
    return found


def _gain(as_is: Floats, after: Floats, flagged: int, horizon: int) -> BlendGain:
    if as_is.size == 0:
        return BlendGain(0, 0, math.nan, math.nan, Estimate(math.nan, 0.0, math.inf, 0))
    ratio = relative_loss(after, as_is, horizon)
    return BlendGain(as_is.size, flagged, float(as_is.mean()), float(after.mean()), ratio)


def outside(price: ArrayLike, low: float | None = None, high: float | None = None) -> Flags:
    """Return [H, T] whether a forecast price lies outside the bounds given for the commodity; None bounds nothing.

    It never clips: WTI closed at -36.98 on 2020-04-20, and a forecast held at a bound says what nobody forecast.
    False where NaN, and on a bound. ValueError unless low < high.

    >>> outside([[19.0, 20.0, 130.0, np.nan]], 20, 120)
    array([[ True, False,  True, False]])
    """
    least, most = -math.inf if low is None else float(low), math.inf if high is None else float(high)
    if not least < most:
        raise ValueError(f"the bounds are {low} and {high}; wanted the low one below the high one")
    told = np.asarray(price, dtype=np.float64)
    return np.asarray((told < least) | (told > most))


def incoherent(m: ArrayLike, spread: ArrayLike, limit: float = LIMIT) -> Flags:
    """Return [H - 1, T] whether the forecasts of neighbouring horizons are too far apart to be of one price.

    m, spread [H, T] in rising order of horizon. What the price is said to do between two horizons, m2 - m1, is a
    log return of its own, of variance spread2^2 - spread1^2 where returns do not depend on those before; flagged
    beyond `limit` of its standard deviations, and wherever the two differ while the spread does not rise. False
    where NaN. ValueError for unequal shapes or a limit not above 0.

    >>> incoherent([[0.0, 0.0], [0.1, 0.3], [0.1, 0.3]], [[0.03] * 2, [0.06] * 2, [0.1] * 2])
    array([[False,  True],
           [False, False]])
    """
    told = np.asarray(m, dtype=np.float64)
    variances = _alike("spread", spread, told) ** 2
    between = np.sqrt(np.maximum(np.diff(variances, axis=0), 0.0))
    return np.asarray(np.abs(np.diff(told, axis=0)) > _checked_limit(limit) * between)
