"""What a rollout does when something it needs is not there: bytes, tables, the warehouse, room on disk, the time."""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from tests.lifecycle.rolling import CANARY, STAGED, Crash, Full, Life, World, agreed, last

from foregate.core.errors import DataError, ForegateError, NotAllowedError, OutsideError
from foregate.core.event import Entry, Kind
from foregate.core.rollout import (
    Plan,
    Role,
    Stage,
    Step,
    champion_at,
    generation,
    pointer,
    quarantined,
    roles,
    rollouts,
)
from foregate.lifecycle import retire
from foregate.lifecycle.store import Store

V1, V2 = {"v1": 1.0}, {"v2": 1.0}
SIGNED = Plan((Step(0.3, 0),), signatures=2, author_signs=False)
NAMES = ("v1", "v2", "v3")


@pytest.fixture
def world(url: str, opened: Callable[[str], Store], tmp_path: Path) -> World:
    return World(opened(url), tmp_path)


@pytest.fixture
def quick(opened: Callable[[str], Store], tmp_path: Path) -> World:
    """A world whose ledger is SQLite: for what does not depend on the store."""
    return World(opened(f"sqlite:///{tmp_path / 'quick.sqlite'}"), tmp_path)


# 7 to 10. What is to serve is not there, or the warehouse is not.


@pytest.mark.parametrize("fault", ["broken", "cold"])
def test_nothing_is_promoted_over_a_version_that_could_not_be_gone_back_to(quick: World, fault: str) -> None:  # 7, 8
    quick.released("v1")
    quick.trained("v2")
    for version in ("v1", "v2"):
        getattr(quick.service, fault).add(version)
        with pytest.raises(NotAllowedError, match="standby_faults"):
            quick.rollouts().promote("v2")
        getattr(quick.service, fault).clear()
    assert agreed(quick) == V1
    assert [r.version for r in rollouts(quick.entries())] == ["v1"]


def test_a_rollback_passes_over_good_versions_that_are_not_intact(quick: World) -> None:  # 7
    quick.released("v0", "v1", "v2")
    quick.service.broken = {"v1"}
    assert "v0 is in service again" in quick.rollouts().rollback("harm").words
    assert agreed(quick) == {"v0": 1.0}
    quick.service.broken = {"v1", "v2", "v0"}
    with pytest.raises(NotAllowedError, match="--withdraw"):
        quick.rollouts().rollback("harm", "v0")
    assert agreed(quick) == {"v0": 1.0}


@pytest.mark.parametrize("fault", ["publish", "after publish", "probe"])
def test_a_rollback_without_its_warehouse_is_recorded_and_finished_later(world: World, fault: str) -> None:  # 9
    world.released("v1", "v2")
    world.service.down = {fault}
    outcome = world.rollouts().rollback("harm")
    assert outcome.rollout is not None
    assert (outcome.rollout.stage, world.split) == (Stage.UNVERIFIED, V1)
    length = len(world.entries())
    assert "could not be shown" in world.rollouts().rollback("harm").words
    assert world.rollouts().lapse() is None
    if fault != "probe":
        assert "could not be shown" in world.rollouts().reconcile()[0]
    assert len(world.entries()) == length
    world.service.down = set()
    world.rollouts().reconcile()
    assert (agreed(world), last(world).stage) == (V1, Stage.ROLLED_BACK)


@pytest.mark.parametrize("fault", ["warm", "ready", "publish", "after publish", "probe"])
def test_a_promotion_without_its_warehouse_moves_nothing(quick: World, fault: str) -> None:  # 9
    quick.released("v1")
    quick.plan = CANARY
    quick.trained("v2")
    since = fault if fault in ("warm", "ready") else "publish"
    quick.service.meanwhile = lambda name: quick.service.down.update({fault} if name == since else set())
    with pytest.raises(OutsideError):
        quick.rollouts().promote("v2")
    assert quick.split == V1
    quick.service.meanwhile, quick.service.down = lambda _name: None, set()
    quick.rollouts().reconcile()
    assert agreed(quick) == V1
    assert "v2" not in quarantined(quick.entries())


# 11. Clocks.


def test_a_clock_set_back_keeps_the_order_and_shortens_no_wait(quick: World) -> None:
    quick.released("v1")
    quick.plan = STAGED
    quick.trained("v2")
    noon = quick.clock.now
    assert quick.rollouts().promote("v2").moved
    quick.clock.now = noon - timedelta(hours=1)
    assert "days more" in quick.rollouts().promote("v2").words
    quick.rollouts().hold("an hour ago")
    assert last(quick).entered == noon
    quick.rollouts().resume("go on")
    quick.clock.now = noon + timedelta(days=2) - timedelta(hours=1)
    assert not quick.rollouts().promote("v2").moved
    quick.clock.now += timedelta(hours=1)
    assert quick.rollouts().promote("v2").moved
    quick.clock.now = noon - timedelta(days=300)
    quick.rollouts().rollback("harm")
    at = champion_at(quick.entries(), noon + timedelta(days=2))
    assert at == pointer(quick.entries())
    assert agreed(quick) == V1


def test_a_wait_over_the_change_of_summer_time_is_as_long_as_planned(quick: World) -> None:
    quick.released("v1")
    quick.plan = STAGED
    quick.trained("v2")
    vienna = ZoneInfo("Europe/Vienna")
    quick.clock.now = datetime(2026, 3, 28, 12, tzinfo=vienna)
    assert quick.rollouts().promote("v2").moved
    quick.clock.now = datetime(2026, 3, 30, 12, 59, tzinfo=vienna)  # 47 hours and 59 minutes
    assert not quick.rollouts().promote("v2").moved
    quick.clock.now = datetime(2026, 3, 30, 13, tzinfo=vienna)
    assert quick.rollouts().promote("v2").moved


def test_labels_dated_after_today_stop_the_verdict_and_nobody_may_accept_them(quick: World) -> None:
    quick.released("v1")
    quick.plan = Plan((Step(0.1, 0),))
    quick.trained("v2")
    quick.rollouts().promote("v2")
    quick.service.moods["future_labels"] = "bad"
    quick.waived("v2", "future_labels")
    with pytest.raises(NotAllowedError, match="future_labels fail.*can not be waived"):
        quick.rollouts().promote("v2")
    assert agreed(quick) == {"v1": 0.9, "v2": 0.1}


# 21 to 23.


def test_a_first_release_has_nothing_to_go_back_to_unless_it_is_withdrawn(quick: World) -> None:  # 21
    quick.released("v1")
    with pytest.raises(NotAllowedError, match="no good version before it.*--withdraw"):
        quick.rollouts().rollback("harm")
    assert agreed(quick) == V1
    quick.rollouts().rollback("harm", withdraw=True)
    assert agreed(quick) == {}
    assert quick.readers.version_of(1) is None
    assert "nothing is in service" in quick.rollouts().rollback("harm", withdraw=True).words
    quick.released("v2")
    assert agreed(quick) == V2


def test_another_candidate_waits_until_the_canary_has_ended(quick: World) -> None:  # 23
    quick.released("v1")
    quick.plan = CANARY
    quick.trained("v2")
    quick.rollouts().promote("v2")
    quick.trained("v3")
    with pytest.raises(NotAllowedError, match=r"v2, canary since .*moved by Ada.*evidence is not the other's"):
        quick.rollouts().promote("v3")
    assert agreed(quick) == {"v1": 0.9, "v2": 0.1}


# What broke an invariant once, and stays told.


@pytest.mark.parametrize("plan", [STAGED, SIGNED])
def test_a_version_taken_out_does_not_come_back_beside_the_one_that_was_to_follow_it(quick: World, plan: Plan) -> None:
    quick.released("v1", "v2")  # 12
    quick.plan = plan
    quick.trained("v3")
    with suppress(NotAllowedError):
        quick.rollouts().promote("v3")
    quick.signed("v3", "Grace")
    quick.signed("v3", "Linus")
    assert last(quick).stage in (Stage.SHADOW, Stage.AWAITS)
    quick.rollouts().rollback("harm", rule="harm")
    quick.clock.tick(days=3)
    with pytest.raises(NotAllowedError, match="v2"):
        quick.rollouts().promote("v3")
    assert agreed(quick) == V1
    quick.rollouts().reject("v2 is gone")
    assert last(quick).stage is Stage.REJECTED


def test_asking_again_makes_no_judgement_younger(quick: World) -> None:  # 7
    quick.released("v1")
    quick.trained("v2")
    quick.clock.tick(days=200)
    for _ in range(3):
        with pytest.raises(NotAllowedError, match="judgement_age_days fail at 200"):
            quick.rollouts().promote("v2")


def test_an_undone_step_leaves_readers_with_what_they_had_when_nothing_else_is_intact(quick: World) -> None:  # 1
    quick.released("v1")
    quick.trained("v2")
    service = quick.service
    service.meanwhile = lambda name: service.broken.add("v1") if name == "publish" else None
    service.down = {"publish"}
    with pytest.raises(OutsideError):
        quick.rollouts().promote("v2")
    service.meanwhile, service.down = lambda _name: None, set()
    quick.rollouts().reconcile()
    assert quick.split == quick.readers.split
    assert quick.split in ({"v1": 1.0}, {"v2": 1.0})


@pytest.mark.parametrize("mood", ["bad", "unsure", "nan", "missing", "error"])
@pytest.mark.parametrize("name", ["drill_faults", "parity_unscored", "harm_e_value", "critical_alerts"])
def test_what_is_missing_late_or_unsure_is_no_pass(quick: World, name: str, mood: str) -> None:  # 11
    quick.released("v1")
    quick.plan = STAGED
    quick.trained("v2")
    stops = {"drill_faults": 0, "parity_unscored": 1, "harm_e_value": 2, "critical_alerts": 4}[name]
    for _ in range(stops):
        assert quick.rollouts().promote("v2").moved
        quick.clock.tick(days=3)
    quick.service.moods[name] = mood
    quick.waived("v2", name)
    seen = generation(quick.entries())
    with pytest.raises(ForegateError):
        quick.rollouts().promote("v2")
    assert generation(quick.entries()) == seen


@pytest.mark.parametrize(("verb", "words"), [("promote", {"version": "v3"}), ("rollback", {"reason": "harm"})])
def test_nothing_moves_without_its_row(quick: World, verb: str, words: dict[str, str]) -> None:
    for rows in range(8):
        one = World(quick.store, quick.readers.file.parent, f"full_{rows}")
        one.released("v1", "v2")
        one.trained("v3")
        mover = one.rollouts()
        mover.ledger = Full(one.store, rows)  # type: ignore[assignment]
        try:
            getattr(mover, verb)(**words)
        except OutsideError:
            shown = {e.sequence for e in one.service.published}
            assert shown <= {e.sequence for e in one.entries() if e.event.kind is Kind.SERVED}
            one.rollouts().reconcile()
        assert agreed(one) in ({"v2": 1.0}, {"v3": 1.0} if verb == "promote" else {"v1": 1.0})


def test_a_version_is_not_packed_away_without_its_row(quick: World) -> None:  # 19
    quick.plan = Plan(retention_days=0)
    quick.released("v1", "v2", "v3")
    mover = quick.rollouts()
    mover.ledger = Full(quick.store, 0)  # type: ignore[assignment]
    with pytest.raises(OutsideError):
        retire.sunset(mover, "v1", "gone")
    assert not quick.service.archived
    with pytest.raises(Crash):
        retire.sunset(quick.rollouts(Life(lambda point: point == "archived")), "v1", "gone")
    retire.sunset(quick.rollouts(), "v1", "gone")
    assert quick.service.archived == {"v1"}
    assert roles(quick.entries(), NAMES)["v1"] is Role.SUNSET


def test_a_version_whose_tables_a_view_reads_is_not_packed_away(quick: World) -> None:  # case 22
    quick.plan = Plan(retention_days=0)
    quick.released("v1", "v2", "v3")
    quick.service.views["v1"] = "crm.best_leads"
    with pytest.raises(NotAllowedError, match=r"crm\.best_leads"):
        retire.sunset(quick.rollouts(), "v1", "gone")
    for version in ("v2", "v3"):
        with pytest.raises(NotAllowedError, match="goes back to|in service"):
            retire.sunset(quick.rollouts(), version, "gone")
    assert not quick.service.archived


def test_a_version_is_kept_for_the_plans_days_from_when_it_left_the_traffic(quick: World) -> None:
    quick.plan = Plan(retention_days=30)
    quick.released("v1")
    quick.clock.tick(days=100)
    quick.released("v2", "v3")
    quick.clock.tick(days=29)
    with pytest.raises(NotAllowedError, match="by the plan"):
        retire.sunset(quick.rollouts(), "v1", "gone")
    quick.clock.tick(days=1)
    assert retire.sunset(quick.rollouts(), "v1", "gone").moved


def test_a_process_that_wakes_to_an_outage_undoes_nothing_that_came_since(quick: World) -> None:  # case 5
    quick.released("v1")
    quick.plan = CANARY
    quick.trained("v2")
    sleeper = quick.rollouts()

    def sleeps(point: str) -> None:
        if point == "published":
            quick.rollouts(actor="Grace").reconcile()
            assert quick.rollouts(actor="Grace").promote("v2").moved
            quick.service.down = {"probe"}
            quick.service.meanwhile = lambda name: quick.service.down.clear() if name != "probe" else None

    sleeper.boundary = sleeps
    with pytest.raises(ForegateError):
        sleeper.promote("v2")
    assert agreed(quick) == {"v1": 0.5, "v2": 0.5}


def test_a_version_that_readers_had_seen_is_quarantined_when_its_next_step_is_undone(quick: World) -> None:
    quick.released("v1")
    quick.plan = CANARY
    quick.trained("v2")
    quick.rollouts().promote("v2")
    quick.service.down = {"publish"}
    with pytest.raises(OutsideError):
        quick.rollouts().promote("v2")
    quick.service.down = set()
    quick.rollouts().reconcile()
    assert agreed(quick) == V1
    assert quarantined(quick.entries()) == {"v2"}


def test_a_last_good_that_can_not_be_shown_is_no_dead_end(quick: World, monkeypatch: pytest.MonkeyPatch) -> None:
    quick.released("v0", "v1", "v2")  # case 7, 10
    move = quick.readers.move

    def without_v1(served: Entry) -> None:
        if "v1" in (served.event.split or {}):
            raise DataError("run_v1", found="no such table", wanted="one", then="Look.")
        move(served)

    monkeypatch.setattr(quick.readers, "move", without_v1)
    quick.rollouts().rollback("harm")
    assert last(quick).stage is Stage.UNVERIFIED
    assert "v0 is in service again" in quick.rollouts().rollback("v1 can not be shown", "v1").words
    assert agreed(quick) == {"v0": 1.0}
    assert not [r for r in rollouts(quick.entries()) if r.is_open]
    quick.trained("v3")
    assert quick.rollouts().promote("v3").moved
