"""Issues: forecasts as they were made, written once, never again, and read back byte for byte."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

from foregate.cases.prices.forecasting import Forecast, Told
from foregate.modeling import artifacts, issued

BODY = "forecast.json"


@dataclass(frozen=True)
class Issue:
    """A forecast as it was issued, and by which version."""

    version: str
    forecast: Forecast

    def files(self) -> dict[str, bytes]:
        """Return the issue as files by name; every number is written so that it is read back to the last bit."""
        told = [asdict(row) | {"bounds": [[level, *ends] for level, ends in row.bounds.items()]} for row in self.told]
        about = {"version": self.version, "day": self.forecast.day.isoformat(), "told": told}
        return {BODY: artifacts.to_json(about)}

    @property
    def told(self) -> tuple[Told, ...]:
        """What was said, a row for each series and horizon."""
        return self.forecast.told


def read(folder: Path, key: str, digest: str) -> Issue:
    """Return an issue as it was written; raises DataError when its bytes are not those the ledger recorded."""
    found = json.loads(issued.read(folder, key, digest)[BODY])
    told = tuple(_told(row) for row in found["told"])
    return Issue(found["version"], Forecast(date.fromisoformat(found["day"]), told))


def _told(row: Mapping[str, Any]) -> Told:
    days = {name: date.fromisoformat(row[name]) for name in ("price_day", "target_day")}
    return Told(**{**row, **days, "bounds": {level: (low, high) for level, low, high in row["bounds"]}})
