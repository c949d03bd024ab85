"""What few days of conversions say of a rate that takes weeks to show."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import erfc, gammaincinv

from foregate.metrics.estimate import Estimate, Floats, bracketed, checked_level, critical, untold
from foregate.metrics.inputs import at_least, finite, outcomes_of, same_length
from foregate.metrics.survival import kaplan_meier


class Exposure(NamedTuple):
    """Leads weighted by how much of their conversions has had time to show.

    `leads` is the sum of the shares, in leads' worth of full windows; `error` is its standard error as a
    part of it, for the delay curve is an estimate.
    """

    leads: float
    error: float


class Delay(NamedTuple):
    """How late conversions show: `shown[a]` of those within the window have by age a, 0..window in days.

    Rises to 1 at the window. `events` counts the conversions it was measured on.
    """

    shown: Floats
    events: int

    @property
    def window(self) -> int:
        """Return the age in days at which every conversion that counts has shown."""
        return self.shown.size - 1

    def shown_by(self, ages: ArrayLike) -> Floats:
        """Return the share of conversions seen by each age in days, 1 beyond the window.

        ValueError for an age that is negative, NaN or infinite, or no age.

        >>> Delay(np.array([0.0, 0.5, 1.0]), 2).shown_by([0, 1, 7])
        array([0. , 0.5, 1. ])
        """
        days = finite(ages, "ages")
        if days.min() < 0:
            raise ValueError(f"an age is {days.min():g} days; wanted ages of at least 0")
        return self.shown[np.minimum(np.floor(days), self.window).astype(np.int64)]

    def exposure(self, ages: ArrayLike) -> Exposure:
        """Return the exposure of leads of these ages in days, with the error that the curve gives it.

        The sum is, over the curve's conversions, the mean of how many leads are at least as old as each
        took; its error is theirs, that of a mean of `events` draws. No exposure: error 0. ValueError as
        for `shown_by`.

        >>> Delay(np.array([0.0, 0.5, 1.0]), 100).exposure([1, 1, 2])
        Exposure(leads=2.0, error=0.05)
        """
        leads = float(self.shown_by(ages).sum())
        if leads == 0:
            return Exposure(0.0, 0.0)
        whole = np.minimum(np.floor(finite(ages, "ages")), self.window).astype(np.int64)
        old_enough = np.cumsum(np.bincount(whole, minlength=self.window + 1)[::-1])[::-1]
        spread = float(np.diff(self.shown, prepend=0.0) @ np.square(old_enough)) - leads * leads
        return Exposure(leads, math.sqrt(max(0.0, spread) / self.events) / leads)


def delay_curve(durations: ArrayLike, observed: ArrayLike, window: int) -> Delay:
    """Return how the conversions within the window spread over the ages 0..window in days.

    Durations are days from contact to conversion, or to the last look where `observed` is 0. Kaplan-Meier's
    incidence by each age over that by the window, so leads still being watched count for as long as they
    were. ValueError when nothing converted within the window or nobody was watched to its end (a curve
    that stops early would call young leads mature), durations NaN, infinite or negative, flags not 0 or
    1, unequal lengths, a window below 1. Kaplan & Meier 1958, equation 2.

    >>> delay_curve([0, 1, 1, 3, 9, 9], [1, 1, 1, 1, 0, 1], window=4).shown
    array([0.25, 0.75, 0.75, 1.  , 1.  ])
    """
    window = at_least(window, 1, "days of the window")
    curve = kaplan_meier(durations, observed)
    places = np.searchsorted(curve.days, np.arange(window + 1), side="right")
    incidence = np.concatenate([[0.0], 1 - curve.survival])[places]
    events = int(curve.events[curve.days <= window].sum())
    if events == 0:
        raise ValueError(f"nothing converted within {window} days; wanted at least one conversion to time")
    if curve.days[-1] < window and curve.survival[-1] > 0:
        raise ValueError(f"nobody was watched beyond {curve.days[-1]:g} days; wanted some for {window} days")
    return Delay(incidence / incidence[-1], events)


def _garwood(hits: float, level: float) -> tuple[float, float]:
    """Return the exact interval of a Poisson mean of which the hits were one draw."""
    tail = (1 - level) / 2
    return float(gammaincinv(hits, tail)) if hits > 0 else 0.0, float(gammaincinv(hits + 1, 1 - tail))


def adjusted_rate(hits: float, exposure: float, level: float = 0.95, error: float = 0.0) -> Estimate:
    """Return hits / exposure: the rate, in [0, 1], at which leads will have converted by their window.

    `hits` are conversions so far; `exposure` is the sum over all leads of the share of conversions seen
    by their age (`Delay.exposure`), `error` its relative standard error. The interval is Garwood's exact
    one for a Poisson count, never too short for a sum of rare yes and no; the error is squared and added
    on the log scale. `rows` is the exposure. An exposure below 1, less than one lead that is mature:
    value NaN, interval [0, 1]. ValueError for negative or infinite numbers. Garwood 1936; Zou & Donner
    2008 (squared and added).

    >>> [round(x, 4) for x in adjusted_rate(9, 220.0)[:3]]
    [0.0409, 0.0187, 0.0777]
    """
    if not all(math.isfinite(part) and part >= 0 for part in (hits, exposure, error)):
        raise ValueError(f"found {hits} hits, exposure {exposure}, error {error}; wanted numbers of at least 0")
    checked_level(level)
    if exposure < 1:
        return untold(0, 1, exposure, level)
    few, many = _garwood(hits, level)
    doubt = critical(level) * error
    low = hits * math.exp(-math.hypot(math.log(hits / few), doubt)) if few > 0 else 0.0
    # No hit has no log: the error then widens the bound by itself.
    high = hits * math.exp(math.hypot(math.log(many / hits), doubt)) if hits > 0 else many * math.exp(doubt)
    return bracketed(min(1.0, hits / exposure), min(1.0, low / exposure), min(1.0, high / exposure), exposure, level)


class DelayShift(NamedTuple):
    """How much faster a converts than b, as a ratio of daily rates, and the two-sided log-rank p-value."""

    speed: Estimate
    p: float


def _timed(durations: ArrayLike, observed: ArrayLike) -> tuple[Floats, Floats]:
    days, seen = finite(durations, "durations"), outcomes_of(observed, "observed flags")
    same_length(durations=days, observed=seen)
    if days.min() < 0:
        raise ValueError(f"a duration is {days.min():g} days; wanted no negative durations")
    return days, seen


def delay_shift(
    durations_a: ArrayLike,
    observed_a: ArrayLike,
    durations_b: ArrayLike,
    observed_b: ArrayLike,
    level: float = 0.95,
) -> DelayShift:
    """Return whether the leads of a convert at another pace than those of b: above 1, they are faster.

    Give it the converted leads alone, of cohorts past their window, to compare the delays; given all
    leads it compares rate and delay together. Durations and flags as in `delay_curve`. The ratio of
    hazards is exp((O - E) / V) with Peto's interval, from 0 to infinity; p is the log-rank test's, so that
    the interval leaves out 1 just when p is below 1 - level. `rows` counts both. No event at which both
    were at risk: ratio NaN, interval [0, inf], p 1. ValueError for durations NaN, infinite or negative, flags
    not 0 or 1, unequal lengths. Mantel 1966; Peto & Peto 1972; Yusuf et al. 1985 (one-step ratio).

    >>> found = delay_shift([1, 2, 3, 4], [1, 1, 1, 1], [6, 7, 8, 9], [1, 1, 1, 0])
    >>> round(found.speed.value, 2), round(found.p, 4)
    (18.06, 0.0067)
    """
    (days_a, seen_a), (days_b, seen_b) = _timed(durations_a, observed_a), _timed(durations_b, observed_b)
    days, seen = np.concatenate([days_a, days_b]), np.concatenate([seen_a, seen_b])
    z, rows = critical(level), days.size
    at = np.unique(days[seen == 1])
    at_risk = rows - np.searchsorted(np.sort(days), at)
    ours = days_a.size - np.searchsorted(np.sort(days_a), at)
    events = np.bincount(np.searchsorted(at, days[seen == 1]), minlength=at.size)
    part = ours / np.maximum(at_risk, 1)
    spread = np.sum(events * part * (1 - part) * (at_risk - events) / np.maximum(at_risk - 1, 1))
    if spread <= 0:
        return DelayShift(untold(0, math.inf, rows, level), 1.0)
    gap = float(seen_a.sum() - events @ part)
    low, value, high = (math.exp(min(700.0, (gap + k * math.sqrt(spread)) / spread)) for k in (-z, 0.0, z))
    p = float(erfc(abs(gap) / math.sqrt(2 * spread)))
    return DelayShift(bracketed(value, low, high, rows, level), p)
