"""Completeness by age: how full a source's newest days are, against its own past and against what it claims."""

from __future__ import annotations

import calendar
import math
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray
from sqlglot import exp

from foregate.core.ports import Warehouse
from foregate.metrics.estimate import Estimate
from foregate.warehouse.days import day, known_day
from foregate.warehouse.profile import literal
from foregate.warehouse.sources import MEASURED, Source, view_name

Integers = NDArray[np.int64]
NEWEST, REFERENCE = 6, 18
COMPLETE = 0.9
_FEWEST = 200


@dataclass(frozen=True, slots=True)
class Completeness:
    """Shares of the usual volume in the newest months, newest first, and the age at which it is 90 % full."""

    shares: tuple[float, ...]
    claimed: tuple[float, ...]
    lag_days: int
    rows: int
    shortfall: Estimate

    def words(self) -> str:
        """Return the curve in words."""
        if not self.rows:
            return "too few rows to tell how late it fills"
        found = ", ".join(f"{s:.0%}" for s in self.shares[:4])
        claimed = ", ".join(f"{s:.0%}" for s in self.claimed[:4])
        curve = f"by month of age {found} of the usual volume; its declaration claims {claimed}"
        return f"{curve}; {COMPLETE:.0%} full after {self.lag_days} days"


def completeness(warehouse: Warehouse, name: str, source: Source, as_of: date) -> Completeness:
    """Return how complete the newest months are: rows per month of age over the mean of the year before them.

    The claim is what the source's own known-at says should be there: the older year's rows, moved to each newer month
    with their delays. The shortfall is claim minus finding over the newest three months, with a Poisson interval; a
    share is taken at most 1, because a growing source is not an incomplete one.
    """
    age, delay, rows = _ages(warehouse, name, source, as_of)
    starts = _month_starts(as_of)
    month = np.searchsorted(starts, age, side="right") - 1
    counts = np.bincount(month[month < REFERENCE], rows[month < REFERENCE], REFERENCE)
    older = (month >= NEWEST) & (month < REFERENCE)
    total = rows[older].sum()
    if total < _FEWEST:
        return Completeness((), (), 0, 0, Estimate(0.0, 0.0, 0.0, 0))
    usual = total / (REFERENCE - NEWEST)
    shares = np.minimum(1.0, counts[:NEWEST] / usual)
    as_young = [age[older] - (starts[month[older]] - starts[young]) for young in range(NEWEST)]
    claimed = np.array([rows[older][delay[older] <= then].sum() / total for then in as_young])
    full = next((k for k in range(NEWEST) if (shares[k:] >= COMPLETE).all()), NEWEST)
    shortfall = float((claimed - shares)[:3].mean())
    spread = 1.96 * math.sqrt(counts[:3].sum()) / (3 * usual)
    found = Estimate(shortfall, shortfall - spread, shortfall + spread, int(counts.sum()))
    return Completeness(tuple(shares.tolist()), tuple(claimed.tolist()), int(starts[full]), int(counts.sum()), found)


def _month_starts(as_of: date) -> Integers:
    """Return the least age in days of each month of age, counted back from as_of by the calendar."""
    starts = []
    for back in range(REFERENCE + 1):
        years, month = divmod(as_of.month - 1 - back, 12)
        last = calendar.monthrange(as_of.year + years, month + 1)[1]
        starts.append((as_of - date(as_of.year + years, month + 1, min(as_of.day, last))).days)
    return np.array(starts, dtype=np.int64)


def _ages(warehouse: Warehouse, name: str, source: Source, as_of: date) -> tuple[Integers, Integers, Integers]:
    """Return ages at as_of, delays until known, and how many rows have both, for rows that are there to be seen."""
    happened = day(exp.column(str(source.happened)))
    known = happened.copy() if source.known_after == MEASURED else known_day(source)
    visible = exp.and_(exp.LTE(this=happened, expression=literal(as_of)), known.copy() <= literal(as_of))
    recent = exp.DateDiff(this=literal(as_of), expression=happened.copy(), unit=exp.var("day"))
    delay = exp.DateDiff(this=known, expression=happened.copy(), unit=exp.var("day"))
    tree = (
        exp.select(recent.as_("age__"), delay.as_("delay__"), exp.Count(this=exp.Star()).as_("rows__"))
        .from_(view_name(name))
        .where(visible, recent.copy() <= (REFERENCE + 1) * 31)
        .group_by("age__", "delay__")
    )
    table = warehouse.table(tree.sql(dialect=warehouse.dialect))
    age, delays, rows = (
        table.column(n).to_numpy(zero_copy_only=False).astype(np.int64) for n in ("age__", "delay__", "rows__")
    )
    return age, delays, rows
