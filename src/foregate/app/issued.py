"""Issued forecasts in the ledger, for every case: who issues, what is written down, and what is read again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from foregate.core.errors import DataError, NotAllowedError
from foregate.core.event import Event, Kind
from foregate.core.rollout import Stage, active
from foregate.modeling.issued import FOLDER

if TYPE_CHECKING:
    from foregate.app.opened import App
    from foregate.core.folds import VersionState

DIGEST = "issue_digest"
"""The evidence by which a run's last phase names what it issued: the digest as its subject, the key as its words."""
T = TypeVar("T")


@dataclass(frozen=True)
class Issued:
    """A forecast that was issued, by which version, and whether this call made it or found it.

    `shadow`: the version was not in service; readers did not see the forecast. `refused`: why it issued nothing, and
    then the key is empty.
    """

    version: str
    key: str
    as_of: date
    repeated: bool
    shadow: bool = False
    refused: str = ""


def remember(app: App, state: VersionState) -> None:
    """Write to the ledger what a run's last phase issued, once; a run that issued nothing writes nothing."""
    found = next((e for e in state.measured() if e.name == DIGEST), None)
    if found is not None:
        record(app, state.version, found.words, found.subject, found.as_of)


def record(app: App, version: str, key: str, digest: str, on: date) -> bool:
    """Return whether an issue was new to the ledger, after writing it there unless it was; `on` is its as-of day.

    The event's detail holds `issue` (the key), `digest`, `as_of`, and `shadow`: whether the version was not in service.
    Raises DataError when the version has issued other bytes under the same key.
    """
    for event in events_of(app, version):
        if event.detail["issue"] == key:
            if event.detail["digest"] != digest:
                raise DataError(
                    f"{FOLDER}/{key}",
                    found="other bytes than were issued",
                    wanted="the forecast as it was written",
                    then=f"An issued forecast is never changed: restore the folder `{FOLDER}` from a backup.",
                )
            return False
    detail = {"issue": key, "digest": digest, "as_of": on.isoformat(), "shadow": version != app.champion()}
    app.ledger.add(Event(Kind.ISSUED, app.clock(), app.model, version, app.actor, detail=detail))
    return True


def events_of(app: App, version: str) -> list[Event]:
    """Return the ledger's events of what a version issued, in their order."""
    return [e.event for e in app.entries() if e.event.kind is Kind.ISSUED and e.event.version == version]


def refuse_backdated(app: App, on: date) -> None:
    """Raise NotAllowedError for a day before the newest issue: readers would be taken back without a word."""
    told = [str(e.event.detail["as_of"]) for e in app.entries() if e.event.kind is Kind.ISSUED]
    newest = max(told, default="")
    if on.isoformat() < newest:
        raise NotAllowedError(
            f"forecast of {on}",
            found=f"a newer one, of {newest}",
            wanted=f"a day from {newest} on",
            then="What was issued is kept and can be read by its day; say --as-of a later one.",
        )


def in_trial(app: App) -> list[str]:
    """Return the versions to issue for: the one in service, then the one that is tried in its shadow, if any.

    Raises NotAllowedError when nothing is in service.
    """
    version = app.champion()
    if version is None:
        raise NotAllowedError(
            f"forecast {app.model}",
            found="nothing in service",
            wanted="a version in service",
            then=f"`foregate run {app.model}`, then `foregate promote {app.model}`.",
        )
    current = active(app.entries())
    tried = current is not None and current.version != version and current.stage is not Stage.PLANNED
    return [version, current.version] if current is not None and tried else [version]


def recorded(
    app: App,
    version: str,
    until: date,
    since: date | None = None,
    damaged: list[str] | None = None,
    *,
    read: Callable[[Path, str, str], T],
) -> list[T]:
    """Return what a version issued up to a day, the last of each day, oldest first, as `read` returns it.

    `read` is given the project's folder, the key and the digest of the ledger, and raises DataError for bytes that are
    not those. Such an issue raises DataError that names it; given `damaged`, it is left out and named there.
    """
    told = {date.fromisoformat(str(event.detail["as_of"])): event for event in events_of(app, version)}
    found = []
    for day in sorted(told):
        if day > until or (since is not None and day < since):
            continue
        try:
            found.append(_read(app, told[day], read))
        except DataError as error:
            if damaged is None:
                raise
            damaged.append(str(error))
    return found


def newest(app: App, version: str, until: date, *, read: Callable[[Path, str, str], T]) -> T | None:
    """Return what a version issued last up to a day, as `read` returns it; None when it issued nothing.

    Raises DataError when that issue is not as it was written; damage to older ones is not its business.
    """
    told = [e for e in events_of(app, version) if date.fromisoformat(str(e.detail["as_of"])) <= until]
    return _read(app, told[-1], read) if told else None


def _read(app: App, event: Event, read: Callable[[Path, str, str], T]) -> T:
    key = str(event.detail["issue"])
    try:
        return read(app.project.folder, key, str(event.detail["digest"]))
    except DataError as error:
        raise DataError(
            f"{FOLDER}/{key}",
            found=error.found,
            wanted="the forecast as it was issued",
            then=f"Restore the folder `{FOLDER}` from a backup: what was issued is evidence.",
        ) from error
