"""What goes wrong around a rollout, case by case as the design numbers them: old or new serves, never neither."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest
from tests.lifecycle.invariants import INVARIANTS, Look
from tests.lifecycle.rolling import CANARY, DIRECT, Crash, Life, World, agreed, last, waited

from foregate.core.errors import ConflictError, OutsideError
from foregate.core.rollout import (
    Plan,
    Stage,
    Step,
    pointer,
    rollouts,
)
from foregate.lifecycle.store import Store

ROOT = str(Path(__file__).resolve().parents[2])
SERVER = "import sys; sys.path.insert(0, sys.argv[1]); from tests.lifecycle.rolling import serve; serve(*sys.argv[2:])"
NAMES = ("v0", "v1", "v2", "v3")


@pytest.fixture
def world(url: str, opened: Callable[[str], Store], tmp_path: Path) -> World:
    return World(opened(url), tmp_path)


@pytest.fixture
def quick(opened: Callable[[str], Store], tmp_path: Path) -> World:
    """A world whose ledger is SQLite: for what does not depend on the store."""
    return World(opened(f"sqlite:///{tmp_path / 'quick.sqlite'}"), tmp_path)


class Process:
    """A process that carries out commands, each in a child that may be killed or kept waiting at a step."""

    def __init__(self, server: "Popen[str]") -> None:
        self.server = server

    def begins(
        self, world: World, verb: str, at: dict[str, str] | None = None, actor: str = "Ada", **words: Any
    ) -> None:
        order = {"model": world.model, "plan": plain(world.plan), "now": world.clock().isoformat()}
        order |= {"verb": verb, "words": words, "at": at or {}, "actor": actor}
        assert self.server.stdin
        self.server.stdin.write(json.dumps(order) + "\n")
        self.server.stdin.flush()

    def ends(self) -> dict[str, Any]:
        assert self.server.stdout
        return dict(json.loads(self.server.stdout.readline()))

    def does(self, *words: Any, **more: Any) -> dict[str, Any]:
        self.begins(*words, **more)
        return self.ends()


def plain(plan: Plan) -> dict[str, Any]:
    return {
        **{n: getattr(plan, n) for n in Plan.__slots__},
        "steps": [{"share": s.share, "days": s.days} for s in plan.steps],
    }


@pytest.fixture
def processes(url: str, tmp_path: Path, python: Callable[..., "Popen[str]"]) -> Callable[[], Process]:
    return lambda: Process(python(SERVER, ROOT, url, str(tmp_path)))


@pytest.fixture
def process(processes: Callable[[], Process]) -> Process:
    return processes()


# 1. Killed at every step of promote and rollback.

V1, V2 = {"v1": 1.0}, {"v2": 1.0}
WAYS: dict[str, tuple[Plan, list[str], str, dict[str, str], list[dict[str, float]]]] = {
    "first release": (DIRECT, [], "promote", {"version": "v2"}, [{}, V2]),
    "direct": (DIRECT, ["v1"], "promote", {"version": "v2"}, [V1, V2]),
    "canary": (Plan((Step(0.1, 1),)), ["v1"], "promote", {"version": "v2"}, [V1, {"v1": 0.9, "v2": 0.1}]),
    "back": (DIRECT, ["v1", "v2"], "rollback", {"reason": "harm"}, [V2, V1]),
}


def laid(world: World, name: str, way: str) -> World:
    """The state before a way's command, in a model of its own."""
    plan, good, *_ = WAYS[way]
    found = World(world.store, world.readers.file.parent, name)
    found.released(*good)
    if "v2" not in good:
        found.trained("v2")
    found.plan = plan
    return found


@pytest.mark.parametrize("way", WAYS)
def test_killed_at_any_step_the_old_or_the_new_is_in_service_and_the_command_can_be_given_again(
    world: World, process: Process, way: str
) -> None:
    _, _, verb, words, (old, new) = WAYS[way]
    recorded, life = laid(world, "recorded", way), Life()
    getattr(recorded.rollouts(life), verb)(**words)
    assert agreed(recorded) == new
    assert len(life.points) >= 3
    for n, point in enumerate(life.points):
        killed = laid(world, f"killed_{n}", way)
        seen = killed.entries()
        assert process.does(killed, verb, at={f"#{n}": "kill"}, **words)["signal"] == 9, point
        assert killed.readers.split in (old, new), point
        killed.rollouts().reconcile()
        assert agreed(killed) in (old, new), point
        getattr(killed.rollouts(), verb)(**words)
        assert agreed(killed) == new, point
        assert last(killed).stage == last(recorded).stage, point
        for holds in INVARIANTS:
            holds(Look(killed, seen, killed.entries()))


def test_a_release_killed_after_its_probe_is_finished_by_the_next_look_even_when_it_was_held(quick: World) -> None:
    for held in (False, True):  # 1
        one = laid(quick, f"held_{held}", "direct")
        with pytest.raises(Crash):
            one.rollouts(Life(lambda point: point == "probed")).promote("v2")
        if held:
            one.rollouts().hold("look first")
            one.rollouts().reconcile()
            one.rollouts().resume("looked")
        one.rollouts().reconcile()
        assert last(one).stage is Stage.COMPLETED


# 2. The ledger says one thing and the readers another.


def test_readers_restored_from_a_backup_are_shown_what_the_ledger_serves(quick: World) -> None:
    quick.released("v1")
    backup = quick.readers.file.read_text()
    quick.released("v2")
    quick.readers.file.write_text(backup)
    at = pointer(quick.entries())
    assert at is not None
    assert quick.service.probe(at).value == 1
    assert quick.rollouts().reconcile()
    assert agreed(quick) == V2
    assert last(quick).stage is Stage.COMPLETED
    assert quick.rollouts().reconcile() == []


def test_readers_ahead_of_a_restored_ledger_are_not_taken_back(quick: World) -> None:
    quick.released("v1")
    ahead = {**quick.readers.seen(), "generation": 10**6, "split": V2}
    quick.readers.file.write_text(json.dumps(ahead))
    for verb, words in (("reconcile", {}), ("promote", {"version": "v1"})):
        with pytest.raises(ConflictError, match="generation 1000000"):
            getattr(quick.rollouts(), verb)(**words)
    assert quick.readers.split == V2


def test_an_outage_while_readers_are_mended_takes_nothing_out_of_service(quick: World) -> None:
    for good in (["v1"], ["v1", "v2"]):  # 2
        one = World(quick.store, quick.readers.file.parent, f"after_{len(good)}")
        one.released(*good)
        one.readers.file.unlink()
        one.service.down = {"publish"}
        with pytest.raises(OutsideError):
            one.rollouts().reconcile()
        one.service.down = set()
        one.rollouts().reconcile()
        assert agreed(one) == {good[-1]: 1.0}


# 3 to 6. Two at once.


def together(
    processes: Callable[[], Process], world: World, folder: Path, *orders: dict[str, Any]
) -> list[dict[str, Any]]:
    """Give commands to processes of their own, and let each go on when all have measured and none has written."""
    running = []
    for n, order in enumerate(orders):
        process = processes()
        process.begins(world, at={"ready": str(folder / f"go_{n}")}, **order)
        running.append(process)
    for n in range(len(orders)):
        waited(folder / f"go_{n}.here")
    for n in range(len(orders)):
        (folder / f"go_{n}").touch()
    return [dict(process.ends()["said"]) for process in running]


def test_of_two_who_promote_different_versions_one_wins_and_the_other_is_told_who_and_when(
    world: World, processes: Callable[[], Process], tmp_path: Path
) -> None:  # 3
    world.released("v1")
    world.trained("v2")
    world.trained("v3")
    orders = [{"verb": "promote", "version": v, "actor": who} for v, who in (("v2", "Grace"), ("v3", "Linus"))]
    said = together(processes, world, tmp_path, *orders)
    ((won, lost),) = [(a, b) for a, b in ((0, 1), (1, 0)) if said[a].get("moved")]
    assert said[lost]["error"] == "ConflictError"
    assert re.search(
        rf"at 2026-\d\d-\d\d \d\d:\d\d:\d\d UTC: {orders[won]['actor']} .*{orders[won]['version']}", said[lost]["words"]
    )
    assert agreed(world) == {orders[won]["version"]: 1.0}


def test_a_double_click_has_one_effect(world: World, processes: Callable[[], Process], tmp_path: Path) -> None:  # 6
    world.released("v1")
    world.trained("v2")
    order = {"verb": "promote", "version": "v2", "key": "click"}
    said = together(processes, world, tmp_path, order, order)
    assert sorted(one.get("error", "") for one in said) == ["", "ConflictError"]
    assert world.rollouts().promote("v2", key="click").moved is False
    assert [r.version for r in rollouts(world.entries())] == ["v1", "v2"]


def test_a_key_given_again_after_a_crash_finishes_what_was_begun(quick: World) -> None:  # 6
    quick.released("v1")
    quick.trained("v2")
    for verb, words, wanted in (("promote", {"version": "v2"}, V2), ("rollback", {"reason": "harm"}, V1)):
        with pytest.raises(Crash):
            getattr(quick.rollouts(Life(lambda point: point.endswith("served"))), verb)(**words, key=verb)
        getattr(quick.rollouts(), verb)(**words, key=verb)
        assert agreed(quick) == wanted


@pytest.mark.parametrize("other", ["rollback", "reject", "hold"])
def test_a_promotion_that_measured_while_another_moved_is_refused(
    world: World, processes: Callable[[], Process], tmp_path: Path, other: str
) -> None:  # 4
    world.released("v1")
    world.plan = CANARY if other == "rollback" else Plan((Step(0.0, 0), Step(0.1, 0)))
    world.trained("v2")
    world.rollouts().promote("v2")
    process, go = processes(), tmp_path / "go"
    process.begins(world, "promote", at={"field" if other == "rollback" else "parity": str(go)}, version="v2")
    waited(tmp_path / "go.here")
    words = {"rule": "harm"} if other == "rollback" else {}
    assert getattr(world.rollouts(actor="Grace"), other)("harm", **words).moved
    go.touch()
    assert process.ends()["said"]["error"] == "ConflictError"
    assert agreed(world) == V1
    assert last(world).stage == {"rollback": Stage.ROLLED_BACK, "reject": Stage.REJECTED, "hold": Stage.HELD}[other]


@pytest.mark.parametrize(
    ("point", "meanwhile"),
    [("canary: served", "rollback"), ("publish", "promote"), ("published", "promote"), ("published", "rollback")],
)
def test_a_process_that_slept_at_a_step_shows_and_undoes_nothing_when_it_wakes(
    world: World, process: Process, tmp_path: Path, point: str, meanwhile: str
) -> None:  # 5
    world.released("v1")
    world.plan = CANARY
    world.trained("v2")
    process.begins(world, "promote", at={point: str(tmp_path / "go")}, version="v2")
    waited(tmp_path / "go.here")
    world.rollouts(actor="Grace").reconcile()
    getattr(world.rollouts(actor="Grace"), meanwhile)("v2" if meanwhile == "promote" else "harm")
    wanted = {"v1": 0.5, "v2": 0.5} if meanwhile == "promote" else V1
    assert agreed(world) == wanted
    (tmp_path / "go").touch()
    assert process.ends()["said"]["error"] == "ConflictError"
    assert agreed(world) == wanted
