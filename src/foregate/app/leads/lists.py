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

from foregate.app.leads.case import Leads
from foregate.app.promotion import rollouts_of
from foregate.cases.leads import arms, listing
from foregate.cases.leads.lifecycle import MODEL
from foregate.cases.leads.monthly_list import Built
from foregate.cases.leads.work import SCORES, Work
from foregate.cases.source_checks import staleness
from foregate.core.errors import ConfigurationError, ForegateError, NotAllowedError
from foregate.core.event import Event, Kind
from foregate.core.folds import champion
from foregate.core.gate import Judgement
from foregate.core.phase import Run
from foregate.core.rollout import Rollout, Stage, active
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


def build_list(app: Leads, as_of: date | None = None, name: str | None = None, *, replace: bool = False) -> ListReport:
    """Return the list of a month, built by the version in service; the same inputs give the same bytes.

    A list that another version, or other arms, have built is kept as it is: nobody changes hands in the middle of a
    month, unless `replace` says so.

    Raises NotAllowedError when nothing is in service, and whatever the list's rules refuse; nothing is written then.
    """
    on = app.project.day(as_of)
    named = name or f"{on:%Y_%m}"
    if not _NAME.fullmatch(named):
        raise ConfigurationError(
            "--name", found=repr(named), wanted="small letters, digits and underscores, as 2025_11", then="Correct it."
        )
    version = _in_service(app)
    trial = _trial(app)
    if (kept := _kept(app, named, version, trial)) is not None and not replace:
        return _read_back(app, kept)
    with app.ledger.lease(MODEL, holder_name(app.actor)), app.warehouse() as engine:
        work = app.work(engine, on)
        seed, today = app.project.declared.seed, app.clock().date()
        stale = tuple(staleness(work.sources, work.fingerprints, Run(engine, MODEL, version, on, seed)))
        accepted = frozenset(w.gate for w in app.find(version).waivers if w.until >= today)
        request = listing.Request(named, on, app.settings, work.rules, seed, stale, accepted)
        chosen = _challengers(app, engine, work, trial, request) if trial else None
        engine.use(schema_of_list(named))
        with _whole(engine):
            built, judgements = listing.build(request, app.package(version), engine, work.columns, work.spine("spine"))
            share = 0.0 if trial is None else trial.share if replace else _frozen_share(app, trial, named)
            merged = _merged(app, engine, trial, chosen, built, request, share) if trial and chosen else None
            built = merged.built if merged else built
        files = _export(app, engine, named)
    digest = digest_of(files[0].read_text(), length=16)
    detail = {
        "list": named,
        "as_of": on.isoformat(),
        "rows": built.people.num_rows,
        "digest": digest,
        "expected": built.expected.to_pylist(),
        "widened_by": built.widened_by,
        **_told(trial, merged),
    }
    repeated = _remembered(app, version, detail, judgements)
    if trial and isinstance(chosen, str) and trial.stage is Stage.CANARY:
        rollouts_of(app).hold(f"the challenger can not list: {chosen}")
    return ListReport(named, version, built, files, digest, repeated)


def _remembered(app: Leads, version: str, detail: dict[str, Any], judgements: tuple[Judgement, ...]) -> bool:
    """Return whether the ledger has this very list already; it is written otherwise."""
    before = [
        e.event for e in app.entries() if e.event.kind is Kind.LISTED and e.event.detail["list"] == detail["list"]
    ]
    if before and _same(before[-1], version, detail):
        return True
    judged = tuple(j.evidence for j in judgements if j.evidence)
    event = Event(
        Kind.LISTED, app.clock(), MODEL, version, app.actor, evidence=judged, judgements=judgements, detail=detail
    )
    app.ledger.add(event)
    return False


def _trial(app: Leads) -> Rollout | None:
    """Return the open rollout whose version is asked for a list: noted in shadow, in canary called for its share."""
    found = active(app.entries())
    stage = found.held_in if found and found.stage is Stage.HELD else found.stage if found else None
    return found if found and found.champion and stage in (Stage.SHADOW, Stage.CANARY) else None


def _challengers(app: Leads, engine: DuckDB, work: Work, trial: Rollout, request: listing.Request) -> Built | str:
    """Return the list as the challenger alone would build it, or in words why it can not: the month goes on without."""
    engine.use(f"{schema_of_list(request.name)}_challenger")
    try:
        with _whole(engine):
            package = app.package(trial.version)
            return listing.build(request, package, engine, work.columns, work.spine("spine"))[0]
    except ForegateError as error:
        return str(error)


def _merged(
    app: Leads,
    engine: DuckDB,
    trial: Rollout,
    chosen: Built | str,
    built: Built,
    request: listing.Request,
    share: float,
) -> arms.Merged | None:
    """Return the list of both arms, its tables written; None when the challenger has none."""
    if isinstance(chosen, str) or trial.champion is None:
        return None
    packages = [app.package(v) for v in (trial.champion, trial.version)]
    units = {
        row[0]: str(row[1])
        for schema in ("", "_challenger")
        for row in engine.rows(
            f"select subject_id, unit_id from {schema_of_list(request.name)}{schema}.{SCORES} "  # noqa: S608
            f"where subject_id in (select person_id from {schema_of_list(request.name)}{schema}.{listing.PEOPLE})"
        )
    }
    merged = arms.merge(
        built,
        chosen,
        (trial.champion, trial.version),
        (packages[0].prices, packages[1].prices),
        units,
        share,
        trial.salt,
        request.settings.list.firm_cap,
        request.seed,
    )
    listing.save(engine, merged.built)
    engine.load(arms.ARMS, merged.arms)
    return merged


def _kept(app: Leads, name: str, version: str, trial: Rollout | None) -> Event | None:
    """Return the event of a list that was built by another version, or with other arms; None if it may be built."""
    made = [e.event for e in app.entries() if e.event.kind is Kind.LISTED and e.event.detail["list"] == name]
    if not made:
        return None
    now = (version, trial.began if trial else None)
    return made[-1] if (made[-1].version, made[-1].detail.get("rollout")) != now else None


def _read_back(app: Leads, event: Event) -> ListReport:
    """Return a list as it was built."""
    named = str(event.detail["list"])
    with _list_tables(app, named) as engine:
        decisions, waterfall, expected = (
            engine.table(f"FROM {table}") for table in (listing.DECISIONS, listing.WATERFALL, listing.EXPECTED)
        )
        widened = int(event.detail["widened_by"])
        built = Built(engine.table(_ORDERED), decisions, waterfall, expected, widened)
    folder = app.project.path("lists") / named
    files = tuple(folder / name for name in ("list.csv", "list.parquet", "waterfall.csv"))
    return ListReport(named, event.version, built, files, str(event.detail["digest"]), repeated=True)


def _frozen_share(app: Leads, trial: Rollout, name: str) -> float:
    """Return the challenger's share on a list: the one it was first built with, so that nobody changes arm midway."""
    built = [e.event.detail for e in app.entries() if e.event.kind is Kind.LISTED and e.event.detail["list"] == name]
    shares = [float(d["share"]) for d in built if d.get("rollout") == trial.began and "share" in d]
    return shares[0] if shares else trial.share


def _told(trial: Rollout | None, merged: arms.Merged | None) -> dict[str, Any]:
    """Return what the ledger keeps of a list of two arms."""
    if trial is None:
        return {}
    if merged is None:
        return {"rollout": trial.began, "arms": "the challenger could not list"}
    told = {"possible": merged.possible, "swapped": merged.swapped, "left_out": merged.left_out}
    return {"rollout": trial.began, "challenger": trial.version, "share": merged.share, **told}


def explain_lead(app: Leads, lead: str, name: str | None = None) -> dict[str, Any]:
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


def export_list(app: Leads, target: Path, name: str | None = None) -> Path:
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
def _list_tables(app: Leads, name: str) -> Iterator[DuckDB]:
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


def _export(app: Leads, engine: DuckDB, name: str) -> tuple[Path, ...]:
    folder = app.project.path("lists") / name
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for ending in ("csv", "parquet"):
        engine.export(_ORDERED, folder / f"list.{ending}")
        written.append(folder / f"list.{ending}")
    engine.export(f"SELECT * FROM {listing.WATERFALL}", folder / "waterfall.csv")  # noqa: S608 - a name of our own
    return tuple(written)


def _in_service(app: Leads) -> str:
    version = champion(e.event for e in app.entries())
    if version is None:
        raise NotAllowedError(
            "list",
            found="no version in service",
            wanted="a promoted version",
            then="`foregate promote` puts one in service.",
        )
    return version


def _last_list(app: Leads, name: str | None) -> Event:
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


def _person(app: Leads, engine: DuckDB, lead: str) -> int | str | None:
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
