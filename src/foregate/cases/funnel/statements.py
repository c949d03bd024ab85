"""The case's SQL: trees over the stages' sources, written in the engine's dialect."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, TokenError

from foregate.cases.funnel.settings import FunnelSettings, Stage
from foregate.core.errors import ConfigurationError
from foregate.warehouse.days import day, known_day
from foregate.warehouse.profile import literal
from foregate.warehouse.sources import Source, view_name

_BEYOND_THE_ROW = (
    exp.Query,
    exp.AggFunc,
    exp.Window,
    exp.UDTF,
    exp.Star,
    exp.Placeholder,
    exp.Parameter,
    exp.Alias,
    exp.Block,
    exp.Rand,
    exp.CurrentDate,
    exp.CurrentTime,
    exp.CurrentTimestamp,
)
_TODAY = frozenset({"now", "today", "random", "uuid", "gen_random_uuid", "get_current_timestamp", "get_current_time"})


def condition(stage: Stage, where: str) -> exp.Expr:
    """Return the stage's `only` as a tree; TRUE when it has none.

    Raises ConfigurationError for what is no condition over the columns of one row.
    """
    if stage.only is None:
        return exp.true()
    try:
        tree = sqlglot.parse_one(stage.only, dialect="duckdb")
    except (ParseError, TokenError) as error:
        raise _no_condition(where, f"{stage.only!r} ({' '.join(str(error).split())[:120]})") from error
    beyond = next((node for node in tree.walk() if _looks_beyond(node)), None)
    if beyond is not None or not tree.find(exp.Column, exp.Boolean):
        raise _no_condition(where, f"{stage.only!r}" + (f": {beyond.sql('duckdb')}" if beyond is not None else ""))
    return exp.paren(tree)


def _looks_beyond(node: exp.Expr) -> bool:
    named_alone = not (isinstance(node, exp.Column) and node.table)
    by_the_clock = isinstance(node, exp.Anonymous) and node.name.lower() in _TODAY
    return isinstance(node, _BEYOND_THE_ROW) or by_the_clock or not named_alone


def _no_condition(where: str, found: str) -> ConfigurationError:
    return ConfigurationError(
        f"{where} only",
        found=found,
        wanted="a true-or-false condition over the columns of one row",
        then="Compute the value as a column of a query source, then compare that column here.",
    )


def known(stage: Stage, source: Source) -> exp.Expr:
    """Return the day since when an event of the stage is known.

    The stage's own `known`, else that of the column that dates it, else that of its row (an event that is dated after
    its row is known on its own day all the same), else its own day.
    """
    late = stage.known or source.late().get(stage.on)
    if late:
        return day(column(late))
    return known_day(source) if source.has_history else day(column(stage.on))


def says_known(stage: Stage, source: Source) -> bool:
    """Return whether a column of its own says since when an event is known, apart from the day it happened."""
    late = stage.known or source.late().get(stage.on)
    return late is not None and late != stage.on


def column(name: str) -> exp.Expr:
    """Return a column by its exact name."""
    return exp.column(name, quoted=True)


def text(name: str) -> exp.Expr:
    """Return a column as text: ids of one person may be numbers in one source and text in another."""
    return exp.cast(column(name), "text")


def rows_of(name: str, settings: FunnelSettings, *columns: exp.Expr) -> exp.Select:
    """Return a selection from a stage's source, of the rows that its `only` lets through."""
    stage = settings.stages[name]
    place = f"foregate.toml [funnel.stages.{name}]"
    return exp.select(*columns).from_(view_name(stage.source)).where(condition(stage, place))


def entered(
    name: str, settings: FunnelSettings, sources: Mapping[str, Source], as_of: date, *columns: exp.Expr
) -> exp.Select:
    """Return a selection from the rows that had entered a stage, by its own date, as far as known on a day."""
    stage = settings.stages[name]
    on, seen = day(column(stage.on)), known(stage, sources[stage.source])
    return rows_of(name, settings, *columns).where(on <= literal(as_of), seen <= literal(as_of))


def all_events(settings: FunnelSettings, sources: Mapping[str, Source], as_of: date) -> exp.Query:
    """Return the rows of every stage that are events known on a day: stage, id, entity, channel, source, day, known.

    In a full order, so that the same rows always come in the same sequence. An id may stand on several rows; rows
    without an id are left out (`checks.py` counts them).
    """
    selects: list[exp.Query] = []
    for place, (name, stage) in enumerate(settings.stages.items()):
        columns = (
            exp.cast(exp.Literal.number(place), "int").as_("stage"),
            text(stage.id).as_("id"),
            text(stage.links_by).as_("entity"),
            text(stage.channel).as_("channel"),
            text(stage.source_name).as_("source"),
            day(column(stage.on)).as_("day"),
            known(stage, sources[stage.source]).as_("known"),
        )
        there = column(stage.id).is_(exp.null()).not_()
        selects.append(entered(name, settings, sources, as_of, *columns).where(there))
    together = exp.union(*selects, distinct=False) if len(selects) > 1 else selects[0]
    ordered = exp.select("*").from_(together.subquery("event"))
    return ordered.order_by("stage", "id", "day", "known", "channel", "source", "entity")
