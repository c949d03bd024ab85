"""Days as whole numbers since 1970, and the calendar the world is written in."""

from datetime import date, timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

EPOCH: Final = date(1970, 1, 1)
YEAR: Final = 365.25
MONTH: Final = YEAR / 12
NEVER: Final = np.int64(1 << 40)
"""The day of what has not happened."""


def day_number(day: date) -> int:
    """Return the days from 1970 to `day`."""
    return (day - EPOCH).days


def month_starts(as_of: date, months: int) -> Ints:
    """Return the first day of each of the `months` months that end with the one of `as_of`, oldest first."""
    last = as_of.year * 12 + as_of.month - 1
    firsts = [date((last - back) // 12, (last - back) % 12 + 1, 1) for back in reversed(range(months))]
    return np.array([day_number(first) for first in firsts], dtype=np.int64)


def weekday(days: Ints) -> Ints:
    """Return 0 for Monday to 6 for Sunday."""
    return (days + 3) % 7


def season(days: Ints) -> Floats:
    """Return how busy a day is: slow Augusts and Decembers, brisk springs."""
    busy = np.array([1.0, 1.05, 1.1, 1.05, 1.0, 0.95, 0.9, 0.85, 1.05, 1.1, 1.0, 0.8])
    months = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) % 12
    return busy[months]


def draw_days(rng: np.random.Generator, first: int, last: int, size: int, business: bool) -> Ints:
    """Return `size` days from `first` to `last` that follow the season, on business days alone if so asked."""
    days = np.arange(first, last + 1, dtype=np.int64)
    weights = season(days) * np.where(weekday(days) < 5, 1.0, 0.0 if business else 0.2)
    return rng.choice(days, size, p=weights / weights.sum())


def recording_lag(rng: np.random.Generator, size: int) -> Ints:
    """Return the days from a fact to its record: 25, 50, 75, 90 % are in after one, two, three, four months."""
    marks = [0.0, 0.25, 0.5, 0.75, 0.9, 0.97, 1.0]
    lags = [1.0, 30.4, 60.9, 91.3, 120.0, 210.0, 540.0]
    return np.ceil(np.interp(rng.random(size), marks, lags)).astype(np.int64)


def call_delay(chance: Floats) -> Ints:
    """Return the days from contact to call at each quantile: median 1, 90 % within 43, 95 % within 122."""
    marks = [0.0, 0.30, 0.54, 0.62, 0.70, 0.80, 0.90, 0.95, 0.99, 1.0]
    lags = [0.0, 1.0, 2.0, 4.0, 8.0, 20.0, 44.0, 122.0, 340.0, 400.0]
    return np.floor(np.interp(chance, marks, lags)).astype(np.int64)


def back(day: date, years: float) -> int:
    """Return the day number `years` before `day`."""
    return day_number(day - timedelta(days=round(years * YEAR)))
