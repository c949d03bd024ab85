"""Rates of few events with the intervals they deserve: one rate, two rates, many small groups."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betaincinv, betaln, digamma, expit, logit

from foregate.metrics.estimate import (
    Estimate,
    Floats,
    bracketed,
    checked_level,
    critical,
    squared_and_added,
    untold,
)
from foregate.metrics.inputs import numbers, same_length

FEW = 10
DRAWS = 20_000
# The log of a ratio beyond any that counts can give, while its square is still a finite number.
FAR = 300.0


def _counted(hits: float, rows: float) -> tuple[float, float]:
    if not (math.isfinite(rows) and math.isfinite(hits) and rows >= 0):
        raise ValueError(f"found {hits} hits of {rows} rows; wanted two counts of at least 0")
    # Expected hits of tied rows are sums of fractions, which may overshoot by a rounding error.
    if not -1e-9 <= hits <= rows * (1 + 1e-9):
        raise ValueError(f"found {hits} hits of {rows} rows; wanted hits between 0 and the rows")
    return min(max(float(hits), 0.0), float(rows)), float(rows)


def wilson(hits: float, rows: float, level: float = 0.95) -> Estimate:
    """Return hits / rows, a rate in [0, 1], with the Wilson score interval.

    Hits may be a fraction where ties share places. No rows: value NaN, interval [0, 1]. ValueError for
    negative counts or more hits than rows. Wilson 1927; Brown, Cai & DasGupta 2001.

    >>> [round(float(x), 3) for x in wilson(22, 163)[:3]]
    [0.135, 0.091, 0.196]
    """
    hits, rows = _counted(hits, rows)
    z = critical(level)
    if rows == 0:
        return untold(0, 1, 0, level)
    found = hits / rows
    middle = (found + z * z / (2 * rows)) / (1 + z * z / rows)
    half = z / (1 + z * z / rows) * math.sqrt(found * (1 - found) / rows + z * z / (4 * rows * rows))
    return bracketed(found, max(0.0, middle - half), min(1.0, middle + half), rows, level)


def clopper_pearson(hits: float, rows: float, level: float = 0.95) -> Estimate:
    """Return hits / rows, a rate in [0, 1], with the exact interval, never too short.

    Hits may be a fraction where ties share places. No rows: value NaN, interval [0, 1]. ValueError for
    negative counts or more hits than rows. Clopper & Pearson 1934, in its Beta quantile form.

    >>> [round(float(x), 3) for x in clopper_pearson(2, 10)[:3]]
    [0.2, 0.025, 0.556]
    """
    hits, rows = _counted(hits, rows)
    tail = (1 - checked_level(level)) / 2
    if rows == 0:
        return untold(0, 1, 0, level)
    low = float(betaincinv(hits, rows - hits + 1, tail)) if hits > 0 else 0.0
    high = float(betaincinv(hits + 1, rows - hits, 1 - tail)) if hits < rows else 1.0
    return bracketed(hits / rows, low, high, rows, level)


def rate(hits: float, rows: float, level: float = 0.95) -> Estimate:
    """Return hits / rows with the exact interval when hits or misses are fewer than 10, else Wilson's.

    No rows: value NaN, interval [0, 1]. ValueError as for `wilson`. Brown, Cai & DasGupta 2001.

    >>> rate(0, 20).low, round(rate(0, 20).high, 3), rate(22, 163) == wilson(22, 163)
    (0.0, 0.168, True)
    """
    few = min(hits, rows - hits) < FEW
    return clopper_pearson(hits, rows, level) if few else wilson(hits, rows, level)


def rate_difference(hits_a: float, rows_a: float, hits_b: float, rows_b: float, level: float = 0.95) -> Estimate:
    """Return rate a minus rate b, in [-1, 1], of two independent groups, with Newcombe's interval.

    An empty group: value NaN, interval [-1, 1]. `rows` counts both groups. ValueError as for `wilson`.
    Newcombe 1998, method 10 (hybrid score).

    >>> [round(x, 4) for x in rate_difference(56, 70, 48, 80)[:3]]
    [0.2, 0.0524, 0.3339]
    """
    a, b = wilson(hits_a, rows_a, level), wilson(hits_b, rows_b, level)
    if a.rows == 0 or b.rows == 0:
        return untold(-1, 1, rows_a + rows_b, level)
    low, high = squared_and_added(a, b)
    return bracketed(a.value - b.value, max(-1.0, low), min(1.0, high), rows_a + rows_b, level)


def _koopman(hits_a: float, rows_a: float, hits_b: float, rows_b: float) -> Callable[[float], float]:
    """Return the signed root of Koopman's score at the log of a supposed ratio; it falls as that rises."""

    def signed_root(log_ratio: float) -> float:
        ratio = math.exp(log_ratio)
        linear = (rows_a + hits_b) * ratio + hits_a + rows_b
        square = linear * linear - 4 * (rows_a + rows_b) * ratio * (hits_a + hits_b)
        p_b = 2 * (hits_a + hits_b) / (linear + math.sqrt(max(0.0, square)))
        p_a = min(1.0, p_b * ratio)
        variance = p_a * (1 - p_a) / rows_a + ratio * ratio * p_b * max(0.0, 1 - p_b) / rows_b
        gap = hits_a / rows_a - ratio * hits_b / rows_b
        if variance <= 0:
            return 0.0 if abs(gap) < 1e-12 else math.copysign(math.inf, gap)
        return gap / math.sqrt(variance)

    return signed_root


def _crossing(falling: Callable[[float], float], target: float, start: float, step: float) -> float:
    """Return the log ratio at which a falling function crosses the target, by bisection."""
    near, far = start, start + step
    while (falling(far) - target) * step > 0 and abs(far) <= FAR:
        near, far, step = far, far + 2 * step, 2 * step
    for _ in range(80):
        middle = (near + far) / 2
        if (falling(middle) - target) * step > 0:
            near = middle
        else:
            far = middle
    return (near + far) / 2


def rate_ratio(hits_a: float, rows_a: float, hits_b: float, rows_b: float, level: float = 0.95) -> Estimate:
    """Return rate a over rate b, from 0 to infinity, of two independent groups, with the score interval.

    No hits in a: low is 0. No hits in b: value and high are infinite. No hits at all, or an empty group:
    value NaN, interval [0, inf]. `rows` counts both groups. ValueError as for `wilson`. Koopman 1984.

    >>> [round(x, 3) for x in rate_ratio(36, 40, 16, 80)[:3]]
    [4.5, 2.94, 7.152]
    """
    hits_a, rows_a = _counted(hits_a, rows_a)
    hits_b, rows_b = _counted(hits_b, rows_b)
    z = critical(level)
    if min(rows_a, rows_b) == 0 or hits_a + hits_b == 0:
        return untold(0, math.inf, rows_a + rows_b, level)
    value = math.inf if hits_b == 0 else (hits_a / rows_a) / (hits_b / rows_b)
    falling = _koopman(hits_a, rows_a, hits_b, rows_b)
    start = math.log(value) if 0 < value < math.inf else math.copysign(FAR, value - 1)
    low = 0.0 if hits_a == 0 else math.exp(_crossing(falling, z, start, -1.0))
    high = math.inf if hits_b == 0 else math.exp(_crossing(falling, -z, start, 1.0))
    return bracketed(value, low, high, rows_a + rows_b, level)


class BetaPrior(NamedTuple):
    """A Beta distribution of rates: `a` hits and `b` misses seen before the data; its mean is a / (a + b)."""

    a: float
    b: float


def _best_prior(hits: Floats, rows: Floats) -> BetaPrior:
    from scipy.optimize import minimize

    def cost(at: Floats) -> tuple[float, Floats]:
        mean, strength = float(expit(at[0])), math.exp(at[1])
        a, b = mean * strength, (1 - mean) * strength
        likelihood = np.sum(betaln(hits + a, rows - hits + b) - betaln(a, b))
        shared = digamma(strength) - digamma(rows + strength)
        by_a = np.sum(digamma(hits + a) - digamma(a) + shared)
        by_b = np.sum(digamma(rows - hits + b) - digamma(b) + shared)
        slope = np.array([(by_a - by_b) * strength * mean * (1 - mean), by_a * a + by_b * b])
        return float(-likelihood / hits.size), -slope / hits.size

    centre = float(logit(hits.sum() / rows.sum()))
    bounds = [(centre - 10, centre + 10), (0.0, math.log(1e5))]
    fits = [
        minimize(cost, np.array([centre, math.log(start)]), jac=True, method="L-BFGS-B", bounds=bounds)
        for start in (5.0, 100.0, 5000.0)
    ]
    mean_logit, log_strength = min(fits, key=lambda fit: float(fit.fun)).x
    mean, strength = float(expit(mean_logit)), math.exp(log_strength)
    return BetaPrior(mean * strength, (1 - mean) * strength)


def fit_beta_prior(hits: ArrayLike, rows: ArrayLike) -> BetaPrior:
    """Return the Beta distribution of group rates under which the groups' counts are likeliest.

    Its strength a + b, in rows, lies in [1, 1e5]: groups that vary no more than chance reach the top.
    Fewer than two groups with rows, or no hit or no miss anywhere: a prior of strength 1 centred on the
    pooled rate with Jeffreys' half hit and half miss. ValueError for empty input, unequal lengths or
    impossible counts. Beta-binomial likelihood: Skellam 1948; Griffiths 1973.

    >>> prior = fit_beta_prior([2, 30, 9, 55], [100, 300, 100, 400])
    >>> round(prior.a / (prior.a + prior.b), 3), 1 <= prior.a + prior.b <= 1e5
    (0.091, True)
    >>> fit_beta_prior([0], [9])
    BetaPrior(a=0.05, b=0.95)
    """
    found, sizes = numbers(hits, "hits"), numbers(rows, "rows")
    same_length(hits=found, rows=sizes)
    if not ((found >= 0) & (found <= sizes) & np.isfinite(sizes)).all():
        raise ValueError("some group has hits below 0 or above its rows; wanted 0 <= hits <= rows")
    found, sizes = found[sizes > 0], sizes[sizes > 0]
    total, size = float(found.sum()), float(sizes.sum())
    if found.size < 2 or total in (0.0, size):
        centre = (total + 0.5) / (size + 1)
        return BetaPrior(centre, 1 - centre)
    return _best_prior(found, sizes)


def _checked_prior(prior: BetaPrior) -> BetaPrior:
    if not (0 < prior.a < math.inf and 0 < prior.b < math.inf):
        raise ValueError(f"the prior is {prior}; wanted a and b above 0 and finite")
    return prior


def shrunken_rate(hits: float, rows: float, prior: BetaPrior, level: float = 0.95) -> Estimate:
    """Return the posterior mean of a group's rate, in [0, 1], with the equal-tailed credible interval.

    No rows: the prior itself. `rows` counts the group alone. ValueError for impossible counts or prior.
    Beta-binomial conjugacy; as empirical Bayes: Efron & Morris 1973, Casella 1985.

    >>> [round(x, 3) for x in shrunken_rate(2, 10, BetaPrior(5, 95))[:3]]
    [0.064, 0.026, 0.116]
    """
    hits, rows = _counted(hits, rows)
    a, b = _checked_prior(prior)
    a, b, tail = a + hits, b + rows - hits, (1 - checked_level(level)) / 2
    low, high = float(betaincinv(a, b, tail)), float(betaincinv(a, b, 1 - tail))
    return bracketed(a / (a + b), low, high, rows, level)


def expected_hits(groups: Sequence[tuple[int, BetaPrior]], seed: int, level: float = 0.95) -> Estimate:
    """Return how many hits a list will bring, with the interval of the count that will be seen.

    Each group is how many rows of it are on the list and the Beta distribution of its rate (a posterior);
    groups are independent. The interval holds both what is not known of the rates and the luck of the
    draw: quantiles of 20,000 seeded beta-binomial sums, so the time grows with the number of groups.
    `rows` is the length of the list; an empty list is 0 within [0, 0]. ValueError for a negative count.

    >>> found = expected_hits([(100, BetaPrior(10, 90)), (50, BetaPrior(1, 9))], seed=1)
    >>> round(found.value, 6), found.rows, found.low < found.value < found.high
    (15.0, 150, True)
    """
    tail = (1 - checked_level(level)) / 2
    random = np.random.default_rng(seed)
    value, total, drawn = 0.0, 0, np.zeros(DRAWS)
    for count, prior in groups:
        a, b = _checked_prior(prior)
        if count != int(count) or count < 0:
            raise ValueError(f"a group counts {count} rows; wanted a whole number of at least 0")
        value, total = value + count * a / (a + b), total + int(count)
        drawn += random.binomial(int(count), random.beta(a, b, DRAWS))
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return bracketed(value, float(low), float(high), total, level)
