"""Promotion: accept, sign, take a rollout a step on, or back; every verb may be repeated without a second effect."""

from __future__ import annotations

from datetime import date, datetime

from foregate.app.drill import rehearse
from foregate.app.opened import App
from foregate.core.errors import ConfigurationError, NotAllowedError
from foregate.core.event import Entry, Event, Kind
from foregate.core.folds import VersionState
from foregate.core.gate import Effect, Judgement, Result, judge
from foregate.core.rollout import champion_at, good_versions
from foregate.lifecycle import retire
from foregate.lifecycle.crossings import READY
from foregate.lifecycle.moving import Outcome
from foregate.lifecycle.rollout import Preview, Rollouts
from foregate.lifecycle.signatures import bound_to, plain

SHORTEST_REASON = 8
DRILL = "drill"


def rollouts_of(app: App, as_of: date | None = None) -> Rollouts:
    """Return what moves the project's versions; evidence from the field is read as of a day, else today."""
    today = app.clock().date()
    if as_of is not None and as_of > today:
        then = "Leave it out for today."
        raise ConfigurationError("--as-of", found=str(as_of), wanted=f"a day that has been, up to {today}", then=then)
    service, gates_of = app.service(as_of), app.crossing_gates
    return Rollouts(app.ledger, app.clock, app.actor, app.model, app.plan(), service, gates_of=gates_of)


def promote(
    app: App, version: str | None = None, reason: str = "", as_of: date | None = None, key: str = ""
) -> Outcome:
    """Return the outcome of one step of a version's rollout; see `Rollouts.promote`."""
    return rollouts_of(app, as_of).promote(app.find(version).version if version else None, reason, key)


def plan(app: App, version: str | None = None, as_of: date | None = None) -> Preview:
    """Return what `promote` would do now, measured and written nowhere."""
    return rollouts_of(app, as_of).preview(app.find(version).version if version else None)


def rollback(
    app: App, reason: str, version: str | None = None, *, rule: str = "", key: str = "", withdraw: bool = False
) -> Outcome:
    """Return the outcome of serving the last good version again; see `Mover.rollback`."""
    named = app.find(version).version if version else None
    return rollouts_of(app).rollback(reason, named, rule=rule, key=key, withdraw=withdraw)


def sunset(app: App, version: str, reason: str, key: str = "") -> Outcome:
    """Return the outcome of packing a version away; see `retire.sunset`."""
    return retire.sunset(rollouts_of(app), app.find(version).version, reason, key)


def drill(app: App, version: str | None = None) -> tuple[Judgement, ...]:
    """Return how a rehearsed promotion and rollback of a version were judged; the ledger keeps it."""
    state = app.find(version)
    good = next((v for v in good_versions(app.entries()) if v != state.version), None)
    found = tuple(rehearse(app, state.version, good))
    asked = [g for g in app.crossing_gates(app.plan())[READY] if g.evidence.startswith(DRILL)]
    judgements = judge(asked, found)
    event = Event(
        Kind.JUDGED, app.clock(), app.model, state.version, app.actor, DRILL, evidence=found, judgements=judgements
    )
    app.ledger.add(event)
    return judgements


def in_service_at(app: App, when: datetime) -> Entry | None:
    """Return the entry that put in service what was in service at a past moment, or None before the first."""
    return champion_at(app.ledger.read(app.model), when)


def waive(app: App, version: str, gate: str, by: str, reason: str, until: date) -> VersionState:
    """Return the version's state after a named person accepted one gate that asks for sign-off.

    A gate's bare name accepts every subject of it that asks, each written as its own acceptance.

    Raises NotAllowedError for a gate that passed, blocks, was not judged, or an expiry that has passed.
    """
    state = app.find(version)
    found: dict[str, Judgement] = {}
    for judgement in state.judgements():
        found.setdefault(judgement.label, judgement)
        if judgement.result is not Result.PASS:
            found[judgement.gate.evidence] = judgement
    chosen = found.get(gate)
    asking = sorted(n for n, j in found.items() if j.result is not Result.PASS and j.gate.effect is Effect.SIGN_OFF)
    if chosen is None or chosen.result is Result.PASS or chosen.gate.effect is not Effect.SIGN_OFF:
        what = "no such gate" if chosen is None else f"a gate that {_stands(chosen.result, chosen.gate.effect)}"
        raise NotAllowedError(
            f"{state.version} {gate}",
            found=what,
            wanted=f"one of {', '.join(asking)}" if asking else "nothing: no gate asks for sign-off",
            then="A blocking gate can not be waived.",
        )
    _check_words(app, by, reason, until)
    for label in (
        [gate] if gate == chosen.label else [n for n in asking if found[n].gate.evidence == gate and n != gate]
    ):
        detail = {"gate": label, "found": _value(found[label])}
        event = Event(Kind.WAIVED, app.clock(), app.model, state.version, by, reason=reason, until=until, detail=detail)
        _add_once(app, event)
    return app.find(state.version)


def sign(app: App, version: str, by: str, reason: str, until: date) -> VersionState:
    """Return the version's state after a named person has signed its package and the plan in foregate.toml."""
    state = app.find(version)
    _check_words(app, by, reason, until)
    detail = bound_to(state, app.plan())
    event = Event(Kind.SIGNED, app.clock(), app.model, state.version, by, reason=reason, until=until, detail=detail)
    _add_once(app, event)
    return app.find(state.version)


def _add_once(app: App, event: Event) -> None:
    """Write an acceptance, unless the same person has given the very same one in the same words."""
    said = ("kind", "version", "reason", "until", "detail")
    for entry in reversed(app.entries()):
        before = entry.event
        if before.kind is Kind.STARTED and not before.phase and before.version == event.version:
            break
        same = plain(before.actor) == plain(event.actor)
        if same and all(getattr(before, name) == getattr(event, name) for name in said):
            return
    app.ledger.add(event)


def _value(judgement: Judgement) -> float | None:
    return judgement.evidence.value if judgement.evidence else None


def _check_words(app: App, by: str, reason: str, until: date) -> None:
    today = app.clock().date()
    faults = {
        "--by": (not by.strip(), repr(by), "the name of a person"),
        "--reason": (len(reason.strip()) < SHORTEST_REASON, repr(reason), f"at least {SHORTEST_REASON} characters"),
        "--until": (until < today, str(until), f"a day from {today} on"),
    }
    for option, (wrong, found, wanted) in faults.items():
        if wrong:
            raise NotAllowedError(option, found=found, wanted=wanted, then="Correct it: the ledger keeps all three.")


def _stands(result: Result, effect: Effect) -> str:
    return "passed" if result is Result.PASS else f"{'blocks' if effect is Effect.BLOCK else 'only informs'}"
