"""An alert fires on enough breaches in a row, ends on enough fine days, and nothing else moves it."""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foregate.core.alerting import (
    Alert,
    By,
    Open,
    Reading,
    Rule,
    Severity,
    Standing,
    alert_from,
    alert_to,
    changes,
    firing,
    opened,
    read,
    silences,
    standing,
    step,
    step_all,
    transitions,
)
from foregate.core.event import Event, Kind, from_json, to_json
from foregate.core.evidence import Evidence, Unit

FIRST = date(2025, 10, 31)
NOON = datetime(2025, 10, 31, 12, tzinfo=UTC)
LOW = Rule("low_rate", "rate", below=0.03, clear_below=0.05, by=By.VALUE, for_days=2, resolve_days=2, no_data_days=4)
SURE = Rule("sure_rate", "rate", below=0.03, for_days=3, resolve_days=2, no_data_days=4)


def on(day: int) -> date:
    return FIRST + timedelta(days=day)


def rate(
    value: float, low: float | None = None, high: float | None = None, subject: str = "", rows: int = 99
) -> Evidence:
    low, high = value if low is None else low, value if high is None else high
    return Evidence("rate", value, rows, FIRST, "x", low, high, Unit.RATE, subject)


def walked(rule: Rule, days: Iterable[tuple[int, Evidence | None]]) -> list[Alert]:
    states = [Alert(rule.name)]
    for day, found in days:
        states.append(step(rule, states[-1], on(day), found))
    return states[1:]


def standings(rule: Rule, values: Sequence[float | None]) -> str:
    """Return the standings of consecutive days as letters: o, p, f, n."""
    days = [(day, None if value is None else rate(value)) for day, value in enumerate(values)]
    return "".join(alert.standing.value[0] for alert in walked(rule, days))


BREACH, BAND, FINE = rate(0.01, 0.01, 0.02), rate(0.04), rate(0.06)
STRADDLES, UNTOLD = rate(0.04, 0.01, 0.09), rate(math.nan, 0, 1)
DAYS = st.lists(
    st.tuples(st.integers(1, 6), st.sampled_from([BREACH, BREACH, BAND, FINE, STRADDLES, UNTOLD, None])), max_size=40
)
RULES = st.builds(
    lambda by, for_days, resolve_days, clear, silent: Rule(
        "r",
        "rate",
        below=0.03,
        clear_below=clear,
        by=by,
        for_days=for_days,
        resolve_days=resolve_days,
        no_data_days=silent,
    ),
    st.sampled_from(By),
    st.integers(1, 4),
    st.integers(1, 3),
    st.sampled_from([None, 0.05]),
    st.integers(1, 7),
)


@settings(max_examples=50, deadline=None)
@given(RULES, DAYS)
def test_it_fires_after_breaches_in_a_row_and_ends_after_fine_days_in_a_row(
    rule: Rule, gaps: list[tuple[int, Evidence | None]]
) -> None:
    day, seen, run, calm, before = 0, -99, 0, 0, Alert("r")
    for gap, found in gaps:
        day += gap
        after = step(rule, before, on(day), found)
        reading = read(rule, found)
        silent, told = day - seen, reading not in {Reading.UNTOLD, Reading.ABSENT}
        if silent > rule.no_data_days and (told or not before.is_firing):
            run = calm = 0
        seen = day if told else seen
        run = run + 1 if reading is Reading.BREACH else 0 if reading in {Reading.FINE, Reading.BAND} else run
        calm = calm + 1 if reading is Reading.FINE else 0 if reading in {Reading.BREACH, Reading.BAND} else calm
        if before.is_firing:
            assert after.is_firing is not (reading is Reading.FINE and calm >= rule.resolve_days)
            assert after.is_firing or after.standing is Standing.OK
        else:
            assert after.is_firing is (reading is Reading.BREACH and run >= rule.for_days)
            calm = 0  # counted from the day it fires
        assert (after.standing is Standing.NO_DATA) <= (not told)
        assert after.is_firing or (after.standing is Standing.PENDING) <= (0 < run < rule.for_days)
        assert after == step(rule, after, on(day), found), "the same day again has no second effect"
        assert after == step(rule, after, on(day), None), "nothing measured replaces nothing"
        assert after == step(rule, after, on(day - 1), BREACH), "a clock set back is ignored"
        assert alert_from(json.loads(json.dumps(alert_to(after)))) == after
        before = after


@settings(max_examples=50, deadline=None)
@given(RULES, DAYS, st.sampled_from([BREACH, FINE, STRADDLES, UNTOLD]))
def test_a_later_reading_of_the_same_day_replaces_the_earlier(
    rule: Rule, gaps: list[tuple[int, Evidence | None]], first: Evidence
) -> None:
    day, corrected, straight = 0, Alert("r"), Alert("r")
    for gap, found in gaps:
        if found is None:
            continue
        day += gap
        corrected = step(rule, step(rule, corrected, on(day), first), on(day), found)
        straight = step(rule, straight, on(day), found)
        assert corrected == straight


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ([0.01, 0.01], "pf"),
        ([0.01, 0.04, 0.01, 0.01], "popf"),
        ([0.01, 0.01, 0.031, 0.029, 0.031, 0.029, 0.06, 0.04, 0.06, 0.06], "pffffffffo"),
        ([0.01, 0.01, 0.06, 0.01, 0.06, 0.06], "pffffo"),
        ([0.01, 0.01, 0.05, 0.05], "pffo"),
        ([0.01, None, 0.01], "ppf"),
        ([0.01, None, None, None, None, 0.01, 0.01], "ppppnpf"),
        ([None, 0.06, None, None, None, None, None], "noooonn"),
        ([0.01, 0.01, *[None] * 30, 0.06, 0.06], "pf" + "f" * 31 + "o"),
        ([0.01, 0.01, 0.06, None, None, None, None, None, 0.06, 0.06], "pfffffff" + "fo"),
        ([math.nan, math.nan], "nn"),
        ([0.06, *[math.nan] * 4], "oooon"),
    ],
)
def test_a_row_of_days(values: list[float | None], wanted: str) -> None:
    assert standings(LOW, values) == wanted


def test_a_gap_longer_than_no_data_days_ends_the_row_and_a_weekend_does_not() -> None:
    monday_after_friday = [(0, BREACH), (3, BREACH)]
    assert walked(LOW, monday_after_friday)[-1].is_firing
    assert walked(LOW, [(0, BREACH), (5, BREACH)])[-1].standing is Standing.PENDING
    fired = walked(LOW, [(0, BREACH), (1, BREACH), (2, FINE), (30, FINE)])
    assert [alert.calm for alert in fired] == [0, 0, 1, 1]


def test_an_alert_tells_since_when_the_row_has_lasted() -> None:
    days = walked(LOW, [(0, BREACH), (1, FINE), (2, BREACH), (3, BREACH), (4, BREACH)])
    assert [alert.since for alert in days] == [on(0), None, on(2), on(2), on(2)]


@pytest.mark.parametrize(
    ("rule", "found", "wanted"),
    [
        (SURE, rate(0.02, 0.01, 0.03), "straddles"),
        (SURE, rate(0.02, 0.01, 0.029), "breach"),
        (SURE, rate(0.02, 0.0, 0.04), "straddles"),
        (SURE, rate(0.03), "fine"),
        (SURE, rate(0.05, 0.03, 0.07), "fine"),
        (SURE, rate(math.nan, 0.0, 0.01), "untold"),
        (SURE, rate(0.01, rows=0), "untold"),
        (replace(SURE, min_rows=100), rate(0.01), "untold"),
        (replace(SURE, clear_below=0.05), rate(0.06, 0.01, 0.2), "fine"),
        (replace(SURE, clear_below=0.05), rate(0.04, 0.035, 0.045), "band"),
        (LOW, rate(0.029, 0.0, 1.0), "breach"),
        (LOW, rate(0.03), "band"),
        (Rule("e", "e", above=1.0, clear_above=0.5), Evidence("e", 0.5, 1, FIRST, "x"), "fine"),
        (Rule("e", "e", above=1.0), Evidence("e", math.inf, 1, FIRST, "x"), "breach"),
        (Rule("e", "e", above=1.0, below=0.5), Evidence("e", 0.2, 1, FIRST, "x"), "breach"),
        (Rule("e", "e", above=1.0, below=0.5), Evidence("e", 1.0, 1, FIRST, "x"), "fine"),
        (Rule("e", "e", above=0.0), None, "absent"),
    ],
)
def test_what_a_reading_says(rule: Rule, found: Evidence | None, wanted: str) -> None:
    assert read(rule, found).value == wanted


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"name": "Low rate"}, "name"),
        ({"evidence": ""}, "without evidence"),
        ({"below": None, "clear_below": None}, "say above or below"),
        ({"below": math.nan}, "finite"),
        ({"clear_below": 0.02}, "fine side"),
        ({"clear_above": 0.02}, "say both"),
        ({"above": 0.01}, "nothing that is fine"),
        ({"for_days": 0}, "at least 1"),
        ({"no_data_days": 0}, "at least 1"),
        ({"by": "mean"}, "bound or value"),
        ({"severity": "urgent"}, "critical, warning or info"),
        ({"action": "page"}, "rollback"),
        ({"action": "rollback"}, "say critical"),
    ],
)
def test_a_rule_that_could_never_alert_or_always_is_refused(changed: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        replace(LOW, **changed)


WORSE = Rule("worse", "rate", below=0.02, by=By.VALUE, severity=Severity.CRITICAL, group="g")
MILD = Rule("mild", "rate", below=0.03, by=By.VALUE, group="g")
OTHER = Rule("other", "rate", below=0.03, by=By.VALUE)
NAMED = Rule("named", "stale", above=1, severity=Severity.INFO, inhibits=("worse",))


def test_a_firing_rule_mutes_what_it_names_and_lower_severities_of_its_group() -> None:
    rules = [WORSE, MILD, OTHER, NAMED]
    after = step_all(rules, {}, FIRST, [rate(0.01)])
    assert {label: a.inhibited_by for label, a in after.items()} == {
        "worse": "",
        "mild": "worse",
        "other": "",
        "named": "",
    }
    assert after["mild"].is_firing
    stale = Evidence("stale", 3, 1, FIRST, "x")
    after = step_all(rules, after, on(1), [rate(0.01), stale])
    assert after["worse"].inhibited_by == "named"
    after = step_all(rules, after, on(2), [rate(0.025), stale])
    assert [after[name].inhibited_by for name in ("worse", "mild")] == ["", ""]
    assert [after[name].standing.value for name in ("worse", "mild")] == ["ok", "firing"]


def test_each_subject_has_its_own_row_and_a_rule_about_one_hears_no_other() -> None:
    each, one = replace(LOW, name="each"), replace(LOW, name="one", subject="north")
    after: dict[str, Alert] = {}
    for day, (north, south) in enumerate([(0.01, 0.06), (0.06, 0.01), (0.06, 0.01)]):
        after = step_all([each, one], after, on(day), [rate(north, subject="north"), rate(south, subject="south")])
    assert {k: a.standing.value for k, a in after.items()} == {
        "each[north]": "ok",
        "each[south]": "firing",
        "one[north]": "ok",
    }
    assert step_all([each], {}, FIRST, [])["each"].standing is Standing.NO_DATA
    assert set(step_all([each], after, on(3), [])) == {"each[north]", "each[south]"}
    assert set(step_all([], after, on(3), [])) == set()


def test_a_rule_not_judged_by_subject_goes_by_the_worst_reading() -> None:
    rule = Rule("faults", "faults", above=0, per_subject=False, min_rows=0)

    def faults(version: str, count: float) -> Evidence:
        return Evidence("faults", count, 0, FIRST, "x", subject=version)

    after = step_all([rule], {}, FIRST, [faults("v1", 0), faults("v2", 2)])
    assert after["faults"].is_firing
    assert not step_all([rule], after, on(1), [faults("v3", 0)])["faults"].is_firing
    assert step_all([rule], after, on(1), [faults("v3", 0), faults("v4", math.nan)])["faults"].is_firing
    assert step_all([rule], {}, FIRST, [faults("v3", math.nan), faults("v4", 1)])["faults"].is_firing


def test_a_day_before_the_last_leaves_all_as_it_is() -> None:
    after = step_all([OTHER], {}, on(5), [rate(0.01)])
    assert step_all([OTHER, MILD], after, on(4), [rate(0.9)], {"other": on(9)}) == after


def test_a_silence_mutes_and_does_not_resolve() -> None:
    after = step_all([OTHER], {}, FIRST, [rate(0.01)], {"other": on(3)})
    assert (after["other"].standing, after["other"].is_muted) == (Standing.FIRING, True)
    later = step_all([OTHER], after, on(1), [rate(0.01)])
    assert (later["other"].standing, later["other"].is_muted) == (Standing.FIRING, False)
    assert transitions({}, after) == [("other", "alerted")]
    assert transitions(after, later) == [("other", "alerted")], "nobody has been told yet"
    assert transitions(later, step_all([OTHER], later, on(2), [rate(0.01)])) == []
    assert transitions(later, step_all([OTHER], later, on(2), [rate(0.9)])) == [("other", "resolved")]
    assert transitions(later, {}) == [("other", "resolved")], "the rule is gone"


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from([0.01, 0.025, 0.04, 0.06, None]), max_size=30))
def test_what_is_told_alternates_and_ends_as_the_state_says(values: list[float | None]) -> None:
    after: dict[str, Alert] = {}
    told: dict[str, Open] = {}
    heard: dict[str, list[str]] = {"worse": [], "mild": []}
    for day, value in enumerate(values):
        after = step_all([WORSE, MILD], after, on(day), [] if value is None else [rate(value)])
        for rule, what in changes(told, after):
            heard[rule].append(what)
        told = opened(told, after)
        assert changes(told, after) == []
        assert set(told) == {a.rule for a in after.values() if a.is_firing}
    assert all(pair != ("resolved", "resolved") for one in heard.values() for pair in zip(one, one[1:], strict=False))
    assert all(pair != ("alerted", "alerted") for pair in zip(heard["worse"], heard["worse"][1:], strict=False))


def event(kind: Kind, version: str = "v1", until: date | None = None, **detail: Any) -> Event:
    return from_json(
        to_json(Event(kind, NOON, "leads", version, "monitor", phase="monitor", until=until, detail=detail))
    )


def test_the_ledger_tells_what_is_open_and_who_was_told() -> None:
    alerted = event(Kind.ALERTED, rule="mild", severity="warning", subjects=["a"])
    assert firing([alerted]) == {"v1": {"mild": Open("mild", frozenset("a"), told=True)}}
    assert firing([alerted])["v1"]["mild"].severity == "warning"
    muted = event(Kind.ALERTED, rule="mild", inhibited_by="worse")
    assert not firing([muted])["v1"]["mild"].told
    joined = firing([alerted, event(Kind.ALERTED, rule="mild", subjects=["b"])])["v1"]["mild"]
    assert (joined.subjects, joined.told) == (frozenset("ab"), True)
    assert firing([alerted, event(Kind.RESOLVED, rule="mild")]) == {}
    assert "v1" in firing([alerted, event(Kind.RESOLVED, "v2", rule="mild")])
    assert not firing([alerted, event(Kind.SILENCED, until=on(3), rule="mild")])["v1"]["mild"].told


def test_the_last_silence_of_a_rule_counts_on_its_own_version_and_its_last_day_too() -> None:
    events = [event(Kind.SILENCED, until=on(9), rule="mild"), event(Kind.SILENCED, until=on(3), rule="mild")]
    assert silences(events, on(3)) == {"mild": on(3)}
    assert silences(events, on(4)) == {}
    assert silences(events, on(1), "v2") == {}
    assert silences(events, on(1), "v1") == {"mild": on(3)}


def test_the_standing_is_what_the_last_monitor_run_of_the_version_left() -> None:
    after = step_all([WORSE, MILD], {}, FIRST, [rate(0.01)])
    left = {label: alert_to(alert) for label, alert in after.items()}
    events = [event(Kind.JUDGED, standing={}), event(Kind.JUDGED, standing=left), event(Kind.JUDGED, "v2", standing={})]
    assert standing(events, "v1") == after
    assert standing(events, "v3") == {}
