"""Which version a rollback takes out of the traffic, and whether it may."""

from __future__ import annotations

from collections.abc import Sequence

from foregate.core.errors import NotAllowedError
from foregate.core.event import Entry
from foregate.core.folds import leader
from foregate.core.rollout import BACKWARD, IN_TRAFFIC, Rollout, Stage, active, pointer, rollouts


def leaving_rollout(entries: Sequence[Entry], version: str | None) -> Rollout | None:
    """Return the rollout whose version is to leave the traffic, or None when it has left already.

    Without a name it is the last one, so that a second rollback does not go back further by itself.
    """
    at = pointer(entries)
    split = dict(at.event.split or {}) if at else {}
    seen = [r for r in rollouts(entries) if version is None or r.version == version]
    touched = [r for r in seen if r.served_at is not None]
    last = touched[-1] if touched else None
    if last is None or last.stage in BACKWARD or last.version not in split:
        return None
    standing = last.held_in if last.stage is Stage.HELD else last.stage
    return last if standing in IN_TRAFFIC else None


def check_alone(entries: Sequence[Entry], leaving: Rollout) -> None:
    """Raise NotAllowedError while another version has a share: which of the two is to go must be said one at a time."""
    current = active(entries)
    in_traffic = current is not None and current.served_at is not None and current.stage not in BACKWARD
    if current is not None and in_traffic and current.began != leaving.began:
        raise NotAllowedError(
            f"rollback of {leaving.version}",
            found=f"{current.version} with {current.share:.0%} of people",
            wanted="no other version in traffic",
            then=f"`foregate rollback {current.version}` first, then this one.",
        )


def waiting(entries: Sequence[Entry], version: str | None) -> tuple[Entry, int] | None:
    """Return the rollback that readers have not been shown yet, with its rollout's place, or None."""
    at = pointer(entries)
    began = int(at.event.detail.get("rollout", 0)) if at else 0
    found = next((r for r in rollouts(entries) if r.began == began), None)
    if at is None or found is None or found.stage not in (Stage.ROLLING_BACK, Stage.UNVERIFIED):
        return None
    return (at, began) if version in (None, found.version) else None


def in_service(entries: Sequence[Entry]) -> str:
    """Return in words why there is nothing to roll back."""
    at = pointer(entries)
    first = leader(at.event) if at else None
    if at is None or first is None:
        return "nothing is in service, nothing to roll back"
    return f"nothing to roll back: {first} is in service by event {at.sequence} of {at.event.at:%Y-%m-%d %H:%M} UTC"
