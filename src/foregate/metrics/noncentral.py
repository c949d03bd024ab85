"""How large an effect a chi-square statistic speaks for, chance taken off."""

import math

from scipy.special import chndtr

from foregate.metrics.estimate import checked_level, critical
from foregate.metrics.inputs import at_least

# Beyond this the noncentral chi-square is normal to four digits, and its series is slow.
LARGE = 1e5


def _noncentrality(statistic: float, freedom: int, tail: float) -> float:
    """Return the noncentrality under which the statistic or less has probability `tail`; 0 if none does."""
    if statistic <= 0 or float(chndtr(statistic, freedom, 0.0)) <= tail:
        return 0.0
    low, high = 0.0, 2 * statistic + 100.0
    for _ in range(60):
        middle = (low + high) / 2
        if float(chndtr(statistic, freedom, middle)) > tail:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def noncentrality_bounds(statistic: float, freedom: int, level: float = 0.95) -> tuple[float, float]:
    """Return the interval of the noncentrality of which a chi-square statistic was one draw.

    Both bounds invert the noncentral chi-square distribution. A statistic below its degrees of freedom,
    less than chance alone would give, has the upper bound of a statistic that equals them, so that luck
    never makes the interval empty. ValueError for fewer than one degree of freedom. Steiger & Fouladi
    1997 (noncentrality interval estimation).

    >>> [round(bound, 1) for bound in noncentrality_bounds(30.0, 9)]
    [6.0, 46.0]
    """
    at_least(freedom, 1, "degrees of freedom")
    tail = (1 - checked_level(level)) / 2
    if statistic > LARGE:
        z, excess = critical(level), statistic - freedom
        half = z * math.sqrt(2 * freedom + 4 * excess + 4 * z * z)
        return excess + 2 * z * z - half, excess + 2 * z * z + half
    low = _noncentrality(statistic, freedom, 1 - tail)
    return low, max(low, _noncentrality(max(statistic, float(freedom)), freedom, tail))
