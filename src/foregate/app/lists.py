"""Lists: build, explain and export the month's list of the version in service."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from sqlglot import exp

from foregate.app.opened import App
from foregate.cases.leads import listing
from foregate.cases.leads.lifecycle import MODEL
from foregate.cases.leads.monthly_list import Built
from foregate.cases.leads.phases.preflight import staleness
from foregate.core.errors import ConfigurationError, NotAllowedError
from foregate.core.event import Event, Kind
from foregate.core.folds import champion
from foregate.core.phase import Run
from foregate.lifecycle.store import holder_name
from foregate.modeling.measured import digest_of
from foregate.warehouse.duckdb import DuckDB
from foregate.warehouse.sources import view_name

_NAME = re.compile(r"[a-z0-9_]{1,40}")


@dataclass(frozen=True)
class ListReport:
    """A built list, where its files are, and whether this call made it or found it as it was."""

    name: str
    version: str
    built: Built
    files: tuple[Path, ...]
    digest: str
    repeated: bool


def build_list(app: App, as_of: date | None = None, name: str | None = None) -> ListReport:
    """Return the list of a month, built by the version in service; the same inputs give the same bytes.

    Raises NotAllowedError when nothing is in service, and whatever the list's rules refuse; nothing is written then.
    """
    on = app.project.day(as_of)
    named = name or f"{on:%Y_%m}"
    if not _NAME.fullmatch(named):
        raise ConfigurationError(
            "--name", found=repr(named), wanted="small letters, digits and underscores, as 2025_11", then="Correct it."
        )
    version = _in_service(app)
    package = app.package(version)
    with app.ledger.lease(MODEL, holder_name(app.actor)), app.warehouse() as engine:
        work = app.work(engine, on)
        engine.use(schema_of_list(named))
        seed, today = app.project.declared.seed, app.clock().date()
        stale = tuple(staleness(work, Run(engine, MODEL, version, on, seed)))
        accepted = frozenset(w.gate for w in app.find(version).waivers if w.until >= today)
        request = listing.Request(named, on, app.settings, work.rules, seed, stale, accepted)
        with _whole(engine):
            built, judgements = listing.build(request, package, engine, work.columns, work.spine("spine"))
        files = _export(app, engine, named)
    digest = digest_of(files[0].read_text(), length=16)
    detail = {
        "list": named,
        "as_of": on.isoformat(),
        "rows": built.people.num_rows,
        "digest": digest,
        "expected": built.expected.to_pylist(),
        "widened_by": built.widened_by,
    }
    before = [e.event for e in app.entries() if e.event.kind is Kind.LISTED and e.event.detail["list"] == named]
    repeated = bool(before) and _same(before[-1], version, detail)
    if not repeated:
        judged = tuple(j.evidence for j in judgements if j.evidence)
        event = Event(
            Kind.LISTED, app.clock(), MODEL, version, app.actor, evidence=judged, judgements=judgements, detail=detail
        )
        app.ledger.add(event)
    return ListReport(named, version, built, files, digest, repeated)


def explain_lead(app: App, lead: str, name: str | None = None) -> dict[str, Any]:
    """Return why a person (or the person of a lead) is on the list or what kept them out, with their top reasons."""
    event = _last_list(app, name)
    with app.warehouse() as engine:
        engine.use(schema_of_list(str(event.detail["list"])), create=False)
        person = _person(app, engine, lead)
        found = listing.explain(person, app.package(event.version), engine) if person is not None else {}
    if not found:
        raise NotAllowedError(
            f"lead {lead}",
            found=f"nobody of that id among those scored for list {event.detail['list']}",
            wanted="a person's id, or a lead's id with a person",
            then="Look the id up in the population's table.",
        )
    return {"list": event.detail["list"], "version": event.version, **found}


def export_list(app: App, target: Path, name: str | None = None) -> Path:
    """Return the path of the list written as CSV or Parquet, by the ending of the target."""
    event = _last_list(app, name)
    with _list_tables(app, str(event.detail["list"])) as engine:
        engine.export(_ORDERED, target)
    return target


def schema_of_list(name: str) -> str:
    """Return the schema that holds a list's tables."""
    return f"list_{name}"


_ORDERED = f"SELECT * FROM {listing.PEOPLE} ORDER BY list_rank"  # noqa: S608 - a name of our own


@contextmanager
def _list_tables(app: App, name: str) -> Iterator[DuckDB]:
    with app.warehouse() as engine:
        engine.use(schema_of_list(name), create=False)
        yield engine


@contextmanager
def _whole(engine: DuckDB) -> Iterator[None]:
    """Keep all tables that are written inside, or none: a refused list leaves the one before it as it was."""
    engine.rows("BEGIN TRANSACTION")
    try:
        yield
    except BaseException:
        engine.rows("ROLLBACK")
        raise
    engine.rows("COMMIT")


def _export(app: App, engine: DuckDB, name: str) -> tuple[Path, ...]:
    folder = app.project.path("lists") / name
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for ending in ("csv", "parquet"):
        engine.export(_ORDERED, folder / f"list.{ending}")
        written.append(folder / f"list.{ending}")
    engine.export(f"SELECT * FROM {listing.WATERFALL}", folder / "waterfall.csv")  # noqa: S608 - a name of our own
    return tuple(written)


def _in_service(app: App) -> str:
    version = champion(e.event for e in app.entries())
    if version is None:
        raise NotAllowedError(
            "list",
            found="no version in service",
            wanted="a promoted version",
            then="`foregate promote` puts one in service.",
        )
    return version


def _last_list(app: App, name: str | None) -> Event:
    made = [e.event for e in app.entries() if e.event.kind is Kind.LISTED]
    fitting = [e for e in made if name is None or e.detail["list"] == name]
    if not fitting:
        raise NotAllowedError(
            f"list {name or ''}".strip(),
            found="no such list",
            wanted=f"one of {', '.join(str(e.detail['list']) for e in made) or 'none yet'}",
            then="`foregate list build` makes one.",
        )
    return fitting[-1]


def _person(app: App, engine: DuckDB, lead: str) -> int | str | None:
    """Return the person of an id: itself when it was scored, else the person of the lead of that id."""
    decided = f"select person_id from {listing.DECISIONS} where cast(person_id as varchar) = $id"  # noqa: S608
    named, own = exp.column(app.settings.person), exp.cast(exp.column(app.settings.lead), "varchar")
    of_lead = (
        exp.select(named)
        .from_(view_name(app.settings.source))
        .where(own.eq(exp.Parameter(this=exp.var("id"))), named.copy().is_(exp.null()).not_())
        .sql(dialect="duckdb")
    )
    for sql in (decided, of_lead):
        found = engine.rows(sql, {"id": lead})
        if found:
            return found[0][0]  # type: ignore[no-any-return]
    return None


def _same(event: Event, version: str, detail: dict[str, Any]) -> bool:
    return event.version == version and all(event.detail[k] == detail[k] for k in ("digest", "as_of"))
