"""How much a price moves in a day, as known on that day, and over the days to come."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from foregate.core.errors import ConfigurationError
from foregate.metrics.estimate import Floats
from foregate.metrics.inputs import at_least, finite

# RiskMetrics' daily decay of 0.94 halves a weight in 11.2 days.
HALFLIFE_DAYS = 11.0
SLOW_HALFLIFE_DAYS = 1000.0
# What variance has in excess of its slow level halves in 46 days.
PERSISTENCE = 0.985
LEAST_DAYS = 20
LIMIT = 6.0
# 0.16 % a year: less than any traded price moves, and still a number to divide by.
LEAST_VOLATILITY = 1e-4
GARCH_LEAST_DAYS = 500
REFIT_DAYS = 250


def _returns(y: ArrayLike) -> Floats:
    found: Floats = np.diff(finite(y, "log prices"))
    return found


def _decay(halflife: float) -> float:
    if not 0 < halflife < math.inf:
        raise ValueError(f"the half-life is {halflife} days; wanted a finite number above 0")
    return float(0.5 ** (1.0 / halflife))


def _followed(returns: Floats, gain: float) -> tuple[Floats, Floats]:
    """Return the variance after each return, and each return's square as it was let count."""
    level, least = 0.0, LEAST_VOLATILITY**2
    variances, squares = [], []
    for days, square in enumerate((returns**2).tolist(), start=1):
        if days > LEAST_DAYS:
            square = min(square, LIMIT**2 * level)
        level = max(level + max(gain, 1.0 / days) * (square - level), least)
        variances.append(level)
        squares.append(square)
    return np.array(variances), np.array(squares)


def _from_first(values: Floats) -> Floats:
    """Return [T] values of returns moved to the days that know them; NaN for the first 20 days."""
    found = np.concatenate([[math.nan], values])
    found[:LEAST_DAYS] = math.nan
    return found


def bounded_returns(y: ArrayLike) -> Floats:
    """Return [T - 1] daily log returns, none further from 0 than six times the volatility of the day before.

    The volatility is that of `ewma` at its usual half-life; the first 20 returns are left as they are. WTI fell
    on 2020-04-20 by 45 of its daily standard deviations of that wild month (displacement 50): as it is, that
    one day would set a mean of squares for years. Of Student's t with 4 degrees of freedom one return in 950 is
    beyond the bound, of a normal one none. ValueError for log prices NaN or infinite.

    >>> y = np.append(0.01 * (np.arange(40) % 2), 5.0)
    >>> [round(float(x), 3) for x in bounded_returns(y)[-2:]]
    [0.01, 0.06]
    """
    returns = _returns(y)
    _, squares = _followed(returns, 1 - _decay(HALFLIFE_DAYS))
    return np.asarray(np.sign(returns) * np.minimum(np.abs(returns), np.sqrt(squares)))


def ewma(y: ArrayLike, halflife: float = HALFLIFE_DAYS) -> Floats:
    """Return [T] the daily standard deviation of log returns known at each day: exponentially weighted, around 0.

    y [T]: log prices of trading days. An expanding mean of squares at first, so that no starting value is
    needed; NaN for the first 20 days. From then on a day's squared return counts at most 36 times the variance
    of the day before: after a single mad day (see `bounded_returns`) the volatility is at most 1.8 times what it
    was, after a real break it can still triple in two days. Never below 0.0001, so that a price that stood still can
    be divided by. ValueError for log prices NaN or infinite, or a half-life not above 0. J.P. Morgan 1996,
    RiskMetrics.

    >>> y = 0.01 * (np.arange(100) % 2)
    >>> round(float(ewma(y)[-1]), 6), np.isnan(ewma(y)[:20]).all()
    (0.01, np.True_)
    """
    variances, _ = _followed(_returns(y), 1 - _decay(halflife))
    return _from_first(np.sqrt(variances))


def slow(y: ArrayLike, halflife: float = SLOW_HALFLIFE_DAYS) -> Floats:
    """Return [T] the level to which daily volatility returns: of bounded returns, over years.

    Expanding at first, then weighted with the half-life; NaN for the first 20 days. ValueError as for `ewma`.

    >>> round(float(slow(0.01 * (np.arange(100) % 2))[-1]), 6)
    0.01
    """
    from scipy.signal import lfilter

    squares, decay = bounded_returns(y) ** 2, _decay(halflife)
    weights = lfilter([1.0], [1.0, -decay], np.ones(squares.size))
    means = lfilter([1.0], [1.0, -decay], squares) / weights
    return _from_first(np.sqrt(np.maximum(means, LEAST_VOLATILITY**2)))


def over_horizon(
    volatility: ArrayLike, y: ArrayLike, horizons: Sequence[int], persistence: float = PERSISTENCE
) -> Floats:
    """Return [H, T] the standard deviation of the log return over each horizon, from the daily volatility now.

    The variance of the i-th day to come is slow^2 + persistence^(i - 1) (now^2 - slow^2), with `slow` of y; the
    days' variances are added. Next to sqrt(h) times today's volatility that is wider in calm days and narrower in
    wild ones, the more the longer the horizon. A persistence of 1 gives sqrt(h). NaN where the volatility is.
    volatility [T] known at each day; ValueError for unequal lengths, horizons below 1, a persistence outside
    (0, 1]. The forecast of GARCH(1,1), Baillie & Bollerslev 1992, with a level that moves.

    >>> y = 0.01 * (np.arange(100) % 2)
    >>> over_horizon(np.full(100, 0.02), y, [1, 4, 400])[:, -1].round(4)
    array([0.02  , 0.0397, 0.2449])
    """
    now, level = np.asarray(volatility, dtype=np.float64), slow(y)
    if now.shape != level.shape:
        raise ValueError(f"volatility of shape {now.shape} for {level.size} days; wanted one for each day")
    if not 0 < persistence <= 1:
        raise ValueError(f"the persistence is {persistence}; wanted above 0 and at most 1")
    days = np.array([at_least(horizon, 1, "days ahead") for horizon in horizons], dtype=np.float64)[:, None]
    lasting = days if persistence == 1 else (1 - persistence**days) / (1 - persistence)
    return np.asarray(np.sqrt(days * level**2 + lasting * (now**2 - level**2)))


def qlike(volatility: ArrayLike, y: ArrayLike) -> Floats:
    """Return [T] the loss of each day's volatility on the next day's return: log v^2 + r^2 / v^2, lower is better.

    Of least mean where v^2 is the variance of the return to come, and it ranks volatilities by that although the
    variance itself is never seen. It has no lower bound, so compare differences and never ratios. One return of
    45 standard deviations weighs as 2,000 ordinary days: say how it comes out without such a day. NaN for the
    last day and where the volatility is. ValueError for unequal lengths. Patton 2011, eq. 24, less the terms that
    no forecast moves.

    >>> qlike([1.0, 2.0, 1.0], [0.0, 1.0, 1.0]).round(3)
    array([1.   , 1.386,   nan])
    """
    known, returns = np.asarray(volatility, dtype=np.float64), _returns(y)
    if known.shape != (returns.size + 1,):
        raise ValueError(f"volatility of shape {known.shape} for {returns.size + 1} days; wanted one for each day")
    variances = known[:-1] ** 2
    return np.append(np.log(variances) + returns**2 / variances, math.nan)


def library() -> Any:
    """Return arch's function that declares a model; ConfigurationError when the package is not installed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            from arch.univariate import arch_model
        except ImportError as error:
            raise ConfigurationError(
                "volatility garch",
                found=f"no package arch ({error})",
                wanted="arch 7.2 or later",
                then="Install it with `pip install 'foregate[forecast]'`, or use the volatility ewma.",
            ) from error
    return arch_model


def _fitted(model: Any, returns: Floats) -> tuple[float, float, float] | None:
    """Return omega, alpha and beta, or None where the fit fails: the optimiser raises all sorts on odd series."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            # In per cent: the optimiser is lost where variances are of the order of 1e-4.
            asked = model(100 * returns, mean="Zero", vol="GARCH", p=1, q=1, dist="t", rescale=False)
            found = asked.fit(disp="off", show_warning=False)
        except Exception:
            return None
    omega, alpha, beta = (float(found.params[name]) for name in ("omega", "alpha[1]", "beta[1]"))
    sound = found.convergence_flag == 0 and math.isfinite(omega + alpha + beta)
    return (omega / 1e4, alpha, beta) if sound else None


def _filtered(returns: Floats, parameters: tuple[float, float, float], first: float) -> Floats:
    """Return the variance of the return after each of these, from the first one's."""
    from scipy.signal import lfilter

    omega, alpha, beta = parameters
    found, _ = lfilter([1.0], [1.0, -beta], omega + alpha * returns**2, zi=[beta * first])
    return np.asarray(found)


def garch(y: ArrayLike, refit_days: int = REFIT_DAYS) -> Floats:
    """Return [T] the daily standard deviation that GARCH(1,1) with Student's t expects of the next return.

    Of `bounded_returns`, around 0. The parameters are estimated on all returns known then, first after 500 days
    and again every `refit_days`; in between only the recursion goes on. NaN before; where a fit fails, the
    parameters before it stay. ConfigurationError without the package arch, ValueError as for `ewma`. Bollerslev
    1987. Its cost is the fits: some 0.05 to 0.2 CPU seconds each.
    """
    model, every = library(), at_least(refit_days, 1, "days between fits")
    returns = bounded_returns(y)
    found, parameters = np.full(returns.size + 1, math.nan), None
    for day in range(GARCH_LEAST_DAYS, found.size, every):
        parameters = _fitted(model, returns[:day]) or parameters
        if parameters is not None:
            until = min(day + every, found.size)
            started = float(np.mean(returns[:day] ** 2))
            found[day:until] = np.sqrt(_filtered(returns[: until - 1], parameters, started)[day - 1 :])
    return np.asarray(np.maximum(found, LEAST_VOLATILITY))
