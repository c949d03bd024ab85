"""Compiled features against a naive loop: stop the database at each lead's day and run the user's own SQL."""

from datetime import date, timedelta

import pyarrow as pa
import pytest
import sqlglot
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from foregate.core.errors import FeatureError
from foregate.warehouse.duckdb import DuckDB
from foregate.warehouse.features import parse_feature
from foregate.warehouse.point_in_time import Spine, compile_features
from foregate.warehouse.sources import Source

QUICK = (Phase.explicit, Phase.reuse, Phase.generate)
FIRST = date(2023, 12, 27)
DAYS = st.integers(0, 130).map(lambda n: FIRST + timedelta(days=n))
EMPLOYMENT = Source(
    table="employment",
    key="firm_id",
    happened="started_on",
    known="recorded_on",
    columns={"ended_on": {"known": "ended_recorded_on"}},
)
SCHEMA = pa.schema(
    [
        ("firm_id", pa.int64()),
        ("person_id", pa.int64()),
        ("started_on", pa.date32()),
        ("ended_on", pa.date32()),
        ("recorded_on", pa.date32()),
        ("ended_recorded_on", pa.date32()),
        ("kind", pa.string()),
    ]
)
ROWS = st.lists(
    st.tuples(
        st.one_of(st.none(), st.integers(1, 3)),
        st.integers(1, 4),
        st.one_of(st.none(), DAYS),
        st.one_of(st.none(), DAYS),
        st.one_of(st.none(), DAYS),
        st.one_of(st.none(), DAYS),
        st.sampled_from(["a", "b", None]),
    ),
    max_size=14,
)
LEADS = st.lists(st.tuples(st.one_of(st.none(), st.integers(1, 4)), DAYS), min_size=1, max_size=6)
SPANS = st.sampled_from(
    ["", " - interval 1 month", " - interval 12 day", " + interval 1 month", " - interval 1 year", " - interval 2 week"]
)
ATOMS = st.one_of(
    st.builds(
        lambda c, o, s: f"{c} {o} as_of{s}",
        st.sampled_from(["started_on", "ended_on"]),
        st.sampled_from(["<", "<=", ">", ">="]),
        SPANS,
    ),
    st.builds(lambda o, s: f"as_of{s} {o} ended_on", st.sampled_from(["<", ">="]), SPANS),
    st.sampled_from(["ended_on is null", "ended_on is not null", "kind = 'a'", "kind is null"]),
    st.just("started_on is not null"),
    st.just("started_on between as_of - interval 1 month and as_of"),
)
CONDITIONS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.builds(lambda a, b: f"({a} and {b})", inner, inner),
        st.builds(lambda a, b: f"({a} or {b})", inner, inner),
        st.builds(lambda a: f"not ({a})", inner),
    ),
    max_leaves=4,
)


def world(rows: list[tuple], leads: list[tuple]) -> tuple[DuckDB, Spine, dict[str, dict[str, str]]]:
    engine = DuckDB(":memory:")
    columns = list(zip(*rows, strict=True)) if rows else [[] for _ in SCHEMA]
    engine.load("source_employment", pa.table(list(map(list, columns)), schema=SCHEMA))
    spine = {
        "subject_id": list(range(len(leads))),
        "firm_id": pa.array([firm for firm, _ in leads], pa.int64()),
        "as_of": [on for _, on in leads],
    }
    engine.load("spine", pa.table(spine))
    types = {"employment": engine.columns("source_employment")}
    return engine, Spine("spine", {"firm_id": "BIGINT"}, "leads", {}), types


def naive(engine: DuckDB, sql: str, leads: list[tuple]) -> list[tuple]:
    """The oracle: for each lead, the source as it stood on the eve of its day, and the user's own statement."""
    answers = []
    for place, (firm, on) in enumerate(leads):
        if firm is None:
            answers.append((place,) + (None,) * len(sqlglot.parse_one(sql).expressions))
            continue
        engine.create(
            "stopped",
            "select * replace (case when ended_recorded_on < $on then ended_on end as ended_on), $on::date as as_of "
            "from source_employment where firm_id = $firm and recorded_on < $on",
            {"on": on, "firm": firm},
        )
        literal = sql.replace("count_if(", "count(*) filter (where ").replace("from employment", "from stopped")
        literal = literal.replace("as_of", f"date '{on}'")
        answers.append((place, *engine.rows(literal)[0]))
    return answers


def compiled(engine: DuckDB, sql: str, spine: Spine, types: dict, *, by_change: bool) -> list[tuple]:
    file = parse_feature("firm", "features/firm.sql", sql, of="firm_id")
    statement = compile_features([file], {"employment": EMPLOYMENT}, types, spine, by_change=by_change)
    found = engine.rows(f"select * exclude (as_of) from ({statement.sql('duckdb')}) order by subject_id")
    assert len(found) == engine.count("spine")
    return found


@settings(max_examples=120, deadline=None, phases=QUICK, suppress_health_check=[HealthCheck.too_slow])
@given(ROWS, LEADS, CONDITIONS, CONDITIONS)
def test_both_plans_give_what_stopping_the_database_would_give(rows, leads, first, second) -> None:
    engine, spine, types = world(rows, leads)
    sql = f"select count(*) filter (where {first}) - count(*) as a, count_if({second}) as b from employment"
    want = naive(engine, sql, leads)
    assert compiled(engine, sql, spine, types, by_change=False) == want
    assert compiled(engine, sql, spine, types, by_change=True) == want
    engine.close()


@settings(max_examples=60, deadline=None, phases=QUICK, suppress_health_check=[HealthCheck.too_slow])
@given(ROWS, LEADS)
def test_every_aggregate_sees_only_what_was_known(rows, leads) -> None:
    engine, spine, types = world(rows, leads)
    sql = (
        "select count(distinct person_id) as people, max(started_on) as latest, bool_or(ended_on is null) as open,"
        " min(person_id) filter (where kind = 'a') as least, avg(person_id) as average,"
        " date_diff('day', max(started_on), as_of) as days,"
        " sum(person_id) + count(ended_on) as total from employment where started_on is not null"
    )
    assert compiled(engine, sql, spine, types, by_change=True) == naive(engine, sql, leads)
    engine.close()


def test_a_tie_of_arg_max_is_broken_by_the_larger_value_whatever_the_order_of_rows() -> None:
    on = date(2024, 1, 1)
    rows = [(1, person, on, None, on, None, "a") for person in (3, 1, 4, 2)]
    sql = "select arg_max(person_id, started_on) as last, arg_min(person_id, started_on) as first from employment"
    for order in (rows, rows[::-1]):
        engine, spine, types = world(order, [(1, date(2024, 3, 1))])
        assert compiled(engine, sql, spine, types, by_change=True) == [(0, 4, 1)]
        engine.close()


def test_a_fact_of_the_same_day_is_not_yet_known() -> None:
    on = date(2024, 1, 10)
    engine, spine, types = world([(1, 1, on, None, on, None, "a")], [(1, on), (1, on + timedelta(days=1))])
    assert compiled(engine, "select count(*) as jobs from employment", spine, types, by_change=True) == [(0, 0), (1, 1)]
    engine.close()


def test_counting_an_empty_left_join_gives_zero_and_an_unknown_key_gives_null() -> None:
    engine, spine, types = world([], [(1, FIRST), (None, FIRST)])
    for by_change in (True, False):
        sql = "select count(*) as jobs, count(*) > 0 as any_job from employment"
        got = compiled(engine, sql, spine, types, by_change=by_change)
        assert got == [(0, 0, False), (1, None, None)]
    engine.close()


REFUSED = {
    "select count(*) as n from employment e join firms f on e.firm_id = f.firm_id": "second source",
    "select count(*) as n from employment where started_on > current_date": "clock",
    "select count(*) as n from employment where started_on > now()": "clock",
    "select random() as n from employment": "chance",
    "select rank() over (order by started_on) as n from employment": "window",
    "select first(kind) as n from employment": "depends on the order",
    "select any_value(kind) as n from employment": "depends on the order",
    "select kind as k from employment": "outside an aggregate",
    "select count(*) as n from employment group by kind": "GROUP BY",
    "select count(*) as n from (select * from employment)": "subquery",
    "select count(*) as n from employment limit 1": "LIMIT",
    "select count(*) as n, count(kind) as n from employment": "twice",
    "select count(*) from employment": "without a name",
    "select max(salary) as s from employment": "no such column",
    "select count(*) as n from nowhere": "source `nowhere`",
    "select max(rep_type) as r from contacts": "today's state only",
    "select my_function(kind) as n from employment": "vouch for",
    "insert into employment values (1)": "INSERT",
    "select count( as n from employment": "line 1",
}


@pytest.mark.parametrize("sql", REFUSED)
def test_what_could_look_ahead_is_refused_with_the_reason(sql: str) -> None:
    sources = {"employment": EMPLOYMENT, "contacts": Source(table="c", key="person_id", current_state=True)}
    types = {"employment": {f.name: "DATE" if pa.types.is_date(f.type) else "BIGINT" for f in SCHEMA}, "contacts": {}}

    def build() -> None:
        file = parse_feature("firm", "features/firm.sql", sql, of="firm_id")
        compile_features([file], sources, types, Spine("spine", {"firm_id": "BIGINT"}, "leads", {}))

    with pytest.raises(FeatureError, match="features/firm.sql") as caught:
        build()
    assert REFUSED[sql] in str(caught.value)


def test_join_keys_of_different_type_are_refused() -> None:
    file = parse_feature("firm", "features/firm.sql", "select count(*) as n from employment", of="firm_id")
    types = {"employment": {"firm_id": "VARCHAR", "recorded_on": "DATE", "started_on": "DATE"}}
    with pytest.raises(FeatureError, match="join keys of one type"):
        compile_features([file], {"employment": EMPLOYMENT}, types, Spine("spine", {"firm_id": "BIGINT"}, "leads", {}))


def test_a_feature_can_key_another_source_and_feed_a_derived_one() -> None:
    jobs = [(1, 7, FIRST, None, FIRST, None, "a"), (2, 8, FIRST, None, FIRST, None, "a")]
    engine, _, types = world(jobs, [(1, FIRST)])
    engine.create("source_jobs", "select 7 as person, 2::bigint as firm, date '2023-12-28' as seen_on")
    on = "date '2024-02-01'"
    engine.create("spine", f"select 5 as subject_id, 7 as person, {on} as as_of, 3 as age, {on} as mail_on")
    sources = {
        "employment": EMPLOYMENT,
        "jobs": Source(table="jobs", key="person", known="seen_on"),
    }
    types["jobs"] = engine.columns("source_jobs")
    spine = Spine("spine", {"person": "INTEGER", "age": "INTEGER", "mail_on": "DATE"}, "leads", {"mail_on": "mail_on"})
    files = [
        parse_feature("zfirst", "f", "select arg_max(firm, seen_on) as firm_now from jobs", of="person"),
        parse_feature("afirm", "f", "select count(*) as heads from employment", of="firm_now"),
        parse_feature("derived", "f", "select heads * 10 + age as mix"),
        parse_feature("own", "f", "select age, mail_on is not null as has_mail from leads"),
    ]
    statement = compile_features(files, sources, types, spine).sql("duckdb")
    found = engine.rows(f"select firm_now, heads, age, has_mail, mix from ({statement})")
    assert found == [(2, 1, 3, False, 13)]
    engine.close()


def test_an_interval_shorter_than_a_day_is_answered_as_the_engine_would() -> None:
    on = date(2024, 1, 10)
    rows = [(1, 1, on, None, FIRST, None, "a"), (1, 2, on - timedelta(days=1), None, FIRST, None, "a")]
    leads = [(1, on), (1, on + timedelta(days=1))]
    sql = "select count(*) filter (where started_on > as_of - interval 1 hour) as fresh from employment"
    engine, spine, types = world(rows, leads)
    assert compiled(engine, sql, spine, types, by_change=True) == naive(engine, sql, leads)
    engine.close()
