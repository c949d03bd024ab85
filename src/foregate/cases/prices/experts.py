"""Experts that have to be fitted: their past predictions, the models that say the next ones, and what fits used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from foregate.cases.prices.quotes import Market
from foregate.cases.prices.settings import PricesSettings
from foregate.cases.prices.tracks import FITTED, Days, Floats, exogenous_of, experts_of, logarithm, volatility_of
from foregate.modeling import price_statistical, price_trees
from foregate.modeling.price_features import Features, features

TREES = "trees"
EXPERT = price_trees.TreeExpert()


@dataclass(frozen=True)
class Fitted:
    """A series' fitted experts: the days, predictions [H, T] of each by name, and models by (expert, horizon)."""

    days: Days
    said: Mapping[str, Floats]
    models: Mapping[tuple[str, int], bytes] = field(default_factory=dict)
    runs: price_trees.TreeRuns | None = None

    def table(self) -> pa.Table:
        """Return the predictions as a table: a row for each day, a column for each expert and horizon's place."""
        columns: dict[str, object] = {"day": self.days}
        for name, said in self.said.items():
            columns |= {f"{name} {row}": said[row] for row in range(said.shape[0])}
        return pa.table(columns)

    @classmethod
    def of(cls, table: pa.Table, models: Mapping[tuple[str, int], bytes]) -> Fitted:
        """Return the experts of a table as `table` gives it."""
        rows: dict[str, list[Floats]] = {}
        for name in table.column_names[1:]:
            rows.setdefault(name.split(" ")[0], []).append(table.column(name).to_numpy())
        days = table.column("day").to_numpy().astype("datetime64[D]")
        return cls(days, {name: np.stack(one) for name, one in rows.items()}, models)


def features_of(market: Market, settings: PricesSettings, series: str) -> tuple[Floats, Floats, Features]:
    """Return a series' displaced logarithm, its volatility, and the features that trees are fitted on."""
    y = logarithm(market.quotes[series].price, settings.series[series].displacement)
    volatility = volatility_of(y, settings)
    return y, volatility, features(y, volatility, exogenous_of(market, settings, series))


def fit(market: Market, settings: PricesSettings, series: str, seed: int) -> Fitted:
    """Return the fitted experts of a series after each has been fitted along its whole past, refits as declared."""
    horizons = tuple(settings.horizons.values())
    y, volatility, found = features_of(market, settings, series)
    said: dict[str, Floats] = {}
    models: dict[tuple[str, int], bytes] = {}
    runs = None
    for name in (n for n in experts_of(settings) if n in FITTED):
        if name == TREES:
            runs = EXPERT.backtest(found, y, volatility, horizons, settings.refit_days, seed, settings.burn_in_days)
            said[name] = runs.predicted
            models |= {(TREES, ahead): body for ahead, body in runs.models.items()}
        else:
            said[name] = price_statistical.backtest(name, y, horizons).predicted
    return Fitted(market.quotes[series].days, said, models, runs)


def later(fitted: Fitted, market: Market, settings: PricesSettings, series: str) -> dict[str, Floats]:
    """Return predictions [H, T] on the market's days: those kept, and of days since by the models as they were fitted.

    A past day that was not there when the experts were fitted has none.
    """
    if not fitted.said:
        return {}
    days, horizons = market.quotes[series].days, tuple(settings.horizons.values())
    fresh = np.flatnonzero(days > fitted.days[-1])
    at = np.minimum(np.searchsorted(fitted.days, days), fitted.days.size - 1)
    known = fitted.days[at] == days
    found = {name: np.where(known, said[:, at], np.nan) for name, said in fitted.said.items()}
    if not fresh.size:
        return found
    y, volatility, told = features_of(market, settings, series)
    for name, said in found.items():
        if name != TREES:
            recent = price_statistical.backtest(name, y, horizons, since=int(fresh[0])).predicted
            said[:, fresh] = recent[:, fresh]
    for row, ahead in enumerate(horizons if TREES in found else ()):
        body = fitted.models.get((TREES, ahead))
        if body is not None:
            found[TREES][row, fresh] = price_trees.serve(body, told.names, told.values[fresh], volatility[fresh], ahead)
    return found
