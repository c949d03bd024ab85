"""The ledger's store: append-only rows in SQLite (WAL) or Postgres, chained by hash and read back checked."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc

from foregate.core.errors import ConfigurationError, LedgerBrokenError, NotAllowedError, OutsideError
from foregate.core.event import Entry, Event, digest_of_row, from_json, seal, to_json

_META = sa.MetaData()
_EVENTS = sa.Table(
    "foregate_events",
    _META,
    sa.Column("model", sa.String(200), primary_key=True),
    sa.Column("sequence", sa.Integer, primary_key=True),
    sa.Column("at", sa.String(40), nullable=False),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("version", sa.String(80), nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("previous", sa.String(64), nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
)
_LEASES = sa.Table(
    "foregate_leases",
    _META,
    sa.Column("model", sa.String(200), primary_key=True),
    sa.Column("holder", sa.String(200), nullable=False),
)
_GUARDS = {
    "sqlite": [
        f"CREATE TRIGGER IF NOT EXISTS foregate_no_{verb} BEFORE {verb} ON foregate_events "
        "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"
        for verb in ("update", "delete")
    ],
    "postgresql": [
        f"CREATE OR REPLACE RULE foregate_no_{verb} AS ON {verb} TO foregate_events DO INSTEAD NOTHING"
        for verb in ("update", "delete")
    ],
}
_TRIES = 20


class Store:
    """The ledger on any database SQLAlchemy speaks to; `url` is `sqlite:///path` or `postgresql+psycopg://...`."""

    def __init__(self, url: str) -> None:
        self.url = url
        try:
            parsed = sa.make_url(url)
        except exc.ArgumentError as error:
            raise ConfigurationError(
                "[ledger] url",
                found=repr(url),
                wanted="sqlite:///path or postgresql+psycopg://host/name",
                then="Edit it.",
            ) from error
        if parsed.get_backend_name() == "sqlite" and parsed.database:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        self._engine = sa.create_engine(parsed)
        if parsed.get_backend_name() == "sqlite":
            sa.event.listen(self._engine, "connect", _durable)
            sa.event.listen(self._engine, "begin", _begin_immediate)
        with self._outside("opened"), self._engine.begin() as link:
            _META.create_all(link)
            for guard in _GUARDS.get(self._engine.dialect.name, []):
                link.execute(sa.text(guard))

    def add(self, event: Event) -> Entry:
        """Write the event after all others of its model; a second writer of the same place waits and comes after."""
        for _ in range(_TRIES):
            try:
                with self._outside("written"), self._engine.begin() as link:
                    entry = self._next(link, event)
                    link.execute(
                        _EVENTS.insert().values(
                            model=event.model,
                            sequence=entry.sequence,
                            at=event.at.isoformat(),
                            kind=str(event.kind),
                            version=event.version,
                            body=to_json(event),
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
        """Return the model's events, oldest first, each checked against its digest and the one before."""
        query = sa.select(_EVENTS).where(_EVENTS.c.model == model).order_by(_EVENTS.c.sequence)
        with self._outside("read"), self._engine.connect() as link:
            found = link.execute(query).mappings().all()
        previous = ""
        for place, row in enumerate(found, start=1):
            entry = self._checked(row, place, previous)
            previous = entry.digest
            yield entry

    def models(self) -> list[str]:
        """Return the models that have events, sorted."""
        with self._outside("read"), self._engine.connect() as link:
            return list(link.execute(sa.select(_EVENTS.c.model).distinct().order_by(_EVENTS.c.model)).scalars())

    @contextmanager
    def lease(self, model: str, holder: str) -> Iterator[None]:
        """Hold the right to walk a model; a lease whose process on this machine is gone is taken over."""
        self._take_lease(model, holder)
        try:
            yield
        finally:
            with self._outside("written"), self._engine.begin() as link:
                link.execute(_LEASES.delete().where(_LEASES.c.model == model, _LEASES.c.holder == holder))

    def close(self) -> None:
        """Give all connections back."""
        self._engine.dispose()

    def _take_lease(self, model: str, holder: str) -> None:
        with self._outside("written"), self._engine.begin() as link:
            held = link.execute(sa.select(_LEASES.c.holder).where(_LEASES.c.model == model)).scalar()
            if held and _alive(held):
                raise NotAllowedError(
                    f"model {model}",
                    found=f"a run of it by {held}",
                    wanted="one walker at a time",
                    then="Wait for it to end, or end that process.",
                )
            link.execute(_LEASES.delete().where(_LEASES.c.model == model))
            link.execute(_LEASES.insert().values(model=model, holder=holder))

    def _next(self, link: sa.Connection, event: Event) -> Entry:
        last = link.execute(
            sa.select(_EVENTS.c.sequence, _EVENTS.c.digest)
            .where(_EVENTS.c.model == event.model)
            .order_by(_EVENTS.c.sequence.desc())
            .limit(1)
        ).first()
        return seal(event, (last.sequence if last else 0) + 1, last.digest if last else "")

    def _checked(self, row: Any, place: int, previous: str) -> Entry:
        wanted = digest_of_row(place, previous, row["body"])
        if (row["sequence"], row["previous"], row["digest"]) != (place, previous, wanted):
            raise LedgerBrokenError(
                f"{self._where()}, model {row['model']}, event {row['sequence']}",
                found=f"digest {str(row['digest'])[:12]} after {str(row['previous'])[:12] or 'nothing'}",
                wanted=f"{wanted[:12]} after {previous[:12] or 'nothing'}",
                then="A row was changed, removed or reordered: restore the ledger from a backup.",
            )
        return Entry(place, from_json(row["body"]), previous, wanted)

    def _where(self) -> str:
        return f"ledger {sa.make_url(self.url).render_as_string(hide_password=True)}"

    @contextmanager
    def _outside(self, verb: str) -> Iterator[None]:
        try:
            yield
        except exc.IntegrityError:
            raise
        except exc.DatabaseError as error:
            raise OutsideError(
                self._where(),
                found=str(error.orig).strip().splitlines()[0],
                wanted=f"a database that can be {verb}",
                then="Check that the file or server is there, writable and not held by another program.",
            ) from error


def holder_name(actor: str) -> str:
    """Return the name a lease is held under: who, on which machine, in which process."""
    return f"{actor} on {os.uname().nodename} (pid {os.getpid()})"


def _alive(holder: str) -> bool:
    """Return whether the holder may still be at work; a holder on another machine is taken at its word."""
    name, _, rest = holder.rpartition(" on ")
    node, _, pid = rest.rpartition(" (pid ")
    if not name or node != os.uname().nodename:
        return True
    try:
        os.kill(int(pid.rstrip(")")), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:
        return True
    return True


def _durable(link: Any, _record: object) -> None:
    link.isolation_level = None
    cursor = link.cursor()
    cursor.execute("PRAGMA busy_timeout=10000")
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()


def _begin_immediate(link: sa.Connection) -> None:
    """Take the write lock at the start: a read that later turns into a write would fail where it could have waited."""
    link.exec_driver_sql("BEGIN IMMEDIATE")
