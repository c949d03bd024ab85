"""The ledger's engine: SQLite with a write-ahead log, synced at every commit, or Postgres."""

from __future__ import annotations

import re
import sqlite3
import time
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc

from foregate.core.errors import ConfigurationError, OutsideError

READS, AT_ONCE = "foregate_reads", "foregate_at_once"


def engine_of(url: str, patience: float) -> sa.Engine:
    """Return the engine of an address, whose connections wait for others that write: `patience` seconds at most.

    A transaction takes the write lock when it begins; with the execution option READS it takes none, with AT_ONCE it
    waits for nobody. Raises ConfigurationError for an address that is none, or a driver that is not there.
    """
    address = parsed(url)
    return _sqlite(address, patience) if address.get_backend_name() == "sqlite" else _postgres(address, patience)


class Prepared:
    """A statement compiled once for an engine: run without SQLAlchemy's construction, it costs half the time."""

    def __init__(self, statement: sa.sql.ClauseElement, engine: sa.Engine) -> None:
        compiled: Any = statement.compile(engine)
        self._text, self._places, self._fixed = str(compiled), compiled.positiontup, dict(compiled.params)

    def run(self, link: sa.Connection, **values: Any) -> sa.CursorResult[Any]:
        """Return the result for these values of its parameters, by name."""
        named = {**self._fixed, **values}
        given = tuple(named[name] for name in self._places) if self._places else named
        return link.exec_driver_sql(self._text, given)


def parsed(url: str) -> sa.URL:
    """Return the address with its driver; raises ConfigurationError for one that is none, without its password."""
    try:
        found = sa.make_url(url)
    except (exc.ArgumentError, ValueError) as error:
        raise _refused(repr(re.sub(r":[^:/@]*@", ":***@", url))) from error
    if found.drivername == "postgresql":
        found = found.set(drivername="postgresql+psycopg")
    if found.drivername not in {"sqlite", "sqlite+pysqlite", "postgresql+psycopg"}:
        raise _refused(f"a database of kind {found.drivername!r}")
    return found


def _refused(found: str) -> ConfigurationError:
    return ConfigurationError(
        "[ledger] url", found=found, wanted="sqlite:///path or postgresql+psycopg://host/name", then="Edit it."
    )


def _sqlite(address: sa.URL, patience: float) -> sa.Engine:
    if address.database and not address.database.startswith("file:"):
        try:
            Path(address.database).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutsideError(
                f"ledger {address.database}",
                found=str(error),
                wanted="a folder that can be made",
                then="Check the path and its rights, or edit [ledger] url.",
            ) from error
    engine = sa.create_engine(address)
    sa.event.listen(engine, "connect", partial(_durable, patience))
    sa.event.listen(engine, "begin", partial(_begin, patience))
    return engine


def _postgres(address: sa.URL, patience: float) -> sa.Engine:
    wait = {} if "connect_timeout" in address.query else {"connect_timeout": int(patience)}
    try:
        return sa.create_engine(address, pool_pre_ping=True, connect_args=wait)
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            "[ledger] url",
            found="a Postgres ledger without its driver",
            wanted=f"the module {error.name}",
            then="Install foregate[postgres].",
        ) from error


def _durable(patience: float, link: Any, _record: object) -> None:
    link.isolation_level = None
    cursor = link.cursor()
    cursor.execute(f"PRAGMA busy_timeout={int(patience * 1000)}")
    _write_ahead(cursor, time.monotonic() + patience)
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()


def _write_ahead(cursor: Any, until: float) -> None:
    """Switch the file to WAL; SQLite does not wait by itself when two processes do so at once."""
    while True:
        try:
            if cursor.execute("PRAGMA journal_mode").fetchone()[0] == "delete":
                cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise
            time.sleep(0.02)
        else:
            return


def _begin(patience: float, link: sa.Connection) -> None:
    """Take the write lock at the start of a writing transaction; a reader takes none and waits for nobody.

    A read that later turns into a write would fail where it could have waited.
    """
    options = link.get_execution_options()
    if options.get(AT_ONCE):
        link.exec_driver_sql("PRAGMA busy_timeout=0")
    try:
        link.exec_driver_sql("BEGIN" if options.get(READS) else "BEGIN IMMEDIATE")
    finally:
        if options.get(AT_ONCE):
            link.exec_driver_sql(f"PRAGMA busy_timeout={int(patience * 1000)}")
