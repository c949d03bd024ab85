"""Forecasts that cost nothing and are always in the race: zero, trailing means, the same weekday of past weeks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from foregate.modeling.series import History, Indices, arrivals

Paths = NDArray[np.int32]


class Candidate(Protocol):
    """A forecaster of counts: anything with a name, a complexity and joint integer sample paths.

    `name` is as written in foregate.toml. `complexity`: 0 zero, 1 means, 2 seasonal naive, 3 count filter, 4 theta,
    ets and croston, 5 arima, 6 trees, 7 pools; the simpler one wins ties.
    """

    @property
    def name(self) -> str:
        """As written in foregate.toml."""

    @property
    def complexity(self) -> int:
        """0 for the simplest."""

    def paths(self, history: History, horizon: int, draws: int, rng: np.random.Generator) -> Paths:
        """Return [draws, series, horizon] joint integer sample paths for the days after `history.last`.

        Non-negative; 0 for dead and unborn series. One draw is joint over series and days: any sum over series or
        days of one draw is a draw of that sum. The same generator state gives the same paths.
        """


@dataclass(frozen=True)
class Zero:
    """Nothing will happen: what a model of rare events must beat first."""

    name: str = "zero"
    complexity: int = 0

    def paths(self, history: History, horizon: int, draws: int, rng: np.random.Generator) -> Paths:
        """Return zeros."""
        return np.zeros((draws, history.series, horizon), dtype=np.int32)


@dataclass(frozen=True)
class Mean:
    """Every day has the mean of the last `window` days of the series' life (None: of all of them).

    Days are independent given the mean: Poisson, or negative binomial where the days varied more than Poisson ones
    would, by the two moments. Series are independent, and the mean is taken as if it were known.
    """

    name: str
    window: int | None
    complexity: int = 1

    def paths(self, history: History, horizon: int, draws: int, rng: np.random.Generator) -> Paths:
        """Return paths of independent days around each series' mean."""
        mean, excess = moments(history, self.window)
        rates = np.broadcast_to((mean * history.alive)[:, None], (draws, history.series, horizon))
        varied = np.flatnonzero(excess > 1e-9 * mean)
        if varied.size:
            shape = mean[varied] ** 2 / excess[varied]
            mixing = rng.standard_gamma(shape[:, None], (draws, varied.size, horizon)) / shape[:, None]
            rates = rates.copy()
            rates[:, varied] *= mixing
        return arrivals(rates, rng)


def moments(history: History, window: int | None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return [series] the mean count of a day, and by how much the days' variance is above it (0 at least).

    Of the last `window` days, or of all; days before a series' birth and after its death do not count. A series with
    no day has mean 0, one with a single day no excess.

    >>> from datetime import date
    >>> one = History(np.array([[9, 0, 4]]), date(2025, 3, 3), np.array([1]), np.array([3]), np.array([0]))
    >>> moments(one, None)
    (array([2.]), array([6.]))
    """
    first = 0 if window is None else max(0, history.days - window)
    present = history.present()[:, first:]
    counts = np.where(present, history.counts[:, first:], 0).astype(np.float64)
    days = present.sum(axis=1)
    mean = counts.sum(axis=1) / np.maximum(days, 1)
    squares = (np.where(present, counts - mean[:, None], 0.0) ** 2).sum(axis=1)
    return mean, np.maximum(squares / np.maximum(days - 1, 1) - mean, 0.0)


@dataclass(frozen=True)
class SeasonalNaive:
    """Every day is a whole past day of the same weekday: all series of one day are drawn together.

    What happened on one day together stays together (a fair, an outage), so sums over series keep their variance.
    Days are drawn with replacement from the last `weeks` weeks; a series that was not yet born on the day drawn takes
    one of the days of its own life within them.
    """

    weeks: int = 8
    name: str = "seasonal_naive"
    complexity: int = 2

    def paths(self, history: History, horizon: int, draws: int, rng: np.random.Generator) -> Paths:
        """Return paths of whole past days."""
        first = max(0, history.days - 7 * self.weeks)
        drawn = same_weekday(history, first, horizon, draws, rng)
        found = history.counts[:, drawn].transpose(1, 0, 2).copy()
        for series in np.flatnonzero(history.alive & (history.born > first)):
            young = drawn < history.born[series]
            days = np.arange(history.born[series], history.days)
            found[:, series][young] = history.counts[series, rng.choice(days, int(young.sum()))]
        found[:, ~history.alive] = 0
        return np.minimum(found, np.iinfo(np.int32).max).astype(np.int32)


def same_weekday(history: History, first: int, horizon: int, draws: int, rng: np.random.Generator) -> Indices:
    """Return [draws, horizon] columns from `first` on, each of the weekday of the day to come, drawn evenly.

    A weekday that has not been seen since `first` takes any day.

    >>> from datetime import date
    >>> week = History(np.ones((1, 9), dtype=int), date(2025, 3, 3), np.array([0]), np.array([9]), np.array([0]))
    >>> same_weekday(week, 0, 8, 1, np.random.default_rng(1))[0, :5]
    array([2, 3, 4, 5, 6])
    """
    weekdays = history.weekdays(horizon)
    found = np.empty((draws, horizon), dtype=np.int64)
    for ahead in range(horizon):
        same = first + np.flatnonzero(weekdays[first : history.days] == weekdays[history.days + ahead])
        days = same if same.size else np.arange(first, history.days)
        found[:, ahead] = rng.choice(days, draws)
    return found


ZERO = Zero()
MEAN_28 = Mean("mean_28", 28)
MEAN_90 = Mean("mean_90", 90)
MEAN_ALL = Mean("mean_all", None)
SEASONAL_NAIVE = SeasonalNaive()
NAIVE: tuple[Candidate, ...] = (ZERO, MEAN_28, MEAN_90, MEAN_ALL, SEASONAL_NAIVE)
