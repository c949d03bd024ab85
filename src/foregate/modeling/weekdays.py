"""Weekdays: which share of a week's events falls on each, and paths whose weeks are spread so."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from foregate.modeling.series import History

Floats = NDArray[np.float64]
Paths = NDArray[np.int32]
LEARNT_DAYS = 364
EVEN_EVENTS = 35.0


def weekday_shares(history: History) -> Floats:
    """Return [7] the share of events that falls on each weekday, Monday first, all series together; sums to 1.

    Counts of the last 52 weeks, shrunk to even shares by 35 events that are spread evenly: few events say little of
    weekdays.

    >>> from datetime import date
    >>> alone = lambda counts: History(counts, date(2025, 3, 2), *(np.array([n]) for n in (0, 700, 0)))
    >>> weekday_shares(alone(np.tile([9, 9, 9, 9, 9, 0, 0], (1, 100)))).round(3)
    array([0.199, 0.199, 0.199, 0.199, 0.199, 0.002, 0.002])
    """
    days = min(LEARNT_DAYS, history.days)
    counts = history.counts[:, -days:].sum(axis=0)
    found = np.bincount(history.weekdays(0)[-days:], weights=counts, minlength=7) + EVEN_EVENTS / 7
    return np.asarray(found / found.sum())


def spread_over_weekdays(paths: Paths, first_weekday: int, shares: Floats, rng: np.random.Generator) -> Paths:
    """Return paths [draws, series, days] whose weeks, counted from the first day, keep their sums of each series.

    Every week's events are dealt to its days by the weekdays' shares, so that a process that knows only delays gets
    the weekdays it has; a last part of a week is dealt over its own days. Sums over whole weeks are untouched.

    >>> dealt = spread_over_weekdays(np.full((1, 1, 7), 2, np.int32), 0, np.eye(7)[2], np.random.default_rng(1))
    >>> dealt.tolist()
    [[[0, 0, 14, 0, 0, 0, 0]]]
    """
    found = np.empty_like(paths)
    for start in range(0, paths.shape[-1], 7):
        week = paths[..., start : start + 7]
        weights = shares[(first_weekday + start + np.arange(week.shape[-1])) % 7]
        weights = weights / weights.sum() if weights.sum() > 0 else np.full(len(weights), 1 / len(weights))
        found[..., start : start + 7] = rng.multinomial(week.sum(axis=-1), weights)
    return found
