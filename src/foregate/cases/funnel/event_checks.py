"""Findings about the events: what their order, their gaps and their series say of the data they were read from."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import permutations
from typing import Final

import numpy as np

from foregate.cases.funnel.checks import SILENCE
from foregate.cases.funnel.events import NOBODY, Events, Floats, Ints, StageEvents, date_of, day_number, linked
from foregate.cases.funnel.panel import NEVER, last_complete, lives
from foregate.cases.funnel.settings import FunnelSettings
from foregate.core.evidence import Evidence
from foregate.modeling.measured import Measured

RENAME_DAYS: Final = 14
RATE_DAYS: Final = 91
ALIKE: Final = 0.01
LEAST_EVENTS: Final = 5
GAP_CHANCE: Final = 1e-4
AROUND: Final = 91
LEAST_AROUND: Final = 28
_SHOWN: Final = 5


def event_findings(made: Measured, events: Events, settings: FunnelSettings) -> Iterator[Evidence]:
    """Yield what is odd about events that could be read, up to the last complete day.

    `series`: how many there are. `dead_series`, `suspected_renames`: how many died, or look as if they went on under
    another name. Of each stage: `missing_months`, whole months without an event between its first and its last, where
    seven a month are usual; `silent_days`, the longest run of days without one that chance gives less than once in ten
    thousand such histories,
    else 0; `unreached_series`, series that other stages know and this one never saw; `days_behind`, the days since the
    newest event where chance does not explain them, else 0; `late_share`, the part of events
    known later than `complete_after_days` after they happened; `stale_days`, by how much the newest event is older than
    `fresh_days` allows. Of each stage after the first: `negative_delays`, events dated before their entity's first
    entry to the stage before; `orphan_share`, the part of events whose entity never entered it; `moved_series_share`,
    the part that is counted in another series than its entry. All are exact numbers; shares are 0 to 1.
    """
    last = last_complete(events.as_of, settings.complete_after_days)
    yield _series(made, events)
    yield _dead(made, events, settings)
    yield _renames(made, events, next(iter(settings.stages)), day_number(last))
    for name, stage in events.stages.items():
        begun = stage.day >= (events.start if events.start is not None else -NEVER)
        counted = stage.where((stage.day <= day_number(last)) & begun)
        yield _missing_months(made, name, counted.day)
        yield _silent_days(made, name, counted.day)
        yield _days_behind(made, name, counted.day, day_number(last))
        yield _unreached(made, events, name)
        yield _late(made, name, stage, settings.complete_after_days)
        yield _stale(made, name, stage, settings)
    for before, after in settings.pairs():
        yield from _order(made, events, before, after)


def _series(made: Measured, events: Events) -> Evidence:
    size = len(events.series)
    alone = "one series only: nothing to share a level, a rate or a total with"
    words = alone if size == 1 else f"in {len(events.channels)} channels and {len(events.segment_names)} segments"
    return made.count("series", size, size, words=words)


def _dead(made: Measured, events: Events, settings: FunnelSettings) -> Evidence:
    last = last_complete(events.as_of, settings.complete_after_days)
    found = lives(events, last)
    dead = np.flatnonzero(found.died != NEVER)
    words = [
        f"{events.series[one]}: no event since {date_of(found.newest[one])}, dead since {date_of(found.died[one])}"
        for one in dead[:_SHOWN]
    ]
    return made.count("dead_series", len(dead), len(events.series), words="; ".join(words))


def _renames(made: Measured, events: Events, stage: str, last: int) -> Evidence:
    """Return the pairs of series of a channel of which one ends where the other begins, at rates that agree."""
    seen = events.stages[stage]
    days = [np.sort(seen.day[(seen.series == one) & (seen.day <= last)]) for one in range(len(events.series))]
    words = []
    for ended, begun in permutations(range(len(days)), 2):
        same_channel = events.series[ended].channel == events.series[begun].channel
        if same_channel and len(days[ended]) and len(days[begun]) and _goes_on_as(days[ended], days[begun], last):
            words.append(
                f"{events.series[ended]}, last seen {date_of(days[ended][-1])}, may be called "
                f"{events.series[begun].source!r} since {date_of(days[begun][0])}"
            )
    then = "; if so, say it in [funnel.renamed]"
    return made.count("suspected_renames", len(words), len(days), words="; ".join(words) + then if words else "")


def _goes_on_as(ended: Ints, begun: Ints, last: int) -> bool:
    """Return whether one series ends within days of the birth of another, and their rates can not be told apart."""
    if abs(begun[0] - ended[-1]) > RENAME_DAYS:
        return False
    before = min(RATE_DAYS, int(ended[-1] - ended[0]) + 1)
    after = min(RATE_DAYS, int(last - begun[0]) + 1)
    theirs = int((ended > ended[-1] - before).sum())
    ours = int((begun < begun[0] + after).sum())
    if min(theirs, ours) < LEAST_EVENTS or theirs / before * (last - ended[-1]) < SILENCE:
        return False
    from scipy.special import bdtr

    share = after / (after + before)
    below, above = bdtr(ours, ours + theirs, share), bdtr(theirs, ours + theirs, 1 - share)
    return bool(2 * min(below, above) >= ALIKE)


def _missing_months(made: Measured, name: str, day: Ints) -> Evidence:
    months, counts = np.unique(day.astype("datetime64[D]").astype("datetime64[M]"), return_counts=True)
    every = np.arange(months[0], months[-1] + 1) if len(months) else months
    # Where few events are usual, chance alone leaves a month without any.
    usual = float(np.median(counts)) if len(counts) else 0.0
    lost = [str(month) for month in every if month not in months] if usual >= SILENCE else []
    words = f"no event in {', '.join(lost[:_SHOWN])}" if lost else ""
    return made.count("missing_months", len(lost), len(every), name, words)


def _silent_days(made: Measured, name: str, day: Ints) -> Evidence:
    """Return the longest gap that is too long for the events expected in it by the weeks around and the weekdays."""
    dated = np.unique(day)
    if len(dated) < 2:
        return made.days("silent_days", 0, len(day), name, "too few days with events to tell")
    expected = _expected_between(np.sort(day), dated)
    unlikely = len(dated) * np.exp(-expected) < GAP_CHANCE
    gap = np.where(unlikely, np.diff(dated) - 1, 0)
    worst = int(gap.argmax())
    words = (
        f"none from {date_of(dated[worst] + 1)} to {date_of(dated[worst + 1] - 1)}, where "
        f"{expected[worst]:,.0f} were to be expected; {int(unlikely.sum())} such gaps"
        if gap[worst]
        else ""
    )
    return made.days("silent_days", int(gap[worst]), len(day), name, words)


def _days_behind(made: Measured, name: str, day: Ints, last: int) -> Evidence:
    """Return the days since the newest event where that is longer than chance explains: what came was not loaded."""
    if not len(day):
        return made.days("days_behind", 0, 0, name, "no event at all")
    newest = int(day.max())
    since = max(int(day.min()), newest - AROUND + 1)
    a_day = float(((day >= since) & (day <= newest)).sum()) / (newest - since + 1)
    gap = last - newest
    expected = a_day * gap
    words = f"none since {date_of(newest)}, where {expected:,.0f} were to be expected by {date_of(last)}"
    unlikely = expected > -np.log(GAP_CHANCE)
    return made.days("days_behind", gap if unlikely else 0, len(day), name, words if unlikely else "")


def _expected_between(day: Ints, dated: Ints) -> Floats:
    """Return [gaps] how many events the days between two dates with events should have had at least.

    The level is the lower one of the 91 days on either side, 0 where a side has less than 28: a beginning may be slow.
    A weekday's part is that of the whole history.
    """
    first, last = int(day[0]), int(day[-1])
    counts = np.bincount(day - first, minlength=last - first + 1)
    weekday = (np.arange(first, last + 1) + 3) % 7
    usual = np.array([counts[weekday == one].mean() if (weekday == one).any() else 0.0 for one in range(7)])
    should = np.concatenate([[0.0], np.cumsum(usual[weekday])])
    came = np.concatenate([[0], np.cumsum(counts)])
    before, after = dated[:-1] - first + 1, dated[1:] - first
    start, end = np.maximum(0, before - AROUND), np.minimum(len(counts), after + AROUND)

    def level(begin: Ints, until: Ints) -> Floats:
        ratio = (came[until] - came[begin]) / np.maximum(should[until] - should[begin], 1e-9)
        found: Floats = np.where(until - begin >= LEAST_AROUND, ratio, 0.0)
        return found

    expected: Floats = np.minimum(level(start, before), level(after, end)) * (should[after] - should[before])
    return expected


def _unreached(made: Measured, events: Events, name: str) -> Evidence:
    there = {int(one) for stage in events.stages.values() for one in np.unique(stage.series)}
    lacking = sorted(there - {int(one) for one in np.unique(events.stages[name].series)})
    words = ", ".join(str(events.series[one]) for one in lacking[:_SHOWN])
    return made.count("unreached_series", len(lacking), len(there), name, f"never: {words}" if lacking else "")


def _late(made: Measured, name: str, stage: StageEvents, allowed: int) -> Evidence:
    lag = stage.known - stage.day
    marks = np.quantile(lag, [0.5, 0.9, 1.0], method="higher") if len(lag) else [0, 0, 0]
    words = f"half known within {marks[0]} days, nine in ten within {marks[1]}, all within {marks[2]}"
    return made.count("late_share", float((lag > allowed).mean()) if len(lag) else 0.0, len(lag), name, words)


def _stale(made: Measured, name: str, stage: StageEvents, settings: FunnelSettings) -> Evidence:
    if settings.fresh_days is None:
        return made.days("stale_days", 0, 0, name, "no fresh_days is declared")
    newest = date_of(stage.day.max())
    age = (made.as_of - newest) // timedelta(days=1)
    words = f"newest event on {newest}, {age} days before the as-of date; {settings.fresh_days} allowed"
    return made.days("stale_days", max(0, age - settings.fresh_days), len(stage), name, words)


def _order(made: Measured, events: Events, before: str, after: str) -> Iterator[Evidence]:
    entries, arrived = events.stages[before], events.stages[after]
    place, delay = linked(entries.where(entries.entity != NOBODY), arrived)
    whose = entries.where(entries.entity != NOBODY).series
    rows, early = len(arrived), np.flatnonzero(delay < 0)
    example = early[0] if len(early) else 0
    words = (
        f"as {after} of {events.series[arrived.series[example]]} on {date_of(arrived.day[example])}, "
        f"{-delay[example]} days before its {before}"
    )
    yield made.count("negative_delays", len(early), rows, after, words if len(early) else "")
    orphans = int((place < 0).sum())
    words = f"{orphans:,} of {rows:,} never entered {before}"
    yield made.count("orphan_share", orphans / max(1, rows), rows, after, words)
    there = place >= 0
    moved = int((whose[place[there]] != arrived.series[there]).sum())
    words = f"{moved:,} of {int(there.sum()):,} are of another series than their {before}"
    yield made.count("moved_series_share", moved / max(1, int(there.sum())), int(there.sum()), after, words)
