"""The monitor: what the field says of the version in service today, which alerts that is, and what follows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from foregate.app.opened import App
from foregate.app.promotion import rollouts_of
from foregate.connect import sinks
from foregate.core.alerting import MONITOR, Open, Reading, alert_from, alert_to, firing, standing
from foregate.core.errors import ConfigurationError, NotAllowedError
from foregate.core.event import Event, Kind
from foregate.core.evidence import Evidence
from foregate.core.folds import champion
from foregate.core.rollout import Rollout, Stage, active, good_versions, pointer
from foregate.lifecycle.alerts import SinkSettings, evaluate, rollback_asked
from foregate.lifecycle.outbox import Delivery, Outbox
from foregate.lifecycle.rollout import Rollouts
from foregate.modeling.measured import digest_of

KEPT = frozenset({"standby_faults"})  # its subject is a version, whether that is tried or not


@dataclass(frozen=True)
class Watch:
    """One look of the monitor: what it measured, what it wrote, and what it did."""

    version: str
    as_of: date
    evidence: tuple[Evidence, ...]
    alerts: Mapping[str, Open]
    told: tuple[Event, ...]
    actions: tuple[str, ...]
    deliveries: tuple[Delivery, ...]
    repeated: bool


def monitor(app: App, as_of: date | None = None) -> Watch:
    """Return what a look at the version in service found on a day; the same day over the same data writes nothing.

    What a crash left open is finished first. A waiver or signature that has run out holds the rollout that stands on
    it. In mode act, a critical alert whose rule says so rolls back the last rollout, once, to the last good version.
    Raises NotAllowedError when nothing is in service, ConfigurationError for a day to come.
    """
    on = as_of or app.clock().date()
    if on > app.clock().date():
        raise ConfigurationError("--as-of", found=str(on), wanted="a day that has been", then="Leave it out for today.")
    rollouts = rollouts_of(app, on)
    actions = rollouts.reconcile()
    if lapsed := rollouts.lapse():
        actions.append(lapsed.words)
    version = champion(e.event for e in app.entries())
    if version is None:
        raise NotAllowedError(
            "monitor",
            found="nothing in service",
            wanted="a version in service",
            then="`foregate promote` puts one there.",
        )
    evidence = (*app.measured(version, on), *_standing(app, rollouts), *_arms(app, rollouts))
    told, repeated = _written(app, version, on, evidence)
    actions += _rolled_back(app, rollouts, version)
    deliveries = deliver(app)
    return Watch(
        version,
        on,
        evidence,
        firing(e.event for e in app.entries()).get(version, {}),
        told,
        tuple(actions),
        tuple(deliveries),
        repeated,
    )


def deliver(app: App) -> list[Delivery]:
    """Return how the sinks were told what they had not taken; in mode observe they are told nothing."""
    settings = app.alerts
    if not settings.sink:
        return []
    outbox = Outbox(app.ledger)
    if settings.mode == "observe":
        outbox.pass_over(app.model, settings.sink)
        return []
    return outbox.deliver(app.model, settings.sink, lambda sink, payload: sinks.send(_sink(app, sink), payload))


def _standing(app: App, rollouts: Rollouts) -> Iterator[Evidence]:
    """Yield whether the version in service, and the one to go back to, could serve now, and whether readers see it."""
    at = pointer(app.entries())
    for version in good_versions(app.entries())[:2]:
        yield rollouts.service.warm(version)
    if at is not None:
        found = rollouts.service.probe(at)
        yield Evidence("pointer_off", found.value, found.rows, found.as_of, found.source, words=found.words)


def _arms(app: App, rollouts: Rollouts) -> Sequence[Evidence]:
    """Return what the open rollout's two arms say, once both are called; its subject is the version that is tried."""
    current = _tried(app)
    if current is None:
        return []
    found = [e for e in rollouts.service.field(current) if e.name != "future_labels"]
    return [e if e.subject else replace(e, subject=current.version) for e in found]


def _tried(app: App) -> Rollout | None:
    current = active(app.entries())
    return current if current and Stage.CANARY in (current.stage, current.held_in) else None


def _before(app: App, version: str, known: set[str]) -> dict[str, Any]:
    """Return the standing of the last look, without what it said of a version that is not tried any more.

    An alert on an arm ends with its rollout: it must neither fire on for want of data nor fall on the next version.
    """
    tried = _tried(app)
    states = standing([e.event for e in app.entries()], version)
    gone = known - ({tried.version} if tried else set())
    return {
        label: alert_to(alert) for label, alert in states.items() if alert.subject not in gone or alert.rule in KEPT
    }


def _written(app: App, version: str, on: date, evidence: Sequence[Evidence]) -> tuple[tuple[Event, ...], bool]:
    """Return the alert events that were written, and whether this look was the same as the last one."""
    entries = app.entries()
    source = digest_of(*((e.label, e.value, e.low, e.high, e.rows) for e in evidence))
    looks = [e.event for e in entries if e.event.kind is Kind.JUDGED and e.event.phase == MONITOR]
    same = bool(looks) and looks[-1].version == version and looks[-1].detail.get("found") == source
    repeated = same and looks[-1].detail.get("as_of") == on.isoformat()
    rules = app.rules()
    about: dict[str, Any] = {"at": app.clock(), "model": app.model, "version": version, "actor": app.actor}
    before = _before(app, version, set(app.states()))
    after, alerts = evaluate([e.event for e in entries], rules, on, evidence, before=before, **about)
    if not repeated:
        detail = {"as_of": on.isoformat(), "found": source, "standing": after}
        app.ledger.add(Event(Kind.JUDGED, phase=MONITOR, evidence=tuple(evidence), detail=detail, **about))
    for event in alerts:
        app.ledger.add(event)
    return tuple(alerts), repeated


def _rolled_back(app: App, rollouts: Rollouts, version: str) -> list[str]:
    """Return in words what an alert that may act has done: at most one rollback for each rollout, of what it is about.

    An alert on an arm takes back the version that is tried. One on the version in service takes that back, unless
    another is being tried: then a person must say which of the two is to go.
    """
    settings = app.alerts
    looks = [e.event for e in app.entries() if e.event.kind is Kind.JUDGED and e.event.phase == MONITOR]
    after = looks[-1].detail.get("standing", {}) if looks and looks[-1].version == version else {}
    breached = {n: raw for n, raw in after.items() if alert_from(raw).reading == Reading.BREACH}
    rule = rollback_asked(settings, breached, app.rules())
    if rule is None:
        return []
    tried = _tried(app)
    about = {alert_from(raw).subject for raw in breached.values() if alert_from(raw).rule == rule.name}
    leaves = tried.version if tried and tried.version in about else version
    try:
        outcome = rollouts.rollback(f"alert {rule.name}: {rule.why}", leaves, rule=rule.name)
    except NotAllowedError as error:
        return [f"alert {rule.name} asks for a rollback that can not be: {error}"]
    return [f"alert {rule.name}: {outcome.words}"] if outcome.moved else []


def _sink(app: App, declared: SinkSettings) -> sinks.Sink:
    url = app.project.address(declared.url) if declared.url else ""
    path = str(app.project.path(declared.path)) if declared.path else ""
    return sinks.Sink(declared.label, declared.kind, tuple(declared.run), url, path)
