"""Binding: make every declared source readable under one name in the version's schema."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError

from foregate.core.errors import ConfigurationError, DataError
from foregate.warehouse.duckdb import SOURCES, DuckDB
from foregate.warehouse.sources import Source, view_name


def bind(warehouse: DuckDB, sources: Mapping[str, Source], folder: Path) -> dict[str, dict[str, str]]:
    """Return column names and types by source, after every source can be read as `source_<name>`.

    Raises DataError naming the source, and the column, that is not there; ConfigurationError for a query that is not
    one SELECT.
    """
    found = {}
    for name, source in sources.items():
        if source.file is not None:
            warehouse.read_file(_place(name), (folder / source.file).resolve())
        elif source.query is not None:
            warehouse.drop(_place(name))
            warehouse.create(_place(name), _query(name, folder / source.query, folder))
        else:
            _bind_table(warehouse, name, str(source.table))
        found[name] = warehouse.columns(view_name(name))
        _check_columns(name, source, found[name])
        if warehouse.count(_place(name)) == 0:
            raise DataError(
                f"source {name} ({source.file or source.query or source.table})",
                found="no rows",
                wanted="at least one",
                then="Check the file, the table or the query's conditions.",
            )
    return found


def unstable(warehouse: DuckDB, sources: Mapping[str, Source], folder: Path) -> list[str]:
    """Return the query sources that give other rows when they are asked twice: a tie without an order, or chance."""
    found = []
    for name, source in sources.items():
        if source.query is not None:
            first = warehouse.fingerprint(view_name(name))
            warehouse.create("asked_again", _query(name, folder / source.query, folder))
            found += [name] if warehouse.fingerprint("asked_again") != first else []
            warehouse.drop("asked_again")
    return found


def _bind_table(warehouse: DuckDB, name: str, table: str) -> None:
    if not warehouse.exists(table):
        raise DataError(
            f"foregate.toml [sources.{name}] table",
            found=f"no table `{table}` in {warehouse.path}",
            wanted="a table or view of the warehouse",
            then="Correct the name, or say file = ... or query = ... .",
        )
    warehouse.drop(_place(name))
    warehouse.view(_place(name), exp.select("*").from_(exp.to_table(table)).sql("duckdb"))


def _place(name: str) -> str:
    return f"{SOURCES}.{view_name(name)}"


def _query(name: str, path: Path, folder: Path) -> str:
    """Return the query with `{folder}` standing for the project's folder; it may read files and nothing else."""
    if not path.is_file():
        raise ConfigurationError(
            f"foregate.toml [sources.{name}] query",
            found=f"no file {path}",
            wanted="a .sql file",
            then="Correct the path.",
        )
    text = path.read_text(encoding="utf-8").replace("{folder}", str(folder).replace("'", "''"))
    try:
        trees = [tree for tree in sqlglot.parse(text, dialect="duckdb") if tree is not None]
    except ParseError as error:
        raise ConfigurationError(
            str(path), found=str(error).splitlines()[0], wanted="one SELECT statement", then="Correct the statement."
        ) from error
    if len(trees) != 1 or not isinstance(trees[0], exp.Query):
        raise ConfigurationError(
            str(path), found=f"{len(trees)} statements", wanted="one SELECT statement", then="Correct the file."
        )
    return text.strip().rstrip(";")


def _check_columns(name: str, source: Source, there: Mapping[str, str]) -> None:
    wanted = [source.key, *source.unique, *source.columns, *source.late().values()]
    wanted += [c for c in (source.happened, source.known) if c]
    missing = [c for c in wanted if c not in there]
    if missing:
        raise DataError(
            f"foregate.toml [sources.{name}]",
            found=f"no column `{missing[0]}` in the data",
            wanted=f"one of {', '.join(there)}",
            then="Correct the declaration, or the query that makes the source.",
        )
