"""Intervals of price forecasts: scaled by volatility, and taught by matured outcomes to hold what they say."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foregate.metrics.coverage import coverage
from foregate.metrics.estimate import Estimate, Floats, critical
from foregate.metrics.inputs import at_least

LEVELS = (0.5, 0.8, 0.95)
LEAST_OUTCOMES = 250
# Of 0.02, 0.03 and 0.045 it held its levels closest on simulated series; a smaller one has narrower intervals there.
STEP = 0.045
GAUSSIAN_DAYS = 250

Label = TypeVar("Label", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Intervals:
    """Central intervals of log returns.

    `lower`, `upper` [L, H, T]: the bounds, NaN where the forecast or its spread is. `multiplier` [L, H, T]: how
    many spreads they lie from the forecast. `taught` [H, T]: False where they are the normal distribution's
    since too few outcomes had matured.
    """

    lower: Floats
    upper: Floats
    multiplier: Floats
    taught: NDArray[np.bool_]


class Window(NamedTuple):
    """The share inside of the worst run of origins and where it starts; NaN and -1 where no run is complete."""

    share: float
    start: int


def _levels(levels: Sequence[float]) -> Floats:
    found = np.asarray(levels, dtype=np.float64)
    if found.ndim != 1 or found.size == 0 or not (min(found) > 0 and max(found) < 1 and (np.diff(found) > 0).all()):
        raise ValueError(f"the levels are {list(levels)}; wanted rising shares strictly between 0 and 1")
    return found


def _table(values: ArrayLike, name: str, shape: tuple[int, int]) -> Floats:
    found = np.asarray(values, dtype=np.float64)
    if found.shape != shape:
        raise ValueError(f"the {name} has shape {found.shape}; wanted {shape}, horizons by days")
    return found


def intervals(
    realised: ArrayLike,
    predicted: ArrayLike,
    spread: ArrayLike,
    horizons: Sequence[int],
    levels: Sequence[float] = LEVELS,
    step: float = STEP,
    least: int = LEAST_OUTCOMES,
) -> Intervals:
    """Return the intervals predicted +- multiplier * spread, the multiplier of each level and horizon taught.

    realised, predicted, spread [H, T]: log returns of each horizon from each day and the standard deviation
    foretold of their errors; NaN where not there, and days without forecast or spread neither get an interval
    nor teach. A multiplier starts at the normal quantile. On the day an outcome matures (h days after its
    origin), its logarithm moves by step / sqrt(h) * (missed - (1 - level)), where missed is whether the
    outcome was further off than the multiplier of its origin. Until `least` outcomes of the horizon have
    matured the interval is the normal one (`taught` is False), while the multiplier already learns. A higher
    level's is never below a lower one's, so 95 % holds 80 % holds 50 %.

    Over n matured outcomes of a level (whose multiplier was never raised to a lower level's) the share missed
    differs from 1 - level by exactly log(last multiplier / first) / (n * step / sqrt(h)): in the long run it
    holds what it says as long as the multiplier stays within bounds, whatever the market does; of a year, or of
    any one window, it promises nothing. A spread three times too narrow still costs 6 points of coverage over
    5,900 outcomes at 126 days: the spread has to be about right. Horizons overlap, h misses come together, and
    sqrt(h) keeps such a run from throwing the multiplier about. ValueError for unequal shapes, levels not rising
    within (0, 1), a step not above 0. Quantile tracking of Angelopoulos, Candes & Tibshirani 2023, section 2.1,
    of the logarithm of the standardised absolute error, with delayed feedback.

    >>> days = 0.01 * np.sin(np.arange(400.0) ** 2)[None]
    >>> found = intervals(days, np.zeros((1, 400)), np.full((1, 400), 0.05), [1], levels=[0.5])
    >>> found.upper[0, 0, [0, 399]].round(4), found.taught[0, [0, 250, 251]]
    (array([0.0337, 0.0071]), array([False,  True,  True]))
    """
    shares = _levels(levels)
    days = [at_least(horizon, 1, "days ahead") for horizon in horizons]
    shape = (len(days), np.shape(realised)[-1])
    came, point, width = (
        _table(values, name, shape)
        for values, name in ((realised, "realised"), (predicted, "predicted"), (spread, "spread"))
    )
    if not 0 < step < math.inf:
        raise ValueError(f"the step is {step}; wanted a finite number above 0")
    width = np.where(width > 0, width, math.nan)
    errors = np.abs(came - point) / width
    tracked = [
        _tracked(error, ahead, shares, step / math.sqrt(ahead)) for error, ahead in zip(errors, days, strict=True)
    ]
    taught = np.stack([_matured(error, ahead) >= least for error, ahead in zip(errors, days, strict=True)])
    normal = np.array([critical(share) for share in shares.tolist()])[:, None, None]
    half = np.where(taught, np.stack(tracked, axis=1), normal)
    half = np.where(np.isnan(point + width), math.nan, half)
    return Intervals(point - half * width, point + half * width, half, taught)


def _matured(errors: Floats, ahead: int) -> NDArray[np.int64]:
    """Return [T] how many outcomes have matured up to and with each day."""
    counts = np.zeros(errors.size, dtype=np.int64)
    counts[ahead:] = np.cumsum(~np.isnan(errors))[: max(errors.size - ahead, 0)]
    return counts


def _tracked(errors: Floats, ahead: int, shares: Floats, step: float) -> Floats:
    """Return [L, T] the multipliers in force at each day.

    In blocks of `ahead` days: what matures within a block was issued before it, so its misses are known at once.
    """
    states = np.log([critical(share) for share in shares.tolist()])[:, None]
    found = np.empty((shares.size, errors.size))
    found[:, :ahead] = np.maximum.accumulate(np.exp(states), axis=0)
    aims = (1 - shares)[:, None]
    for day in range(ahead, errors.size, ahead):
        origins = errors[day - ahead : min(day, errors.size - ahead)]
        missed = np.where(np.isnan(origins), aims, origins > found[:, day - ahead : day - ahead + origins.size])
        walked = states + step * np.cumsum(missed - aims, axis=1)
        found[:, day : day + origins.size] = np.maximum.accumulate(np.exp(walked), axis=0)
        states = walked[:, -1:]
    return found


def gaussian(
    predicted: ArrayLike,
    y: ArrayLike,
    horizons: Sequence[int],
    levels: Sequence[float] = LEVELS,
    days: int = GAUSSIAN_DAYS,
) -> tuple[Floats, Floats]:
    """Return the bounds [L, H, T] of predicted +- z * sd * sqrt(h), the rival of every other interval.

    sd: the standard deviation of the last `days` daily log returns, around their mean; NaN before there are so
    many. predicted [H, T], y [T] log prices. ValueError for unequal shapes, fewer than 2 days.

    >>> y = 0.01 * (np.arange(400) % 2)
    >>> gaussian(np.zeros((1, 400)), y, [4])[1][:, 0, -1].round(4)
    array([0.0135, 0.0257, 0.0393])
    """
    price = np.asarray(y, dtype=np.float64)
    width, point = at_least(days, 2, "days"), _table(predicted, "predicted", (len(horizons), price.size))
    daily = np.full(price.size, math.nan)
    if price.size > width:
        windows = np.lib.stride_tricks.sliding_window_view(np.diff(price), width)
        daily[width:] = windows.std(axis=1, ddof=1)
    ahead = np.sqrt(np.array([at_least(horizon, 1, "days ahead") for horizon in horizons], dtype=np.float64))
    normal = np.array([critical(share) for share in _levels(levels).tolist()])
    half = normal[:, None, None] * ahead[:, None] * daily
    return point - half, point + half


def held(realised: ArrayLike, lower: ArrayLike, upper: ArrayLike) -> Floats:
    """Return whether each outcome lies within its bounds: 1, 0, NaN where one of the three is not there.

    >>> held([0.1, 0.3, np.nan], [0, 0, 0], [0.2, 0.2, 0.2])
    array([ 1.,  0., nan])
    """
    came, low, high = (np.asarray(values, dtype=np.float64) for values in (realised, lower, upper))
    known = ~np.isnan(came + low + high)
    return np.where(known, ((came >= low) & (came <= high)).astype(np.float64), math.nan)


def coverage_by(
    inside: ArrayLike, labels: Sequence[Label] | NDArray[np.generic], nominal: float, horizon: int
) -> dict[Label, Estimate]:
    """Return the coverage of the origins of each label, with the interval that overlapping windows leave.

    inside [T] 1, 0 or NaN (passed over); labels [T], a year or a regime. `horizon` consecutive origins are one
    block; a label within one block can tell nothing: interval [0, 1]. Labels without a known origin are not
    there. ValueError for unequal lengths. See `foregate.metrics.coverage.coverage`.

    >>> found = coverage_by([1, 1, 0, np.nan], [2024, 2024, 2025, 2025], 0.95, horizon=1)
    >>> {year: round(one.value, 2) for year, one in found.items()}
    {2024: 1.0, 2025: 0.0}
    """
    flags, groups = np.asarray(inside, dtype=np.float64), np.asarray(labels)
    if flags.shape != groups.shape or flags.ndim != 1:
        raise ValueError(f"flags of shape {flags.shape} with labels of shape {groups.shape}; wanted one for each")
    blocks = np.arange(flags.size) // at_least(horizon, 1, "days ahead")
    known = ~np.isnan(flags)
    found = {}
    for label in np.unique(groups[known]):
        chosen = known & (groups == label)
        most = float(chosen.sum()) / horizon
        found[label.item()] = coverage(flags[chosen], nominal, None if horizon == 1 else blocks[chosen], most=most)
    return found


def by_year(inside: ArrayLike, days: ArrayLike, nominal: float, horizon: int) -> dict[int, Estimate]:
    """Return the coverage of each year's origins; days [T] are their dates. As `coverage_by`.

    >>> found = by_year([1, 0], np.array(["2024-05-01", "2025-05-01"], "datetime64[D]"), 0.95, 1)
    >>> [(year, one.value) for year, one in found.items()]
    [(2024, 1.0), (2025, 0.0)]
    """
    years = np.asarray(days, dtype="datetime64[Y]").astype(np.int64) + 1970
    return coverage_by(inside, years, nominal, horizon)


def by_regime(inside: ArrayLike, state: ArrayLike, nominal: float, horizon: int) -> dict[int, Estimate]:
    """Return the coverage of origins in each regime: 0 low, 1 high, -1 unknown; state [T]. As `coverage_by`.

    >>> {state: one.value for state, one in by_regime([1, 0, 1], [0, 1, 0], 0.95, 1).items()}
    {0: 1.0, 1: 0.0}
    """
    return coverage_by(inside, np.asarray(state, dtype=np.int64), nominal, horizon)


def worst_window(inside: ArrayLike, days: int = 250) -> Window:
    """Return the least share inside over any run of so many known origins, and the index of its first one.

    inside [T] 1, 0 or NaN; unknown origins are passed over. At a horizon of 126 days a window of 250 holds two
    independent outcomes: the worst one is low even of perfect intervals, and is for comparing alone.

    >>> worst_window([1, 1, 0, 0, 1, np.nan], days=2)
    Window(share=0.0, start=2)
    """
    flags = np.asarray(inside, dtype=np.float64)
    places = np.flatnonzero(~np.isnan(flags))
    width = at_least(days, 1, "days")
    if places.size < width:
        return Window(math.nan, -1)
    sums = np.concatenate([[0.0], np.cumsum(flags[places])])
    shares = (sums[width:] - sums[:-width]) / width
    worst = int(shares.argmin())
    return Window(float(shares[worst]), int(places[worst]))
