"""Random days of a rollout: commands, crashes, races, bad clocks and bad evidence, and no invariant ever broken."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from tests.lifecycle.invariants import INVARIANTS, NAMES, Look, the_log_says_what_was_recorded
from tests.lifecycle.rolling import METRICS, MOODS, SAYS, SIGNABLE, Crash, Life, World

from foregate.core.errors import ForegateError
from foregate.core.event import Entry
from foregate.core.folds import versions
from foregate.core.rollout import BACKWARD, Plan, Stage, Step, active, generation, good_versions, pointer, rollouts
from foregate.lifecycle import retire
from foregate.lifecycle.store import Store

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
        self.world.released("v1")
        self.world.plan = plan
        self.world.trained("v2")
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

    @rule(command=COMMANDS)
    def asks(self, command: tuple[str, dict[str, Any]]) -> None:
        self.give(*command)

    @rule(hours=st.integers(24, 96))
    def goes_on(self, hours: int) -> None:
        self.world.service.moods.clear()
        self.world.clock.tick(hours=hours)
        self.give("promote", {})

    @precondition(lambda self: active(self.seen) and active(self.seen).served_at)
    @rule(rule=st.sampled_from(["", "harm"]))
    def goes_back(self, rule: str) -> None:  # 10
        world, current = self.world, active(self.seen)
        assert current is not None
        good = [v for v in good_versions(self.seen) if v not in {current.version, *world.service.broken}]
        waiting, calls = current.stage in BACKWARD, len(world.service.calls)
        outcome = self.give("rollback", {"reason": "harm", "rule": rule})
        assert not METRICS & set(world.service.calls[calls:])
        if good and not waiting:
            assert world.split == {good[0]: 1.0}, outcome
            assert self.give("rollback", {"reason": "harm", "rule": rule}).rollout in (None, *rollouts(world.entries()))
            assert world.split == {good[0]: 1.0}, "a second rollback went back further"

    @rule(command=COMMANDS)
    def asks_twice_with_a_key(self, command: tuple[str, dict[str, Any]]) -> None:  # 15
        verb, words = command
        self.keys += 1
        words = words if verb in {"reconcile", "lapse"} else {**words, "key": f"k{self.keys}"}
        if not getattr(self.give(verb, words), "moved", False):
            return
        moved = generation(self.world.entries())
        again = self.give(verb, words)
        if "key" in words and not self.world.service.down:
            assert generation(self.world.entries()) == moved, again

    @rule(command=COMMANDS, last=st.integers(0, 6), soft=st.booleans())
    def is_killed(self, command: tuple[str, dict[str, Any]], last: int, soft: bool) -> None:
        """The process dies, or is told to stop, at a step; the next command is given by another one."""
        steps = iter(range(10**6))
        life = Life(lambda _point: next(steps) == last)
        if soft:
            life = Life()
            life.ends = lambda _point: _stop() if next(steps) == last else False
        try:
            self.give(*command, life)
        except (Crash, KeyboardInterrupt):
            self.world.life = Life()

    @rule(command=COMMANDS, other=COMMANDS, last=st.integers(0, 12))
    def are_raced(self, command: tuple[str, Any], other: tuple[str, Any], last: int) -> None:
        """Between two calls of a command's service another process carries out a whole command."""
        calls, service = iter(range(10**6)), self.world.service

        def meanwhile(_name: str) -> None:
            if next(calls) == last:
                service.meanwhile = _nothing
                self.give(*other, actor="Grace")

        service.meanwhile = meanwhile
        self.give(*command)
        service.meanwhile = _nothing

    @rule(version=named, asks=st.booleans(), author=st.sampled_from(PEOPLE))
    def trains(self, version: str, asks: bool, author: str) -> None:
        self.world.trained(version, asks=asks, package=version, author=author)

    @rule(version=named, gate=st.sampled_from(("rate_gap", *SIGNABLE)), days=st.integers(0, 9))
    def waives(self, version: str, gate: str, days: int) -> None:
        self.world.waived(version, gate, days)

    @rule(by=st.sampled_from(PEOPLE), days=st.integers(0, 9))
    def signs(self, by: str, days: int) -> None:
        current = active(self.seen)
        known = list(versions((e.event for e in self.seen), self.world.clock().date()))
        self.world.signed(current.version if current else known[-1], by, days)

    @rule(hours=st.integers(-30, 24 * 40))
    def waits(self, hours: int) -> None:
        self.world.clock.tick(hours=hours)

    @rule(plan=st.sampled_from(PLANS))
    def edits_the_plan(self, plan: Plan) -> None:
        self.world.plan = plan

    @rule(name=st.sampled_from(NAMED), mood=st.sampled_from(MOODS))
    def measures(self, name: str, mood: str) -> None:
        self.world.service.moods[name] = mood

    @rule(faults=st.sets(st.sampled_from(FAULTS), max_size=1), broken=st.sets(named, max_size=1), cold=st.sets(named))
    def things_break(self, faults: set[str], broken: set[str], cold: set[str]) -> None:
        service = self.world.service
        service.down, service.broken, service.cold = faults, broken, cold if len(cold) == 1 else set()

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
            max_examples=30 if quick else 8,
            stateful_step_count=25,
            deadline=None,
            phases=(Phase.generate,),
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
