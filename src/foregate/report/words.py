"""Numbers in words: one way to write a value of each unit, never an estimate without its interval."""

from __future__ import annotations

import math
from datetime import date

from foregate.core.evidence import Evidence, Unit

_VAST = 10_000.0


def number(found: Evidence) -> str:
    """Return the value as a person reads it, its interval in brackets.

    >>> number(Evidence("lift", 2.034, 3393, date(2025, 10, 31), "x", 1.31, 2.9, Unit.RATIO))
    '2.03x [1.31, 2.90]'
    >>> number(Evidence("lift", math.nan, 0, date(2025, 10, 31), "x", 0.0, math.inf, Unit.RATIO))
    'unknown'
    """
    if math.isnan(found.value):
        return "unknown"
    value = _one(found.value, found.unit)
    if found.low is None or found.high is None:
        return value
    if found.low == found.high == found.value == 0 and found.rows == 0:
        return "not measured"
    low, high = (_bare(x, found.unit) for x in (found.low, found.high))
    return f"{value} [{low}, {high}]"


def _one(value: float, unit: Unit) -> str:
    if unit is Unit.DATE:
        return date.fromordinal(int(value)).isoformat()
    bare = _bare(value, unit)
    return {Unit.RATE: f"{bare} %", Unit.RATIO: f"{bare}x", Unit.DAYS: f"{bare} days"}.get(unit, bare)


def _bare(value: float, unit: Unit) -> str:
    if math.isnan(value):
        return "unknown"
    if math.isinf(value):
        return "infinity" if value > 0 else "-infinity"
    forms = {
        Unit.RATE: lambda: f"{100 * value:.2f}" if abs(value) < 0.1 else f"{100 * value:.1f}",
        Unit.RATIO: lambda: f"{value:.2f}" if abs(value) < _VAST else f"{value:.0e}",
        Unit.SCORE: lambda: f"{value:.3f}",
        Unit.DIFFERENCE: lambda: _signed(value),
    }
    if unit in forms:
        return forms[unit]()
    return f"{value:,.0f}" if value == int(value) else f"{value:,.2f}"


def _signed(value: float) -> str:
    if abs(value) >= _VAST:
        return f"{value:+.0e}"
    return f"{value:+.3f}" if abs(value) >= 0.001 or value == 0 else f"{value:+.5f}"


def bound(value: float, unit: Unit) -> str:
    """Return a gate's threshold in the unit of what it judges.

    >>> bound(0.05, Unit.RATE)
    '5.00 %'
    """
    return _one(value, unit)
