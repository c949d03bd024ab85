"""The ledger's store: append-only rows in SQLite (WAL) or Postgres, chained by hash and read back checked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc

from foregate.core.compaction import retained
from foregate.core.errors import (
    ConfigurationError,
    ConflictError,
    ForegateError,
    LedgerBrokenError,
    NotAllowedError,
    OutsideError,
)
from foregate.core.event import Entry, Event, Kind, digest_of_row, from_json, to_json
from foregate.lifecycle import checkpoint
from foregate.lifecycle.engine import AT_ONCE, READS, Prepared, engine_of, parsed
from foregate.lifecycle.lease import alive, holder_name
from foregate.lifecycle.schema import EVENTS, LEASES, ROW, SCHEMA, VERSION, is_ready, make, written_by

__all__ = ["Store", "holder_name"]

_TRIES = 20
_PATIENCE_SECONDS = 10
_PAGE = 2000
_CHUNK = 20_000
_WRITERS_LOCK = 0x464F5245
_BEFORE_ALL = -(2**63)
_MODEL = EVENTS.c.model == sa.bindparam("model")
_LAST = sa.select(EVENTS.c.sequence, EVENTS.c.digest).where(_MODEL).order_by(EVENTS.c.sequence.desc()).limit(1)
_AT = sa.select(EVENTS.c.digest).where(_MODEL, EVENTS.c.sequence == sa.bindparam("place"))
_TEXT = sa.select(EVENTS.c.body).where(_MODEL, EVENTS.c.sequence == sa.bindparam("place"))
# All that a writer must know of what is there, in one question.
_STANDING = sa.select(
    VERSION.scalar_subquery().label("schema"),
    *(_LAST.with_only_columns(column).scalar_subquery().label(column.name) for column in _LAST.selected_columns),
    *(
        sa.select(sa.func.max(EVENTS.c.sequence)).where(_MODEL, EVENTS.c.kind == kind).scalar_subquery().label(kind)
        for kind in (str(Kind.SERVED), str(Kind.MOVED))
    ),
)
_NEXT_PAGE = (
    sa.select(*ROW)
    .where(
        _MODEL,
        EVENTS.c.sequence > sa.bindparam("after", type_=sa.BigInteger),
        EVENTS.c.sequence <= sa.bindparam("last"),
    )
    .order_by(EVENTS.c.sequence)
    .limit(sa.bindparam("page"))
)


class Store:
    """The ledger in a database; `url` is `sqlite:///path` or `postgresql+psycopg://host/name`.

    The chain of hashes tells a row that was changed, removed from the middle or reordered. It can not tell that the
    last rows were removed, or that someone who may write wrote the whole chain anew: whoever needs that proof keeps the
    last event's digest somewhere else.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._engine = engine_of(url, _PATIENCE_SECONDS)
        self._reader = self._engine.execution_options(**{READS: True})
        self._standing, self._insert = Prepared(_STANDING, self._engine), Prepared(EVENTS.insert(), self._engine)
        self._known: dict[str, list[Entry]] = {}
        self._checkpointed: dict[str, int] = {}
        with self._reading() as link:
            version = written_by(link)
            ready = is_ready(link, version)
        if not ready:
            self._make(version)

    def add(self, event: Event, generation: int | None = None) -> Entry:
        """Write the event after all others of its model; a second writer of the same place waits and comes after.

        `generation`: the place of the last served or moved event that the caller has seen (0 for none). Raises
        ConflictError when another came since, and ConfigurationError when a newer Foregate has changed the tables.
        """
        body = to_json(event)
        for _ in range(_TRIES):
            try:
                with self._transaction() as link:
                    there = self._standing.run(link, model=event.model).one()
                    self._check_schema(there.schema or 0)
                    if generation is not None:
                        self._check_generation(link, event.model, max(there.served or 0, there.moved or 0), generation)
                    sequence, previous = (there.sequence or 0) + 1, there.digest or ""
                    digest = digest_of_row(sequence, previous, body)
                    row = {"sequence": sequence, "body": body, "previous": previous, "digest": digest}
                    self._insert.run(link, **_columns(event), **row)
                return Entry(sequence, event, previous, digest)
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
        return self._follow(model, 0, "")

    def current(self, model: str) -> list[Entry]:
        """Return the model's events that can still change what is so today, oldest first, checked: `retained`.

        The chain is checked from where this process left off, or from the model's checkpoint, whose entries are each
        checked again; before them it is not read, and only `read` sees all. A checkpoint that does not fit is ignored.
        """
        known, is_all = self._remembered(model)
        if is_all:
            return list(known)
        known = known or self._from_checkpoint(model)
        place, previous = (known[-1].sequence, known[-1].digest) if known else (0, "")
        fresh: list[Entry] = []
        for entry in self._follow(model, place, previous):
            fresh.append(entry)
            if len(fresh) == _CHUNK:
                known, fresh = retained([*known, *fresh]), []
        if fresh:
            known = retained([*known, *fresh])
        self._known[model] = known
        if known and known[-1].sequence - self._checkpointed.get(model, 0) > checkpoint.TAIL:
            self._write_checkpoint(model, known)
        return list(known)

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
            wanted="one command at a time",
            then="Wait for it to end, or end that process.",
        )

    def _remembered(self, model: str) -> tuple[list[Entry], bool]:
        """Return what this process retained when it was here last, and whether nothing came since.

        Nothing is remembered of a ledger that does not hold the last entry of that time any more.
        """
        known = self._known.get(model)
        if not known:
            return [], False
        at = (known[-1].sequence, known[-1].digest)
        with self._reading() as link:
            if link.execute(_LAST, {"model": model}).first() == at:
                return known, True
            found = link.execute(_AT, {"model": model, "place": at[0]}).scalar()
        return (known if found == at[1] else []), False

    def _from_checkpoint(self, model: str) -> list[Entry]:
        """Return the entries of the checkpoint, each checked; none when there is none that fits.

        Whether the checkpoint is wrong or the ledger, the whole chain will tell.
        """
        try:
            with self._reading() as link:
                found = checkpoint.stored(link, model)
                rows = checkpoint.rows(link, model, found) if found else []
            entries = [self._checked(model, row, row.sequence, row.previous) for row in rows]
        except (LedgerBrokenError, OutsideError):
            return []
        fits = found is not None and found.fits(entries)
        self._checkpointed[model] = found.sequence if found and fits else 0
        return entries if fits else []

    def _write_checkpoint(self, model: str, entries: list[Entry]) -> None:
        """Leave word for the next reader; where nothing can be written, or not now, it goes without."""
        self._checkpointed[model] = entries[-1].sequence
        try:
            with self._writing(at_once=True) as link:
                checkpoint.store(link, model, entries)
        except (ForegateError, exc.IntegrityError):
            pass

    def _check_generation(self, link: sa.Connection, model: str, last: int, seen: int) -> None:
        if last not in (0, seen):
            event = from_json(link.execute(_TEXT, {"model": model, "place": last}).scalar_one())
            raise ConflictError(
                f"model {model}",
                found=f"event {last} at {event.at:%Y-%m-%d %H:%M:%S} UTC: {event.sentence()}",
                wanted=f"nothing moved since event {seen}",
                then="Look at `foregate status`, and decide again.",
            )

    def _follow(self, model: str, place: int, previous: str) -> Iterator[Entry]:
        """Yield the events after a place, each checked against its digest and the one before."""
        with self._reading() as link:
            found = link.execute(_LAST, {"model": model}).first()
        last = found.sequence if found else 0
        while place < last:
            # The first page has no lower bound, so that a row before the first is seen too.
            asked = {"model": model, "after": place or _BEFORE_ALL, "last": last, "page": _PAGE}
            with self._reading() as link:
                page = link.execute(_NEXT_PAGE, asked).all()
            if not page:
                raise self._broken(model, place + 1, "nothing", f"the events up to {last} that were there a moment ago")
            for row in page:
                place += 1
                entry = self._checked(model, row, place, previous)
                previous = entry.digest
                yield entry

    def _checked(self, model: str, row: Any, place: int, previous: str) -> Entry:
        sequence, at, kind, version, body, before, digest = row
        if sequence != place:
            raise self._broken(model, place, f"event {sequence} in its place", f"event {place}")
        wanted = digest_of_row(place, previous, body)
        if (before, digest) != (previous, wanted):
            found = f"digest {str(digest)[:12]} after {str(before)[:12] or 'nothing'}"
            raise self._broken(model, place, found, f"{wanted[:12]} after {previous[:12] or 'nothing'}")
        try:
            event = from_json(body)
        except (KeyError, TypeError, ValueError) as error:
            raise OutsideError(
                f"{self._where()}, model {model}, event {place}",
                found=f"a sealed event that this Foregate can not read ({error})",
                wanted="an event of a kind it knows",
                then="A newer Foregate wrote it: upgrade.",
            ) from error
        if (event.model, event.at.isoformat(), event.kind, event.version) != (model, at, kind, version):
            beside, said = {"model": model, "at": at, "kind": kind, "version": version}, _columns(event)
            name = next(name for name in beside if said[name] != beside[name])
            raise self._broken(model, place, f"{name} {beside[name]!r} beside the sealed text", f"{said[name]!r}")
        return Entry(place, event, previous, wanted)

    def _broken(self, model: str, place: int, found: str, wanted: str) -> LedgerBrokenError:
        return LedgerBrokenError(
            f"{self._where()}, model {model}, event {place}",
            found=found,
            wanted=wanted,
            then="A row was changed, removed or reordered: restore the ledger from a backup.",
        )

    def _where(self) -> str:
        return f"ledger {parsed(self.url).render_as_string(hide_password=True)}"

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        with self._outside("read"), self._reader.connect() as link:
            yield link

    def _make(self, version: int) -> None:
        """Make what is missing; tables of an earlier version that can not be written can still be read as they are."""
        try:
            with self._transaction() as link:
                make(link)
        except OutsideError:
            if not 0 < version < SCHEMA:
                raise

    @contextmanager
    def _transaction(self, *, at_once: bool = False) -> Iterator[sa.Connection]:
        """Open a transaction that no other writer is in; `at_once` waits for none."""
        engine = self._engine.execution_options(**{AT_ONCE: True}) if at_once else self._engine
        with self._outside("written"), engine.begin() as link:
            if link.dialect.name == "postgresql":
                link.exec_driver_sql(f"SET LOCAL lock_timeout = '{'100ms' if at_once else f'{_PATIENCE_SECONDS}s'}'")
                link.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITERS_LOCK})")
            yield link

    @contextmanager
    def _writing(self, *, at_once: bool = False) -> Iterator[sa.Connection]:
        """Open a transaction that no other writer is in; refuse when the tables are newer than this code."""
        with self._transaction(at_once=at_once) as link:
            self._check_schema(link.execute(VERSION).scalar() or 0)
            yield link

    def _check_schema(self, version: int) -> None:
        if version > SCHEMA:
            raise ConfigurationError(
                self._where(),
                found=f"tables of version {version}",
                wanted=f"at most {SCHEMA}, which this Foregate knows",
                then="A newer Foregate has been here: upgrade. Reading goes on.",
            )

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
