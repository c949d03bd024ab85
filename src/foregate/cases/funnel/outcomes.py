"""Outcomes: forecasts as they were issued, joined to what came: the only thing a monitor may compare."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from foregate.cases.funnel.events import Events
from foregate.cases.funnel.forecasting import Known, stage_paths
from foregate.cases.funnel.issues import Issue
from foregate.cases.funnel.levels import Level, levels
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
    rows = [there.get((channel, source)) for channel, source, _ in issue.series]
    return np.array([counts[row] if row is not None else np.zeros(counts.shape[1], np.int64) for row in rows])


def levels_of(issue: Issue) -> tuple[Level, ...]:
    """Return the levels of the series as they were when an issue was made."""
    names = [f"{channel} / {source}" for channel, source, _ in issue.series]
    channels = list(dict.fromkeys(channel for channel, _, _ in issue.series))
    segments = list(dict.fromkeys(segment for _, _, segment in issue.series))
    count = len(names)
    return (
        Level("source", tuple(names), np.arange(count)),
        Level("channel", tuple(channels), np.array([channels.index(c) for c, _, _ in issue.series])),
        Level("segment", tuple(segments), np.array([segments.index(s) for _, _, s in issue.series])),
        Level("total", ("all",), np.zeros(count, dtype=np.int64)),
    )


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
        ours = np.array([_loss(one, stage) for one in own])
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


def _loss(one: Outcome, stage: str) -> float:
    return float(losses(one.drawn(stage), one.came[stage], levels_of(one.issue)).sum())


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
    of = tuple(found for found in levels_of(one.issue) if found.name == level)
    pit = pits(one.drawn(stage), one.came[stage], of, place, rng)[level, "day"]
    return pit.values, pit.origins


def _surprises(made: Measured, stage: str, newest: Outcome) -> Iterator[Evidence]:
    for level in levels_of(newest.issue):
        if level.name not in ("total", "channel"):
            continue
        drawn = level.sums(newest.drawn(stage)).sum(axis=-1)
        came = level.sums(newest.came[stage]).sum(axis=-1)
        for place, name in enumerate(level.names):
            mean, spread = float(drawn[:, place].mean()), float(drawn[:, place].std())
            away = (float(came[place]) - mean) / max(spread, 0.5)
            since = f"{newest.days} days from {newest.issue.forecast.first}"
            words = f"{int(came[place]):,} came in {since}, {mean:,.1f} forecast"
            yield made.count("surprise", round(away, 3), newest.days, f"{stage} {name}", words)


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
        for level in ("source", "channel", "segment", "total") if own else ():
            bounds = reader.probabilities(level, "day")
            for at, nominal in enumerate(NOMINAL):
                low, high = bounds[2 * at : 2 * at + 2]
                told, names = _matured(own, stage, level, low, high)
                state = Adaptive(nominal, ADAPTING_STEP / names, pending=names * WATCHED_DAYS).after(told, on)
                aims[stage][level, "day", nominal] = state.aim
    return aims


def _matured(own: Sequence[Outcome], stage: str, level: str, low: float, high: float) -> tuple[list[Matured], int]:
    told, names = [], 1
    for place, one in enumerate(own):
        values, _ = _pit(one, stage, place, level)
        names = max(names, len(next(found for found in levels_of(one.issue) if found.name == level).names))
        matured = one.issue.forecast.first + timedelta(days=one.days)
        told += [Matured(one.issue.forecast.day, matured, bool(low <= v <= high)) for v in values]
    return told, names
