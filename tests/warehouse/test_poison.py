"""The poison test finds a compiler that lets the future in, and leaves an honest one alone."""

from collections.abc import Callable
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest
from sqlglot import exp

from foregate.warehouse.duckdb import DuckDB
from foregate.warehouse.features import FeatureFile, parse_feature
from foregate.warehouse.point_in_time import Compiled, Spine, compile_features
from foregate.warehouse.poison import poisoned_changes
from foregate.warehouse.sources import Source

FIRST = date(2024, 1, 1)
SOURCES = {
    "jobs": Source(
        table="jobs",
        key="person",
        happened="started_on",
        known="seen_on",
        columns={"ended_on": {"known": "end_seen_on"}},
    ),
    "months": Source(table="months", key="firm", happened="month", known_after="20 days"),
}
SPINE = Spine("spine", {"person": "BIGINT"}, "leads", {})


def days(rng: np.random.Generator, rows: int, least: int, most: int) -> pa.Array:
    return pa.array([FIRST + timedelta(days=int(n)) for n in rng.integers(least, most, rows)])


@pytest.fixture
def engine() -> DuckDB:
    rng = np.random.default_rng(3)
    link = DuckDB(":memory:")
    rows = 800
    start = rng.integers(-300, 200, rows)
    end = start + rng.integers(1, 200, rows)
    as_day = lambda values: pa.array([FIRST + timedelta(days=int(n)) for n in values])  # noqa: E731
    link.load(
        "source_jobs",
        pa.table(
            {
                "person": rng.integers(1, 60, rows),
                "firm": rng.integers(1, 8, rows),
                "started_on": as_day(start),
                "seen_on": as_day(start + rng.integers(0, 90, rows)),
                "ended_on": as_day(end),
                "end_seen_on": as_day(end + rng.integers(0, 90, rows)),
            }
        ),
    )
    link.load(
        "source_months",
        pa.table({"firm": rng.integers(1, 8, 200), "month": days(rng, 200, -200, 200), "size": rng.random(200)}),
    )
    link.load(
        "spine",
        pa.table({"subject_id": np.arange(300), "person": rng.integers(1, 60, 300), "as_of": days(rng, 300, 0, 200)}),
    )
    return link


FILES = [
    parse_feature(
        "career",
        "f",
        "select count(*) as jobs, count(*) filter (where ended_on is null or ended_on >= as_of) as open_jobs, "
        "arg_max(firm, started_on) as firm, max(ended_on) as last_end from jobs",
    ),
    parse_feature("size", "f", "select max(size) as size, count(*) as months from months", of="firm"),
    parse_feature(
        "heads",
        "f",
        "select count(*) filter (where ended_on is null or ended_on >= as_of) as heads from jobs",
        of="firm",
    ),
]


def changes(engine: DuckDB, files: list[FeatureFile], compile_with: Callable[..., Compiled]) -> tuple[int, int, str]:
    columns = {name: engine.columns(f"source_{name}") for name in SOURCES}
    return poisoned_changes(engine, files, SOURCES, columns, SPINE, days=12, leads=300, compile_with=compile_with)


def test_honest_features_do_not_move(engine: DuckDB) -> None:
    changed, compared, which = changes(engine, FILES, compile_features)
    assert (changed, which) == (0, "")
    assert compared > 10


def blind_to(column: str) -> Callable[..., Compiled]:
    """A compiler with one planted fault: it forgets to compare the day in `column` with as_of."""

    def faulty(*args: object, **kwargs: object) -> Compiled:
        compiled = compile_features(*args, **kwargs)  # type: ignore[arg-type]

        def forget(node: exp.Expr) -> exp.Expr:
            if isinstance(node, exp.LT) and any(c.name == column for c in node.this.find_all(exp.Column)):
                return exp.true()
            return node

        return Compiled(compiled.tree.copy().transform(forget), compiled.features)

    return faulty


@pytest.mark.parametrize("column", ["seen_on", "end_seen_on", "month"])
def test_a_compiler_that_forgets_when_something_became_known_is_found(engine: DuckDB, column: str) -> None:
    changed, _, which = changes(engine, FILES[:2], blind_to(column))
    assert changed > 0
    assert which
