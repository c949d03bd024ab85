"""Intervals against 1.96 sd250 sqrt(h), and daily volatilities against each other, on real series.

Settings were chosen on the simulated series (`simulated`): GARCH with Student's t, two regimes, stochastic volatility,
a level that moves, prices that revert. The forecast is no change; the first 500 days are passed over.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bench.price_rules import finite
from bench.price_series import BURN_IN, HORIZONS, Quoted
from bench.timing import timed
from foregate.metrics.coverage import coverage
from foregate.metrics.diebold import diebold_mariano, relative_loss
from foregate.metrics.estimate import Floats
from foregate.metrics.forecast import interval_score
from foregate.modeling.price_experts import realised
from foregate.modeling.price_intervals import LEVELS, gaussian, held, intervals, worst_window
from foregate.modeling.volatility import ewma, garch, over_horizon, qlike

SIMULATED_DAYS = 8_300
# WTI's of 2020-04-20: a day so many standard deviations off outweighs thousands of others.
MAD_DAYS = 30.0


def _garch_walk(rng: np.random.Generator, days: int) -> Floats:
    shocks, variance, returns = rng.standard_t(5, days) * math.sqrt(3 / 5), 4e-4, np.empty(days)
    for day in range(days):
        returns[day] = math.sqrt(variance) * shocks[day]
        variance = 4e-6 + 0.07 * returns[day] ** 2 + 0.92 * variance
    return returns


def _switching(rng: np.random.Generator, days: int) -> Floats:
    state, states = 0, np.empty(days, dtype=np.int64)
    for day, chance in enumerate(rng.random(days)):
        state = 1 - state if chance > (0.996, 0.985)[state] else state
        states[day] = state
    return np.array([0.013, 0.035])[states] * rng.standard_t(6, days) * math.sqrt(4 / 6)


def _stochastic(rng: np.random.Generator, days: int) -> Floats:
    from scipy.signal import lfilter

    shocks = rng.standard_normal(days)
    leverage = -0.3 * shocks + math.sqrt(1 - 0.3**2) * rng.standard_normal(days)
    logs = lfilter([0.16], [1, -0.985], leverage) + lfilter([0.04], [1, -0.997], rng.standard_normal(days))
    return 0.02 * np.exp(np.append(0.0, logs[:-1]) / 2) * shocks


def _moving(rng: np.random.Generator, days: int) -> Floats:
    level = np.clip(np.cumsum(rng.normal(0, 0.012, days)), -1.2, 1.2)
    return _garch_walk(rng, days) * np.exp(level)


def _reverting(rng: np.random.Generator, days: int) -> Floats:
    from scipy.signal import lfilter

    return np.diff(lfilter([1.0], [1.0, -0.996], _garch_walk(rng, days + 1)))


SIMULATORS: dict[str, Callable[[np.random.Generator, int], Floats]] = {
    "garch_t": _garch_walk,
    "switching": _switching,
    "stochastic_volatility": _stochastic,
    "moving_level": _moving,
    "reverting": _reverting,
}


def simulated(name: str, seed: int, days: int = SIMULATED_DAYS) -> Floats:
    """Return the log prices of a simulated series."""
    return np.cumsum(SIMULATORS[name](np.random.default_rng([3, seed]), days))


def bounds(y: Floats) -> dict[str, tuple[Floats, Floats]]:
    """Return [L, H, T] lower and upper bounds around no change: ours, the spread's own normal ones, the rival's."""
    nothing = np.zeros((len(HORIZONS), y.size))
    spread = over_horizon(ewma(y), y, HORIZONS)
    ours = intervals(realised(y, HORIZONS), nothing, spread, HORIZONS)
    untaught = intervals(realised(y, HORIZONS), nothing, spread, HORIZONS, least=y.size)
    return {
        "taught": (ours.lower, ours.upper),
        "untaught": (untaught.lower, untaught.upper),
        "gaussian": gaussian(nothing, y, HORIZONS),
    }


def judged(y: Floats) -> dict[str, Any]:
    """Return for each kind of interval, level and horizon: coverage, worst 250 origins, score over the Gaussian's."""
    came, kinds = realised(y, HORIZONS), bounds(y)
    found: dict[str, Any] = {}
    for kind, (lower, upper) in kinds.items():
        for place, level in enumerate(LEVELS):
            rows = [
                _cell(came[h], (lower[place, h], upper[place, h]), [b[place, h] for b in kinds["gaussian"]], level, n)
                for h, n in enumerate(HORIZONS)
            ]
            found.setdefault(kind, {})[f"{100 * level:.0f} %"] = rows
    return found


def _cell(
    came: Floats, ours: tuple[Floats, Floats], rival: list[Floats], level: float, horizon: int
) -> dict[str, float | None]:
    rows = np.arange(BURN_IN, came.size - horizon)
    flags = held(came, *ours)[rows]
    losses = [interval_score(low[rows], high[rows], came[rows], level) for low, high in (ours, rival)]
    share = coverage(flags, level, rows // horizon)
    ratio = relative_loss(*losses, horizon)
    numbers = {
        "coverage": share.value,
        "coverage_low": share.low,
        "coverage_high": share.high,
        "worst_250": worst_window(flags).share,
        "score_ratio": ratio.value,
        "score_low": ratio.low,
        "score_high": ratio.high,
    }
    return {name: finite(value) for name, value in numbers.items()}


def volatilities(y: Floats) -> dict[str, Any]:
    """Return the QLIKE of EWMA less that of GARCH-t, below 0 where EWMA errs less, with and without mad days."""
    ours, theirs = ewma(y), garch(y)
    losses = np.stack([qlike(ours, y), qlike(theirs, y)])
    known = ~np.isnan(losses).any(axis=0)
    moves = np.abs(np.append(np.diff(y), 0.0)) / np.fmax(ours, 1e-9)
    ordinary = known & (moves < MAD_DAYS)
    found: dict[str, Any] = {"mad_days": int(known.sum() - ordinary.sum())}
    for name, rows in (("all", known), ("ordinary", ordinary)):
        told = diebold_mariano(losses[0, rows], losses[1, rows], lags=20)
        gap = told.difference
        found[name] = {
            "ewma": round(float(losses[0, rows].mean()), 4),
            "garch": round(float(losses[1, rows].mean()), 4),
            "difference": [finite(x) for x in (gap.value, gap.low, gap.high)],
            "p_value": finite(told.p_value),
            "rows": told.rows,
        }
    return found


def measure(
    series: Sequence[Quoted], seeds: int = 6, simulators: Sequence[str] = tuple(SIMULATORS), days: int = SIMULATED_DAYS
) -> dict[str, Any]:
    """Return coverage, worst windows and scores on real and simulated series, QLIKE on real ones, and the cost."""
    found: dict[str, Any] = {"levels": LEVELS, "real": {}, "volatility": {}, "simulated": {}}
    for one in series:
        found["real"][one.name] = judged(one.y)
        _print(one.name, found["real"][one.name])
        found["volatility"][one.name] = volatilities(one.y)
        print(f"  {one.name} QLIKE {found['volatility'][one.name]}")
    for name in simulators:
        found["simulated"][name] = _averaged(name, seeds, days)
        _print(name, found["simulated"][name])
    return found | {"cost": _cost(days)}


def _averaged(name: str, seeds: int, days: int) -> dict[str, Any]:
    """Return the means over seeds, the score's a geometric one."""
    each = [judged(simulated(name, seed, days)) for seed in range(seeds)]
    return {
        kind: {
            level: [_mean([one[kind][level][h] for one in each]) for h in range(len(HORIZONS))]
            for level in each[0][kind]
        }
        for kind in each[0]
    }


def _mean(cells: list[dict[str, Any]]) -> dict[str, float]:
    plain = {name: float(np.mean([cell[name] for cell in cells])) for name in ("coverage", "worst_250")}
    shares = [cell["coverage"] for cell in cells]
    extremes = {"coverage_low": min(shares), "coverage_high": max(shares)}
    ratio = math.exp(float(np.mean([math.log(cell["score_ratio"]) for cell in cells])))
    return {name: round(value, 4) for name, value in (plain | extremes | {"score_ratio": ratio}).items()}


def _print(name: str, told: dict[str, Any]) -> None:
    for kind, by_level in told.items():
        for level, cells in by_level.items():
            row = (f"{c['coverage']:.3f} w{c['worst_250']:.2f} s{c['score_ratio']:.3f}" for c in cells)
            print(f"  {name:22s} {kind:9s} {level:5s} " + " | ".join(row))


def _cost(days: int) -> dict[str, Any]:
    """Return CPU seconds, of three repetitions each, for so many origins and four horizons."""
    y = simulated("garch_t", 0, days)
    came, nothing, spread = realised(y, HORIZONS), np.zeros((len(HORIZONS), y.size)), over_horizon(ewma(y), y, HORIZONS)
    _, taught = timed(lambda: intervals(came, nothing, spread, HORIZONS), 3)
    _, scaled = timed(lambda: over_horizon(ewma(y), y, HORIZONS), 3)
    _, fitted = timed(lambda: garch(y), 1)
    return {
        "intervals_cpu_seconds": taught["cpu_seconds"],
        "spread_cpu_seconds": scaled["cpu_seconds"],
        "garch_cpu_seconds": fitted["cpu_seconds"],
    }
