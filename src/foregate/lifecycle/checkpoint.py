"""Checkpoints: which of a model's events a reader need not read again; a cache, outside the chain, that may be lost.

A checkpoint names the place up to which somebody has checked the chain, and the entries that were retained there, each
by its place and digest. What it names is checked again, row by row, before it is believed, and moves, waivers and all
else that always stays is counted against it. A judgement or an alert that somebody who may write here has left out of
it is missed until the whole chain is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from foregate.core.compaction import LASTING
from foregate.core.event import Entry
from foregate.lifecycle.schema import CHECKPOINTS, EVENTS, ROW

TAIL = 2000
_BATCH = 1000
_STORED = sa.select(CHECKPOINTS.c.sequence, CHECKPOINTS.c.digest, CHECKPOINTS.c.body).where(
    CHECKPOINTS.c.model == sa.bindparam("model")
)
_KINDS = frozenset(map(str, LASTING))
_NAMED = (
    sa.select(*ROW)
    .where(EVENTS.c.model == sa.bindparam("model"), EVENTS.c.sequence.in_(sa.bindparam("places", expanding=True)))
    .order_by(EVENTS.c.sequence)
)
_COUNTED = (
    sa.select(sa.func.count())
    .select_from(EVENTS)
    .where(
        EVENTS.c.model == sa.bindparam("model"),
        EVENTS.c.kind.in_(sa.bindparam("kinds", expanding=True)),
        EVENTS.c.sequence <= sa.bindparam("last"),
    )
)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The place and digest of the last entry that was checked, and the places and digests of those retained."""

    sequence: int
    digest: str
    named: tuple[tuple[int, str], ...]

    def fits(self, entries: Sequence[Entry]) -> bool:
        """Return whether these are the entries it names, the last one it has seen among them."""
        found = tuple((entry.sequence, entry.digest) for entry in entries)
        return found == self.named and found[-1:] == ((self.sequence, self.digest),)


def stored(link: sa.Connection, model: str) -> Checkpoint | None:
    """Return the model's checkpoint; None when there is none, or its text is none."""
    found = link.execute(_STORED, {"model": model}).first()
    if found is None:
        return None
    try:
        words = [line.split(" ") for line in found.body.splitlines()]
        return Checkpoint(found.sequence, found.digest, tuple((int(place), digest) for place, digest in words))
    except ValueError:
        return None


def rows(link: sa.Connection, model: str, found: Checkpoint) -> list[Any]:
    """Return the rows it names that are there, in order; none when it leaves out an event of a kind that always stays.

    The database counts those by its index, so that nobody can hide a move or a waiver here.
    """
    places = sorted(place for place, _ in found.named)
    read = [
        row
        for start in range(0, len(places), _BATCH)
        for row in link.execute(_NAMED, {"model": model, "places": places[start : start + _BATCH]})
    ]
    lasting = link.execute(_COUNTED, {"model": model, "kinds": sorted(_KINDS), "last": found.sequence}).scalar()
    return read if lasting == sum(kind in _KINDS for _, _, kind, *_ in read) else []


def store(link: sa.Connection, model: str, entries: Sequence[Entry]) -> None:
    """Write the model's checkpoint at the last of its retained entries, unless a later one is there."""
    last = entries[-1]
    there = stored(link, model)
    if there is None or there.sequence < last.sequence:
        body = "\n".join(f"{entry.sequence} {entry.digest}" for entry in entries)
        link.execute(CHECKPOINTS.delete().where(CHECKPOINTS.c.model == model))
        link.execute(CHECKPOINTS.insert().values(model=model, sequence=last.sequence, digest=last.digest, body=body))
