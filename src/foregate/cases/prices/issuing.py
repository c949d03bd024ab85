"""Issuing: a forecast written once and for all, its tables staged for readers, and what a forecast must be."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from foregate.cases.prices.forecasting import Forecast, Told
from foregate.cases.prices.issues import Issue
from foregate.cases.prices.packages import Package
from foregate.cases.prices.settings import PricesSettings
from foregate.cases.prices.work import FORECAST, WEIGHTS
from foregate.core.evidence import Evidence
from foregate.core.ports import Warehouse
from foregate.modeling import issued
from foregate.modeling.measured import Measured, digest_of

ISSUED_FORECASTS, ISSUED_WEIGHTS = "issued.price_forecasts", "issued.price_weights"


class Kept(NamedTuple):
    """An issue that was written: its name, and the digest of its bytes."""

    key: str
    digest: str


def keep_issue(package: Package, found: Forecast, folder: Path) -> Kept:
    """Return the name and digest of a forecast written for good; the same forecast again writes nothing."""
    files = Issue(package.version, found).files()
    key = f"{found.day:%Y%m%d}_{digest_of(*files.values())}"
    return Kept(key, issued.write(folder, key, files))


def stage_tables(warehouse: Warehouse, package: Package, found: Forecast, key: str, *, shadow: bool) -> None:
    """Stage a forecast's tables in the version's schema; the rows join those of all issues, which only grow.

    There `shadow` says that the version was not in service when it issued.
    """
    stamp = {"version": package.version, "issue": key, "issued_on": found.day}
    forecasts, weights = forecast_rows(found, package, stamp), weight_rows(found, stamp)
    warehouse.load(FORECAST, forecasts)
    warehouse.load(WEIGHTS, weights)
    for name, table in ((ISSUED_FORECASTS, forecasts), (ISSUED_WEIGHTS, weights)):
        marked = table.append_column("shadow", pa.array([shadow] * table.num_rows, pa.bool_()))
        warehouse.append(name, marked, {"issue": key})


def forecast_rows(found: Forecast, package: Package, stamp: dict[str, Any]) -> pa.Table:
    """Return a row for each series and horizon, with bounds, regime, flags, and the error it had on the sealed days."""
    rows = []
    for one in found.told:
        error = package.errors.get(one.key, {})
        bounds = {
            f"{side}_{round(100 * level)}": _known(ends[at])
            for level, ends in one.bounds.items()
            for at, side in enumerate(("lower", "upper"))
        }
        rows.append(
            {"unit_id": one.key, "series": one.series, "unit": one.unit, "horizon": one.horizon}
            | {"horizon_days": one.days, "price_day": one.price_day, "price": one.price, "target_day": one.target_day}
            | {"forecast": _known(one.forecast), **bounds, "regime": one.regime, "volatility": _known(one.volatility)}
            | {"rule": rule_of(package, one), "extreme": one.extreme, "out_of_bounds": one.outside}
            | {"incoherent": one.incoherent, "interval_learnt": not one.plain}
            | {f"mae_ratio{end}": _known(error.get(key)) for end, key in _RATIO}
            | stamp
        )
    return pa.Table.from_pylist(rows, schema=_schema(list(found.told[0].bounds)))


_RATIO = (("", "ratio"), ("_lower", "low"), ("_upper", "high"))


def _schema(levels: Sequence[float]) -> pa.Schema:
    """Return the columns of a forecast: the contract with its readers, types said even where all is NULL."""
    text, number, flag, day = pa.string(), pa.float64(), pa.bool_(), pa.date32()
    bounds = [(f"{side}_{round(100 * level)}", number) for level in levels for side in ("lower", "upper")]
    keys = [("unit_id", text), ("series", text), ("unit", text), ("horizon", text), ("horizon_days", pa.int64())]
    said = [("price_day", day), ("price", number), ("target_day", day), ("forecast", number), *bounds]
    flags = [(name, flag) for name in ("extreme", "out_of_bounds", "incoherent", "interval_learnt")]
    error = [(f"mae_ratio{end}", number) for end, _ in _RATIO]
    state = [("regime", text), ("volatility", number), ("rule", text)]
    stamp = [("version", text), ("issue", text), ("issued_on", day)]
    return pa.schema([*keys, *said, *state, *flags, *error, *stamp])


def forecast_columns(levels: Sequence[float]) -> tuple[str, ...]:
    """Return the columns of the readers' view, in their order.

    >>> forecast_columns([0.5])[7:11]
    ('target_day', 'forecast', 'lower_50', 'upper_50')
    """
    return tuple(_schema(levels).names)


def rule_of(package: Package, one: Told) -> str:
    """Return the rule by which a series' horizon is combined."""
    return package.choices[one.series][list(package.settings.horizons).index(one.horizon)].rule


def weight_rows(found: Forecast, stamp: dict[str, Any]) -> pa.Table:
    """Return a row for each series, horizon and expert with the weight in force."""
    rows = [
        {"unit_id": one.key, "series": one.series, "horizon": one.horizon, "expert": name, "weight": _known(weight)}
        | stamp
        for one in found.told
        for name, weight in one.weights.items()
    ]
    text = pa.string()
    names = [("unit_id", text), ("series", text), ("horizon", text), ("expert", text), ("weight", pa.float64())]
    last = [("version", text), ("issue", text), ("issued_on", pa.date32())]
    return pa.Table.from_pylist(rows, schema=pa.schema([*names, *last]))


def _known(value: float | None) -> float | None:
    """Return a number, or None for NaN: what is not there is NULL and never 0."""
    return None if value is None or math.isnan(value) else value


def forecast_findings(made: Measured, found: Forecast, settings: PricesSettings) -> Iterator[Evidence]:
    """Yield what is wrong with a forecast, as exact counts of rows, and which limits it crosses."""
    told, rows = found.told, len(found.told)
    wanted = len(settings.series) * len(settings.horizons)
    missing = [one.key for one in told if not _whole(one)]
    yield made.count("missing_forecasts", wanted - rows + len(missing), wanted, words=", ".join(missing))
    crossed = [one.key for one in told if not _ordered(one)]
    yield made.count("disordered_quantiles", len(crossed), rows, words=", ".join(crossed))
    yield _stamps(made, told)
    off = [one.key for one in told if not math.isclose(sum(one.weights.values()), 1.0, abs_tol=1e-9)]
    yield made.count("weights_off", len(off), rows, words=", ".join(off))
    for name, flags in (("out_of_bounds", "outside"), ("extreme_forecasts", "extreme")):
        flagged = [f"{one.key} {one.forecast:,.2f}" for one in told if getattr(one, flags)]
        yield made.count(name, len(flagged), rows, words=", ".join(flagged))
    apart = list(dict.fromkeys(one.series for one in told if one.incoherent))
    yield made.count("incoherent_horizons", len(apart), len(settings.series), words=", ".join(apart))


def _whole(one: Told) -> bool:
    return math.isfinite(one.forecast) and all(math.isfinite(end) for ends in one.bounds.values() for end in ends)


def _ordered(one: Told) -> bool:
    """Return whether each wider interval holds the narrower one."""
    ends = [one.bounds[level] for level in sorted(one.bounds)]
    nested = all(wide[0] <= near[0] and near[1] <= wide[1] for near, wide in zip(ends, ends[1:], strict=False))
    return nested and all(low <= high for low, high in ends)


def _stamps(made: Measured, told: Sequence[Told]) -> Evidence:
    """Return how many forecasts fall due no later than their price, or than a nearer one of the same series."""
    wrong = []
    for before, one in zip((None, *told), told, strict=False):
        later = before is None or before.series != one.series or before.target_day < one.target_day
        if not (one.target_day > one.price_day and later):
            wrong.append(f"{one.key} on {one.target_day}")
    return made.count("wrong_stamps", len(wrong), len(told), words=", ".join(wrong))
