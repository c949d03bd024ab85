"""Readers of a case: their view in the warehouse, moved by generation, and what every case's service does alike."""

from __future__ import annotations

import shutil
import time
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import date
from pathlib import Path
from typing import Any

from foregate.app.opened import App, schema_of
from foregate.core.alerting import firing
from foregate.core.errors import ForegateError, OutsideError
from foregate.core.event import Entry, Event
from foregate.core.evidence import Evidence
from foregate.core.rollout import Part, Plan, Readiness, Rollout, bucket, good_versions, parts_of
from foregate.modeling import artifacts
from foregate.warehouse.duckdb import DuckDB

PATIENCE_SECONDS = 10.0
SAMPLE = 200
Opener = Callable[[], AbstractContextManager[DuckDB]]


class Readers:
    """The readers' view in one warehouse: moved by generation, and looked at as a reader would.

    `view` is the name they read; `table` the name, in a version's schema, of the table behind it.
    """

    view: str
    table: str

    def __init__(self, opened: Opener, on: Callable[[], date]) -> None:
        self.opened, self.on = opened, on

    def publish(self, served: Entry) -> None:
        """Make readers see what the entry serves; a file another program holds is waited for, some seconds."""
        with self.patiently() as engine:
            salt = str(served.event.detail.get("salt", ""))
            engine.publish(self.view, self.parts(served.event), salt, served.sequence)

    def probe(self, served: Entry) -> Evidence:
        """Return `probe_rows_off`: rows that readers see and the entry does not serve, or the other way round."""
        with self.patiently() as engine:
            found, words, rows = _seen(engine, self.view, self.parts(served.event), served)
        return Evidence("probe_rows_off", found, rows, self.on(), f"event {served.sequence}", words=words)

    def parts(self, event: Event) -> tuple[Part, ...]:
        """Return which share of readers' rows comes from which version's table."""
        return parts_of(event, {v: self.staged(v) for v in event.split or {}})

    def staged(self, version: str) -> str:
        """Return the full name of the table a version serves from."""
        return f"{schema_of(version)}.{self.table}"

    @contextmanager
    def patiently(self) -> Iterator[DuckDB]:
        """Open the warehouse, trying again while another program holds its file."""
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                with self.opened() as engine:
                    yield engine
                    return
            except OutsideError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.2)


class CaseService(Readers):
    """One case's packages and readers, as of a day: what is the same for every case."""

    columns: frozenset[str]

    def __init__(self, app: App, as_of: date | None = None) -> None:
        super().__init__(app.warehouse, lambda: app.clock().date())
        self.app: Any = app
        self.as_of = as_of or app.clock().date()

    @abstractmethod
    def restage(self, version: str) -> None:
        """Make a version's table again from its package."""

    @abstractmethod
    def decidable(self, version: str, champion: str | None, plan: Plan) -> tuple[Evidence, str]:
        """Return `undecided_days`, and the criterion that the plan's window can decide."""

    @abstractmethod
    def parity(self, rollout: Rollout) -> Sequence[Evidence]:
        """Return how the challenger compares with the champion on the same day."""

    @abstractmethod
    def field(self, rollout: Rollout) -> Sequence[Evidence]:
        """Return what the outcomes say of both by now."""

    def publish(self, served: Entry) -> None:
        """Make readers see what the entry serves; a table that is gone is made again from the package."""
        with self.patiently() as engine:
            gone = [p.version for p in self.parts(served.event) if not engine.exists(p.table)]
        for version in gone:
            self.restage(version)
        super().publish(served)

    def intact(self, version: str) -> Evidence:
        """Return `intact_faults`: 1 when the package's bytes are not those the ledger recorded."""
        words = self._broken(version, lambda folder, digest: artifacts.read(folder, digest))
        return Evidence("intact_faults", bool(words), 1, self.on(), "package", subject=version, words=words)

    def warm(self, version: str) -> Evidence:
        """Return `standby_faults`: what keeps a version from serving this moment."""
        faults = [self._broken(version, lambda _folder, _digest: self.app.package(version))]
        with self.patiently() as engine:
            table = self.staged(version)
            there = set(engine.columns(table)) if engine.exists(table) else set()
            lacks = ", ".join(sorted(self.columns - there))
            faults.append(f"{table} lacks {lacks}" if lacks else "" if engine.count(table) else f"{table} is empty")
        found = [f for f in faults if f]
        words = "; ".join(found) or "bytes, load, golden rows and staged table in place"
        return Evidence("standby_faults", len(found), 2, self.on(), "package", subject=version, words=words)

    def ready(self, rollout: Rollout | None, version: str, champion: str | None, plan: Plan) -> Readiness:
        """Return what is known before anything moves."""
        from foregate.app.drill import rehearse

        del rollout
        good = next((v for v in good_versions(self.app.entries()) if v != version), None)
        warm = [self.warm(v) for v in (version, good) if v]
        if any(e.value for e in warm):
            broken = Evidence("drill_faults", 1, 0, self.on(), "not tried", words="a package is not warm")
            drilled = [broken, Evidence("drill_rollback_seconds", 0, 0, self.on(), "not tried", words="not tried")]
        else:
            drilled = rehearse(self.app, version, good)
        undecided, criterion = self.decidable(version, champion, plan)
        return Readiness((*warm, *drilled, undecided), criterion)

    def bake(self, rollout: Rollout) -> Sequence[Evidence]:
        """Return what must be quiet before a release is complete."""
        open_ones = firing(e.event for e in self.app.entries()).get(rollout.version, {})
        loud = [r for r, a in open_ones.items() if a.event and a.event.detail.get("severity") == "critical"]
        good = next((v for v in good_versions(self.app.entries()) if v != rollout.version), None)
        words = ", ".join(loud) or "nothing critical fires"
        found = [Evidence("critical_alerts", len(loud), 1, self.on(), "ledger", words=words)]
        return [*found, self.warm(good or rollout.version)]

    def consumers(self, version: str) -> Evidence:
        """Return `consumers`: the views that read a version's own tables past the readers' view."""
        with self.patiently() as engine:
            found = [view for view in engine.views_on(schema_of(version))]
        words = ", ".join(found) or "no view reads its tables"
        return Evidence("consumers", len(found), 1, self.on(), "views", subject=version, words=words)

    def archive(self, version: str) -> Evidence:
        """Return `archived` after the package was packed as archive/<version>.zip and its tables were dropped."""
        folder = self.app.project.path("artifacts") / version
        target = self.app.project.path("archive") / version
        target.parent.mkdir(exist_ok=True)
        if folder.exists():
            partial = target.with_name(f"{version}.partial")
            packed = Path(shutil.make_archive(str(partial), "zip", folder))
            packed.replace(target.with_suffix(".zip"))
        with self.patiently() as engine:
            engine.drop_schema(schema_of(version))
        shutil.rmtree(folder, ignore_errors=True)
        return Evidence("archived", 1, 1, self.on(), "archive", subject=version, words=str(target.with_suffix(".zip")))

    def _broken(self, version: str, read: Callable[[Path, str], Any]) -> str:
        """Return what is wrong with a version's package in words, or nothing."""
        digest = self.app.package_digest(version)
        if digest is None:
            return f"the ledger has no package of {version}"
        try:
            read(self.app.project.path("artifacts") / version, digest)
        except ForegateError as error:
            return str(error)
        return ""


def _seen(engine: DuckDB, view: str, parts: Sequence[Part], served: Entry) -> tuple[int, str, int]:
    """Return how many rows are off, what was read in words, and how many rows were read."""
    pointed = engine.pointed(view)
    if not parts:
        there = engine.exists(view)
        return int(there), "readers still find a view" if there else "no view, as nothing is in service", 0
    if not engine.exists(view):
        return 1, f"no {view}; the pointer stands at {pointed or 'nothing'}", 0
    read = dict(engine.rows(f"select version, count(*) from {view} group by 1"))  # noqa: S608 - our own name
    salt = str(served.event.detail.get("salt", ""))
    staged = {part.version: _staged(engine, part, salt) for part in parts}
    off = sum(abs(read.get(v, 0) - staged.get(v, 0)) for v in {*read, *staged})
    off += pointed != served.sequence
    off += _misplaced(engine, view, parts, salt)
    said = ", ".join(f"{read[v]:,} rows of {v}" for v in sorted(read)) or "no rows"
    kept = ", ".join(f"{n:,} of {v}" for v, n in sorted(staged.items()))
    words = f"{said} read through {view} at generation {pointed}; {kept} were staged for {served.sequence}"
    return off, words, sum(read.values())


def _staged(engine: DuckDB, part: Part, salt: str) -> int:
    if (part.start, part.end) == ("00000000", "g"):
        return engine.count(part.table)
    unit = "substr(md5($salt || ':' || unit_id), 1, 8)"
    sql = f"select count(*) from {part.table} where {unit} >= $start and {unit} < $end"  # noqa: S608 - our own name
    values = {"salt": salt, "start": part.start, "end": part.end}
    return int(engine.rows(sql, values)[0][0])


def _misplaced(engine: DuckDB, view: str, parts: Sequence[Part], salt: str) -> int:
    """Return how many of some sampled rows are served by another version than the hash, taken here, says."""
    sql = f"select unit_id, version from {view} using sample reservoir({SAMPLE} rows) repeatable (1)"  # noqa: S608
    by = {part.version: part for part in parts}
    return sum(
        1
        for unit, version in engine.rows(sql)
        if version not in by or not by[version].start <= bucket(salt, unit) < by[version].end
    )
