"""How late conversions show: a life table of delays around a Weibull curve, learned from conversions alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from scipy.special import gammaln

from foregate.metrics.estimate import Floats, Integers
from foregate.metrics.inputs import at_least
from foregate.metrics.maturity import Delay
from foregate.modeling.cohorts import Cohorts

LIMIT = 730
ENOUGH = 50
# Without any conversion the delay is thought to be about this long, within a factor of e.
USUAL_DAYS = 14.0
SPREADS = (0.5, 1.0)
STRENGTHS = 10.0 ** np.arange(1.0, 5.1, 0.5)
# Below this a Beta parameter can no longer be drawn from; the mass it adds is beyond any count.
LEAST = 1e-9
# The log of a risk that is certainty many times over, while it still is a number.
MOST = 300.0
# What the curve is worth beyond the oldest age, in conversions, against those that the later ages showed.
DOUBT = 2.0
GRID = (15, 17)
PASSES = 4


class Table(NamedTuple):
    """Conversions by delay: `at[d]` of d days, `among[d]` of up to d days among entities that were watched for d days.

    at[d] / among[d] is the reverse hazard of day d: it needs no failures and no rate, so neither a rate that drifts nor
    cohorts that are still open can bias it.
    """

    at: Integers
    among: Integers


def table_of(cohorts: Cohorts, limit: int = LIMIT) -> Table:
    """Return the table of delays 0..limit; longer ones count as of the limit. Lagakos, Barraj & De Gruttola 1988.

    >>> table_of(Cohorts([0, 0, 0], [0, 0, 3], [0, 2, 3], 4, [0]), limit=3)
    Table(at=array([2, 0, 1, 0]), among=array([2, 2, 2, 2]))
    """
    delays = np.bincount(np.minimum(cohorts.delays, limit), minlength=limit + 1)
    ages = np.bincount(np.minimum(cohorts.ages[cohorts.is_converted], limit), minlength=limit + 1)
    return Table(delays, np.cumsum(delays) - np.cumsum(ages) + ages)


def _weibull(shapes: Floats, scales: Floats, days: int) -> tuple[Floats, Floats]:
    """Return the logs of the shares of delays of 0..days days [curves, days + 1] and of delays up to each."""
    risk = np.zeros((shapes.size, days + 2))
    powers = shapes[:, None] * (np.log(np.arange(1, days + 2)) - np.log(scales)[:, None])
    risk[:, 1:] = np.exp(np.minimum(powers, MOST))
    shares = -risk[:, :-1] + np.log(np.maximum(-np.expm1(-np.diff(risk, axis=1)), 1e-300))
    return shares, np.log(np.maximum(-np.expm1(-risk[:, 1:]), 1e-300))


_Pick = Callable[[Floats, Floats], Floats]


@dataclass(frozen=True)
class ConversionDelay:
    """How the delays of those that convert spread over 0..limit days; beyond the limit nobody converts.

    A Dirichlet life table of the given `strength`, in conversions, around a Weibull curve of which `shapes`, `scales`
    and their `weights` [curves] are the posterior, and the `table` of conversions that it is conditioned on. Where
    conversions are many the table speaks; where they are few, or later than any cohort's age, the curve. `words` say
    what it had to do without.
    """

    shapes: Floats
    scales: Floats
    weights: Floats
    strength: float
    table: Table
    words: tuple[str, ...] = ()

    @property
    def events(self) -> int:
        """Return how many conversions it was learned from."""
        return int(self.table.at.sum())

    @property
    def limit(self) -> int:
        """Return the longest delay in days."""
        return int(self.table.at.size) - 1

    @cached_property
    def delay(self) -> Delay:
        """Return the expected curve, 1 at the limit, as the metrics know it."""
        curves = np.arange(self.weights.size)
        mean = self.weights @ self._shown(curves, lambda hits, misses: hits / (hits + misses), np.divide)
        # Rounding may let a sum of rising curves fall by a hair.
        mean = np.maximum.accumulate(mean)
        return Delay(mean / mean[-1], self.events)

    def draw(self, rng: np.random.Generator, draws: int) -> Floats:
        """Return curves that may be the true one: the share of conversions shown by each age [draws, limit + 1].

        Each is non-decreasing, within [0, 1] and 1 at the limit. Up to the oldest age the draws are exact: given the
        curve, reverse hazards of a Dirichlet are independent Betas, and stay so when later conversions are not seen.
        """
        curves = rng.choice(self.weights.size, size=draws, p=self.weights)
        return self._shown(curves, rng.beta, lambda seen, due: rng.gamma(seen) / due)

    def _shown(self, curves: Integers, beta: _Pick, gamma: _Pick) -> Floats:
        """Return the shares shown [curves, limit + 1] from picks of the reverse hazards of the days 1..limit.

        Later than any conversion could be seen there is the curve alone. It is trusted there as far as it foretold the
        later half of the ages that were: its hazards are multiplied by those seen over those due, Gamma distributed.
        """
        hits, misses = _prior(self.shapes, self.scales, self.strength, self.limit, self.limit)
        at, among = self.table.at[1:], self.table.among[1:]
        oldest = int(np.flatnonzero(self.table.among).max(initial=0))
        late = slice(oldest // 2, oldest)
        due = (hits / np.maximum(hits + misses, LEAST))[:, late] @ among[late]
        after = gamma(np.full(curves.size, DOUBT + at[late].sum()), DOUBT + due[curves])
        hazards = beta(np.maximum(hits + at, LEAST)[curves], np.maximum(misses + among - at, LEAST)[curves])
        hazards[:, oldest:] = np.minimum(hazards[:, oldest:] * after[:, None], 1.0)
        left = np.cumprod((1.0 - hazards)[:, ::-1], axis=1)[:, ::-1]
        return np.concatenate([left, np.ones((curves.size, 1))], axis=1)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "shapes": self.shapes.tolist(),
            "scales": self.scales.tolist(),
            "weights": self.weights.tolist(),
            "strength": self.strength,
            "at": self.table.at.tolist(),
            "among": self.table.among.tolist(),
            "words": list(self.words),
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> ConversionDelay:
        """Return the delay that `to_json` wrote."""
        shapes, scales, weights = (np.array(raw[name], np.float64) for name in ("shapes", "scales", "weights"))
        table = Table(np.array(raw["at"], np.int64), np.array(raw["among"], np.int64))
        return cls(shapes, scales, weights, float(raw["strength"]), table, tuple(raw["words"]))


def _prior(shapes: Floats, scales: Floats, strength: float, days: int, limit: int) -> tuple[Floats, Floats]:
    """Return the Dirichlet's part in the reverse hazards of the days 1..days [curves, days]."""
    shares, shown = _weibull(shapes, scales, days)
    whole = strength / np.maximum(-np.expm1(-(((limit + 1) / scales) ** shapes)), 1e-300)[:, None]
    return whole * np.exp(shares[:, 1:]), whole * np.exp(shown[:, :-1])


def fit_delay(cohorts: Cohorts, limit: int = LIMIT) -> ConversionDelay:
    """Return the delay of all conversions together, those of cohorts that are still open taken for what they are.

    Only conversions speak, each against the delays that it could have shown: the likelihood of right-truncated delays,
    in which the rate falls out. Fewer than 50 conversions: the Weibull curve alone with every conversion counted half,
    said in `words`. Lagakos, Barraj & De Gruttola 1988; Kalbfleisch & Lawless 1989; the strength is the likeliest of a
    grid under the Dirichlet's marginal. ValueError for a limit below 1.

    >>> told = fit_delay(Cohorts([0] * 60, [0] * 60, [2] * 30 + [5] * 30, 400, [0]))
    >>> told.delay.shown_by([1, 3, 8]).round(2)
    array([0.03, 0.51, 0.99])
    """
    limit = at_least(limit, 1, "days of the limit")
    table = table_of(cohorts, limit)
    events = int(table.at.sum())
    centre = math.log1p(float(table.at @ np.arange(limit + 1)) / events) if events else math.log(USUAL_DAYS)
    plain = _truncated(cohorts, table, limit)
    if events < ENOUGH:
        words = (f"{events} conversions, fewer than {ENOUGH}: the delay is a Weibull curve, each of them counted half",)
        found = _posterior(lambda shapes, scales: plain(shapes, scales) / 2, centre)
        return ConversionDelay(*_kept(found), float(STRENGTHS[-1]), table, words)
    strength = _strength(table, _posterior(plain, centre))
    # Where the curve does not fit, many conversions tell little of how it goes on: about as many as its strength.
    share = strength / (strength + events)
    found = _posterior(lambda shapes, scales: share * plain(shapes, scales), centre)
    return ConversionDelay(*_kept(found), strength, table)


class _Curves(NamedTuple):
    """Weibull curves on a grid, by the logs of shape and scale, and their posterior weights."""

    shapes: Floats
    scales: Floats
    weights: Floats


_Target = Callable[[Floats, Floats], Floats]


def _kept(found: _Curves) -> tuple[Floats, Floats, Floats]:
    there = found.weights > 1e-4 * found.weights.max()
    weights = found.weights[there]
    return np.exp(found.shapes[there]), np.exp(found.scales[there]), weights / weights.sum()


def _posterior(target: _Target, centre: float) -> _Curves:
    """Return the posterior of the curve on a grid that closes in on where it is, pass by pass."""
    middles, halves = [0.0, centre], [3 * SPREADS[0], 3 * SPREADS[1]]
    for _ in range(PASSES):
        axes = [np.linspace(m - h, m + h, n) for m, h, n in zip(middles, halves, GRID, strict=True)]
        shapes, scales = (axis.ravel() for axis in np.meshgrid(*axes, indexing="ij"))
        logs = target(np.exp(shapes), np.exp(scales))
        logs = logs - (shapes / SPREADS[0]) ** 2 / 2 - ((scales - centre) / SPREADS[1]) ** 2 / 2
        weights = np.exp(logs - logs.max())
        weights /= weights.sum()
        for at, values in enumerate((shapes, scales)):
            mean = float(weights @ values)
            spread = math.sqrt(float(weights @ (values - mean) ** 2))
            # A posterior that fits between two points of the grid has no spread there: the step then stands for it.
            middles[at], halves[at] = mean, max(4 * spread, 3 * halves[at] / (GRID[at] - 1))
    return _Curves(shapes, scales, weights)


def _truncated(cohorts: Cohorts, table: Table, limit: int) -> _Target:
    """Return the log likelihood of delays given that they are no longer than the ages at which they were seen."""
    ages, counts = np.unique(np.minimum(cohorts.ages[cohorts.is_converted], limit), return_counts=True)
    days = np.flatnonzero(table.at)

    def target(shapes: Floats, scales: Floats) -> Floats:
        shares, shown = _weibull(shapes, scales, int(ages.max(initial=0)))
        return np.asarray(shares[:, days] @ table.at[days] - shown[:, ages] @ counts, dtype=np.float64)

    return target


def _rising(start: Floats, by: Integers) -> Floats:
    """Return log Gamma(start + by) - log Gamma(start)."""
    return np.asarray(gammaln(np.maximum(start, LEAST) + by) - gammaln(np.maximum(start, LEAST)), dtype=np.float64)


def _marginal(table: Table, shape: float, scale: float, strength: float) -> float:
    """Return the log probability of the table around a curve: a product of Beta-binomials of its reverse hazards."""
    last = int(np.flatnonzero(table.among).max(initial=1))
    at, among = table.at[1 : last + 1], table.among[1 : last + 1]
    hits, misses = _prior(np.array([shape]), np.array([scale]), strength, last, table.at.size - 1)
    return float(np.sum(_rising(hits, at) + _rising(misses, among - at) - _rising(hits + misses, among)))


def _strength(table: Table, found: _Curves) -> float:
    shape, scale = (math.exp(float(found.weights @ values)) for values in (found.shapes, found.scales))
    logs = [_marginal(table, shape, scale, float(strength)) for strength in STRENGTHS]
    return float(STRENGTHS[int(np.argmax(logs))])
