"""Retiring: a version that nobody needs is packed away; the ledger keeps its name and all it ever measured."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from foregate.core.errors import NotAllowedError
from foregate.core.event import Entry, Event, Kind
from foregate.core.folds import versions
from foregate.core.rollout import SUNSET, Role, generation, moment_of, roles
from foregate.lifecycle.moving import Mover, Outcome

_KEPT = {
    Role.CHAMPION: "it is in service",
    Role.STANDBY: "it is what a rollback goes back to",
    Role.CHALLENGER: "its rollout is open",
}


def sunset(mover: Mover, version: str, reason: str, key: str = "") -> Outcome:
    """Return the outcome of packing a version away and dropping its tables; done already, nothing happens.

    The ledger hears first; a second call packs away what a crash left. Raises NotAllowedError for one that is in
    service, stands by or is being rolled out, that left the traffic within the plan's `retention_days`, or whose own
    tables a view still reads.
    """
    entries = mover.entries()
    known = versions((e.event for e in entries), mover.clock().date())
    role = roles(entries, [version])[version]
    if role is Role.SUNSET:
        mover.service.archive(version)
        return Outcome(None, moved=False, words=f"{version} was sunset already")
    if version not in known or role in _KEPT:
        raise _refused(version, _KEPT.get(role, "no such version"), "a version that nobody needs")
    left = _left_at(entries, version)
    wait = timedelta(days=mover.plan.retention_days)
    if left is not None and mover.clock() < left + wait:
        until = (left + wait).date()
        raise _refused(version, f"out of service since {left:%Y-%m-%d}", f"a day from {until} on, by the plan")
    found = mover.service.consumers(version)
    if found.value:
        raise _refused(version, f"views that read its tables: {found.words}", "views on the readers' view only")
    detail = {"stage": SUNSET, "key": key, "leaves": version}
    event = Event(
        Kind.MOVED,
        mover.clock(),
        mover.model,
        version,
        mover.actor,
        evidence=(found,),
        reason=reason,
        detail=detail,
    )
    mover.ledger.add(event, generation(entries))
    mover.boundary("sunset")
    archived = mover.service.archive(version)
    mover.boundary("archived")
    return Outcome(None, moved=True, words=f"{version} is packed away as {archived.words}; the ledger keeps its record")


def _left_at(entries: Sequence[Entry], version: str) -> datetime | None:
    """Return when a version last left the traffic, or None when it never was in it."""
    left: datetime | None = None
    served = False
    for entry, moment in moment_of(entries):
        if entry.event.kind is Kind.SERVED:
            now = version in (entry.event.split or {})
            left = moment if served and not now else left
            served = now
    return left


def _refused(version: str, found: str, wanted: str) -> NotAllowedError:
    return NotAllowedError(f"sunset of {version}", found=found, wanted=wanted, then="Look at `foregate status`.")
