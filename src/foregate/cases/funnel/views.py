"""Views: what a BI tool reads, all of them over the readers' view, so that moving that moves them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from foregate.cases.funnel.issuing import ISSUED_DAYS, ISSUED_LEVELS, SHADOW
from foregate.cases.funnel.reading import BOUNDS, NOMINAL

PRODUCTION, BI, PERIODS = "bi.production_forecast", "bi.forecast_for_bi", "bi.forecast_by_period"
CALENDAR = (
    "year(date) as year, quarter(date) as quarter, month(date) as month, monthname(date) as month_name, "
    "dayofweek(date) as day_of_week, dayname(date) as day_name, date - issued_on as days_from_today"
)


def day_columns(stages: Sequence[str]) -> tuple[str, ...]:
    """Return the columns of `production_forecast`: the contract with its readers.

    >>> day_columns(["sql"])[5:9]
    ('time_period_type', 'sql_actual', 'sql_forecast', 'sql_forecast_lower_50')
    """
    keys = ("unit_id", "channel", "source", "segment", "date", "time_period_type")
    own = tuple(f"{stage}_{part}" for stage in stages for part in ("actual", "forecast", *_bounds()))
    return (*keys, *own, "version", "issue", "issued_on")


def bi_columns(stages: Sequence[str]) -> tuple[str, ...]:
    """Return the columns of `forecast_for_bi`, in their order."""
    calendar = tuple(part.split(" as ")[1] for part in CALENDAR.split(", ") if " as " in part)
    more = tuple(
        f"{s}_{part}" for s in stages for part in ("value", "mtd", "qtd", *(f"ci_width_{w}" for w in _widths()))
    )
    return (*day_columns(stages), "generation", *calendar, "data_type", *more)


def views(stages: Sequence[str]) -> Mapping[str, str]:
    """Return the views by name: for BI, by period, and what was issued.

    A value is the actual where the day is complete, else the forecast; to-date columns sum values from the first of the
    month or quarter. What is not there is NULL in every one of them. `shadow` of what was issued is true where the
    version was not in service when it issued.
    """
    own = ", ".join(part for stage in stages for part in _of_stage(stage))
    windows = (
        "month_to as (partition by unit_id, date_trunc('month', date) order by date), "
        "quarter_to as (partition by unit_id, date_trunc('quarter', date) order by date)"
    )
    issues = f"(select distinct issue from {PRODUCTION})"  # noqa: S608 - our own name
    told = f"* replace (coalesce({SHADOW}, false) as {SHADOW})"
    kind = "case when time_period_type = 'ACTUAL' then 'actual' else 'forecast' end as data_type"
    return {
        BI: f"select *, {CALENDAR}, {kind}, {own} from {PRODUCTION} window {windows}",  # noqa: S608 - our own names
        PERIODS: f"{_issued(ISSUED_LEVELS, f'* exclude ({SHADOW})')} where issue in {issues}",
        "bi.issued_days": _issued(ISSUED_DAYS, told),
        "bi.issued_by_period": _issued(ISSUED_LEVELS, told),
    }


def _issued(table: str, columns: str) -> str:
    """Return the columns of a table of issues; rows of before there was a column `shadow` have none in it."""
    every = f"select * from {table} union all by name select null::boolean as {SHADOW} where false"  # noqa: S608
    return f"select {columns} from ({every})"  # noqa: S608 - our own names


def _of_stage(stage: str) -> list[str]:
    value = f"coalesce({stage}_actual, {stage}_forecast)"
    widths = [f"{stage}_forecast_upper_{w} - {stage}_forecast_lower_{w} as {stage}_ci_width_{w}" for w in _widths()]
    return [
        f"{value} as {stage}_value",
        f"sum({value}) over month_to as {stage}_mtd",
        f"sum({value}) over quarter_to as {stage}_qtd",
        *widths,
    ]


def _bounds() -> tuple[str, ...]:
    return tuple(f"forecast_{bound}" for bound in BOUNDS)


def _widths() -> tuple[int, ...]:
    return tuple(round(100 * nominal) for nominal in NOMINAL)
