"""The embedded engine: one DuckDB file, one schema a version, publishing by moving a view in one transaction."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foregate.core.errors import ConflictError, DataError, OutsideError
from foregate.core.rollout import Part

if TYPE_CHECKING:
    import pyarrow as pa

SOURCES = "sources"
_NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?$")


class DuckDB:
    """A warehouse in one file (or `:memory:`); unqualified names live in `schema`, then in sources, then in main."""

    dialect = "duckdb"

    def __init__(self, path: str, schema: str = "main", *, read_only: bool = False) -> None:
        import duckdb

        self._errors = duckdb.Error
        self.path = path
        try:
            self._link = duckdb.connect(path, read_only=read_only)
        except duckdb.Error as error:
            raise OutsideError(
                f"warehouse {path}",
                found=str(error).splitlines()[0],
                wanted="a DuckDB file that no other program holds open",
                then="Close the program named above (or the notebook that has the file open) and run this again.",
            ) from error
        self.use(schema, create=not read_only)

    def use(self, schema: str, *, create: bool = True) -> None:
        """Make `schema` the place of unqualified names; the sources and `main` stay readable behind it."""
        self.schema = schema
        if create:
            self._run(f"CREATE SCHEMA IF NOT EXISTS {_quoted(schema)}")
            self._run(f"CREATE SCHEMA IF NOT EXISTS {SOURCES}")
        there = {row[0] for row in self.rows("SELECT schema_name FROM information_schema.schemata")}
        self._run(f"SET search_path = '{','.join(s for s in dict.fromkeys([schema, SOURCES, 'main']) if s in there)}'")

    def rows(self, sql: str, values: Mapping[str, object] | None = None) -> list[tuple[Any, ...]]:
        """Return the rows of a small result; raises DataError with the engine's words when the query fails."""
        return self._run(sql, values).fetchall()  # type: ignore[no-any-return]

    def table(self, sql: str, values: Mapping[str, object] | None = None) -> pa.Table:
        """Return a result as an Arrow table."""
        try:
            relation = self._link.sql(sql, params=dict(values)) if values else self._link.sql(sql)
            return relation.to_arrow_table()
        except self._errors as error:
            raise _failed(sql, error) from error

    def create(self, name: str, sql: str, values: Mapping[str, object] | None = None, *, in_order: bool = False) -> int:
        """Create or replace the table from a query in one statement and return its rows.

        `in_order` keeps the statement on one thread: sums of floating-point numbers then come in one order, and are
        the same to the last bit every time.
        """
        if in_order:
            self._run("SET threads = 1")
            try:
                return self.create(name, sql, values)
            finally:
                self._run("RESET threads")
        self._run(f"CREATE OR REPLACE TABLE {_quoted(name)} AS {sql}", values)
        return self.count(name)

    def load(self, name: str, data: pa.Table) -> int:
        """Create or replace the table from an Arrow table in one statement and return its rows."""
        self._link.register("foregate_incoming", data)
        try:
            return self.create(name, "FROM foregate_incoming")
        finally:
            self._link.unregister("foregate_incoming")

    def append(self, name: str, data: pa.Table, once: Mapping[str, object]) -> int:
        """Add rows to a table that only grows and return how many; none when rows with these values are there already.

        The table is made by the first rows, and takes further columns as they come, in one transaction.
        """
        same = " AND ".join(f"{_quoted(column)} = ${column}" for column in once)
        self._link.register("foregate_incoming", data)
        self._run("BEGIN")
        try:
            if "." in name:
                self._run(f"CREATE SCHEMA IF NOT EXISTS {_quoted(name.split('.')[0])}")
            self._run(f"CREATE TABLE IF NOT EXISTS {_quoted(name)} AS FROM foregate_incoming LIMIT 0")
            there, coming = self.columns(name), self.columns("foregate_incoming")
            for column in [c for c in coming if c not in there]:
                self._run(f"ALTER TABLE {_quoted(name)} ADD COLUMN {_quoted(column)} {coming[column]}")
            before = self.rows(f"SELECT count(*) FROM {_quoted(name)} WHERE {same}", once)[0][0]  # noqa: S608 - quoted names
            if not before:
                self._run(f"INSERT INTO {_quoted(name)} BY NAME FROM foregate_incoming")
            self._run("COMMIT")
        except BaseException:
            self._run("ROLLBACK")
            raise
        finally:
            self._link.unregister("foregate_incoming")
        return 0 if before else data.num_rows

    def view(self, name: str, sql: str) -> None:
        """Create or replace a view."""
        self._run(f"CREATE OR REPLACE VIEW {_quoted(name)} AS {sql}")

    def count(self, name: str) -> int:
        """Return the number of rows."""
        return int(self.rows(f"SELECT count(*) FROM {_quoted(name)}")[0][0])  # noqa: S608 - a quoted name

    def columns(self, name: str) -> dict[str, str]:
        """Return column names and engine types in order."""
        return {str(row[0]): str(row[1]) for row in self.rows(f"DESCRIBE {_quoted(name)}")}

    def exists(self, name: str) -> bool:
        """Return whether the table or view can be read."""
        try:
            self.columns(name)
        except DataError:
            return False
        return True

    def drop(self, name: str) -> None:
        """Drop the table or view if it exists."""
        for kind in ("TABLE", "VIEW"):
            try:
                self._run(f"DROP {kind} IF EXISTS {_quoted(name)}")
            except DataError:
                continue

    def fingerprint(self, name: str) -> str:
        """Return rows and the sum of row hashes: order does not matter, any changed, lost or doubled row does."""
        quoted = _quoted(name)
        found = self.rows(f"SELECT count(*), sum(hash(t)::HUGEINT) FROM {quoted} AS t")[0]  # noqa: S608 - a quoted name
        return f"{found[0]}:{found[1] or 0}"

    def read_file(self, name: str, path: Path) -> None:
        """Make a CSV or Parquet file readable under a name: Parquet as a view, CSV parsed once into a table."""
        readers = {".parquet": "read_parquet", ".csv": "read_csv", ".gz": "read_csv", ".tsv": "read_csv"}
        reader = readers.get(path.suffix)
        if reader is None or not path.is_file():
            raise DataError(
                f"source file {path}",
                found="no such file" if reader else f"a file ending in {path.suffix or 'nothing'}",
                wanted="a readable .csv, .csv.gz, .tsv or .parquet file",
                then="Correct `file` in foregate.toml (paths are relative to it).",
            )
        self.drop(name)
        query = f"SELECT * FROM {reader}('{str(path).replace(chr(39), chr(39) * 2)}')"  # noqa: S608 - a quoted path
        if reader == "read_parquet":
            self.view(name, query)
        else:
            self.create(name, query)

    def publish(self, view: str, parts: Sequence[Part], salt: str, generation: int) -> None:
        """Move the pointer in one transaction: the view and the row that says what it shows change together.

        A person is in the part that holds the bucket of `salt` and the row's `unit_id`. Raises ConflictError when
        readers see a later generation already; without parts the view goes and the row says so.
        """
        schema = view.split(".")[0]
        row = {"view": view, "version": " ".join(p.version for p in parts), "salt": salt, "generation": generation}
        self._run("BEGIN")
        try:
            self._run(f"CREATE SCHEMA IF NOT EXISTS {_quoted(schema)}")
            self._make_pointer(schema)
            seen = self.pointed(view)
            if seen > generation:
                raise ConflictError(
                    f"{view} in {self.path}",
                    found=f"generation {seen}",
                    wanted=f"none after {generation}",
                    then="Somebody moved it since; look at `foregate status`.",
                )
            if parts:
                self._run(f"CREATE OR REPLACE VIEW {_quoted(view)} AS {_split(parts, salt, generation)}")
            else:
                self._run(f"DROP VIEW IF EXISTS {_quoted(view)}")
            pointed = f"INSERT OR REPLACE INTO {_quoted(schema + '.pointer')} BY NAME SELECT $view AS view, "  # noqa: S608
            self._run(pointed + "$version AS version, $salt AS salt, $generation AS generation", row)
            self._run("COMMIT")
        except BaseException:
            self._run("ROLLBACK")
            raise

    def pointed(self, view: str) -> int:
        """Return the generation that readers of the view see; 0 before the first."""
        pointer = view.split(".")[0] + ".pointer"
        if not self.exists(pointer) or "generation" not in self.columns(pointer):
            return 0
        found = self.rows(f"SELECT generation FROM {_quoted(pointer)} WHERE view = $view", {"view": view})  # noqa: S608
        return int(found[0][0] or 0) if found else 0

    def copy_to(self, path: Path, tables: Sequence[str]) -> None:
        """Write tables into a DuckDB file of their own, under the same names."""
        self._run(f"ATTACH '{str(path).replace(chr(39), chr(39) * 2)}' AS copied")
        try:
            for name in tables:
                schema = name.split(".")[0]
                self._run(f"CREATE SCHEMA IF NOT EXISTS copied.{_quoted(schema)}")
                self._run(f"CREATE TABLE copied.{_quoted(name)} AS FROM {_quoted(name)}")
        finally:
            self._run("DETACH copied")

    def drop_schema(self, name: str) -> None:
        """Drop a schema with all its tables, if it exists."""
        self._run(f"DROP SCHEMA IF EXISTS {_quoted(name)} CASCADE")

    def views_on(self, schema: str) -> list[str]:
        """Return the views, by full name, whose text reads a schema's tables."""
        found = self.rows(
            "SELECT schema_name || '.' || view_name FROM duckdb_views() WHERE NOT internal "
            "AND (contains(sql, $dotted) OR contains(sql, $quoted)) ORDER BY 1",
            {"dotted": f"{schema}.", "quoted": f'"{schema}".'},
        )
        return [str(row[0]) for row in found]

    def _make_pointer(self, schema: str) -> None:
        """Create the pointer's table, or give one from before there were generations what it lacks."""
        table = _quoted(schema + ".pointer")
        self._run(f"CREATE TABLE IF NOT EXISTS {table} (view VARCHAR PRIMARY KEY, version VARCHAR)")
        if "generation" not in self.columns(schema + ".pointer"):
            self._run(f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS salt VARCHAR")
            self._run(f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS generation BIGINT")

    def export(self, sql: str, path: Path) -> None:
        """Write a result as Parquet or CSV by the ending of the path: whole or not at all."""
        form = "(FORMAT parquet, COMPRESSION zstd)" if path.suffix == ".parquet" else "(FORMAT csv, HEADER)"
        staged = path.with_name(path.name + ".partial")
        self._run(f"COPY ({sql}) TO '{str(staged).replace(chr(39), chr(39) * 2)}' {form}")
        staged.replace(path)

    def close(self) -> None:
        """Give the file back."""
        self._link.close()

    def _run(self, sql: str, values: Mapping[str, object] | None = None) -> Any:
        try:
            return self._link.execute(sql, dict(values)) if values else self._link.execute(sql)
        except self._errors as error:
            raise _failed(sql, error) from error


def _quoted(name: str) -> str:
    """Return the name quoted; raises ValueError for anything but letters, digits, underscores and one dot."""
    if not _NAME.match(name):
        raise ValueError(f"{name!r} is not a table name")
    return ".".join(f'"{part}"' for part in name.split("."))


def _split(parts: Sequence[Part], salt: str, generation: int) -> str:
    """Return the readers' query: every part's people from its own table, each row with what served it."""
    selects = []
    for part in parts:
        bucket = f"substr(md5('{salt.replace(chr(39), chr(39) * 2)}:' || unit_id), 1, 8)"
        whole = (part.start, part.end) == ("00000000", "g")
        where = "" if whole else f" WHERE {bucket} >= '{part.start}' AND {bucket} < '{part.end}'"
        selects.append(f"SELECT *, {generation}::BIGINT AS generation FROM {_quoted(part.table)}{where}")  # noqa: S608
    return " UNION ALL BY NAME ".join(selects)


def _failed(sql: str, error: Exception) -> DataError:
    first = " ".join(sql.split())
    return DataError(
        f"statement `{first[:100]}{'...' if len(first) > 100 else ''}`",
        found=str(error).strip().splitlines()[0],
        wanted="a statement the engine can carry out",
        then="Look at the table or column named above.",
    )
