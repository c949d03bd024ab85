"""Signatures and waivers that a rollout stands on: whose, on which bytes and which plan, and until when."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.lifecycle.rolling import CANARY, World, agreed, last

from foregate.core.errors import NotAllowedError
from foregate.core.event import Kind
from foregate.core.folds import versions
from foregate.core.rollout import Plan, Stage, Step, active, generation, rollouts
from foregate.lifecycle.signatures import author_of, bound_to, package_digest, plain, signed_by
from foregate.lifecycle.store import Store

TWO = Plan(signatures=2)
V1, V2 = {"v1": 1.0}, {"v2": 1.0}


@pytest.fixture
def world(opened: Callable[[str], Store], tmp_path: Path) -> World:
    """A world in which v1 serves and v2 may follow."""
    found = World(opened(f"sqlite:///{tmp_path / 'ledger.sqlite'}"), tmp_path)
    found.released("v1")
    found.trained("v2", author="Ada")
    return found


def names(world: World, plan: Plan, since: int = 0) -> set[str]:
    entries, today = world.entries(), world.clock().date()
    state = versions((e.event for e in entries), today)["v2"]
    return signed_by(entries, state, plan, today, since)


@pytest.mark.parametrize(
    ("one", "other"), [("Ada Lovelace", " ada  LOVELACE "), ("STRASSE", "straße"), ("Ada\tL", "ada l")]
)
def test_a_name_is_the_same_whatever_its_case_and_spaces(world: World, one: str, other: str) -> None:
    world.signed("v2", one, plan=TWO)
    world.signed("v2", other, plan=TWO)
    assert names(world, TWO) == {plain(one)} == {plain(other)}


def test_a_signature_is_on_one_version_its_bytes_and_one_plan(world: World) -> None:
    world.signed("v2", "Grace", plan=TWO)
    assert names(world, TWO) == {"grace"}
    for other in (Plan(signatures=3), replace(TWO, margin=0.3), replace(TWO, steps=(Step(0.1, 1),))):
        assert names(world, other) == set()
    world.signed("v1", "Linus", plan=TWO)
    assert names(world, TWO) == {"grace"}
    state = versions((e.event for e in world.entries()), world.clock().date())["v2"]
    assert bound_to(state, TWO) == {"package": "bytes", "plan": TWO.digest}
    world.trained("v2", package="other bytes")  # case 17: the same name, other bytes
    state = versions((e.event for e in world.entries()), world.clock().date())["v2"]
    assert package_digest(state) == "other bytes"
    assert names(world, TWO) == set()


def test_a_signature_counts_to_the_end_of_its_last_day_and_since_an_event(world: World) -> None:
    world.signed("v2", "Grace", days=3, plan=TWO)
    seen = world.entries()[-1].sequence
    world.signed("v2", "Linus", days=9, plan=TWO)
    assert names(world, TWO, since=seen) == {"linus"}
    world.clock.tick(days=3)
    assert names(world, TWO) == {"grace", "linus"}
    world.clock.tick(hours=12)
    assert names(world, TWO) == {"linus"}


def test_the_author_is_who_ran_the_version_last(world: World) -> None:
    assert (author_of(world.entries(), "v2"), author_of(world.entries(), "v9")) == ("ada", "")
    world.trained("v2", author=" Grace ")
    assert author_of(world.entries(), "v2") == "grace"


# What a rollout makes of them.


@pytest.mark.parametrize(
    ("author_signs", "signers", "moves"),
    [
        (True, ["Ada", "Grace"], True),
        (True, ["Grace", " GRACE"], False),
        (False, ["Ada", "Grace"], False),
        (False, ["ada ", "Grace", "Linus"], True),
        (True, [], False),
    ],
)
def test_a_rollout_starts_when_enough_people_have_signed(
    world: World, author_signs: bool, signers: list[str], moves: bool
) -> None:
    world.plan = replace(TWO, author_signs=author_signs)
    for name in signers:
        world.signed("v2", name)
    if moves:
        assert world.rollouts().promote("v2").moved
    else:
        with pytest.raises(NotAllowedError, match="2 signatures of different people"):
            world.rollouts().promote("v2")
        assert last(world).stage is Stage.AWAITS
    assert agreed(world) == (V2 if moves else V1)


def test_a_rollout_that_waits_for_names_starts_once_they_are_there(world: World) -> None:
    world.plan = TWO
    for name in ("Grace", "Linus"):
        with pytest.raises(NotAllowedError, match="signatures in force"):
            world.rollouts().promote("v2")
        world.signed("v2", name)
    assert world.rollouts().promote("v2").moved
    assert agreed(world) == V2
    assert [r.version for r in rollouts(world.entries())] == ["v1", "v2"]


def test_a_plan_edited_after_the_signatures_voids_them(world: World) -> None:  # case 18
    world.plan = TWO
    world.signed("v2", "Grace")
    world.signed("v2", "Linus")
    world.plan = replace(TWO, margin=0.5)
    with pytest.raises(NotAllowedError, match="0 signatures in force"):
        world.rollouts().promote("v2")
    world.plan = TWO
    with pytest.raises(NotAllowedError, match=r"another plan in foregate.toml \(\[rollout\] margin\)"):
        world.rollouts().promote("v2")
    assert agreed(world) == V1
    assert world.rollouts().reject("the plan was edited").moved
    with pytest.raises(NotAllowedError, match="0 signatures in force"):
        world.rollouts().promote("v2")
    world.signed("v2", "Grace", days=31)
    world.signed("v2", "Linus", days=31)
    assert world.rollouts().promote("v2").moved
    assert agreed(world) == V2


def test_a_plan_edited_during_a_canary_stops_its_next_step_until_it_is_put_back(world: World) -> None:  # case 18, 7
    world.plan = CANARY
    world.rollouts().promote("v2")
    world.plan = replace(CANARY, margin=0.9)
    with pytest.raises(NotAllowedError, match=r"\[rollout\] margin.*Put it back, or `foregate rollback"):
        world.rollouts().promote("v2")
    assert world.rollouts().lapse() is None
    assert last(world).stage is Stage.CANARY
    world.plan = CANARY
    assert world.rollouts().promote("v2").moved
    assert agreed(world) == {"v1": 0.5, "v2": 0.5}


@pytest.mark.parametrize("by", ["monitor", "promote"])
def test_a_waiver_that_runs_out_during_a_canary_holds_it(world: World, by: str) -> None:  # case 16
    world.plan = CANARY
    world.trained("v2", asks=True)
    with pytest.raises(NotAllowedError, match="awaits sign-off"):
        world.rollouts().promote("v2")
    world.waived("v2", days=5)
    world.rollouts().promote("v2")
    world.clock.tick(days=5)
    assert world.rollouts().lapse() is None
    world.clock.tick(days=1)
    if by == "monitor":
        lapsed = world.rollouts().lapse()
        assert lapsed is not None
        assert "held in canary" in lapsed.words
    else:
        with pytest.raises(NotAllowedError, match="awaits sign-off"):
            world.rollouts().promote("v2")
    assert (last(world).stage, last(world).held_in) == (Stage.HELD, Stage.CANARY)
    assert agreed(world) == {"v1": 0.9, "v2": 0.1}
    with pytest.raises(NotAllowedError, match="awaits sign-off"):
        world.rollouts().resume("go on")
    world.waived("v2", days=5)
    assert world.rollouts().resume("waived again").moved
    assert world.rollouts().promote("v2").moved
    assert agreed(world) == {"v1": 0.5, "v2": 0.5}


def test_a_signature_that_runs_out_during_a_canary_holds_it(world: World) -> None:
    world.plan = replace(CANARY, signatures=1)
    world.signed("v2", "Grace", days=2)
    world.rollouts().promote("v2")
    world.clock.tick(days=3)
    lapsed = world.rollouts().lapse()
    assert lapsed is not None
    assert "only 0 signatures in force of 1" in (last(world).moved or last(world).moves[-1].event).reason
    assert world.rollouts().rollback("harm").moved, "back is legal from a hold"
    assert agreed(world) == V1


def test_a_rollback_that_readers_were_not_shown_is_not_held_for_a_waiver_that_ran_out(world: World) -> None:
    world.plan = CANARY
    world.trained("v2", asks=True)
    world.waived("v2", days=2)
    world.rollouts().promote("v2")
    world.service.down = {"publish"}
    world.rollouts().rollback("harm")
    world.clock.tick(days=5)
    assert world.rollouts().lapse() is None
    assert last(world).stage is Stage.UNVERIFIED


def test_a_release_is_complete_when_names_were_given_after_it(world: World) -> None:
    world.plan = Plan(bake_days=1, bake_signatures=1)
    world.signed("v2", "Grace")
    world.rollouts().promote("v2")
    world.clock.tick(days=2)
    outcome = world.rollouts().promote("v2")
    assert (outcome.moved, outcome.words) == (
        False,
        "1 signatures after the release are missing: `foregate sign v2`",
    )
    world.signed("v2", "Grace")
    assert world.rollouts().promote("v2").moved
    assert last(world).stage is Stage.COMPLETED


def test_nothing_that_was_refused_for_a_name_has_moved_anything(world: World) -> None:
    world.plan = replace(CANARY, signatures=1)
    with pytest.raises(NotAllowedError):
        world.rollouts().promote("v2")
    seen = generation(world.entries())
    for _ in range(2):
        with pytest.raises(NotAllowedError):
            world.rollouts().promote("v2")
    assert generation(world.entries()) == seen
    current = active(world.entries())
    assert current is not None
    assert not [e for e in current.moves if e.event.kind is Kind.SERVED]
