"""The walker tells the ledger first, stops where it must, and starts over where it broke off."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest

from foregate.core.errors import NotAllowedError
from foregate.core.event import Entry, Event, Kind, seal
from foregate.core.evidence import Evidence
from foregate.core.folds import PROMOTABLE, State, VersionState, policy, readers, versions
from foregate.core.gate import Effect, Gate, Result
from foregate.core.phase import Lifecycle, Phase, Run
from foregate.lifecycle.store import Store
from foregate.lifecycle.walk import Step, walk

NOON = datetime(2025, 10, 31, 12, tzinfo=UTC)
NAMES = ("dates", "train", "validate", "deploy")


@dataclass
class Lines:
    """A ledger in memory."""

    entries: list[Entry] = field(default_factory=list)
    refuse: Kind | None = None

    def add(self, event: Event) -> Entry:
        if event.kind is self.refuse:
            raise OSError("disk full")
        last = self.entries[-1] if self.entries else None
        self.entries.append(seal(event, len(self.entries) + 1, last.digest if last else ""))
        return self.entries[-1]

    def read(self, model: str) -> Iterator[Entry]:
        return iter([e for e in self.entries if e.event.model == model])

    def models(self) -> Iterable[str]:
        return {e.event.model for e in self.entries}

    def lease(self, _model: str, _holder: str) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    @property
    def events(self) -> list[Event]:
        return [e.event for e in self.entries]

    def told(self) -> list[tuple[str, str]]:
        return [(e.kind.value, e.phase) for e in self.events]


@dataclass
class Case:
    """A lifecycle of four phases whose outcomes a test sets."""

    ledger: Lines = field(default_factory=Lines)
    values: dict[str, float] = field(default_factory=dict)
    raising: dict[str, BaseException] = field(default_factory=dict)
    gates: dict[str, tuple[Gate, ...]] = field(default_factory=dict)
    window: str = "w1"
    ran: list[tuple[str, int, int]] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)

    def measure(self, name: str) -> Callable[[Run], Iterable[Evidence]]:
        def run(run: Run) -> Iterable[Evidence]:
            self.ran.append((name, run.reading, len(self.ledger.entries)))
            yield Evidence(f"{name}_rows", self.values.get(name, 1), 10, run.as_of, "s")
            if name in self.raising:
                raise self.raising[name]

        return run

    def cycle(self) -> Lifecycle:
        gates = {n: self.gates.get(n, (Gate(f"{n}_rows", at_least=1),)) for n in NAMES}
        phases = (Phase(n, "Counts.", self.measure(n), gates[n], n == "validate") for n in NAMES)
        return Lifecycle("leads", tuple(phases), self.window)

    def walk(self, version: str = "v1", **changes: Any) -> VersionState:
        run = replace(Run(None, "leads", version, NOON.date(), 42), **changes)  # type: ignore[arg-type]
        return walk(self.cycle(), run, self.ledger, lambda: NOON, "sam", self.steps.append, {"code": "c0de"})

    def state(self, version: str = "v1") -> VersionState:
        return versions(self.ledger.events, NOON.date())[version]


def test_a_walk_tells_of_every_start_and_judgement_before_the_next_phase_begins() -> None:
    case = Case()
    assert case.walk().state is State.PASSED
    assert case.ledger.told() == [
        ("started", ""),
        ("started", "dates"),
        ("judged", "dates"),
        ("started", "train"),
        ("judged", "train"),
        ("started", "validate"),
        ("opened", ""),
        ("judged", "validate"),
        ("started", "deploy"),
        ("judged", "deploy"),
    ]
    assert [(s.phase, s.state) for s in case.steps] == [(n, s) for n in NAMES for s in (None, State.PASSED)]
    first = case.ledger.events[0].detail
    assert (first["phases"], first["as_of"], first["seed"], first["code"]) == (list(NAMES), "2025-10-31", 42, "c0de")


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), SystemExit(3), GeneratorExit()])
@pytest.mark.parametrize("name", NAMES)
def test_a_phase_that_raises_is_broken_its_gates_are_errors_and_no_later_phase_starts(
    name: str, error: BaseException
) -> None:
    case = Case(raising={name: error})
    with pytest.raises(type(error)):
        case.walk()
    last = case.ledger.events[-1]
    assert (last.kind, last.phase) == (Kind.FAILED, name)
    assert type(error).__name__ in last.reason
    assert {j.gate.evidence for j in last.judgements} >= {f"{name}_rows"}
    assert {j.result for j in last.judgements} == {Result.ERROR}
    assert [n for n, _, _ in case.ran] == list(NAMES[: NAMES.index(name) + 1])
    state = case.state()
    assert (state.state, state.phases[name].state) == (State.BROKE, State.BROKE)
    assert state.phases[name].reason == last.reason


def test_the_first_phase_that_raises_answers_for_the_policy_gate_too() -> None:
    case = Case(raising={"dates": ValueError("no")})
    with pytest.raises(ValueError, match="no"):
        case.walk()
    assert [j.gate.evidence for j in case.ledger.events[-1].judgements] == ["dates_rows", "gates_loosened"]


@pytest.mark.parametrize("name", NAMES)
def test_a_version_that_broke_off_starts_over_and_can_pass(name: str) -> None:
    case = Case(raising={name: RuntimeError("power cut")})
    with pytest.raises(RuntimeError):
        case.walk()
    case.raising, case.ran = {}, []
    after = case.walk()
    assert after.state is State.PASSED
    assert [n for n, _, _ in case.ran] == list(NAMES)
    assert {p.attempt for n, p in after.phases.items() if NAMES.index(n) <= NAMES.index(name)} == {2}


def test_evidence_that_can_not_be_written_down_breaks_the_phase_instead_of_leaving_it_running() -> None:
    case = Case(values={"train": 10**400})  # no float
    with pytest.raises(OverflowError):
        case.walk()
    assert case.state().state is State.BROKE


@pytest.mark.parametrize("kind", [Kind.STARTED, Kind.JUDGED, Kind.OPENED])
def test_a_ledger_that_can_not_be_written_stops_the_walk_and_nothing_is_promotable(kind: Kind) -> None:
    case = Case(ledger=Lines(refuse=kind))
    with pytest.raises(OSError, match="disk full"):
        case.walk()
    assert not any(s.state in PROMOTABLE for s in versions(case.ledger.events, NOON.date()).values())


def test_a_block_stops_the_walk_and_is_final() -> None:
    case = Case(values={"train": 0})
    assert case.walk().state is State.BLOCKED
    assert [n for n, _, _ in case.ran] == ["dates", "train"]
    written = len(case.ledger.entries)
    case.values = {}
    assert case.walk().state is State.BLOCKED, "a version is judged once"
    assert len(case.ledger.entries) == written


@pytest.mark.parametrize(("effect", "state"), [(Effect.SIGN_OFF, State.AWAITS), (Effect.INFORM, State.WARNED)])
@pytest.mark.parametrize("value", [0, float("nan")])
def test_a_gate_that_asks_or_informs_does_not_stop_the_walk(effect: Effect, state: State, value: float) -> None:
    case = Case(values={"train": value}, gates={"train": (Gate("train_rows", at_least=1, effect=effect),)})
    assert case.walk().state is state
    assert [n for n, _, _ in case.ran] == list(NAMES)


def test_a_gate_whose_evidence_is_missing_blocks() -> None:
    case = Case(gates={"train": (Gate("never_measured", at_least=1),)})
    after = case.walk()
    assert after.state is State.BLOCKED
    assert after.phases["train"].judged
    assert after.phases["train"].judged.judgements[0].result is Result.NOT_RUN


def test_a_judged_version_is_not_judged_again_and_nothing_is_written() -> None:
    case = Case()
    before = case.walk()
    written = case.ledger.told()
    assert case.walk() == before
    assert case.ledger.told() == written
    assert len(case.ran) == len(NAMES)


def test_a_judged_version_is_refused_when_the_gates_were_moved_afterwards() -> None:
    case = Case(values={"train": 0})
    case.walk()
    written = len(case.ledger.entries)
    case.gates["train"] = (Gate("train_rows", at_least=0),)
    with pytest.raises(NotAllowedError, match="gates other than those it was judged by") as caught:
        case.walk()
    assert caught.value.exit_code == 1
    assert len(case.ledger.entries) == written


def test_the_reading_of_test_rows_is_written_before_the_phase_runs_and_once_for_a_candidate() -> None:
    case = Case()
    case.walk()
    opened = [e for e in case.ledger.entries if e.event.kind is Kind.OPENED]
    assert [(e.event.version, e.event.detail) for e in opened] == [("v1", {"window": "w1", "reading": 1})]
    assert [(reading, lines) for n, reading, lines in case.ran if n == "validate"] == [(1, opened[0].sequence)]


def test_the_second_candidate_on_the_same_test_rows_gets_the_second_reading_and_another_window_counts_anew() -> None:
    case = Case(raising={"validate": RuntimeError("power cut")})
    with pytest.raises(RuntimeError):
        case.walk("v1")  # it broke off, but it has read the rows
    case.raising = {}
    case.walk("v2")
    case.walk("v1")
    case.window = "w2"
    case.walk("v3")
    assert [reading for n, reading, _ in case.ran if n == "validate"] == [1, 2, 1, 1]
    assert readers(case.ledger.events, "w1") == ["v1", "v2"]
    assert readers(case.ledger.events, "w2") == ["v3"]


LOOSER = Gate("train_rows", at_least=0.5)


@pytest.mark.parametrize("moved", [(LOOSER,), (), (Gate("train_rows", at_least=1, effect=Effect.INFORM),)])
def test_a_gate_that_is_loosened_or_removed_asks_for_a_signature_in_every_version_until_it_is_accepted(
    moved: tuple[Gate, ...],
) -> None:
    case = Case()
    assert case.walk("v1").state is State.PASSED
    strict = policy(case.ledger.events)
    case.gates["train"] = moved
    for version in ("v2", "v3"):
        after = case.walk(version)
        assert after.state is State.AWAITS
        assert after.evidence("gates_loosened") == 1
        assert policy(case.ledger.events) == strict
    asked = after.phases["dates"].judged
    assert asked
    assert "train.train_rows" in asked.evidence[-1].words
    until = NOON.date() + timedelta(days=1)
    detail = {"gate": "gates_loosened"}
    case.ledger.add(Event(Kind.WAIVED, NOON, "leads", "v3", "ann", reason="known", until=until, detail=detail))
    assert case.state("v3").state is State.ACCEPTED
    assert case.state("v2").state is State.AWAITS
    assert policy(case.ledger.events) == case.cycle().gates()
    assert case.walk("v4").state is State.PASSED, "the accepted policy is in force now"


def test_a_gate_that_is_tightened_or_added_asks_nobody_and_putting_it_back_does() -> None:
    case = Case()
    case.walk("v1")
    case.gates["train"] = (Gate("train_rows", at_least=1, at_most=5), Gate("train_days", at_least=0))
    assert case.walk("v2").evidence("gates_loosened") == 0
    case.gates = {}
    assert case.walk("v3").state is State.AWAITS
    assert case.walk("v3").evidence("gates_loosened") == 2


def test_gates_moved_between_a_crash_and_the_next_try_are_seen() -> None:
    case = Case(values={"train": 0.7}, raising={"train": RuntimeError("power cut")})
    with pytest.raises(RuntimeError):
        case.walk()
    case.raising, case.gates["train"] = {}, (LOOSER,)
    assert case.walk().state is State.AWAITS


def test_models_do_not_see_each_other() -> None:
    case = Case()
    case.walk()
    assert case.walk(model="prices").state is State.PASSED
    assert [e.event.detail["reading"] for e in case.ledger.entries if e.event.kind is Kind.OPENED] == [1, 1]


WALKER = """
import sys, time
from datetime import UTC, date, datetime
from foregate.core.evidence import Evidence
from foregate.core.gate import Gate
from foregate.core.phase import Lifecycle, Phase, Run
from foregate.lifecycle.store import Store, holder_name
from foregate.lifecycle.walk import walk

def measure(name):
    def run(r):
        if name == sys.argv[2]:
            print("there", flush=True)
            time.sleep(60)
        return [Evidence(f"{name}_rows", 1, 10, r.as_of, "s")]
    return run

phases = tuple(
    Phase(n, "Counts.", measure(n), (Gate(f"{n}_rows", at_least=1),), n == "validate")
    for n in ("dates", "train", "validate", "deploy")
)
ledger = Store(sys.argv[1])
with ledger.lease("leads", holder_name("ann")):
    run = Run(None, "leads", "v1", date(2025, 10, 31), 42)
    print(walk(Lifecycle("leads", phases, "w1"), run, ledger, lambda: datetime.now(UTC), "ann").state.value)
ledger.close()
"""


@pytest.mark.parametrize("name", ["dates", "validate", "deploy"])
def test_a_walker_killed_in_the_middle_of_a_phase_leaves_nothing_to_promote_and_the_next_one_recovers(
    name: str, tmp_path: Path, opened: Callable[[str], Store], python: "Callable[..., Popen[str]]"
) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    walker = python(WALKER, url, name)
    assert walker.stdout
    assert walker.stdout.readline() == "there\n"
    walker.kill()
    walker.wait(timeout=30)
    ledger = opened(url)
    events = [e.event for e in ledger.read("leads")]
    state = versions(events, NOON.date())["v1"]
    assert (state.state, state.phases[name].state) == (State.RUNNING, State.RUNNING)
    assert state.state not in PROMOTABLE
    assert readers(events, "w1") == ([] if name == "dates" else ["v1"])
    out, errors = python(WALKER, url, "nowhere").communicate(timeout=60)
    assert (out, errors) == ("passed\n", "")
    again = versions((e.event for e in ledger.read("leads")), NOON.date())["v1"]
    assert (again.state, again.phases[name].attempt) == (State.PASSED, 2)


def test_whatever_line_the_power_is_cut_after_nothing_is_promotable_and_the_next_walk_passes() -> None:
    whole = Case()
    whole.walk()
    for lines in range(len(whole.ledger.entries)):
        cut = Case(ledger=Lines(whole.ledger.entries[:lines]))
        assert not any(s.state in PROMOTABLE for s in versions(cut.ledger.events, NOON.date()).values()), lines
        assert cut.walk().state is State.PASSED
        assert readers(cut.ledger.events, "w1") == ["v1"]
