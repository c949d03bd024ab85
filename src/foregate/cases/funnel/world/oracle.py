"""The oracle: paths of what comes next, drawn from the true process as it stands on a day."""

from __future__ import annotations

from datetime import date
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .catalogue import OWN_STEP, SEGMENT_STEP, SEGMENTS, SERIES, STAGES, STEPS, WEEKDAYS
from .truth import NEVER, Floats, Ints, Truth, daily_counts, index_of, landing, pass_on, weekday_of

Paths = NDArray[np.int32]
_SEGMENT: Final = np.array([SEGMENTS.index(kind.segment) for kind in SERIES])


def oracle_paths(truth: Truth, stage: str, origin: date, horizon: int, draws: int, rng: np.random.Generator) -> Paths:
    """Return [draws, series, horizon] counts of the origin and the days after it, drawn as the world draws them.

    Everything is known as it stood when the origin began: levels, rates, delays, and who is on the way; a panel of that
    origin ends with the day before. Not foreseen are shifts of level, and series that open or close. Where there are
    none, no forecaster scores better on average.
    """
    now = index_of(origin)
    counts = daily_counts(rng, _means(truth, now, horizon, draws, rng))
    path, day = np.divmod(np.repeat(np.arange(counts.size), counts.ravel()), horizon)
    for place in range(STAGES.index(stage)):
        step, rates = STEPS[place], truth.rates[place]
        days = landing(step)
        reached = pass_on(rng, day + now, rates[path % len(SERIES)], days) - now
        path_open, day_open = _still_open(truth, place, now, horizon, draws, rng)
        path, day = np.concatenate([path, path_open]), np.concatenate([reached, day_open])
        path, day = path[day < horizon], day[day < horizon]
    flat = np.bincount(path * horizon + day, minlength=draws * len(SERIES) * horizon)
    return flat.reshape(draws, len(SERIES), horizon).astype(np.int32)


def _means(truth: Truth, now: int, horizon: int, draws: int, rng: np.random.Generator) -> Floats:
    """Return [draws, series, horizon] the expected MQLs on walks that go on from yesterday's levels."""
    shared = np.cumsum(SEGMENT_STEP * rng.standard_normal((draws, len(SEGMENTS), horizon)), axis=2)
    own = np.cumsum(OWN_STEP * rng.standard_normal((draws, len(SERIES), horizon)), axis=2)
    weekday = np.array(WEEKDAYS)[weekday_of(np.arange(now, now + horizon))] / np.mean(WEEKDAYS)
    means: Floats = truth.level[:, now - 1][None, :, None] * np.exp(shared[:, _SEGMENT] + own) * weekday
    return means


def _still_open(
    truth: Truth, place: int, now: int, horizon: int, draws: int, rng: np.random.Generator
) -> tuple[Ints, Ints]:
    """Return the paths and days on which those take a step who entered before now and have not taken it yet.

    A path is its draw times the number of series plus its series. Their chance is that of a step not taken so far: p f
    / (1 - p F).
    """
    entered, next_day = truth.reached[place], truth.reached[place + 1]
    days = landing(STEPS[place])
    waiting = np.flatnonzero((entered < now) & (next_day >= now) & (entered >= now - days.shape[1]))
    series = truth.series[waiting]
    age = now - entered[waiting]
    below = np.pad(np.cumsum(days, axis=1), ((0, 0), (1, horizon)), mode="edge")[weekday_of(entered[waiting])]
    rate = truth.rates[place][series]
    taken = np.take_along_axis(below, age[:, None] + np.arange(horizon + 1), axis=1)
    chance = rate[:, None] * (taken[:, 1:] - taken[:, :1]) / (1 - rate * taken[:, 0])[:, None]
    day = np.array([np.searchsorted(one, rng.random(draws), side="right") for one in chance]).reshape(-1, draws)
    path = np.arange(draws) * len(SERIES) + series[:, None]
    return path.ravel(), np.where(day < horizon, day, NEVER).ravel()
