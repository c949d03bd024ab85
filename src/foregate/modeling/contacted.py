"""Contacted leads and what was promised of them, summed up on one day: all that a day's evidence is made of."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from foregate.metrics.estimate import Floats, Integers
from foregate.metrics.inputs import same_length
from foregate.metrics.maturity import Delay
from foregate.metrics.sequential import shortfall_e_detector

DECILES = 10
WEEK = 7
# Rates look back over the leads contacted in these days and in the window after them: so many days have matured.
RECENT_DAYS = 60
TOP = 1


@dataclass(frozen=True)
class Contacted:
    """Leads of a version's lists that were contacted: one entry a lead in every array, in any order.

    `contacted`, `converted`: proleptic ordinal days, 0 for no conversion so far. `score`: the probability told when the
    list was made. `expected`: the rate promised for the lead's tier; NaN takes the promise's own. `decile`: 1 (the best
    tenth of its list by score) to 10, 0 unknown. `group`: its tier; empty for no tiers. `listed`: the day of its list,
    for leads contacted before it (a list of open leads): they had not converted by then, so only later conversions
    count, against what was still to come. Raises ValueError for arrays of unequal lengths.
    """

    contacted: Integers
    converted: Integers
    score: Floats
    expected: Floats
    decile: Integers
    group: Sequence[str] = ()
    listed: Integers | None = None

    def __post_init__(self) -> None:
        arrays = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name not in ("group", "listed")}
        arrays |= {"group": self.group} if len(self.group) else {}
        same_length(**arrays | ({} if self.listed is None else {"listed": self.listed}))


@dataclass(frozen=True)
class Promise:
    """What a version's leads are held against; rates are shares converting within `window_days` of the contact.

    `rate`: of the whole list. `top_decile_rate`: of its best tenth, NaN for what its leads' own `expected` say.
    `delay`: when conversions show. `rows`, `top_decile_rows`: how many rows each rate was measured on, 0 to take it as
    exact. `groups`: tiers that are reported even when nobody in them was contacted. Raises ValueError for rates outside
    [0, 1] and a delay of another window.
    """

    rate: float
    top_decile_rate: float
    delay: Delay
    window_days: int
    rows: float = 0.0
    top_decile_rows: float = 0.0
    groups: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.rate <= 1 or self.top_decile_rate < 0 or self.top_decile_rate > 1:
            raise ValueError(f"the promised rates are {self.rate} and {self.top_decile_rate}; wanted shares of leads")
        if self.delay.window != self.window_days:
            raise ValueError(f"the delay is of {self.delay.window} days; wanted the window's {self.window_days}")

    @property
    def half_day(self) -> int:
        """The first day by which at least half of the conversions have shown."""
        return int(np.argmax(self.delay.shown >= 0.5))


class Cells(NamedTuple):
    """Sums over leads by cell: leads, conversions, conversions due by age in units of leads, and those promised."""

    rows: Integers
    hits: Integers
    due: Floats
    promised: Floats


class Matured(NamedTuple):
    """Sums over matured leads: leads, conversions, the sum of their scores.

    `early`, `watched_hits`: of the leads watched from their contact, conversions by the delay's half day, and all.
    """

    rows: int
    hits: int
    foretold: float
    early: int
    watched_hits: int


@dataclass(frozen=True)
class Sums:
    """All that a day's evidence is made of: sums over the leads that were known on the day.

    The cells of `deciles` and of `week` are 0 (unknown) to 10; `week` is the last seven days' leads and their
    conversions so far. `shortfall` and `top_shortfall` are log e-detectors, NaN when nothing was due; `error` is
    the relative standard error that the delay curve gives what is due.
    """

    deciles: Cells
    matured: Matured
    week: tuple[Integers, Integers]
    shortfall: float
    top_shortfall: float
    known: int
    error: float = 0.0
    refused: int = 0
    groups: Mapping[str, tuple[int, int, float, float]] = field(default_factory=dict)


def sums_on(
    leads: Contacted,
    promise: Promise,
    on: int,
    recent_days: int = RECENT_DAYS,
) -> Sums:
    """Return the sums of an ordinal day over leads whose contacts and conversions may reach beyond it."""
    if recent_days < 1:
        raise ValueError(f"rates look back over {recent_days} days; wanted at least 1")
    strange = (leads.contacted > on) | (leads.converted > on)
    strange |= (leads.converted > 0) & (leads.converted < leads.contacted)
    rows = _known(leads, promise, on)
    period = rows.age < promise.window_days + recent_days
    top, best = rows.decile == TOP, promise.top_decile_rate
    return Sums(
        deciles=_cells(rows, period, rows.decile, DECILES + 1),
        matured=_matured(rows, period, promise),
        week=_week(rows),
        shortfall=_shortfall(rows, rows.promised, np.ones_like(top)),
        top_shortfall=_shortfall(rows, rows.promised if math.isnan(best) else best * rows.due, top),
        known=int(rows.age.size),
        error=promise.delay.exposure(rows.age[period]).error if period.any() else 0.0,
        refused=int(np.count_nonzero(strange)),
        groups=_groups(rows, period, promise.groups),
    )


class _Known(NamedTuple):
    """The leads known on a day, an entry each; `hit` within the window and by the day, `naive` within any time."""

    age: Integers
    start: Integers
    delay: Integers
    hit: NDArray[np.bool_]
    naive: NDArray[np.bool_]
    fresh: NDArray[np.bool_]
    due: Floats
    promised: Floats
    score: Floats
    decile: Integers
    group: Sequence[str]


def _known(leads: Contacted, promise: Promise, on: int) -> _Known:
    there = np.flatnonzero(leads.contacted <= on)
    contacted, converted = leads.contacted[there], leads.converted[there]
    listed = contacted if leads.listed is None else leads.listed[there]
    fresh, age, delay = listed <= contacted, on - contacted, converted - contacted
    naive = (converted > 0) & (delay >= 0) & (converted <= on) & (fresh | (converted > listed))
    expected, score = leads.expected[there], leads.score[there]
    price = np.where(np.isnan(expected), promise.rate, expected)
    shown = promise.delay.shown[np.minimum(age, promise.window_days)]
    # What had shown before the list can not show again: the rest is shared among leads still open by then.
    before = np.where(fresh, 0.0, promise.delay.shown[np.clip(listed - contacted, 0, promise.window_days)])
    due = np.maximum(shown - before, 0.0) / np.maximum(1 - price * before, 1e-12)
    return _Known(
        age,
        np.maximum(contacted, listed),
        delay,
        naive & (delay <= promise.window_days),
        naive,
        fresh,
        due,
        price * due,
        score * (1 - before) / np.maximum(1 - score * before, 1e-12),
        leads.decile[there],
        [leads.group[at] for at in there.tolist()] if len(leads.group) else (),
    )


def _summed(cell: Integers, cells: int, weights: NDArray[np.bool_] | Floats) -> Floats:
    return np.asarray(np.bincount(cell, weights, minlength=cells), dtype=np.float64)


def _cells(rows: _Known, chosen: NDArray[np.bool_], cell: Integers, cells: int) -> Cells:
    at = cell[chosen]
    hits, due, promised = (_summed(at, cells, w[chosen]) for w in (rows.hit, rows.due, rows.promised))
    return Cells(np.bincount(at, minlength=cells), hits.astype(np.int64), due, promised)


def _groups(
    rows: _Known, period: NDArray[np.bool_], names: tuple[str, ...]
) -> dict[str, tuple[int, int, float, float]]:
    place = {name: at for at, name in enumerate(dict.fromkeys([*names, *rows.group]))}
    if not place:
        return {}
    there = len(rows.group) > 0
    cell = np.array([place[name] for name in rows.group], np.int64) if there else np.zeros(period.size, np.int64)
    found = _cells(rows, period if there else period & False, cell, len(place))
    return {n: (int(found.rows[at]), int(found.hits[at]), found.due[at], found.promised[at]) for n, at in place.items()}


def _matured(rows: _Known, period: NDArray[np.bool_], promise: Promise) -> Matured:
    old = period & (rows.age >= promise.window_days)
    hits, watched = rows.hit & old, rows.hit & old & rows.fresh
    early = watched & (rows.delay <= promise.half_day)
    counts = [int(np.count_nonzero(flags)) for flags in (old, hits, early, watched)]
    return Matured(counts[0], counts[1], float(rows.score[old].sum()), counts[2], counts[3])


def _week(rows: _Known) -> tuple[Integers, Integers]:
    young = rows.age < WEEK
    at = rows.decile[young]
    hits = _summed(at, DECILES + 1, rows.naive[young]).astype(np.int64)
    return np.bincount(at, minlength=DECILES + 1), hits


def _shortfall(rows: _Known, promised: Floats, chosen: NDArray[np.bool_]) -> float:
    """Return the log e-detector over the days on which leads came to be watched; NaN when nothing was promised."""
    due = promised[chosen]
    if not due.sum() > 0:
        return math.nan
    days, at = np.unique(rows.start[chosen], return_inverse=True)
    observed, expected = (_summed(at, days.size, weights) for weights in (rows.hit[chosen], due))
    return float(shortfall_e_detector(observed, expected)[-1])
