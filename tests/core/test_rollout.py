"""Folds of rollouts: what stands where, who was champion, whom a share serves; each from the events alone."""

from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foregate.core.event import Entry, Event, Kind, seal
from foregate.core.rollout import (
    ENDED,
    IN_TRAFFIC,
    NEXT,
    Part,
    Plan,
    Role,
    Stage,
    Step,
    active,
    bucket,
    champion_at,
    generation,
    good_versions,
    moment_of,
    parts_of,
    pointer,
    quarantined,
    roles,
    rollouts,
    threshold,
)

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
STAGED = Plan((Step(0.0, 7), Step(0.1, 14), Step(0.5, 30)), bake_days=7)


class Told:
    """Events of rollouts as the engine writes them, an hour apart unless told otherwise."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.now = NOON

    def say(self, kind: Kind, version: str, split: dict[str, float] | None = None, **detail: Any) -> int:
        event = Event(kind, self.now, "leads", version, "Ada", split=split, detail=detail)
        self.entries.append(seal(event, len(self.entries) + 1, ""))
        self.now += timedelta(hours=1)
        return len(self.entries)

    def planned(self, version: str, champion: str | None = None, plan: Plan = STAGED) -> int:
        return self.say(Kind.MOVED, version, stage="planned", plan=asdict(plan), champion=champion, share=0.0)

    def moved(self, began: int, stage: Stage, **more: Any) -> int:
        return self.say(Kind.MOVED, self.version(began), rollout=began, stage=str(stage), **more)

    def served(self, began: int, stage: Stage, split: dict[str, float] | None, **more: Any) -> int:
        return self.say(Kind.SERVED, self.version(began), split, rollout=began, stage=str(stage), **more)

    def version(self, began: int) -> str:
        return self.entries[began - 1].event.version

    def released(self, version: str, champion: str | None = None) -> int:
        began = self.planned(version, champion)
        self.served(began, Stage.PROMOTING, {version: 1.0}, share=1.0)
        self.moved(began, Stage.BAKING)
        self.moved(began, Stage.COMPLETED)
        return began

    def back(self, began: int, split: dict[str, float] | None, **more: Any) -> None:
        self.served(began, Stage.ROLLING_BACK, split, share=0.0, leaves=self.version(began), **more)
        self.moved(began, Stage.ROLLED_BACK)


@pytest.fixture
def told() -> Told:
    return Told()


# The plan and the machine.


@pytest.mark.parametrize("shares", [(0.1, 0.1), (0.5, 0.1), (1.0,), (-0.1,), (0.1, float("nan"))])
def test_a_plan_whose_shares_do_not_rise_below_one_is_refused(shares: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="shares must rise"):
        Plan(tuple(Step(share, 1) for share in shares))


def test_a_plan_comes_back_from_its_text_and_any_change_has_another_digest() -> None:
    assert Plan.from_json(asdict(STAGED)) == STAGED
    others = [Plan(), Plan(STAGED.steps), Plan((Step(0.0, 8), *STAGED.steps[1:]), bake_days=7)]
    assert len({STAGED.digest, *(other.digest for other in others)}) == 4


@given(st.lists(st.integers(0, 99), unique=True, max_size=6).map(sorted))
def test_the_steps_of_a_plan_lead_to_full_traffic_each_once(cents: list[int]) -> None:
    plan, share, walked = Plan(tuple(Step(c / 100, 1) for c in cents)), None, []
    while True:
        stage, share = plan.after(share)
        walked.append((stage, share))
        if stage is Stage.PROMOTING:
            break
    assert [s for _, s in walked] == [c / 100 for c in cents] + [1.0]
    assert [stage for stage, _ in walked[:-1]] == [Stage.CANARY if c else Stage.SHADOW for c in cents]


def test_the_machine_ends_only_where_it_says_and_goes_back_from_all_traffic() -> None:
    assert {stage for stage, following in NEXT.items() if not following} == ENDED - {Stage.COMPLETED}
    assert all(Stage.ROLLING_BACK in NEXT[stage] for stage in (*IN_TRAFFIC, Stage.HELD, Stage.UNVERIFIED))
    touched = {Stage.CANARY, Stage.PROMOTING, Stage.BAKING, Stage.COMPLETED}
    assert all(Stage.REJECTED not in NEXT[stage] for stage in touched)
    assert all(Stage.ROLLING_BACK not in NEXT[stage] for stage in (Stage.PLANNED, Stage.AWAITS, Stage.SHADOW))


# Rollouts.


def test_a_rollout_is_what_its_last_event_left(told: Told) -> None:
    told.released("v1")
    began = told.planned("v2", "v1")
    told.moved(began, Stage.SHADOW, share=0.0, criterion="not_worse")
    told.served(began, Stage.CANARY, {"v1": 0.9, "v2": 0.1}, share=0.1)
    told.say(Kind.JUDGED, "v2")
    (first, second) = rollouts(told.entries)
    assert (first.stage, first.share, first.champion, first.is_open) == (Stage.COMPLETED, 1.0, None, False)
    assert (second.stage, second.share, second.champion, second.plan) == (Stage.CANARY, 0.1, "v1", STAGED)
    assert (second.began, second.salt, second.criterion) == (began, f"{second.plan.digest}:{began}", "not_worse")
    assert second.served_at == told.entries[began + 1].event.at
    assert active(told.entries) == second
    assert generation(told.entries) == began + 2
    assert pointer(told.entries) == told.entries[began + 1]


def test_held_or_asked_again_a_stage_was_entered_once_and_a_bigger_share_anew(told: Told) -> None:
    began = told.planned("v2", "v1")
    first = told.served(began, Stage.CANARY, {"v1": 0.9, "v2": 0.1}, share=0.1)
    told.moved(began, Stage.HELD)
    told.moved(began, Stage.HELD)
    held = rollouts(told.entries)[0]
    assert (held.stage, held.held_in, held.share) == (Stage.HELD, Stage.CANARY, 0.1)
    told.moved(began, Stage.CANARY)
    again = rollouts(told.entries)[0]
    assert (again.stage, again.entered) == (Stage.CANARY, told.entries[first - 1].event.at)
    more = told.served(began, Stage.CANARY, {"v1": 0.5, "v2": 0.5}, share=0.5)
    assert rollouts(told.entries)[0].entered == told.entries[more - 1].event.at
    assert rollouts(told.entries)[0].served_at == told.entries[first - 1].event.at


def test_rollbacks_by_a_rule_are_counted_and_those_by_a_person_are_not(told: Told) -> None:
    told.released("v1")
    one, other = told.released("v2", "v1"), told.released("v3", "v2")
    told.back(other, {"v2": 1.0}, rule="")
    told.back(one, {"v1": 1.0}, rule="harm")
    assert [r.automatic for r in rollouts(told.entries)] == [0, 1, 0]


# What to go back to, and who is what.


def test_what_was_rolled_back_withdrawn_or_packed_away_is_nothing_to_go_back_to(told: Told) -> None:
    told.say(Kind.SERVED, "v0", {"v0": 1.0})
    assert good_versions(told.entries) == ["v0"]
    began = [told.released(v) for v in ("v1", "v2", "v3")]
    assert good_versions(told.entries) == ["v3", "v2", "v1", "v0"]
    told.back(began[2], {"v2": 1.0})
    assert (good_versions(told.entries), quarantined(told.entries)) == (["v2", "v1", "v0"], {"v3"})
    told.say(Kind.MOVED, "v0", stage="sunset", leaves="v0")
    assert good_versions(told.entries) == ["v2", "v1"]
    told.released("v3", "v2")
    assert (good_versions(told.entries), quarantined(told.entries)) == (["v3", "v2", "v1"], set())
    told.back(began[1], {"v1": 1.0}, unseen=True)
    assert (good_versions(told.entries), quarantined(told.entries)) == (["v3", "v1"], set())


def test_every_version_has_its_role(told: Told) -> None:
    names = [f"v{n}" for n in range(7)]
    began = [told.released(v) for v in names[:5]]
    told.say(Kind.MOVED, "v0", stage="sunset", leaves="v0")
    told.back(began[4], {"v3": 1.0})
    told.planned("v5", "v3")
    found = roles(told.entries, names)
    wanted = (Role.SUNSET, Role.RETIRED, Role.STANDBY, Role.CHAMPION, Role.QUARANTINED, Role.CHALLENGER, Role.CANDIDATE)
    assert tuple(found.values()) == wanted


def test_after_a_withdrawal_nobody_is_champion(told: Told) -> None:
    began = told.released("v1")
    told.back(began, None)
    at = pointer(told.entries)
    assert at is not None
    assert at.event.split is None
    assert roles(told.entries, ["v1"]) == {"v1": Role.QUARANTINED}
    assert good_versions(told.entries) == []


# Time.


@given(st.lists(st.tuples(st.integers(-3, 3), st.booleans()), max_size=15))
@settings(max_examples=50, deadline=None)
def test_moments_never_run_back_and_who_was_champion_is_one_answer(steps: list[tuple[int, bool]]) -> None:
    told = Told()
    for n, (hours, serves) in enumerate(steps):
        told.now += timedelta(hours=hours - 1)
        told.say(Kind.SERVED if serves else Kind.JUDGED, f"v{n}", {f"v{n}": 1.0} if serves else None)
    moments = [m for _, m in moment_of(told.entries)]
    assert all(a <= b for a, b in pairwise(moments))
    for when in {m + timedelta(minutes=d) for m in moments for d in (-1, 0, 1)}:
        upto = [e for e, m in zip(told.entries, moments, strict=True) if m <= when and e.event.kind is Kind.SERVED]
        assert champion_at(told.entries, when) == (upto[-1] if upto else None)
    assert champion_at(told.entries, moments[-1] if moments else NOON) == pointer(told.entries)
    assert champion_at(told.entries, NOON - timedelta(days=99)) is None


# Shares of people.


def served_with(share: float) -> Event:
    return Event(Kind.SERVED, NOON, "leads", "v2", "Ada", split={"v1": 1 - share, "v2": share})


def arms(share: float, units: range) -> Iterator[str]:
    parts = parts_of(served_with(share), {"v1": "a", "v2": "b"})
    for unit in units:
        (found,) = [p.version for p in parts if p.start <= bucket("salt", unit) < p.end]
        yield found


def test_a_split_has_a_part_for_each_version_and_whole_traffic_one() -> None:
    assert parts_of(served_with(0.25), {"v1": "a", "v2": "b"}) == (
        Part("v2", "b", "00000000", "40000000"),
        Part("v1", "a", "40000000", "g"),
    )
    assert parts_of(served_with(1.0), {"v1": "a", "v2": "b"}) == (Part("v2", "b", "00000000", "g"),)
    assert parts_of(Event(Kind.SERVED, NOON, "leads", "v2", "Ada"), {}) == ()


@given(st.lists(st.floats(0.001, 0.999), min_size=2, max_size=4).map(sorted))
@settings(max_examples=40, deadline=None)
def test_everybody_has_one_arm_and_the_challengers_people_stay_its_own(shares: list[float]) -> None:
    units = range(400)
    before: set[int] = set()
    for share in shares:
        now = {u for u, arm in zip(units, arms(share, units), strict=True) if arm == "v2"}
        assert before <= now
        assert abs(len(now) / 400 - share) < 0.13  # five standard errors
        before = now


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_bigger_share_has_a_later_bucket(one: float, other: float) -> None:
    assert (threshold(one) <= threshold(other)) or one > other
    assert len(threshold(min(one, 0.999))) == 8


def test_another_rollout_draws_other_people() -> None:
    drawn = [{u for u in range(2000) if bucket(salt, u) < threshold(0.1)} for salt in ("v2:5", "v2:9")]
    assert 2 < len(drawn[0] & drawn[1]) < 45  # 20 expected by chance
