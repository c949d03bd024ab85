"""The outbox: alerts in the ledger that a sink has not taken yet, told in order and at least once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from foregate.core.alerting import is_muted
from foregate.core.errors import ForegateError
from foregate.core.event import Entry, Kind, to_json
from foregate.lifecycle.alerts import SinkSettings
from foregate.lifecycle.store import Store

Send = Callable[[SinkSettings, Mapping[str, Any]], None]
CURSORS = sa.Table(
    "foregate_outbox",
    sa.MetaData(),
    sa.Column("sink", sa.String(200), primary_key=True),
    sa.Column("model", sa.String(200), primary_key=True),
    sa.Column("sequence", sa.Integer, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a run told one sink: alerts it took, alerts that wait, and the error that made them wait."""

    sink: str
    sent: int
    waiting: int
    error: ForegateError | None = None


@dataclass(frozen=True, slots=True)
class Telling:
    """One alert to be told: its place in the model's chain, how urgent it is, and what the sink gets."""

    sequence: int
    severity: str
    payload: Mapping[str, Any]


class Outbox:
    """Each sink's place in a model's chain, kept in the ledger's database and moved only after a sink has taken.

    The table is no part of the chain of hashes: who loses it is told again what is still open.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        with store._reading() as link:
            is_there = sa.inspect(link).has_table(CURSORS.name)
        if not is_there:
            with store._writing() as link:
                CURSORS.create(link, checkfirst=True)

    def pending(self, sink: SinkSettings, model: str) -> list[Telling]:
        """Return what the sink has not taken yet of what it hears, oldest first."""
        entries = list(self._store.read(model))
        after = self._place(sink, model, entries)
        return [t for t in tellings(entries) if t.sequence > after and t.severity in sink.severities]

    def deliver(self, model: str, sinks: Iterable[SinkSettings], send: Send) -> list[Delivery]:
        """Return how each sink was told what it had not taken yet.

        A sink that raises a ForegateError keeps what is left for the next run and holds up no other sink. A sink may be
        told twice when the process dies between its answer and the cursor: the payload's `id` tells.
        """
        return [self._deliver(model, sink, send) for sink in sinks]

    def pass_over(self, model: str, sinks: Iterable[SinkSettings]) -> None:
        """Move every sink's place to the end: what is recorded in mode observe is not told when the mode changes."""
        last = max((entry.sequence for entry in self._store.read(model)), default=0)
        for sink in sinks:
            self._move(sink, model, last)

    def _deliver(self, model: str, sink: SinkSettings, send: Send) -> Delivery:
        entries = list(self._store.read(model))
        after = self._place(sink, model, entries)
        waiting = [t for t in tellings(entries) if t.sequence > after and t.severity in sink.severities]
        for sent, telling in enumerate(waiting):
            try:
                send(sink, telling.payload)
            except ForegateError as error:
                return Delivery(sink.label, sent, len(waiting) - sent, error)
            self._move(sink, model, telling.sequence)
        if entries:
            self._move(sink, model, entries[-1].sequence)
        return Delivery(sink.label, len(waiting), 0)

    def _place(self, sink: SinkSettings, model: str, entries: Sequence[Entry]) -> int:
        """Return the sink's place; one without any starts before the oldest alert that is open, and stays there."""
        where = (CURSORS.c.sink == sink.label, CURSORS.c.model == model)
        with self._store._reading() as link:
            found = link.execute(sa.select(CURSORS.c.sequence).where(*where)).scalar()
        if found is None:
            found = _start(entries)
            self._move(sink, model, found)
        return found

    def _move(self, sink: SinkSettings, model: str, sequence: int) -> None:
        """Move a sink's place forward, never back: another process may have told more meanwhile."""
        where = (CURSORS.c.sink == sink.label, CURSORS.c.model == model)
        with self._store._writing() as link:
            found = link.execute(sa.select(CURSORS.c.sequence).where(*where)).scalar()
            if found is None:
                link.execute(CURSORS.insert().values(sink=sink.label, model=model, sequence=sequence))
            elif found < sequence:
                link.execute(CURSORS.update().where(*where).values(sequence=sequence))


def tellings(entries: Iterable[Entry]) -> list[Telling]:
    """Return what a model's chain has to tell, oldest first: alerts that were not muted, and the end of those."""
    found, told = [], set()
    for entry in entries:
        event = entry.event
        key = (event.version, event.detail.get("rule"))
        if event.kind is Kind.ALERTED and not is_muted(event):
            told.add(key)
        elif event.kind is Kind.RESOLVED and key in told:
            told.remove(key)
        else:
            continue
        found.append(Telling(entry.sequence, str(event.detail.get("severity", "")), payload_of(entry)))
    return found


def _start(entries: Sequence[Entry]) -> int:
    """Return the place just before the oldest alert that was told and is not over, or else the end."""
    begun: dict[tuple[str, Any], int] = {}
    for telling, entry in ((entry, entry.event) for entry in entries):
        key = (entry.version, entry.detail.get("rule"))
        if entry.kind is Kind.ALERTED and not is_muted(entry):
            begun.setdefault(key, telling.sequence)
        elif entry.kind is Kind.RESOLVED:
            begun.pop(key, None)
    last = entries[-1].sequence if entries else 0
    return min(begun.values(), default=last + 1) - 1


def payload_of(entry: Entry) -> dict[str, Any]:
    """Return what a sink is told of an alert: plain JSON; numbers that are not finite are words.

    `id` is one per event, so that a repetition can be told; `key` is one per alert, the same when it is over.
    """
    raw = json.loads(to_json(entry.event))
    detail = raw["detail"]
    return {
        "id": f"{raw['model']}/{entry.sequence}",
        "key": f"{raw['model']}/{raw['version']}/{detail.get('rule', '')}",
        "event": raw["kind"],
        "text": entry.event.sentence(),
        "at": raw["at"],
        "model": raw["model"],
        "version": raw["version"],
        **detail,
        "reason": raw["reason"],
        "readings": raw["evidence"],
        "digest": entry.digest,
    }
