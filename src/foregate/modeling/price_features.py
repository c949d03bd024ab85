"""What is known of a price on a day: trailing returns, distances to means, volatilities, and other series' state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

RETURN_DAYS = (1, 5, 21, 63, 250)
MEAN_DAYS = (20, 60, 250)
SHORT_DAYS, LONG_DAYS = 21, 250
CHANGE_DAYS = (5, 21)
# The day itself and what the longest trailing return looks back on: no feature knows of anything before.
HISTORY_DAYS = max(RETURN_DAYS) + 1


class Features(NamedTuple):
    """Features by day: their names, F of them, and values [T, F] with NaN where one is not known."""

    names: tuple[str, ...]
    values: Floats


class _Window(NamedTuple):
    """The mean of the last days less today's value, and their standard deviation, both [T]."""

    beyond: Floats
    deviation: Floats


def features(y: ArrayLike, volatility: ArrayLike, exogenous: Mapping[str, ArrayLike]) -> Features:
    """Return the features of each day, from that day's values and those of the 250 days before it alone.

    `y` [T] is the log price, `volatility` [T] the daily standard deviation of its returns as known on the day, and
    each of `exogenous` [T] another series as it was known on the day. `return_{n}d` is the log return of the last
    n days over volatility * sqrt(n); `distance_{n}d` is y less the mean of its last n days, in volatilities;
    `volatility_ratio` is the standard deviation of the last 21 daily returns over that of the last 250. Of each
    exogenous series, in standard deviations of its own last 250 days: `{name}_level` above their mean, and
    `{name}_change_{n}d`, the change over the last 5 and 21 days.

    NaN stays NaN and nothing is filled in. A mean or standard deviation is told by half of its days, today among
    them; a volatility of 0 or less, or days that are all alike, tell nothing. A day's row is the same, bit by bit,
    however much history stands before the 251 days it looks at. ValueError for unequal lengths.

    >>> found = features(np.arange(300) / 64, np.full(300, 0.02), {"vix": np.arange(300) % 7})
    >>> found.names[0], found.values[299, :2].round(3)
    ('return_1d', array([0.781, 1.747]))
    >>> int(np.isnan(found.values[0]).sum()), int(np.isnan(found.values[299]).sum())
    (12, 1)
    """
    prices, spread = _column(y, "y", None), _column(volatility, "volatility", np.size(y))
    spread = np.where(spread > 0, spread, np.nan)
    columns = _own(prices, spread)
    for name, values in exogenous.items():
        columns |= _other(name, _column(values, name, prices.size))
    return Features(tuple(columns), np.stack(list(columns.values()), axis=1))


def _column(values: ArrayLike, name: str, length: int | None) -> Floats:
    found = np.asarray(values, dtype=np.float64)
    if found.ndim != 1 or (length is not None and found.size != length):
        raise ValueError(f"{name} has the shape {found.shape}; wanted ({'T' if length is None else length},)")
    return np.where(np.isfinite(found), found, np.nan)


def _own(y: Floats, volatility: Floats) -> dict[str, Floats]:
    columns = {f"return_{days}d": _change(y, days) / (volatility * np.sqrt(days)) for days in RETURN_DAYS}
    columns |= {f"distance_{days}d": -_window(y, days).beyond / volatility for days in MEAN_DAYS}
    daily = _change(y, 1)
    long = _window(daily, LONG_DAYS).deviation
    return columns | {"volatility_ratio": _window(daily, SHORT_DAYS).deviation / np.where(long > 0, long, np.nan)}


def _other(name: str, values: Floats) -> dict[str, Floats]:
    window = _window(values, LONG_DAYS)
    scale = np.where(window.deviation > 0, window.deviation, np.nan)
    changes = {f"{name}_change_{days}d": _change(values, days) / scale for days in CHANGE_DAYS}
    return {f"{name}_level": -window.beyond / scale} | changes


def _change(values: Floats, days: int) -> Floats:
    found = np.full(values.size, np.nan)
    found[days:] = values[days:] - values[:-days]
    return found


def _window(values: Floats, days: int) -> _Window:
    if values.size == 0:
        return _Window(values, values)
    # Windows of their own instead of running sums: a running sum's last bits depend on all that came before.
    padded = np.concatenate([np.full(days - 1, np.nan), values])
    # Less today's value, so that days all alike have a deviation of exactly 0, and none without today.
    beyond = sliding_window_view(padded, days) - values[:, None]
    there = np.isfinite(beyond)
    count = np.where(2 * there.sum(axis=1) >= days, there.sum(axis=1), np.nan)
    mean = np.where(there, beyond, 0.0).sum(axis=1) / count
    squares = np.where(there, beyond - mean[:, None], 0.0) ** 2
    return _Window(mean, np.sqrt(squares.sum(axis=1) / (count - 1)))
