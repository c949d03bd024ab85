"""The case's SQL, one file per table, written in the engine's dialect."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import cache
from importlib.resources import files

import sqlglot
from sqlglot import exp

from foregate.cases.leads import conditions
from foregate.cases.leads.settings import LeadsSettings
from foregate.core.errors import ConfigurationError, FeatureError
from foregate.core.ports import Warehouse
from foregate.warehouse.days import day
from foregate.warehouse.features import FeatureFile
from foregate.warehouse.point_in_time import SUBJECT
from foregate.warehouse.profile import literal
from foregate.warehouse.sources import view_name

TAKEN = frozenset({"label", "slice", "age__", "tier", "tier__", "score", "percentile", "person_id", "own_id"})


@cache
def statement(name: str, dialect: str) -> str:
    """Return the statement of `sql/<name>.sql` in a dialect."""
    text = (files("foregate.cases.leads") / "sql" / f"{name}.sql").read_text(encoding="utf-8")
    return sqlglot.parse_one(text, dialect="duckdb").sql(dialect=dialect)


def only(settings: LeadsSettings) -> exp.Expr:
    """Return the condition that makes a row a lead of this case.

    Raises RefusalError for what is no condition of one row, ConfigurationError for one that reads the outcome: who is a
    lead must not depend on what became of them.
    """
    tree = conditions.parse(settings.only, "foregate.toml [leads] only")
    if settings.converted.lower() in conditions.columns_of(tree):
        raise ConfigurationError(
            "foregate.toml [leads] only",
            found=f"{settings.only!r}, which reads the outcome `{settings.converted}`",
            wanted="a condition on what was there before the outcome",
            then="Leave the outcome out: rows chosen by it make every rate wrong.",
        )
    return tree


def check_feature_names(files: Sequence[FeatureFile]) -> None:
    """Raise FeatureError for a feature that bears a name the tables of a run or a list already use."""
    for file in files:
        for name in file.outputs:
            if name.lower() in TAKEN or name.lower().startswith(("own__", "list__", "excluded_")):
                raise FeatureError(
                    file.path,
                    found=f"the feature `{name}`, a name of Foregate's own tables",
                    wanted=f"another name than {', '.join(sorted(TAKEN))}, own__..., list__... or excluded_...",
                    then="Rename it: one of the two would be read for the other.",
                )


def leads_table(settings: LeadsSettings, contacted_by: date | None = None) -> exp.Select:
    """Return the leads under canonical names (lead_id, person, contacted_on, converted_on), all or those contacted."""
    selected = exp.select(
        exp.column(settings.lead).as_("lead_id"),
        exp.column(settings.person).as_("person"),
        day(exp.column(settings.contacted)).as_("contacted_on"),
        day(exp.column(settings.converted)).as_("converted_on"),
    ).from_(view_name(settings.source))
    selected = selected.where(only(settings))
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
