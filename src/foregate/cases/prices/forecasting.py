"""Forecasts: what is said of every series and horizon from the newest known price, and on which day it falls due."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np

from foregate.cases.prices.combining import Followed
from foregate.cases.prices.settings import REGIMES, PricesSettings
from foregate.cases.prices.tracks import Track
from foregate.cases.prices.trading_days import Calendar
from foregate.modeling.price_limits import outside

_YEAR_DAYS = 252


@dataclass(frozen=True)
class Told:
    """One series' price at one horizon, as it is forecast on a day.

    `price` is the newest known, of `price_day`, and what no-change says; `target_day` the trading day it is forecast
    for, as the series' own calendar has it. `bounds`: nominal level -> (lower, upper). `volatility` is a year's, as a
    share. `spread` is the standard deviation of the return over the horizon. `plain`: too few outcomes so far for the
    interval to have learnt from. `outside`: the forecast lies beyond the declared bounds; it is told as it is.
    """

    series: str
    unit: str
    horizon: str
    days: int
    price_day: date
    price: float
    target_day: date
    forecast: float
    bounds: Mapping[float, tuple[float, float]]
    regime: str
    volatility: float
    spread: float
    weights: Mapping[str, float]
    extreme: bool = False
    outside: bool = False
    incoherent: bool = False
    plain: bool = False

    @property
    def key(self) -> str:
        """The series with its horizon, as gates and readers name it."""
        return f"{self.series} {self.horizon}"


@dataclass(frozen=True)
class Forecast:
    """What was said on a day: every series at every horizon."""

    day: date
    told: tuple[Told, ...]


def told_of(track: Track, found: Followed, settings: PricesSettings) -> Iterator[Told]:
    """Yield what a track's last day says of each horizon."""
    declared, calendar = settings.series[track.name], Calendar.learn(track.days)
    low, high = declared.bounds or (None, None)
    day: date = track.days[-1].astype(object)
    point = track.point(found.said)[:, -1]
    lower, upper = track.point(found.lower)[..., -1], track.point(found.upper)[..., -1]
    beyond = outside(point, low, high)
    for row, (name, ahead) in enumerate(settings.horizons.items()):
        yield Told(
            series=track.name,
            unit=declared.unit,
            horizon=name,
            days=ahead,
            price_day=day,
            price=float(track.price[-1]),
            target_day=calendar.after(day, ahead),
            forecast=float(point[row]),
            bounds={n: (float(lower[at, row]), float(upper[at, row])) for at, n in enumerate(settings.levels)},
            regime=REGIMES[max(0, int(track.state[-1]))],
            volatility=_yearly(track),
            spread=float(track.spread[row, -1]),
            weights=dict(zip(track.experts, found.weights[row, -1].tolist(), strict=True)),
            extreme=bool(found.extreme[row, -1]),
            outside=bool(beyond[row]),
            incoherent=bool(found.incoherent[-1]),
            plain=bool(found.plain[row, -1]),
        )


def _yearly(track: Track) -> float:
    """Return a year's standard deviation as a share of the newest price, NaN for one that is not above 0.

    Returns are those of the price with its displacement; of the price itself they are larger.
    """
    price = float(track.price[-1])
    daily = float(track.volatility[-1]) * (price + track.displacement)
    return float(daily * np.sqrt(_YEAR_DAYS) / price) if price > 0 else float("nan")
