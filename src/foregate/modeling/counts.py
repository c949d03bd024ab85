"""The count filter: many sparse series followed through one pass, with joint sample paths from every evening of it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from foregate.modeling.count_days import weekday_factors, without_bursts
from foregate.modeling.count_levels import Floats, Following, Levels, levels
from foregate.modeling.count_paths import Days, Outlook, draw_paths
from foregate.modeling.count_shocks import Spreads, spreads
from foregate.modeling.series import History, grouped

LEAST_DISPERSION = 1e-3


@dataclass(frozen=True)
class CountFilter:
    """Decayed gamma-Poisson levels, pooled from series to segment to total, with shared shocks and days like past days.

    `burst_deviations`: how far beyond its expectation a day must be to be taken as a burst apart from the level.
    `pool_days`: how far back days are drawn from. `tail`: degrees of freedom of the levels' shocks. `any_day`: the
    weight of a day of any weekday against one past day of the right one.
    """

    name: str = "count_filter"
    complexity: int = 3
    follow: Following = field(default_factory=Following)
    burst_deviations: float = 4.0
    pool_days: int = 119
    tail: float = 3.0
    any_day: float = 10.0

    def filtered(self, history: History) -> Filtered:
        """Return the history followed: all that is needed to forecast from any evening of it, in one pass."""
        counts = without_bursts(history, self.burst_deviations)
        weekdays = history.weekdays(0)
        parts = grouped(counts, history.segments, history.super_segments)
        total_factors = weekday_factors(parts.sum(axis=0, keepdims=True), weekdays)
        factors = weekday_factors(parts, weekdays, total_factors)
        followed = levels(history, counts, total_factors, factors, self.follow)
        strayed = spreads(history, counts, factors, followed)
        return Filtered(self, history, counts, factors, followed, strayed)

    def paths(self, history: History, horizon: int, draws: int, rng: np.random.Generator) -> NDArray[np.int32]:
        """Return [draws, series, horizon] joint counts for the days after `history.last`."""
        return self.filtered(history).paths(history.days - 1, horizon, draws, rng)


@dataclass(frozen=True)
class Filtered:
    """A history that was followed by the count filter; every row of a day is made of the days up to it alone.

    `counts` [series, days] are without bursts; `factors` [days + 1, segments, 7] as known before each day.
    """

    settings: CountFilter
    history: History
    counts: NDArray[np.int64]
    factors: Floats
    levels: Levels
    spreads: Spreads

    def paths(self, day_index: int, horizon: int, draws: int, rng: np.random.Generator) -> NDArray[np.int32]:
        """Return [draws, series, horizon] joint counts from the evening of a day, given by its column.

        The same, given the same generator state, as cutting the history after that day and filtering anew. ValueError
        for a column that is not there.
        """
        return draw_paths(self.outlook(day_index, horizon), draws, rng)

    def means(self, day_index: int, horizon: int) -> Floats:
        """Return [series, horizon] the expected counts from the evening of a day."""
        outlook = self.outlook(day_index, horizon)
        bursts = outlook.days.bursts.mean(axis=0)
        rates = outlook.level[:, None] * outlook.factors[:, outlook.segments].T + bursts[:, None]
        return np.asarray(rates * outlook.alive[:, None])

    def outlook(self, day_index: int, horizon: int) -> Outlook:
        """Return all that is known in the evening of a day."""
        if not 0 <= day_index < self.history.days:
            raise ValueError(f"column {day_index} of {self.history.days} days is not there")
        ahead = self.history.weekdays(horizon)[day_index + 1 : day_index + 1 + horizon]
        return Outlook(
            level=self.levels.level[day_index],
            shape=self.spreads.shape[day_index],
            alive=(self.history.born <= day_index) & (self.history.died > day_index),
            segments=self.history.segments,
            factors=self.factors[day_index + 1][:, ahead].T,
            weekdays=ahead,
            shocks=self.spreads.shocks(day_index),
            days=self._days(day_index),
            tail=self.settings.tail,
            any_day=self.settings.any_day,
        )

    def _days(self, day_index: int) -> Days:
        """Return the past days to draw from, the first day excepted: nothing had been expected of it."""
        past = np.arange(max(1, day_index + 1 - self.settings.pool_days), day_index + 1)
        weekdays = self.history.weekdays(0)[past]
        groups, count = self.history.segments, self.history.super_segments
        here = (self.history.born < past[:, None]) & (self.history.died > past[:, None])
        seen = np.where(here, self.counts[:, past].T, 0).astype(np.float64)
        mean = self.levels.level[past - 1] * self.factors[past, :, weekdays][:, groups] * here
        own, part, whole = (shock.day for shock in self.spreads.shocks(day_index))
        part_mean, part_seen = grouped(mean, groups, count, 1), grouped(seen, groups, count, 1)
        nothing = np.ones((len(past), 1))
        shape_whole, rate_whole, did = _posterior(
            part_seen.sum(axis=1, keepdims=True), part_mean.sum(axis=1, keepdims=True), whole, nothing
        )
        shape_part, rate_part, did = _posterior(part_seen, part_mean, part, did)
        shape, rate, _ = _posterior(seen, mean, own, did[:, groups])
        bursts = np.where(here, self.history.counts[:, past].T - self.counts[:, past].T, 0)
        none = np.zeros((1, len(groups)), dtype=np.int64)
        return Days(
            np.append(weekdays, -1),
            (shape_whole, shape_part, shape),
            (rate_whole, rate_part, rate),
            np.concatenate([bursts, none]),
        )


def _posterior(seen: Floats, mean: Floats, dispersion: Floats, did: Floats) -> tuple[Floats, Floats, Floats]:
    """Return shapes and rates of the gamma factors of days [days + 1, nodes], and [days, nodes] all that the day did.

    `did` is what the day did to the nodes' parents, beyond which the factors are found. The last row is the prior;
    rates are scaled so that what all days did is 1 in the mean.

    >>> one = np.ones((2, 1))
    >>> shape, rate, did = _posterior(np.array([[3.0], [1.0]]), 2 * one, np.array([0.5]), one)
    >>> shape.ravel().tolist(), rate.ravel().tolist(), did.ravel().tolist()
    ([5.0, 3.0, 2.0], [4.0, 4.0, 2.0], [1.25, 0.75])
    """
    prior = np.broadcast_to(1 / np.maximum(dispersion, LEAST_DISPERSION), (1, mean.shape[1]))
    shape, rate = np.concatenate([prior + seen, prior]), np.concatenate([prior + mean * did, prior])
    if len(seen):
        rate[:-1] *= (did * shape[:-1] / rate[:-1]).mean(axis=0)
    return shape, rate, did * shape[:-1] / rate[:-1]


COUNT_FILTER = CountFilter()
