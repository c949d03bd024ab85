"""The outlook: what a version's newest forecast says, beside what came before it, as plain values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np

from foregate.app.issued import newest
from foregate.app.prices.issuing import today_of
from foregate.cases.prices import issues
from foregate.cases.prices.combining import combined
from foregate.cases.prices.issuing import rule_of
from foregate.core.errors import NotAllowedError

if TYPE_CHECKING:
    from foregate.app.prices.case import Prices
    from foregate.cases.prices.packages import Package
    from foregate.cases.prices.quotes import Market
    from foregate.cases.prices.tracks import Days, Floats

DAYS_BACK, WEIGHT_STEP = 250, 21
LEARNT = "ml_poly"
Row = dict[str, Any]


@dataclass(frozen=True)
class Outlook:
    """A forecast as people read it: a row for each series and horizon, the prices before, and weights over time."""

    version: str
    as_of: date
    told: list[Row]
    before: list[Row]
    weights: list[Row]


def outlook(app: Prices, version: str, *, past_weights: bool = False) -> Outlook:
    """Return the newest issue of a version; raises NotAllowedError when there is none.

    `past_weights`: follow every series again to tell how its weights moved, which takes some seconds.
    """
    issue = newest(app, version, app.clock().date(), read=issues.read)
    if issue is None:
        raise NotAllowedError(
            f"forecast of {version}", found="none issued", wanted="one", then="`foregate forecast prices` issues one."
        )
    package, on = app.package(version), issue.forecast.day
    with app.warehouse() as engine:
        market = today_of(app, engine, on).market(package.settings)
    told: list[Row] = []
    before: list[Row] = []
    for one in issue.told:
        bounds = {
            f"{side}_{round(100 * level)}": ends[at]
            for level, ends in one.bounds.items()
            for at, side in enumerate(("lower", "upper"))
        }
        told.append(
            {"series": one.series, "unit": one.unit, "horizon": one.horizon, "due": one.target_day}
            | {"price": one.price, "price_day": one.price_day, "forecast": one.forecast, **bounds}
            | {"regime": one.regime, "volatility": one.volatility, "weights": dict(one.weights)}
            | {"rule": rule_of(package, one), "extreme": one.extreme, "out_of_bounds": one.outside}
            | {"incoherent": one.incoherent}
        )
    for series, quotes in market.quotes.items():
        last = slice(-DAYS_BACK, None)
        days = quotes.days[last].astype(object)
        before += [
            {"series": series, "day": day, "price": price}
            for day, price in zip(days, quotes.price[last].tolist(), strict=True)
        ]
    weights = list(_weights(package, market)) if past_weights else []
    return Outlook(version, on, told, before, weights)


def _weights(package: Package, market: Market) -> Iterator[Row]:
    """Yield each expert's weight by series and horizon once a month: in force, and as learnt before evidence is asked.

    They differ where a rule takes only as much of what it has learnt as past outcomes bear out.
    """
    for series in package.settings.series:
        track, found = package.follow(market, series)
        at = np.arange(track.days.size - 1, -1, -WEIGHT_STEP)[::-1]
        kinds = {"in force": found.weights, "learnt": combined(track, LEARNT, package.settings).weights}
        for kind, weights in kinds.items():
            for row, horizon in enumerate(package.settings.horizons):
                about = {"series": series, "horizon": horizon, "kind": kind}
                yield from _by_expert(about, track.experts, track.days[at], weights[row, at])


def _by_expert(about: Row, experts: Sequence[str], days: Days, weights: Floats) -> Iterator[Row]:
    """Yield a row for each day and expert; nobody's weight is left out, and an unknown one has no row."""
    for place, expert in enumerate(experts):
        for day, value in zip(days.astype(object), weights[:, place].tolist(), strict=True):
            if np.isfinite(value):
                yield about | {"day": day, "expert": expert, "weight": value}
