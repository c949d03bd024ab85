"""Issues: forecasts as they were made, written once, never again, and read back byte for byte."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from foregate.cases.funnel.events import Series
from foregate.cases.funnel.forecasting import Forecast
from foregate.modeling import artifacts, issued
from foregate.modeling.measured import digest_of

PATHS, ABOUT = "paths.parquet", "about.json"
_MOST = np.iinfo(np.int16).max


@dataclass(frozen=True)
class Issue:
    """A forecast as it was issued: by which version, with which series, and its sample paths."""

    version: str
    series: tuple[Series, ...]
    forecast: Forecast

    @property
    def key(self) -> str:
        """The name of the issue: the same version on the same day over the same paths has the same."""
        totals = [(stage, int(paths.sum()), paths.shape) for stage, paths in self.forecast.paths.items()]
        return f"{self.forecast.day:%Y%m%d}_{digest_of(self.version, self.forecast.day, self.series, totals)}"


def write(issue: Issue, folder: Path) -> str:
    """Return the digest of an issue's folder, written whole or not at all; the same issue there already is kept.

    Raises DataError naming the issue when it is there with other bytes; nothing is changed then.
    """
    about = {
        "version": issue.version,
        "day": issue.forecast.day.isoformat(),
        "last": issue.forecast.last.isoformat(),
        "horizon": issue.forecast.horizon,
        "stages": list(issue.forecast.paths),
        "series": [list(one) for one in issue.series],
    }
    files = {ABOUT: artifacts.to_json(about), PATHS: _bytes_of(issue.forecast)}
    return issued.write(folder, issue.key, files)


def read(folder: Path, key: str, digest: str) -> Issue:
    """Return an issue as it was written; raises DataError when its bytes are not those the ledger recorded."""
    files = issued.read(folder, key, digest)
    about = json.loads(files[ABOUT])
    table = pq.ParquetFile(io.BytesIO(files[PATHS])).read()
    shape = (len(about["series"]), about["horizon"], -1)
    paths = {
        stage: np.moveaxis(_draws(table, place).reshape(shape), 2, 0).astype(np.int32)
        for place, stage in enumerate(about["stages"])
    }
    found = Forecast(date.fromisoformat(about["day"]), date.fromisoformat(about["last"]), paths)
    return Issue(about["version"], tuple(Series(*one) for one in about["series"]), found)


def _bytes_of(found: Forecast) -> bytes:
    """Return the paths as Parquet: one column a stage, a row for each series and day, in their order."""
    columns = {}
    for place, paths in enumerate(found.paths.values()):
        if paths.max(initial=0) > _MOST:
            raise ValueError(f"a path has {paths.max()} events on a day; wanted at most {_MOST}")
        draws = paths.shape[0]
        flat = pa.array(np.moveaxis(paths, 0, 2).astype(np.int16).ravel())
        columns[f"stage_{place}"] = pa.FixedSizeListArray.from_arrays(flat, draws)
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink, compression="zstd")
    return sink.getvalue()


def _draws(table: pa.Table, place: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int16]]:
    return np.asarray(table.column(f"stage_{place}").combine_chunks().flatten().to_numpy())
