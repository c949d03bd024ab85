"""A ledger of a million events, as twelve years of one model would leave it: written in bulk, its chain whole."""

from __future__ import annotations

import json
import shutil
import sqlite3
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from bench.room import BUILD
from foregate.app.starting import lay_project
from foregate.core.alerting import MONITOR
from foregate.core.event import Event, Kind, digest_of_row, gate_to, to_json
from foregate.core.evidence import Evidence, Unit
from foregate.core.gate import Gate, Judgement, Result
from foregate.core.rollout import Plan, Stage, Step
from foregate.lifecycle.store import Store

EVENTS, TAIL = 1_000_000, 2_000
BEGAN, DAYS, VERSIONS = datetime(2014, 1, 1, tzinfo=UTC), 4383, 150
# What the demo's phases leave: pieces of evidence and judgements.
PHASES = {
    "dates": (10, 3),
    "preflight": (31, 31),
    "landscape": (20, 15),
    "target": (8, 5),
    "features": (29, 28),
    "split": (16, 6),
    "select": (95, 88),
    "tiers": (29, 17),
    "train": (12, 6),
    "validate": (55, 15),
    "package": (4, 2),
    "deploy": (29, 29),
}
KEY_NUMBERS = ("auc_roc", "top_decile_lift")
RULES = tuple(f"rule_{n}" for n in range(17))
MIX = (
    "twelve years of one model: 150 versions with the evidence and judgements of the demo's phases, each taken to "
    "traffic by stages (every tenth rolled back), a list a month, a monitor of 40 readings a day, one of 8 an hour, "
    "one of 2 every eight minutes or so, an alert or its end every hour, a silence a fortnight"
)
PLAN = Plan((Step(0.0, 7), Step(0.1, 14)), signatures=2)
_NOW = "2000-01-01T00:00:00+00:00"


def measured(readings: int, on: date) -> tuple[Evidence, ...]:
    """Return pieces of evidence as long as those that phases and monitors leave."""
    return tuple(
        Evidence(
            f"reading_{n}",
            0.0123456789 * n,
            3393 + n,
            on,
            "200000:1842483943489034283958234",
            0.0123456789 * n - 0.00123456,
            0.0123456789 * n + 0.00123456,
            Unit.RATE,
            "a_feature_or_a_tier" if n % 2 else "",
            f"{3393 + n:,} of 200,000 rows",
        )
        for n in range(readings)
    )


def judged(version: str, phase: str, readings: int, judgements: int, on: date, **detail: Any) -> Event:
    """Return a judgement with so many pieces of evidence, of which so many were held against a gate."""
    found = measured(readings, on)
    held = tuple(
        Judgement(Gate(f"reading_{n}", at_most=9.0, why="what is beyond it was never seen before"), Result.PASS, e)
        for n, e in enumerate(found[:judgements])
    )
    return Event(Kind.JUDGED, BEGAN, "leads", version, "ada", phase, evidence=found, judgements=held, detail=detail)


def made(version: str, on: date) -> Iterator[Event]:
    """Yield what a version's run leaves."""
    gates = {
        f"{phase}.reading_{n}": gate_to(Gate(f"reading_{n}", at_most=9.0, why="what is beyond it was never seen"))
        for phase, (_, judgements) in PHASES.items()
        for n in range(min(judgements, 8))
    }
    start = Event(Kind.STARTED, BEGAN, "leads", version, "ada")
    yield replace(start, detail={"phases": list(PHASES), "gates": gates, "as_of": on.isoformat(), "seed": 42})
    for phase, (readings, judgements) in PHASES.items():
        yield replace(start, phase=phase)
        if phase == "validate":
            window = f"{on - timedelta(days=90)}..{on}"
            yield replace(start, kind=Kind.OPENED, detail={"window": window, "reading": 1})
        event = judged(version, phase, readings, judgements, on)
        if phase == "validate":
            named = [replace(e, name=n, subject="") for e, n in zip(event.evidence, KEY_NUMBERS, strict=False)]
            event = replace(event, evidence=(*named, *event.evidence[len(named) :]))
        yield event


def moved(version: str, before: str, place: int, on: date, *, back: bool) -> Iterator[Event]:
    """Yield what a rollout leaves; it began with the event at `place`."""
    move = Event(Kind.MOVED, BEGAN, "leads", version, "ada")
    until = on + timedelta(days=90)
    for name in ("ada", "grace"):
        yield replace(move, kind=Kind.SIGNED, actor=name, reason="read and agreed", until=until)
    yield judged(version, "readiness", 7, 7, on)
    began = place + 3
    yield replace(move, detail={"stage": str(Stage.PLANNED), "plan": asdict(PLAN), "champion": before or None})
    split = {version: 0.1, before: 0.9} if before else {version: 1.0}
    for stage, phase, shares in (
        (Stage.SHADOW, "parity", None),
        (Stage.CANARY, "probe", split),
        (Stage.PROMOTING, "verdict", {version: 1.0}),
        (Stage.BAKING, "probe", None),
        (Stage.ROLLING_BACK, "probe", {before: 1.0}) if back else (Stage.COMPLETED, "bake", None),
    ):
        share = {"share": 0.1} if stage is Stage.CANARY else {}
        kind = Kind.SERVED if shares else Kind.MOVED
        yield replace(move, kind=kind, split=shares, detail={"rollout": began, "stage": str(stage), **share})
        yield judged(version, phase, 6, 6, on)
    if back:
        yield replace(move, detail={"rollout": began, "stage": str(Stage.ROLLED_BACK)})


class Text:
    """An event's text in which only the moment changes from one to the next."""

    def __init__(self, event: Event) -> None:
        self.kind, self.version = str(event.kind), event.version
        self.head, self.tail = to_json(replace(event, at=datetime.fromisoformat(_NOW))).split(_NOW, 1)

    def at(self, moment: str) -> str:
        """Return the text at a moment."""
        return f"{self.head}{moment}{self.tail}"


class History:
    """The chain as it grows: rows for the ledger's table, one after the other."""

    def __init__(self) -> None:
        self.place, self.previous, self.kinds = 0, "", Counter[str]()
        self.champion, self.fired = "", 0

    def row(self, text: Text, at: datetime) -> tuple[Any, ...]:
        """Return the next row of the chain."""
        moment = at.isoformat()
        body, previous = text.at(moment), self.previous
        self.place += 1
        self.previous = digest_of_row(self.place, previous, body)
        self.kinds[text.kind] += 1
        return "leads", self.place, moment, text.kind, text.version, body, previous, self.previous

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """Yield the whole history, day by day, `EVENTS` and then `TAIL` more."""
        for day in range(DAYS):
            yield from self._day(day)
        last = self._texts((BEGAN + timedelta(days=DAYS)).date())
        while self.place < EVENTS + TAIL:
            yield self.row(last[self.place % 8 == 0], BEGAN + timedelta(days=DAYS, minutes=self.place % 1000))

    def _day(self, day: int) -> Iterator[tuple[Any, ...]]:
        start = BEGAN + timedelta(days=day)
        on = start.date()
        if day * VERSIONS // DAYS > (day - 1) * VERSIONS // DAYS:
            yield from self._version(day * VERSIONS // DAYS, start, on)
        if on.day == 1:
            listed = judged(self.champion, "", 27, 27, on, list=f"{on:%Y_%m}", as_of=on.isoformat(), rows=2800)
            yield self.row(Text(replace(listed, kind=Kind.LISTED)), start)
        if day % 14 == 0:
            silence = Event(Kind.SILENCED, BEGAN, "leads", self.champion, "ada", detail={"rule": RULES[day % 17]})
            until = on + timedelta(days=7)
            yield self.row(Text(replace(silence, until=until, reason="a source is late, known")), start)
        yield self.row(Text(self._monitor(on, 40)), start)
        often, hourly = self._texts(on)
        for hour in range(24):
            at = start + timedelta(hours=hour)
            yield self.row(hourly, at)
            yield self.row(self._alert(on), at)
            for minutes in range(4, 60, 8 if hour % 3 else 9):
                yield self.row(often, at + timedelta(minutes=minutes))

    def _texts(self, on: date) -> tuple[Text, Text]:
        return Text(self._monitor(on, 2)), Text(self._monitor(on, 8))

    def _monitor(self, on: date, readings: int) -> Event:
        state = {"standing": "ok", "reading": "fine", "day": on.isoformat(), "seen": on.isoformat()}
        rules = RULES if readings > 8 else RULES[:readings]
        standing = {rule: {"rule": rule, **state, "before": state} for rule in rules}
        return judged(self.champion, MONITOR, readings, 0, on, as_of=on.isoformat(), standing=standing)

    def _alert(self, on: date) -> Text:
        rule, over = RULES[self.fired // 2 % 17], self.fired % 2
        self.fired += 1
        detail = {"rule": rule, "severity": "warning", "since": on.isoformat(), "subjects": [""], "words": "x" * 90}
        event = Event(Kind.ALERTED, BEGAN, "leads", self.champion, "cron", MONITOR, detail=detail)
        return Text(replace(event, kind=Kind.RESOLVED) if over else replace(event, evidence=measured(1, on)))

    def _version(self, number: int, start: datetime, on: date) -> Iterator[tuple[Any, ...]]:
        version, before, back = f"a{number:09x}", self.champion, number % 10 == 9
        for event in made(version, on):
            yield self.row(Text(event), start)
        for event in moved(version, before, self.place + 1, on, back=back):
            yield self.row(Text(event), start)
        self.champion = before if back else version


def build(folder: Path) -> dict[str, Any]:
    """Return what was written: a project whose ledger ends `TAIL` events before a longer one that lies beside it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    lay_project(folder)
    path = folder / "ledger.sqlite"
    Store(f"sqlite:///{path}").close()
    link = sqlite3.connect(path)
    link.execute("PRAGMA synchronous=OFF")
    history = History()
    rows = history.rows()
    insert = "INSERT INTO foregate_events VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
    link.executemany(insert, (row for _, row in zip(range(EVENTS), rows, strict=False)))
    link.commit()
    kinds = dict(history.kinds)
    tail = [row for _, row in zip(range(TAIL), rows, strict=False)]
    (folder / "tail.json").write_text(json.dumps(tail))
    link.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    link.close()
    return {"mix": MIX, "events": sum(kinds.values()), "kinds": kinds, "mb": path.stat().st_size >> 20}


def lengthen(folder: Path) -> None:
    """Write the tail that lies beside the ledger to its end."""
    link = sqlite3.connect(folder / "ledger.sqlite")
    rows = json.loads((folder / "tail.json").read_text())
    link.executemany("INSERT INTO foregate_events VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
    link.commit()
    link.close()


if __name__ == "__main__":
    where = BUILD / "long-ledger"
    print(json.dumps(build(where) if sys.argv[1:] == ["build"] else lengthen(where)))
