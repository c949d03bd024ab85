"""Listing: the champion's fresh scores of the population, turned into candidates, a list and its account."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import pyarrow as pa
import sqlglot
from sqlglot import exp

from foregate.cases.leads import monthly_list
from foregate.cases.leads.matrix import MatrixSettings
from foregate.cases.leads.packages import Package
from foregate.cases.leads.phases import preflight
from foregate.cases.leads.refusals import ServingChangedError
from foregate.cases.leads.scoring import POPULATION_FEATURES, score_population
from foregate.cases.leads.serving import GATES, serving_evidence
from foregate.cases.leads.settings import LeadsSettings, Population
from foregate.cases.leads.tiers import TierRules, exclusion_expressions
from foregate.cases.leads.work import SCORES
from foregate.core.errors import ConfigurationError, DataError
from foregate.core.evidence import Evidence
from foregate.core.gate import Effect, Judgement, Result, judge
from foregate.core.ports import Warehouse
from foregate.modeling.explanations import reasons
from foregate.modeling.measured import Measured
from foregate.warehouse.point_in_time import SUBJECT, Spine, kind
from foregate.warehouse.profile import duplicates
from foregate.warehouse.sources import view_name

REASONS = 3
ORIGINAL = "own_id"
PEOPLE, DECISIONS, WATERFALL, EXPECTED = "list_people", "list_decisions", "list_waterfall", "list_expected"
_LIST_COLUMNS = {
    "lead_id": "lead",
    "firm_id": "firm",
    "firm_name": "firm_name",
    "lead_status": "status",
    "last_contacted_on": "last_contacted",
}


@dataclass(frozen=True)
class Request:
    """What a list is made of beside the champion: today's rules and settings of the project."""

    name: str
    as_of: date
    settings: LeadsSettings
    rules: TierRules
    seed: int
    stale: tuple[Evidence, ...] = ()
    accepted: frozenset[str] = frozenset()


def build(
    request: Request, package: Package, warehouse: Warehouse, columns: Mapping[str, Mapping[str, str]], spine: Spine
) -> tuple[monthly_list.Built, tuple[Judgement, ...]]:
    """Return the finished list and how its data were judged; its four tables are written, with everybody's top reasons.

    Everybody is scored anew as of the list's day by the package's own statement. Raises what the list's rules refuse;
    nothing is written then.
    """
    _check_declared(request, package)
    types = {n: dict(t) for n, t in columns.items()}
    scored = score_population(package, warehouse, types, spine, request.as_of, SCORES)
    judgements = _judged(request, package, warehouse, scored)
    _check_single(warehouse)
    candidates = _candidates(request, warehouse, columns)
    built = monthly_list.build(
        candidates,
        request.rules,
        request.settings.matrix,
        request.settings.list,
        owners(request.settings, warehouse),
        package.prices,
        request.as_of,
        request.seed,
    )
    people = _named(_with_reasons(built.people, candidates, package, warehouse), candidates)
    decisions = _named(built.decisions, candidates)
    named = monthly_list.Built(people, decisions, built.waterfall, built.expected, built.widened_by)
    save(warehouse, named)
    return named, judgements


def save(warehouse: Warehouse, built: monthly_list.Built) -> None:
    """Write a list's four tables."""
    tables = {DECISIONS: built.decisions, WATERFALL: built.waterfall, EXPECTED: built.expected, PEOPLE: built.people}
    for name, table in tables.items():
        warehouse.load(name, table)


def _judged(request: Request, package: Package, warehouse: Warehouse, scored: pa.Table) -> tuple[Judgement, ...]:
    """Return how today's data were judged; raise ServingChangedError unless each gate passed or was accepted before."""
    made = Measured(request.as_of, warehouse.fingerprint(SCORES))
    found = [*serving_evidence(made, package.profile, scored), *request.stale]
    stale = tuple(g for g in preflight.GATES if g.evidence == "stale_days") if request.stale else ()
    judgements = judge([request.settings.moved(g) for g in (*GATES, *stale)], found)
    for judgement in judgements:
        informs = judgement.gate.effect is Effect.INFORM or judgement.label in request.accepted
        if judgement.result is not Result.PASS and (judgement.gate.effect is Effect.BLOCK or not informs):
            raise ServingChangedError(
                f"list {request.name}, gate {judgement.label}",
                found=judgement.evidence.words if judgement.evidence and judgement.evidence.words else "no measurement",
                wanted=f"{judgement.gate.wanted()}, as when {package.version} was trained",
                then=f"Mend the source. No list was built: {judgement.gate.why}.",
            )
    return judgements


def owners(settings: LeadsSettings, warehouse: Warehouse) -> list[int | str]:
    """Return the eligible owners in order; one owner named `list` when the project declares none."""
    if settings.owners is None:
        return ["list"]
    try:
        eligible = sqlglot.parse_one(settings.owners.eligible, dialect="duckdb")
    except sqlglot.errors.ParseError as error:
        raise ConfigurationError(
            "foregate.toml [leads.owners] eligible",
            found=str(error).splitlines()[0],
            wanted="an SQL condition on the owners' columns",
            then="Correct the condition.",
        ) from error
    tree = exp.select(exp.column(settings.owners.owner)).from_(view_name(settings.owners.source)).where(eligible)
    return [row[0] for row in warehouse.rows(tree.order_by(settings.owners.owner).sql(dialect=warehouse.dialect))]


def explain(person: int | str, package: Package, warehouse: Warehouse) -> dict[str, object]:
    """Return all that is known of one person on a list: decision, tier, score, reasons; empty if unknown."""
    values = {"person": person}
    found = warehouse.table(f"select * from {DECISIONS} where person_id = $person", values).to_pylist()  # noqa: S608
    if not found:
        return {}
    scored = warehouse.table(f"select * from {SCORES} where {SUBJECT} = $person", values).to_pylist()  # noqa: S608
    listed = warehouse.table(f"select * from {PEOPLE} where person_id = $person", values).to_pylist()  # noqa: S608
    row = warehouse.table(f"select * from {POPULATION_FEATURES} where {SUBJECT} = $person", values)  # noqa: S608
    moved = [r.words() for r in reasons(package.trees, row, REASONS + 2)[0]] if row.num_rows else []
    return {
        "decision": found[0],
        "score": scored[0] if scored else {},
        "listed": listed[0] if listed else {},
        "reasons": moved,
    }


def _candidates(request: Request, warehouse: Warehouse, columns: Mapping[str, Mapping[str, str]]) -> pa.Table:
    """Return one row per scored person with everything the list's rules and words read."""
    settings = request.settings
    place = settings.people()
    source, key = place.source, place.person
    there = columns[source]
    features = list(warehouse.columns(POPULATION_FEATURES))
    beside = [c for c in there if c not in features and c not in {"tier", "score", "percentile"}]
    listed = {name: _list_column(name, place, there) for name in _LIST_COLUMNS}
    flags = {
        "do_not_call": _wish(place.do_not_call, there),
        "has_linkedin": _flag(place.linkedin, there, absent=True),
    }
    inner = (
        exp.select(
            *(exp.column(c, table="f") for c in features),
            *(exp.column(c, table="p") for c in beside),
            *(exp.column(c, table="s") for c in ("tier", "score", "percentile")),
            *(value.as_(f"list__{name}") for name, value in {**listed, **flags}.items()),
        )
        .from_(exp.alias_(exp.to_table(SCORES), "s", table=True))
        .join(exp.alias_(exp.to_table(POPULATION_FEATURES), "f", table=True), on=_same("s", SUBJECT, "f", SUBJECT))
        .join(
            exp.alias_(exp.to_table(view_name(source)), "p", table=True),
            on=_same("s", SUBJECT, "p", key),
            join_type="left",
        )
    )
    taken = {"person_id", *listed, *flags, "tier", "score", "percentile"}
    words = [c for c in dict.fromkeys([*features, *beside]) if c not in taken]
    excluded = [sqlglot.parse_one(e).as_(n) for n, e in exclusion_expressions(request.rules).items()]
    outer = exp.select(
        _number(warehouse.columns(SCORES)[SUBJECT]).as_("person_id"),
        exp.column(SUBJECT).as_(ORIGINAL),
        *(exp.column(f"list__{n}").as_(n) for n in {**listed, **flags}),
        "tier",
        "score",
        exp.cast(exp.column("percentile"), "bigint").as_("percentile"),
        *(exp.column(c) for c in words),
        *excluded,
    ).from_(inner.subquery("joined"))
    return warehouse.table(outer.sql(dialect=warehouse.dialect))


def _check_declared(request: Request, package: Package) -> None:
    """Raise ConfigurationError when today's tiers or backfill are not those that the version's prices were taken of."""
    ours, theirs = request.rules, package.rules
    today, then = (([(t.name, t.when) for t in r.tier], r.standard.name) for r in (ours, theirs))
    fills = [m.backfill and (m.backfill.name, m.backfill.percentile) for m in _matrices(request, package)]
    if today != then or fills[0] != fills[1]:
        where = "tiers.toml" if today != then else "foregate.toml [leads.matrix.backfill]"
        raise ConfigurationError(
            where,
            found=f"conditions other than those that {package.version} was judged and priced with",
            wanted="the same tiers, in the same order, and the same backfill cut",
            then="Put them back, or run and promote the version they make; quotas and words may change.",
        )


def _matrices(request: Request, package: Package) -> tuple[MatrixSettings, MatrixSettings]:
    return request.settings.matrix, package.settings.matrix


def _check_single(warehouse: Warehouse) -> None:
    doubled, example = duplicates(warehouse, SCORES, [SUBJECT])
    if doubled:
        raise DataError(
            "[leads.population]",
            found=f"{doubled:,} people on several rows, as {example}",
            wanted="one row for each person",
            then="Look for a join on a key that is not unique in the population's query.",
        )


def _number(kind_of_id: str) -> exp.Expr:
    """Return a whole number per person: the id itself, or its place in the order of ids that are text."""
    if kind(kind_of_id) == "WHOLE":
        return exp.cast(exp.column(SUBJECT), "bigint")
    order = exp.Order(expressions=[exp.Ordered(this=exp.column(SUBJECT))])
    return exp.Window(this=exp.RowNumber(), order=order)


def _named(table: pa.Table, candidates: pa.Table) -> pa.Table:
    """Return the table with the people's own ids in place of their numbers."""
    if pa.types.is_integer(candidates.schema.field(ORIGINAL).type):
        return table
    own = dict(zip(candidates.column("person_id").to_pylist(), candidates.column(ORIGINAL).to_pylist(), strict=True))
    ids = pa.array([own[n] for n in table.column("person_id").to_pylist()])
    return table.set_column(table.column_names.index("person_id"), "person_id", ids)


def _list_column(name: str, place: Population, there: Mapping[str, str]) -> exp.Expr:
    declared = getattr(place, _LIST_COLUMNS[name])
    return exp.column(declared, table="p") if declared in there else exp.null()


def _wish(declared: str, there: Mapping[str, str]) -> exp.Expr:
    """Return the wish not to be called as it is written: one that is unknown is refused later, not taken for no."""
    return exp.column(declared, table="p") if declared in there else exp.false()


def _flag(declared: str, there: Mapping[str, str], *, absent: bool) -> exp.Expr:
    """Return the flag with unknown as no; a source without the column says `absent` for everybody."""
    if declared not in there:
        return exp.convert(absent)
    return exp.Coalesce(this=exp.column(declared, table="p"), expressions=[exp.false()])


def _same(left: str, one: str, right: str, other: str) -> exp.Expr:
    return exp.column(one, table=left).eq(exp.column(other, table=right))


def _with_reasons(people: pa.Table, candidates: pa.Table, package: Package, warehouse: Warehouse) -> pa.Table:
    """Return the list with each person's top reasons."""
    warehouse.load("list_order", _named(people.select(["person_id", "list_rank"]), candidates))
    sql = (
        f"select f.* from {POPULATION_FEATURES} as f join list_order as o on o.person_id = f.{SUBJECT} "  # noqa: S608
        "order by o.list_rank"
    )
    said: Sequence[list[str]] = [
        [r.words() for r in row] for row in reasons(package.trees, warehouse.table(sql), REASONS)
    ]
    warehouse.drop("list_order")
    for place in range(REASONS):
        words = [row[place] if place < len(row) else None for row in said]
        people = people.append_column(f"reason_{place + 1}", pa.array(words, pa.string()))
    return people
