"""The case's SQL, one file per table, written in the engine's dialect."""

from __future__ import annotations

from datetime import date
from functools import cache
from importlib.resources import files

import sqlglot
from sqlglot import exp

from foregate.cases.leads.settings import LeadsSettings
from foregate.core.errors import ConfigurationError
from foregate.core.ports import Warehouse
from foregate.warehouse.days import day
from foregate.warehouse.point_in_time import SUBJECT
from foregate.warehouse.profile import literal
from foregate.warehouse.sources import view_name


@cache
def statement(name: str, dialect: str) -> str:
    """Return the statement of `sql/<name>.sql` in a dialect."""
    text = (files("foregate.cases.leads") / "sql" / f"{name}.sql").read_text(encoding="utf-8")
    return sqlglot.parse_one(text, dialect="duckdb").sql(dialect=dialect)


def leads_table(settings: LeadsSettings, contacted_by: date | None = None) -> exp.Select:
    """Return the leads under canonical names (lead_id, person, contacted_on, converted_on), all or those contacted."""
    try:
        only = sqlglot.parse_one(settings.only, dialect="duckdb")
    except sqlglot.errors.ParseError as error:
        raise ConfigurationError(
            "foregate.toml [leads] only",
            found=str(error).splitlines()[0],
            wanted="an SQL condition on the leads' columns",
            then="Correct the condition.",
        ) from error
    selected = exp.select(
        exp.column(settings.lead).as_("lead_id"),
        exp.column(settings.person).as_("person"),
        day(exp.column(settings.contacted)).as_("contacted_on"),
        day(exp.column(settings.converted)).as_("converted_on"),
    ).from_(view_name(settings.source))
    selected = selected.where(only)
    if contacted_by is None:
        return selected
    return selected.where(day(exp.column(settings.contacted)) <= literal(contacted_by))


def spine_of_leads(settings: LeadsSettings, columns: tuple[str, ...]) -> exp.Select:
    """Return one row per contacted lead: subject_id, as_of (its contact), its keys and own columns."""
    own = [exp.column(c, table="l") for c in columns]
    return (
        exp.select(
            exp.column("lead_id", table="d").as_(SUBJECT), exp.column("contacted_on", table="d").as_("as_of"), *own
        )
        .from_(exp.alias_(exp.to_table("lead"), "d", table=True))
        .join(
            exp.alias_(exp.to_table(view_name(settings.source)), "l", table=True),
            on=exp.column(settings.lead, table="l").eq(exp.column("lead_id", table="d")),
        )
    )


def create(warehouse: Warehouse, table: str, tree: exp.Query) -> int:
    """Return the rows of a table made from a tree."""
    return warehouse.create(table, tree.sql(dialect=warehouse.dialect))
