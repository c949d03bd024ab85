"""Scoring: the packaged statement with another spine, so that what is served is what was trained."""

from __future__ import annotations

from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from foregate.cases.leads.packages import Package
from foregate.cases.leads.settings import LeadsSettings
from foregate.cases.leads.statements import create, only
from foregate.cases.leads.tiers import case_expression
from foregate.core.errors import ConfigurationError, DataError
from foregate.core.ports import Warehouse
from foregate.metrics.ranking import percentiles
from foregate.warehouse.days import day
from foregate.warehouse.point_in_time import SUBJECT, Compiled, Spine, compile_features
from foregate.warehouse.profile import literal
from foregate.warehouse.sources import view_name

POPULATION_SPINE, POPULATION_FEATURES = "population_spine", "population_features"
SCORE_COLUMNS = frozenset({SUBJECT, "unit_id", "as_of", "tier", "margin", "score", "percentile", "version"})


def own_columns(settings: LeadsSettings) -> tuple[str, ...]:
    """Return the columns a spine carries beside its subject and day."""
    return tuple(dict.fromkeys([settings.person, *settings.keys, *settings.columns]))


def population_spine(settings: LeadsSettings, as_of: date) -> exp.Select:
    """Return one row per person to score today: the declared population, or the leads whose outcome is open."""
    own = own_columns(settings)
    if settings.population is not None:
        found = settings.population
        renamed = [exp.column(found.person if c == settings.person else c).as_(c) for c in own]
        subject = exp.column(found.person).as_(SUBJECT)
        return exp.select(subject, literal(as_of).as_("as_of"), *renamed).from_(view_name(found.source))
    open_leads = exp.and_(
        day(exp.column(settings.contacted)) <= literal(as_of),
        exp.or_(exp.column(settings.converted).is_(exp.null()), day(exp.column(settings.converted)) > literal(as_of)),
    )
    matured = exp.Sub(
        this=literal(as_of),
        expression=exp.Interval(this=exp.Literal.string(settings.dates.embargo_days), unit=exp.var("day")),
    )
    return (
        exp.select(
            exp.column(settings.lead).as_(SUBJECT),
            day(exp.column(settings.contacted)).as_("as_of"),
            *(exp.column(c) for c in own),
        )
        .from_(view_name(settings.source))
        .where(only(settings), open_leads, day(exp.column(settings.contacted)) > matured)
    )


def compiled_for(package: Package, spine: Spine, columns: dict[str, dict[str, str]]) -> Compiled:
    """Return the package's own statement over a spine."""
    return compile_features(package.files, package.sources, columns, spine)


def score_population(
    package: Package, warehouse: Warehouse, columns: dict[str, dict[str, str]], spine: Spine, as_of: date, table: str
) -> pa.Table:
    """Return features of the population after writing its scores to a table: whole or not at all.

    The score table has subject_id, unit_id (what a rollout assigns to an arm, as text), as_of, tier, margin, score
    (probability), percentile (1..100) and version. Raises
    DataError when the population is empty, has people without an id, or another type where the leads' own columns are.
    """
    create(warehouse, POPULATION_SPINE, population_spine(package.settings, as_of))
    _same_types(package, warehouse, spine)
    _all_named(warehouse)
    compiled = compiled_for(package, Spine(POPULATION_SPINE, spine.columns, spine.own, spine.late), columns)
    tier = case_expression(package.rules, warehouse.dialect)
    warehouse.create(POPULATION_FEATURES, compiled.sql(warehouse.dialect), in_order=compiled.sums_floats)
    tiers = warehouse.table(f"select *, {tier} as tier__ from {POPULATION_FEATURES} order by {SUBJECT}")  # noqa: S608
    if tiers.num_rows == 0:
        raise DataError(
            "[leads.population]",
            found="nobody to score",
            wanted="at least one person",
            then="Check the population's table.",
        )
    margins, probabilities = package.score(tiers)
    warehouse.load(
        table,
        pa.table(
            {
                SUBJECT: tiers.column(SUBJECT),
                "unit_id": _units(tiers, package.settings),
                "as_of": tiers.column("as_of"),
                "tier": tiers.column("tier__"),
                "margin": margins,
                "score": probabilities,
                "percentile": np.asarray(percentiles(margins)).astype(np.int32),
                "version": [package.version] * tiers.num_rows,
            }
        ),
    )
    return tiers


def _units(scored: pa.Table, settings: LeadsSettings) -> pa.Array:
    """Return what a rollout assigns: the declared column, and the person where there is none or it is missing."""
    people = scored.column(SUBJECT).cast(pa.string())
    if settings.unit is None:
        return people
    if settings.unit not in scored.column_names:
        raise ConfigurationError(
            "foregate.toml [leads] unit",
            found=repr(settings.unit),
            wanted=f"a column of the people scored: {', '.join(scored.column_names)}",
            then="Name a feature or key that everybody scored has, or leave it out to assign people.",
        )
    return pc.coalesce(scored.column(settings.unit).cast(pa.string()), people)


def _same_types(package: Package, warehouse: Warehouse, spine: Spine) -> None:
    there = warehouse.columns(POPULATION_SPINE)
    for name, wanted in spine.columns.items():
        if there[name] != wanted:
            raise DataError(
                f"[leads.population] {name}",
                found=f"the type {there[name]}",
                wanted=f"{wanted}, as the leads have",
                then="Cast it in a query source: what is served must be what was trained.",
            )


def _all_named(warehouse: Warehouse) -> None:
    nameless = int(warehouse.rows(f"select count(*) from {POPULATION_SPINE} where {SUBJECT} is null")[0][0])  # noqa: S608
    if nameless:
        raise DataError(
            "[leads.population] person",
            found=f"{nameless:,} people without an id",
            wanted="an id for everybody: whoever has none would be scored, and lost before the list",
            then="Leave them out, or name them, in a query source.",
        )
