"""Tracks: one series' whole past as every expert saw it, day by day, each number from what was known on its day."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foregate.cases.prices.quotes import Market, exogenous_at
from foregate.cases.prices.settings import HIDDEN, OWN, PricesSettings
from foregate.modeling.price_experts import EXPERTS, predicted, realised
from foregate.modeling.regimes import hidden_regime, threshold_regime
from foregate.modeling.volatility import ewma, garch, over_horizon

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Days = NDArray[np.datetime64]
FITTED = ("trees", "theta", "ets", "arima")
DEFAULT = (*EXPERTS, "trees")


@dataclass(frozen=True)
class Track:
    """One series with what was known of it on each of its trading days, T of them, for H horizons and K experts.

    `price` and `y`, its displaced logarithm, and `volatility`, the daily standard deviation of returns: [T]. `spread`,
    the standard deviation of the return over each horizon, and `realised`, that return, NaN until it is known: [H, T].
    `state` [T]: the regime, 0 low, 1 high, -1 unknown; `fell_back` [T]: told by the series' own volatility for want of
    the index that was asked for.
    `predicted` [H, T, K] is what each expert said that return would be, NaN where it had nothing to say.
    """

    name: str
    days: Days
    price: Floats
    displacement: float
    horizons: tuple[int, ...]
    y: Floats
    volatility: Floats
    spread: Floats
    state: Ints
    fell_back: NDArray[np.bool_]
    experts: tuple[str, ...]
    predicted: Floats
    realised: Floats

    def point(self, said: Floats) -> Floats:
        """Return the prices [H, T] that predicted returns mean; no change is the price itself, to the last bit."""
        return np.where(said == 0, self.price, np.exp(self.y + said) - self.displacement)

    def came(self) -> Floats:
        """Return the prices [H, T] that came a horizon later, NaN until they are known."""
        found = np.full((len(self.horizons), self.price.size), np.nan)
        for row, ahead in enumerate(self.horizons):
            found[row, : max(0, self.price.size - ahead)] = self.price[ahead:]
        return found

    def errors(self, said: Floats) -> Floats:
        """Return the absolute errors [H, T] in units of the price, NaN until they are known."""
        return np.asarray(np.abs(self.point(said) - self.came()))


def experts_of(settings: PricesSettings) -> tuple[str, ...]:
    """Return the experts that are asked: the file's, else the shipped ones; no-change is always among them."""
    named = settings.experts or DEFAULT
    return named if "no_change" in named else ("no_change", *named)


def logarithm(price: Floats, displacement: float) -> Floats:
    """Return the displaced logarithm of prices; ValueError where price and displacement are not above 0 together."""
    if price.size and float(np.nanmin(price)) + displacement <= 0:
        raise ValueError(f"the least price is {np.nanmin(price):g}; wanted a displacement above {-np.nanmin(price):g}")
    return np.asarray(np.log(price + displacement))


def volatility_of(y: Floats, settings: PricesSettings) -> Floats:
    """Return the daily volatility [T] known on each day, by the model that is declared."""
    return garch(y, settings.refit_days) if settings.volatility == "garch" else ewma(y)


def _regime(market: Market, settings: PricesSettings, series: str, y: Floats) -> tuple[Ints, NDArray[np.bool_]]:
    """Return the regime of each day as known then, and on which days the series' own volatility had to tell it."""
    if settings.regime == HIDDEN:
        return hidden_regime(y, settings.refit_days).state, np.zeros(y.size, dtype=np.bool_)
    own = ewma(y)
    index = own if settings.regime == OWN else exogenous_at(market, series, settings.regime)
    found = threshold_regime(index, own)
    return found.state, found.fell_back


def exogenous_of(market: Market, settings: PricesSettings, series: str) -> dict[str, Floats]:
    """Return, for each exogenous series, its value as it was known on each day of a price series, NaN without one."""
    return {name: exogenous_at(market, series, name) for name in settings.exogenous}


def track_of(market: Market, settings: PricesSettings, series: str, fitted: Mapping[str, Floats]) -> Track:
    """Return the track of a series; `fitted` holds the predictions [H, T] of experts that have to be fitted."""
    quotes, declared = market.quotes[series], settings.series[series]
    horizons = tuple(settings.horizons.values())
    y = logarithm(quotes.price, declared.displacement)
    volatility = volatility_of(y, settings)
    names = experts_of(settings)
    cheap = [name for name in names if name in EXPERTS]
    found = predicted(y, horizons, cheap)
    columns = [fitted[name] if name in FITTED else found[..., cheap.index(name)] for name in names]
    state, fell_back = _regime(market, settings, series, y)
    return Track(
        name=series,
        days=quotes.days,
        price=quotes.price,
        displacement=declared.displacement,
        horizons=horizons,
        y=y,
        volatility=volatility,
        spread=over_horizon(volatility, y, horizons),
        state=state,
        fell_back=fell_back,
        experts=names,
        predicted=np.stack(columns, axis=-1),
        realised=realised(y, horizons),
    )
