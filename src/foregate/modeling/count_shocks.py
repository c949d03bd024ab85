"""How far counts strayed from their forecast levels, beyond chance, over a day, a week and four weeks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from foregate.modeling.count_levels import Levels
from foregate.modeling.series import History, Indices, grouped

Floats = NDArray[np.float64]
DAY, WEEK, MONTH = 1, 7, 28
# Variances relative to the squared mean that are believed before there is data, of a series and of a whole, and how
# many well-filled windows that belief is worth.
FIRST = {DAY: (0.25, 0.02), WEEK: (0.045, 0.008), MONTH: (0.02, 0.006)}
BELIEF = 3.0
LEAST_SHAPE = 0.5


class Spread(NamedTuple):
    """Variance over squared mean, beyond Poisson: `own` [days, series], `part` [days, segments], `whole` [days, 1]."""

    own: Floats
    part: Floats
    whole: Floats


class Shock(NamedTuple):
    """What strikes one level [nodes]: anew each `day`; the whole horizon alike (`lasting`); a walk, per day ahead."""

    day: Floats
    lasting: Floats
    walk: Floats


@dataclass(frozen=True)
class Spreads:
    """The spreads of the sums of 1, 7 and 28 days from the evening before them; row t uses the days up to t alone.

    `shape` [days, series] is that of the gamma distribution of each level: the events it stands on, each of which
    tells less the more days vary beyond Poisson.
    """

    shape: Floats
    day: Spread
    week: Spread
    month: Spread

    def shocks(self, evening: int) -> tuple[Shock, Shock, Shock]:
        """Return the shocks of each series, of its super-segment and of the total, as known on an evening.

        The week's and the month's variance less what independent days leave of it are those of a lasting shock and
        of a random walk: lasting + walk * 7 / 3 and lasting + walk * 28 / 3 are the variances of their means.
        """
        own, part, whole = (
            _told(*(spread[of][evening] for spread in (self.day, self.week, self.month))) for of in range(3)
        )
        return own, part, whole


def _told(day: Floats, week: Floats, month: Floats) -> Shock:
    near, far = np.maximum(week - day / WEEK, 0.0), np.maximum(month - day / MONTH, 0.0)
    walk = np.maximum(far - near, 0.0) / ((MONTH - WEEK) / 3)
    return Shock(day, np.maximum(np.minimum(near, far) - walk * WEEK / 3, 0.0), walk)


def spreads(history: History, counts: NDArray[np.int64], factors: Floats, levels: Levels) -> Spreads:
    """Return how far sums of days strayed from their forecasts, for every evening from the days up to it alone.

    By moments. A series' squared errors, less the Poisson variance and less its level's own gamma variance, over its
    squared mean are its own variance and all that it shares. What it shares with its segment is told by the products
    of the errors of two series of a segment, over the products of their means, and what segments share by those of
    two segments. Nodes are pooled, each window counting at most as one (weight 1 / (1 + usual mean)^2), so that a busy
    one's luck does not speak for all, and each is then drawn to its pool.
    """
    level = levels.level
    day = _spread(history, _daily(history, counts, factors, level), np.maximum(levels.events, LEAST_SHAPE), DAY)
    all_of_day = day.own + day.part[:, history.segments] + day.whole
    shape = np.maximum(levels.events / (1 + all_of_day * level), LEAST_SHAPE)
    week, month = (_spread(history, _windows(history, counts, level, days), shape, days) for days in (WEEK, MONTH))
    return Spreads(shape, day, week, month)


def _spread(history: History, window: tuple[Floats, Floats], shape: Floats, days: int) -> Spread:
    mean, error = window
    np.subtract(error, mean, out=error)
    squared, square = error * error, mean * mean
    groups, count = history.segments, history.super_segments
    one, many = FIRST[days]
    belief, none = BELIEF * days, np.zeros(count, dtype=np.int64)
    part_error, part_mean = grouped(error, groups, count), grouped(mean, groups, count)
    part_above = part_error**2 - grouped(squared, groups, count)
    part_below = part_mean**2 - grouped(square, groups, count)
    shared = _drawn_to_pool(part_above, part_below, part_mean, none, belief, many)
    whole_mean = part_mean.sum(axis=0, keepdims=True)
    whole_above = part_error.sum(axis=0, keepdims=True) ** 2 - (part_error**2).sum(axis=0)
    whole_below = whole_mean**2 - (part_mean**2).sum(axis=0)
    whole = _drawn_to_pool(whole_above, whole_below, whole_mean, none[:1], belief, many / 2)
    squared -= mean
    squared[:, days:] -= square[:, days:] / shape[:-days].T
    alone = _drawn_to_pool(squared, square, mean, groups, belief, one)
    shared = np.maximum(np.minimum(shared, _usual(alone, square, groups, count)), whole)
    own = np.maximum(alone - shared[groups], 0.0)
    return Spread(own.T.copy(), (shared - whole).T.copy(), whole.T.copy())


def _usual(alone: Floats, weight: Floats, groups: Indices, count: int) -> Floats:
    """Return [segments, days] the members' mean variance, by their squared means so far: no more can be shared."""
    whole = grouped(weight, groups, count)
    return np.where(whole > 0, grouped(weight * alone, groups, count) / np.where(whole > 0, whole, 1.0), np.inf)


def _drawn_to_pool(above: Floats, below: Floats, mean: Floats, pools: Indices, belief: float, first: float) -> Floats:
    """Return [nodes, days] the ratio of the sums of `above` and `below` up to each day, at least 0, drawn to its pool.

    `pools` [nodes]; a pool is drawn to `first` as a node is to its pool, by `belief` windows. `above` and `below` hold
    their sums up to each day afterwards.
    """
    weight = np.cumsum(mean > 0, axis=1, dtype=np.float64)
    np.maximum(weight, 1.0, out=weight)
    np.divide(np.cumsum(mean, axis=1), weight, out=weight)
    weight += 1
    np.divide(1.0, weight * weight, out=weight)
    np.cumsum(above, axis=1, out=above)
    np.cumsum(below, axis=1, out=below)
    count = int(pools.max()) + 1
    told, seen = above * weight, np.multiply(below, weight, out=weight)
    pooled = grouped(told, pools, count) + belief * first
    pooled /= grouped(seen, pools, count) + belief
    told += belief * np.maximum(pooled, 0.0)[pools]
    seen += belief
    return np.maximum(np.divide(told, seen, out=told), 0.0, out=told)


def _daily(history: History, counts: NDArray[np.int64], factors: Floats, level: Floats) -> tuple[Floats, Floats]:
    """Return [series, days] the forecast of each day on the evening before it, and what came; 0 where it was absent."""
    mean, seen = _windows(history, counts, level, DAY)
    each_day = np.arange(history.days)
    return mean * factors[each_day, :, history.weekdays(0)][:, history.segments].T, seen


def _windows(history: History, counts: NDArray[np.int64], level: Floats, days: int) -> tuple[Floats, Floats]:
    """Return [series, days] the sums of the `days` days up to each: forecast on the evening before them, and come."""
    mean, seen = np.zeros(counts.shape), np.zeros(counts.shape)
    present, sums = history.present(), np.cumsum(counts, axis=1)
    both = present[:, days:] & present[:, :-days]
    mean[:, days:] = level[:-days].T * both * days
    seen[:, days:] = (sums[:, days:] - sums[:, :-days]) * both
    return mean, seen
