"""A small world to roll versions out in: readers with a fenced pointer, a service that says what it is told to, and
processes that can be killed at any step.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from foregate.core.errors import ConflictError, ForegateError, OutsideError
from foregate.core.event import Entry, Event, Kind
from foregate.core.evidence import Evidence, Unit
from foregate.core.folds import versions
from foregate.core.gate import Effect, Gate, judge
from foregate.core.rollout import Plan, Readiness, Rollout, Step, bucket, parts_of, pointer, rollouts
from foregate.lifecycle.rollout import Rollouts
from foregate.lifecycle.signatures import bound_to
from foregate.lifecycle.store import Store

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
DIRECT = Plan()
STAGED = Plan((Step(0.0, 2), Step(0.1, 3), Step(0.5, 3)), bake_days=2, retention_days=5)
CANARY = Plan((Step(0.1, 0), Step(0.5, 0)))
SAYS = {
    "ready": ("drill_faults", "drill_rollback_seconds", "undecided_days"),
    "parity": ("parity_rows_off", "parity_columns_off", "parity_unscored", "parity_rank_correlation"),
    "field": ("sample_ratio_e_value", "harm_e_value", "future_labels", "field_rate_ratio"),
    "bake": ("critical_alerts",),
}
METRICS = frozenset(SAYS)
MOODS = ("good", "bad", "unsure", "nan", "missing", "error")
AT_LEAST = {"parity_rank_correlation", "field_rate_ratio"}
SIGNABLE = ("parity_rank_correlation", "field_rate_ratio", "undecided_days", "rolled_back_before", "cooldown_days_left")


class Crash(BaseException):
    """The process is gone."""


@dataclass
class Clock:
    """A clock that is set, forward and back."""

    now: datetime = NOON

    def __call__(self) -> datetime:
        return self.now

    def tick(self, **by: float) -> None:
        self.now += timedelta(**by)


class Readers:
    """What readers see, in a file: a pointer that moves forward alone, as the warehouse's does."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def seen(self) -> dict[str, Any]:
        return json.loads(self.file.read_text()) if self.file.exists() else {"generation": 0, "split": {}, "salt": ""}

    @property
    def split(self) -> dict[str, float]:
        return dict(self.seen()["split"])

    @property
    def generation(self) -> int:
        return int(self.seen()["generation"])

    def move(self, served: Entry) -> None:
        with self._alone():
            if (seen := self.generation) > served.sequence:
                raise ConflictError("readers", found=f"generation {seen}", wanted="none later", then="Look.")
            split, salt = dict(served.event.split or {}), served.event.detail.get("salt", "")
            staged = self.file.with_suffix(".partial")
            shown = {"generation": served.sequence, "split": split, "salt": salt, "version": served.event.version}
            staged.write_text(json.dumps(shown))
            staged.replace(self.file)

    def version_of(self, unit: int) -> str | None:
        """Return which version serves a person, as the readers' view works it out."""
        seen = self.seen()
        if not seen["split"]:
            return None
        event = Event(Kind.SERVED, NOON, "", seen["version"], "", split=seen["split"])
        place = bucket(seen["salt"], unit)
        parts = parts_of(event, dict.fromkeys(seen["split"], ""))
        return next(p.version for p in parts if p.start <= place < p.end)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with self.file.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


@dataclass
class Service:
    """Says what its moods tell it to, of every version alike; `meanwhile` hears of every call before it is done."""

    readers: Readers
    clock: Callable[[], datetime]
    moods: dict[str, str] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    cold: set[str] = field(default_factory=set)
    down: set[str] = field(default_factory=set)
    views: dict[str, str] = field(default_factory=dict)
    archived: set[str] = field(default_factory=set)
    calls: list[str] = field(default_factory=list)
    published: list[Entry] = field(default_factory=list)
    meanwhile: Callable[[str], None] = lambda _name: None

    def intact(self, version: str) -> Evidence:
        self._hear("intact")
        return self._found("intact_faults", version in self.broken, version)

    def warm(self, version: str) -> Evidence:
        self._hear("warm")
        return self._found("standby_faults", version in self.broken | self.cold, version)

    def ready(self, rollout: Rollout | None, version: str, champion: str | None, plan: Plan) -> Readiness:
        from foregate.core.rollout import good_versions

        self._hear("ready")
        good = next((v for v in good_versions(self.known()) if v != version), None)
        warm = [self.warm(v) for v in (version, good) if v]
        return Readiness((*warm, *self._said("ready")), plan.criterion)

    def parity(self, rollout: Rollout) -> Sequence[Evidence]:
        self._hear("parity")
        return self._said("parity")

    def field(self, rollout: Rollout) -> Sequence[Evidence]:
        self._hear("field")
        return self._said("field")

    def bake(self, rollout: Rollout) -> Sequence[Evidence]:
        self._hear("bake")
        return [*self._said("bake"), self.warm(rollout.version)]

    def publish(self, served: Entry) -> None:
        self._hear("publish")
        self.readers.move(served)
        self.published.append(served)
        if "after publish" in self.down:
            raise _outside("after publish")

    def probe(self, served: Entry) -> Evidence:
        self._hear("probe")
        seen = self.readers.seen()
        wanted = (served.sequence, dict(served.event.split or {}))
        words = f"readers see {seen['split']} at generation {seen['generation']}"
        return self._found("probe_rows_off", (seen["generation"], seen["split"]) != wanted, words=words)

    def consumers(self, version: str) -> Evidence:
        self._hear("consumers")
        view = self.views.get(version, "")
        return self._found("consumers", bool(view), version, view)

    def archive(self, version: str) -> Evidence:
        self._hear("archive")
        self.archived.add(version)
        return self._found("archived", 1, version, f"archive/{version}.zip")

    def known(self) -> Sequence[Entry]:
        """Return the ledger's entries; a world puts its own here."""
        return ()

    def _hear(self, name: str) -> None:
        self.calls.append(name)
        self.meanwhile(name)
        if name in self.down:
            raise _outside(name)

    def _found(self, name: str, value: float, subject: str = "", words: str = "") -> Evidence:
        return Evidence(name, float(value), 10, self.clock().date(), "test", subject=subject, words=words)

    def _said(self, call: str) -> list[Evidence]:
        moods = {name: self.moods.get(name, "good") for name in SAYS[call]}
        if "error" in moods.values():
            raise _outside(call)
        return [reading(name, mood, self.clock().date()) for name, mood in moods.items() if mood != "missing"]


def reading(name: str, mood: str, on: date) -> Evidence:
    """Return evidence that its gate passes, fails or can not tell by."""
    if mood == "nan":
        return Evidence(name, float("nan"), 1000, on, "test", unit=Unit.RATIO, low=0.0, high=9.0)
    if mood == "unsure":
        return Evidence(name, 0.9, 1000, on, "test", unit=Unit.RATIO, low=-1e9, high=1e9)
    if name in AT_LEAST:
        value = 1.5 if mood == "good" else -1.5
        return Evidence(name, value, 1000, on, "test", unit=Unit.RATIO, low=value - 0.2, high=value + 0.2)
    return Evidence(name, 0.0 if mood == "good" else 1e6, 1000, on, "test")


def _outside(name: str) -> OutsideError:
    return OutsideError(f"warehouse, {name}", found="no answer", wanted="one", then="Try again.")


class Life:
    """A process that `ends` at a step: from then on nothing it holds answers any more."""

    def __init__(self, ends: Callable[[str], bool] = lambda _point: False) -> None:
        self.ends, self.dead = ends, False
        self.points: list[str] = []

    def boundary(self, point: str) -> None:
        self.points.append(point)
        self.dead = self.dead or self.ends(point)
        self.check()

    def check(self) -> None:
        if self.dead:
            raise Crash


class Fated:
    """A thing in the hands of a process that can die."""

    def __init__(self, thing: Any, life: Life) -> None:
        self._thing, self._life = thing, life

    def __getattr__(self, name: str) -> Any:
        self._life.check()
        return getattr(self._thing, name)


class Full:
    """A ledger on a disk that is full after so many rows."""

    def __init__(self, store: Store, rows: int) -> None:
        self.store, self.left = store, rows

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    def add(self, *words: Any) -> Entry:
        self.left -= 1
        if self.left < 0:
            raise OutsideError("ledger", found="no space left", wanted="some", then="Make room.")
        return self.store.add(*words)


class World:
    """One model with a ledger, readers and a service; every command is given by a process of its own."""

    def __init__(self, store: Store, folder: Path, model: str = "leads", plan: Plan = DIRECT) -> None:
        self.store, self.model, self.plan, self.clock = store, model, plan, Clock()
        self.readers = Readers(folder / f"{model}.json")
        self.service = Service(self.readers, self.clock)
        self.service.known = lambda: store.current(model)  # type: ignore[method-assign]
        self.life = Life()

    def entries(self) -> list[Entry]:
        return list(self.store.read(self.model))

    def rollouts(self, life: Life | None = None, actor: str = "Ada", plan: Plan | None = None) -> Rollouts:
        """Return the verbs in the hands of a fresh process."""
        self.life = life or Life()
        held = [Fated(thing, self.life) for thing in (self.store, self.service)]
        return Rollouts(held[0], self.clock, actor, self.model, plan or self.plan, held[1], self.life.boundary)

    def trained(self, version: str, *, asks: bool = False, package: str = "bytes", author: str = "Ada") -> None:
        """Write that a version was run and judged; `asks`: a gate of it did not pass and asks for a waiver."""
        on, say = self.clock().date(), self._say
        gate = Gate("rate_gap", at_most=0, effect=Effect.SIGN_OFF, why="it promises more than it keeps")
        found = (
            Evidence("rate_gap", float(asks), 10, on, "test"),
            Evidence("package_digest", 1.0, 1, on, "test", subject=package),
        )
        say(Kind.STARTED, version, author, detail={"phases": ["dates"], "gates": {}})
        say(Kind.STARTED, version, author, phase="dates")
        say(Kind.JUDGED, version, author, phase="dates", evidence=found, judgements=judge((gate,), found))

    def waived(self, version: str, gate: str = "rate_gap", days: int = 30, by: str = "Grace") -> None:
        until = self.clock().date() + timedelta(days=days)
        self._say(Kind.WAIVED, version, by, reason="it will do", until=until, detail={"gate": gate})

    def signed(self, version: str, by: str = "Grace", days: int = 30, plan: Plan | None = None) -> None:
        state = versions((e.event for e in self.entries()), self.clock().date())[version]
        until = self.clock().date() + timedelta(days=days)
        detail = bound_to(state, plan or self.plan)
        self._say(Kind.SIGNED, version, by, reason="read and agreed", until=until, detail=detail)

    def released(self, *names: str) -> None:
        """Train versions and take each to full traffic and to its end, one after the other."""
        for name in names:
            self.trained(name)
            for _ in range(12):
                outcome = self.rollouts().promote(name)
                if outcome.rollout and outcome.rollout.stage == "completed":
                    break
                self.clock.tick(days=3)

    def _say(self, kind: Kind, version: str, actor: str, **more: Any) -> None:
        self.store.add(Event(kind, self.clock(), self.model, version, actor, **more))

    @property
    def split(self) -> dict[str, float]:
        """What the ledger says is in service."""
        at = pointer(self.entries())
        return dict(at.event.split or {}) if at else {}


def last(world: World) -> Rollout:
    return rollouts(world.entries())[-1]


def agreed(world: World) -> dict[str, float]:
    """What is in service, by the ledger and by the readers."""
    assert world.readers.split == world.split
    assert world.readers.generation == getattr(pointer(world.entries()), "sequence", 0)
    return world.split


def serve(url: str, folder: str) -> None:
    """Carry out orders read line by line, each in a child process of its own, and print what became of it.

    An order: model, plan, verb, words (its arguments), and `at`: {point: "kill" or a file to wait for} where a point is
    a boundary, a call of the service, or `#n` for the n-th boundary.
    """
    for line in sys.stdin:
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            os.write(write, json.dumps(_obeyed(url, Path(folder), json.loads(line))).encode())
            os._exit(0)
        os.close(write)
        with os.fdopen(read) as said:
            text = said.read()
        _, status = os.waitpid(child, 0)
        print(json.dumps({"signal": os.WTERMSIG(status), "said": json.loads(text or "{}")}), flush=True)  # noqa: T201


def _obeyed(url: str, folder: Path, order: dict[str, Any]) -> dict[str, Any]:
    store = Store(url)
    world = World(store, folder, order["model"], Plan.from_json(order["plan"]))
    world.clock.now = datetime.fromisoformat(order["now"])
    at, count = order.get("at", {}), iter(range(10**6))

    def reached(point: str) -> None:
        what = at.get(point)
        if what == "kill":
            os.kill(os.getpid(), 9)
        if what:
            Path(what + ".here").touch()
            waited(Path(what), os.getppid())

    def boundary(point: str) -> None:
        reached(f"#{next(count)}")
        reached(point)

    world.service.meanwhile = reached
    rollouts = world.rollouts(actor=order.get("actor", "Ada"))
    rollouts.boundary = boundary
    try:
        outcome = getattr(rollouts, order["verb"])(**order.get("words", {}))
    except ForegateError as error:
        return {"error": type(error).__name__, "words": str(error)}
    finally:
        store.close()
    return {"moved": getattr(outcome, "moved", None), "words": getattr(outcome, "words", str(outcome))}


def waited(file: Path, parent: int | None = None) -> None:
    """Wait until a file is there; a child whose parent is gone ends."""
    until = time.monotonic() + 30
    while not file.exists():
        if parent not in (None, os.getppid()):
            os._exit(1)
        if time.monotonic() > until:
            raise TimeoutError(str(file))
        time.sleep(0.005)
