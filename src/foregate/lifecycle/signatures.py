"""Signatures: whose name stands on this version and this plan; a change of either voids them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from foregate.core.event import Entry, Kind
from foregate.core.folds import VersionState
from foregate.core.rollout import Plan


def package_digest(state: VersionState) -> str:
    """Return the digest of a version's package as its run recorded it; empty when there is none."""
    return next((e.subject for e in state.measured() if e.name == "package_digest"), "")


def bound_to(state: VersionState, plan: Plan) -> dict[str, str]:
    """Return what a signature is given on: the version's bytes and the plan's hash."""
    return {"package": package_digest(state), "plan": plan.digest}


def signed_by(entries: Iterable[Entry], state: VersionState, plan: Plan, on: date, since: int = 0) -> set[str]:
    """Return the names in force on a day, case and spaces aside; `since` counts only those after that event."""
    wanted = bound_to(state, plan)
    return {
        plain(e.event.actor)
        for e in entries
        if e.event.kind is Kind.SIGNED
        and e.event.version == state.version
        and e.sequence > since
        and e.event.until is not None
        and e.event.until >= on
        and {k: e.event.detail.get(k) for k in wanted} == wanted
    }


def author_of(entries: Iterable[Entry], version: str) -> str:
    """Return the name of who ran the version last."""
    runs = [e.event.actor for e in entries if e.event.kind is Kind.STARTED and e.event.version == version]
    return plain(runs[-1]) if runs else ""


def plain(name: str) -> str:
    """Return a name without what does not tell people apart.

    >>> plain(" Ada  LOVELACE ")
    'ada lovelace'
    """
    return " ".join(name.split()).casefold()
