"""The truth that no model sees: the state of the market on every day, and what drives each price."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from typing import Final
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from foregate.cases.prices.trading_days import Calendar

from .catalogue import COMMODITIES, END, ENTERS_WILD, HOLIDAYS, LEAVES_WILD, SHARED, START

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Days = NDArray[np.datetime64]

INDEX_LEVEL: Final = (14.0, 34.0)
"""About what the index shows while the market has been calm, or wild, for long."""
FOLLOWS: Final = 0.25
INDEX_NOISE: Final = 0.05
_CALENDAR: Final = Calendar((True,) * 5 + (False,) * 2, HOLIDAYS)


def stream(seed: int, name: str) -> np.random.Generator:
    """Return the source of chance of one part, so that a change in one part leaves the others as they were."""
    return np.random.default_rng([seed, crc32(f"prices {name}".encode())])


@cache
def trading_days() -> Days:
    """Return the trading days of the world from START on, and a few after END on which its last prices are known."""
    return _CALENDAR.trading(START, END + timedelta(days=14))


@dataclass(frozen=True)
class Truth:
    """A world of one seed on T trading days from START to END.

    `regime` [T] is 0 where the market is calm and 1 where it is wild. Of every commodity by name: `volatility` [T], the
    standard deviation of that day's logarithmic return; `drift`, its mean; `price` [T], in its unit, as printed.
    `index` [T] follows the state by days, with noise, and is about 100 times the yearly volatility of equities.
    """

    seed: int
    days: Days
    regime: Ints
    volatility: dict[str, Floats]
    drift: dict[str, float]
    price: dict[str, Floats]
    index: Floats

    def at(self, day: date) -> int:
        """Return how many trading days there are up to a day, itself counted."""
        return int(np.searchsorted(self.days, np.datetime64(day, "D"), side="right"))


def truth(seed: int) -> Truth:
    """Return the world of a seed: the same seed gives the same world, whatever day it is later written as of."""
    days = trading_days()
    days = days[days <= np.datetime64(END, "D")]
    regime = _states(stream(seed, "states"), len(days))
    shared = stream(seed, "shared").standard_normal(len(days))
    volatility, price = {}, {}
    for one in COMMODITIES:
        own = stream(seed, one.name).standard_normal(len(days))
        volatility[one.name] = np.array(one.volatility)[regime]
        shock = np.sqrt(SHARED) * shared + np.sqrt(1 - SHARED) * own
        change = one.drift + volatility[one.name] * shock
        change[0] = 0.0
        price[one.name] = np.round(one.price * np.exp(np.cumsum(change)), one.digits)
    drift = {one.name: one.drift for one in COMMODITIES}
    return Truth(seed, days, regime, volatility, drift, price, _index(stream(seed, "index"), regime, shared))


def _states(rng: np.random.Generator, size: int) -> Ints:
    """Return a Markov chain of two states that begins calm: how long each lasts is geometric."""
    spells = max(4, size // 20)
    calm, wild = rng.geometric(ENTERS_WILD, spells), rng.geometric(LEAVES_WILD, spells)
    lengths = np.column_stack([calm, wild]).ravel()
    return np.repeat(np.arange(2 * spells) % 2, lengths)[:size]


def _index(rng: np.random.Generator, regime: Ints, shared: Floats) -> Floats:
    """Return the index: it moves a quarter of the way to the state's level each day, and up when prices fall."""
    from scipy.signal import lfilter

    target = np.log(np.array(INDEX_LEVEL))[regime]
    level = lfilter([FOLLOWS], [1.0, FOLLOWS - 1.0], target, zi=[(1 - FOLLOWS) * target[0]])[0]
    surprise = INDEX_NOISE * rng.standard_normal(len(regime)) - 0.03 * shared
    wanders = lfilter([1.0], [1.0, -0.9], surprise)
    return np.asarray(np.round(np.exp(level + wanders), 2))
