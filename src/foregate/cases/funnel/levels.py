"""Levels: every sum of series that is reported, and the periods over which days are summed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from foregate.cases.funnel.events import Events, Series

Ints = NDArray[np.int64]
LEVELS = ("source", "channel", "segment", "total")
GRAINS = ("day", "week", "month", "quarter")
# What a sum of days is calibrated by: how many days it has.
LONGEST_DAYS = {"day": 1, "week": 7, "month": 31, "quarter": 92}


@dataclass(frozen=True)
class Level:
    """One level: the place of each series among its `names`."""

    name: str
    names: tuple[str, ...]
    place: Ints

    def sums(self, values: NDArray[np.integer]) -> Ints:
        """Return [..., names, days] the sums of [..., series, days] over each name's series: exact, as integers.

        >>> Level("total", ("all",), np.array([0, 0])).sums(np.array([[1, 2], [3, 4]])).tolist()
        [[4, 6]]
        """
        found = np.zeros((*values.shape[:-2], len(self.names), values.shape[-1]), dtype=np.int64)
        for series, place in enumerate(self.place):
            found[..., place, :] += values[..., series, :]
        return found


def levels(events: Events) -> tuple[Level, ...]:
    """Return the levels of a funnel, segments in the order they are declared in."""
    return levels_of(events.series, events.segment_names)


def levels_of(series: Sequence[Series], segments: Sequence[str] = ()) -> tuple[Level, ...]:
    """Return the levels of series: each source of each channel, each channel, each super-segment, and the total.

    `segments` gives the segments' order; without it they stand as they first occur.
    """
    return (
        _level("source", [str(one) for one in series]),
        _level("channel", [one.channel for one in series]),
        _level("segment", [one.segment for one in series], segments),
        _level("total", ["all"] * len(series)),
    )


def _level(name: str, of: Sequence[str], order: Sequence[str] = ()) -> Level:
    names = tuple(dict.fromkeys((*order, *of)))
    return Level(name, names, np.array([names.index(one) for one in of], dtype=np.int64))


class Period(NamedTuple):
    """A calendar period that a forecast touches: its whole span, and the part, as columns, that is forecast."""

    grain: str
    start: date
    end: date
    first: int
    until: int


def grain_of(days: int) -> str:
    """Return the grain by whose past forecasts a sum of so many days is calibrated.

    >>> [grain_of(days) for days in (1, 2, 7, 8, 31, 60)]
    ['day', 'week', 'week', 'month', 'month', 'quarter']
    """
    return next((grain for grain, most in LONGEST_DAYS.items() if days <= most), GRAINS[-1])


def periods(first: date, horizon: int) -> Iterator[Period]:
    """Yield the days, weeks, months and quarters that a horizon touches; the last of each may reach beyond it."""
    for grain in GRAINS:
        starts = [start_of(first + timedelta(days=n), grain) for n in range(horizon)]
        for start in dict.fromkeys(starts):
            there = [n for n, own in enumerate(starts) if own == start]
            yield Period(grain, start, end_of(start, grain), there[0], there[-1] + 1)


def start_of(day: date, grain: str) -> date:
    """Return the first day of the week (Monday), month or quarter that holds a day.

    >>> start_of(date(2025, 11, 13), "week").isoformat(), start_of(date(2025, 11, 13), "quarter").isoformat()
    ('2025-11-10', '2025-10-01')
    """
    if grain == "week":
        return day - timedelta(days=day.weekday())
    if grain == "month":
        return day.replace(day=1)
    if grain == "quarter":
        return day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)
    return day


def end_of(start: date, grain: str) -> date:
    """Return the last day of the period that starts on a day.

    >>> end_of(date(2025, 10, 1), "quarter").isoformat(), end_of(date(2025, 12, 1), "month").isoformat()
    ('2025-12-31', '2025-12-31')
    """
    if grain == "week":
        return start + timedelta(days=6)
    months = {"month": 1, "quarter": 3}.get(grain, 0)
    if not months:
        return start
    month = start.month - 1 + months
    return date(start.year + month // 12, month % 12 + 1, 1) - timedelta(days=1)


def blocks_of(grain: str, days: int) -> list[slice]:
    """Return the whole blocks of a grain in so many forecast days, from the first: what calibration is read from.

    >>> blocks_of("week", 20)
    [slice(0, 7, None), slice(7, 14, None)]
    """
    size = {"day": 1, "week": 7, "month": 28, "quarter": 84}[grain]
    return [slice(at, at + size) for at in range(0, days - size + 1, size)]


def by_name(found: tuple[Level, ...]) -> Mapping[str, Level]:
    """Return the levels by their names."""
    return {level.name: level for level in found}
