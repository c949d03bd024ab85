"""Calm or wild: two regimes of volatility, from an indicator or from the returns, as known on the day."""

from __future__ import annotations

import math
from bisect import insort
from dataclasses import dataclass
from datetime import date, timedelta
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foregate.metrics.estimate import Floats, Integers
from foregate.metrics.inputs import at_least, numbers
from foregate.modeling.volatility import bounded_returns

Flags = NDArray[np.bool_]

UNKNOWN, LOW, HIGH = -1, 0, 1
MEAN_DAYS = 30
STAY_DAYS = 10
LEAST_DAYS = 250
ENTER, LEAVE = 0.80, 0.65
HIDDEN_LEAST_DAYS = 500
REFIT_DAYS = 250
# The filter of heavy-tailed returns crosses a half some twenty times a year.
SURE_HIGH, SURE_LOW = 0.8, 0.2
# Later fits start from the one before, and a year more of days moves little.
FIRST_STEPS, LATER_STEPS = 40, 5
# A daily log return of 0.01 %: a state of days that stood still keeps some width.
LEAST_VARIANCE = 1e-8


@dataclass(frozen=True, slots=True)
class Regime:
    """The regime of each day with what decided it.

    `state` [T]: 0 low, 1 high, -1 where nothing is known. `level` is the mean that was compared, `enter` and
    `leave` its thresholds that day, NaN where unknown. `fell_back` [T]: the day was judged by the fallback since
    the indicator was not there.
    """

    state: Integers
    level: Floats
    enter: Floats
    leave: Floats
    fell_back: Flags

    @property
    def transitions(self) -> int:
        """Return how often the state changed between low and high."""
        return transitions(self.state)


def expanding_quantile(values: ArrayLike, probabilities: ArrayLike, least: int = LEAST_DAYS) -> Floats:
    """Return [P, T] each quantile of all values up to and with each day, on the straight line between ranks.

    NaN values are passed over; NaN until `least` values are known. ValueError for probabilities outside 0 to 1.

    >>> expanding_quantile([3.0, 1.0, np.nan, 2.0], [0.5], least=2)
    array([[nan,  2.,  2.,  2.]])
    """
    days = numbers(values, "values")
    wanted = np.atleast_1d(np.asarray(probabilities, dtype=np.float64))
    if not ((wanted >= 0) & (wanted <= 1)).all():
        raise ValueError(f"found probabilities {wanted.tolist()}; wanted 0 to 1")
    found, ranked, needed = np.full((days.size, wanted.size), math.nan), list[float](), at_least(least, 1, "values")
    chances = wanted.tolist()
    for day, value in enumerate(days.tolist()):
        if value == value:
            insort(ranked, value)
        if len(ranked) >= needed:
            found[day] = [_between_ranks(ranked, chance) for chance in chances]
    return found.T


def _between_ranks(ranked: list[float], chance: float) -> float:
    place = chance * (len(ranked) - 1)
    below = int(place)
    above = min(below + 1, len(ranked) - 1)
    return ranked[below] + (place - below) * (ranked[above] - ranked[below])


def _recent_mean(values: Floats, days: int) -> Floats:
    """Return [T] the mean of the last days' values; NaN where fewer than two thirds of them are there."""
    there = ~np.isnan(values)
    sums = np.concatenate([np.zeros(days), np.cumsum(np.where(there, values, 0.0))])
    counts = np.concatenate([np.zeros(days, dtype=np.int64), np.cumsum(there)])
    held = counts[days:] - counts[:-days]
    full = held >= math.ceil(days * 2 / 3)
    return np.where(full, (sums[days:] - sums[:-days]) / np.maximum(held, 1), math.nan)


def _judged(values: Floats, shares: tuple[float, float], mean_days: int, least: int) -> Floats:
    """Return [3, T] level, entering and leaving threshold, all NaN where one of them is not known."""
    level = _recent_mean(values, mean_days)
    found = np.vstack([level, expanding_quantile(values, shares, least)])
    found[:, np.isnan(found).any(axis=0)] = math.nan
    return found


def threshold_regime(
    indicator: ArrayLike,
    fallback: ArrayLike | None = None,
    shares: tuple[float, float] = (ENTER, LEAVE),
    mean_days: int = MEAN_DAYS,
    stay_days: int = STAY_DAYS,
    least_days: int = LEAST_DAYS,
) -> Regime:
    """Return the regime by the 30-day mean of an indicator against quantiles of its own past.

    indicator [T]: VIX, say, as known at each day, NaN where it is not there; fallback [T] likewise (the series'
    own volatility) judges by its own quantiles the days on which the indicator can not. High is entered where the
    mean is above the quantile at shares[0] of all values up to that day, and left where it is below that at
    shares[1]; a state stays `stay_days` at least. Unknown (-1) while there are fewer than `least_days` values, or
    less than two thirds of the last `mean_days`; after such a gap the state starts afresh. The threshold of a day
    is of the days up to it: that of the whole sample would look ahead. ValueError for shares not within 0 to 1
    and in falling order, or unequal lengths.

    >>> calm_then_wild = np.repeat([1.0, 2.0, 1.0], [300, 60, 40]) + 0.01 * (np.arange(400) % 7)
    >>> found = threshold_regime(calm_then_wild)
    >>> found.state[[0, 299, 359, 399]], found.transitions
    (array([-1,  0,  1,  0]), 2)
    """
    if not 0 <= shares[1] <= shares[0] <= 1:
        raise ValueError(f"shares to enter and to leave are {shares}; wanted 0 <= leave <= enter <= 1")
    at_least(stay_days, 0, "days to stay")
    first = numbers(indicator, "indicator")
    judged = _judged(first, shares, at_least(mean_days, 1, "days of the mean"), least_days)
    fell_back = np.zeros(first.size, dtype=np.bool_)
    if fallback is not None:
        second = numbers(fallback, "fallback")
        if second.size != first.size:
            raise ValueError(f"{second.size} days of the fallback for {first.size}; wanted as many")
        instead = _judged(second, shares, mean_days, least_days)
        fell_back = np.isnan(judged[0]) & ~np.isnan(instead[0])
        judged = np.where(fell_back, instead, judged)
    level, enter, leave = judged
    return Regime(_held(level, enter, leave, stay_days), level, enter, leave, fell_back)


def _held(level: Floats, enter: Floats, leave: Floats, stay_days: int) -> Integers:
    above, below, known = (level > enter).tolist(), (level < leave).tolist(), (~np.isnan(level)).tolist()
    states, state, stayed = [], UNKNOWN, 0
    for up, down, told in zip(above, below, known, strict=True):
        wanted = _wanted(state, up, down) if told else UNKNOWN
        if wanted != state and (UNKNOWN in (wanted, state) or stayed >= stay_days):
            state, stayed = wanted, 0
        stayed += 1
        states.append(state)
    return np.array(states, dtype=np.int64)


def _wanted(state: int, above: bool, below: bool) -> int:
    if state == HIGH:
        return LOW if below else HIGH
    return HIGH if above else LOW


def transitions(state: ArrayLike) -> int:
    """Return how often a state changed between low and high; from or to unknown (-1) is no change.

    >>> transitions([-1, 0, 0, 1, 1, 0])
    2
    """
    return int(_changed(np.asarray(state, dtype=np.int64)).sum())


def _changed(state: Integers) -> Flags:
    return np.concatenate([[False], (state[1:] != state[:-1]) & (state[1:] >= 0) & (state[:-1] >= 0)])


def weekly_changes(state: ArrayLike, days: ArrayLike) -> dict[date, int]:
    """Return how often the state changed in each week that has a day, by the week's Monday.

    state [T] and days [T] (dates, in order). ValueError for unequal lengths.

    >>> days = np.array(["2025-01-02", "2025-01-03", "2025-01-06"], "datetime64[D]")
    >>> weekly_changes([0, 1, 0], days)
    {datetime.date(2024, 12, 30): 1, datetime.date(2025, 1, 6): 1}
    """
    states, when = np.asarray(state, dtype=np.int64), np.asarray(days, dtype="datetime64[D]").astype(np.int64)
    if states.shape != when.shape:
        raise ValueError(f"states of shape {states.shape} on days of shape {when.shape}; wanted one for each")
    # Day 0 is Thursday 1970-01-01, so Monday 1969-12-29 starts week 0.
    weeks, places = np.unique((when + 3) // 7, return_inverse=True)
    counts = np.bincount(places, _changed(states), minlength=weeks.size).astype(np.int64)
    monday = date(1969, 12, 29)
    return {monday + timedelta(weeks=week): count for week, count in zip(weeks.tolist(), counts.tolist(), strict=True)}


class Chain(NamedTuple):
    """Two states of daily returns around 0: variances, the chance to stay in each, that the first day is high."""

    variances: tuple[float, float]
    stay: tuple[float, float]
    first: float

    def ordered(self) -> Chain:
        """Return the same chain with the state of less variance first."""
        if self.variances[0] <= self.variances[1]:
            return self
        return Chain(self.variances[::-1], self.stay[::-1], 1 - self.first)


@dataclass(frozen=True, slots=True)
class HiddenRegime:
    """Each day's regime as returns up to it tell: `probability` [T] of high, and the `state` [T] it is taken for.

    `deviations` [2, T] are the daily standard deviations of low and high in force. Before the first fit the state
    is -1, the others NaN.
    """

    state: Integers
    probability: Floats
    deviations: Floats

    @property
    def transitions(self) -> int:
        """Return how often the state changed between low and high."""
        return transitions(self.state)


def filtered(returns: ArrayLike, chain: Chain) -> tuple[Floats, Floats, float]:
    """Return [T] each day's probability of high given the days up to it, [T] given those before, the log-likelihood.

    Hamilton 1989, eqs. 4 to 9. ValueError for returns that are not one row of numbers.

    >>> told, foretold, _ = filtered([0.0, 0.1, 0.0], Chain((1e-4, 1e-2), (0.9, 0.9), 0.5))
    >>> told.round(2), foretold.round(2)
    (array([0.09, 1.  , 0.47]), array([0.5 , 0.17, 0.9 ]))
    """
    squares = numbers(returns, "returns") ** 2
    variances = np.array(chain.variances)[:, None]
    logs = -0.5 * (squares / variances + np.log(2 * math.pi * variances))
    top = logs.max(axis=0)
    lows, highs = np.exp(logs - top).tolist()
    into, staying = 1 - chain.stay[0], chain.stay[1] - (1 - chain.stay[0])
    told, foretold, totals, chance = [], [], [], chain.first
    for low, high in zip(lows, highs, strict=True):
        foretold.append(chance)
        total = chance * high + (1 - chance) * low
        now = chance * high / total
        told.append(now)
        totals.append(total)
        chance = into + staying * now
    return np.array(told), np.array(foretold), float(np.log(totals).sum() + top.sum())


def _looked_back(told: Floats, foretold: Floats, chain: Chain) -> Floats:
    """Return [T] each day's probability of high given all days: for the estimation alone, on days gone by."""
    from_high = chain.stay[1] / foretold[1:]
    from_low = (1 - chain.stay[1]) / (1 - foretold[1:])
    # Given the next day's state the past alone decides: p(high, next) = told * (next's chance) / foretold.
    ups, downs = (told[:-1] * from_high).tolist(), (told[:-1] * from_low).tolist()
    chance, found = float(told[-1]), [float(told[-1])]
    for up, down in zip(reversed(ups), reversed(downs), strict=True):
        chance = chance * up + (1 - chance) * down
        found.append(chance)
    return np.array(found[::-1])


def improved(returns: ArrayLike, chain: Chain) -> Chain:
    """Return the chain after one step of expectation and maximisation; its likelihood is no lower.

    The chances to stay keep within 0.001 and 0.9999, variances above 1e-8. Baum, Petrie, Soules & Weiss 1970.

    >>> rough = Chain((1e-4, 4e-4), (0.9, 0.9), 0.5)
    >>> days = np.concatenate([np.full(50, 0.01), np.full(50, 0.03)])
    >>> filtered(days, improved(days, rough))[2] > filtered(days, rough)[2]
    True
    """
    days = numbers(returns, "returns")
    told, foretold, _ = filtered(days, chain)
    high = _looked_back(told, foretold, chain)
    stayed_high = float((high[1:] * told[:-1] * chain.stay[1] / foretold[1:]).sum())
    stayed_low = float(((1 - high[1:]) * (1 - told[:-1]) * chain.stay[0] / (1 - foretold[1:])).sum())
    begun_low, begun_high = float((1 - high[:-1]).sum()), float(high[:-1].sum())
    stay = (_chance(stayed_low, begun_low), _chance(stayed_high, begun_high))
    squares = days**2
    low_variance = float((squares * (1 - high)).sum() / max((1 - high).sum(), 1e-9))
    high_variance = float((squares * high).sum() / max(high.sum(), 1e-9))
    variances = (max(low_variance, LEAST_VARIANCE), max(high_variance, LEAST_VARIANCE))
    return Chain(variances, stay, float(np.clip(high[0], 0.001, 0.999))).ordered()


def _chance(part: float, whole: float) -> float:
    return min(max(part / max(whole, 1e-9), 0.001), 0.9999)


def hidden_regime(y: ArrayLike, refit_days: int = REFIT_DAYS) -> HiddenRegime:
    """Return the regime by a hidden Markov chain of two normal states on daily log returns of mean 0.

    y [T]: log prices. Probabilities are filtered: of a day they use returns up to it, never later ones. The
    chain is estimated on the returns known then, first after 500 days and again every `refit_days`; returns are
    those of `bounded_returns`, or one mad day would be a state of its own. The low state is that of less
    variance; high is entered above a probability of 0.8 and left below 0.2, after 10 days at least. ValueError
    for log prices NaN or infinite. Hamilton 1989.
    """
    returns, every = bounded_returns(y), at_least(refit_days, 1, "days between fits")
    days = returns.size + 1
    probability, deviations = np.full(days, math.nan), np.full((2, days), math.nan)
    chain = _rough(returns[:HIDDEN_LEAST_DAYS])
    for day in range(HIDDEN_LEAST_DAYS, days, every):
        for _ in range(FIRST_STEPS if day == HIDDEN_LEAST_DAYS else LATER_STEPS):
            chain = improved(returns[:day], chain)
        until = min(day + every, days)
        probability[day:until] = filtered(returns[: until - 1], chain)[0][day - 1 :]
        deviations[:, day:until] = np.sqrt(np.array(chain.variances))[:, None]
    high, low = np.full(days, SURE_HIGH), np.full(days, SURE_LOW)
    state = _held(probability, high, low, STAY_DAYS)
    return HiddenRegime(state, probability, deviations)


def _rough(returns: Floats) -> Chain:
    variance = max(float(np.mean(returns**2)) if returns.size else 0.0, LEAST_VARIANCE)
    return Chain((0.5 * variance, 3.0 * variance), (0.98, 0.95), 0.3)
