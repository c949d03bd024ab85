"""A loosened gate never comes into force without a named person's acceptance, over any sequence of runs."""

from dataclasses import replace
from datetime import UTC, date, datetime

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from foregate.core.event import Event, Kind, from_json, gate_to, to_json
from foregate.core.folds import policy
from foregate.core.gate import Effect, Gate, loosened

NOON = datetime(2025, 10, 31, 12, tzinfo=UTC)
VERSIONS = st.sampled_from(["v1", "v2", "v3"])
GATES = st.dictionaries(
    st.sampled_from(["a.x", "b.y"]),
    st.builds(
        Gate,
        st.just("m"),
        at_least=st.sampled_from([0.5, 0.6, 0.7]),
        at_most=st.sampled_from([None, 1.0]),
        min_rows=st.sampled_from([0, 100]),
        effect=st.sampled_from(Effect),
    ),
)


def started(version: str, gates: dict[str, Gate]) -> Event:
    detail = {"gates": {n: gate_to(g) for n, g in gates.items()}}
    return Event(Kind.STARTED, NOON, "leads", version, "sam", detail=detail)


def waived(version: str, gate: str = "gates_loosened") -> Event:
    until = date(2026, 1, 1)
    return Event(Kind.WAIVED, NOON, "leads", version, "sam", reason="known", until=until, detail={"gate": gate})


class Policy(RuleBasedStateMachine):
    """Any order of runs, crashes and acceptances; the policy after each is compared with the policy before it."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[Event] = []
        self.before: dict[str, Gate] = {}
        self.brought: dict[str, dict[str, Gate]] = {}
        self.compared: dict[str, dict[str, Gate]] = {}

    def write(self, event: Event) -> None:
        self.before = policy(self.events)
        self.events.append(from_json(to_json(event)))

    @rule(version=VERSIONS, gates=GATES)
    def start(self, version: str, gates: dict[str, Gate]) -> None:
        self.write(started(version, gates))
        self.brought[version], self.compared[version] = gates, self.before

    @rule(version=VERSIONS)
    def start_again_as_the_first_did(self, version: str) -> None:
        self.start(version, next(iter(self.brought.values()), {}))

    @rule(version=VERSIONS)
    def accept(self, version: str) -> None:
        self.write(waived(version))

    @rule(version=VERSIONS, gate=st.sampled_from(["a.x", "m", "gates_loosened[x]"]))
    def accept_something_else(self, version: str, gate: str) -> None:
        self.write(waived(version, gate))

    @rule(version=VERSIONS, kind=st.sampled_from([Kind.SIGNED, Kind.FAILED, Kind.JUDGED]))
    def something_else_happens(self, version: str, kind: Kind) -> None:
        self.write(Event(kind, NOON, "leads", version, "sam", "dates", detail={"gate": "gates_loosened", "gates": {}}))

    @invariant()
    def nothing_was_loosened_silently(self) -> None:
        after = policy(self.events)
        if not loosened(self.before, after):
            return
        last = self.events[-1]
        assert last.kind is Kind.WAIVED
        assert last.detail["gate"] == "gates_loosened"
        assert after == self.brought[last.version], "what comes into force is what the version brought last"
        assert self.before == self.compared[last.version], "and it was compared with what is in force"


Policy.TestCase.settings = settings(max_examples=120, stateful_step_count=12, deadline=None)
TestPolicy = Policy.TestCase

STRICT = {"a.x": Gate("x", at_least=0.6)}
LOOSE = {"a.x": Gate("x", at_least=0.5)}
LOOSEST = {"a.x": Gate("x", at_least=0.1)}


def test_the_first_run_sets_the_policy_and_a_tighter_run_moves_it() -> None:
    events = [started("v1", LOOSE), started("v2", STRICT)]
    assert [policy(events[:n]) for n in range(3)] == [{}, LOOSE, STRICT]


def test_a_loosened_gate_comes_into_force_by_acceptance_and_by_nothing_else() -> None:
    events = [started("v1", STRICT), started("v2", LOOSE), started("v2", LOOSE), started("v3", LOOSE)]
    assert policy(events) == STRICT
    assert policy([*events, waived("v1")]) == STRICT
    assert policy([*events, waived("v2", "a.x")]) == STRICT
    assert policy([*events, waived("v2")]) == LOOSE


def test_a_removed_gate_stays_in_force_until_its_removal_is_accepted() -> None:
    events = [started("v1", STRICT), started("v2", {})]
    assert [policy(events), policy([*events, waived("v2")])] == [STRICT, {}]


def test_an_acceptance_given_before_the_version_started_over_covers_nothing_it_brought_later() -> None:
    events = [started("v1", STRICT), started("v2", LOOSE), waived("v2"), started("v2", LOOSEST)]
    assert policy(events) == LOOSE
    assert policy([started("v1", STRICT), waived("v2"), started("v2", LOOSE)]) == STRICT


def test_an_acceptance_does_not_undo_what_was_tightened_after_the_comparison() -> None:
    tighter = {**STRICT, "b.y": Gate("y", at_most=1)}
    assert policy([started("v1", STRICT), started("v2", LOOSE), started("v3", tighter), waived("v2")]) == tighter


def test_a_weaker_effect_is_a_loosening_too() -> None:
    informs = {"a.x": replace(STRICT["a.x"], effect=Effect.INFORM)}
    assert policy([started("v1", STRICT), started("v2", informs)]) == STRICT
