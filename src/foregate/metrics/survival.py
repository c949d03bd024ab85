"""How long outcomes take to show, when some rows are still being watched."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from foregate.metrics.estimate import Estimate, Floats, Integers, bracketed, checked_level, untold
from foregate.metrics.inputs import at_least, finite, outcomes_of, same_length, share_of


class Curve(NamedTuple):
    """A survival curve: on each of `days` how many were at risk, had the event, and the share without it."""

    days: Floats
    survival: Floats
    at_risk: Integers
    events: Integers


def _watched(durations: ArrayLike, observed: ArrayLike) -> tuple[Floats, Floats]:
    days, seen = finite(durations, "durations"), outcomes_of(observed, "observed flags")
    same_length(durations=days, observed=seen)
    if days.min() < 0:
        raise ValueError(f"a duration is {days.min():g} days; wanted no negative durations")
    return days, seen


def kaplan_meier(durations: ArrayLike, observed: ArrayLike) -> Curve:
    """Return the product-limit curve of the share of rows without the event after so many days.

    Durations are days from the start to the event, or to the last look where `observed` is 0; a row last
    looked at on the day of an event was at risk of it. Every different duration is a day of the curve.
    ValueError for durations NaN, infinite or negative, flags not 0 or 1, unequal lengths. Kaplan & Meier
    1958, equation 2.

    >>> kaplan_meier([1, 2, 2, 3], [1, 1, 0, 1]).survival
    array([0.75, 0.5 , 0.  ])
    """
    days, seen = _watched(durations, observed)
    distinct, inverse, leaving = np.unique(days, return_inverse=True, return_counts=True)
    events = np.bincount(inverse, weights=seen, minlength=distinct.size).astype(np.int64)
    at_risk = days.size - np.cumsum(leaving) + leaving
    return Curve(distinct, np.cumprod(1 - events / at_risk), at_risk.astype(np.int64), events)


def cumulative_incidence(curve: Curve, day: float) -> float:
    """Return the share of rows, in [0, 1], which have had the event by the end of the day.

    A step function: flat between days and after the last one, where nobody is left to look at. ValueError
    for a NaN day.

    >>> cumulative_incidence(kaplan_meier([1, 2, 2, 3], [1, 1, 0, 1]), 2.5)
    0.5
    """
    if math.isnan(day):
        raise ValueError("the day is NaN; wanted a number of days")
    place = int(np.searchsorted(curve.days, day, side="right"))
    return 1.0 - float(curve.survival[place - 1]) if place else 0.0


def _first_days(events: Integers, leaving: Integers, share: float) -> Floats:
    """Return, for each row of daily counts, the first day with the share of the incidence of the last.

    The last column counts those watched beyond the horizon. NaN where no event happened.
    """
    at_risk = np.cumsum(leaving[..., ::-1], axis=-1)[..., ::-1]
    hazard = events / np.maximum(at_risk, 1)
    incidence = 1 - np.cumprod(1 - hazard, axis=-1)[..., :-1]
    # Rounding may put the incidence of the very day a hair below the share of it that was asked.
    reached = incidence >= share * incidence[..., -1:] * (1 - 1e-12)
    first = np.argmax(reached, axis=-1).astype(np.float64)
    return np.asarray(np.where(incidence[..., -1] > 0, first, np.nan), dtype=np.float64)


def maturity_window(
    durations: ArrayLike,
    observed: ArrayLike,
    share: float,
    horizon: int,
    seed: int,
    replicates: int = 200,
    level: float = 0.95,
) -> Estimate:
    """Return the days after which that share of the events within the horizon has shown: I(W) >= share I(H).

    I is the Kaplan-Meier incidence, so rows still being watched count for as long as they were. Durations
    are whole days. The interval is a seeded bootstrap over rows, drawn as counts by day and rounded
    outwards to whole days; when nobody was watched to the horizon its high is the horizon. No event by
    the horizon: value NaN, interval [0, horizon]. ValueError for durations that are not whole, negative
    or NaN, flags not 0 or 1, unequal lengths, a share outside (0, 1], a horizon below 1. Kaplan & Meier
    1958; Efron 1981 (censored bootstrap).

    >>> maturity_window([1, 2, 3, 9, 60, 60], [1, 1, 1, 1, 0, 0], share=0.75, horizon=30, seed=1).value
    3.0
    """
    days, seen = _watched(durations, observed)
    if (days != np.floor(days)).any():
        raise ValueError("some durations are not whole days; wanted whole days")
    share, horizon = share_of(share), at_least(horizon, 1, "days of the horizon")
    beyond = days > horizon
    cell = np.where(beyond, horizon + 1, days).astype(np.int64)
    happened = (seen == 1.0) & ~beyond
    width = horizon + 2
    counts = np.bincount(cell + width * happened, minlength=2 * width)
    value = float(_first_days(counts[width:], counts[:width] + counts[width:], share))
    if math.isnan(value):
        return untold(0, horizon, days.size, level)
    random, tail = np.random.default_rng(seed), (1 - checked_level(level)) / 2
    drawn = random.multinomial(days.size, counts / days.size, size=at_least(replicates, 1, "replicates"))
    first = _first_days(drawn[:, width:], drawn[:, :width] + drawn[:, width:], share)
    low = float(np.quantile(np.nan_to_num(first, nan=0.0), tail, method="lower"))
    high = float(np.quantile(np.nan_to_num(first, nan=float(horizon)), 1 - tail, method="higher"))
    return bracketed(value, low, high if days.max() >= horizon else horizon, days.size, level)
