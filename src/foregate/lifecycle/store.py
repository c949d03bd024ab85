"""The ledger's store: append-only rows in SQLite (WAL) or Postgres, chained by hash and read back checked."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc

from foregate.core.errors import ConfigurationError, ConflictError, LedgerBrokenError, NotAllowedError, OutsideError
from foregate.core.event import Entry, Event, Kind, digest_of_row, from_json, to_json
from foregate.lifecycle.lease import alive, holder_name
from foregate.lifecycle.schema import EVENTS, LEASES, SCHEMA, is_ready, make, written_by

__all__ = ["Store", "holder_name"]

_TRIES = 20
_PATIENCE_SECONDS = 10
_PAGE = 2000
_WRITERS_LOCK = 0x464F5245
_READS = "foregate_reads"


class Store:
    """The ledger in a database; `url` is `sqlite:///path` or `postgresql+psycopg://host/name`.

    The chain of hashes tells a row that was changed, removed from the middle or reordered. It can not tell that the
    last rows were removed, or that someone who may write wrote the whole chain anew: whoever needs that proof keeps the
    last event's digest somewhere else.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        parsed = _parsed(url)
        if parsed.get_backend_name() == "sqlite":
            self._engine = _sqlite(parsed)
        else:
            self._engine = _postgres(parsed)
        self._reader = self._engine.execution_options(**{_READS: True})
        with self._reading() as link:
            ready = is_ready(link)
        if not ready:
            with self._writing() as link:
                make(link)

    def add(self, event: Event, generation: int | None = None) -> Entry:
        """Write the event after all others of its model; a second writer of the same place waits and comes after.

        `generation`: the place of the last served or moved event that the caller has seen (0 for none). Raises
        ConflictError when another came since, and ConfigurationError when a newer Foregate has changed the tables.
        """
        body = to_json(event)
        for _ in range(_TRIES):
            try:
                with self._writing() as link:
                    if generation is not None:
                        self._check_generation(link, event.model, generation)
                    entry = self._next(link, event, body)
                    link.execute(
                        EVENTS.insert().values(
                            model=event.model,
                            sequence=entry.sequence,
                            at=event.at.isoformat(),
                            kind=str(event.kind),
                            version=event.version,
                            body=body,
                            previous=entry.previous,
                            digest=entry.digest,
                        )
                    )
                    return entry
            except exc.IntegrityError:
                continue
        raise OutsideError(
            self._where(), found=f"{_TRIES} collisions with other writers", wanted="one place", then="Run it again."
        )

    def read(self, model: str) -> Iterator[Entry]:
        """Return the model's events, oldest first, each checked against its digest and the one before.

        Rows come in pages, each in its own short transaction: nothing is held while the caller works, and what is
        written meanwhile is for the next reader.
        """
        previous, place = "", 0
        with self._reading() as link:
            last = link.execute(sa.select(sa.func.max(EVENTS.c.sequence)).where(EVENTS.c.model == model)).scalar() or 0
        while place < last:
            page = self._page(model, place, last)
            if not page:
                raise self._broken(model, place + 1, "nothing", f"the events up to {last} that were there a moment ago")
            for row in page:
                place += 1
                entry = self._checked(row, place, previous)
                previous = entry.digest
                yield entry

    def models(self) -> list[str]:
        """Return the models that have events, sorted."""
        with self._reading() as link:
            return list(link.execute(sa.select(EVENTS.c.model).distinct().order_by(EVENTS.c.model)).scalars())

    @contextmanager
    def lease(self, model: str, holder: str) -> Iterator[None]:
        """Hold the right to walk a model; a lease whose process on this machine is gone is taken over."""
        try:
            self._take_lease(model, holder)
        except exc.IntegrityError as error:
            raise self._held(model, "another process, this very moment") from error
        try:
            yield
        finally:
            with self._writing() as link:
                link.execute(LEASES.delete().where(LEASES.c.model == model, LEASES.c.holder == holder))

    def close(self) -> None:
        """Give all connections back."""
        self._engine.dispose()

    def _take_lease(self, model: str, holder: str) -> None:
        with self._writing() as link:
            held = link.execute(sa.select(LEASES.c.holder).where(LEASES.c.model == model)).scalar()
            if held and alive(held):
                raise self._held(model, held)
            link.execute(LEASES.delete().where(LEASES.c.model == model))
            link.execute(LEASES.insert().values(model=model, holder=holder))

    def _held(self, model: str, holder: str) -> NotAllowedError:
        return NotAllowedError(
            f"model {model}",
            found=f"a run of it by {holder}",
            wanted="one walker at a time",
            then="Wait for it to end, or end that process.",
        )

    def current(self, model: str) -> list[Entry]:
        """Return the model's events that can still change what is so today, oldest first, checked."""
        return list(self.read(model))

    def _check_generation(self, link: sa.Connection, model: str, seen: int) -> None:
        moves = EVENTS.c.kind.in_([str(Kind.SERVED), str(Kind.MOVED)])
        query = sa.select(EVENTS.c.sequence, EVENTS.c.body).where(EVENTS.c.model == model, moves)
        last = link.execute(query.order_by(EVENTS.c.sequence.desc()).limit(1)).first()
        if last is not None and last.sequence != seen:
            event = from_json(last.body)
            raise ConflictError(
                f"model {model}",
                found=f"event {last.sequence} at {event.at:%Y-%m-%d %H:%M:%S} UTC: {event.sentence()}",
                wanted=f"nothing moved since event {seen}",
                then="Look at `foregate status`, and decide again.",
            )

    def _next(self, link: sa.Connection, event: Event, body: str) -> Entry:
        last = link.execute(
            sa.select(EVENTS.c.sequence, EVENTS.c.digest)
            .where(EVENTS.c.model == event.model)
            .order_by(EVENTS.c.sequence.desc())
            .limit(1)
        ).first()
        sequence, previous = (last.sequence + 1, last.digest) if last else (1, "")
        return Entry(sequence, event, previous, digest_of_row(sequence, previous, body))

    def _page(self, model: str, after: int, last: int) -> Sequence[Any]:
        """Return the next rows; the first page has no lower bound, so that a row before the first is seen too."""
        query = sa.select(EVENTS).where(EVENTS.c.model == model, EVENTS.c.sequence <= last)
        query = (query.where(EVENTS.c.sequence > after) if after else query).order_by(EVENTS.c.sequence).limit(_PAGE)
        with self._reading() as link:
            return link.execute(query).mappings().all()

    def _checked(self, row: Any, place: int, previous: str) -> Entry:
        if row["sequence"] != place:
            raise self._broken(row["model"], place, f"event {row['sequence']} in its place", f"event {place}")
        wanted = digest_of_row(place, previous, row["body"])
        if (row["previous"], row["digest"]) != (previous, wanted):
            found = f"digest {str(row['digest'])[:12]} after {str(row['previous'])[:12] or 'nothing'}"
            raise self._broken(row["model"], place, found, f"{wanted[:12]} after {previous[:12] or 'nothing'}")
        try:
            event = from_json(row["body"])
        except (KeyError, TypeError, ValueError) as error:
            raise OutsideError(
                f"{self._where()}, model {row['model']}, event {place}",
                found=f"a sealed event that this Foregate can not read ({error})",
                wanted="an event of a kind it knows",
                then="A newer Foregate wrote it: upgrade.",
            ) from error
        for name, said in _columns(event).items():
            if row[name] != said:
                raise self._broken(row["model"], place, f"{name} {row[name]!r} beside the sealed text", f"{said!r}")
        return Entry(place, event, previous, wanted)

    def _broken(self, model: str, place: int, found: str, wanted: str) -> LedgerBrokenError:
        return LedgerBrokenError(
            f"{self._where()}, model {model}, event {place}",
            found=found,
            wanted=wanted,
            then="A row was changed, removed or reordered: restore the ledger from a backup.",
        )

    def _where(self) -> str:
        return f"ledger {_parsed(self.url).render_as_string(hide_password=True)}"

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        with self._outside("read"), self._reader.connect() as link:
            yield link

    @contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        """Open a transaction that no other writer is in; refuse when the tables are newer than this code."""
        with self._outside("written"), self._engine.begin() as link:
            if link.dialect.name == "postgresql":
                link.exec_driver_sql(f"SET LOCAL lock_timeout = '{_PATIENCE_SECONDS}s'")
                link.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITERS_LOCK})")
            version = written_by(link)
            if version > SCHEMA:
                raise ConfigurationError(
                    self._where(),
                    found=f"tables of version {version}",
                    wanted=f"at most {SCHEMA}, which this Foregate knows",
                    then="A newer Foregate has been here: upgrade. Reading goes on.",
                )
            yield link

    @contextmanager
    def _outside(self, verb: str) -> Iterator[None]:
        try:
            yield
        except exc.IntegrityError:
            raise
        except (exc.DBAPIError, exc.TimeoutError) as error:
            said = str(getattr(error, "orig", error)).strip() or type(error).__name__
            raise OutsideError(
                self._where(),
                found=said.splitlines()[0],
                wanted=f"a database that can be {verb}",
                then="Check that the file or server is there, writable and not held by another program.",
            ) from error


def _columns(event: Event) -> dict[str, str]:
    """Return what stands beside an event's text, for people who query the table."""
    return {
        "model": event.model,
        "at": event.at.isoformat(),
        "kind": str(event.kind),
        "version": event.version,
    }


def _parsed(url: str) -> sa.URL:
    try:
        parsed = sa.make_url(url)
    except (exc.ArgumentError, ValueError) as error:
        raise _refused(repr(re.sub(r":[^:/@]*@", ":***@", url))) from error
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in {"sqlite", "sqlite+pysqlite", "postgresql+psycopg"}:
        raise _refused(f"a database of kind {parsed.drivername!r}")
    return parsed


def _refused(found: str) -> ConfigurationError:
    return ConfigurationError(
        "[ledger] url", found=found, wanted="sqlite:///path or postgresql+psycopg://host/name", then="Edit it."
    )


def _sqlite(parsed: sa.URL) -> sa.Engine:
    if parsed.database and not parsed.database.startswith("file:"):
        try:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutsideError(
                f"ledger {parsed.database}",
                found=str(error),
                wanted="a folder that can be made",
                then="Check the path and its rights, or edit [ledger] url.",
            ) from error
    engine = sa.create_engine(parsed)
    sa.event.listen(engine, "connect", _durable)
    sa.event.listen(engine, "begin", _begin)
    return engine


def _postgres(parsed: sa.URL) -> sa.Engine:
    patience = {} if "connect_timeout" in parsed.query else {"connect_timeout": _PATIENCE_SECONDS}
    try:
        return sa.create_engine(parsed, pool_pre_ping=True, connect_args=patience)
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            "[ledger] url",
            found="a Postgres ledger without its driver",
            wanted=f"the module {error.name}",
            then="Install foregate[postgres].",
        ) from error


def _durable(link: Any, _record: object) -> None:
    link.isolation_level = None
    cursor = link.cursor()
    cursor.execute(f"PRAGMA busy_timeout={int(_PATIENCE_SECONDS * 1000)}")
    _write_ahead(cursor, time.monotonic() + _PATIENCE_SECONDS)
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


def _begin(link: sa.Connection) -> None:
    """Take the write lock at the start of a writing transaction; a reader takes none and waits for nobody.

    A read that later turns into a write would fail where it could have waited.
    """
    link.exec_driver_sql("BEGIN" if link.get_execution_options().get(_READS) else "BEGIN IMMEDIATE")
