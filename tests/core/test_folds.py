"""The registry, the champion and the readers are read off the events, in the ledger's order and by nothing else."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import combinations_with_replacement
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foregate.core.event import Event, Kind
from foregate.core.evidence import Evidence
from foregate.core.folds import PROMOTABLE, State, Waiver, champion, phase_state, readers, served, versions
from foregate.core.gate import Effect, Gate, Judgement, Result

NOON = datetime(2025, 10, 31, 12, tzinfo=UTC)
DAY = NOON.date()
YESTERDAY, TOMORROW = DAY - timedelta(days=1), DAY + timedelta(days=1)
PHASES = ("dates", "train", "deploy")


def event(kind: Kind, version: str = "v1", phase: str = "", **changes: Any) -> Event:
    return replace(Event(kind, NOON, "leads", version, "sam", phase), **changes)


def started(version: str = "v1", phases: tuple[str, ...] = PHASES) -> Event:
    return event(Kind.STARTED, version, detail={"phases": list(phases), "gates": {}})


def judgement(result: Result, effect: Effect = Effect.BLOCK, name: str = "m", subject: str = "") -> Judgement:
    found = Evidence(name, 1, 1, DAY, "s", subject=subject)
    return Judgement(Gate(name, at_least=1, effect=effect), result, None if result is Result.NOT_RUN else found)


def judged(phase: str, *judgements: Judgement, version: str = "v1") -> list[Event]:
    return [
        event(Kind.STARTED, version, phase),
        event(Kind.JUDGED, version, phase, judgements=judgements or (judgement(Result.PASS),)),
    ]


def waived(gate: str, version: str = "v1", until: date = TOMORROW) -> Event:
    return event(Kind.WAIVED, version, reason="known", until=until, detail={"gate": gate})


def state_of(*events: Event, on: date = DAY) -> State:
    return versions(events, on)["v1"].state


NOT_PASSED = [r for r in Result if r is not Result.PASS]
WAIVERS = [Waiver("m", "sam", "known", TOMORROW), Waiver("m[gold]", "sam", "known", TOMORROW)]


@pytest.mark.parametrize("result", NOT_PASSED)
@pytest.mark.parametrize("waivers", [[], WAIVERS])
def test_a_blocking_gate_that_did_not_pass_blocks_and_can_not_be_waived(result: Result, waivers: list[Waiver]) -> None:
    assert phase_state([judgement(result)], waivers, DAY) is State.BLOCKED


@pytest.mark.parametrize("result", NOT_PASSED)
def test_no_result_but_pass_passes_whatever_the_effect(result: Result) -> None:
    found = {effect: phase_state([judgement(result, effect)], [], DAY) for effect in Effect}
    assert found == {
        Effect.BLOCK: State.BLOCKED,
        Effect.SIGN_OFF: State.AWAITS,
        Effect.INFORM: State.WARNED,
    }


@given(st.lists(st.tuples(st.sampled_from(Result), st.sampled_from(Effect)), max_size=5), st.booleans())
def test_a_phase_is_promotable_only_when_what_did_not_pass_informs_or_was_accepted(
    given_results: list[tuple[Result, Effect]], accepted: bool
) -> None:
    state = phase_state([judgement(r, e) for r, e in given_results], WAIVERS if accepted else [], DAY)
    stopping = {e for r, e in given_results if r is not Result.PASS} - {Effect.INFORM}
    assert (state in PROMOTABLE) is (not stopping or (accepted and stopping == {Effect.SIGN_OFF}))
    assert (state is State.PASSED) is all(r is Result.PASS for r, _ in given_results)


@pytest.mark.parametrize(
    ("gate", "until", "accepted"),
    [
        ("lift[gold]", TOMORROW, True),
        ("lift", TOMORROW, True),
        ("lift[gold]", DAY, True),
        ("lift[gold]", YESTERDAY, False),
        ("lift[silver]", TOMORROW, False),
        ("lif", TOMORROW, False),
        ("", TOMORROW, False),
    ],
)
def test_a_waiver_counts_by_label_or_name_to_the_end_of_its_last_day(gate: str, until: date, accepted: bool) -> None:
    asked = judgement(Result.FAIL, Effect.SIGN_OFF, "lift", "gold")
    found = phase_state([asked], [Waiver(gate, "sam", "known", until)], DAY)
    assert found is (State.ACCEPTED if accepted else State.AWAITS)


def test_a_waiver_of_one_subject_leaves_the_others_open() -> None:
    asked = [judgement(Result.FAIL, Effect.SIGN_OFF, "lift", s) for s in ("gold", "silver")]
    assert phase_state(asked, [Waiver("lift[gold]", "sam", "known", TOMORROW)], DAY) is State.AWAITS
    assert phase_state(asked, [Waiver("lift", "sam", "known", TOMORROW)], DAY) is State.ACCEPTED


def test_a_version_awaits_again_on_the_day_after_its_waiver_has_expired() -> None:
    events = [started(phases=("dates",)), *judged("dates", judgement(Result.FAIL, Effect.SIGN_OFF)), waived("m")]
    assert [state_of(*events, on=TOMORROW + timedelta(days=n)) for n in (0, 1)] == [State.ACCEPTED, State.AWAITS]


def test_a_version_passes_only_when_every_planned_phase_was_judged() -> None:
    events = [started(), *(e for phase in PHASES for e in judged(phase))]
    states = [state_of(*events[: n + 1]) for n in range(len(events))]
    assert states == [
        State.NOT_RUN,  # started
        State.RUNNING,
        State.NOT_RUN,  # killed between two phases
        State.RUNNING,
        State.NOT_RUN,
        State.RUNNING,
        State.PASSED,
    ]
    assert not PROMOTABLE & set(states[:-1])


def test_a_version_is_as_good_as_its_worst_phase() -> None:
    outcomes = {
        State.PASSED: judgement(Result.PASS),
        State.WARNED: judgement(Result.FAIL, Effect.INFORM),
        State.AWAITS: judgement(Result.FAIL, Effect.SIGN_OFF),
        State.BLOCKED: judgement(Result.FAIL),
    }
    for pair in combinations_with_replacement(outcomes, 2):
        better, worse = pair
        for first, second in (pair, pair[::-1]):
            events = [started(phases=("a", "b")), *judged("a", outcomes[first]), *judged("b", outcomes[second])]
            assert state_of(*events) is worse, (better, worse)


def test_a_phase_that_broke_off_is_no_pass_even_when_its_judgement_was_written_before() -> None:
    passed = [started(phases=("dates",)), *judged("dates")]
    broken = event(Kind.FAILED, phase="dates", reason="disk full")
    assert state_of(*passed, broken) is State.BROKE
    blocked = [started(phases=("dates",)), *judged("dates", judgement(Result.FAIL))]
    assert state_of(*blocked, broken) is State.BLOCKED


def test_a_version_that_starts_over_owes_nothing_to_its_earlier_attempt() -> None:
    asked = judgement(Result.FAIL, Effect.SIGN_OFF)
    first = [started(), *judged("dates", asked), waived("m"), *judged("train"), event(Kind.STARTED, phase="deploy")]
    signed = event(Kind.SIGNED, until=TOMORROW, reason="fine")
    again = versions([*first, signed, started()], DAY)["v1"]
    assert (again.state, again.phases, again.waivers, again.signatures) == (State.NOT_RUN, {}, [], [])
    second = versions([*first, signed, started(), *(e for p in PHASES for e in judged(p, asked))], DAY)["v1"]
    assert second.state is State.AWAITS, "a waiver is about what was measured, and it was measured anew"
    assert {p.attempt for p in second.phases.values()} == {2}


def test_a_block_in_the_second_attempt_is_not_hidden_by_a_break_in_the_first() -> None:
    first = [started(), *judged("dates"), event(Kind.STARTED, phase="train"), event(Kind.FAILED, phase="train")]
    assert state_of(*first) is State.BROKE
    assert state_of(*first, started(), *judged("dates", judgement(Result.FAIL))) is State.BLOCKED


def test_versions_come_in_the_order_of_their_first_start_and_do_not_touch_each_other() -> None:
    events = [started("b"), *judged("dates", version="b"), started("a"), waived("m", "b"), started("b")]
    found = versions(events, DAY)
    assert list(found) == ["b", "a"]
    assert not found["a"].waivers
    assert not found["a"].phases


def test_events_of_a_version_that_was_never_started_make_no_version() -> None:
    assert versions([*judged("dates"), event(Kind.FAILED), waived("m")], DAY) == {}


def test_a_waiver_without_gate_or_expiry_counts_for_nothing() -> None:
    events = [started(phases=("dates",)), *judged("dates", judgement(Result.FAIL, Effect.SIGN_OFF))]
    nameless = event(Kind.WAIVED, until=TOMORROW)
    endless = event(Kind.WAIVED, detail={"gate": "m"})
    assert state_of(*events, nameless, endless) is State.AWAITS


def test_a_measured_value_is_found_by_name_and_subject() -> None:
    found = tuple(Evidence("lift", v, 1, DAY, "s", subject=s) for v, s in ((2, "gold"), (1, "")))
    events = [started(), event(Kind.STARTED, phase="dates"), event(Kind.JUDGED, phase="dates", evidence=found)]
    state = versions(events, DAY)["v1"]
    assert (state.evidence("lift", "gold"), state.evidence("lift"), state.evidence("auc")) == (2, 1, None)


SHARES = st.integers(0, 4).map(lambda quarters: quarters / 4)


def split(share: float) -> Event:
    return event(Kind.SERVED, "v2", split={"v1": 1 - share, "v2": share})


@given(st.lists(SHARES | st.sampled_from([started(), waived("m"), event(Kind.LISTED)]), max_size=8))
def test_the_split_in_force_is_the_last_one_served(steps: list[float | Event]) -> None:
    events = [s if isinstance(s, Event) else split(s) for s in steps]
    shares = [s for s in steps if not isinstance(s, Event)]
    assert served(events) == ({"v1": 1 - shares[-1], "v2": shares[-1]} if shares else {})
    assert served(iter(events)) == served(events)
    expected = None if not shares else "v2" if shares[-1] == 1 else "v1"
    assert champion(events) == expected


def test_a_rollback_is_an_older_split_served_again() -> None:
    before = event(Kind.SERVED, split={"v1": 1.0})
    after = event(Kind.SERVED, "v2", split={"v2": 1.0})
    assert [champion(e) for e in ([], [before], [before, after], [before, after, before])] == [None, "v1", "v2", "v1"]


def test_readers_of_test_rows_come_in_order_each_once_and_per_window() -> None:
    opened = [("a", "w1"), ("b", "w1"), ("a", "w1"), ("c", "w2"), ("d", "w1"), ("b", "w1")]
    events = [event(Kind.OPENED, v, detail={"window": w}) for v, w in opened]
    assert readers(events, "w1") == ["a", "b", "d"]
    assert readers(events, "w2") == ["c"]
    assert readers(events, "w3") == []


ANY = st.sampled_from(
    [
        started("v1"),
        started("v2"),
        *judged("dates"),
        *judged("dates", judgement(Result.FAIL, Effect.SIGN_OFF)),
        *judged("train", judgement(Result.FAIL), version="v2"),
        event(Kind.FAILED, phase="dates"),
        waived("m"),
        waived("m", until=YESTERDAY),
        split(0.25),
        split(1),
        event(Kind.OPENED, detail={"window": "w"}),
        event(Kind.OPENED, "v2", detail={"window": "w"}),
    ]
)


@given(st.lists(st.tuples(ANY, st.integers(-48, 48)), max_size=14))
def test_a_wall_clock_that_jumps_back_by_hours_changes_no_fold(steps: list[tuple[Event, int]]) -> None:
    straight = [replace(e, at=NOON + timedelta(hours=n)) for n, (e, _) in enumerate(steps)]
    jumping = [replace(e, at=NOON + timedelta(hours=n + jump)) for n, (e, jump) in enumerate(steps)]

    def told(events: list[Event]) -> object:
        registry = versions(events, DAY)
        phases = {v: [(p.name, p.state, p.attempt) for p in s.phases.values()] for v, s in registry.items()}
        states = {v: s.state for v, s in registry.items()}
        return phases, states, dict(served(events)), champion(events), readers(events, "w")

    assert told(straight) == told(jumping)


@pytest.mark.parametrize(
    "unplanned", [[event(Kind.STARTED, phase="promote")], judged("promote", judgement(Result.FAIL))]
)
def test_what_happens_outside_the_plan_changes_no_verdict_and_makes_up_for_no_planned_phase(
    unplanned: list[Event],
) -> None:
    whole = [started(), *(e for phase in PHASES for e in judged(phase))]
    assert state_of(*whole, *unplanned) is State.PASSED
    assert state_of(*whole[:-2], *unplanned) is State.NOT_RUN
    assert versions([*whole, *unplanned], DAY)["v1"].phases["promote"].state is not State.PASSED
