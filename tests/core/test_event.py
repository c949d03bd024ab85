"""Events are plain data that reads back the same and hashes the same on every machine."""

import math
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foregate.core.errors import OutsideError
from foregate.core.event import Event, Kind, digest_of_row, from_json, gate_from, gate_to, seal, to_json
from foregate.core.evidence import Evidence, Unit
from foregate.core.gate import Effect, Gate, Judgement, Result

NOON = datetime(2025, 10, 31, 12, tzinfo=UTC)
WORDS = st.text(max_size=12)
ZONES = st.sampled_from([UTC, timezone(timedelta(hours=-9, minutes=-30)), timezone(timedelta(hours=14))])
NUMBERS = st.floats() | st.integers(-(2**53), 2**53)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)


@st.composite
def evidences(draw: st.DrawFn) -> Evidence:
    numbers = draw(st.lists(NUMBERS, min_size=3, max_size=3))
    low, value, high = sorted(numbers) if not any(math.isnan(n) for n in numbers) else (0.0, math.nan, 1.0)
    whole = draw(st.sampled_from([(None, None), (low, high), (low, None), (None, high)]))
    unit = draw(st.sampled_from(Unit)) if None not in whole else Unit.COUNT
    day = draw(st.dates())
    return Evidence(draw(WORDS), value, draw(st.integers(0)), day, draw(WORDS), *whole, unit, draw(WORDS), draw(WORDS))


GATES = st.builds(
    Gate,
    WORDS,
    st.floats(allow_nan=False, allow_infinity=False) | st.integers(-9, 9),
    st.none() | st.floats(allow_nan=False, allow_infinity=False),
    st.integers(0, 99),
    st.sampled_from(Effect),
    WORDS,
)
EVENTS = st.builds(
    Event,
    st.sampled_from(Kind),
    st.datetimes(timezones=ZONES),
    WORDS,
    WORDS,
    WORDS,
    WORDS,
    st.lists(evidences(), max_size=2).map(tuple),
    st.lists(st.builds(Judgement, GATES, st.sampled_from(Result), st.none() | evidences(), WORDS), max_size=2).map(
        tuple
    ),
    st.sampled_from([None, {"a": 1}, {"a": 0.25, "ü": 0.75}]),
    WORDS,
    st.none() | st.dates(),
    st.dictionaries(WORDS, PLAIN, max_size=3),
)


def event(**changes: Any) -> Event:
    return replace(Event(Kind.STARTED, NOON, "leads", "v1", "sam"), **changes)


@settings(max_examples=150)
@given(EVENTS)
def test_an_event_reads_back_as_it_was_written(written: Event) -> None:
    text = to_json(written)
    read = from_json(text)
    assert repr(read.evidence) == repr(tuple(_floats(e) for e in written.evidence))  # repr: NaN equals itself
    assert [repr(j.evidence) for j in read.judgements] == [
        repr(j.evidence and _floats(j.evidence)) for j in written.judgements
    ]
    assert [(j.gate, j.result, j.words) for j in read.judgements] == [
        (j.gate, j.result, j.words) for j in written.judgements
    ]
    bare = {"evidence": (), "judgements": ()}
    assert replace(read, **bare) == replace(written, **bare)
    assert to_json(read) == text


@settings(max_examples=50)
@given(EVENTS, st.sampled_from(["evidence", "judgements", "detail"]), WORDS)
def test_a_stored_event_says_of_itself_what_the_whole_of_it_says(written: Event, first: str, other: str) -> None:
    text = to_json(written)
    read, whole = from_json(text), from_json(text)
    assert repr(getattr(from_json(text), first)) == repr(getattr(replace(whole), first))
    for name in {other, "lift", *(e.name for e in written.evidence)}:
        assert repr(read.measured(name)) == repr(tuple(e for e in whole.evidence if e.name == name))
        assert repr(from_json(text).measured(name)) == repr(written_floats(written, name))
    assert repr(from_json(text).not_passed()) == repr(tuple(j for j in whole.judgements if j.result is not Result.PASS))
    assert [len(e.not_passed()) for e in (read, written)] == [len(whole.not_passed())] * 2
    for key in {other, *written.detail}:
        assert from_json(text).may_have(key) or key not in written.detail
        assert whole.may_have("nobody", key) is written.may_have(key) is (key in whole.detail)


def written_floats(written: Event, name: str) -> tuple[Evidence, ...]:
    return tuple(_floats(e) for e in written.measured(name))


def test_a_stored_event_of_a_newer_foregate_is_told_when_it_is_looked_at() -> None:
    found = Evidence("lift", 2, 3393, NOON.date(), "9f2c", 1.3, 2.2, Unit.RATIO)
    text = to_json(event(kind=Kind.JUDGED, phase="validate", evidence=(found,)))
    for stranger in (text.replace('"ratio"', '"furlong"'), text.replace('"words":""', '"words":"","zeal":1')):
        read = from_json(stranger)
        assert read.phase == "validate"
        with pytest.raises(OutsideError, match=r"validate of v1.*sealed evidence.*upgrade"):
            _ = read.evidence


def test_a_stored_event_has_no_other_attributes() -> None:
    with pytest.raises(AttributeError, match="no attribute 'colour'"):
        _ = from_json(to_json(event())).colour
    with pytest.raises(AttributeError, match="_unread"):
        _ = event()._unread


@settings(max_examples=60)
@given(EVENTS, st.integers(1), WORDS)
def test_the_text_can_be_stored_anywhere_and_its_seal_is_stable(written: Event, sequence: int, previous: str) -> None:
    text = to_json(written)
    text.encode("utf-8")
    assert "\x00" not in text
    assert "\n" not in text
    entry = seal(written, sequence, previous)
    assert entry.digest == digest_of_row(sequence, previous, to_json(from_json(text)))
    assert entry.digest != seal(written, sequence + 1, previous).digest
    assert entry.digest != seal(written, sequence, previous + "x").digest
    assert entry.digest != seal(replace(written, reason=written.reason + "x"), sequence, previous).digest


def test_the_canonical_text_and_its_hash_do_not_change_between_releases() -> None:
    found = Evidence("lift", 2, 3393, date(2025, 10, 31), "9f2c", 1.3, math.inf, Unit.RATIO)
    written = event(kind=Kind.JUDGED, phase="validate", evidence=(found,), detail={"b": 1, "a": "ü"})
    assert to_json(written) == (
        '{"actor":"sam","at":"2025-10-31T12:00:00+00:00","detail":{"a":"ü","b":1},"evidence":[{"as_of":"2025-10-31",'
        '"family":1,"high":"inf","low":1.3,"name":"lift","rows":3393,"source":"9f2c","subject":"","unit":"ratio",'
        '"value":2.0,"words":""}],"judgements":[],"kind":"judged","model":"leads","phase":"validate","reason":"",'
        '"split":null,"until":null,"version":"v1"}'
    )
    assert seal(written, 1, "").digest == "95b71452ccba34138f9c559a438be33212b6f9fc2ab7490eb864116a20e125dd"


def test_the_order_of_keys_does_not_change_the_hash() -> None:
    one, other = event(detail={"a": 1, "b": {"c": 2, "d": 3}}), event(detail={"b": {"d": 3, "c": 2}, "a": 1})
    assert seal(one, 1, "").digest == seal(other, 1, "").digest


def test_a_whole_number_and_its_float_are_one_evidence_with_one_hash() -> None:
    whole, point = (event(evidence=(Evidence("m", v, 1, NOON.date(), "s"),)) for v in (5, 5.0))
    assert whole == point
    assert to_json(whole) == to_json(point)


@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan])
def test_numbers_that_are_not_finite_survive(number: float) -> None:
    found = from_json(to_json(event(evidence=(Evidence("m", number, 1, NOON.date(), "s"),)))).evidence[0].value
    assert found == number or (math.isnan(found) and math.isnan(number))


def test_bytes_that_are_no_text_do_not_keep_a_failure_out_of_the_ledger() -> None:
    reason = "no such file: " + b"caf\xe9.parquet".decode("utf-8", "surrogateescape")
    text = to_json(event(kind=Kind.FAILED, reason=reason))
    text.encode("utf-8")
    assert from_json(text).reason == reason


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"kind":"started"}', "not json"])
def test_text_that_is_no_event_is_refused(text: str) -> None:
    with pytest.raises((KeyError, ValueError, TypeError)):
        from_json(text)


def test_a_kind_that_is_not_known_is_refused() -> None:
    with pytest.raises(ValueError, match="abducted"):
        from_json(to_json(event()).replace('"started"', '"abducted"'))


def test_a_moment_without_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        event(at=NOON.replace(tzinfo=None))


@pytest.mark.parametrize("split", [{}, {"a": 0.5}, {"a": 2, "b": -1}, {"a": math.nan}, {"a": 1, "b": math.nan}])
def test_a_split_that_is_not_one_whole_is_refused(split: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="a split must"):
        event(kind=Kind.SERVED, split=split)


@given(GATES)
def test_a_gate_survives_the_policy_that_a_run_writes_down(gate: Gate) -> None:
    written = event(detail={"gates": {"a": gate_to(gate)}})
    assert gate_from(from_json(to_json(written)).detail["gates"]["a"]) == gate


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_of_event_has_its_sentence(kind: Kind) -> None:
    said = event(kind=kind, reason="because", phase="train").sentence()
    assert said.endswith(": because")
    assert "v1" in said or kind in (Kind.SERVED, Kind.SILENCED)


def _floats(found: Evidence) -> Evidence:
    numbers = {n: None if getattr(found, n) is None else float(getattr(found, n)) for n in ("value", "low", "high")}
    return replace(found, **numbers)
