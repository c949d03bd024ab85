"""Profiles of tables: the questions every data gate asks, built as trees and written in the engine's dialect."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from sqlglot import exp

from foregate.core.ports import Warehouse
from foregate.warehouse.days import day, known_day
from foregate.warehouse.sources import Source, view_name


def ask(warehouse: Warehouse, tree: exp.Select | exp.Query) -> list[tuple[object, ...]]:
    """Return the rows of a tree."""
    return warehouse.rows(tree.sql(dialect=warehouse.dialect))


def row_count(warehouse: Warehouse, table: str) -> int:
    """Return the number of rows."""
    return _whole(ask(warehouse, exp.select(exp.Count(this=exp.Star())).from_(table))[0][0])


def duplicates(warehouse: Warehouse, table: str, key: Sequence[str]) -> tuple[int, str]:
    """Return how many keys stand on more than one row, and one of them in words."""
    columns = [exp.column(c) for c in key]
    several = exp.select(*columns).from_(table).group_by(*columns).having(exp.Count(this=exp.Star()) > 1)
    found = _whole(ask(warehouse, exp.select(exp.Count(this=exp.Star())).from_(several.subquery("several")))[0][0])
    first = ask(warehouse, several.order_by(*columns).limit(1)) if found else []
    return found, ", ".join(f"{c} = {v}" for c, v in zip(key, first[0], strict=True)) if first else ""


def newest_known(warehouse: Warehouse, name: str, source: Source, as_of: date) -> date | None:
    """Return the latest day on which a row became known, up to the as-of date; None when there is none."""
    known = known_day(source)
    until = exp.LTE(this=known, expression=literal(as_of))
    return ask(warehouse, exp.select(exp.Max(this=known.copy())).from_(view_name(name)).where(until))[0][0]  # type: ignore[return-value]


def out_of_range(warehouse: Warehouse, table: str, columns: Sequence[str], low: date, high: date) -> tuple[int, int]:
    """Return how many rows hold a date outside [low, high] in any of the columns, and the rows in all."""
    outside = [exp.or_(day(exp.column(c)) < literal(low), day(exp.column(c)) > literal(high)) for c in columns]
    strange = exp.Sum(this=exp.case().when(exp.or_(*outside), exp.Literal.number(1)).else_(exp.Literal.number(0)))
    found = ask(warehouse, exp.select(strange, exp.Count(this=exp.Star())).from_(table))[0]
    return _whole(found[0]), _whole(found[1])


def literal(on: date) -> exp.Expr:
    """Return a day as a literal."""
    return exp.cast(exp.Literal.string(on.isoformat()), "date")


def _whole(value: object) -> int:
    return int(value or 0)  # type: ignore[call-overload, no-any-return]
