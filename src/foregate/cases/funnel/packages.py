"""Packages: who forecasts each stage and how its paths are read, with a golden forecast that loading makes again."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from foregate.cases.funnel.backtest import Choice
from foregate.cases.funnel.events import Events, Series, StageEvents, day_number
from foregate.cases.funnel.forecasting import Forecast, Known, forecast
from foregate.cases.funnel.reading import Recalibrations
from foregate.cases.funnel.settings import FunnelSettings
from foregate.core.errors import DataError
from foregate.modeling import artifacts
from foregate.modeling.recalibration import Recalibration
from foregate.warehouse.sources import Source

GOLDEN_SERIES, GOLDEN_DAYS, GOLDEN_DRAWS, GOLDEN_HORIZON = 8, 400, 100, 14


@dataclass(frozen=True)
class Package:
    """A version that can forecast: stages and segments, who forecasts each stage, and how its paths are read."""

    version: str
    as_of: date
    settings: FunnelSettings
    sources: Mapping[str, Source]
    choices: Mapping[str, Choice]
    recalibrations: Mapping[str, Recalibrations]
    seed: int

    @property
    def candidates(self) -> dict[str, str]:
        """Stage -> the candidate that forecasts it."""
        return {stage: choice.candidate for stage, choice in self.choices.items()}

    def forecast(self, events: Events, day: date) -> Forecast:
        """Return the paths of every stage as of a day, from what was known of the events then."""
        known = Known.on(events, self.settings, day)
        return forecast(known, self.candidates, self.settings.horizon_days, self.settings.draws, self.seed)

    def files_of(self) -> dict[str, bytes]:
        """Return the package as files by name."""
        about = {"version": self.version, "as_of": self.as_of.isoformat(), "seed": self.seed}
        read = {
            stage: [{"level": level, "grain": grain, **how.to_json()} for (level, grain), how in by.items()]
            for stage, by in self.recalibrations.items()
        }
        choices = {s: {"candidate": c.candidate, "naive": c.naive, "words": c.words} for s, c in self.choices.items()}
        return {
            "about.json": artifacts.to_json(about),
            "settings.json": self.settings.model_dump_json().encode(),
            "sources.json": artifacts.to_json({n: s.model_dump(mode="json") for n, s in self.sources.items()}),
            "choices.json": artifacts.to_json(choices),
            "recalibrations.json": artifacts.to_json(read),
        }


def write(package: Package, events: Events, folder: Path) -> str:
    """Return the digest of the package written beside a golden forecast: its events and the sums it must give."""
    golden = golden_of(events)
    sums = _sums(package, golden)
    files = {"golden.parquet": _table_of(golden), "golden.json": artifacts.to_json(_about(golden) | {"sums": sums})}
    return artifacts.write(folder, {**package.files_of(), **files})


def read(folder: Path, digest: str | None = None) -> Package:
    """Return the package of a folder after its hashes and its golden forecast have been checked; raises DataError."""
    files = artifacts.read(folder, digest)
    found: dict[str, Any] = {n.removesuffix(".json"): json.loads(b) for n, b in files.items() if n.endswith(".json")}
    package = Package(
        version=found["about"]["version"],
        as_of=date.fromisoformat(found["about"]["as_of"]),
        settings=FunnelSettings.model_validate(found["settings"]),
        sources={n: Source.model_validate(s) for n, s in found["sources"].items()},
        choices={stage: Choice(**one) for stage, one in found["choices"].items()},
        recalibrations={
            stage: {(one["level"], one["grain"]): Recalibration.from_json(one) for one in by}
            for stage, by in found["recalibrations"].items()
        },
        seed=found["about"]["seed"],
    )
    _check_golden(package, found["golden"], files["golden.parquet"], folder)
    return package


def golden_of(events: Events) -> Events:
    """Return the newest events of the busiest series: small enough to forecast again at every load."""
    newest = max(int(one.day.max()) for one in events.stages.values() if len(one))
    since = min(day_number(events.as_of), newest) - GOLDEN_DAYS
    busy = np.zeros(len(events.series), dtype=np.int64)
    for one in events.stages.values():
        busy += np.bincount(one.series, minlength=busy.size)
    kept = np.sort(np.argsort(-busy, kind="stable")[:GOLDEN_SERIES])
    place = np.full(busy.size, -1)
    place[kept] = np.arange(kept.size)
    stages = {}
    for name, one in events.stages.items():
        few = one.where((place[one.series] >= 0) & (one.day > since))
        stages[name] = StageEvents(few.id, place[few.series], few.entity, few.day, few.known)
    series = tuple(events.series[i] for i in kept)
    names = tuple(dict.fromkeys(one.segment for one in series))
    segments = np.array([names.index(one.segment) for one in series], dtype=np.int64)
    return Events(events.as_of, series, segments, names, stages, stages)


def _sums(package: Package, golden: Events) -> dict[str, list[int]]:
    """Return each stage's total of the golden forecast in every draw."""
    horizon = min(GOLDEN_HORIZON, package.settings.horizon_days)
    known = Known(golden, package.settings)
    found = forecast(known, package.candidates, horizon, GOLDEN_DRAWS, package.seed)
    return {stage: paths.sum(axis=(1, 2)).tolist() for stage, paths in found.paths.items()}


def _about(golden: Events) -> dict[str, Any]:
    return {
        "as_of": golden.as_of.isoformat(),
        "series": [list(one) for one in golden.series],
        "stages": list(golden.stages),
    }


def _table_of(golden: Events) -> bytes:
    parts = [
        pa.table(
            {"stage": np.full(len(one), place), "id": one.id, "series": one.series}
            | {"entity": one.entity, "day": one.day, "known": one.known}
        )
        for place, one in enumerate(golden.stages.values())
    ]
    sink = io.BytesIO()
    pq.write_table(pa.concat_tables(parts), sink, compression="zstd")
    return sink.getvalue()


def _events_of(about: Mapping[str, Any], body: bytes) -> Events:
    table = {name: column.to_numpy() for name, column in zip(*_columns(body), strict=True)}
    stages = {}
    for place, name in enumerate(about["stages"]):
        own = table["stage"] == place
        stages[name] = StageEvents(*(table[key][own] for key in ("id", "series", "entity", "day", "known")))
    series = tuple(Series(*one) for one in about["series"])
    names = tuple(dict.fromkeys(one.segment for one in series))
    segments = np.array([names.index(one.segment) for one in series], dtype=np.int64)
    return Events(date.fromisoformat(about["as_of"]), series, segments, names, stages, stages)


def _columns(body: bytes) -> tuple[list[str], list[Any]]:
    table = pq.ParquetFile(io.BytesIO(body)).read()
    return table.column_names, table.columns


def _check_golden(package: Package, about: Mapping[str, Any], body: bytes, folder: Path) -> None:
    again = _sums(package, _events_of(about, body))
    differ = [stage for stage, sums in about["sums"].items() if again[stage] != sums]
    if differ:
        raise DataError(
            f"artifact {folder / 'golden.json'}",
            found=f"other paths for {', '.join(differ)}",
            wanted="the golden forecast it was packaged with",
            then="The library that forecasts is not the one that was judged; install the locked requirements.",
        )
