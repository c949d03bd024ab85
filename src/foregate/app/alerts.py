"""Alerts of the project: where every rule stands, silences, what past data would have told, and what health would."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import islice
from typing import Any

from foregate.app.opened import App
from foregate.core.alerting import firing, standing
from foregate.core.errors import ConfigurationError, NotAllowedError
from foregate.core.event import Event, Kind
from foregate.core.folds import champion
from foregate.lifecycle.alerts import Noise, Transition, monitored, replay
from foregate.lifecycle.alerts import budget as noise_of

RUNS = 100
PROBE_DAYS = 2


def rows_of(app: App) -> list[dict[str, Any]]:
    """Return every rule's standing for the version in service, as plain values."""
    version = _in_service(app)
    events = [e.event for e in app.entries()]
    states = standing(events, version)
    rules = {rule.name: rule for rule in app.rules()}
    looks = list(monitored(events, version))
    measured = {e.name for e in looks[-1][1]} if looks else set()
    found = []
    for label, alert in states.items():
        rule = rules.get(alert.rule)
        blind = rule is not None and rule.evidence not in measured
        unmeasured = f"the last look did not measure {rule.evidence}" if rule and blind else ""
        muted = f"muted by {alert.inhibited_by}" if alert.inhibited_by else ""
        silent = f"silenced until {alert.silenced_until}" if alert.silenced_until else ""
        found.append(
            {
                "rule": label,
                "severity": str(rule.severity) if rule else "",
                "standing": str(alert.standing),
                "since": str(alert.since or ""),
                "reading": str(alert.reading),
                "seen": str(alert.seen or ""),
                "note": "; ".join(
                    p for p in (muted, silent, unmeasured, rule.wanted() if rule else "no longer a rule") if p
                ),
            }
        )
    return found


def open_alerts(app: App) -> list[Event]:
    """Return the events of the alerts that are open for the version in service."""
    version = champion(e.event for e in app.entries())
    found = firing(e.event for e in app.entries()).get(version or "", {})
    return [alert.event for alert in found.values() if alert.event is not None]


def silence(app: App, rule: str, by: str, reason: str, until: date) -> Event:
    """Return the event by which a named person keeps a rule from telling and acting until a day, that day included."""
    known = [r.name for r in app.rules()]
    if rule not in known:
        raise ConfigurationError(
            "alerts silence", found=repr(rule), wanted=f"one of {', '.join(known)}", then="Correct the name."
        )
    if not by.strip() or not reason.strip() or until < app.clock().date():
        raise NotAllowedError(
            "alerts silence",
            found=f"by {by!r}, reason {reason!r}, until {until}",
            wanted=f"a name, a reason and a day from {app.clock().date()} on",
            then="The ledger keeps all three.",
        )
    version = _in_service(app)
    event = Event(Kind.SILENCED, app.clock(), app.model, version, by, reason=reason, until=until, detail={"rule": rule})
    for entry in app.entries():
        before = entry.event
        same = (before.kind, before.version, before.until, before.reason, before.actor, dict(before.detail))
        if same == (Kind.SILENCED, version, until, reason, by, {"rule": rule}):
            return before
    return app.ledger.add(event).event


def replayed(app: App, first: date | None, last: date | None) -> tuple[int, list[Transition]]:
    """Return over how many looks, and what today's rules would have told in them.

    With days, each is measured anew from the data as known then; without, the looks are those in the ledger.
    """
    rules = app.rules()
    version = _in_service(app)
    if first is None:
        looks = list(monitored((e.event for e in app.ledger.read(app.model)), version))
        return len(looks), replay(rules, looks)
    days = _days(first, last or app.clock().date())
    return len(days), replay(rules, [(day, app.replayed(version, day)) for day in days])


def budgeted(app: App, runs: int = RUNS, multiplier: float = 1.0) -> tuple[list[Noise], str]:
    """Return how often each rule would alert in simulated years at this project's volume, and that volume in words.

    With `multiplier` 1 the model keeps its promise and every alert is a false one. Rules on what is not simulated
    (drift of features, sources, owners) do not appear.
    """
    rules = app.rules()
    healthy = app.healthy(_in_service(app), {rule.evidence for rule in rules}, multiplier)
    simulated = {e.name for _, found in islice(healthy.year(0), PROBE_DAYS) for e in found}
    return noise_of([rule for rule in rules if rule.evidence in simulated], healthy.year, runs), healthy.words


def _days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def _in_service(app: App) -> str:
    version = champion(e.event for e in app.entries())
    if version is None:
        raise NotAllowedError(
            "alerts", found="nothing in service", wanted="a version in service", then="`foregate promote`"
        )
    return version
