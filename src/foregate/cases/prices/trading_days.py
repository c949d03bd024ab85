"""Trading days to come, as a series' own past tells them: on which weekdays it trades, and which holidays repeat."""

from __future__ import annotations

import calendar
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Days = NDArray[np.datetime64]

YEARS: Final = 10
"""So many of the newest years say what repeats."""
MOST: Final = 0.6
"""A holiday is missing on at least this part of its days among those years, or on each of its last ones."""
LAST: Final = 3
GIVEN_UP: Final = 2
"""A holiday on which it traded so many times running is one no more."""
AROUND_EASTER: Final = 60
FIXED, NTH, EASTER = "fixed", "nth", "easter"
SATURDAY, SUNDAY = 5, 6
FIFTH: Final = 5


class Holiday(NamedTuple):
    """A day that repeats every year; `kind` says how.

    "fixed": `first` is the month, `second` the day; `saturday`: one that falls on a Saturday is kept on the Friday
    before; `sunday`: one on a Sunday on the Monday after. "nth": of the month `first`, the `third`-th weekday `second`
    (Monday 0), the last one if `third` is -1. "easter": `first` days after Easter Sunday.
    """

    kind: str
    first: int
    second: int = 0
    third: int = 0
    saturday: bool = False
    sunday: bool = False

    def on(self, year: int) -> date | None:
        """Return the day of a year, None in a year without it.

        >>> [Holiday("nth", 11, 3, 4).on(2025), Holiday("easter", -2).on(2025), Holiday("fixed", 2, 29).on(2025)]
        [datetime.date(2025, 11, 27), datetime.date(2025, 4, 18), None]
        """
        if self.kind == EASTER:
            return easter(year) + timedelta(days=self.first)
        if self.kind == NTH:
            return _nth(year, self.first, self.second, self.third)
        if self.second > calendar.monthrange(year, self.first)[1]:
            return None
        found = date(year, self.first, self.second)
        shifts = {SATURDAY: -1 if self.saturday else 0, SUNDAY: 1 if self.sunday else 0}
        return found + timedelta(days=shifts.get(found.weekday(), 0))


@dataclass(frozen=True)
class Calendar:
    """On which days a series trades: `weekdays`, from Monday to Sunday, and the holidays that it keeps."""

    weekdays: tuple[bool, ...]
    holidays: tuple[Holiday, ...] = ()

    @classmethod
    def learn(cls, days: Days) -> Calendar:
        """Return the calendar that days of the past tell, ascending, datetime64[D].

        It trades on weekdays that are there at least half of the time in the last ten years. A holiday is a day that
        repeats, by month and day, by weekday of a month or around Easter, and that was missing on at least six tenths
        of its occasions in those years, or on each of the last three, unless it traded on the last two. Whether one
        that falls on a weekend is kept beside it, the last two such say. Without any day it trades from Monday to
        Friday.

        >>> days = np.arange(np.datetime64("2015-01-01"), np.datetime64("2025-01-01"))
        >>> Calendar.learn(days[(np.is_busday(days)) & (days.astype("datetime64[M]").astype(int) % 12 != 6)]).weekdays
        (True, True, True, True, True, False, False)
        """
        if not len(days):
            return cls((True,) * 5 + (False,) * 2)
        newest = days[-1]
        recent = days[days > newest - np.timedelta64(round(365.25 * YEARS), "D")]
        every = np.arange(recent[0], newest + 1)
        traded = np.bincount(_weekday(recent), minlength=7) / np.maximum(1, np.bincount(_weekday(every), minlength=7))
        weekdays = tuple(bool(share >= 0.5 * traded.max()) for share in traded)
        usual = every[np.array(weekdays)[_weekday(every)]]
        there = set(days.astype(object).tolist())
        found = _holidays(usual, np.isin(usual, recent))
        return cls(weekdays, tuple(_beside_weekends(one, days[0].astype(object), there) for one in found))

    def after(self, day: date, ahead: int) -> date:
        """Return the trading day that lies a number of trading days after a day; ValueError for less than one.

        >>> Calendar((True,) * 5 + (False,) * 2, (Holiday("fixed", 12, 25),)).after(date(2025, 12, 24), 2)
        datetime.date(2025, 12, 29)
        """
        if ahead < 1:
            raise ValueError(f"{ahead} trading days after a day; wanted at least 1")
        return self.stamps(np.array([day], dtype="datetime64[D]"), ahead)[0].astype(object)  # type: ignore[no-any-return]

    def stamps(self, days: Days, ahead: int) -> Days:
        """Return [T] for each day the trading day that lies a number of trading days after it."""
        # A trading day stands for at least a day of each week, less some weeks of holidays a year.
        span = timedelta(days=30 + 9 * ahead)
        closed = self._closed(days.min().astype(object), days.max().astype(object) + span)
        # One that is no trading day counts from the one before it.
        return np.asarray(np.busday_offset(days, ahead, "backward", list(self.weekdays), closed))

    def trading(self, first: date, last: date) -> Days:
        """Return the trading days from a first day to a last, both counted if they are.

        >>> Calendar((True,) * 5 + (False,) * 2).trading(date(2025, 10, 31), date(2025, 11, 3)).astype(str).tolist()
        ['2025-10-31', '2025-11-03']
        """
        every = np.arange(np.datetime64(first, "D"), np.datetime64(last, "D") + 1)
        return np.asarray(every[np.is_busday(every, list(self.weekdays), self._closed(first, last))])

    def between(self, before: Days, after: Days) -> NDArray[np.int64]:
        """Return [T] how many trading days lie between two days, neither counted.

        >>> trades, friday, tuesday = Calendar((True,) * 5 + (False,) * 2), ["2025-10-31"], ["2025-11-04"]
        >>> trades.between(np.array(friday, "datetime64[D]"), np.array(tuesday, "datetime64[D]")).tolist()
        [1]
        """
        if not len(before):
            return np.zeros(0, dtype=np.int64)
        closed = self._closed(before.min().astype(object), after.max().astype(object))
        return np.asarray(np.busday_count(before + 1, after, list(self.weekdays), closed), dtype=np.int64)

    def _closed(self, first: date, last: date) -> Days:
        return _closed(self.holidays, first.year - 1, last.year + 1)


@lru_cache(maxsize=64)
def _closed(holidays: tuple[Holiday, ...], first: int, last: int) -> Days:
    # A fixed day of the next year may be kept at the end of this one.
    found = {holiday.on(year) for holiday in holidays for year in range(first, last + 2)}
    return np.array(sorted(one for one in found if one is not None), dtype="datetime64[D]")


def easter(year: int) -> date:
    """Return Easter Sunday of the Gregorian calendar, by the rule of Butcher's Ecclesiastical Calendar of 1876.

    >>> easter(2025).isoformat(), easter(2000).isoformat()
    ('2025-04-20', '2000-04-23')
    """
    century, within = divmod(year, 100)
    golden = year % 19
    correction = (century - (century + 8) // 25 + 1) // 3
    epact = (19 * golden + century - century // 4 - correction + 15) % 30
    weekday = (32 + 2 * (century % 4) + 2 * (within // 4) - epact - within % 4) % 7
    late = (golden + 11 * epact + 22 * weekday) // 451
    month, day = divmod(epact + weekday - 7 * late + 114, 31)
    return date(year, month, day + 1)


def _nth(year: int, month: int, weekday: int, nth: int) -> date | None:
    first, size = calendar.monthrange(year, month)
    day = 1 + (weekday - first) % 7 + 7 * (nth - 1) if nth > 0 else size - (first + size - 1 - weekday) % 7
    return date(year, month, day) if day <= size else None


def _holidays(usual: Days, traded: NDArray[np.bool_]) -> Iterator[Holiday]:
    """Yield the holidays that tell the most of the missing days, until none tells any."""
    missing = {day for day, there in zip(usual.astype(object), traded, strict=True) if not there}
    occasions = dict(zip(usual.astype(object), traded, strict=True))
    years = range(usual[0].astype(object).year, usual[-1].astype(object).year + 1)
    dated = {one: _occasions(one, years, occasions) for one in _candidates(missing)}
    while True:
        best = max(dated, key=lambda one: _told(dated[one], missing), default=None)
        if best is None or _told(dated[best], missing)[0] == 0:
            return
        yield best
        told = set(dated[best])
        # An occasion that is told already speaks neither for nor against another holiday.
        dated = {one: [day for day in days if day not in told] for one, days in dated.items() if one != best}


def _occasions(holiday: Holiday, years: range, traded: Mapping[date, bool]) -> list[date]:
    """Return the days on which a holiday could be seen; beside a weekend only those on which it was."""
    found: list[date] = []
    for year in years:
        day = holiday.on(year)
        if day is None:
            continue
        if day in traded:
            found.append(day)
        elif holiday.kind == FIXED:
            beside = holiday._replace(saturday=True, sunday=True).on(year)
            found += [beside] if beside is not None and not traded.get(beside, True) else []
    return found


def _beside_weekends(holiday: Holiday, first: date, there: set[date]) -> Holiday:
    """Return a holiday with what the days that are there say of those of its occasions that fell on a weekend."""
    if holiday.kind != FIXED:
        return holiday
    newest = max(there)
    kept = []
    for weekday, moved in ((SATURDAY, holiday._replace(saturday=True)), (SUNDAY, holiday._replace(sunday=True))):
        years = [year for year in range(first.year, newest.year + 1) if _weekday_on(holiday, year) == weekday]
        beside = [day for year in years if (day := moved.on(year)) and first <= day <= newest]
        kept.append(bool(beside) and not any(day in there for day in beside[-GIVEN_UP:]))
    return holiday._replace(saturday=kept[0], sunday=kept[1])


def _weekday_on(holiday: Holiday, year: int) -> int:
    day = holiday.on(year)
    return -1 if day is None else day.weekday()


def _told(days: list[date], missing: set[date]) -> tuple[float, int, int]:
    """Return by how much of its occasions a holiday was missing, 0 if it is none; how often, and 0 if it was kept."""
    hits = [day in missing for day in days]
    if len(hits) < LAST or not any(hits[-GIVEN_UP:]):
        return 0.0, 0, 0
    share = max(sum(hits) / len(hits), float(all(hits[-LAST:])))
    return (share, sum(hits), -sum(not hit for hit in hits)) if share >= MOST else (0.0, 0, 0)


def _candidates(missing: set[date]) -> list[Holiday]:
    """Return every holiday that falls on at least one missing day, each as if never kept beside a weekend."""
    found: dict[Holiday, None] = {}
    for day in sorted(missing):
        found[Holiday(FIXED, day.month, day.day)] = None
        last = calendar.monthrange(day.year, day.month)[1]
        # A fifth weekday is the last one; as the fifth it would be judged without the years that have but four.
        if (nth := (day.day + 6) // 7) < FIFTH:
            found[Holiday(NTH, day.month, day.weekday(), nth)] = None
        if day.day > last - 7:
            found[Holiday(NTH, day.month, day.weekday(), -1)] = None
        offset = (day - easter(day.year)).days
        if abs(offset) <= AROUND_EASTER:
            found[Holiday(EASTER, offset)] = None
    return list(found)


def _weekday(days: Days) -> NDArray[np.int64]:
    return np.asarray((days.astype(np.int64) + 3) % 7)
