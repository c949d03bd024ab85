"""Rollouts: one attempt to move a version, folded from the ledger; which step may follow, and who was champion."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from foregate.core.event import Entry, Event, Kind
from foregate.core.evidence import Evidence
from foregate.core.folds import leader


class Stage(StrEnum):
    """Where a rollout stands."""

    PLANNED = "planned"
    AWAITS = "awaits signatures"
    SHADOW = "shadow"
    CANARY = "canary"
    PROMOTING = "promoting"
    BAKING = "baking"
    COMPLETED = "completed"
    HELD = "held"
    REJECTED = "rejected"
    ROLLING_BACK = "rolling back"
    UNVERIFIED = "rollback unverified"
    ROLLED_BACK = "rolled back"


class Role(StrEnum):
    """What a version is to its model today."""

    CANDIDATE = "candidate"
    CHALLENGER = "challenger"
    CHAMPION = "champion"
    STANDBY = "standby"
    RETIRED = "retired"
    QUARANTINED = "quarantined"
    SUNSET = "sunset"


SUNSET = "sunset"
ENDED = frozenset({Stage.COMPLETED, Stage.REJECTED, Stage.ROLLED_BACK})
BACKWARD = frozenset({Stage.ROLLING_BACK, Stage.UNVERIFIED, Stage.ROLLED_BACK})
IN_TRAFFIC = frozenset({Stage.CANARY, Stage.PROMOTING, Stage.BAKING, Stage.COMPLETED})
_STOPS = {Stage.HELD, Stage.REJECTED}
NEXT: Mapping[Stage | None, frozenset[Stage]] = {
    None: frozenset({Stage.PLANNED}),
    Stage.PLANNED: frozenset({Stage.AWAITS, Stage.SHADOW, Stage.CANARY, Stage.PROMOTING} | _STOPS),
    Stage.AWAITS: frozenset({Stage.SHADOW, Stage.CANARY, Stage.PROMOTING} | _STOPS),
    Stage.SHADOW: frozenset({Stage.SHADOW, Stage.CANARY, Stage.PROMOTING} | _STOPS),
    Stage.CANARY: frozenset({Stage.CANARY, Stage.PROMOTING, Stage.HELD, Stage.ROLLING_BACK}),
    Stage.PROMOTING: frozenset({Stage.BAKING, Stage.HELD, Stage.ROLLING_BACK}),
    Stage.BAKING: frozenset({Stage.COMPLETED, Stage.HELD, Stage.ROLLING_BACK}),
    Stage.COMPLETED: frozenset({Stage.ROLLING_BACK}),
    Stage.HELD: frozenset(
        {Stage.PLANNED, Stage.AWAITS, Stage.SHADOW, Stage.CANARY, Stage.PROMOTING, Stage.BAKING}
        | {Stage.REJECTED, Stage.ROLLING_BACK}
    ),
    Stage.REJECTED: frozenset(),
    Stage.ROLLING_BACK: frozenset({Stage.ROLLED_BACK, Stage.UNVERIFIED, Stage.ROLLING_BACK}),
    Stage.UNVERIFIED: frozenset({Stage.ROLLED_BACK, Stage.UNVERIFIED, Stage.ROLLING_BACK}),
    Stage.ROLLED_BACK: frozenset(),
}


@dataclass(frozen=True, slots=True)
class Step:
    """One stage of a plan: the challenger's share of people (0 is shadow), at least so many days."""

    share: float
    days: int


@dataclass(frozen=True, slots=True)
class Plan:
    """How a version is moved: read from the project once, and kept whole in the ledger when a rollout starts.

    `criterion` is better or not_worse; `margin` the share of the champion's rate that "not worse" may cost; `detect`
    the ratio of rates that "better" must be able to see; `evidence_days` how old a judgement may be that still moves
    something; `cooldown_days` the quiet between two rollouts. Shares rise and stay below 1.
    """

    steps: tuple[Step, ...] = ()
    criterion: str = "not_worse"
    margin: float = 0.2
    detect: float = 1.25
    power: float = 0.8
    alpha: float = 0.05
    min_leads: int = 0
    bake_days: int = 0
    cooldown_days: int = 0
    evidence_days: int = 90
    retention_days: int = 90
    signatures: int = 0
    bake_signatures: int = 0
    author_signs: bool = True

    def __post_init__(self) -> None:
        shares = [step.share for step in self.steps]
        if shares != sorted(set(shares)) or not all(0 <= share < 1 for share in shares):
            raise ValueError(f"shares must rise from 0 and stay below 1, each once, not {shares}")

    @property
    def digest(self) -> str:
        """The hash that signatures are bound to."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:12]

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Plan:
        """Return the plan that `asdict` wrote."""
        return cls(**{**raw, "steps": tuple(Step(**step) for step in raw["steps"])})

    def after(self, share: float | None) -> tuple[Stage, float]:
        """Return the stage that follows a share (None: the start): the next step of the plan, else full traffic.

        >>> plan = Plan((Step(0.0, 7), Step(0.1, 14)))
        >>> [(stage.value, share) for stage, share in map(plan.after, (None, 0.0, 0.1))]
        [('shadow', 0.0), ('canary', 0.1), ('promoting', 1.0)]
        """
        for step in self.steps:
            if share is None or step.share > share:
                return (Stage.CANARY if step.share else Stage.SHADOW), step.share
        return Stage.PROMOTING, 1.0

    def days_of(self, share: float) -> int:
        """Return the least days of the step with this share; 0 for none."""
        return next((step.days for step in self.steps if step.share == share), 0)


@dataclass(slots=True)
class Rollout:
    """One attempt to move a version, as the ledger last saw it; `began` is the place of its first event.

    `entered` is when the stage it stands in (or, when held, is held in) was first entered.
    """

    began: int
    version: str
    plan: Plan
    champion: str | None
    started_at: datetime
    stage: Stage = Stage.PLANNED
    share: float = 0.0
    entered: datetime | None = None
    moved: Event | None = None
    held_in: Stage | None = None
    criterion: str = ""
    served_at: datetime | None = None
    automatic: int = 0
    unseen: bool = False
    moves: list[Entry] = field(default_factory=list)

    @property
    def salt(self) -> str:
        """What the hash of a person is salted with: another one for every rollout of a ledger.

        No version's name is in it: that hangs on every line of code, and who is tried must not.
        """
        return f"{self.plan.digest}:{self.began}"

    @property
    def is_open(self) -> bool:
        """Whether it has not ended."""
        return self.stage not in ENDED


@dataclass(frozen=True, slots=True)
class Readiness:
    """What is known before a rollout moves: its evidence, and the criterion that its window can decide."""

    evidence: tuple[Evidence, ...]
    criterion: str


@dataclass(frozen=True, slots=True)
class Part:
    """A share of the readers' view: the version and table that serve the people in buckets from `start` up to `end`."""

    version: str
    table: str
    start: str
    end: str


def parts_of(served: Event, tables: Mapping[str, str]) -> tuple[Part, ...]:
    """Return the parts of a served split; the version that came last has the lowest buckets, so that it only grows.

    Each person's bucket is `bucket(salt, unit)`; as the share rises, who was the challenger's stays the challenger's.
    """
    split = {version: share for version, share in (served.split or {}).items() if share}
    order = sorted(split, key=lambda v: (v != served.version, v))
    parts, edge = [], 0.0
    for version in order:
        upto = 1.0 if version == order[-1] else edge + split[version]
        parts.append(Part(version, tables[version], threshold(edge), threshold(upto)))
        edge = upto
    return tuple(parts)


def moment_of(entries: Iterable[Entry]) -> Iterator[tuple[Entry, datetime]]:
    """Yield entries with their moment, never earlier than one before: the ledger's order counts, not a clock."""
    latest: datetime | None = None
    for entry in entries:
        latest = entry.event.at if latest is None else max(latest, entry.event.at)
        yield entry, latest


def rollouts(entries: Iterable[Entry]) -> list[Rollout]:
    """Return every rollout, in the order they were started, each as its last event left it."""
    found: dict[int, Rollout] = {}
    for entry, moment in moment_of(entries):
        event = entry.event
        if event.kind not in (Kind.MOVED, Kind.SERVED) or event.detail.get("stage", SUNSET) == SUNSET:
            continue
        began = int(event.detail.get("rollout", 0)) or entry.sequence
        if began == entry.sequence:
            plan = Plan.from_json(event.detail["plan"])
            found[began] = Rollout(began, event.version, plan, event.detail.get("champion"), moment)
        _take(found[began], entry, moment)
    return list(found.values())


def _take(rollout: Rollout, entry: Entry, moment: datetime) -> None:
    event, stage = entry.event, Stage(entry.event.detail["stage"])
    resumed = rollout.stage is Stage.HELD and stage is rollout.held_in
    again = stage is rollout.stage and float(event.detail.get("share", rollout.share)) == rollout.share
    if stage is Stage.HELD:
        rollout.held_in = rollout.held_in if rollout.stage is Stage.HELD else rollout.stage
    elif not (resumed or again) or rollout.entered is None:
        rollout.entered = moment
    rollout.stage = stage
    rollout.share = float(event.detail.get("share", rollout.share))
    rollout.criterion = str(event.detail.get("criterion", rollout.criterion))
    rollout.moved = event
    if event.kind is Kind.SERVED and rollout.served_at is None:
        rollout.served_at = moment
    rollout.automatic += stage is Stage.ROLLING_BACK and bool(event.detail.get("rule"))
    rollout.unseen = rollout.unseen or bool(event.detail.get("unseen"))
    rollout.moves.append(entry)


def active(entries: Iterable[Entry]) -> Rollout | None:
    """Return the rollout that has not ended, or None; there is at most one."""
    return next((r for r in reversed(rollouts(entries)) if r.is_open), None)


def generation(entries: Iterable[Entry]) -> int:
    """Return the place of the last event that moved anything: what the next move must have seen."""
    moves = (e.sequence for e in entries if e.event.kind in (Kind.MOVED, Kind.SERVED))
    return max(moves, default=0)


def pointer(entries: Iterable[Entry]) -> Entry | None:
    """Return the last served entry: its split is what readers must see, its place the pointer's generation."""
    return next((e for e in reversed(list(entries)) if e.event.kind is Kind.SERVED), None)


def champion_at(entries: Iterable[Entry], when: datetime) -> Entry | None:
    """Return the served entry in force at a past moment: which version, who moved it, on what evidence."""
    found = None
    for entry, moment in moment_of(entries):
        if moment > when:
            break
        if entry.event.kind is Kind.SERVED:
            found = entry
    return found


def good_versions(entries: Iterable[Entry]) -> list[str]:
    """Return the versions that completed a rollout and were neither rolled back nor sunset since, latest first.

    A version served whole by an event of no rollout (from before there were any) counts as one that completed.
    """
    good: list[str] = []
    for entry in entries:
        event = entry.event
        stage = event.detail.get("stage", "")
        whole = event.kind is Kind.SERVED and not stage and event.split == {event.version: 1.0}
        if stage in BACKWARD or stage == SUNSET or (event.kind is Kind.SERVED and not event.split):
            good = [v for v in good if v != event.detail.get("leaves", event.version)]
        elif stage == Stage.COMPLETED or whole:
            good = [v for v in good if v != event.version] + [event.version]
    return good[::-1]


def quarantined(entries: Iterable[Entry]) -> set[str]:
    """Return the versions that were rolled back after readers had seen them, and have completed no rollout since."""
    found: set[str] = set()
    for rollout in rollouts(entries):
        if rollout.stage in BACKWARD and not rollout.unseen:
            found.add(rollout.version)
        elif rollout.stage is Stage.COMPLETED:
            found.discard(rollout.version)
    return found


def ended_at(entries: Iterable[Entry], version: str) -> int:
    """Return the place where a version's last ended rollout ended, 0 for none: what was said before was about that."""
    ended = [r.moves[-1].sequence for r in rollouts(entries) if r.version == version and not r.is_open]
    return max(ended, default=0)


def roles(entries: Iterable[Entry], versions: Iterable[str]) -> dict[str, Role]:
    """Return what each version is today."""
    seen = list(entries)
    at = pointer(seen)
    first = leader(at.event) if at else None
    current = active(seen)
    good = [v for v in good_versions(seen) if v != first]
    gone = {e.event.version for e in seen if e.event.detail.get("stage") == SUNSET}
    out = quarantined(seen)
    served = {v for e in seen for v in e.event.split or ()}

    def role(version: str) -> Role:
        by = {
            Role.CHAMPION: version == first,
            Role.SUNSET: version in gone,
            Role.QUARANTINED: version in out,
            Role.CHALLENGER: bool(current and current.version == version),
            Role.STANDBY: version in good[:1],
            Role.RETIRED: version in served,
        }
        return next((name for name, true in by.items() if true), Role.CANDIDATE)

    return {version: role(version) for version in versions}


def bucket(salt: str, unit: object) -> str:
    """Return a unit's place in the order of a salted hash: eight hexadecimal digits, evenly spread.

    >>> bucket("a", 1), bucket("b", 1)
    ('9ef12b2e', '64c4606f')
    """
    return hashlib.md5(f"{salt}:{unit}".encode(), usedforsecurity=False).hexdigest()[:8]


def threshold(share: float) -> str:
    """Return the bucket below which a share of all units lies; `g`, above every bucket, for 1.

    >>> threshold(0.1), threshold(0.0), threshold(1.0)
    ('1999999a', '00000000', 'g')
    """
    return "g" if share >= 1 else f"{min(round(share * 2**32), 2**32 - 1):08x}"
