"""One measured number, the range it may lie in, and the rows it stands on."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class Estimate(NamedTuple):
    """A measured value with its interval; `low <= value <= high` whenever the value can be told.

    A value of NaN means that the data were legal and cannot tell (no rows, no positives); the interval
    is then the whole range that the quantity can take. `rows` counts the rows behind the value and
    `level` is the share of intervals built this way that hold the truth.
    """

    value: float
    low: float
    high: float
    rows: int
    level: float = 0.95


def bracketed(value: float, low: float, high: float, rows: float, level: float) -> Estimate:
    """Return the estimate with its interval widened, where rounding left it out, to hold the value.

    >>> bracketed(0.5, 0.6, 0.9, 10, 0.95).low
    0.5
    """
    if value == value:
        low, high = min(low, value), max(high, value)
    return Estimate(float(value), float(low), float(high), round(rows), float(level))


def untold(low: float, high: float, rows: float, level: float) -> Estimate:
    """Return the estimate that says nothing: value NaN, interval the whole range of the quantity.

    >>> untold(0, 1, 0, 0.95)
    Estimate(value=nan, low=0.0, high=1.0, rows=0, level=0.95)
    """
    return Estimate(float("nan"), float(low), float(high), round(rows), float(level))


def checked_level(level: float) -> float:
    """Return the level; ValueError unless it lies strictly between 0 and 1.

    >>> checked_level(0.95)
    0.95
    """
    if not 0.0 < level < 1.0:
        raise ValueError(f"the level is {level}; wanted a share strictly between 0 and 1")
    return float(level)


def critical(level: float) -> float:
    """Return the standard normal value that leaves `level` of the mass between it and its negative.

    >>> round(critical(0.95), 3)
    1.96
    """
    return float(ndtri(0.5 + checked_level(level) / 2.0))


def squared_and_added(left: Estimate, right: Estimate) -> tuple[float, float]:
    """Return bounds of left minus right for independent estimates from the bounds of each.

    The square-and-add rule (MOVER) of Zou & Donner 2008, of which Newcombe's 1998 method 10 is the case of
    two Wilson intervals.

    >>> one = Estimate(0.5, 0.4, 0.6, 100)
    >>> [round(bound, 4) for bound in squared_and_added(one, one)]
    [-0.1414, 0.1414]
    """
    gap = left.value - right.value
    low = gap - float(np.hypot(left.value - left.low, right.high - right.value))
    high = gap + float(np.hypot(left.high - left.value, right.value - right.low))
    return low, high
