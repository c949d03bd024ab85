"""Joint sample paths of counts from one evening: levels, what moves them together, and days like past days."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foregate.modeling.count_shocks import Shock
from foregate.modeling.series import Indices, arrivals

Floats = NDArray[np.float64]
# The log of a level's shocks has at most this variance, and multiplies it at most this often.
MOST_VARIANCE, MOST_TIMES = 1.5, 100.0
MOST_STRETCH = 3.0
# Cells (draws x days x series) that are drawn at once: a few megabytes stay in the cache.
AT_ONCE = 500_000


@dataclass(frozen=True)
class Days:
    """Past days to draw from: what each did to its series beyond the level, as gamma distributions and bursts.

    The rows are days, all but the last, which stands for no day in particular. `weekday` [rows], -1 for the last.
    `shapes` and `rates` are those of the total [rows, 1], the segments [rows, segments] and the series
    [rows, series]; `bursts` [rows, series] is what came on top.
    """

    weekday: Indices
    shapes: tuple[Floats, Floats, Floats]
    rates: tuple[Floats, Floats, Floats]
    bursts: NDArray[np.int64]


@dataclass(frozen=True)
class Outlook:
    """All that is known on an evening: `level`, `shape`, `alive` [series], `factors` [horizon, segments], and shocks.

    `shocks` are those of the series, the segments and the total; `tail` the degrees of freedom of the level shocks.
    """

    level: Floats
    shape: Floats
    alive: NDArray[np.bool_]
    segments: Indices
    factors: Floats
    weekdays: Indices
    shocks: tuple[Shock, Shock, Shock]
    days: Days
    tail: float
    any_day: float


def draw_paths(outlook: Outlook, draws: int, rng: np.random.Generator) -> NDArray[np.int32]:
    """Return [draws, series, horizon] joint counts: non-negative, 0 for series that are not alive.

    A level is gamma around its estimate, times log-shocks of its own, its segment's and the total's: lasting ones and
    walks that step once a week, with Student's tails. Each day ahead takes what a past day of its weekday did to all
    series at once: the posterior of the gamma factors that day had (with few events that is nearly their prior, so
    sparse series are negative binomial; with many it is what happened), and the bursts of that day.
    """
    horizon, series = outlook.weekdays.size, outlook.level.size
    found = np.empty((draws, series, horizon), dtype=np.int32)
    size = max(1, AT_ONCE // (horizon * series))
    for start in range(0, draws, size):
        part = min(size, draws - start)
        found[start : start + part] = _some(outlook, part, rng).transpose(0, 2, 1)
    found[:, ~outlook.alive] = 0
    return found


def _some(outlook: Outlook, draws: int, rng: np.random.Generator) -> NDArray[np.int32]:
    """Return [draws, horizon, series]."""
    weekdays, groups = outlook.weekdays, outlook.segments
    own, part, whole = (_walks(shock, weekdays.size, draws, outlook.tail, rng) for shock in outlook.shocks)
    level = outlook.level * rng.standard_gamma(outlook.shape, (draws, outlook.level.size)) / outlook.shape
    by_week = level[:, None] * own * (part * whole)[..., groups]
    picks = _picks(outlook, draws, rng)
    shape, rate = outlook.days.shapes, outlook.days.rates
    common = outlook.factors * rng.standard_gamma(shape[0][picks]) / rate[0][picks]
    common = common * rng.standard_gamma(shape[1][picks]) / rate[1][picks]
    rates = rng.standard_gamma(shape[2][picks])
    rates /= rate[2][picks]
    rates *= common[..., groups]
    rates *= by_week[:, np.arange(weekdays.size) // 7]
    return arrivals(rates, rng) + outlook.days.bursts[picks].astype(np.int32)


def _walks(shock: Shock, horizon: int, draws: int, tail: float, rng: np.random.Generator) -> Floats:
    """Return [draws, weeks, nodes] what a level is multiplied by in each week ahead: mean 1."""
    weeks = math.ceil(horizon / 7)
    middle = 7.0 * np.arange(weeks)[:, None] + 4
    variance = np.minimum(shock.lasting + shock.walk * middle, MOST_VARIANCE)
    steps = np.sqrt(np.diff(variance, axis=0, prepend=0.0))
    walked = np.cumsum(rng.standard_normal((draws, weeks, shock.walk.size)) * steps, axis=1)
    stretch = np.sqrt((tail - 2) / rng.chisquare(tail, (draws, 1, shock.walk.size)))
    stretch = np.minimum(stretch, MOST_STRETCH)
    return np.exp(np.minimum(stretch * walked - stretch**2 * variance / 2, math.log(MOST_TIMES)))


def _picks(outlook: Outlook, draws: int, rng: np.random.Generator) -> Indices:
    """Return [draws, horizon] rows of days: mostly of the same weekday, sometimes of any, rarely no day at all."""
    of, rows = outlook.days.weekday, outlook.days.weekday.size
    found = np.empty((draws, outlook.weekdays.size), dtype=np.int64)
    for ahead, weekday in enumerate(outlook.weekdays):
        same = np.flatnonzero(of == weekday)
        anyway = rng.integers(0, rows, draws)
        chosen = same[rng.integers(0, same.size, draws)] if same.size else anyway
        found[:, ahead] = np.where(rng.random(draws) * (same.size + outlook.any_day) < same.size, chosen, anyway)
    return found
