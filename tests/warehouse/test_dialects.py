"""One statement, every engine: golden SQL for four dialects, and the same answers from a real Postgres."""

import os
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import sqlalchemy as sa

from foregate.warehouse.duckdb import DuckDB
from foregate.warehouse.features import parse_feature
from foregate.warehouse.point_in_time import Spine, compile_features
from foregate.warehouse.sources import Source

GOLDEN = Path(__file__).parent / "golden"
JOBS = Source(
    table="jobs", key="person", happened="started_on", known="seen_on", columns={"ended_on": {"known": "end_seen_on"}}
)
TYPES = {"person": "BIGINT", "firm": "BIGINT"} | dict.fromkeys(
    ("started_on", "seen_on", "ended_on", "end_seen_on"), "DATE"
)
FILES = [
    parse_feature(
        "career",
        "f",
        "select arg_max(firm, started_on) as firm, arg_min(firm, started_on) as first_firm, count(*) as jobs, "
        "count(distinct firm) as firms, date_diff('day', max(started_on), as_of) as days_since, "
        "bool_or(ended_on is null) as still_open from jobs where started_on <= as_of",
    ),
    parse_feature(
        "heads",
        "f",
        "select count(*) filter (where ended_on is null or ended_on >= as_of) as heads, "
        "count(*) filter (where started_on > as_of - interval 1 month) as arrivals from jobs",
        of="firm",
    ),
    parse_feature("derived", "f", "select heads > 3 and jobs >= 2 as mixed"),
]
NAMES = ["subject_id", "firm", "first_firm", "jobs", "firms", "days_since", "still_open", "heads", "arrivals", "mixed"]


def compiled(dialect: str) -> str:
    spine = Spine("spine", {"person": "BIGINT"}, "leads", {})
    return compile_features(FILES, {"jobs": JOBS}, {"jobs": TYPES}, spine).sql(dialect)


@pytest.mark.parametrize("dialect", ["duckdb", "postgres", "spark", "bigquery"])
def test_the_statement_is_the_one_that_was_reviewed(dialect: str) -> None:
    golden = GOLDEN / f"{dialect}.txt"
    found = compiled(dialect) + "\n"
    if os.environ.get("GOLDEN") == "write":
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(found)
    assert golden.read_text() == found, "look at the change, then run again with GOLDEN=write"


def data(seed: int, rows: int = 400, leads: int = 150) -> tuple[pa.Table, pa.Table]:
    rng = np.random.default_rng(seed)

    def days(values: np.ndarray, missing: float = 0.0) -> pa.Array:
        gone = rng.random(len(values)) < missing
        return pa.array(
            [None if g else date(2024, 1, 1) + timedelta(days=int(n)) for n, g in zip(values, gone, strict=True)]
        )

    start = rng.integers(-200, 100, rows)
    end = start + rng.integers(1, 200, rows)
    jobs = pa.table(
        {
            "person": rng.integers(1, 40, rows),
            "firm": rng.integers(1, 6, rows),
            "started_on": days(start),
            "seen_on": days(start + rng.integers(0, 60, rows), 0.02),
            "ended_on": days(end, 0.3),
            "end_seen_on": days(end + rng.integers(0, 60, rows), 0.1),
        }
    )
    people = pa.array([None if n == 0 else int(n) for n in rng.integers(0, 45, leads)], pa.int64())
    spine = pa.table({"subject_id": np.arange(leads), "person": people, "as_of": days(rng.integers(0, 150, leads))})
    return jobs, spine


def in_duckdb(jobs: pa.Table, spine: pa.Table) -> list[tuple]:
    engine = DuckDB(":memory:")
    engine.load("source_jobs", jobs)
    engine.load("spine", spine)
    return engine.rows(f"select {', '.join(NAMES)} from ({compiled('duckdb')}) order by subject_id")


def in_postgres(server: str, jobs: pa.Table, spine: pa.Table) -> list[tuple]:
    engine = sa.create_engine(server, poolclass=sa.NullPool)
    with engine.connect() as link:
        for name, table in (("source_jobs", jobs), ("spine", spine)):
            kinds = {f.name: "date" if pa.types.is_date(f.type) else "bigint" for f in table.schema}
            columns = ", ".join(f"{n} {k}" for n, k in kinds.items())
            link.exec_driver_sql(f"create temporary table {name} ({columns})")
            places = ", ".join(f"%({n})s" for n in kinds)
            link.exec_driver_sql(f"insert into {name} values ({places})", table.to_pylist())
        sql = f"select {', '.join(NAMES)} from ({compiled('postgres')}) as f order by subject_id"
        return [tuple(row) for row in link.exec_driver_sql(sql.replace("%", "%%"))]


@pytest.mark.service
@pytest.mark.parametrize("seed", range(3))
def test_postgres_gives_the_same_answers_as_duckdb(server: str, seed: int) -> None:
    jobs, spine = data(seed)
    assert in_postgres(server, jobs, spine) == in_duckdb(jobs, spine)
