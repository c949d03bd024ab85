"""A gate passes on what was measured and known well enough, and on nothing else."""

import math
from dataclasses import replace
from datetime import date
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foregate.core.evidence import EXACT, Evidence, Unit
from foregate.core.gate import Effect, Gate, Judgement, Result, judge, loosened
from foregate.core.phase import Lifecycle, Phase

DAY = date(2025, 10, 31)
NUMBERS = st.floats(allow_nan=False)
BOUNDS = st.floats(allow_nan=False, allow_infinity=False)
FEW = st.integers(0, 20)


@st.composite
def evidences(draw: st.DrawFn) -> Evidence:
    low, value, high = sorted(draw(st.tuples(NUMBERS, NUMBERS, NUMBERS)))
    rows = draw(FEW)
    if draw(st.booleans()):
        return Evidence("m", draw(st.sampled_from([value, math.nan])), rows, DAY, "s", low, high, Unit.RATE)
    return Evidence("m", draw(st.sampled_from([value, math.nan])), rows, DAY, "s")


@st.composite
def gates(draw: st.DrawFn) -> Gate:
    # small whole numbers, so that equal and neighbouring bounds are met often
    bound = st.none() | st.integers(-3, 3).map(float) | BOUNDS
    at_least, at_most = draw(st.tuples(bound, bound).filter(lambda b: b != (None, None)))
    return Gate("m", at_least, at_most, draw(FEW), draw(st.sampled_from(Effect)))


GRID = [
    Gate("m", low, high, rows, effect)
    for low, high, rows, effect in product((None, 0.0, 1.0), (None, 0.0, 1.0), (0, 2), Effect)
    if (low, high) != (None, None)
]
GRID_EVIDENCE = [
    Evidence("m", (low + high) / 2, rows, DAY, "s", low, high)
    for low, high in ((low, high) for low, high in product((-1, 0, 0.5, 1, 2), repeat=2) if low <= high)
    for rows in (0, 1, 2)
] + [Evidence("m", math.nan, 9, DAY, "s")]


def _is_empty(gate: Gate) -> bool:
    return gate.at_least is not None and gate.at_most is not None and gate.at_least > gate.at_most


@given(gates(), evidences())
def test_a_pass_means_the_whole_interval_is_within_the_bounds_on_enough_rows(gate: Gate, found: Evidence) -> None:
    if gate.judge(found) is not Result.PASS:
        return
    low = found.value if found.low is None else found.low
    high = found.value if found.high is None else found.high
    assert found.rows >= gate.min_rows
    assert not math.isnan(found.value)
    assert gate.at_least is None or low >= gate.at_least
    assert gate.at_most is None or high <= gate.at_most


@given(gates(), st.integers(0, 10**9), st.none() | NUMBERS, st.none() | NUMBERS)
def test_nan_never_passes_whatever_interval_stands_beside_it(
    gate: Gate, rows: int, low: float | None, high: float | None
) -> None:
    assert gate.judge(Evidence("m", math.nan, rows, DAY, "s", low, high)) is Result.INSUFFICIENT


@given(gates(), NUMBERS, st.sampled_from(["low", "high"]))
def test_an_interval_with_nan_never_passes(gate: Gate, value: float, side: str) -> None:
    found = Evidence("m", value, 10**9, DAY, "s")
    object.__setattr__(found, side, math.nan)  # as if it had come past the constructor
    assert gate.judge(found) is Result.INSUFFICIENT


@pytest.mark.parametrize("value", [math.inf, -math.inf])
def test_an_infinite_value_does_not_pass_on_a_finite_interval(value: float) -> None:
    found = Evidence("m", 1.0, 100, DAY, "s", 0.0, 2.0)
    object.__setattr__(found, "value", value)
    assert Gate("m", at_least=-1, at_most=3).judge(found) is Result.INSUFFICIENT
    with pytest.raises(ValueError, match="lies outside"):
        Evidence("m", value, 100, DAY, "s", 0.0, 2.0)


@given(gates(), evidences(), st.integers(1, 5))
def test_too_few_rows_are_insufficient_however_good_the_number(gate: Gate, found: Evidence, missing: int) -> None:
    hungry = replace(gate, min_rows=found.rows + missing)
    assert hungry.judge(found) is Result.INSUFFICIENT


@given(st.lists(BOUNDS, min_size=3, max_size=3, unique=True).map(sorted), st.booleans())
def test_an_interval_that_straddles_the_threshold_neither_passes_nor_fails(points: list[float], below: bool) -> None:
    low, bound, high = points
    found = Evidence("m", low if below else high, 100, DAY, "s", low, high, Unit.RATE)
    assert Gate("m", at_least=bound).judge(found) is Result.INSUFFICIENT
    assert Gate("m", at_most=bound).judge(found) is Result.INSUFFICIENT


def test_at_least_is_judged_by_the_low_end_and_at_most_by_the_high_end() -> None:
    found = Evidence("m", 2.0, 100, DAY, "s", 1.0, 3.0, Unit.RATIO)
    assert [Gate("m", at_least=b).judge(found).value for b in (1.0, 1.01, 3.0, 3.01)] == [
        "pass",
        "insufficient",
        "insufficient",
        "fail",
    ]
    assert [Gate("m", at_most=b).judge(found).value for b in (3.0, 2.99, 1.0, 0.99)] == [
        "pass",
        "insufficient",
        "insufficient",
        "fail",
    ]


def test_an_exact_number_is_its_own_interval() -> None:
    found = Evidence("m", 5, 100, DAY, "s")
    results = [Gate("m", at_least=5, at_most=5), Gate("m", at_least=6), Gate("m", at_most=4)]
    assert [g.judge(found) for g in results] == [Result.PASS, Result.FAIL, Result.FAIL]


def test_what_a_gate_that_is_not_looser_passes_the_other_passes_too_over_a_whole_grid() -> None:
    ordered = [(a, b) for a in GRID for b in GRID if not a.looser_than(b)]
    assert len(ordered) > len(GRID)
    for a, b in ordered:
        for found in GRID_EVIDENCE:
            assert a.judge(found) is not Result.PASS or b.judge(found) is Result.PASS, (a, b, found)


def test_a_gate_that_is_looser_for_its_bounds_or_rows_passes_something_the_other_stops() -> None:
    for a, b in product(GRID, GRID):
        if a.effect is b.effect and a.looser_than(b) and not _is_empty(a):
            probes = [Evidence("m", v, a.min_rows, DAY, "s") for v in (-9, -0.5, 0, 0.5, 1, 1.5, 9)]
            assert any(a.judge(p) is Result.PASS and b.judge(p) is not Result.PASS for p in probes), (a, b)


@given(gates(), st.data())
def test_a_tightened_gate_is_not_looser_and_what_it_passes_the_first_passes_too(
    gate: Gate, data: st.DataObject
) -> None:
    step = st.floats(0, 2)
    tighter = replace(
        gate,
        at_least=None if gate.at_least is None else gate.at_least + data.draw(step),
        at_most=None if gate.at_most is None else gate.at_most - data.draw(step),
        min_rows=gate.min_rows + data.draw(FEW),
    )
    found = data.draw(evidences())
    assert not tighter.looser_than(gate)
    assert tighter.judge(found) is not Result.PASS or gate.judge(found) is Result.PASS


@given(gates())
def test_no_gate_is_looser_than_itself_and_a_weaker_effect_is_looser(gate: Gate) -> None:
    assert not gate.looser_than(gate)
    for effect in Effect:
        weaker = list(Effect).index(effect) > list(Effect).index(gate.effect)
        assert replace(gate, effect=effect).looser_than(gate) is weaker


def test_steps_that_loosen_nothing_add_up_to_a_move_that_loosens_nothing() -> None:
    for a, b in product(GRID, GRID):
        if not b.looser_than(a):
            assert not any(c.looser_than(a) for c in GRID if not c.looser_than(b))


def test_a_removed_gate_is_loosened_and_an_added_one_is_not() -> None:
    gate = Gate("m", at_least=1)
    assert loosened({"a.m": gate}, {}) == ["a.m"]
    assert loosened({}, {"a.m": gate}) == []
    assert loosened({"a.m": gate}, {"b.m": gate}) == ["a.m"]


@pytest.mark.parametrize("bounds", [(None, None), (math.nan, None), (None, math.nan), (-math.inf, None), (0, math.inf)])
def test_a_gate_without_a_finite_bound_is_refused(bounds: tuple[float | None, float | None]) -> None:
    with pytest.raises(ValueError, match="gate m: "):
        Gate("m", *bounds)


@given(
    st.lists(st.builds(replace, gates(), evidence=st.sampled_from("ab")), max_size=4), st.lists(evidences(), max_size=4)
)
def test_every_gate_is_answered_for_and_none_without_evidence_passes(asked: list[Gate], found: list[Evidence]) -> None:
    named = [replace(e, name="a", subject=str(n)) for n, e in enumerate(found)]
    judgements = judge(asked, named)
    for gate in asked:
        answers = [j for j in judgements if j.gate == gate]
        assert answers
        if gate.evidence == "b" or not found:
            assert {(j.result, j.evidence) for j in answers} == {(Result.NOT_RUN, None)}
        else:
            assert len(answers) == len(found) * asked.count(gate)


def test_one_gate_judges_every_subject_and_each_answer_is_labelled_with_it() -> None:
    found = [Evidence("lift", v, 10, DAY, "s", subject=s) for v, s in ((2, "gold"), (0, "silver"))]
    answers = judge([Gate("lift", at_least=1)], found)
    assert [(j.label, j.result) for j in answers] == [("lift[gold]", Result.PASS), ("lift[silver]", Result.FAIL)]
    assert Judgement(Gate("lift", at_least=1), Result.NOT_RUN).label == "lift"


@pytest.mark.parametrize("unit", sorted(set(Unit) - EXACT))
def test_an_estimate_without_both_ends_of_its_interval_is_refused(unit: Unit) -> None:
    for low, high in ((None, None), (0.0, None), (None, 1.0)):
        with pytest.raises(ValueError, match="needs its interval"):
            Evidence("m", 0.5, 10, DAY, "s", low, high, unit)
    assert Evidence("m", 0.5, 10, DAY, "s", 0.0, 1.0, unit).label == "m"


@given(NUMBERS, st.none() | st.floats(), st.none() | st.floats(), st.sampled_from(Unit))
def test_an_interval_holds_its_value_or_the_evidence_is_refused(
    value: float, low: float | None, high: float | None, unit: Unit
) -> None:
    try:
        found = Evidence("m", value, 10, DAY, "s", low, high, unit)
    except ValueError:
        return
    slack = 1e-9 * (1 + abs(value)) if math.isfinite(value) else 0
    assert found.low is None or found.low - slack <= value
    assert found.high is None or found.high + slack >= value


@pytest.mark.parametrize(
    ("low", "high"), [(6.0, None), (None, 4.0), (6.0, 7.0), (3.0, 4.0), (math.nan, 6.0), (6.0, 4.0)]
)
def test_a_value_outside_either_end_of_its_interval_is_refused(low: float | None, high: float | None) -> None:
    with pytest.raises(ValueError, match="lies outside"):
        Evidence("m", 5, 10, DAY, "s", low, high)


def test_two_gates_on_one_evidence_or_two_phases_of_one_name_would_hide_a_loosening_and_are_refused() -> None:
    one = Phase("a", "Counts.", lambda _run: [], (Gate("m", at_least=1),))
    with pytest.raises(ValueError, match="two gates on m"):
        replace(one, gates=(Gate("m", at_least=1), Gate("m", at_most=2, effect=Effect.INFORM)))
    with pytest.raises(ValueError, match="two phases are named a"):
        Lifecycle("leads", (one, one))
    assert Lifecycle("leads", (one, replace(one, name="b"))).gates() == {"a.m": one.gates[0], "b.m": one.gates[0]}
