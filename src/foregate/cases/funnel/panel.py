"""The panel: events counted day by day and series by series, with explicit zeros, births and deaths."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np

from foregate.cases.funnel.events import Events, Ints, StageEvents, date_of, day_number
from foregate.cases.funnel.settings import FunnelSettings
from foregate.modeling.series import History

SILENT_DAYS: Final = 180
SILENT_GAPS: Final = 20.0
"""A series whose mean gap is g days is silent for 20 g days with chance e^-20 while it lives."""
NEVER: Final = np.int64(1 << 40)


@dataclass(frozen=True)
class Lives:
    """When each series lives, [series] days since 1970.

    `born`: its first event in any stage, NEVER without one. `newest`: its last. `died`: the first day on which it had
    been silent in every stage for more than 180 days and 20 of its mean gaps, NEVER while it lives; an event after that
    day revives it. A mean gap is at least a day, and a day where there is one event only.
    """

    born: Ints
    newest: Ints
    died: Ints


def last_complete(origin: date, complete_after_days: int) -> date:
    """Return the last day whose counts are complete on a day: its own never are.

    >>> last_complete(date(2025, 10, 31), 0).isoformat(), last_complete(date(2025, 10, 31), 3).isoformat()
    ('2025-10-30', '2025-10-28')
    """
    return date_of(day_number(origin) - max(1, complete_after_days))


def lives(events: Events, last: date) -> Lives:
    """Return when each series was born and died, from the events of all stages up to a day."""
    end, size = day_number(last), len(events.series)
    series = np.concatenate([one.series[one.day <= end] for one in events.stages.values()])
    day = np.concatenate([one.day[one.day <= end] for one in events.stages.values()])
    born, newest = np.full(size, NEVER), np.full(size, -NEVER)
    np.minimum.at(born, series, day)
    np.maximum.at(newest, series, day)
    count = np.bincount(series, minlength=size)
    there = count > 0
    gap = np.ones(size)
    gap[there] = np.maximum(1.0, (newest - born)[there] / np.maximum(1, count[there] - 1))
    silence = np.ceil(np.maximum(SILENT_DAYS, SILENT_GAPS * gap)).astype(np.int64)
    died = np.where(there & (newest + silence < end), newest + silence + 1, NEVER)
    return Lives(born, np.where(there, newest, NEVER), died)


def panel(events: Events, stage: str, origin: date, settings: FunnelSettings) -> History:
    """Return one stage's daily counts by series as known on a day, up to the last complete day.

    The days begin with the first event of any stage, or with `train_start` or `train_days` before the origin if that is
    later. `events` are cut to what was known at the origin; rows are `events.series`, also those born later. ValueError
    when no day is complete yet.
    """
    seen = events if origin == events.as_of else events.known_at(origin)
    last = last_complete(origin, settings.complete_after_days)
    first = _first_day(seen, day_number(last), settings)
    days = day_number(last) - first + 1
    if days < 1:
        raise ValueError(f"no complete day by {origin}: the first day is {date_of(first)}")
    found = lives(seen, last)
    return History(
        counts=_counts(seen.stages[stage], first, days, len(seen.series)),
        last=last,
        born=np.clip(found.born - first, 0, days),
        died=np.clip(found.died - first, 0, days),
        segments=events.segments,
    )


def _first_day(events: Events, last: int, settings: FunnelSettings) -> int:
    firsts = [int(one.day.min()) for one in events.stages.values() if len(one)]
    bounds = [min(firsts, default=last + 1)]
    bounds += [] if settings.train_start is None else [day_number(settings.train_start)]
    bounds += [] if settings.train_days is None else [last - settings.train_days + 1]
    return max(bounds)


def actuals(events: Events, stage: str, first: date, last: date) -> Ints:
    """Return [series, days] the events of a stage from a day to another, both included, as known today.

    ValueError for a last day that `events` can not know in full: its own `as_of` is not complete.
    """
    if last >= events.as_of:
        raise ValueError(f"{last} is not complete on {events.as_of}")
    days = (last - first).days + 1
    return _counts(events.stages[stage], day_number(first), days, len(events.series))


def _counts(events: StageEvents, first: int, days: int, series: int) -> Ints:
    """Return [series, days] how many events fell on each day."""
    at = events.day - first
    within = (at >= 0) & (at < days)
    flat = np.bincount(events.series[within] * days + at[within], minlength=series * days)
    return flat.reshape(series, days).astype(np.int64)
