"""Walk a version through its phases; the ledger hears of every start, judgement and break before anyone else does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from foregate.core.errors import NotAllowedError
from foregate.core.event import Event, Kind, gate_to
from foregate.core.evidence import Evidence
from foregate.core.folds import State, VersionState, phase_state, policy, readers, versions
from foregate.core.gate import Effect, Gate, Judgement, Result, judge, loosened
from foregate.core.phase import Lifecycle, Phase, Run
from foregate.core.ports import Clock, Ledger

POLICY = Gate(
    "gates_loosened",
    at_most=0,
    effect=Effect.SIGN_OFF,
    why="a gate that is moved until it passes proves nothing",
)


@dataclass(frozen=True, slots=True)
class Step:
    """What a watcher hears: a phase has started (no state yet) or has ended."""

    phase: str
    does: str
    state: State | None = None
    judgements: tuple[Judgement, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    seconds: float = 0.0


Watch = Callable[[Step], None]


def walk(
    cycle: Lifecycle,
    run: Run,
    ledger: Ledger,
    clock: Clock,
    actor: str,
    watch: Watch = lambda _step: None,
    detail: Mapping[str, Any] | None = None,
) -> VersionState:
    """Return the version's state after walking its phases; stops after the first phase that is blocked.

    A version that was judged whole is not judged again: its state is returned and nothing is written. One that broke
    off starts over. Raises NotAllowedError when the version was judged under other gates, and whatever a phase raises
    after the ledger has written that it broke off.
    """
    seen = _seen(ledger, run, clock)
    if seen and seen.state not in {State.BROKE, State.RUNNING, State.NOT_RUN}:
        _refuse_moved_gates(seen, cycle)
        return seen
    started = {
        "phases": [p.name for p in cycle.phases],
        "gates": {name: gate_to(gate) for name, gate in cycle.gates().items()},
        "as_of": run.as_of.isoformat(),
        "seed": run.seed,
        **(detail or {}),
    }
    moved = _moved(ledger, cycle, run)
    ledger.add(Event(Kind.STARTED, clock(), run.model, run.version, actor, detail=started))
    for place, phase in enumerate(cycle.phases):
        extra = ((POLICY,), (moved,)) if place == 0 else ((), ())
        state = _step(phase, run, ledger, clock, actor, watch, cycle.test_window, extra)
        if state is State.BLOCKED:
            break
    after = _seen(ledger, run, clock)
    assert after is not None, "the version was started above"
    return after


def _step(
    phase: Phase,
    run: Run,
    ledger: Ledger,
    clock: Clock,
    actor: str,
    watch: Watch,
    window: str,
    extra: tuple[tuple[Gate, ...], tuple[Evidence, ...]],
) -> State:
    began, gates = clock(), (*phase.gates, *extra[0])
    watch(Step(phase.name, phase.does))
    ledger.add(Event(Kind.STARTED, began, run.model, run.version, actor, phase.name))
    try:
        if phase.reads_test:
            run = _open(run, ledger, clock, actor, window)
        found = (*phase.run(run), *extra[1])
        judgements = judge(gates, found)
        ledger.add(
            Event(
                Kind.JUDGED,
                clock(),
                run.model,
                run.version,
                actor,
                phase.name,
                evidence=found,
                judgements=judgements,
            )
        )
    except BaseException as error:
        ledger.add(_broken(phase.name, gates, run, clock(), actor, error))
        raise
    state = phase_state(judgements, [], run.as_of)
    watch(Step(phase.name, phase.does, state, judgements, found, _seconds(began, clock())))
    return state


def _broken(phase: str, gates: Iterable[Gate], run: Run, at: datetime, actor: str, error: BaseException) -> Event:
    """Return the event of a phase that raised: its gates are errors, so nothing reads them as passed."""
    words = f"{type(error).__name__}: {error}"[:2000]
    judgements = tuple(Judgement(gate, Result.ERROR, words=words) for gate in gates)
    return Event(Kind.FAILED, at, run.model, run.version, actor, phase, judgements=judgements, reason=words)


def _open(run: Run, ledger: Ledger, clock: Clock, actor: str, window: str) -> Run:
    """Return the run with its place among the readers of these test rows, after writing that it opened them."""
    before = readers((e.event for e in ledger.read(run.model)), window)
    order = before if run.version in before else [*before, run.version]
    place = order.index(run.version) + 1
    detail = {"window": window, "reading": place}
    ledger.add(Event(Kind.OPENED, clock(), run.model, run.version, actor, detail=detail))
    return replace(run, reading=place)


def _moved(ledger: Ledger, cycle: Lifecycle, run: Run) -> Evidence:
    in_force = policy(e.event for e in ledger.read(run.model))
    names = loosened(in_force, cycle.gates()) if in_force else []
    words = f"looser than in force: {', '.join(names)}" if names else "no gate lets more through than before"
    return Evidence("gates_loosened", len(names), len(in_force), run.as_of, "policy", words=words)


def _seen(ledger: Ledger, run: Run, clock: Clock) -> VersionState | None:
    return versions((e.event for e in ledger.read(run.model)), clock().date()).get(run.version)


def _refuse_moved_gates(seen: VersionState, cycle: Lifecycle) -> None:
    now = {name: gate_to(gate) for name, gate in cycle.gates().items()}
    if seen.detail.get("gates") != now:
        raise NotAllowedError(
            f"version {seen.version}",
            found="gates other than those it was judged by",
            wanted="one judgement per version",
            then="A gate can not be moved after the fact. Make another candidate, or put the gates back.",
        )


def _seconds(began: datetime, ended: datetime) -> float:
    return (ended - began).total_seconds()
