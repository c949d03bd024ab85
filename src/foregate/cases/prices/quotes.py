"""Quotes: the price of every trading day, and the values beside them, each with the day since when it is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlglot import exp

from foregate.cases.prices.settings import Exogenous, PricesSettings, Series
from foregate.core.errors import DataError
from foregate.core.ports import Warehouse
from foregate.warehouse.days import day, known_day
from foregate.warehouse.sources import Source, view_name

if TYPE_CHECKING:
    import pyarrow as pa

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
Days = NDArray[np.datetime64]

MOST_DAYS: Final = 10
"""So many calendar days old may a value be that stands beside a price."""
LONE_DAYS: Final = 31
"""A row dated so many days after the one before it, and after the as-of date, is no row of the days to come."""


class Rows(NamedTuple):
    """What was read to make one column of days, counted.

    `read`: rows known on the as-of date, or that never say since when they are known. `missing`: of them, those without
    a day, a number or a known day. `identical`, `differing`: rows of a day that stands already, with the same number or
    another; the row known first is kept. `early`: rows that were known before their own day. `future`: rows dated after
    the as-of date although known by then, or so far after the row before that they can not be the days to come. `where`
    names a day of `differing` or else `identical`, of `early` and of `future`, None without one.
    """

    read: int = 0
    missing: int = 0
    identical: int = 0
    differing: int = 0
    early: int = 0
    future: int = 0
    doubled_on: date | None = None
    early_on: date | None = None
    future_on: date | None = None


@dataclass(frozen=True)
class Quotes:
    """One series' prices, arrays of one length T: `days` ascending, each once, and the day each price is `known`.

    Both are datetime64[D], `known` never before its day; `price` is finite.
    """

    days: Days
    price: Floats
    known: Days
    rows: Rows = Rows()

    def __len__(self) -> int:
        return len(self.days)


@dataclass(frozen=True)
class Values:
    """One exogenous column's values, arrays of one length, otherwise as `Quotes`; there may be none."""

    days: Days
    value: Floats
    known: Days
    rows: Rows = Rows()

    def __len__(self) -> int:
        return len(self.days)


@dataclass(frozen=True)
class Market:
    """Every series' quotes and every exogenous column's values as known on the day `as_of`."""

    as_of: date
    quotes: Mapping[str, Quotes]
    exogenous: Mapping[str, Values]


def read_quotes(warehouse: Warehouse, settings: PricesSettings, sources: Mapping[str, Source], as_of: date) -> Market:
    """Return the market as known on a day: of each source the rows known by then, of days up to then.

    A row is known as its number's column says in [sources.NAME], else as its source says, else on its own day, and
    never before its own day. Rows without a day, a finite number or a known day are left out and counted, and so are
    second rows of a day. Prices before the settings' `train_start` are left out. Raises DataError for a series without
    any price.
    """
    quotes = {}
    for name, series in settings.series.items():
        days, price, known, rows = _column(warehouse, series, sources[series.source], as_of)
        begun = days >= np.datetime64(settings.train_start or date.min, "D")
        if not begun.any():
            raise _no_quotes(name, series, as_of)
        quotes[name] = Quotes(days[begun], price[begun], known[begun], rows)
    found = {
        name: Values(*_column(warehouse, column, sources[column.source], as_of))
        for name, column in settings.exogenous.items()
    }
    return Market(as_of, quotes, found)


def exogenous_at(market: Market, series: str, name: str, most_days: int = MOST_DAYS) -> Floats:
    """Return [T] an exogenous column's latest value known on the day a series' price of day t is known.

    NaN where none is known, or where it is dated more than `most_days` calendar days before the price is known.
    """
    quotes, values = market.quotes[series], market.exogenous[name]
    return latest_known(values, quotes.known, most_days)


def latest_known(values: Values, on: Days, most_days: int = MOST_DAYS) -> Floats:
    """Return [days] the value of the latest day that was known on each day, NaN without one or if it is too old.

    >>> days = np.array(["2025-01-01", "2025-01-02"], dtype="datetime64[D]")
    >>> late = Values(days, np.array([1.0, 2.0]), days + 3)
    >>> latest_known(late, days + 2).tolist()
    [nan, 1.0]
    """
    found = np.full(len(on), np.nan)
    if not len(values):
        return found
    # By the day known; of all that are known, the latest is the greatest place so far, as days ascend.
    order = np.argsort(values.known, kind="stable")
    latest = np.maximum.accumulate(order)
    at = np.searchsorted(values.known[order], on, side="right") - 1
    place = latest[np.maximum(at, 0)]
    there = (at >= 0) & ((on - values.days[place]).astype(np.int64) <= most_days)
    found[there] = values.value[place[there]]
    return found


def known(column: Series | Exogenous, source: Source) -> exp.Expr:
    """Return the day since when a row's number is known, as the source says: of the column, else of the row."""
    late = source.late().get(column.number)
    if late:
        return day(exp.column(late, quoted=True))
    return known_day(source) if source.has_history else day(exp.column(column.day, quoted=True))


def _column(
    warehouse: Warehouse, column: Series | Exogenous, source: Source, as_of: date
) -> tuple[Days, Floats, Days, Rows]:
    """Return the days, numbers and known days of a column as known on a day, and what was left out."""
    on = day(exp.column(column.day, quoted=True))
    number = exp.cast(exp.column(column.number, quoted=True), "double")
    asked = exp.select(on.as_("day"), number.as_("number"), known(column, source).as_("known"))
    # In a full order, so that of two rows of a day the same one is always kept.
    tree = asked.from_(view_name(column.source)).order_by("day", "known", "number")
    table = warehouse.table(tree.sql(dialect=warehouse.dialect))
    return _kept(_days(table, "day"), _numbers(table), _days(table, "known"), np.datetime64(as_of, "D"))


def _kept(days: Days, number: Floats, seen: Days, as_of: np.datetime64) -> tuple[Days, Floats, Days, Rows]:
    undated, unknown = np.isnat(days), np.isnat(seen)
    # A date that is not there compares as false.
    future = (days > as_of) & (seen <= as_of)
    lone = np.zeros(len(days), dtype=np.bool_)
    dated = np.flatnonzero(~undated)
    if len(dated) > 1:
        lone[dated[1:]] = np.diff(days[dated]).astype(np.int64) > LONE_DAYS
        # What follows a row that can not be is no better.
        lone[dated] = np.maximum.accumulate(lone[dated] & (days[dated] > as_of))
    future |= lone
    read = ((seen <= as_of) | unknown) & ((days <= as_of) | undated)
    missing = read & (undated | unknown | ~np.isfinite(number))
    early = read & (seen < days)
    kept = np.flatnonzero(read & ~missing)
    again = np.zeros(len(kept), dtype=np.bool_)
    again[1:] = days[kept][1:] == days[kept][:-1]
    first = kept[np.maximum.accumulate(np.where(again, 0, np.arange(len(kept))))] if len(kept) else kept
    differing = again & (number[kept] != number[first])
    doubled = kept[differing] if differing.any() else kept[again]
    rows = Rows(
        int(read.sum()),
        int(missing.sum()),
        int((again & ~differing).sum()),
        int(differing.sum()),
        int(early.sum()),
        int(future.sum()),
        _first(days[doubled]),
        _first(days[early]),
        _first(days[future]),
    )
    stay = kept[~again]
    return days[stay], number[stay], np.maximum(days[stay], seen[stay]), rows


def _first(days: Days) -> date | None:
    return days[0].astype(object) if len(days) else None


def _days(table: pa.Table, name: str) -> Days:
    """Return a column of dates, NaT where it is missing."""
    import pyarrow as pa

    column = table.column(name).cast(pa.date32()).combine_chunks()
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype="datetime64[D]")


def _numbers(table: pa.Table) -> Floats:
    """Return the column of numbers, NaN where one is missing."""
    return np.asarray(table.column("number").combine_chunks().to_numpy(zero_copy_only=False), dtype=np.float64)


def _no_quotes(name: str, series: Series, as_of: date) -> DataError:
    return DataError(
        f"foregate.toml [prices.series.{name}]",
        found=f"no price in `{series.price}` of source {series.source}, dated by `{series.day}` and known by {as_of}",
        wanted="at least one",
        then="Look at `day`, `price` and train_start, at the source's known or known_after, and at the as-of date.",
    )
