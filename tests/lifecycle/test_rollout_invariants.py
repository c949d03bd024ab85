"""Random days of a rollout: commands, crashes, races, bad clocks and bad evidence, and no invariant ever broken."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from tests.lifecycle.invariants import INVARIANTS, NAMES, Look, the_log_says_what_was_recorded
from tests.lifecycle.rolling import METRICS, MOODS, SAYS, SIGNABLE, Clock, Crash, Life, World

from foregate.core.errors import ConflictError, DataError, ForegateError
from foregate.core.event import Entry, Event, Kind
from foregate.core.rollout import (
    BACKWARD,
    Plan,
    Stage,
    Step,
    active,
    bucket,
    generation,
    good_versions,
    parts_of,
    pointer,
    rollouts,
    threshold,
)
from foregate.lifecycle import retire
from foregate.lifecycle.store import Store
from foregate.warehouse.duckdb import DuckDB

PLANS = (
    Plan(retention_days=3),
    Plan((Step(0.0, 1), Step(0.1, 2), Step(0.5, 2)), bake_days=1, retention_days=3),
    Plan((Step(0.2, 0),), evidence_days=30, cooldown_days=1),
    Plan((Step(0.0, 0), Step(0.3, 0)), signatures=2, author_signs=False, bake_signatures=1, evidence_days=30),
)
PEOPLE = ("Ada", " ada ", "Grace", "Linus")
NAMED = sorted({name for names in SAYS.values() for name in names})
named, reasons = st.sampled_from(NAMES), st.just("because")
COMMANDS = st.one_of(
    st.tuples(st.just("promote"), st.fixed_dictionaries({"version": named | st.none()})),
    st.tuples(st.sampled_from(["hold", "resume", "reject"]), st.fixed_dictionaries({"reason": reasons})),
    st.tuples(
        st.just("rollback"),
        st.fixed_dictionaries(
            {"reason": reasons, "version": named | st.none()},
            optional={"rule": st.just("harm"), "withdraw": st.booleans()},
        ),
    ),
    st.tuples(st.just("sunset"), st.fixed_dictionaries({"version": named, "reason": reasons})),
    st.tuples(st.sampled_from(["reconcile", "lapse"]), st.just({})),
)
VERBS = st.sampled_from(["promote", "promote", "rollback"])
OTHERS = st.sampled_from(
    [(verb, {"reason": "stop"}) for verb in ("rollback", "reject", "hold")]
    + [("promote", {"version": name}) for name in (None, *NAMES)]
)
FAULTS = ("publish", "probe", "after publish", "warm", "archive")


class Day(RuleBasedStateMachine):
    """A day of a model; `world` opens one with a chain of its own."""

    def __init__(self, opened: Callable[[], World]) -> None:
        super().__init__()
        self.world = opened()
        self.seen: list[Entry] = []
        self.withdraws, self.keys = False, 0

    @initialize(plan=st.sampled_from(PLANS))
    def starts(self, plan: Plan) -> None:
        self.world.released("v1", "v2")
        self.world.plan = plan
        self.world.trained("v3", package="v3")
        self.seen = self.world.entries()

    def give(self, verb: str, words: dict[str, Any], life: Life | None = None, actor: str = "Ada") -> Any:
        """Return a command's outcome, or the error that said no."""
        self.withdraws = self.withdraws or bool(words.get("withdraw"))
        rollouts_ = self.world.rollouts(life, actor)
        try:
            if verb == "sunset":
                return retire.sunset(rollouts_, **words)
            return getattr(rollouts_, verb)(**words)
        except ForegateError as error:
            return error

    def is_calm(self, version: str) -> dict[str, str]:
        """All is up and says yes, names are there, time has passed; returned is the version to go on with."""
        world, current = self.world, active(self.world.entries())
        version = current.version if current else version
        service = world.service
        service.moods.clear()
        service.down, service.broken, service.cold = set(), set(), set()
        world.clock.tick(days=4)
        world.plan = current.plan if current else world.plan
        if current is None:
            world.trained(version, package=version)
        for gate in ("rate_gap", *SIGNABLE):
            world.waived(version, gate, 9)
        for name in ("Grace", "Linus") if world.plan.signatures else ():
            world.signed(version, name)
        if current and current.stage is Stage.HELD:
            self.give("resume", {"reason": "all is calm"})
        return {"version": version}

    @rule(version=named, times=st.integers(1, 3))
    def goes_on(self, version: str, times: int) -> None:
        for _ in range(times):
            self.give("promote", self.is_calm(version))

    @rule(version=named, name=st.sampled_from(NAMED), mood=st.sampled_from(MOODS[1:]))
    def measures_badly(self, version: str, name: str, mood: str) -> None:
        words = self.is_calm(version)
        self.world.service.moods[name] = mood
        self.give("promote", words)

    @precondition(lambda self: self.world.split)
    @rule(rule=st.sampled_from(["", "harm"]))
    def goes_back(self, rule: str) -> None:  # 10
        world, current, calls = self.world, active(self.seen), len(self.world.service.calls)
        outcome = self.give("rollback", {"reason": "harm", "rule": rule})
        assert not METRICS & set(world.service.calls[calls:])
        if current is None or current.served_at is None or current.stage in BACKWARD:
            return
        good = [v for v in good_versions(self.seen) if v not in {current.version, *world.service.broken}]
        if good:
            assert world.split == {good[0]: 1.0}, outcome
            self.give("rollback", {"reason": "harm", "rule": rule})
            assert world.split == {good[0]: 1.0}, "a second rollback went back further"

    @rule(command=COMMANDS, twice=st.booleans())
    def asks(self, command: tuple[str, dict[str, Any]], twice: bool) -> None:  # 15
        verb, words = command
        self.keys += 1
        words = words if verb in {"reconcile", "lapse"} else {**words, "key": f"k{self.keys}"}
        if not getattr(self.give(verb, words), "moved", False) or not twice:
            return
        moved = generation(self.world.entries())
        again = self.give(verb, words)
        if "key" in words and not self.world.service.down:
            assert generation(self.world.entries()) == moved, again

    @rule(verb=VERBS, version=named, last=st.integers(0, 4), soft=st.booleans(), then=COMMANDS, looks=st.booleans())
    def is_killed(self, verb: str, version: str, last: int, soft: bool, then: tuple[str, Any], looks: bool) -> None:
        """The process dies, or is told to stop, at a step; another one does something, or only looks."""
        words = self.is_calm(version) if verb == "promote" else {"reason": "harm"}
        steps = iter(range(10**6))
        life = Life(lambda _point: next(steps) == last)
        if soft:
            life = Life()
            life.ends = lambda _point: _stop() if next(steps) == last else False
        with suppress(Crash, KeyboardInterrupt):
            self.give(verb, words, life)
        self.settles() if looks else self.give(*then)

    @rule(at=st.sampled_from(["ready", "parity", "field", "publish"]), other=OTHERS, version=named)
    def are_raced(self, at: str, other: tuple[str, Any], version: str) -> None:
        """While a promotion measures, or is about to be shown, another process carries out a whole command."""
        words, service = self.is_calm(version), self.world.service

        def meanwhile(name: str) -> None:
            if name == at:
                service.meanwhile = _nothing
                self.give(*other, actor="Grace")

        service.meanwhile = meanwhile
        self.give("promote", words)
        service.meanwhile = _nothing

    @rule(version=named, asks=st.booleans(), by=st.sampled_from(PEOPLE), days=st.integers(0, 9))
    def is_written(self, version: str, asks: bool, by: str, days: int) -> None:
        """A version is trained, anew perhaps, and signed; what it asks for is waived or not."""
        current = active(self.seen)
        self.world.trained(version, asks=asks, package=version, author=by)
        self.world.signed(current.version if current else version, by, days)
        if asks and days > 2:
            self.world.waived(version, days=days)

    @rule(hours=st.integers(-30, 24 * 40))
    def waits(self, hours: int) -> None:
        self.world.clock.tick(hours=hours)

    @rule(plan=st.sampled_from(PLANS), edits=st.booleans(), fault=st.sampled_from(("", *FAULTS)), cold=st.booleans())
    def breaks(self, plan: Plan, edits: bool, fault: str, cold: bool) -> None:
        service = self.world.service
        self.world.plan = plan if edits else self.world.plan
        service.down, service.broken, service.cold = {fault}, {"v2"} if cold else set(), {"v1"} if cold else set()

    @rule()
    def settles(self) -> None:
        """All is up again: after one look the readers see what the ledger serves, and nothing hangs in between."""
        world = self.world
        world.service.down = set()
        world.rollouts().reconcile()
        at, entries = pointer(world.entries()), world.entries()
        assert world.readers.generation == (at.sequence if at else 0)
        assert world.readers.split == world.split
        hanging = {Stage.PROMOTING, Stage.ROLLING_BACK, Stage.UNVERIFIED}
        assert not [r for r in rollouts(entries) if r.stage in hanging]

    def check_invariants(self, *args: Any, **kwargs: Any) -> None:
        look = Look(self.world, self.seen, self.world.entries(), self.withdraws)
        for holds in INVARIANTS:
            holds(look)
        self.seen, self.withdraws = look.after, False

    def teardown(self) -> None:
        the_log_says_what_was_recorded(self.world)


def _nothing(_name: str) -> None:
    pass


def _stop() -> bool:
    raise KeyboardInterrupt


def test_a_random_day_breaks_no_invariant(url: str, opened: Callable[[str], Store], tmp_path: Path) -> None:
    store, days = opened(url), iter(range(10**6))
    quick = url.startswith("sqlite")
    run_state_machine_as_test(
        lambda: Day(lambda: World(store, tmp_path, f"leads_{next(days)}")),
        settings=settings(
            max_examples=30 if quick else 5,
            stateful_step_count=20,
            deadline=None,
            phases=(Phase.generate,),
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


# 14: the readers' view of a real warehouse.


class View:
    """The readers' view of a real warehouse in which two versions have scored the same thousand people."""

    def __init__(self, path: Path) -> None:
        self.engine = DuckDB(str(path))
        for version in ("v1", "v2"):
            self.engine.use(f"run_{version}")
            self.engine.create("scores", f"select range as unit_id, '{version}' as version from range(1000)")

    def show(self, generation: int, version: str, split: dict[str, float] | None) -> None:
        served = Event(Kind.SERVED, Clock()(), "leads", version, "Ada", split=split)
        parts = parts_of(served, {v: f"run_{v}.scores" for v in ("v1", "v2")})
        self.engine.publish("bi.scores", parts, "salt", generation)

    def seen(self) -> dict[int, tuple[str, int]]:
        rows = self.engine.rows("select unit_id, version, generation from bi.scores")
        return {unit: (version, generation) for unit, version, generation in rows}


@pytest.fixture
def view(tmp_path: Path) -> Iterator[View]:
    found = View(tmp_path / "w.duckdb")
    yield found
    found.engine.close()


def test_a_row_says_its_version_and_generation_and_a_growing_share_moves_nobody_back(view: View) -> None:
    view.show(3, "v1", {"v1": 1.0})
    assert set(view.seen().values()) == {("v1", 3)}
    challenged: set[int] = set()
    for generation_, share in ((5, 0.1), (6, 0.5)):
        view.show(generation_, "v2", {"v1": 1 - share, "v2": share})
        seen = view.seen()
        served = {u for u, (version, _) in seen.items() if version == "v2"}
        assert (len(seen), {g for _, g in seen.values()}) == (1000, {generation_})
        assert served == {u for u in range(1000) if bucket("salt", u) < threshold(share)}
        assert challenged < served, "who was the challenger's stays the challenger's"
        challenged = served


def test_readers_see_a_whole_move_or_none_and_never_an_earlier_one(view: View) -> None:
    view.show(6, "v1", {"v1": 1.0})
    with pytest.raises(ConflictError, match="generation 6"):
        view.show(5, "v2", {"v2": 1.0})
    view.engine.rows("drop table run_v2.scores")
    with pytest.raises(DataError):
        view.show(7, "v2", {"v1": 0.5, "v2": 0.5})
    assert (set(view.seen().values()), view.engine.pointed("bi.scores")) == ({("v1", 6)}, 6)
    view.show(9, "v1", None)
    assert (view.engine.exists("bi.scores"), view.engine.pointed("bi.scores")) == (False, 9)
