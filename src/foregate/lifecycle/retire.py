"""Retiring: a version that nobody needs is packed away; the ledger keeps its name and all it ever measured."""

from __future__ import annotations

from datetime import timedelta

from foregate.core.errors import NotAllowedError
from foregate.core.event import Event, Kind
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

    Raises NotAllowedError for one that is in service, stands by or is being rolled out, that was in service within the
    plan's `retention_days`, or whose own tables a view still reads.
    """
    entries = mover.entries()
    known = versions((e.event for e in entries), mover.clock().date())
    role = roles(entries, [version])[version]
    if role is Role.SUNSET:
        return Outcome(None, moved=False, words=f"{version} was sunset already")
    if version not in known or role in _KEPT:
        raise _refused(version, _KEPT.get(role, "no such version"), "a version that nobody needs")
    used = [moment for e, moment in moment_of(entries) if version in (e.event.split or {})]
    wait = timedelta(days=mover.plan.retention_days)
    if used and mover.clock() < used[-1] + wait:
        until = (used[-1] + wait).date()
        raise _refused(version, f"last put in service on {used[-1]:%Y-%m-%d}", f"a day from {until} on, by the plan")
    found = mover.service.consumers(version)
    if found.value:
        raise _refused(version, f"views that read its tables: {found.words}", "views on the readers' view only")
    archived = mover.service.archive(version)
    mover.boundary("archived")
    detail = {"stage": SUNSET, "key": key, "leaves": version}
    event = Event(
        Kind.MOVED,
        mover.clock(),
        mover.model,
        version,
        mover.actor,
        evidence=(found, archived),
        reason=reason,
        detail=detail,
    )
    mover.ledger.add(event, generation(entries))
    return Outcome(None, moved=True, words=f"{version} is packed away as {archived.words}; the ledger keeps its record")


def _refused(version: str, found: str, wanted: str) -> NotAllowedError:
    return NotAllowedError(f"sunset of {version}", found=found, wanted=wanted, then="Look at `foregate status`.")
