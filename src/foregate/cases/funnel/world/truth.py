"""The truth that no model sees: the level of every series on every day, and what came of everybody."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from typing import Final
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from .catalogue import (
    AS_OF,
    DISPERSION,
    END,
    OWN_STEP,
    SEGMENT_STEP,
    SEGMENTS,
    SERIES,
    SQLS_A_DAY,
    STAGES,
    START,
    STAYS_ON_WEEKEND,
    STEPS,
    WEEKDAYS,
    Kind,
    Step,
)

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

NEVER: Final = np.int64(1 << 40)
DAYS: Final = (END - START).days + 1
LONGEST: Final = 240
"""Nobody takes longer for a step; of the longest step less than one in ten thousand would."""
_SHIFTS: Final = ((SEGMENTS[0], date(2024, 3, 4), -0.35), (SEGMENTS[1], date(2024, 10, 14), 0.45))


def stream(seed: int, name: str) -> np.random.Generator:
    """Return the source of chance of one part, so that a change in one part leaves the others as they were."""
    return np.random.default_rng([seed, crc32(f"funnel {name}".encode())])


def index_of(day: date) -> int:
    """Return a day's place in the arrays of the world.

    >>> index_of(START)
    0
    """
    return (day - START).days


def weekday_of(index: Ints) -> Ints:
    """Return the weekdays of places in the arrays, 0 = Monday.

    >>> weekday_of(np.array([0, 6])).tolist()
    [0, 6]
    """
    return (index + START.weekday()) % 7


@cache
def landing(step: Step) -> Floats:
    """Return [weekday of entry, days later] the chances of the day on which a step is done, given that it is.

    The days a step takes are Weibull, cut to whole days and to LONGEST; what would fall on a weekend mostly waits for
    Monday.
    """
    edge = np.arange(LONGEST + 1)
    below = -np.expm1(-((edge / step.scale) ** step.shape))
    chance = np.diff(below) / below[-1]
    found = np.zeros((7, LONGEST + 2))
    for entry in range(7):
        weekday = (entry + np.arange(LONGEST)) % 7
        waits = np.where(weekday >= 5, 1 - STAYS_ON_WEEKEND, 0.0)
        np.add.at(found[entry], np.arange(LONGEST), chance * (1 - waits))
        np.add.at(found[entry], np.arange(LONGEST) + np.where(weekday >= 5, 7 - weekday, 0), chance * waits)
    return found


@dataclass(frozen=True)
class Truth:
    """A world of one seed, from START to END.

    `level` [series, days] is the expected MQLs of a day before its weekday, 0 while a series is closed; `rates` [steps,
    series] the chance of each step. Of everybody: `series` [people], and `reached` [stages, people] the place of the
    day each stage was entered, NEVER if it never is.
    """

    seed: int
    level: Floats
    rates: Floats
    series: Ints
    reached: Ints

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The series, in the order of every array."""
        return SERIES

    def expected(self, stage: str, first: date, last: date) -> Floats:
        """Return [series, days] the expected events of each day from a first to a last, given the levels alone.

        Not given who is under way: for that, see `oracle_paths`. ValueError for days outside the world, or another
        stage than mql, sql, sqo.
        """
        if not START <= first <= last <= END:
            raise ValueError(f"the world knows {START} to {END}, not {first} to {last}")
        found: Floats = self.level * np.array(WEEKDAYS)[weekday_of(np.arange(DAYS))] / np.mean(WEEKDAYS)
        for place in range(STAGES.index(stage)):
            found = _passed_on(found * self.rates[place][:, None], landing(STEPS[place]))
        return found[:, index_of(first) : index_of(last) + 1]

    def counts(self, stage: str, first: date, last: date) -> Ints:
        """Return [series, days] what truly came, later than any file knows too."""
        at = self.reached[STAGES.index(stage)]
        days, begin = (last - first).days + 1, index_of(first)
        within = (at >= begin) & (at < begin + days)
        flat = np.bincount(self.series[within] * days + at[within] - begin, minlength=len(SERIES) * days)
        return flat.reshape(len(SERIES), days).astype(np.int64)


def unfold(seed: int) -> Truth:
    """Return the world of a seed: the same seed gives the same world, whatever day it is later written as of."""
    walks = stream(seed, "walks")
    segment = np.array([SEGMENTS.index(kind.segment) for kind in SERIES])
    shared = _walk(walks, len(SEGMENTS), SEGMENT_STEP) + _shifts(stream(seed, "shifts"))
    level = np.exp(shared[segment] + _walk(walks, len(SERIES), OWN_STEP))
    level *= np.array([kind.part for kind in SERIES])[:, None] * _open()
    recent = slice(index_of(AS_OF) - 91, index_of(AS_OF) + 1)
    level *= SQLS_A_DAY / STEPS[0].rate / level[:, recent].sum(axis=0).mean()
    rates = _rates(stream(seed, "rates"), level[:, recent].mean(axis=1))
    series, entered = _arrivals(stream(seed, "arrivals"), level)
    reached = [entered]
    for place, step in enumerate(STEPS):
        rng = stream(seed, f"step {place}")
        reached.append(pass_on(rng, reached[-1], rates[place][series], landing(step)))
    return Truth(seed, level, rates, series, np.array(reached))


def _walk(rng: np.random.Generator, size: int, step: float) -> Floats:
    """Return [size, days] random walks, each about 0 on the mean of the days up to AS_OF."""
    found = np.cumsum(step * rng.standard_normal((size, DAYS)), axis=1)
    centred: Floats = found - found[:, : index_of(AS_OF) + 1].mean(axis=1, keepdims=True)
    return centred


def _shifts(rng: np.random.Generator) -> Floats:
    """Return [segments, days] how far the log level of a segment lay, before its shift, from that of the end."""
    found = np.zeros((len(SEGMENTS), DAYS))
    for segment, about, size in _SHIFTS:
        day = index_of(about + timedelta(days=int(rng.integers(-45, 46))))
        found[SEGMENTS.index(segment), :day] -= size * rng.uniform(0.8, 1.2)
    return found


def _open() -> Floats:
    """Return [series, days] 1 while a series is open, else 0."""
    day = np.arange(DAYS)
    return np.array(
        [(index_of(kind.opens) <= day) & (day < index_of(kind.closes)) for kind in SERIES], dtype=np.float64
    )


def _rates(rng: np.random.Generator, weight: Floats) -> Floats:
    """Return [steps, series] the chance of each step: about that of its channel, on the whole the known one."""
    channels = list(dict.fromkeys(kind.channel for kind in SERIES))
    place = np.array([channels.index(kind.channel) for kind in SERIES])
    found = []
    for step in STEPS:
        log_odds = np.log(step.rate / (1 - step.rate))
        log_odds += rng.normal(0, 0.15, len(channels))[place] + rng.normal(0, 0.25, len(SERIES))
        rate = 1 / (1 + np.exp(-log_odds))
        found.append(np.clip(rate * step.rate / np.average(rate, weights=weight), 0.02, 0.95))
        weight = weight * found[-1]
    return np.array(found)


def _arrivals(rng: np.random.Generator, level: Floats) -> tuple[Ints, Ints]:
    """Return the series and day of every MQL, by day."""
    mean = level * np.array(WEEKDAYS)[weekday_of(np.arange(DAYS))] / np.mean(WEEKDAYS)
    counts = daily_counts(rng, mean)
    series, day = np.divmod(np.repeat(np.arange(counts.size), counts.ravel()), DAYS)
    order = np.argsort(day, kind="stable")
    return series[order], day[order]


def daily_counts(rng: np.random.Generator, mean: Floats) -> Ints:
    """Return negative binomial counts of these means."""
    counts: Ints = rng.poisson(mean * rng.gamma(DISPERSION, 1 / DISPERSION, mean.shape))
    return counts


def pass_on(rng: np.random.Generator, entered: Ints, rate: Floats, days: Floats) -> Ints:
    """Return when each who entered a stage reaches the next, NEVER for who does not; `days` as from `landing`.

    Who has not entered draws a chance all the same, so that what happens to others does not hang on it.
    """
    goes, chance = rng.random(len(entered)) < rate, rng.random(len(entered))
    later = np.zeros(len(entered), dtype=np.int64)
    weekday = weekday_of(entered)
    for one in range(7):
        mine = weekday == one
        later[mine] = np.searchsorted(np.cumsum(days[one]), chance[mine] * days[one].sum(), side="right")
    return np.where(goes & (entered != NEVER), entered + np.minimum(later, days.shape[1] - 1), NEVER)


def _passed_on(entries: Floats, days: Floats) -> Floats:
    """Return [series, days] the expected events of the next stage for the expected entries that go on."""
    found = np.zeros_like(entries)
    weekday = weekday_of(np.arange(DAYS))
    for later in range(days.shape[1]):
        found[:, later:] += (entries * days[weekday, later])[:, : DAYS - later]
    return found
