"""Rules are read with errors that name the key, tell once what changed, and can be counted before they are armed."""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import foregate.lifecycle.alerts as module
from foregate.core.alerting import By, Rule, Severity, firing, standing
from foregate.core.errors import ConfigurationError
from foregate.core.event import Event, Kind, from_json, to_json
from foregate.core.evidence import Evidence, Unit
from foregate.lifecycle.alerts import (
    AlertSettings,
    RuleSettings,
    budget,
    evaluate,
    monitored,
    replay,
    rollback_asked,
    rules_in,
    rules_of,
)

FIRST = date(2025, 10, 31)
NOON = datetime(2025, 10, 31, 12, tzinfo=UTC)
RULE_FILES = sorted((Path(module.__file__).parent / "rules").glob("*.toml"))
FALL = Rule("fall", "rate", below=0.03, by=By.VALUE, severity=Severity.CRITICAL, action="rollback", group="g")
DIP = Rule("dip", "rate", below=0.04, by=By.VALUE, group="g")
RULES = (FALL, DIP)


def on(day: int) -> date:
    return FIRST + timedelta(days=day)


def rate(value: float, subject: str = "", name: str = "rate") -> Evidence:
    return Evidence(name, value, 99, FIRST, "x", value, value, Unit.RATE, subject)


class Ledger:
    """A monitor that keeps its own list of events, as read back from JSON."""

    def __init__(self, rules: Sequence[Rule] = RULES) -> None:
        self.rules = rules
        self.events: list[Event] = []

    def run(self, day: int, *found: Evidence, version: str = "v1", crash_after: int | None = None) -> list[str]:
        left, alerts = evaluate(
            self.events, self.rules, on(day), found, at=NOON, model="leads", version=version, actor="monitor"
        )
        detail = {"as_of": on(day).isoformat(), "standing": left}
        judged = Event(Kind.JUDGED, NOON, "leads", version, "monitor", "monitor", evidence=found, detail=detail)
        self.events += [from_json(to_json(e)) for e in (judged, *alerts)[:crash_after]]
        return [self.said(e) for e in alerts]

    @staticmethod
    def said(event: Event) -> str:
        by = event.detail.get("inhibited_by")
        return f"{event.kind} {event.detail['rule']} {event.version}" + (f" muted by {by}" if by else "")

    def add(self, kind: Kind, version: str = "v1", **changes: Any) -> None:
        self.events.append(Event(kind, NOON, "leads", version, "sam", **changes))


def test_a_rule_in_a_file_has_the_keys_and_defaults_of_a_rule() -> None:
    told = {name: field.default for name, field in RuleSettings.model_fields.items()}
    wanted = {field.name: field.default for field in fields(Rule)}
    assert told.keys() == wanted.keys()
    assert {k: v for k, v in told.items() if k not in {"name", "evidence"}} == {
        k: v for k, v in wanted.items() if k not in {"name", "evidence"}
    }


@pytest.mark.parametrize("file", RULE_FILES, ids=lambda f: f.name)
def test_every_rule_file_holds_and_each_rule_says_why(file: Path) -> None:
    rules = rules_in(file.read_text(encoding="utf-8"), file.name)
    assert len({rule.name for rule in rules}) == len(rules) > 0
    assert all(rule.why for rule in rules)
    if file.name.startswith("seeds"):
        assert {rule.by for rule in rules} == {By.VALUE}


def test_the_shipped_rules_roll_back_on_outcomes_only() -> None:
    shipped = rules_of(AlertSettings())
    assert {r.evidence for r in shipped if r.action} == {"conversion_shortfall", "top_decile_shortfall", "harm_e_value"}
    assert {r.by for r in shipped} == {By.BOUND}
    harm = next(r for r in shipped if r.evidence == "harm_e_value")
    assert harm.above == pytest.approx(math.log(20), abs=1e-6)


def test_the_seeds_immediate_rollback_rules_are_as_written() -> None:
    seeds = {rule.name: rule for rule in rules_of(AlertSettings(rules="seeds"))}
    top, overall = seeds["seed_001_top_decile"], seeds["seed_001_overall"]
    for rule, evidence, below in ((top, "daily_top_decile_rate", 0.03), (overall, "daily_listed_rate", 0.035)):
        assert (rule.evidence, rule.below, rule.by, rule.for_days) == (evidence, below, By.VALUE, 2)
        assert (rule.severity, rule.action) == (Severity.CRITICAL, "rollback")
    assert rules_of(AlertSettings(rules="none")) == ()


def own(*rules: dict[str, Any], shipped: str = "none") -> AlertSettings:
    return AlertSettings.model_validate({"rules": shipped, "rule": list(rules)})


def test_a_rule_of_the_project_replaces_the_shipped_one_of_its_name() -> None:
    mine = {"name": "stale_source", "evidence": "stale_days", "above": 40}
    found = {rule.name: rule for rule in rules_of(own(mine, shipped="shipped"))}
    assert found["stale_source"] == Rule("stale_source", "stale_days", above=40)
    assert len(found) == len(rules_of(AlertSettings()))


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ([{"name": "a", "evidence": "e", "above": 1, "inhibits": ["b"]}], r"alerts.rule\]\] a inhibits: found 'b'"),
        ([{"name": "a", "evidence": "e", "above": 1, "inhibits": ["a"]}], r"alerts.rule\]\] a inhibits: found 'a'"),
        (
            [
                {"name": "a", "evidence": "e", "above": 1, "group": "g", "severity": "critical"},
                {"name": "b", "evidence": "e", "above": 1, "group": "g", "inhibits": ["a"]},
            ],
            r"inhibits: found a circle: ",
        ),
    ],
)
def test_rules_that_mute_one_another_or_nobody_are_refused(rules: list[dict[str, Any]], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        rules_of(own(*rules))


@pytest.mark.parametrize(
    ("raw", "key", "words"),
    [
        ({"mode": "page"}, ("mode",), "observe"),
        ({"rule": [{"name": "a", "evidence": "e", "above": 1, "for_day": 2}]}, ("rule", 0, "for_day"), "not permitted"),
        ({"rule": [{"name": "a", "evidence": "e", "above": "5"}]}, ("rule", 0, "above"), "number"),
        ({"rule": [{"name": "a", "evidence": "e"}]}, ("rule", 0), "say above or below"),
        ({"rule": [{"name": "a", "evidence": "e", "above": 1}] * 2}, (), "two rules named 'a'"),
        ({"sink": [{"kind": "pager"}]}, ("sink", 0, "kind"), "command"),
        ({"sink": [{"kind": "http", "path": "x"}]}, ("sink", 0), "say 'url'"),
        ({"sink": [{"kind": "file", "path": "x", "severities": []}]}, ("sink", 0), "hears nothing"),
        ({"sink": [{"kind": "file", "path": "x"}, {"kind": "file", "path": "y"}]}, (), "two sinks named 'file'"),
    ],
)
def test_settings_that_are_wrong_name_the_key(raw: dict[str, Any], key: tuple[Any, ...], words: str) -> None:
    with pytest.raises(ValidationError, match=words) as caught:
        AlertSettings.model_validate(raw)
    assert caught.value.errors()[0]["loc"] == key


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[[rule]]\nname = "a"\nevidence = "e"\nabove = "x"', r"mine.toml \[\[rule\]\] a above: found 'x'"),
        ('[[rule]]\nname = "a"\nevidence = "e"\nabove = 1\nfor = 2', r"mine.toml \[\[rule\]\] a for: found 2"),
        ('[[rule]]\nname = "a"\nevidence = "e"', r"\[\[rule\]\] a: .*say above or below"),
        ('[[rule]]\nevidence = "e"\nabove = 1', r"\[\[rule\]\] number 1 name"),
        ("rule = 3", "mine.toml rule: found 3"),
        ("[[rule", "mine.toml: found .*wanted TOML"),
    ],
)
def test_a_rule_file_that_is_wrong_names_the_rule_and_the_key(text: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        rules_in(text, "mine.toml")


def test_an_alert_is_written_when_it_fires_and_when_it_is_over_and_not_between() -> None:
    ledger = Ledger([FALL])
    assert ledger.run(0, rate(0.05)) == []
    assert ledger.run(1, rate(0.01)) == ["alerted fall v1"]
    alerted = ledger.events[-1]
    assert alerted.detail | {"words": "", "why": ""} == {
        "rule": "fall",
        "severity": "critical",
        "since": on(1).isoformat(),
        "group": "g",
        "evidence": "rate",
        "words": "",
        "subjects": [""],
        "inhibited_by": "",
        "silenced_until": "",
        "why": "",
    }
    assert alerted.detail["words"].startswith("rate 0.01 (0.01 to 0.01) on 99 rows; the rule alerts on rate below 0.03")
    assert alerted.evidence == (rate(0.01),)
    assert ledger.run(1, rate(0.01)) == ledger.run(2, rate(0.01)) == ledger.run(3) == ledger.run(0, rate(0.9)) == []
    assert ledger.run(4, rate(0.05)) == ["resolved fall v1"]
    assert ledger.run(4, rate(0.05)) == []
    assert ledger.events[-2].detail == {"rule": "fall", "severity": "critical", "subjects": [""]}


def test_what_a_run_that_broke_off_did_not_write_the_next_one_does() -> None:
    ledger = Ledger([FALL])
    ledger.run(0, rate(0.01), crash_after=1)
    assert standing(ledger.events, "v1")["fall"].is_firing
    assert ledger.run(0, rate(0.01)) == ["alerted fall v1"]
    ledger.run(1, rate(0.05), crash_after=1)
    assert ledger.run(2, rate(0.05)) == ["resolved fall v1"]


def test_what_another_rule_muted_is_told_when_that_one_is_over() -> None:
    ledger = Ledger()
    assert ledger.run(0, rate(0.01)) == ["alerted fall v1", "alerted dip v1 muted by fall"]
    assert ledger.run(1, rate(0.01)) == []
    assert ledger.run(2, rate(0.035)) == ["alerted dip v1", "resolved fall v1"]
    assert ledger.run(3, rate(0.01)) == ["alerted fall v1"]
    assert ledger.run(4, rate(0.035)) == ["resolved fall v1"], "dip has been told before it was muted"


def test_a_silence_keeps_quiet_until_it_ends_and_only_on_its_version() -> None:
    ledger = Ledger([FALL])
    ledger.run(0, rate(0.01))
    ledger.add(Kind.SILENCED, until=on(2), detail={"rule": "fall"}, reason="looking into it")
    assert ledger.run(1, rate(0.01)) == ledger.run(2, rate(0.01)) == []
    act = AlertSettings(mode="act")
    assert rollback_asked(act, ledger.events[-1].detail["standing"], [FALL]) is None
    assert ledger.run(2, rate(0.01), version="v2") == ["alerted fall v2", "resolved fall v1"]
    assert ledger.events[-2].detail["silenced_until"] == ""
    assert ledger.run(3, rate(0.01)) == ["alerted fall v1", "resolved fall v2"]


def test_alerts_of_a_version_out_of_service_are_over() -> None:
    ledger = Ledger([FALL])
    ledger.add(Kind.SERVED, split={"v1": 0.5, "v2": 0.5})
    ledger.run(0, rate(0.01))
    assert ledger.run(0, rate(0.05), version="v2") == []
    ledger.add(Kind.SERVED, split={"v2": 1.0})
    assert ledger.run(1, rate(0.05), version="v2") == ["resolved fall v1"]
    assert ledger.events[-1].reason == "the version is no longer in service"
    assert firing(ledger.events) == {}


def test_many_subjects_make_one_alert_and_a_further_one_makes_another() -> None:
    ledger = Ledger([DIP])
    assert ledger.run(0, rate(0.01, "a"), rate(0.01, "b"), rate(0.9, "c")) == ["alerted dip v1"]
    assert ledger.events[-1].detail["subjects"] == ["a", "b"]
    assert ledger.run(1, rate(0.01, "a"), rate(0.9, "b"), rate(0.01, "c")) == ["alerted dip v1"]
    last = ledger.events[-1]
    assert (last.detail["subjects"], last.detail["evidence"]) == (["a", "c"], "rate[c]")
    assert [e.subject for e in last.evidence] == ["c", "a"]
    assert ledger.run(2, rate(0.9, "a"), rate(0.01, "b"), rate(0.01, "c")) == [], "b was told"
    assert ledger.run(3, *(rate(0.9, s) for s in "abc")) == ["resolved dip v1"]


def test_the_standing_is_plain_json_and_a_rule_that_is_gone_is_resolved() -> None:
    ledger = Ledger()
    ledger.run(0, rate(0.035))
    assert json.loads(json.dumps(ledger.events[0].detail)) == ledger.events[0].detail
    ledger.rules = [FALL]
    assert ledger.run(1, rate(0.035)) == ["resolved dip v1"]


@pytest.mark.parametrize(
    ("mode", "rule", "value", "asks"),
    [
        ("act", FALL, 0.01, True),
        ("advise", FALL, 0.01, False),
        ("observe", FALL, 0.01, False),
        ("act", FALL, 0.05, False),
        ("act", replace(FALL, action=""), 0.01, False),
        ("act", replace(FALL, for_days=2), 0.01, False),
        ("act", DIP, 0.01, False),
    ],
)
def test_only_a_firing_critical_rule_in_mode_act_asks_for_a_rollback(
    mode: Any, rule: Rule, value: float, asks: bool
) -> None:
    ledger = Ledger([rule])
    ledger.run(0, rate(value))
    found = rollback_asked(AlertSettings(mode=mode), ledger.events[0].detail["standing"], [rule])
    assert found == (rule if asks else None)


def test_an_inhibited_rule_does_not_ask_and_one_that_still_fires_does() -> None:
    stale = Rule("stale", "stale_days", above=2, inhibits=("fall",))
    ledger = Ledger([FALL, stale])
    act, old = AlertSettings(mode="act"), Evidence("stale_days", 9, 1, FIRST, "x", unit=Unit.DAYS)
    ledger.run(0, rate(0.01), old)
    assert rollback_asked(act, standing_left(ledger), ledger.rules) is None
    ledger.run(1, rate(0.01), replace(old, value=0))
    assert rollback_asked(act, standing_left(ledger), ledger.rules) == FALL
    ledger.run(2)
    assert rollback_asked(act, standing_left(ledger), ledger.rules) == FALL


def standing_left(ledger: Ledger) -> Any:
    return next(e.detail["standing"] for e in reversed(ledger.events) if e.kind is Kind.JUDGED)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([0.01, 0.035, 0.05]), st.integers(1, 5)), max_size=12))
def test_the_ledger_tells_what_the_state_says_whatever_a_crash_cut_off(days: list[tuple[float, int]]) -> None:
    ledger = Ledger()
    for day, (value, written) in enumerate(days):
        ledger.run(day, rate(value), crash_after=written)
    ledger.run(len(days), rate(0.035))
    after = standing(ledger.events, "v1")
    assert set(firing(ledger.events).get("v1", {})) == {a.rule for a in after.values() if a.is_firing}
    told = [
        Ledger.said(e) for e in ledger.events if e.kind in {Kind.ALERTED, Kind.RESOLVED} and e.detail["rule"] == "fall"
    ]
    assert all(one != other for one, other in zip(told, told[1:], strict=False)), "never the same twice in a row"


def test_a_replay_of_the_ledger_tells_what_the_monitor_told() -> None:
    ledger = Ledger()
    for day, value in enumerate([0.05, 0.01, 0.035, 0.05, 0.05]):
        ledger.run(day, rate(value))
    found = replay(RULES, monitored(ledger.events, "v1"))
    assert [(t.day, t.rule, t.what, t.muted) for t in found] == [
        (on(1), "fall", "alerted", False),
        (on(1), "dip", "alerted", True),
        (on(2), "dip", "alerted", False),
        (on(2), "fall", "resolved", False),
        (on(3), "dip", "resolved", False),
    ]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from([0.01, 0.035, 0.05]), max_size=15))
def test_a_replay_of_any_past_tells_what_the_monitor_told(values: list[float]) -> None:
    ledger = Ledger()
    told = [said.split()[:2] for day, value in enumerate(values) for said in ledger.run(day, rate(value))]
    assert [[t.what, t.rule] for t in replay(RULES, monitored(ledger.events, "v1"))] == told


def chance_of_two_low_days(low: float, days: int) -> float:
    """Return the chance of two low days in a row within some days, by the recursion over the last day."""
    quiet, after_low = 1.0, 0.0
    for _ in range(days):
        quiet, after_low = (quiet + after_low) * (1 - low), quiet * low
    return 1 - quiet - after_low


def healthy(seed: int) -> Iterator[tuple[date, list[Evidence]]]:
    """Yield 20 days of 14 leads of the best tenth, each converting with 5%."""
    for day, hits in enumerate(np.random.default_rng(seed).binomial(14, 0.05, 20)):
        yield on(day), [rate(hits / 14, name="daily_top_decile_rate")]


def test_the_seeds_two_day_rule_rolls_a_healthy_model_back_almost_surely_within_20_days() -> None:
    rules = [rule for rule in rules_of(AlertSettings(rules="seeds")) if rule.name == "seed_001_top_decile"]
    wanted = chance_of_two_low_days((1 - 0.05) ** 14, 20)
    assert wanted == pytest.approx(0.98, abs=0.005)
    one, everything = budget(rules, healthy, 400)
    assert one.share_of_runs.low <= wanted <= one.share_of_runs.high
    assert (one.days, everything.alerts) == (400 * 20, one.alerts)
    assert one.per_month.low > 3, "each of them false"


def test_the_budget_counts_each_rule_and_all_together_with_garwoods_interval() -> None:
    def simulate(seed: int) -> Iterator[tuple[date, list[Evidence]]]:
        yield on(0), [rate(0.01 if seed == 0 else 0.05)]
        yield on(364), [rate(0.05)]

    fall, dip, everything = budget(RULES, simulate, 4)
    assert (fall.alerts, dip.alerts, everything.alerts, fall.days) == (1, 0, 1, 4 * 365)
    years = 4 * 365 / 365.25
    assert [round(n * years, 3) for n in fall.per_year[:3]] == [1.0, 0.025, 5.572]
    assert [round(n * years * 12, 3) for n in dip.per_month[:3]] == [0.0, 0.0, 3.689 * 12 / 12]
    assert (fall.share_of_runs.value, everything.rule) == (0.25, "")
    with pytest.raises(ValueError, match="no day"):
        budget(RULES, lambda _: [], 3)
