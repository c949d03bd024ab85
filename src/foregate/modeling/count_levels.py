"""The levels of many count series, followed day by day: decayed gamma-Poisson filters of every half-life at once.

Three levels are followed together: the total, its super-segments and their series. On every evening each of them has
one forecast for each half-life and is weighed by how well that half-life has foretold the days so far (the negative
binomial log score, summed over the level). One pass over the days gives the levels of every origin.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foregate.modeling.series import History, grouped

Floats = NDArray[np.float64]
TINY = 1e-12
FIRST_DISPERSION, FIRST_WEIGHT = 0.25, 10.0
# Pseudo-events behind a level's own long run: a new one is its siblings' until it has events of its own.
BEHIND_TOTAL, BEHIND_SERIES = 0.5, 0.3


@dataclass(frozen=True)
class Following:
    """How levels are followed.

    `half_lives` in days, ascending, the last one being the long run (infinite: the plain mean). `prior_events`: how
    many events the long run, moved as the parent has moved, is worth against a half-life's own events.
    `score_half_life` in days: how long a good forecast is remembered when half-lives are weighed.
    """

    half_lives: tuple[float, ...] = (7, 14, 28, 60, 120, 240, np.inf)
    prior_events: float = 1.0
    score_half_life: float = 365.0


@dataclass(frozen=True)
class Levels:
    """Each series' level in the evening of each day, in counts a day on a day of factor 1.

    `level` [days, series], 0 where the series does not exist. `events` [days, series]: the decayed number of events
    it stands on, the prior's among them: the shape of the gamma distribution around it, were there no dispersion.
    `weights`: of each half-life on the last evening, by level; those of the total and the super-segments have one
    more, for the sum of the children.
    """

    level: Floats
    events: Floats
    weights: dict[str, Floats]


class _Bank:
    """The filters of one level of the hierarchy: [half-lives, nodes] decayed events and exposures, and their scores."""

    def __init__(self, nodes: int, follow: Following, parent: bool) -> None:
        self.keep = np.array([0.5 ** (1 / days) for days in follow.half_lives])[:, None]
        self.prior = follow.prior_events
        self.remember = 0.5 ** (1 / follow.score_half_life)
        self.events, self.exposure = (np.zeros((len(follow.half_lives), nodes)) for _ in range(2))
        self.scores = np.zeros(len(follow.half_lives) + parent)
        self.weights = np.full(self.scores.size, 1 / self.scores.size)
        self.forecast, self.expected = np.zeros((self.scores.size, nodes)), np.zeros(nodes)
        self.excess, self.weight = FIRST_DISPERSION * FIRST_WEIGHT, FIRST_WEIGHT

    def judge(self, counts: Floats, factor: Floats, known: NDArray[np.bool_]) -> None:
        """Score yesterday's forecasts on the nodes that were known then."""
        if not known.any():
            return
        came = np.flatnonzero(known & (counts > 0))
        size = 1 / min(max(self.excess / self.weight, 0.01), 5.0)
        # Sums, not matrix products: their order, and so their last digit, does not hang on the number of threads.
        gain = (np.log(np.maximum(self.forecast[:, came] * factor[came], TINY)) * counts[came]).sum(axis=1)
        most = self.forecast * (factor / size)
        most += 1
        gain -= (np.log(most, out=most) * (known * (counts + size))).sum(axis=1)
        self.scores = self.remember * self.scores + gain
        mean = self.expected * factor
        saturated = known / (1 + mean) ** 2
        self.excess += float((saturated * ((counts - mean) ** 2 - mean)).sum())
        self.weight += float((saturated * mean**2).sum())
        relative = np.exp(self.scores - self.scores.max())
        self.weights = relative / relative.sum()

    def absorb(self, counts: Floats, exposure: Floats) -> None:
        """Take in a day."""
        for kept, new in ((self.events, counts), (self.exposure, exposure)):
            kept *= self.keep
            kept += new

    def scale(self, ratio: Floats) -> None:
        """Make each node as much smaller or greater as its children that left or came make it; 0 forgets it."""
        self.events = self.events * ratio
        self.forecast, self.expected = self.forecast * ratio, self.expected * ratio
        self.exposure = self.exposure * (ratio > 0)

    def long_run(self, events: float | Floats, exposure: Floats) -> Floats:
        """Return [nodes] the slowest level, on top of some events and days known before."""
        return np.asarray((self.events[-1] + events) / (self.exposure[-1] + exposure))

    def levels(self, prior: Floats) -> Floats:
        """Return [half-lives, nodes] the gamma posterior means, around prior means [nodes]."""
        return np.asarray((self.events + self.prior) / (self.exposure + self.prior / np.maximum(prior, TINY)))

    def foretell(self, rows: Floats) -> Floats:
        """Take each row as a forecast of the day to come, and return [nodes] their weighted mean."""
        self.forecast, self.expected = rows, self.mixed(rows)
        return self.expected

    def mixed(self, rows: Floats) -> Floats:
        """Return [nodes] the weighted mean of rows: all of them, or only those of half-lives."""
        weights = self.weights[: len(rows)]
        return np.asarray((weights[:, None] * rows).sum(axis=0) / weights.sum())


@dataclass(frozen=True)
class _Days:
    """All days' counts and who was there, days first: of series [days, series] and of segments [days, segments].

    `both`: there on the day and the day before, so that a forecast can be judged. `factor` and `total_factor` are
    those of each day's weekday, as known the evening before.
    """

    counts: Floats
    here: NDArray[np.bool_]
    both: NDArray[np.bool_]
    sums: Floats
    alive: Floats
    known: NDArray[np.bool_]
    factor: Floats
    total_factor: Floats


def _days(history: History, counts: NDArray[np.int64], total_factors: Floats, factors: Floats) -> _Days:
    groups, count, present = history.segments, history.super_segments, history.present()
    here = present.T.copy()
    both = here.copy()
    both[0], both[1:] = False, here[1:] & here[:-1]
    each_day, weekdays = np.arange(history.days), history.weekdays(0)
    return _Days(
        counts=counts.T.astype(np.float64, order="C"),
        here=here,
        both=both,
        sums=grouped(counts.astype(np.float64), groups, count).T.copy(),
        alive=grouped(present.astype(np.float64), groups, count).T.copy(),
        known=grouped(both.T.astype(np.float64), groups, count).T > 0,
        factor=factors[each_day, :, weekdays],
        total_factor=total_factors[each_day, :, weekdays],
    )


class _Evening:
    """The state of all three levels in the evening of a day."""

    def __init__(self, history: History, days: _Days, follow: Following) -> None:
        self.groups, self.count, self.days = history.segments, history.super_segments, days
        self.born, self.died = history.born, history.died
        self.eventful = set(self.born.tolist()) | set(self.died.tolist())
        self.total, self.parts = _Bank(1, follow, True), _Bank(self.count, follow, True)
        self.series = _Bank(history.series, follow, False)
        self.level, self.typical = np.zeros(history.series), np.zeros(self.count)

    def summed(self, values: Floats) -> Floats:
        return np.asarray(np.bincount(self.groups, values, self.count), dtype=np.float64)

    def compose(self, day: int) -> None:
        """Move the parents of series that begin or end on a day, by what is known of them without its counts."""
        if day == 0 or day not in self.eventful:
            return
        coming, leaving = self.born == day, self.died == day
        before = self.summed(self.level)
        after = self.summed(np.where(leaving, 0.0, self.level) + np.where(coming, self.typical[self.groups], 0.0))
        ratio = np.where(before > 0, after / np.maximum(before, TINY), 1.0)
        self.parts.scale(ratio)
        whole = before.sum()
        self.total.scale(np.array([(before * ratio).sum() / whole if whole > 0 else 1.0]))

    def take(self, day: int) -> None:
        """Score and take in a day."""
        days, counts, sums = self.days, self.days.counts[day], self.days.sums[day]
        factor, alive = days.factor[day], days.alive[day] > 0
        own_factor, total_factor, total = factor[self.groups], days.total_factor[day], sums.sum(keepdims=True)
        self.total.judge(total, total_factor, days.known[day].any(keepdims=True))
        self.parts.judge(sums, factor, days.known[day])
        self.series.judge(counts, own_factor, days.both[day])
        self.total.absorb(total, total_factor * alive.any())
        self.parts.absorb(sums, factor * alive)
        self.series.absorb(counts, own_factor * days.here[day])

    def settle(self, day: int) -> None:
        """Forecast: down from the total to the series, then up again, so that sums of series are in the race too."""
        here, alive = self.days.here[day], self.days.alive[day]
        total_run = self.total.long_run(BEHIND_TOTAL, np.full(1, BEHIND_TOTAL / 10))
        total_rows = self.total.levels(total_run)
        part_run = self.parts.long_run(BEHIND_TOTAL / self.count, BEHIND_TOTAL / total_run)
        part_rows = self.parts.levels(part_run * self.total.mixed(total_rows) / total_run)
        part_level = self.parts.mixed(part_rows)
        run = self._series_run(here, alive, part_level)
        moved = part_level / np.maximum(self.summed(run * here), TINY)
        level = self.series.foretell(self.series.levels(run * moved[self.groups])) * here
        sums = self.summed(level)
        part_level = self.parts.foretell(np.vstack([part_rows, sums])) * (alive > 0)
        whole = self.total.foretell(np.vstack([total_rows, part_level.sum(keepdims=True)]))
        part_level *= whole / max(part_level.sum(), TINY)
        self.level = level * (part_level / np.maximum(sums, TINY))[self.groups]

    def _series_run(self, here: NDArray[np.bool_], alive: Floats, part_level: Floats) -> Floats:
        """Return [series] the long run of each, a new one being as its typical sibling (the geometric mean)."""
        mean = part_level / np.maximum(alive, 1)
        own = self.series.long_run(BEHIND_SERIES, (BEHIND_SERIES / np.maximum(mean, TINY))[self.groups])
        logs = self.summed(np.log(own) * here)
        self.typical = np.where(alive > 0, np.exp(logs / np.maximum(alive, 1)), 0.0)
        behind = np.where(alive > 0, self.typical, mean)
        return self.series.long_run(BEHIND_SERIES, (BEHIND_SERIES / np.maximum(behind, TINY))[self.groups])


def levels(
    history: History, counts: NDArray[np.int64], total_factors: Floats, factors: Floats, follow: Following
) -> Levels:
    """Return the level of every series in the evening of every day, each from the days up to it alone.

    `counts` [series, days] are those that tell of the level (`without_bursts`); `total_factors` [days + 1, 1, 7] and
    `factors` [days + 1, segments, 7] are `weekday_factors`. Decayed gamma-Poisson filtering: Harvey & Fernandes 1989;
    weights of half-lives by past log scores, slowly forgotten: Raftery, Karny & Ettler 2010.
    """
    evening = _Evening(history, _days(history, counts, total_factors, factors), follow)
    level, events = np.zeros(counts.shape[::-1]), np.zeros(counts.shape[::-1])
    for day in range(history.days):
        evening.compose(day)
        evening.take(day)
        evening.settle(day)
        level[day] = evening.level
        events[day] = evening.series.mixed(evening.series.events) + follow.prior_events
    banks = {"total": evening.total, "segment": evening.parts, "series": evening.series}
    return Levels(level, events, {name: bank.weights for name, bank in banks.items()})
