"""Issuing: a forecast written once and for all, its tables staged for readers, and what a forecast must be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from foregate.cases.funnel import issues
from foregate.cases.funnel.events import Events, date_of
from foregate.cases.funnel.forecasting import Forecast, Known, forecast
from foregate.cases.funnel.issues import Issue
from foregate.cases.funnel.packages import Package
from foregate.cases.funnel.reading import BOUNDS, Reader, day_rows, level_rows, since_of
from foregate.cases.funnel.work import DAYS, LEVELS_TABLE
from foregate.core.evidence import Evidence, Unit
from foregate.core.ports import Warehouse
from foregate.metrics.estimate import Estimate
from foregate.metrics.forecast import capture_rate
from foregate.modeling.measured import Measured

HEARD_DAYS = 28
ISSUED_DAYS, ISSUED_LEVELS = "issued.funnel_days", "issued.funnel_levels"
SHADOW = "shadow"
Aims = Mapping[str, Mapping[tuple[str, str, float], float]]


class Staged(NamedTuple):
    """An issue that was written: its name, and the digest of its bytes."""

    key: str
    digest: str


@dataclass(frozen=True)
class Tables:
    """An issue, and the rows readers are shown of it by day and by period, stamped with it; nothing is written yet."""

    issue: Issue
    days: pa.Table
    levels: pa.Table


def tables_of(package: Package, events: Events, found: Forecast, aims: Aims) -> Tables:
    """Return a forecast as an issue and its tables; `aims` are how far issued forecasts have moved the intervals."""
    issue = Issue(package.version, events.series, found)
    readers = readers_of(package, aims)
    stamp = {"version": package.version, "issue": issue.key, "issued_on": found.day}
    days = _stamped(day_rows(events, found, readers, first_shown(events, package)), stamp)
    levels = _stamped(level_rows(events, found, readers, since_of(events, found)), stamp)
    return Tables(issue, days, levels)


def stage_tables(warehouse: Warehouse, told: Tables) -> None:
    """Write an issue's tables to the warehouse's schema in use, in place of those that are there."""
    warehouse.load(DAYS, told.days)
    warehouse.load(LEVELS_TABLE, told.levels)


def keep(warehouse: Warehouse, told: Tables, folder: Path, *, shadow: bool) -> Staged:
    """Return the issue once its paths are written for good, and its rows kept under its name in `issued`.

    Those tables only grow. `shadow`: its version is not in service. Raises DataError when the issue is there with other
    bytes; nothing is written then.
    """
    digest = issues.write(told.issue, folder)
    keep_rows(warehouse, told, shadow=shadow)
    return Staged(told.issue.key, digest)


def keep_rows(warehouse: Warehouse, told: Tables, *, shadow: bool) -> None:
    """Add an issue's rows to the tables of `issued`, unless they are there; `shadow` as for `keep`."""
    ahead = told.days.filter(pc.greater(told.days.column("date"), pa.scalar(told.issue.forecast.last)))
    for name, rows in ((ISSUED_DAYS, ahead), (ISSUED_LEVELS, told.levels)):
        warehouse.append(name, _stamped(rows, {SHADOW: shadow}), {"issue": told.issue.key})


def readers_of(package: Package, aims: Aims) -> dict[str, Reader]:
    """Return how each stage's paths are read."""
    return {
        stage: Reader(package.recalibrations.get(stage, {}), aims.get(stage, {})) for stage in package.settings.stages
    }


def first_shown(events: Events, package: Package) -> date:
    """Return the first day readers are shown: the first event of any stage, or the first day of whole counts."""
    start = package.settings.train_start
    found = date_of(min(int(one.day.min()) for one in events.stages.values()))
    return max(found, start) if start else found


def _stamped(table: pa.Table, stamp: Mapping[str, object]) -> pa.Table:
    for name, value in stamp.items():
        table = table.append_column(name, pa.array([value] * table.num_rows))
    return table


def forecast_findings(
    made: Measured, warehouse: Warehouse, package: Package, events: Events, found: Forecast
) -> Iterator[Evidence]:
    """Yield what is wrong with the staged tables, as exact counts of cells, and whether stages hear their past."""
    levels, days = warehouse.table(f"from {LEVELS_TABLE}"), warehouse.table(f"from {DAYS}")
    stages = list(found.paths)
    cells = levels.num_rows
    apart = warehouse.rows(_INCOHERENT)[0][0] + sum(
        warehouse.rows(_UNSUMMED.format(stage=stage), {"stage": stage, "last": found.last})[0][0] for stage in stages
    )
    yield made.count("incoherent_cells", apart, cells, words="sums of sources, channels and segments against the total")
    rising = ("forecast_lower_95", "forecast_lower_50", "forecast_upper_50", "forecast_upper_95")
    order = " or ".join(f"{low} > {high}" for low, high in pairwise(rising))
    wrong = warehouse.rows(f"select count(*) from {LEVELS_TABLE} where {order}")[0][0]  # noqa: S608 - our own names
    yield made.count("disordered_quantiles", wrong, cells)
    least = min(float(np.nanmin(levels.column(n).to_numpy())) for n in ("forecast", *(f"forecast_{b}" for b in BOUNDS)))
    yield made.count("negative_cells", int(least < 0), cells, words=f"the least number is {least:g}")
    yield from _holes(made, days, stages, found)
    yield _deaf(made, package, events, found)
    yield from _breaks(made, events, package, found)


_INCOHERENT = f"""
select count(*) from (
  select stage, grain, period_start, level, sum(forecast) as total, sum(actual_to_date) as happened
  from {LEVELS_TABLE} group by all
) as part join (
  select stage, grain, period_start, sum(forecast) as total, sum(actual_to_date) as happened
  from {LEVELS_TABLE} where level = 'total' group by all
) as whole using (stage, grain, period_start)
where abs(part.total - whole.total) > 1e-6 or part.happened is distinct from whole.happened
"""  # noqa: S608 - our own names
_UNSUMMED = f"""
select count(*) from (
  select date as start, sum({{stage}}_forecast) as total from {DAYS} where date > $last group by date
) as days join (
  select period_start as start, forecast from {LEVELS_TABLE} where stage = $stage and level = 'total' and grain = 'day'
) as told using (start) where abs(days.total - told.forecast) > 1e-6
"""  # noqa: S608 - our own names


def _holes(made: Measured, days: pa.Table, stages: list[str], found: Forecast) -> Iterator[Evidence]:
    """Yield forecasts that are missing where one belongs, and numbers that stand where none belongs."""
    date_of_row = days.column("date").to_numpy().astype("datetime64[D]")
    ahead = date_of_row > np.datetime64(found.last)
    missing = filled = 0
    for stage in stages:
        told = ~np.isnan(days.column(f"{stage}_forecast").to_numpy(zero_copy_only=False))
        came = ~np.isnan(days.column(f"{stage}_actual").to_numpy(zero_copy_only=False))
        missing += int((ahead & ~told).sum())
        filled += int((~ahead & told).sum() + (ahead & came).sum())
    yield made.count("missing_forecasts", missing, int(ahead.sum()) * len(stages))
    words = "forecasts on days that are known, actuals on days that are not"
    yield made.count("zero_filled_cells", filled, days.num_rows * len(stages), words=words)


def _deaf(made: Measured, package: Package, events: Events, found: Forecast) -> Evidence:
    """Return how many stages forecast the same when the counts of the last four weeks are doubled."""
    known, settings = Known(events, package.settings), package.settings
    for stage in settings.stages:
        history = known.history(stage)
        counts = history.counts.copy()
        counts[:, -HEARD_DAYS:] = 2 * counts[:, -HEARD_DAYS:] + history.present()[:, -HEARD_DAYS:]
        known.histories[stage] = replace(history, counts=counts)
    again = forecast(known, package.candidates, found.horizon, settings.draws, package.seed)
    deaf = [s for s, paths in found.paths.items() if np.array_equal(paths, again.paths[s])]
    words = f"{', '.join(deaf)}: the same whatever the last {HEARD_DAYS} days were" if deaf else ""
    return made.count("deaf_stages", len(deaf), len(found.paths), words=words)


def _breaks(made: Measured, events: Events, package: Package, found: Forecast) -> Iterator[Evidence]:
    """Yield, by stage, the events a day that are forecast for the next weeks over those of the last ones.

    The interval is that of the mean behind the last count, by chance alone: of few events it is wide, and nothing
    can be told. No event in them and none forecast is no break: 1, on no rows.
    """
    days = min(package.settings.score_days, found.horizon)
    known = Known(events, package.settings)
    for stage, paths in found.paths.items():
        last = int(known.history(stage).counts[:, -2 * days :].sum())
        ahead = float(paths[..., :days].sum(axis=(1, 2)).mean())
        told = f"{ahead:,.1f} in {days} days from {found.first}, {last:,} in the {2 * days} days before"
        if not last and not ahead:
            ratio = Estimate(1.0, 1.0, 1.0, 0)
        else:
            ratio = capture_rate([2 * ahead], [last], None, made.level)._replace(rows=last)
        yield made.estimate("trend_break", ratio, Unit.RATIO, stage, told)
