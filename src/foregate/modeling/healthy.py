"""A healthy model, or one known to have fallen: a simulated year of field evidence, to count false and late alarms."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from foregate.core.evidence import Evidence
from foregate.metrics.estimate import Floats, Integers
from foregate.metrics.maturity import Delay
from foregate.metrics.sequential import shortfall_e_detector
from foregate.modeling.contacted import (
    DECILES,
    RECENT_DAYS,
    TOP,
    WEEK,
    Cells,
    Contacted,
    Matured,
    Promise,
    Sums,
)
from foregate.modeling.field import evidence_of
from foregate.modeling.measured import Measured

# Days of a year are looked at in so many blocks: the first need not wait on the contacts of the last.
BLOCKS = 6
FIRST_DAY = date(2025, 1, 1)


@dataclass(frozen=True)
class Volume:
    """What a version meets in the field: leads contacted a day (the mean of a Poisson count), and what it promised.

    `rate`, `top_decile_rate`, `delay`, `rows`, `top_decile_rows`: as in `Promise`. A tenth of the leads is the best
    decile, the others share what is left of the rate. Raises ValueError for a top decile with more conversions than
    the whole.

    >>> round(Volume(90, 0.05, 0.14, Delay(np.array([0.5, 1.0]), 100)).rest_rate, 3)
    0.04
    """

    leads_per_day: float
    rate: float
    top_decile_rate: float
    delay: Delay
    rows: float = 0.0
    top_decile_rows: float = 0.0

    def __post_init__(self) -> None:
        if self.leads_per_day < 0 or not 0 <= self.rest_rate <= 1:
            raise ValueError(f"the best tenth at {self.top_decile_rate} leaves {self.rest_rate:.3f} for the others")

    @property
    def rest_rate(self) -> float:
        """The rate of the leads that are not in the best tenth."""
        return (self.rate - self.top_decile_rate / DECILES) / (1 - 1 / DECILES)

    def promise(self) -> Promise:
        """Return what the version promised."""
        behind = self.rows, self.top_decile_rows
        return Promise(self.rate, self.top_decile_rate, self.delay, self.delay.window, *behind)


def simulate_year(
    seed: int,
    volume: Volume,
    days: int = 365,
    multiplier: float = 1.0,
    warmup: int = 0,
    start: date = FIRST_DAY,
    recent_days: int = RECENT_DAYS,
    only: Collection[str] = (),
) -> Iterator[tuple[date, list[Evidence]]]:
    """Yield a day and its evidence, day by day from `start`, of a model that keeps its promise but for `multiplier`.

    Contacts begin `warmup` days before and convert as promised; from the first day on the leads contacted convert at
    `multiplier` times the promise. Every lead's tier promises the whole rate, its score its own decile's. `only`: names
    of evidence that are needed, empty for all. One seed gives one year. ValueError for no days, a negative warm-up, a
    multiplier that makes rates above 1.

    >>> volume = Volume(90, 0.05, 0.14, Delay(np.array([0.5, 1.0]), 100))
    >>> [on.isoformat() for on, _ in simulate_year(seed=1, volume=volume, days=2)]
    ['2025-01-01', '2025-01-02']
    """
    if days < 1 or warmup < 0:
        raise ValueError(f"a year of {days} days after a warm-up of {warmup}; wanted at least 1 and 0")
    leads = contacts(seed, volume, days, multiplier, warmup, start.toordinal())
    promise, first = volume.promise(), start.toordinal()
    readings = sums_by_day(leads, promise, first - warmup, first + days - 1, recent_days)
    for place, sums in enumerate(readings):
        if place >= warmup:
            on = start + timedelta(days=place - warmup)
            made = Measured(on, f"simulated {seed}")
            yield on, list(evidence_of(made, sums, promise, only=only))


def contacts(seed: int, volume: Volume, days: int, multiplier: float, warmup: int, start: int) -> Contacted:
    """Return every lead of a simulated year, conversions of days to come among them."""
    if not 0 <= multiplier * max(volume.top_decile_rate, volume.rest_rate) <= 1:
        raise ValueError(f"the multiplier {multiplier} makes a rate outside 0 to 1")
    random = np.random.default_rng(seed)
    a_day = random.poisson(volume.leads_per_day, warmup + days)
    contacted = np.repeat(np.arange(start - warmup, start + days), a_day)
    decile = random.integers(1, DECILES + 1, contacted.size)
    score = np.where(decile == TOP, volume.top_decile_rate, volume.rest_rate)
    chance = score * np.where(contacted >= start, multiplier, 1.0)
    happens = random.random(contacted.size) < chance
    delay = np.searchsorted(volume.delay.shown, random.random(contacted.size), side="right")
    converted = np.where(happens, contacted + delay, 0)
    return Contacted(contacted, converted, score, np.full(contacted.size, volume.rate), decile)


class _Days:
    """Leads counted by day of contact and decile, and every sum of them over a stretch of contact days."""

    def __init__(self, leads: Contacted, promise: Promise, first: int, last: int) -> None:
        self.days, self.window = last - first + 1, promise.window_days
        self.first, self.leads = first, leads
        self.delay = leads.converted - leads.contacted
        self.hit = (leads.converted > 0) & (self.delay >= 0) & (self.delay <= self.window)

    def by(
        self, day: Integers, chosen: NDArray[np.bool_] | slice = slice(None), weights: Floats | None = None
    ) -> Floats:
        """Return a table of day and decile (0..10): leads, or the sum of their weights."""
        place = (day[chosen] - self.first) * (DECILES + 1) + self.leads.decile[chosen]
        inside = place < self.days * (DECILES + 1)
        weights = None if weights is None else weights[chosen][inside]
        found = np.bincount(place[inside], weights, minlength=self.days * (DECILES + 1))
        return found.astype(np.float64).reshape(self.days, DECILES + 1)


def _stretch(table: Floats, oldest: int, youngest: int) -> Floats:
    """Return, for each day, the sum over the contact days whose age lies in [youngest, oldest)."""
    summed = np.concatenate([np.zeros((1, *table.shape[1:])), np.cumsum(table, axis=0)])
    day = np.arange(len(table)) + 1
    found: Floats = summed[np.maximum(day - youngest, 0)] - summed[np.maximum(day - oldest, 0)]
    return found


def _aged(table: Floats, kernel: Floats) -> Floats:
    """Return, for each day, the sum over contact days weighted by the kernel of their age."""
    columns = [np.convolve(column, kernel)[: len(table)] for column in table.T]
    return np.stack(columns, axis=1)


def sums_by_day(
    leads: Contacted, promise: Promise, first: int, last: int, recent_days: int = RECENT_DAYS
) -> Iterator[Sums]:
    """Yield what `sums_on` returns for each ordinal day, all days at once; labels of days to come are not known.

    For leads contacted from `first` on, without tiers and dates of lists.
    """
    days = _Days(leads, promise, first, last)
    window, reach = promise.window_days, promise.window_days + recent_days
    price = np.where(np.isnan(leads.expected), promise.rate, leads.expected)
    kernel = np.concatenate([promise.delay.shown, np.ones(recent_days - 1)])
    rows, promised = days.by(leads.contacted), days.by(leads.contacted, weights=price)
    hits_by_contact, hits_by_day = days.by(leads.contacted, days.hit), days.by(leads.converted, days.hit)
    hits = np.cumsum(hits_by_day, axis=0) - _stretch(hits_by_contact, len(rows) + reach, reach)
    early = days.by(leads.contacted, days.hit & (days.delay <= promise.half_day))
    cells = zip(_stretch(rows, reach, 0), hits, _aged(rows, kernel), _aged(promised, kernel), strict=True)
    matured = zip(
        *(
            _stretch(table, reach, window).sum(axis=1).tolist()
            for table in (rows, hits_by_contact, days.by(leads.contacted, weights=leads.score), early)
        ),
        strict=True,
    )
    week_rows, week_hits = _stretch(rows, WEEK, 0).astype(np.int64), _hits_of_week(days)
    every, best = np.ones(leads.decile.size, np.bool_), leads.decile == TOP
    detected = _detected(days, promise, price, every), _detected(days, promise, price, best)
    known, errors = np.cumsum(rows.sum(axis=1)), _errors(rows.sum(axis=1), promise.delay, reach)
    for day, (cell, old) in enumerate(zip(cells, matured, strict=True)):
        yield Sums(
            Cells(cell[0].astype(np.int64), np.rint(cell[1]).astype(np.int64), cell[2], cell[3]),
            Matured(round(old[0]), round(old[1]), old[2], round(old[3]), round(old[1])),
            (week_rows[day], week_hits[day]),
            detected[0][day],
            detected[1][day],
            int(known[day]),
            errors[day],
        )


def _errors(rows: Floats, delay: Delay, reach: int) -> list[float]:
    """Return `Delay.exposure`'s error for each day, of the leads contacted less than `reach` days before."""
    at_least = np.stack([_stretch(rows, reach, age) for age in range(delay.window + 1)], axis=1)
    parts = np.diff(delay.shown, prepend=0.0)
    leads = at_least @ parts
    spread = np.maximum(np.square(at_least) @ parts - leads * leads, 0.0)
    return [float(one) for one in np.sqrt(spread / delay.events) / np.where(leads > 0, leads, np.inf)]


def _hits_of_week(days: _Days) -> Integers:
    """Return, by day and decile, the conversions so far of the leads contacted in the last seven days."""
    found = np.zeros((days.days, DECILES + 1))
    for delay in range(WEEK):
        chosen = (days.leads.converted > 0) & (days.delay == delay)
        found += _stretch(days.by(days.leads.contacted, chosen), WEEK, delay)
    return np.rint(found).astype(np.int64)


def _detected(days: _Days, promise: Promise, price: Floats, chosen: NDArray[np.bool_]) -> list[float]:
    """Return the log e-detector of every day over the leads contacted by then; NaN while nothing was promised."""
    contact = days.leads.contacted[chosen] - days.first
    worth = price[chosen] if chosen.all() else np.full(contact.size, promise.top_decile_rate)
    there = np.unique(contact)
    if not there.size:
        return [math.nan] * days.days
    place, width = np.searchsorted(there, contact), days.window + 1
    hit, delay = days.hit[chosen], days.delay[chosen]
    shown = np.bincount(place[hit] * width + delay[hit], minlength=there.size * width).reshape(there.size, width)
    by_age, due = np.cumsum(shown, axis=1), np.bincount(place, worth)[:, None] * promise.delay.shown
    found = [_newest(there, by_age, due, block) for block in np.array_split(np.arange(days.days), BLOCKS) if block.size]
    return [float(value) for value in np.concatenate(found)]


def _newest(there: Integers, by_age: Integers, due: Floats, block: Integers) -> Floats:
    """Return the e-detectors of a block of days: for each, over the contact days up to it."""
    there = there[there <= block[-1]]
    if not there.size:
        return np.full(block.size, math.nan)
    age = block[:, None] - there
    cell = np.arange(there.size), np.clip(age, 0, due.shape[1] - 1)
    expected = np.where(age >= 0, due[cell], 0.0)
    found = shortfall_e_detector(np.where(age >= 0, by_age[cell], 0), expected)
    newest = np.searchsorted(there, block, side="right") - 1
    return np.where(expected.sum(axis=1) > 0, found[np.arange(block.size), newest], math.nan)
