"""What is retained of a history says the same as all of it: in every fold, today and after whatever comes next."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foregate.core.alerting import MONITOR, firing, silences, standing
from foregate.core.compaction import LASTING, retained
from foregate.core.event import Entry, Event, Kind, seal
from foregate.core.folds import champion, policy, readers, served, versions
from foregate.core.gate import Effect, Gate, Judgement, Result
from foregate.core.rollout import (
    Plan,
    Stage,
    Step,
    active,
    champion_at,
    generation,
    good_versions,
    pointer,
    quarantined,
    roles,
    rollouts,
)

NOON = datetime(2025, 10, 31, 12, tzinfo=UTC)
DAY = NOON.date()
VERSIONS, RULES, PHASES = ("v1", "v2", "v3"), ("psi", "harm"), ("train", "package", MONITOR, "probe")
PLANS = [asdict(plan) for plan in (Plan(), Plan((Step(0.0, 7), Step(0.1, 14)), signatures=1))]
RESULTS = list(Result)


class History:
    """A ledger's events, written one after the other as Foregate writes them; `number` picks what they say."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.rollouts: list[tuple[int, str]] = []

    def add(self, kind: Kind, version: str, hours: int, number: int) -> None:
        changes = getattr(self, f"_{kind}", self._plain)(version, number)
        event = Event(kind, NOON + timedelta(hours=hours), "leads", changes.pop("version", version), "sam", **changes)
        previous = self.entries[-1].digest if self.entries else ""
        self.entries.append(seal(event, len(self.entries) + 1, previous))
        if kind is Kind.MOVED and event.detail["stage"] == Stage.PLANNED:
            self.rollouts.append((len(self.entries), event.version))

    def _plain(self, _version: str, _number: int) -> dict[str, Any]:
        return {}

    def _started(self, _version: str, number: int) -> dict[str, Any]:
        if number % 3:
            return {"phase": PHASES[number % len(PHASES)]}
        gates = {"train.m": {**asdict(Gate("m", at_least=number % 7)), "effect": "block"}}
        return {"detail": {"phases": PHASES[:2], "gates": gates}}

    def _judged(self, _version: str, number: int) -> dict[str, Any]:
        phase = MONITOR if number % 2 else PHASES[number // 2 % len(PHASES)]
        found = Judgement(Gate("m", at_least=1, effect=list(Effect)[number % 3]), RESULTS[number % 5])
        more = {"key": "k"} if number % 11 == 0 else {"stage": "sunset"} if number % 13 == 0 else {}
        state = {"psi": {"rule": "psi", "run": number}}
        return {"phase": phase, "judgements": (found,), "detail": {"as_of": "2025-10-31", "standing": state, **more}}

    def _failed(self, _version: str, number: int) -> dict[str, Any]:
        return {"phase": PHASES[number % len(PHASES)], "reason": f"reason {number}"}

    def _waived(self, _version: str, number: int) -> dict[str, Any]:
        gate = ("m", "gates_loosened")[number % 2]
        return {"until": DAY + timedelta(days=number % 3 - 1), "detail": {"gate": gate}}

    def _opened(self, _version: str, number: int) -> dict[str, Any]:
        return {"detail": {"window": f"2025-0{1 + number % 5}-01..2025-0{2 + number % 5}-01"}}

    def _served(self, version: str, number: int) -> dict[str, Any]:
        other = VERSIONS[number % len(VERSIONS)]
        split = None if number % 5 == 0 else {version: 1.0} if other == version else {version: 0.25, other: 0.75}
        return {"split": split, **(self._of_rollout(number) if self.rollouts and number % 2 else {})}

    def _moved(self, version: str, number: int) -> dict[str, Any]:
        if self.rollouts and number % 4:
            return self._of_rollout(number)
        return {"detail": {"stage": str(Stage.PLANNED), "plan": PLANS[number % 2], "champion": None, "key": "start"}}

    def _of_rollout(self, number: int) -> dict[str, Any]:
        began, version = self.rollouts[number % len(self.rollouts)]
        stage = list(Stage)[1:][number % (len(Stage) - 1)]
        return {"version": version, "detail": {"rollout": began, "stage": str(stage), "share": number % 3 / 10}}

    def _alerted(self, _version: str, number: int) -> dict[str, Any]:
        more = {"inhibited_by": "harm"} if number % 3 == 0 else {"key": "k"} if number % 17 == 0 else {}
        return {"detail": {"rule": RULES[number % 2], "severity": "warning", "subjects": [f"s{number % 4}"], **more}}

    def _resolved(self, _version: str, number: int) -> dict[str, Any]:
        return {"detail": {"rule": RULES[number % 2], "severity": "warning"}}

    def _silenced(self, _version: str, number: int) -> dict[str, Any]:
        return {"until": DAY + timedelta(days=number % 3 - 1), "detail": {"rule": RULES[number % 2]}}


LIKELY = [*Kind, *[Kind.JUDGED] * 9, *[Kind.STARTED] * 2, *[Kind.ALERTED, Kind.RESOLVED] * 3, *[Kind.MOVED] * 2]


# Drawn step by step, histories would seldom be dense enough to hold what supersedes what.
HISTORIES = st.tuples(st.integers(0, 120), st.integers(0, 2**32))


def written(steps: int, seed: int) -> list[Entry]:
    chance = Random(seed)
    jitter, versions_used = chance.choice([0, 3, 90]), VERSIONS[: chance.randint(1, 3)]
    history = History()
    for step in range(steps):
        hours = step + chance.randint(-jitter, jitter)
        history.add(chance.choice(LIKELY), chance.choice(versions_used), hours, chance.randrange(999))
    return history.entries


def said(entries: Sequence[Entry], moments: Sequence[datetime]) -> dict[str, Any]:
    """Everything that Foregate reads off a ledger."""
    events = [entry.event for entry in entries]
    found = versions(events, DAY)
    return {
        "versions": list(found.items()),
        "phases in order": [list(state.phases) for state in found.values()],
        "served": served(events),
        "champion": champion(events),
        "policy": policy(events),
        "readers": readers(events, "2025-02-10..2025-04-10"),
        "rollouts": rollouts(entries),
        "active": active(entries),
        "generation": generation(entries),
        "pointer": pointer(entries),
        "good": good_versions(entries),
        "quarantined": quarantined(entries),
        "roles": roles(entries, VERSIONS),
        "champion at": [champion_at(entries, moment) for moment in moments],
        "firing": firing(events),
        "what fires": {v: {r: alert.event for r, alert in rules.items()} for v, rules in firing(events).items()},
        "silences": [silences(events, DAY, version) for version in (None, *VERSIONS)],
        "standing": [standing(events, version) for version in VERSIONS],
        "keys": [e.sequence for e in entries if "key" in e.event.detail],
        "last of each rule": last_of_rule(entries),
        "last": entries[-1:],
    }


def last_of_rule(entries: Sequence[Entry]) -> dict[str, int]:
    kinds = (Kind.ALERTED, Kind.RESOLVED, Kind.SILENCED)
    return {e.event.detail["rule"]: e.sequence for e in entries if e.event.kind in kinds}


@settings(max_examples=50, deadline=None)
@given(HISTORIES)
def test_every_fold_says_the_same_of_what_is_retained(history: tuple[int, int]) -> None:
    entries = written(*history)
    moments = [entry.event.at for entry in entries[::5]]
    assert said(retained(entries), moments) == said(entries, moments)


@settings(max_examples=50, deadline=None)
@given(HISTORIES, st.lists(st.integers(0, 120), max_size=3))
def test_what_is_retained_may_be_added_to_and_retained_again(history: tuple[int, int], cuts: list[int]) -> None:
    entries = written(*history)
    moments = [entry.event.at for entry in entries[::5]]
    kept: list[Entry] = []
    for start, end in pairwise([0, *sorted(min(cut, len(entries)) for cut in cuts), len(entries)]):
        kept = retained([*kept, *entries[start:end]])
    assert said(kept, moments) == said(entries, moments)
    assert [e.sequence for e in kept] == sorted({e.sequence for e in kept})


@settings(max_examples=30, deadline=None)
@given(HISTORIES)
def test_events_of_a_kind_that_lasts_all_stay(history: tuple[int, int]) -> None:
    entries = written(*history)
    lasting = [e for e in entries if e.event.kind in LASTING]
    assert [e for e in retained(entries) if e.event.kind in LASTING] == lasting


def run(kind: Kind, hours: int, **changes: Any) -> Event:
    return Event(kind, NOON + timedelta(hours=hours), "leads", "v1", "cron", **changes)


def chained(events: Sequence[Event]) -> list[Entry]:
    entries: list[Entry] = []
    for place, event in enumerate(events, 1):
        entries.append(seal(event, place, entries[-1].digest if entries else ""))
    return entries


def places(events: Sequence[Event]) -> list[int]:
    return [entry.sequence for entry in retained(chained(events))]


@pytest.mark.parametrize("hours", [100, 1000])
def test_years_of_monitoring_and_alerts_come_down_to_a_handful(hours: int) -> None:
    events = [run(Kind.STARTED, 0, detail={"phases": ["train"]})]
    for hour in range(hours):
        events.append(run(Kind.JUDGED if hour % 7 else Kind.FAILED, hour, phase=MONITOR))
        events.append(run(Kind.RESOLVED if hour % 2 else Kind.ALERTED, hour, phase=MONITOR, detail={"rule": "psi"}))
    assert len(places(events)) == 7


def test_a_version_that_starts_over_is_monitored_anew() -> None:
    monitors = [run(Kind.JUDGED, hours, phase=MONITOR) for hours in range(5)]
    start = run(Kind.STARTED, 5, detail={"phases": ["train"]})
    assert places([*monitors, start]) == [4, 5, 6]
    assert places([*monitors, start, *monitors]) == [6, 7, 10, 11]


def test_of_a_rule_the_last_episode_stays_and_all_that_is_open() -> None:
    def alert(kind: Kind, version: str, rule: str = "psi") -> Event:
        return replace(run(kind, 0, detail={"rule": rule}), version=version)

    first = [alert(Kind.ALERTED, "v1"), alert(Kind.ALERTED, "v1"), alert(Kind.RESOLVED, "v1")]
    assert places(first) == [1, 2, 3]
    assert places([*first, alert(Kind.ALERTED, "v2")]) == [1, 2, 3, 4]
    assert places([*first, alert(Kind.ALERTED, "v2"), alert(Kind.RESOLVED, "v2")]) == [4, 5]
    assert places([*first, alert(Kind.ALERTED, "v2"), alert(Kind.RESOLVED, "v1", "harm")]) == [1, 2, 3, 4, 5]
    assert places([alert(Kind.ALERTED, "v2"), *first, *first]) == [1, 5, 6, 7]


def test_a_clock_that_was_ahead_is_remembered_by_the_entry_that_was() -> None:
    monitors = [run(Kind.JUDGED, hours, phase=MONITOR) for hours in (1, 900, 2, 3, 4)]
    entries = chained([*monitors, run(Kind.SERVED, 5, split={"v1": 1.0}), run(Kind.JUDGED, 6, phase=MONITOR)])
    assert 2 in {e.sequence for e in retained(entries)}
    for hours in (5, 899, 900):
        moment = NOON + timedelta(hours=hours)
        assert champion_at(retained(entries), moment) == champion_at(entries, moment)


def test_an_attempt_that_was_started_over_leaves_its_starts_and_what_was_no_phase_of_its_walk() -> None:
    start = {"detail": {"phases": ["train"], "gates": {}}}
    events = [
        run(Kind.STARTED, 0, **start),
        run(Kind.STARTED, 1, phase="train"),
        run(Kind.JUDGED, 2, phase="train"),
        run(Kind.JUDGED, 3, phase="probe"),
        run(Kind.FAILED, 4, phase="train"),
        run(Kind.STARTED, 5, **start),
        run(Kind.JUDGED, 6, phase="train"),
    ]
    assert [e.sequence for e in retained(chained(events))] == [1, 2, 4, 6, 7]


def test_nothing_is_retained_of_nothing() -> None:
    assert retained([]) == []
