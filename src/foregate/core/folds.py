"""Folds: the registry, the champion, the waivers and the policy, each read from the events and stored nowhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

from foregate.core.event import Event, Kind, gate_from
from foregate.core.evidence import Evidence
from foregate.core.gate import Effect, Gate, Judgement, Result, loosened


class State(StrEnum):
    """The verdict on a phase or version: computed from gates and waivers, never typed."""

    PASSED = "passed"
    WARNED = "passed with warnings"
    ACCEPTED = "accepted by waiver"
    AWAITS = "awaits sign-off"
    BLOCKED = "blocked"
    BROKE = "broke off"
    RUNNING = "running"
    NOT_RUN = "not run"


_ORDER = list(State)
PROMOTABLE = frozenset({State.PASSED, State.WARNED, State.ACCEPTED})


@dataclass(frozen=True, slots=True)
class Waiver:
    """A named person's acceptance of one judgement, with a reason and an expiry."""

    gate: str
    by: str
    reason: str
    until: date


@dataclass(slots=True)
class PhaseState:
    """One phase of a version as the ledger last saw it."""

    name: str
    state: State
    attempt: int
    started_at: datetime
    judged: Event | None = None
    reason: str = ""


@dataclass(slots=True)
class VersionState:
    """One version as the ledger sees it: a row of the registry."""

    version: str
    started_at: datetime
    phases: dict[str, PhaseState] = field(default_factory=dict)
    planned: tuple[str, ...] = ()
    waivers: list[Waiver] = field(default_factory=list)
    signatures: list[Waiver] = field(default_factory=list)
    detail: Mapping[str, object] = field(default_factory=dict)

    @property
    def state(self) -> State:
        """The worst of its planned phases; one that has not run keeps the version from passing."""
        states = [p.state for p in self.phases.values() if p.name in self.planned]
        states += [State.NOT_RUN] if set(self.planned) - set(self.phases) else []
        stopped = [s for s in states if s in {State.BLOCKED, State.BROKE, State.RUNNING}]
        return max(stopped or states, key=_ORDER.index, default=State.NOT_RUN)

    def evidence(self, name: str, subject: str = "") -> float | None:
        """Return a measured value of this version by name, or None when it was not measured."""
        return next((e.value for e in self.measured() if e.name == name and e.subject == subject), None)

    def measured(self) -> Iterator[Evidence]:
        """Yield everything that was measured, phase by phase."""
        for phase in self.phases.values():
            yield from phase.judged.evidence if phase.judged else ()

    def judgements(self) -> Iterator[Judgement]:
        """Yield every gate's judgement, phase by phase."""
        for phase in self.phases.values():
            yield from phase.judged.judgements if phase.judged else ()


def phase_state(judgements: Sequence[Judgement], waivers: Sequence[Waiver], on: date) -> State:
    """Return the verdict on a phase: a pure function of its judgements and the waivers in force on a day.

    A blocking gate can not be waived; a gate that asks for sign-off can, until the waiver expires.
    """
    open_ones = [j for j in judgements if j.result is not Result.PASS]
    if any(j.gate.effect is Effect.BLOCK for j in open_ones):
        return State.BLOCKED
    asked = [j for j in open_ones if j.gate.effect is Effect.SIGN_OFF]
    accepted = {w.gate for w in waivers if w.until >= on}
    if any(not _covers(accepted, j) for j in asked):
        return State.AWAITS
    if asked:
        return State.ACCEPTED
    return State.WARNED if open_ones else State.PASSED


def _covers(accepted: set[str], judgement: Judgement) -> bool:
    return judgement.label in accepted or judgement.gate.evidence in accepted


def versions(events: Iterable[Event], on: date) -> dict[str, VersionState]:
    """Return every version's state on a day, in the order they were first started: the registry.

    A version that starts over starts clean: what its earlier attempt left (phases, waivers, signatures) was about other
    measurements and counts no more.
    """
    found: dict[str, VersionState] = {}
    attempts: Counter[tuple[str, str]] = Counter()
    for event in events:
        if event.kind is Kind.STARTED and not event.phase:
            first = found.get(event.version)
            state = VersionState(event.version, first.started_at if first else event.at)
            state.planned = tuple(event.detail.get("phases", ()))
            state.detail = event.detail
            found[event.version] = state
        elif event.version in found:
            attempts[event.version, event.phase] += event.kind is Kind.STARTED
            _take(found[event.version], event, attempts[event.version, event.phase])
    for state in found.values():
        for phase in state.phases.values():
            _judge(phase, state.waivers, on)
    return found


def _judge(phase: PhaseState, waivers: Sequence[Waiver], on: date) -> None:
    """Set the state of a phase that was judged; one that broke off after it stays broken, unless it is blocked."""
    if phase.judged:
        verdict = phase_state(phase.judged.judgements, waivers, on)
        if phase.state is not State.BROKE or verdict is State.BLOCKED:
            phase.state = verdict


def _take(state: VersionState, event: Event, attempt: int) -> None:
    if event.kind is Kind.STARTED:
        state.phases[event.phase] = PhaseState(event.phase, State.RUNNING, attempt, event.at)
    elif event.kind is Kind.JUDGED:
        state.phases.setdefault(
            event.phase, PhaseState(event.phase, State.RUNNING, attempt or 1, event.at)
        ).judged = event
    elif event.kind is Kind.FAILED and event.phase in state.phases:
        state.phases[event.phase].state = State.BROKE
        state.phases[event.phase].reason = event.reason
    elif event.kind is Kind.WAIVED and event.until and event.detail.get("gate"):
        state.waivers.append(Waiver(str(event.detail["gate"]), event.actor, event.reason, event.until))
    elif event.kind is Kind.SIGNED and event.until:
        state.signatures.append(Waiver("", event.actor, event.reason, event.until))


def served(events: Iterable[Event]) -> Mapping[str, float]:
    """Return the traffic split in force: the last one served, empty before the first and after a withdrawal.

    A `served` event without a split withdraws everything: a first release that could not be read.
    """
    return next((e.split or {} for e in reversed(list(events)) if e.kind is Kind.SERVED), {})


def leader(event: Event) -> str | None:
    """Return the champion of a served event: of two versions that share the traffic, the one that was there before.

    None after a withdrawal.
    """
    split = {version: share for version, share in (event.split or {}).items() if share}
    others = [version for version in split if version != event.version]
    return max(others or split, key=lambda v: (split[v], v), default=None)


def champion(events: Iterable[Event]) -> str | None:
    """Return the version in service that the others are measured against, or None before the first promotion."""
    last = next((e for e in reversed(list(events)) if e.kind is Kind.SERVED), None)
    return leader(last) if last else None


def policy(events: Iterable[Event]) -> dict[str, Gate]:
    """Return the gates in force: the first run's, replaced by a later run's once it loosens nothing or was accepted.

    A looser set stays out of force until a named person accepts `gates_loosened` for the version that brought it, after
    that version's last start, and while what it was compared with is still in force: nobody accepts what was not shown.
    """
    in_force: dict[str, Gate] = {}
    waiting: dict[str, tuple[dict[str, Gate], dict[str, Gate]]] = {}
    for event in events:
        if event.kind is Kind.STARTED and not event.phase and "gates" in event.detail:
            brought = {name: gate_from(raw) for name, raw in event.detail["gates"].items()}
            waiting[event.version] = (in_force, brought)
            if not loosened(in_force, brought):
                in_force = brought
                del waiting[event.version]
        elif event.kind is Kind.WAIVED and event.detail.get("gate") == "gates_loosened":
            compared, brought = waiting.pop(event.version, (None, {}))
            in_force = brought if compared == in_force else in_force
    return in_force


def readers(events: Iterable[Event], window: str) -> list[str]:
    """Return the versions that have opened any of these test rows, in order, each once.

    A window is `first..last` in ISO days; windows that overlap share rows, so moving the as-of date by a day does not
    make the rows new.

    >>> from datetime import UTC, datetime
    >>> at = datetime(2025, 1, 1, tzinfo=UTC)
    >>> seen = Event(Kind.OPENED, at, "leads", "a1", "Ada", detail={"window": "2025-06-04..2025-09-01"})
    >>> readers([seen], "2025-08-31..2025-10-30"), readers([seen], "2025-09-02..2025-10-30")
    (['a1'], [])
    """
    opened = [e.version for e in events if e.kind is Kind.OPENED and _overlap(str(e.detail.get("window", "")), window)]
    return list(dict.fromkeys(opened))


def _overlap(one: str, other: str) -> bool:
    (first, _, last), (start, _, end) = one.partition(".."), other.partition("..")
    return one == other or (bool(last) and bool(end) and first <= end and start <= last)
