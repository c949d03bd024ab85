"""One suite for every engine: what the Warehouse port promises, whoever keeps it."""

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from foregate.core.errors import ConflictError, DataError, OutsideError
from foregate.core.rollout import Part, bucket, threshold
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


def whole(schema: str) -> Part:
    return Part(schema, f"{schema}.scores", "00000000", "g")


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
    for generation, (schema, rows) in enumerate((("run_a", 1), ("run_b", 2), ("run_a", 1)), 1):
        engine.publish("bi.scores", [whole(schema)], "", generation)
        assert engine.count("bi.scores") == rows
        assert engine.rows("select distinct generation from bi.scores") == [(generation,)]
        assert engine.pointed("bi.scores") == generation
        assert engine.rows("select version from bi.pointer where view = 'bi.scores'") == [(schema,)]


def test_a_pointer_to_nothing_is_refused_and_the_old_one_stays(opened: Opener) -> None:
    engine = opened("run_a")
    engine.load("scores", table((1, "a")))
    engine.publish("bi.scores", [whole("run_a")], "", 1)
    with pytest.raises(DataError):
        engine.publish("bi.scores", [whole("run_z")], "", 2)
    assert engine.rows("select version, generation from bi.pointer") == [("run_a", 1)]
    assert engine.count("bi.scores") == 1


def test_an_older_generation_can_not_be_published_over_a_later_one(opened: Opener) -> None:
    engine = opened("run_a")
    engine.load("scores", table((1, "a")))
    engine.publish("bi.scores", [whole("run_a")], "", 5)
    with pytest.raises(ConflictError, match="generation 5"):
        engine.publish("bi.scores", [], "", 4)
    assert engine.count("bi.scores") == 1
    engine.publish("bi.scores", [whole("run_a")], "", 5)
    engine.publish("bi.scores", [], "", 6)
    assert not engine.exists("bi.scores")
    assert engine.pointed("bi.scores") == 6


def test_a_pointer_from_before_generations_is_given_them(opened: Opener) -> None:
    engine = opened("run_a")
    engine.load("scores", table((1, "a")))
    engine.rows("create schema bi")
    engine.rows("create table bi.pointer (view varchar primary key, version varchar)")
    engine.rows("insert into bi.pointer values ('bi.scores', 'a')")
    assert engine.pointed("bi.scores") == 0
    engine.publish("bi.scores", [whole("run_a")], "", 1)
    assert engine.pointed("bi.scores") == 1


def test_readers_see_every_unit_once_by_the_version_its_bucket_says_and_arms_only_grow(opened: Opener) -> None:
    seen: dict[float, set[str]] = {}
    units = [f"p{n}" for n in range(400)]
    for schema in ("run_a", "run_b"):
        engine = opened(schema)
        engine.load("scores", pa.table({"unit_id": units, "version": [schema] * len(units)}))
    for generation, share in enumerate((0.1, 0.35, 0.5), 1):
        edge = threshold(share)
        parts = [Part("run_b", "run_b.scores", "00000000", edge), Part("run_a", "run_a.scores", edge, "g")]
        engine.publish("bi.scores", parts, "salt's", generation)
        rows = dict(engine.rows("select unit_id, version from bi.scores"))
        assert len(rows) == engine.count("bi.scores") == len(units)
        assert rows == {u: "run_b" if bucket("salt's", u) < edge else "run_a" for u in units}
        seen[share] = {u for u, version in rows.items() if version == "run_b"}
    assert seen[0.1] < seen[0.35] < seen[0.5]
    assert 0.25 < len(seen[0.35]) / len(units) < 0.45


def test_tables_are_copied_views_on_a_schema_are_named_and_a_schema_goes_whole(opened: Opener, tmp_path: Path) -> None:
    engine = opened("run_a")
    engine.load("scores", table((1, "a"), (2, "b")))
    engine.copy_to(tmp_path / "copy.duckdb", ["run_a.scores"])
    copy = DuckDB(str(tmp_path / "copy.duckdb"))
    assert copy.count("run_a.scores") == 2
    copy.close()
    engine.view("main.pinned", "select * from run_a.scores")
    assert engine.views_on("run_a") == ["main.pinned"]
    assert engine.views_on("run_b") == []
    engine.drop("main.pinned")
    engine.use("main")
    engine.drop_schema("run_a")
    assert not engine.exists("run_a.scores")


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
