"""Reading a forecast: means, and intervals as past outcomes taught to read them, summed before the quantiles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from foregate.cases.funnel.events import Events, day_number
from foregate.cases.funnel.forecasting import Forecast
from foregate.cases.funnel.levels import GRAINS, LEVELS, Level, Period, grain_of, levels, periods, start_of
from foregate.cases.funnel.panel import actuals, lives
from foregate.metrics.forecast import quantiles
from foregate.modeling.recalibration import Recalibration

NOMINAL = (0.5, 0.95)
BOUNDS = tuple(f"{side}_{round(100 * level)}" for level in NOMINAL for side in ("lower", "upper"))
Recalibrations = Mapping[tuple[str, str], Recalibration]
PLAIN = Recalibration()


@dataclass(frozen=True)
class Reader:
    """How one stage's paths are read: a recalibration for each level and grain, and how far outwards since then.

    `aims` is the share of misses to aim at for each level, grain and nominal coverage, where issued forecasts have
    moved it; else it is what the nominal coverage leaves.
    """

    recalibrations: Recalibrations
    aims: Mapping[tuple[str, str, float], float]

    def probabilities(self, level: str, grain: str) -> list[float]:
        """Return the probabilities of `BOUNDS` for a level and grain."""
        how = self.recalibrations.get((level, grain), PLAIN)
        found: list[float] = []
        for nominal in NOMINAL:
            aim = self.aims.get((level, grain, nominal), 1 - nominal)
            found += how.probabilities(1 - aim)
        return found


def read(drawn: NDArray[np.integer], reader: Reader, level: str, days: int) -> NDArray[np.float64]:
    """Return [1 + bounds, ...] the mean of draws [draws, ...] of a sum of so many days, then its bounds."""
    bounds = quantiles(drawn, reader.probabilities(level, grain_of(days)))
    return np.concatenate([drawn.mean(axis=0)[None], bounds.astype(np.float64)])


def level_rows(
    events: Events, found: Forecast, readers: Mapping[str, Reader], since: Mapping[str, NDArray[np.int64]]
) -> pa.Table:
    """Return a row for every stage, level, name and calendar period the horizon touches, with mean and intervals.

    `since` holds each stage's counts [series, days] of the days before the forecast, back to the start of its quarter:
    what of a period has happened is added to what is forecast, and is NULL where the period has not begun. A period the
    horizon cuts off is not whole: `whole` is false, and the numbers are of its days up to the horizon.
    """
    parts = [
        part
        for stage, paths in found.paths.items()
        for level in levels(events)
        for part in _periods_of(stage, level, found, paths, readers[stage], since[stage])
    ]
    return pa.concat_tables(parts)


def _periods_of(
    stage: str,
    level: Level,
    found: Forecast,
    paths: NDArray[np.integer],
    reader: Reader,
    since: NDArray[np.int64],
) -> Iterator[pa.Table]:
    drawn, came = level.sums(paths), level.sums(since)
    for period in periods(found.first, found.horizon):
        sums = drawn[..., period.first : period.until].sum(axis=-1)
        before = max(0, (found.first - period.start).days) if period.first == 0 else 0
        happened = came[:, came.shape[-1] - before :].sum(axis=-1)
        told = read(sums + happened, reader, level.name, period.until - period.first)
        yield _period_table(stage, level, period, found, told, happened)


def _period_table(
    stage: str, level: Level, period: Period, found: Forecast, told: NDArray[np.float64], happened: NDArray[np.int64]
) -> pa.Table:
    count, begun = len(level.names), period.start < found.first
    last = found.first + timedelta(days=found.horizon - 1)
    columns: dict[str, object] = {
        "stage": [stage] * count,
        "level": [level.name] * count,
        "name": list(level.names),
        "grain": [period.grain] * count,
        "period_start": [period.start] * count,
        "period_end": [period.end] * count,
        "whole": [period.end <= last] * count,
        "days_forecast": [period.until - period.first] * count,
        "actual_to_date": pa.array(happened if begun else [None] * count, pa.float64()),
        "forecast": told[0],
    }
    columns |= {f"forecast_{name}": told[1 + at] for at, name in enumerate(BOUNDS)}
    return pa.table(columns)


def day_rows(events: Events, found: Forecast, readers: Mapping[str, Reader], first_shown: date) -> pa.Table:
    """Return a row for every series and day from the first shown to the end of the horizon.

    Each stage has `<stage>_actual`, up to the last complete day, and `<stage>_forecast` with its bounds, from the day
    after; what is not there is NULL and never 0. `time_period_type` is ACTUAL, TODAY (the day of the knowledge, and
    days before it that are not complete) or FORECAST. A series has no actual before its first event in any stage.
    """
    past = (found.last - first_shown).days + 1
    days = [first_shown + timedelta(days=n) for n in range(past + found.horizon)]
    series = len(events.series)
    columns: dict[str, object] = {
        "unit_id": [str(one) for one in events.series for _ in days],
        "channel": [one.channel for one in events.series for _ in days],
        "source": [one.source for one in events.series for _ in days],
        "segment": [one.segment for one in events.series for _ in days],
        "date": days * series,
        "time_period_type": [_kind(day, found) for day in days] * series,
    }
    unborn = lives(events, found.last).born[:, None] > day_number(first_shown) + np.arange(past)
    lowest = levels(events)[LEVELS.index("source")]
    for stage, paths in found.paths.items():
        came = np.where(unborn, np.nan, actuals(events, stage, first_shown, found.last))
        told = read(paths, readers[stage], lowest.name, 1)
        columns[f"{stage}_actual"] = _padded(came, 0, found.horizon)
        for name, values in zip(("forecast", *(f"forecast_{b}" for b in BOUNDS)), told, strict=True):
            columns[f"{stage}_{name}"] = _padded(values, past, 0)
    return pa.table(columns)


def _padded(values: NDArray[np.float64], before: int, after: int) -> pa.Array:
    """Return [series, days] values as one column, with NULL for days before and after."""
    wide = np.pad(values, ((0, 0), (before, after)), constant_values=np.nan)
    return pa.array(wide.ravel(), pa.float64(), from_pandas=True)


def _kind(day: date, found: Forecast) -> str:
    if day <= found.last:
        return "ACTUAL"
    return "TODAY" if day <= found.day else "FORECAST"


def since_of(events: Events, found: Forecast) -> dict[str, NDArray[np.int64]]:
    """Return each stage's counts of the days before the forecast, back to the start of its quarter or week."""
    start = min(start_of(found.first, grain) for grain in GRAINS)
    if start > found.last:
        return {stage: np.zeros((len(events.series), 0), dtype=np.int64) for stage in found.paths}
    return {stage: actuals(events, stage, start, found.last) for stage in found.paths}
