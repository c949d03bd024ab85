"""Rates of cohorts and of periods, side by side, for people to read: what was counted and what it will have become."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from foregate.metrics.estimate import Estimate, bracketed, untold
from foregate.metrics.inputs import at_least
from foregate.metrics.rates import rate
from foregate.modeling.cohorts import Cohorts
from foregate.modeling.conversion import MATURE, Conversion, fit_conversion
from foregate.modeling.conversion_rates import Betas, matched, mean_of, mixed, standing_of

DRAWS, SEED = 200, 1


class CohortRate(NamedTuple):
    """One period's entries, the days first..last: what became of them so far, and what will have.

    `completeness` is the expected share of their conversions that has shown; `raw` is conversions over entries so far,
    None without entries; `completed` is the share that will ever convert, from these entries and the delay alone.
    `is_mature`: whether raw may be shown without completing it.
    """

    first: int
    last: int
    entries: int
    conversions: int
    completeness: float
    raw: Estimate | None
    completed: Estimate
    is_mature: bool


class PeriodRate(NamedTuple):
    """One period's conversions over the same period's entries: two different cohorts, and the ratio may pass 1."""

    first: int
    last: int
    entries: int
    conversions: int
    ratio: Estimate


def _periods(cohorts: Cohorts, period_days: int) -> int:
    """Return how many periods, counted back from the origin, hold all entries."""
    oldest = int(cohorts.entered.min()) if cohorts.entered.size else cohorts.origin
    return (cohorts.origin - oldest) // at_least(period_days, 1, "days of a period") + 1


def cohort_rates(
    cohorts: Cohorts, period_days: int, conversion: Conversion | None = None, level: float = 0.95
) -> list[CohortRate]:
    """Return the rate of every period's entries, oldest first; periods are counted back from the origin.

    `conversion` knows the delay; None fits it. A completed rate has the interval of its posterior from a half hit and a
    half miss, with the delay drawn; no entries: 0.5 within nearly [0, 1]. ValueError for a period below a day or a
    level outside (0, 1).

    >>> seen = Cohorts([0] * 80, [0] * 40 + [30] * 40, [1] * 20 + [-1] * 20 + [31] * 20 + [-1] * 20, 31, [0])
    >>> [(one.first, one.last, one.entries, one.conversions, one.is_mature) for one in cohort_rates(seen, 16)]
    [(0, 15, 40, 20, True), (16, 31, 40, 20, True)]
    """
    delay = (fit_conversion(cohorts, half_life=math.inf) if conversion is None else conversion).delay
    count = _periods(cohorts, period_days)
    back = (cohorts.origin - cohorts.entered) // period_days
    grouped = Cohorts(count - 1 - back, cohorts.entered, cohorts.converted, cohorts.origin, np.zeros(count, np.int64))
    shown, drawn = delay.delay.shown, delay.draw(np.random.default_rng(SEED), DRAWS)
    known = standing_of(grouped, shown)
    even = Betas(np.full((1, count), 0.5), np.full((1, count), 0.5))
    entries = np.bincount(grouped.series, minlength=count)
    value = mean_of(*matched(even, known, shown[None]))[0]
    completed = mixed(value, matched(even, known, drawn), entries, level)
    exposure = np.bincount(grouped.series, shown[np.minimum(grouped.ages, delay.limit)], minlength=count)
    return [
        _cohort_rate(cohorts.origin - period_days * (count - at), period_days, *told, level)
        for at, told in enumerate(zip(entries, known.converted, exposure, completed, strict=True))
    ]


def _cohort_rate(
    before: int, days: int, entries: int, hits: float, exposure: float, completed: Estimate, level: float
) -> CohortRate:
    complete = float(exposure) / int(entries) if entries else 0.0
    raw = rate(int(hits), int(entries), level) if entries else None
    mature = complete >= MATURE
    return CohortRate(before + 1, before + days, int(entries), int(hits), complete, raw, completed, mature)


def period_rates(cohorts: Cohorts, period_days: int, level: float = 0.95) -> list[PeriodRate]:
    """Return, for every period counted back from the origin, oldest first, conversions dated in it over its entries.

    The interval takes both for Poisson counts: exact, from the share of conversions among the two. No entries: NaN
    within [0, inf]. ValueError as for `cohort_rates`.

    >>> one, two = period_rates(Cohorts([0] * 4, [0, 0, 5, 5], [6, 6, 6, -1], 9, [0]), 5)
    >>> (one.ratio.value, two.ratio.value)
    (0.0, 1.5)
    """
    count = _periods(cohorts, period_days)
    entered, converted = (
        np.bincount(count - 1 - (cohorts.origin - days) // period_days, minlength=count).tolist()
        for days in (cohorts.entered, cohorts.converted[cohorts.is_converted])
    )
    starts = [cohorts.origin - period_days * (count - at) + 1 for at in range(count)]
    return [
        PeriodRate(start, start + period_days - 1, rows, hits, _ratio(hits, rows, level))
        for start, rows, hits in zip(starts, entered, converted, strict=True)
    ]


def _ratio(hits: int, rows: int, level: float) -> Estimate:
    if rows == 0:
        return untold(0, math.inf, 0, level)
    share = rate(hits, hits + rows, level)
    low, high = (bound / (1 - bound) if bound < 1 else math.inf for bound in (share.low, share.high))
    return bracketed(hits / rows, low, high, rows, level)
