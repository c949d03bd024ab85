"""`[prices]` of foregate.toml: the series and what may explain them, the horizons, who combines, the moved gates."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from foregate.core.errors import ConfigurationError, DataError
from foregate.core.gate import Gate
from foregate.lifecycle.alerts import AlertSettings
from foregate.lifecycle.moved import GateMove, moved
from foregate.lifecycle.plan import ForecastRollout
from foregate.warehouse.sources import MEASURED, Source

OWN: Final = "own"
"""The regime that a series' own volatility tells."""
HIDDEN: Final = "hidden"
"""The regime that a filtered two-state model of the series' own returns tells."""
REGIME_TABLE: Final = "regime_table"
REGIMES: Final = ("low", "high")
WIDE: Final = 0.95
"""The level by which intervals are judged."""
WINDOWS: Final = 8
"""So many sealed windows of the longest horizon that do not overlap, beside the one that has not come yet."""
_KEPT: Final = (OWN, HIDDEN)
_NAME = re.compile(r"^[a-z][a-z0-9_]*$")
_HORIZON_NAME = re.compile(r"^[a-z0-9_]+$")
_PERCENTS = frozenset(percent / 100 for percent in range(1, 100))
_NUMERIC = ("DOUBLE", "FLOAT", "REAL", "DECIMAL", "NUMERIC", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Series(_Settings):
    """One series: which column of which source is its price, and which the trading day of that price.

    `unit`: in what it is measured, as "USD per barrel"; shown beside every price. `bounds`: a lowest and a highest
    price; what lies outside is told and never clipped. `displacement`: added to the price before its logarithm, for a
    price that may be zero or negative. `fresh_days`: how many calendar days old the newest price may be.
    """

    source: str
    day: str
    price: str
    unit: str = Field(min_length=1)
    bounds: tuple[float, float] | None = None
    displacement: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    fresh_days: int | None = Field(default=None, ge=0)

    @field_validator("bounds")
    @classmethod
    def _low_before_high(cls, bounds: tuple[float, float] | None) -> tuple[float, float] | None:
        if bounds is not None and not (math.isfinite(bounds[0]) and math.isfinite(bounds[1]) and bounds[0] < bounds[1]):
            raise ValueError(f"bounds = [{bounds[0]:g}, {bounds[1]:g}]: say a lowest price and a higher highest one")
        return bounds

    def columns(self) -> dict[str, str]:
        """Return key -> column for every column that the series names."""
        return {"day": self.day, "price": self.price}

    @property
    def number(self) -> str:
        """The column that holds the numbers."""
        return self.price


class Exogenous(_Settings):
    """A column beside the prices that may explain them, and the day that its values are dated by."""

    source: str
    day: str
    value: str

    def columns(self) -> dict[str, str]:
        """Return key -> column for every column that is named."""
        return {"day": self.day, "value": self.value}

    @property
    def number(self) -> str:
        """The column that holds the numbers."""
        return self.value


class PricesSettings(_Settings):
    """Prices of one or more series: where each will stand after each horizon.

    `horizons`: name -> trading days ahead, rising. `series`: what is forecast. `exogenous`: what may explain it.
    `regime`: whose 30-day mean tells low from high volatility, an exogenous, or "own" for the series' own volatility;
    or "hidden", a filtered two-state model of its returns. `volatility`: "ewma", or "garch", GARCH(1,1)-t by `arch`.
    `limit`: what makes a forecast extreme, its "return" beyond three standard deviations of the horizon, or its "level"
    beyond three of the last year's prices, as seed documents have it.
    `experts`: who may forecast; empty means those that are shipped. `rules`: who may combine them. `regime_weights`:
    "low" and "high" -> expert -> weight, for the rule "regime_table". `levels`: of the intervals, in whole percents as
    0.95, which must be among them. `test_days`: trading days at the end that are sealed until a rule is chosen; nine
    times the longest horizon unless said otherwise. `burn_in_days`: first trading days that are not scored.
    `refit_days`: trading days between two fits of trees. `train_start`: the first day whose prices are read.
    """

    horizons: dict[str, Annotated[int, Field(strict=True)]] = Field(
        default_factory=lambda: {"1w": 5, "1m": 21, "3m": 63, "6m": 126}
    )
    series: dict[str, Series]
    exogenous: dict[str, Exogenous] = Field(default_factory=dict)
    regime: str = OWN
    volatility: Literal["ewma", "garch"] = "ewma"
    limit: Literal["return", "level"] = "return"
    experts: tuple[str, ...] = ()
    rules: tuple[str, ...] = ("ml_poly_shared",)
    regime_weights: dict[str, dict[str, float]] = Field(default_factory=dict)
    levels: tuple[float, ...] = (0.5, 0.8, 0.95)
    test_days: int = 1134
    burn_in_days: int = Field(default=500, ge=30)
    refit_days: int = Field(default=250, ge=5)
    train_start: date | None = None
    gates: dict[str, GateMove] = Field(default_factory=dict)
    alerts: AlertSettings = AlertSettings()
    rollout: ForecastRollout = ForecastRollout()

    @model_validator(mode="before")
    @classmethod
    def _sealed_by_the_longest(cls, said: Any) -> Any:
        horizons = said.get("horizons") if isinstance(said, dict) and "test_days" not in said else None
        if isinstance(horizons, dict) and horizons and all(type(days) is int for days in horizons.values()):
            return said | {"test_days": (WINDOWS + 1) * max(1, *horizons.values())}
        return said

    @field_validator("horizons")
    @classmethod
    def _horizons_rise(cls, horizons: dict[str, int]) -> dict[str, int]:
        if not horizons:
            raise ValueError('no horizon: say at least one, as {"1w" = 5}')
        if wrong := next((name for name in horizons if not _HORIZON_NAME.match(name)), None):
            raise ValueError(f"a horizon named {wrong!r}: say a name of a to z, 0 to 9 and _")
        days = list(horizons.values())
        if min(days) < 1 or max(days) > 260 or days != sorted(set(days)):
            raise ValueError(f"{', '.join(map(str, days))} trading days: say 1 to 260, each more than the one before")
        return horizons

    @field_validator("series", "exogenous")
    @classmethod
    def _well_named(cls, named: dict[str, Any]) -> dict[str, Any]:
        if wrong := next((name for name in named if not _NAME.match(name) or name in _KEPT), None):
            raise ValueError(
                f"one named {wrong!r}: say a name of a to z, 0 to 9 and _, a letter first, other than own and hidden"
            )
        return named

    @field_validator("experts", "rules")
    @classmethod
    def _each_once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"{twice!r} twice: say every name once")
        return names

    @field_validator("levels")
    @classmethod
    def _levels_rise(cls, levels: tuple[float, ...]) -> tuple[float, ...]:
        if not levels or list(levels) != sorted(set(levels)) or min(levels) <= 0 or max(levels) >= 1:
            raise ValueError(f"levels {', '.join(f'{one:g}' for one in levels)}: say rising shares between 0 and 1")
        # Evidence and columns are named by the percent: 95.1 % would go by the name of 95 %.
        if odd := next((one for one in levels if one not in _PERCENTS), None):
            raise ValueError(f"a level of {odd!r}: say whole percents from 0.01 to 0.99, as {WIDE}")
        if WIDE not in levels:
            raise ValueError(f"levels without {WIDE}, by which intervals are judged: say it too")
        return levels

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.series:
            raise ValueError("no series: say at least one, as [prices.series.wti]")
        if both := sorted({*self.series} & {*self.exogenous}):
            raise ValueError(f"{both[0]!r} both a series and an exogenous: say another name for one of them")
        if self.regime not in (*_KEPT, *self.exogenous):
            raise ValueError(f"regime = {self.regime!r}: say {', '.join(map(repr, (*_KEPT, *self.exogenous)))}")
        if not self.rules:
            raise ValueError('no rule: say at least one, as rules = ["ml_poly_shared"]')
        if self.test_days < self.longest:
            raise ValueError(f"test_days = {self.test_days}: say at least the longest horizon, {self.longest}")
        self._check_regime_weights()
        return self

    def _check_regime_weights(self) -> None:
        """Raise ValueError for weights by regime without their rule, or the rule without them, or that do not sum."""
        if REGIME_TABLE not in self.rules:
            if self.regime_weights:
                raise ValueError(f'regime_weights without their rule: say "{REGIME_TABLE}" in rules, or remove them')
            return
        if strange := sorted({*self.regime_weights} - {*REGIMES}):
            raise ValueError(f"regime_weights of {strange[0]!r}: say those of {' and '.join(REGIMES)}")
        for regime in REGIMES:
            weights = self.regime_weights.get(regime, {})
            if not all(weight >= 0 for weight in weights.values()) or abs(sum(weights.values()) - 1) > 1e-6:
                total = sum(weights.values())
                raise ValueError(
                    f"regime_weights of {regime} sum to {total:g}: say weights of at least 0 that sum to 1"
                )
            # No change forecasts even where the file does not list it.
            if unknown := sorted({*weights} - {*self.experts, "no_change"}) if self.experts else []:
                raise ValueError(f"regime_weights of {regime} name {unknown[0]!r}: say names that `experts` lists")

    @property
    def longest(self) -> int:
        """The longest horizon in trading days."""
        return max(self.horizons.values())

    def moved(self, gate: Gate) -> Gate:
        """Return the gate as this project wants it."""
        return moved(gate, self.gates)


def check_series(
    settings: PricesSettings, sources: Mapping[str, Source], there: Mapping[str, Mapping[str, str]], file: str
) -> None:
    """Raise an error that names the series and key for a source or column that is not there, or of another type.

    `there`: column names and engine types by source, as `bind` returns them. Raises ConfigurationError for a source
    that is not declared, or that does not say since when its rows are known, and DataError for its columns.
    """
    for kind, named in (("series", settings.series), ("exogenous", settings.exogenous)):
        for name, declared in named.items():
            place = f"{file} [prices.{kind}.{name}]"
            if declared.source not in sources:
                raise ConfigurationError(
                    f"{place} source",
                    found=repr(declared.source),
                    wanted=f"one of {', '.join(sources)}",
                    then="Declare the table as [sources.NAME], or correct the name.",
                )
            _check_columns(declared, there[declared.source], place)
            _check_known(declared, sources[declared.source], place)


def _check_columns(declared: Series | Exogenous, there: Mapping[str, str], place: str) -> None:
    for key, column in declared.columns().items():
        if column not in there:
            raise DataError(
                f"{place} {key}",
                found=f"no column `{column}` in source {declared.source}",
                wanted=f"one of {', '.join(there)}",
                then="Correct the name, or the data.",
            )
        kinds = ("DATE", "TIMESTAMP") if key == "day" else _NUMERIC
        if not there[column].upper().lstrip("U").startswith(kinds):
            cast = "strptime(day, '%d.%m.%Y')::date as day" if key == "day" else "try_cast(price as double) as price"
            raise DataError(
                f"{place} {key}",
                found=f"`{column}` of type {there[column]}",
                wanted="a date or a timestamp" if key == "day" else "a number",
                then=f"Cast it in a query source, as in select {cast}, ...",
            )


def _check_known(declared: Series | Exogenous, source: Source, place: str) -> None:
    if declared.number in source.late():
        return
    if source.known_after == MEASURED:
        raise ConfigurationError(
            f"{place} source",
            found=f'source {declared.source} with known_after = "{MEASURED}"',
            wanted="a lag in days, or the column that says since when a price is known",
            then=f'Say known_after = "1 day" (or known = ...) in [sources.{declared.source}].',
        )
    if source.current_state:
        raise ConfigurationError(
            f"{place} source",
            found=f"source {declared.source}, which holds today's state and no history",
            wanted="prices with the day since when each is known",
            then=f"Say known_after or known instead of current_state in [sources.{declared.source}].",
        )
