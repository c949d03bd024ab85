"""Packages: who combines and how, the fitted experts, and every prediction made; loading recomputes their errors."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from foregate.cases.prices.combining import NAIVE, Choice, Followed, followed
from foregate.cases.prices.experts import Fitted, later
from foregate.cases.prices.forecasting import Forecast, told_of
from foregate.cases.prices.quotes import Market
from foregate.cases.prices.settings import PricesSettings
from foregate.cases.prices.tracks import Floats, Track, track_of
from foregate.core.errors import DataError
from foregate.metrics.diebold import relative_loss
from foregate.modeling import artifacts
from foregate.warehouse.sources import Source

MAKING = 0.95
_CLOSE = 1e-9


@dataclass(frozen=True)
class Package:
    """A version that can forecast: its declarations, how each horizon is combined, and its fitted experts.

    `choices`: series -> one choice for each horizon. `fitted`: series -> predictions and models of its fitted experts.
    `errors`: "series horizon" -> mean absolute error, its ratio to no-change's, and origins, on the sealed days.
    """

    version: str
    as_of: date
    settings: PricesSettings
    sources: Mapping[str, Source]
    choices: Mapping[str, tuple[Choice, ...]]
    fitted: Mapping[str, Fitted]
    seed: int
    errors: Mapping[str, Mapping[str, float]]

    def follow(self, market: Market, series: str) -> tuple[Track, Followed]:
        """Return a series as this version would have forecast it on each of its days, and does on the last."""
        fitted = later(self.fitted[series], market, self.settings, series)
        track = track_of(market, self.settings, series, fitted)
        return track, followed(track, self.choices[series], self.settings)

    def forecast(self, market: Market) -> Forecast:
        """Return the forecast of every series and horizon from the newest price that is known."""
        rows = [row for series in self.settings.series for row in told_of(*self.follow(market, series), self.settings)]
        return Forecast(market.as_of, tuple(rows))


def write(package: Package, predictions: pa.Table, market: Market, folder: Path) -> str:
    """Return the digest of the package written beside every prediction it was judged by, and a golden forecast."""
    golden = [list(row) for row in _golden(package, market)]
    about = {"version": package.version, "as_of": package.as_of.isoformat(), "seed": package.seed}
    files = {
        "about.json": artifacts.to_json(about),
        "settings.json": package.settings.model_dump_json().encode(),
        "sources.json": artifacts.to_json({n: s.model_dump(mode="json") for n, s in package.sources.items()}),
        "choices.json": artifacts.to_json({n: [asdict(c) for c in one] for n, one in package.choices.items()}),
        "errors.json": artifacts.to_json(package.errors),
        "predictions.parquet": _bytes_of(predictions),
        "golden.json": artifacts.to_json(golden),
    }
    for series, fitted in package.fitted.items():
        files |= {f"fitted.{series}.parquet": _bytes_of(fitted.table())}
        files |= {f"{name}.{series}.{ahead}.ubj": body for (name, ahead), body in fitted.models.items()}
    return artifacts.write(folder, files)


def read(folder: Path, digest: str | None = None) -> Package:
    """Return the package of a folder once its hashes are checked and its errors recomputed from its predictions.

    Raises DataError when bytes differ, or when an error it was judged by is not that of the predictions it kept.
    """
    files = artifacts.read(folder, digest)
    found: dict[str, Any] = {n.removesuffix(".json"): json.loads(b) for n, b in files.items() if n.endswith(".json")}
    settings = PricesSettings.model_validate(found["settings"])
    package = Package(
        version=found["about"]["version"],
        as_of=date.fromisoformat(found["about"]["as_of"]),
        settings=settings,
        sources={n: Source.model_validate(s) for n, s in found["sources"].items()},
        choices={name: tuple(Choice(**c) for c in one) for name, one in found["choices"].items()},
        fitted={name: _fitted(files, name) for name in settings.series},
        seed=found["about"]["seed"],
        errors=found["errors"],
    )
    _check_errors(package, table_of(files["predictions.parquet"]), folder)
    return package


def _fitted(files: Mapping[str, bytes], series: str) -> Fitted:
    models = {}
    for name, body in files.items():
        parts = name.split(".")
        if parts[-1] == "ubj" and parts[1] == series:
            models[parts[0], int(parts[2])] = body
    return Fitted.of(table_of(files[f"fitted.{series}.parquet"]), models)


def predictions_of(track: Track, found: Followed, settings: PricesSettings, sealed: Floats) -> pa.Table:
    """Return a row for each day and horizon of a series: forecast, no-change, bounds, what came, and whether sealed."""
    count = track.price.size
    point, came = track.point(found.said), track.came()
    lower, upper = track.point(found.lower), track.point(found.upper)
    parts = []
    for row, name in enumerate(settings.horizons):
        columns: dict[str, Any] = {
            "series": [track.name] * count,
            "horizon": [name] * count,
            "day": track.days,
            "forecast": point[row],
            "no_change": track.price,
            "came": came[row],
            "sealed": sealed[row],
        }
        for at, level in enumerate(settings.levels):
            columns |= {f"lower_{round(100 * level)}": lower[at, row], f"upper_{round(100 * level)}": upper[at, row]}
        parts.append(pa.table(columns))
    return pa.concat_tables(parts)


def recomputed(predictions: pa.Table, horizons: Mapping[str, int]) -> dict[str, dict[str, float]]:
    """Return "series horizon" -> mean absolute error, ratio to no-change's with its interval, and sealed origins.

    Computed from the predictions that were kept and nothing else; a series without sealed origins has no entry.
    """
    at = {name: predictions.column(name).to_numpy() for name in ("forecast", "no_change", "came", "sealed")}
    series, horizon = (predictions.column(name).to_numpy(zero_copy_only=False) for name in ("series", "horizon"))
    found = {}
    for name in dict.fromkeys(series.tolist()):
        for told, ahead in horizons.items():
            own = (series == name) & (horizon == told) & at["sealed"].astype(bool)
            if own.any():
                ours, theirs = (np.abs(at[one][own] - at["came"][own]) for one in ("forecast", "no_change"))
                ratio = relative_loss(ours, theirs, ahead, MAKING)
                found[f"{name} {told}"] = {
                    **_percent(ours, at["came"][own]),
                    "mae": float(ours.mean()),
                    "ratio": ratio.value,
                    "low": ratio.low,
                    "high": ratio.high,
                    "origins": float(own.sum()),
                }
    return found


def _percent(errors: Floats, came: Floats) -> dict[str, float]:
    """Return the mean absolute percentage error, in percent, of outcomes above 0; nothing without one."""
    above = came > 0
    return {"mape": float(100 * (errors[above] / came[above]).mean())} if above.any() else {}


def table_of(body: bytes) -> pa.Table:
    """Return the Arrow table of Parquet bytes."""
    return pq.ParquetFile(io.BytesIO(body)).read()


def _bytes_of(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def _golden(package: Package, market: Market) -> list[tuple[str, str, float]]:
    return [(row.series, row.horizon, row.forecast) for row in package.forecast(market).told]


def golden_faults(folder: Path, package: Package, market: Market) -> list[str]:
    """Return which forecasts of the day it was packaged on come out otherwise now, in words."""
    kept = {(s, h): v for s, h, v in json.loads((folder / "golden.json").read_bytes())}
    again = {(s, h): v for s, h, v in _golden(package, market)}
    return [
        f"{series} {horizon}: {again.get((series, horizon), math.nan):.6g}, packaged {value:.6g}"
        for (series, horizon), value in kept.items()
        if not math.isclose(again.get((series, horizon), math.nan), value, rel_tol=_CLOSE)
    ]


def _check_errors(package: Package, predictions: pa.Table, folder: Path) -> None:
    again = recomputed(predictions, package.settings.horizons)
    differ = [
        f"{name}: {key} {one[key]:.6g}, of its predictions {again.get(name, {}).get(key, math.nan):.6g}"
        for name, one in package.errors.items()
        for key in one
        if not _same(one[key], again.get(name, {}).get(key, math.nan))
    ]
    if differ or {n: set(one) for n, one in again.items()} != {n: set(one) for n, one in package.errors.items()}:
        raise DataError(
            f"artifact {folder / 'errors.json'}",
            found="; ".join(differ) or "errors that lack some, or have more",
            wanted="the errors of the predictions kept beside them",
            then="An error is never written by hand: run the version again.",
        )


def _same(one: float, other: float) -> bool:
    return one == other or math.isclose(one, other, rel_tol=_CLOSE)


__all__ = ["NAIVE", "Package", "golden_faults", "predictions_of", "read", "recomputed", "table_of", "write"]
