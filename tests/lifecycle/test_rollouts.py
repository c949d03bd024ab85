"""A rollout as its users meet it: what it waits for, what it asks, what it says, step by step."""

from pathlib import Path

import pytest
from tests.lifecycle.rolling import World

from foregate.core.errors import NotAllowedError
from foregate.core.rollout import Plan, Role, Stage, Step, champion_at, roles
from foregate.lifecycle.plan import RolloutSettings
from foregate.lifecycle.retire import sunset
from foregate.lifecycle.store import Store

PLAN = Plan((Step(0.0, 7), Step(0.1, 14), Step(0.5, 30)), bake_days=7, retention_days=30)


@pytest.fixture
def world(tmp_path: Path, ledger: Store) -> World:
    """A model whose first version is in service and complete."""
    found = World(ledger, tmp_path, plan=PLAN)
    found.released("v1")
    return found


def steps(world: World, version: str, days: int) -> list[tuple[str, float]]:
    """Ask for a step every day, and return the stages that were entered."""
    seen = []
    for _ in range(days):
        outcome = world.rollouts().promote(version)
        if outcome.moved:
            seen.append((str(outcome.rollout.stage), outcome.rollout.share))
        world.clock.tick(days=1)
    return seen


def test_a_second_version_goes_by_every_stage_of_its_plan_and_takes_its_days(world: World) -> None:
    began = world.clock()
    world.trained("v2")
    assert steps(world, "v2", 70) == [
        ("shadow", 0.0),
        ("canary", 0.1),
        ("canary", 0.5),
        ("baking", 1.0),
        ("completed", 1.0),
    ]
    moved = [e.event.at for e in world.rollouts().entries() if e.event.detail.get("stage") and e.event.at >= began]
    waits = [(b - a).days for a, b in zip(moved, moved[1:], strict=False) if (b - a).days]
    assert waits == [7, 14, 30, 7]
    assert world.readers.split == {"v2": 1.0}
    assert roles(world.entries(), ["v1", "v2"]) == {"v1": Role.STANDBY, "v2": Role.CHAMPION}


def test_who_was_champion_is_known_of_every_moment_and_of_none_before(world: World) -> None:
    before = world.clock()
    world.clock.tick(days=1)
    world.trained("v2")
    steps(world, "v2", 70)
    entries = world.entries()
    then, now = champion_at(entries, before), champion_at(entries, world.clock())
    assert then is not None
    assert now is not None
    assert (then.event.split, now.event.split) == ({"v1": 1.0}, {"v2": 1.0})
    assert champion_at(entries, entries[0].event.at.replace(year=2020)) is None


def test_the_preview_writes_nothing_and_says_what_promote_then_does(world: World) -> None:
    world.trained("v2")
    before = len(world.entries())
    found = world.rollouts().preview()
    assert (found.version, found.champion, found.crossing.stage) == ("v2", "v1", Stage.SHADOW)
    assert {j.label for j in found.judgements} >= {"undecided_days", "drill_faults", "cooldown_days_left"}
    assert len(world.entries()) == before
    assert world.rollouts().promote("v2").rollout.stage is Stage.SHADOW
    waits = world.rollouts().preview()
    assert "7.0 days more" in waits.waits
    assert waits.crossing.stage is Stage.CANARY


def test_two_rollouts_keep_their_distance_or_somebody_answers_for_it(world: World) -> None:
    world.plan = Plan(PLAN.steps, cooldown_days=20, bake_days=0)
    world.trained("v2")
    with pytest.raises(NotAllowedError, match=r"cooldown_days_left fail at \d+"):
        world.rollouts().promote("v2")
    world.waived("v2", "cooldown_days_left")
    assert world.rollouts().promote("v2").rollout.stage is Stage.SHADOW


def test_a_version_that_was_rolled_back_is_tried_again_only_by_name(world: World) -> None:
    world.trained("v2")
    steps(world, "v2", 20)
    world.rollouts().rollback("it did harm")
    assert roles(world.entries(), ["v2"])["v2"] is Role.QUARANTINED
    with pytest.raises(NotAllowedError, match="rolled_back_before"):
        world.rollouts().promote("v2")
    world.waived("v2", "rolled_back_before")
    outcome = world.rollouts().promote("v2")
    assert outcome.rollout.stage is Stage.SHADOW
    assert outcome.rollout.began != 0


def test_a_plan_without_steps_moves_at_once_and_one_whose_shares_fall_is_refused(world: World) -> None:
    world.plan = RolloutSettings().plan()
    world.trained("v2")
    assert world.rollouts().promote("v2").rollout.stage is Stage.COMPLETED
    for shares in ((0.5, 0.1), (0.1, 0.1)):
        with pytest.raises(ValueError, match="shares"):
            RolloutSettings.model_validate({"step": [{"share": s} for s in shares]})
        with pytest.raises(ValueError, match="shares"):
            Plan(tuple(Step(s, 1) for s in shares))


def test_what_is_needed_is_not_packed_away_and_what_is_not_goes_once(world: World) -> None:
    world.trained("v2")
    steps(world, "v2", 70)
    for version, why in (("v2", "in service"), ("v1", "rollback goes back to"), ("v9", "no such version")):
        with pytest.raises(NotAllowedError, match=why):
            sunset(world.rollouts(), version, "tidy")
    world.trained("v3")
    steps(world, "v3", 70)
    assert sunset(world.rollouts(), "v1", "two releases ago").moved
    assert world.service.archived == {"v1"}
    before = len(world.entries())
    assert not sunset(world.rollouts(), "v1", "two releases ago").moved
    assert len(world.entries()) == before
