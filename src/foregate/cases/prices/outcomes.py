"""Outcomes: forecasts as they were issued, held against the prices that came when they fell due."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foregate.cases.prices.forecasting import Told
from foregate.cases.prices.issues import Issue
from foregate.cases.prices.quotes import Market
from foregate.cases.prices.settings import REGIMES
from foregate.core.evidence import Evidence, Unit
from foregate.metrics.coverage import coverage
from foregate.metrics.diebold import relative_loss
from foregate.metrics.estimate import untold
from foregate.modeling.measured import Measured

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
LEAST = 8
WEEK = 7


@dataclass(frozen=True)
class Outcomes:
    """What was issued of one series at one horizon, oldest first, the last issue of each price day: n of them.

    `at`: the place of the price day among the series' days. `price`, `forecast`, `spread` [n], `lower` and `upper`
    [L, n] as they were told. `came` [n]: the price a horizon of quoted days later, NaN until it is known. `lost` issues
    stand on a price day the series has no more, `revised` ones on a price that has been changed since.
    """

    key: str
    days: int
    levels: tuple[float, ...]
    at: Ints
    price: Floats
    forecast: Floats
    spread: Floats
    lower: Floats
    upper: Floats
    came: Floats
    displacement: float = 0.0
    lost: int = 0
    revised: int = 0

    @property
    def matured(self) -> NDArray[np.bool_]:
        """Which of them have fallen due."""
        return np.isfinite(self.came)

    @property
    def step(self) -> int:
        """The quoted days between two issues, as a rule."""
        return max(1, int(np.median(np.diff(self.at)))) if self.at.size > 1 else 1

    @property
    def overlap(self) -> int:
        """How many issues in a row hang together because their horizons overlap."""
        return max(1, math.ceil(self.days / self.step))


def outcomes(issues: Sequence[Issue], market: Market, displacements: Mapping[str, float]) -> list[Outcomes]:
    """Return what was issued by series and horizon, with what came by the market's day."""
    rows: dict[str, dict[object, Told]] = {}
    for issue in issues:
        for one in issue.told:
            if one.series in market.quotes:
                rows.setdefault(one.key, {})[one.price_day] = one
    return [_of(key, list(told.values()), market, displacements) for key, told in rows.items()]


def _of(key: str, told: Sequence[Told], market: Market, displacements: Mapping[str, float]) -> Outcomes:
    first = told[0]
    quotes = market.quotes[first.series]
    days = np.array([one.price_day for one in told], dtype="datetime64[D]")
    place = np.minimum(np.searchsorted(quotes.days, days), quotes.days.size - 1)
    there = quotes.days[place] == days
    kept = [one for one, found in zip(told, there, strict=True) if found]
    at = place[there].astype(np.int64)
    price = np.array([one.price for one in kept])
    due = at + first.days
    came = np.where(due < quotes.price.size, quotes.price[np.minimum(due, quotes.price.size - 1)], np.nan)
    levels = tuple(first.bounds)
    bounds = np.array([[one.bounds[level] for one in kept] for level in levels]).reshape(len(levels), len(kept), 2)
    return Outcomes(
        key=key,
        days=first.days,
        levels=levels,
        at=at,
        price=price,
        forecast=np.array([one.forecast for one in kept]),
        spread=np.array([one.spread for one in kept]),
        lower=bounds[..., 0],
        upper=bounds[..., 1],
        came=came,
        displacement=displacements.get(first.series, 0.0),
        lost=int((~there).sum()),
        revised=int((~np.isclose(price, quotes.price[at], rtol=1e-9, atol=0)).sum()),
    )


def outcome_evidence(made: Measured, found: Sequence[Outcomes], promised: Mapping[str, float]) -> Iterator[Evidence]:
    """Yield what issued forecasts came to; `promised` is each one's percentage error on the sealed days, in percent."""
    for one in found:
        yield from estimates(made, one)
        yield from daily(made, one, promised.get(one.key, math.nan))
        same = one.matured.sum() > 1 and np.array_equal(one.forecast[one.matured], one.came[one.matured])
        words = "forecasts equal what came every time" if same else ""
        yield made.count("zero_error", int(same), int(one.matured.sum()), one.key, words)
        yield made.count("revised_prices", one.revised + one.lost, one.at.size, one.key, _revised(one))


def _revised(one: Outcomes) -> str:
    if not one.revised + one.lost:
        return ""
    return f"{one.revised} prices changed and {one.lost} gone since they were forecast from"


def estimates(made: Measured, one: Outcomes) -> Iterator[Evidence]:
    """Yield the issued error over no-change's, and the share inside each interval; no verdict on few outcomes."""
    due = one.matured
    count = int(due.sum())
    ours, naive = np.abs(one.forecast - one.came)[due], np.abs(one.price - one.came)[due]
    words = f"{count} of {one.at.size} issues have fallen due, {count // one.overlap} of them independent"
    words += f"; a number takes {LEAST}" if count < LEAST else ""
    told = relative_loss(ours, naive, one.overlap, made.level) if count >= LEAST else untold(0, math.inf, 0, made.level)
    yield made.estimate("issued_mae_ratio", told, Unit.RATIO, one.key, words)
    for row, nominal in enumerate(one.levels):
        inside = ((one.lower[row] <= one.came) & (one.came <= one.upper[row]))[due].astype(float)
        told = (
            coverage(inside, nominal, np.arange(count) // one.overlap, made.level, count / one.overlap)
            if count >= LEAST
            else untold(0, 1, 0, made.level)
        )
        yield made.estimate(f"issued_coverage_{round(100 * nominal)}", told, Unit.RATE, one.key, words)


def daily(made: Measured, one: Outcomes, promised: float) -> Iterator[Evidence]:
    """Yield what one day says: how surprising the newest outcome was, and the seed's percentage errors beside it."""
    due = np.flatnonzero(one.matured)
    if not due.size:
        return
    last = due[-1]
    moved = _moved_by(one.came[last] + one.displacement, one.price[last] + one.displacement)
    words = f"{one.came[last]:,.2f} came, {one.forecast[last]:,.2f} forecast from {one.price[last]:,.2f}"
    yield made.count("surprise", round(moved / one.spread[last], 3), int(due.size), one.key, words)
    if math.isfinite(promised) and (one.came[due] > 0).all():
        errors = 100 * np.abs(one.forecast[due] - one.came[due]) / one.came[due]
        words = f"percentage points over the {promised:.2f} % of the sealed days"
        yield made.count("relative_mape", round(float(errors[-1]) - promised, 4), 1, one.key, words)
        week = errors[-WEEK:]
        yield made.count("weekly_relative_mape", round(float(week.mean()) - promised, 4), week.size, one.key, words)


def _moved_by(came: float, price: float) -> float:
    """Return the logarithm of came over price, or, where a price has none, the change as a share of the price."""
    return math.log(came / price) if min(came, price) > 0 else (came - price) / abs(price or 1.0)


def issue_evidence(made: Measured, issues: Sequence[Issue]) -> Iterator[Evidence]:
    """Yield what issues say by themselves: limits crossed, how weights moved within a week, and regimes."""
    if not issues:
        return
    newest = issues[-1]
    flagged = [one.key for one in newest.told if one.extreme]
    yield made.rate("extreme_prediction_rate", len(flagged), len(newest.told), words=", ".join(flagged))
    beyond = [f"{one.key} {one.forecast:,.2f}" for one in newest.told if one.outside]
    yield made.count("issued_out_of_bounds", len(beyond), len(newest.told), words=", ".join(beyond))
    apart = [one.key for one in newest.told if one.incoherent]
    yield made.count("issued_incoherent", len(apart), len(newest.told), words=", ".join(apart))
    week = [i for i in issues if (newest.forecast.day - i.forecast.day).days <= WEEK]
    before = {one.key: one for one in week[0].told}
    for one in newest.told:
        if one.key in before and week[0] is not newest:
            yield _moved(made, one, before[one.key])
    for series in dict.fromkeys(one.series for one in newest.told):
        states = [next(one.regime for one in i.told if one.series == series) for i in week if _has(i, series)]
        changes = sum(a != b for a, b in zip(states, states[1:], strict=False))
        words = f"{states[-1]} now, one of {' and '.join(REGIMES)}"
        yield made.count("weekly_regime_changes", changes, len(states), series, words)


def _has(issue: Issue, series: str) -> bool:
    return any(one.series == series for one in issue.told)


def _moved(made: Measured, now: Told, before: Told) -> Evidence:
    shifts = {name: abs(weight - before.weights.get(name, 0.0)) for name, weight in now.weights.items()}
    most = max(shifts, key=lambda name: shifts[name])
    words = f"{most} from {before.weights.get(most, 0.0):.2f} to {now.weights[most]:.2f}"
    return made.count("weekly_weight_shift", round(shifts[most], 4), len(shifts), now.key, words)
