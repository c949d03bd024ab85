"""One suite for every engine: what the Warehouse port promises, whoever keeps it."""

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from foregate.core.errors import DataError, OutsideError
from foregate.warehouse.duckdb import DuckDB

Opener = Callable[[str], DuckDB]


@pytest.fixture(params=["duckdb"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opener]:
    """A function that opens the engine under test on one store, whatever schema is asked for."""
    links: list[DuckDB] = []

    def open_schema(schema: str) -> DuckDB:
        for link in links:
            link.close()
        links[:] = [DuckDB(str(tmp_path / "w.duckdb"), schema)]
        return links[0]

    yield open_schema
    for link in links:
        link.close()


def table(*rows: tuple[int, str | None]) -> pa.Table:
    return pa.table(
        {"id": pa.array([r[0] for r in rows], pa.int64()), "word": pa.array([r[1] for r in rows], pa.string())}
    )


def test_what_is_loaded_comes_back(opened: Opener) -> None:
    engine = opened("run_a")
    assert engine.load("t", table((1, "a"), (2, None))) == 2
    assert engine.table("select * from t order by id").to_pydict() == {"id": [1, 2], "word": ["a", None]}
    assert engine.columns("t") == {"id": "BIGINT", "word": "VARCHAR"}


def test_values_are_bound_and_never_spliced(opened: Opener) -> None:
    engine = opened("run_a")
    hostile = "x'; drop table t; --"
    engine.load("t", table((1, hostile)))
    assert engine.rows("select id from t where word = $word", {"word": hostile}) == [(1,)]
    assert engine.create("u", "select $on::date as day", {"on": date(2025, 1, 2)}) == 1
    assert engine.rows("select day from u") == [(date(2025, 1, 2),)]
    with pytest.raises(ValueError, match="not a table name"):
        engine.create('t" as select 1; --', "select 1")


def test_a_statement_that_fails_half_way_leaves_the_old_table(opened: Opener) -> None:
    engine = opened("run_a")
    engine.load("t", table((1, "a")))
    with pytest.raises(DataError, match="found"):
        engine.create("t", "select case when i < 5000 then i else error('half way') end as id from range(9000) r(i)")
    assert engine.rows("select * from t") == [(1, "a")]
    with pytest.raises(DataError):
        engine.create("fresh", "select error('at once') as id")
    assert not engine.exists("fresh")


def test_sums_of_floating_point_numbers_in_order_are_the_same_to_the_last_bit(opened: Opener) -> None:
    engine = opened("run_a")
    engine.create("numbers", "select i % 7 as key, sin(i) * 1e6 / (1 + i % 13) as x from range(600000) r(i)")
    found = []
    for _ in range(4):
        engine.create("sums", "select key, sum(x) as total from numbers group by key", in_order=True)
        found.append(engine.rows("select * from sums order by key"))
    assert all(f == found[0] for f in found)
    assert engine.rows("select current_setting('threads') > 0") == [(True,)]


def test_schemas_of_versions_do_not_see_each_other(opened: Opener) -> None:
    opened("run_a").load("t", table((1, "a")))
    engine = opened("run_b")
    assert not engine.exists("t")
    engine.load("t", table((2, "b"), (3, "c")))
    assert engine.count("run_a.t") == 1
    assert engine.count("t") == 2


def test_a_fingerprint_sees_every_change_and_no_order(opened: Opener) -> None:
    engine = opened("run_a")
    engine.load("t", table((1, "a"), (2, "b"), (2, "b")))
    base = engine.fingerprint("t")
    changes = {
        "order": (table((2, "b"), (1, "a"), (2, "b")), True),
        "a doubled row removed": (table((1, "a"), (2, "b")), False),
        "a row doubled": (table((1, "a"), (1, "a"), (2, "b")), False),
        "a value": (table((1, "a"), (2, "b"), (2, "c")), False),
        "a null": (table((1, None), (2, "b"), (2, "b")), False),
    }
    for what, (changed, same) in changes.items():
        engine.load("t", changed)
        assert (engine.fingerprint("t") == base) is same, what


def test_the_pointer_moves_whole_and_back(opened: Opener) -> None:
    engine = opened("run_a")
    engine.load("scores", table((1, "a")))
    engine = opened("run_b")
    engine.load("scores", table((2, "b"), (3, "b")))
    for schema, rows in (("run_a", 1), ("run_b", 2), ("run_a", 1)):
        engine.publish("bi.scores", f"{schema}.scores", schema)
        assert engine.count("bi.scores") == rows
        assert engine.rows("select version from bi.pointer where view = 'bi.scores'") == [(schema,)]


def test_a_pointer_to_nothing_is_refused_and_the_old_one_stays(opened: Opener) -> None:
    engine = opened("run_a")
    engine.load("scores", table((1, "a")))
    engine.publish("bi.scores", "run_a.scores", "a")
    with pytest.raises(DataError):
        engine.publish("bi.scores", "run_z.scores", "z")
    assert engine.rows("select version from bi.pointer") == [("a",)]
    assert engine.count("bi.scores") == 1


def test_a_missing_table_is_named(opened: Opener) -> None:
    engine = opened("run_a")
    with pytest.raises(DataError, match="nowhere"):
        engine.columns("nowhere")
    engine.drop("nowhere")
    assert not engine.exists("nowhere")


def test_an_export_is_whole_or_not_there(opened: Opener, tmp_path: Path) -> None:
    engine = opened("run_a")
    engine.load("t", table((1, "a")))
    target = tmp_path / "it's.csv"
    engine.export("SELECT * FROM t", target)
    assert target.read_text() == "id,word\n1,a\n"
    with pytest.raises(DataError):
        engine.export("SELECT error('no') FROM t", target)
    assert target.read_text() == "id,word\n1,a\n"


def test_a_file_that_is_no_database_is_an_outside_error(tmp_path: Path) -> None:
    (tmp_path / "w.duckdb").write_text("not a database")
    with pytest.raises(OutsideError, match=r"w\.duckdb"):
        DuckDB(str(tmp_path / "w.duckdb"))


def test_an_unreadable_file_names_the_file_and_what_is_wanted(opened: Opener, tmp_path: Path) -> None:
    engine = opened("run_a")
    (tmp_path / "x.xlsx").write_text("x")
    (tmp_path / "x.parquet").write_text("this is no parquet")
    for name in ("x.xlsx", "missing.csv", "x.parquet"):
        with pytest.raises(DataError, match=name):
            engine.read_file("source_x", tmp_path / name)
