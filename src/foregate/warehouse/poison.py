"""The poison test: rewrite every row unknown at a day with garbage, recompute, and demand the same features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

from sqlglot import exp

from foregate.core.ports import Warehouse
from foregate.warehouse.days import day, known_day
from foregate.warehouse.features import FeatureFile
from foregate.warehouse.point_in_time import SUBJECT, Compiled, Spine, compile_features
from foregate.warehouse.profile import ask, literal
from foregate.warehouse.sources import Source, view_name

_GARBAGE = {"DATE": "1901-01-01", "TIMESTAMP": "1901-01-01", "VARCHAR": "poison", "BOOLEAN": "true"}


def poisoned_changes(
    warehouse: Warehouse,
    files: Sequence[FeatureFile],
    sources: Mapping[str, Source],
    columns: Mapping[str, Mapping[str, str]],
    spine: Spine,
    *,
    days: int,
    leads: int,
    compile_with: object = compile_features,
) -> tuple[int, int, str]:
    """Return (leads whose features changed, leads compared, one feature that changed) over a few as-of days.

    The days are spread over the spine; at each one the first `leads` leads by id are recomputed twice: over the sources
    as they are, and over sources whose every row (and every late value) unknown on that day has been rewritten. Keys
    and known-at columns stay, so that rows still join.
    """
    assert callable(compile_with)
    used = {file.source for file in files if file.source in sources and file.source != spine.own}
    changed = compared = 0
    which = ""
    for on in _days(warehouse, spine.table, days):
        sample = (
            exp.select("*").from_(spine.table).where(exp.column("as_of").eq(literal(on))).order_by(SUBJECT).limit(leads)
        )
        warehouse.create("poison_spine", sample.sql(dialect=warehouse.dialect))
        small = Spine("poison_spine", spine.columns, spine.own, spine.late)
        compiled = compile_with(files, sources, columns, small)
        warehouse.create("poison_before", compiled.sql(warehouse.dialect))
        for name in sorted(n for n in used if n):
            warehouse.create(
                f"poison_{name}", _poisoned(name, sources[name], columns[name], on).sql(dialect=warehouse.dialect)
            )
        warehouse.create("poison_after", _over_poison(compiled, used).sql(dialect=warehouse.dialect))
        found, rows, first = _compare(warehouse, compiled)
        changed, compared, which = changed + found, compared + rows, which or first
    for table in ["poison_spine", "poison_before", "poison_after", *(f"poison_{n}" for n in used if n)]:
        warehouse.drop(table)
    return changed, compared, which


def _days(warehouse: Warehouse, spine: str, days: int) -> list[date]:
    """Return as-of days at the middle of equal parts of the spine."""
    ranked = ask(warehouse, exp.select("as_of").distinct().from_(spine).order_by("as_of"))
    all_days = [row[0] for row in ranked]
    picked = (
        {min(len(all_days) - 1, (2 * i + 1) * len(all_days) // (2 * days)) for i in range(days)} if all_days else set()
    )
    return [all_days[i] for i in sorted(picked)]  # type: ignore[misc]


def _poisoned(name: str, source: Source, types: Mapping[str, str], on: date) -> exp.Select:
    late = source.late()
    kept = {source.key, source.known, *late.values()} | ({source.happened} if source.known_after else set())
    unknown = exp.Or(this=known_day(source) >= literal(on), expression=known_day(source).is_(exp.null()))
    outputs: list[exp.Expr] = []
    for column, engine_type in types.items():
        value = exp.column(column)
        if column in kept:
            outputs.append(value)
            continue
        garbage = _garbage(engine_type)
        branches = exp.case().when(unknown.copy(), garbage)
        if column in late:
            seen = day(exp.column(late[column]))
            branches = branches.when(exp.or_(seen >= literal(on), seen.copy().is_(exp.null())), garbage.copy())
        outputs.append(exp.alias_(branches.else_(value), column))
    return exp.select(*outputs).from_(view_name(name))


def _garbage(engine_type: str) -> exp.Expr:
    base = engine_type.upper().split("(")[0]
    text = _GARBAGE.get(base, "-7")
    return exp.cast(exp.Literal.string(text), engine_type)


def _over_poison(compiled: Compiled, used: set[str | None]) -> exp.Expr:
    renamed = {view_name(n): f"poison_{n}" for n in used if n}

    def swap(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.Table) and node.name in renamed:
            node.set("this", exp.to_identifier(renamed[node.name]))
        return node

    return compiled.tree.copy().transform(swap)


def _compare(warehouse: Warehouse, compiled: Compiled) -> tuple[int, int, str]:
    """Return (leads that differ, leads, the first feature that differs); NULL equals NULL."""
    same = {
        f: exp.NullSafeEQ(this=exp.column(f, table="a"), expression=exp.column(f, table="b")) for f in compiled.features
    }
    differ = exp.not_(exp.and_(*(s.copy() for s in same.values())))
    each = [
        exp.Sum(this=exp.case().when(s.copy().not_(), exp.Literal.number(1)).else_(0)).as_(f"c{i}")
        for i, s in enumerate(same.values())
    ]
    total = exp.Sum(this=exp.case().when(differ, exp.Literal.number(1)).else_(0))
    tree = (
        exp.select(total, exp.Count(this=exp.Star()), *each)
        .from_(exp.alias_(exp.to_table("poison_before"), "a", table=True))
        .join(
            exp.alias_(exp.to_table("poison_after"), "b", table=True),
            on=exp.column(SUBJECT, table="a").eq(exp.column(SUBJECT, table="b")),
        )
    )
    found = [int(str(v or 0)) for v in ask(warehouse, tree)[0]]
    first = next((f for f, n in zip(same, found[2:], strict=True) if n), "")
    return found[0], found[1], first
