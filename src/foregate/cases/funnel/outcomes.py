"""Outcomes: forecasts as they were issued, joined to what came: the only thing a monitor may compare."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from foregate.cases.funnel.events import Events
from foregate.cases.funnel.forecasting import Known, stage_paths
from foregate.cases.funnel.issues import Issue
from foregate.cases.funnel.levels import LEVELS, Level, by_name, levels, levels_of
from foregate.cases.funnel.panel import actuals, last_complete
from foregate.cases.funnel.reading import NOMINAL, PLAIN, Reader
from foregate.cases.funnel.scoring import losses, pits
from foregate.cases.funnel.settings import FunnelSettings
from foregate.core.evidence import Evidence, Unit
from foregate.metrics.coverage import pit_coverage
from foregate.metrics.diebold import relative_loss
from foregate.metrics.estimate import untold
from foregate.metrics.forecast import bias
from foregate.modeling.measured import Measured
from foregate.modeling.recalibration import Adaptive, Matured

WATCHED_DAYS = 7
RECENT_ISSUES = 12
ADAPTING_STEP = 0.005
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Outcome:
    """One issue and what came in its first days: `came` by stage [series of the issue, days], `days` of them whole."""

    issue: Issue
    days: int
    came: Mapping[str, Ints]

    def drawn(self, stage: str) -> NDArray[np.int32]:
        """Return the issue's paths of the days that came [draws, series, days]."""
        return self.issue.forecast.paths[stage][..., : self.days]

    @property
    def levels(self) -> tuple[Level, ...]:
        """The levels of the series as they were when the issue was made."""
        return levels_of(self.issue.series)

    def loss(self, stage: str) -> float:
        """Return the loss of the days that came, its components summed, in events."""
        return float(losses(self.drawn(stage), self.came[stage], self.levels).sum())


def outcomes(issues: Sequence[Issue], events: Events, settings: FunnelSettings, days: int) -> list[Outcome]:
    """Return the issues whose first `days` days are complete in the events, oldest first, with what came.

    A series that is new since the issue was made is not in it; one that is gone counts as none.
    """
    last = last_complete(events.as_of, settings.complete_after_days)
    found = []
    for issue in sorted(issues, key=lambda one: one.forecast.day):
        until = issue.forecast.first + timedelta(days=days - 1)
        if until <= last and days <= issue.forecast.horizon:
            came = {s: _came(issue, events, s, until) for s in issue.forecast.paths if s in events.stages}
            found.append(Outcome(issue, days, came))
    return found


def _came(issue: Issue, events: Events, stage: str, until: date) -> Ints:
    there = {(one.channel, one.source): place for place, one in enumerate(events.series)}
    counts = actuals(events, stage, issue.forecast.first, until)
    rows = [there.get((one.channel, one.source)) for one in issue.series]
    return np.array([counts[row] if row is not None else np.zeros(counts.shape[1], np.int64) for row in rows])


def outcome_evidence(
    made: Measured, found: Sequence[Outcome], readers: Mapping[str, Reader], naive: Mapping[str, Sequence[float]]
) -> Iterator[Evidence]:
    """Yield, by stage, how issued forecasts came true; without any matured issue, NaN on no rows.

    `issued_bias`: forecast over what came, less 1, each issue a block. `issued_loss_ratio`: loss over that of the best
    naive candidate made at the same time, `naive` [issues] by stage. `issued_coverage_50` and `_95`: outcomes of days
    inside the intervals as read. `surprise`: of the newest issue, how many standard deviations of its own paths the sum
    came out from their mean, for the total and each channel. `zero_error`: 1 where every forecast equals what came:
    then something is compared with itself.
    """
    recent = list(found)[-RECENT_ISSUES:]
    for stage, reader in readers.items():
        own = [one for one in recent if stage in one.came]
        if not own:
            yield from _nothing(made, stage)
            continue
        yield from _errors(made, stage, own)
        ours = np.array([one.loss(stage) for one in own])
        theirs = np.array(list(naive[stage])[-len(own) :])
        ratio = relative_loss(ours, theirs, 1, made.level) if theirs.sum() > 0 else untold(0, np.inf, 0, made.level)
        words = f"{len(own)} issues over {own[-1].days} days each, against the naive forecast of the same day"
        yield made.estimate("issued_loss_ratio", ratio, Unit.RATIO, stage, words)
        yield from _covered(made, stage, own, reader)
        yield from _surprises(made, stage, own[-1])


def _nothing(made: Measured, stage: str) -> Iterator[Evidence]:
    for name in ("issued_bias", "issued_loss_ratio", "zero_error"):
        empty = made.nothing(name, "no issued forecast has matured", np.nan)
        yield Evidence(name, np.nan, 0, empty.as_of, empty.source, subject=stage, words=empty.words)


def _errors(made: Measured, stage: str, own: Sequence[Outcome]) -> Iterator[Evidence]:
    means = np.array([one.drawn(stage).sum(axis=(1, 2)).mean() for one in own])
    totals = np.array([int(one.came[stage].sum()) for one in own])
    words = f"{means.sum():,.1f} forecast, {totals.sum():,} came, in {len(own)} issues of {own[-1].days} days"
    yield made.estimate("issued_bias", bias(means, totals, _blocks(own), made.level), Unit.DIFFERENCE, stage, words)
    same = all(np.array_equal(one.drawn(stage).mean(axis=0), one.came[stage]) for one in own) and bool(totals.sum())
    yield made.count("zero_error", int(same), len(own), stage, "forecasts equal what came on every day" if same else "")


def _blocks(own: Sequence[Outcome]) -> Ints:
    """Return the block of each issue: those whose days overlap hang together."""
    return np.array([one.issue.forecast.day.toordinal() // one.days for one in own])


def _covered(made: Measured, stage: str, own: Sequence[Outcome], reader: Reader) -> Iterator[Evidence]:
    for level in ("source", "total"):
        parts = [_pit(one, stage, block, level) for one, block in zip(own, _blocks(own), strict=True)]
        values, blocks = np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])
        read = reader.recalibrations.get((level, "day"), PLAIN).recalibrated(values) if values.size else values
        for nominal in NOMINAL if values.size else ():
            told = pit_coverage(read, nominal, blocks, made.level)
            words = f"{round(told.value * read.size):,} of {read.size:,} days"
            yield made.estimate(f"issued_coverage_{round(100 * nominal)}", told, Unit.RATE, f"{stage} {level}", words)


def _pit(one: Outcome, stage: str, place: int, level: str) -> tuple[NDArray[np.float64], Ints]:
    rng = np.random.default_rng([one.issue.forecast.day.toordinal(), len(stage)])
    pit = pits(one.drawn(stage), one.came[stage], [by_name(one.levels)[level]], place, rng)[level, "day"]
    return pit.values, pit.origins


def _surprises(made: Measured, stage: str, newest: Outcome) -> Iterator[Evidence]:
    since = f"{newest.days} days from {newest.issue.forecast.first}"
    for one in surprises(newest.drawn(stage), newest.came[stage], newest.levels):
        words = f"{one.came:,} came in {since}, {one.expected:,.1f} forecast"
        yield made.count("surprise", one.away, newest.days, f"{stage} {one.name}", words)


class Surprise(NamedTuple):
    """How many standard deviations of its own paths a sum came out from their mean; a spread is half at least."""

    name: str
    away: float
    came: int
    expected: float


def surprises(drawn: NDArray[np.integer], came: NDArray[np.integer], of: Sequence[Level]) -> Iterator[Surprise]:
    """Yield the surprise of the total and of each channel: of paths [draws, series, days] and what came."""
    for level in of:
        if level.name in ("total", "channel"):
            sums, one = level.sums(drawn).sum(axis=-1), level.sums(came).sum(axis=-1)
            for place, name in enumerate(level.names):
                mean, spread = float(sums[:, place].mean()), float(sums[:, place].std())
                away = round((float(one[place]) - mean) / max(spread, 0.5), 3)
                yield Surprise(name, away, int(one[place]), mean)


def simulated_week(newest: Issue, made: Measured, rng: np.random.Generator, multiplier: float) -> list[Evidence]:
    """Return the surprises of a week in which what comes is one of the issue's own paths, times `multiplier`."""
    found, of = [], levels_of(newest.series)
    for stage, paths in newest.forecast.paths.items():
        drawn = paths[..., :WATCHED_DAYS]
        one_path = drawn[rng.integers(len(drawn))]
        came = one_path if multiplier == 1 else rng.poisson(multiplier * one_path)
        for one in surprises(drawn, np.asarray(came), of):
            found.append(made.count("surprise", one.away, WATCHED_DAYS, f"{stage} {one.name}"))
    return found


def naive_losses(
    found: Sequence[Outcome], events: Events, settings: FunnelSettings, naive: Mapping[str, str], seed: int
) -> dict[str, list[float]]:
    """Return, by stage, what the naive candidate would have lost on each outcome, made from what was known then."""
    told: dict[str, list[float]] = {stage: [] for stage in naive}
    for one in found[-RECENT_ISSUES:]:
        known = Known.on(events, settings, one.issue.forecast.day)
        of = levels(events)
        for stage, name in naive.items():
            paths = stage_paths(known, stage, name, {}, one.days, settings.draws, seed)
            until = known.last + timedelta(days=one.days)
            told[stage].append(
                float(losses(paths, actuals(events, stage, known.last + timedelta(days=1), until), of).sum())
            )
    return told


def aims_of(
    found: Sequence[Outcome], readers: Mapping[str, Reader], on: date
) -> dict[str, dict[tuple[str, str, float], float]]:
    """Return the share of misses to aim at by stage, level, grain of a day, and nominal coverage, as of a day.

    Adaptive conformal inference (Gibbs & Candes 2021) over the issues' own first days, each known the day after; every
    level's steps are shared by its names, so that many series do not move an interval faster than one.
    """
    aims: dict[str, dict[tuple[str, str, float], float]] = {}
    for stage, reader in readers.items():
        own = [one for one in found if stage in one.came]
        aims[stage] = {}
        for level in LEVELS if own else ():
            places = [(one, _pit(one, stage, place, level)[0]) for place, one in enumerate(own)]
            names = max(len(by_name(one.levels)[level].names) for one in own)
            bounds = reader.probabilities(level, "day")
            for at, nominal in enumerate(NOMINAL):
                low, high = bounds[2 * at : 2 * at + 2]
                told = [seen for one, values in places for seen in _matured(one, values, low, high)]
                state = Adaptive(nominal, ADAPTING_STEP / names, pending=names * WATCHED_DAYS).after(told, on)
                aims[stage][level, "day", nominal] = state.aim
    return aims


def _matured(one: Outcome, values: NDArray[np.float64], low: float, high: float) -> Iterator[Matured]:
    matured = one.issue.forecast.first + timedelta(days=one.days)
    for value in values:
        yield Matured(one.issue.forecast.day, matured, bool(low <= value <= high))
