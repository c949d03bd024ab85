"""The drill: promote and roll back on a copy, by the very code that does it in earnest, and timed."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from foregate.app.opened import App
from foregate.app.readers import CaseService, Readers
from foregate.core.errors import ForegateError
from foregate.core.event import Entry, Event, Kind
from foregate.core.evidence import Evidence
from foregate.core.rollout import Plan, Stage, generation
from foregate.lifecycle.moving import Mover
from foregate.lifecycle.store import Store
from foregate.warehouse.duckdb import DuckDB


def rehearse(app: App, version: str, good: str | None) -> list[Evidence]:
    """Return `drill_faults`, and the seconds a promotion and a rollback took on a copy of ledger and scores.

    Without a good version to go back to (the first release) the rollback leaves nothing in service.
    """
    with tempfile.TemporaryDirectory(prefix="foregate-drill-") as folder:
        faults, seconds = [], {"promote": 0.0, "rollback": 0.0}
        try:
            mover = _copied(app, Path(folder), version, good)
            _walk(mover, version, good, seconds)
            mover.ledger.close()  # type: ignore[attr-defined]
        except (ForegateError, OSError) as error:
            faults.append(f"{type(error).__name__}: {error}")
    day, words = app.clock().date(), "; ".join(faults) or f"{version} promoted and taken back to {good or 'nothing'}"
    return [
        Evidence("drill_faults", len(faults), 1, day, "drill", words=words),
        *(Evidence(f"drill_{name}_seconds", round(took, 3), 1, day, "drill") for name, took in seconds.items()),
    ]


def _copied(app: App, folder: Path, version: str, good: str | None) -> Mover:
    """Return a mover on copies of what it needs: the two versions' scores, and a ledger in which `good` serves."""
    warehouse = folder / "warehouse.duckdb"
    service = app.service()
    with service.patiently() as engine:
        engine.copy_to(warehouse, [service.staged(v) for v in (version, good) if v])
    ledger = Store(f"sqlite:///{folder / 'ledger.sqlite'}")
    mover = Mover(ledger, app.clock, app.actor, app.model, Plan(), _on_copy(service, warehouse))
    if good:
        served = ledger.add(Event(Kind.SERVED, app.clock(), app.model, good, app.actor, split={good: 1.0}))
        mover.service.publish(served)
    return mover


def _on_copy(service: CaseService, path: Path) -> CaseService:
    """Return the service with readers of a copy: what the copy lacks is a fault there, and is not made again."""
    service.opened = lambda: _opened(path)
    service.publish = lambda served: Readers.publish(service, served)  # type: ignore[method-assign]
    return service


def _walk(mover: Mover, version: str, good: str | None, seconds: dict[str, float]) -> None:
    began = time.monotonic()
    planned = _plan(mover, version, good)
    rollout = mover.rollout(planned.sequence)
    served = mover._serve(rollout, Stage.PROMOTING, {version: 1.0}, planned.sequence, "drill")
    mover._see(served, rollout)
    seconds["promote"] = time.monotonic() - began
    began = time.monotonic()
    outcome = mover.rollback("drill", version, withdraw=good is None)
    seconds["rollback"] = time.monotonic() - began
    if outcome.rollout is None or outcome.rollout.stage is not Stage.ROLLED_BACK:
        raise ForegateError("drill", found=outcome.words, wanted="a rollback that readers see", then="Mend it.")


def _plan(mover: Mover, version: str, good: str | None) -> Entry:
    detail = {"stage": str(Stage.PLANNED), "plan": asdict(mover.plan), "champion": good}
    event = Event(Kind.MOVED, mover.clock(), mover.model, version, mover.actor, detail=detail)
    return mover.ledger.add(event, generation(mover.entries()))


@contextmanager
def _opened(path: Path) -> Iterator[DuckDB]:
    engine = DuckDB(str(path))
    try:
        yield engine
    finally:
        engine.close()
