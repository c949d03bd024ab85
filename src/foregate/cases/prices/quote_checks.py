"""Findings about quotes: rows that are no observations, and prices that stopped, jumped or left their bounds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from foregate.cases.prices.quotes import Days, Flags, Floats, Ints, Quotes, Rows, Values
from foregate.cases.prices.settings import Series
from foregate.cases.prices.trading_days import Calendar
from foregate.core.evidence import Evidence
from foregate.modeling.measured import Measured

LONGEST_RUN: Final = 5
"""So many sessions may close at one price."""
STEP: Final = np.log(1.5)
"""A smaller change of unit can not be told from a crash."""
AROUND: Final = 20
LEAST_AROUND: Final = 5
STEP_SDS: Final = 8.0
CALM: Final = 1 / 3
EXTREME_SDS: Final = 12.0
EXTREME_DAYS: Final = 60
USUAL_DAYS: Final = 250


def row_findings(made: Measured, name: str, rows: Rows) -> Iterator[Evidence]:
    """Yield what is wrong with the rows that a series or an exogenous column was read from, as exact numbers.

    `missing_prices`: the part, 0 to 1, without a day, a number or a known day. `duplicate_days`: rows beyond the first
    of their day, which the words tell by whether they agree. `future_dated`: rows dated after the as-of date though
    known by then, or further ahead than the days to come can be. `seen_early`: rows known before their own day.
    """
    share = rows.missing / max(1, rows.read)
    words = f"{rows.missing:,} of {rows.read:,} rows lack a day, a number or the day it is known; they are left out"
    yield made.count("missing_prices", share, rows.read, name, words if rows.missing else "")
    doubled = rows.identical + rows.differing
    words = (
        f"{rows.identical:,} rows repeat a day with the same number, {rows.differing:,} with another, "
        f"as {rows.doubled_on}; the one known first is kept"
    )
    yield made.count("duplicate_days", doubled, rows.read, name, words if doubled else "every day once")
    words = f"{rows.future:,} rows are dated after the as-of date, as {rows.future_on}: they can not have happened"
    yield made.count("future_dated", rows.future, rows.read, name, words if rows.future else "")
    words = f"{rows.early:,} rows say they were known before their own day, as {rows.early_on}"
    yield made.count("seen_early", rows.early, rows.read, name, words if rows.early else "")


def series_findings(made: Measured, name: str, quotes: Quotes, declared: Series) -> Iterator[Evidence]:
    """Yield what is odd about the prices of a series, up to the newest known.

    `history_days`: its trading days. `stale_days`: by how much the newest is older than `fresh_days` allows.
    `hole_days`: the longest run of missing days on which its own calendar says that it trades. `frozen_sessions`,
    `frozen_tail`: the longest run of sessions at one price, anywhere and at the end. `unit_jumps`: steps to another
    level, by half or more, that stay and after which returns are no wilder: a changed unit, not a crash.
    `extreme_returns`: changes of the displaced logarithm beyond 12 standard deviations of the 60 sessions before.
    `non_positive_prices`: prices that have no displaced logarithm; `negative_prices`: those below 0; `out_of_bounds`:
    those outside `bounds`. All are exact numbers.
    """
    size = len(quotes)
    words = f"{quotes.days[0]} to {quotes.days[-1]}"
    yield made.days("history_days", size, size, name, words)
    yield _stale(made, name, quotes, declared)
    yield _hole(made, name, quotes.days)
    yield from _frozen(made, name, quotes)
    yield _unit_jumps(made, name, quotes)
    yield _extreme_returns(made, name, quotes, declared)
    yield from _levels(made, name, quotes, declared)


def lag(made: Measured, name: str, column: Quotes | Values) -> Evidence:
    """Return `lag_days`: the days within which nine in ten numbers are known after their own day."""
    days = (column.known - column.days).astype(np.int64)
    marks = np.quantile(days, [0.5, 0.9, 1.0], method="higher") if len(days) else [0, 0, 0]
    words = f"half known within {marks[0]} days, nine in ten within {marks[1]}, all within {marks[2]}"
    return made.days("lag_days", float(marks[1]), len(days), name, words)


def runs(numbers: Floats) -> Ints:
    """Return [T] how many numbers up to and with each one are the same, counted from the last change.

    >>> runs(np.array([1.0, 1.0, 2.0, 2.0, 2.0])).tolist()
    [1, 2, 1, 2, 3]
    """
    place = np.arange(len(numbers))
    begins = np.ones(len(numbers), dtype=np.bool_)
    begins[1:] = numbers[1:] != numbers[:-1]
    return np.asarray(place - np.maximum.accumulate(np.where(begins, place, 0)) + 1)


def unit_jumps(price: Floats) -> Ints:
    """Return the places at which prices step to another level that stays, as when their unit changes.

    A step by half or more, of at least eight standard deviations of the year before, that the medians of the 20
    sessions on either side share (at least five are needed), and after which no return is a third as large.

    >>> calm = np.exp(0.01 * np.sin(np.arange(60)))
    >>> unit_jumps(np.concatenate([calm, 100 * calm])).tolist()
    [60]
    """
    level = np.log(price)
    change = np.diff(level, prepend=level[:1])
    return np.array([at for at in np.flatnonzero(np.abs(change) > STEP) if _stays(level, change, int(at))], np.int64)


def _stays(level: Floats, change: Floats, at: int) -> bool:
    before, after = level[max(0, at - AROUND) : at], level[at : at + AROUND]
    if min(len(before), len(after)) < LEAST_AROUND:
        return False
    step, shift = float(change[at]), float(np.median(after) - np.median(before))
    usual = change[max(1, at - USUAL_DAYS) : at]
    # Another change of unit within the year before is no volatility.
    usual = usual[np.abs(usual) <= STEP]
    if abs(step) < STEP_SDS * float(np.std(usual)) or not 0.6 < shift / step < 1 / 0.6:
        return False
    return bool(np.abs(np.diff(after)).max() <= CALM * abs(step))


def _stale(made: Measured, name: str, quotes: Quotes, declared: Series) -> Evidence:
    if declared.fresh_days is None:
        return made.days("stale_days", 0, 0, name, "no fresh_days is declared")
    newest = quotes.days[-1].astype(object)
    age = (made.as_of - newest).days
    words = f"newest price of {newest}, {age} days before the as-of date; {declared.fresh_days} allowed"
    return made.days("stale_days", max(0, age - declared.fresh_days), len(quotes), name, words)


def _hole(made: Measured, name: str, days: Days) -> Evidence:
    lost = Calendar.learn(days).between(days[:-1], days[1:])
    if not lost.any():
        return made.days("hole_days", 0, len(days), name, "no trading day is missing")
    worst = int(lost.argmax())
    words = f"{lost[worst]} trading days between {days[worst]} and {days[worst + 1]}; {int(lost.sum()):,} in all"
    return made.days("hole_days", float(lost[worst]), len(days), name, words)


def _frozen(made: Measured, name: str, quotes: Quotes) -> Iterator[Evidence]:
    run = runs(quotes.price)
    worst = int(run.argmax())
    for evidence, at in (("frozen_sessions", worst), ("frozen_tail", len(run) - 1)):
        long = int(run[at])
        words = (
            f"{quotes.price[at]:g} on each of {long} sessions from {quotes.days[at - long + 1]} to {quotes.days[at]}"
        )
        yield made.count(evidence, long, len(quotes), name, words if long > 1 else "")


def _unit_jumps(made: Measured, name: str, quotes: Quotes) -> Evidence:
    there = np.flatnonzero(quotes.price > 0)
    places = there[unit_jumps(quotes.price[there])]
    shown = "; ".join(
        f"from {quotes.price[at - 1]:g} to {quotes.price[at]:g} on {quotes.days[at]}" for at in places[:3].tolist()
    )
    words = f"{shown}; the level stayed: a changed unit or contract?" if len(places) else ""
    return made.count("unit_jumps", len(places), len(there), name, words)


def _extreme_returns(made: Measured, name: str, quotes: Quotes, declared: Series) -> Evidence:
    there = np.flatnonzero(quotes.price + declared.displacement > 0)
    change = np.diff(np.log(quotes.price[there] + declared.displacement))
    if len(change) <= EXTREME_DAYS:
        return made.count("extreme_returns", 0, len(change), name, "too few returns to tell")
    before = np.lib.stride_tricks.sliding_window_view(change[:-1], EXTREME_DAYS).std(axis=1)
    found = np.flatnonzero(np.abs(change[EXTREME_DAYS:]) > EXTREME_SDS * before) + EXTREME_DAYS
    shown = ", ".join(f"{change[at]:+.3f} on {quotes.days[there[at + 1]]}" for at in found[:3].tolist())
    words = f"beyond {EXTREME_SDS:g} standard deviations of the {EXTREME_DAYS} sessions before: {shown}"
    return made.count("extreme_returns", len(found), len(change), name, words if len(found) else "")


def _levels(made: Measured, name: str, quotes: Quotes, declared: Series) -> Iterator[Evidence]:
    price = quotes.price
    lost = price + declared.displacement <= 0
    need = -float(price.min())
    then = f"; say displacement = a number well above {need:g} in [prices.series.{name}]"
    words = _said(quotes, lost, declared) + " has no logarithm" + then
    yield made.count("non_positive_prices", int(lost.sum()), len(price), name, words if lost.any() else "")
    negative = price < 0
    words = _said(quotes, negative, declared) if negative.any() else ""
    yield made.count("negative_prices", int(negative.sum()), len(price), name, words)
    if declared.bounds is None:
        yield made.count("out_of_bounds", 0, 0, name, "no bounds are declared")
        return
    low, high = declared.bounds
    outside = (price < low) | (price > high)
    words = f"{_said(quotes, outside, declared)} lies outside {low:g} to {high:g}" if outside.any() else ""
    yield made.count("out_of_bounds", int(outside.sum()), len(price), name, words)


def _said(quotes: Quotes, marked: Flags, declared: Series) -> str:
    """Return the lowest marked price in words, with its day and unit, and how many others there are."""
    if not marked.any():
        return ""
    at = int(np.argmin(np.where(marked, quotes.price, np.inf)))
    others = int(marked.sum()) - 1
    more = f" ({others:,} other such prices)" if others else ""
    return f"{quotes.price[at]:g} {declared.unit} on {quotes.days[at]}{more}"
