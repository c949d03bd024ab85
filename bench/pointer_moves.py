"""Foregate's pointer moves: in the ledger alone, a whole rollback that readers see, or one fsync of the same disk."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

from bench.timing import job
from bench.turns import answer
from foregate.app.leads import Leads
from foregate.app.leads.service import LeadsService
from foregate.app.opened import schema_of
from foregate.app.starting import lay_project
from foregate.cases.leads.lifecycle import MODEL
from foregate.cases.leads.work import SCORES
from foregate.core.event import Event, Kind
from foregate.core.evidence import Evidence
from foregate.core.rollout import Plan, Stage, generation
from foregate.lifecycle.moving import Mover
from foregate.lifecycle.store import Store
from foregate.modeling import artifacts

ROWS = 200_000
VERSIONS = ("v1", "v2")
EVENT = Event(Kind.SERVED, datetime.now(UTC), MODEL, "v1", "sam", reason="back to the last good one")


def in_ledger(folder: Path) -> None:
    """Answer with moves of the ledger's pointer: compare-and-swap, split and audit row in one transaction."""
    ledger = Store(f"sqlite:///{folder / 'ledger.sqlite'}")
    seen, turn = 0, 0

    def move() -> None:
        nonlocal seen, turn
        turn = 1 - turn
        version = VERSIONS[turn]
        event = replace(EVENT, at=datetime.now(UTC), version=version, split={version: 1.0})
        seen = ledger.add(event, generation=seen).sequence

    move()
    with ledger._writing() as link:
        pragmas = {n: link.exec_driver_sql(f"PRAGMA {n}").scalar() for n in ("journal_mode", "synchronous")}
    answer(move, **pragmas)


def in_service(folder: Path) -> None:
    """Answer with whole rollbacks: the package checked, the ledger's move, the readers' view moved and looked at."""
    app = _project(folder)
    mover = Mover(app.ledger, app.clock, "sam", MODEL, Plan(), LeadsService(app))

    def bring() -> None:
        began = mover.ledger.add(
            replace(
                EVENT,
                kind=Kind.MOVED,
                at=app.clock(),
                version="v2",
                detail={"stage": str(Stage.PLANNED), "plan": asdict(Plan()), "champion": "v1"},
            ),
            generation(mover.entries()),
        )
        rollout = mover.rollout(began.sequence)
        mover._see(mover._serve(rollout, Stage.PROMOTING, {"v2": 1.0}, began.sequence, "bench"), rollout)

    def back() -> None:
        outcome = mover.rollback("bench", "v2")
        assert outcome.rollout is not None
        assert outcome.rollout.stage is Stage.ROLLED_BACK, outcome.words

    answer(back, bring, rows=ROWS)


def _project(folder: Path) -> Leads:
    """Return a project with two versions: packages of a megabyte, and as many scores as the seeds' prospects."""
    lay_project(folder / "project")
    app = Leads(folder / "project", "sam")
    for version in VERSIONS:
        digest = artifacts.write(folder / "project" / "artifacts" / version, {"model.ubj": os.urandom(2**20)})
        package = Evidence("package_digest", 1, 1, app.clock().date(), "bench", subject=digest)
        about = replace(EVENT, at=app.clock(), version=version)
        app.ledger.add(replace(about, kind=Kind.STARTED, detail={"phases": ["package"], "gates": {}}))
        app.ledger.add(replace(about, kind=Kind.JUDGED, phase="package", evidence=(package,)))
        with app.warehouse(schema_of(version)) as engine:
            engine.create(
                SCORES,
                f"SELECT range::varchar AS unit_id, random() AS score, '{version}' AS version FROM range({ROWS})",
            )
    served = app.ledger.add(replace(EVENT, at=app.clock(), split={"v1": 1.0}))
    LeadsService(app).publish(served)
    return app


def on_disk(folder: Path) -> None:
    """Answer with a write of one page and an fsync."""
    out = os.open(folder / "page", os.O_CREAT | os.O_WRONLY)

    def move() -> None:
        os.write(out, b"x" * 4096)
        os.fsync(out)

    answer(move)


if __name__ == "__main__":
    what: dict[str, Callable[[Path], None]] = {"ledger": in_ledger, "service": in_service, "disk": on_disk}
    asked = job()
    shutil.rmtree(asked["folder"], ignore_errors=True)
    Path(asked["folder"]).mkdir(parents=True)
    what[asked["what"]](Path(asked["folder"]))
