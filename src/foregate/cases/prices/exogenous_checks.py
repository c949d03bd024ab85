"""Findings about exogenous columns: filled in, frozen, sparse, known too late, or telling what can not be known yet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

import numpy as np

from foregate.cases.prices.quote_checks import LONGEST_RUN, lag, row_findings, runs, unit_jumps
from foregate.cases.prices.quotes import MOST_DAYS, Floats, Ints, Market, Quotes, Values, exogenous_at
from foregate.cases.prices.settings import PricesSettings
from foregate.core.evidence import Evidence
from foregate.modeling.measured import Measured

NEAR_ZERO: Final = 0.05
MOSTLY_ZERO: Final = 0.9
STRAIGHT: Final = 4
"""So many numbers running on the line through the two before them are no measurement."""
SURELY: Final = 1.645
OFTEN: Final = 10
FIRST_PART: Final = 0.7
LEAST_WINDOWS: Final = 8
LEAST_ROWS: Final = 250
RIDGE: Final = 1e-3
MOST_SDS: Final = 5.0
_EXPLAINED_BY: Final = (1, 5, 21)


def exogenous_findings(made: Measured, market: Market, settings: PricesSettings) -> Iterator[Evidence]:
    """Yield, for each exogenous column, what is wrong with its rows and its values, as exact numbers.

    Of the rows, see `row_findings`. `lag_days`: within which nine in ten values are known. `support`: the least part, 0
    to 1, of a series' days with a value. `zero_share`: the part of values that are exactly zero, 0 where zeros come
    naturally. `constant_share`: the part in runs of more than five equal values. `imputed_share`: the part that lies
    on straight lines between others, or is the one value, other than zero, that stands far more often than any other.
    `silent_days`: by how much the newest value is older, on the day the newest price is known, than a value may be.
    `constant_tail`: how many of the newest values are the same. `value_jumps`: as `unit_jumps` of prices.
    `leak_probe`: the most that the column explains of returns still to come, see `foretold`.
    """
    for name, values in market.exogenous.items():
        yield from row_findings(made, name, values.rows)
        yield lag(made, name, values)
        yield _support(made, market, name)
        yield from _filled(made, name, values)
        yield from _newest(made, market, name, values)
        yield _leak_probe(made, market, settings, name)


class Told(NamedTuple):
    """How much a column explains out of sample, at most 1 (0 or less: nothing), and of what."""

    share: float = 0.0
    of: str = ""
    rows: int = 0


def foretold(days: Mapping[str, Floats], horizons: tuple[int, ...]) -> Told:
    """Return the most that a column explains of what a series does later, out of sample.

    `days`: "y" [T], the displaced logarithm of the price, and "x" [T], the column's value dated no later than that day,
    NaN without one. Two questions are asked, each fitted by ridge regression on the first 70 % of days and scored on
    the rest: for each horizon of which the rest holds eight windows, how much of the return to come the column's level
    and changes explain beyond what the price's own level and change do; and, over all days up to the longest horizon,
    how much of the column's own daily change is made of returns still to come. The first sees a target with noise on
    it, the second a price or average shifted by any number of days. The share is the low end of a one-sided 95 %
    interval (Fisher 1921) on as many rows as there are windows that do not overlap. Changes are cut at five robust
    standard deviations.

    >>> y = np.cumsum(np.random.default_rng(1).normal(0, 0.01, 3000))
    >>> leak = foretold({"y": y[:-5], "x": y[5:]}, (5, 21))
    >>> leak.share > 0.9, foretold({"y": y, "x": y[::-1].copy()}, (5, 21)).share < 0.3
    (True, True)
    """
    kept = np.isfinite(days["x"]) & np.isfinite(days["y"])
    y, x = days["y"][kept], _straightened(days["x"][kept])
    if len(y) < LEAST_ROWS or not np.ptp(x):
        return Told(rows=len(y))
    found = [
        _forwards(y, x, ahead) for ahead in horizons if (1 - FIRST_PART) * (len(y) - ahead) >= LEAST_WINDOWS * ahead
    ]
    found.append(_backwards(y, x, max(horizons)))
    return max(found, key=lambda one: one.share)


def _straightened(x: Floats) -> Floats:
    return np.log(x) if len(x) and x.min() > 0 else x


def _forwards(y: Floats, x: Floats, ahead: int) -> Told:
    """Return how much of the return over a horizon the column explains beyond what the price's own past does."""
    target = _cut(y[ahead:] - y[:-ahead])[max(_EXPLAINED_BY) :]
    past = [y, _change(y, 5)]
    told = [x, *(_change(x, span) for span in _EXPLAINED_BY)]
    rows = slice(max(_EXPLAINED_BY), len(y) - ahead)
    own = np.column_stack([one[rows] for one in past])
    both = np.column_stack([own, *(one[rows] for one in told)])
    plain = min(_left_over(own, target, ahead), _left_over(own[:, :0], target, ahead))
    share = _surely(_left_over(both, target, ahead), plain, (1 - FIRST_PART) * len(target) / ahead)
    return Told(share, f"the return over {ahead} days", len(target))


def _backwards(y: Floats, x: Floats, longest: int) -> Told:
    """Return how much of the column's daily change is made of returns still to come."""
    change, moved = _cut(np.diff(y)), np.diff(x)
    longest = min(longest, len(change) // 10)
    coming = np.lib.stride_tricks.sliding_window_view(change[1:], longest)
    rows = np.flatnonzero(moved[: len(coming)] != 0)
    if len(rows) < max(LEAST_ROWS, 4 * longest):
        return Told(rows=len(rows))
    target = _cut(moved[rows])
    plain = _left_over(coming[rows, :0], target, longest)
    share = _surely(_left_over(coming[rows], target, longest), plain, (1 - FIRST_PART) * len(target))
    return Told(share, f"its change by the returns of the {longest} days after", len(rows))


def _surely(left: float, plain: float, windows: float) -> float:
    """Return the part explained that so many independent windows are sure of: the low end of Fisher's interval."""
    if left >= plain:
        return 0.0
    # On ten windows of half a year, luck alone explains two fifths of a return now and then.
    correlation = float(np.arctanh(np.sqrt(min(1 - left / plain, 1 - 1e-12)))) - SURELY / float(np.sqrt(windows - 3))
    return float(np.tanh(max(0.0, correlation)) ** 2)


def _left_over(columns: Floats, target: Floats, gap: int) -> float:
    """Return the squared error on the last days of a ridge regression on the first, a gap of days left between."""
    cut = int(FIRST_PART * len(target))
    begun = max(1, cut - gap)
    mean, spread = columns[:begun].mean(axis=0), columns[:begun].std(axis=0)
    scaled = np.clip((columns - mean) / np.where(spread > 0, spread, 1.0), -2 * MOST_SDS, 2 * MOST_SDS)
    design = np.column_stack([np.ones(len(target)), scaled])
    weight = np.eye(design.shape[1]) * RIDGE * begun
    weight[0, 0] = 0.0
    learned = np.linalg.solve(design[:begun].T @ design[:begun] + weight, design[:begun].T @ target[:begun])
    return float(((target[cut:] - design[cut:] @ learned) ** 2).sum())


def _cut(change: Floats) -> Floats:
    """Return changes in robust standard deviations, cut at five: one wild day must not decide."""
    spread = 1.4826 * float(np.median(np.abs(change - np.median(change)))) or float(change.std()) or 1.0
    return np.asarray(np.clip(change / spread, -MOST_SDS, MOST_SDS))


def _change(x: Floats, span: int) -> Floats:
    found = np.zeros(len(x))
    found[span:] = x[span:] - x[:-span]
    return found


def dated_by(quotes: Quotes, values: Values) -> Floats:
    """Return [T] the column's value of the latest day up to each price's own day, if known when that price is.

    Values of days between a price's own day and the day it is known are honest news, and no sign of a leak.
    """
    # A row counts as known only when all before it are: too late, never too early.
    known = np.maximum.accumulate(values.known)
    at = np.minimum(
        np.searchsorted(values.days, quotes.days, side="right"), np.searchsorted(known, quotes.known, side="right")
    )
    found = np.full(len(quotes), np.nan)
    found[at > 0] = values.value[at[at > 0] - 1]
    return found


def _leak_probe(made: Measured, market: Market, settings: PricesSettings, name: str) -> Evidence:
    values, found = market.exogenous[name], {}
    for series, quotes in market.quotes.items() if len(values) else ():
        shifted = quotes.price + settings.series[series].displacement
        y = np.log(np.where(shifted > 0, shifted, np.nan))
        found[series] = foretold({"y": y, "x": dated_by(quotes, values)}, tuple(settings.horizons.values()))
    where = max(found, key=lambda series: found[series].share, default="")
    worst = found.get(where, Told())
    share = max(0.0, worst.share)
    words = f"out of sample it explains {share:.0%} of {worst.of}, {where}" if worst.of else "too few days to tell"
    return made.count("leak_probe", share, worst.rows, name, words)


def _support(made: Measured, market: Market, name: str) -> Evidence:
    shares = {series: float(np.isfinite(exogenous_at(market, series, name)).mean()) for series in market.quotes}
    series = min(shares, key=lambda one: shares[one])
    words = f"on {shares[series]:.0%} of the days of {series} a value is known"
    return made.count("support", shares[series], len(market.quotes[series]), name, words)


def _newest(made: Measured, market: Market, name: str, values: Values) -> Iterator[Evidence]:
    """Yield whether the column still says something new on the newest day, and whether its unit is what it was."""
    if not len(values):
        for evidence in ("silent_days", "constant_tail", "value_jumps"):
            yield made.count(evidence, 0, 0, name, "no value at all")
        return
    asked, newest = max(quotes.known[-1] for quotes in market.quotes.values()), values.days[-1]
    age = int((asked - newest).astype(int))
    words = f"newest value of {newest}, {age} days before the newest price is known; {MOST_DAYS} count"
    yield made.days("silent_days", max(0, age - MOST_DAYS), len(values), name, words)
    long = int(runs(values.value)[-1])
    words = f"{values.value[-1]:g} on each of the newest {long} days" if long > 1 else ""
    yield made.count("constant_tail", long, len(values), name, words)
    # What may be zero or negative has no level that a unit could multiply.
    places = unit_jumps(values.value) if values.value.min() > 0 else np.zeros(0, dtype=np.int64)
    words = "; ".join(f"to {values.value[at]:g} on {values.days[at]}" for at in places[:3].tolist())
    yield made.count("value_jumps", len(places), len(values), name, words)


def _filled(made: Measured, name: str, values: Values) -> Iterator[Evidence]:
    x, rows = values.value, len(values)
    if not rows:
        for evidence in ("zero_share", "constant_share", "imputed_share"):
            yield made.count(evidence, 0.0, 0, name, "no value at all")
        return
    zeros, natural = float((x == 0).mean()), _zeros_are_natural(x)
    words = f"{zeros:.0%} are exactly zero" + (", as comes naturally to it" if natural else "")
    yield made.count("zero_share", 0.0 if natural else zeros, rows, name, words if zeros else "")
    same = _lengths(x)
    worst = int(same.argmax())
    words = f"{x[worst]:g} on each of {same[worst]} days from {values.days[worst]}"
    words = words if same[worst] > LONGEST_RUN else ""
    yield made.count("constant_share", float((same > LONGEST_RUN).mean()), rows, name, words)
    by_row, by_day = _on_lines(x, np.arange(rows)), _on_lines(x, values.days.astype(np.int64))
    lines, (usual, often) = max(by_row, by_day), _most_often(x)
    words = f"{lines:.0%} lie on straight lines; {usual:g} stands on {often:.0%}" if max(lines, often) else ""
    yield made.count("imputed_share", max(lines, often), rows, name, words)


def _zeros_are_natural(x: Floats) -> bool:
    """Return whether other values come close to zero too, or are counts from one on; never where most are zero."""
    others = np.abs(x[x != 0])
    if not len(others) or len(others) < (1 - MOSTLY_ZERO) * len(x):
        return False
    least = 1.0 if np.array_equal(others, np.round(others)) else 0.0
    return bool(np.quantile(others, 0.01) <= max(least, NEAR_ZERO * float(np.median(others))))


def _lengths(x: Floats) -> Ints:
    """Return [rows] how long the run of equal values is that each one stands in."""
    begins = np.flatnonzero(runs(x) == 1)
    lengths = np.diff(np.append(begins, len(x)))
    return np.repeat(lengths, lengths)


def _on_lines(x: Floats, at: Ints) -> float:
    """Return the part of values that go on along the line through the two before, four or more in a row."""
    if len(x) < STRAIGHT + 2:
        return 0.0
    slope = np.diff(x) / np.diff(at)
    straight = (np.abs(np.diff(slope)) <= 1e-9 * float(np.abs(x).max())) & (slope[1:] != 0)
    return float(((_lengths(straight.astype(np.float64)) >= STRAIGHT) & straight).sum() / len(x))


def _most_often(x: Floats) -> tuple[float, float]:
    """Return the value other than zero that stands ten times as often as any other, and its part; else 0 and 0."""
    found, counts = np.unique(x[x != 0], return_counts=True)
    if len(found) < 2:
        return 0.0, 0.0
    order = np.argsort(counts)
    if counts[order[-1]] < OFTEN * counts[order[-2]]:
        return 0.0, 0.0
    return float(found[order[-1]]), float(counts[order[-1]] / len(x))
