"""Alerts of the project: where every rule stands, silences, what past data would have told, and what health would."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np

from foregate.app.field import CYCLE_DAYS, watched
from foregate.app.opened import App
from foregate.cases.leads import monitoring
from foregate.cases.leads.field_rows import delay_of, field_rows, score_promise
from foregate.cases.leads.lifecycle import MODEL
from foregate.core.alerting import firing, standing
from foregate.core.errors import ConfigurationError, NotAllowedError
from foregate.core.event import Event, Kind
from foregate.core.evidence import Evidence
from foregate.core.folds import champion
from foregate.core.phase import Run
from foregate.lifecycle.alerts import Noise, Transition, monitored, replay, rules_of
from foregate.lifecycle.alerts import budget as noise_of
from foregate.modeling.healthy import Volume, simulate_year

RUNS = 100


def rows_of(app: App) -> list[dict[str, Any]]:
    """Return every rule's standing for the version in service, as plain values."""
    version = _in_service(app)
    events = [e.event for e in app.entries()]
    states = standing(events, version)
    rules = {rule.name: rule for rule in rules_of(app.project.declared.alerts, str(app.project.file))}
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
    known = [r.name for r in rules_of(app.project.declared.alerts, str(app.project.file))]
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
    event = Event(Kind.SILENCED, app.clock(), MODEL, version, by, reason=reason, until=until, detail={"rule": rule})
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
    rules = rules_of(app.project.declared.alerts, str(app.project.file))
    version = _in_service(app)
    if first is None:
        looks = list(monitored((e.event for e in app.ledger.read(MODEL)), version))
        return len(looks), replay(rules, looks)
    days = _days(first, last or app.clock().date())
    return len(days), replay(rules, [(day, _measured(app, version, day)) for day in days])


def budgeted(app: App, runs: int = RUNS, multiplier: float = 1.0) -> tuple[list[Noise], Volume]:
    """Return how often each rule would alert in simulated years at this project's volume, and that volume.

    With `multiplier` 1 the model keeps its promise and every alert is a false one. Rules on what is not simulated
    (drift of features, sources, owners) do not appear.
    """
    rules = rules_of(app.project.declared.alerts, str(app.project.file))
    version = _in_service(app)
    volume = volume_of(app, version)
    only = {rule.evidence for rule in rules}
    simulated = {e.name for _, found in simulate_year(0, volume, days=2, only=only) for e in found}
    asked = [rule for rule in rules if rule.evidence in simulated]

    def year(seed: int) -> Any:
        return simulate_year(seed, volume, multiplier=multiplier, only=only)

    return noise_of(asked, year, runs), volume


def volume_of(app: App, version: str) -> Volume:
    """Return what a version meets in the field: the leads of its lists a day, and the rates its scores promise."""
    on = app.clock().date()
    about = watched(app, version, on)
    if not about.lists:
        raise NotAllowedError(
            f"volume of {version}", found="no list", wanted="one list at least", then="`foregate list build`"
        )
    with app.warehouse() as engine:
        work = app.work(engine, on)
        rows = field_rows(engine, work.settings, about.lists, version)
        delay = delay_of(engine, work.settings, about.package, about.window_days)
    promise = score_promise(rows, delay, about.calibration, about.calibration_hits)
    scores = np.minimum(1.0, about.calibration * rows.table.column("score").to_numpy())
    best = rows.table.column("decile").to_numpy() == 1
    per_day = len(scores) / (CYCLE_DAYS * len(about.lists))
    return Volume(per_day, promise.rate, float(scores[best].mean()), delay)


def _measured(app: App, version: str, on: date) -> Sequence[Evidence]:
    with app.warehouse() as engine:
        work = app.work(engine, on)
        run = Run(engine, MODEL, version, on, app.project.declared.seed)
        return monitoring.measure(work, run, watched(app, version, on))


def _days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def _in_service(app: App) -> str:
    version = champion(e.event for e in app.entries())
    if version is None:
        raise NotAllowedError(
            "alerts", found="nothing in service", wanted="a version in service", then="`foregate promote`"
        )
    return version
