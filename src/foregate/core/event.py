"""Events: the ledger's only row, as plain data that hashes the same on every machine."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from foregate.core.evidence import Evidence, Unit
from foregate.core.gate import Effect, Gate, Judgement, Result


class Kind(StrEnum):
    """What happened."""

    STARTED = "started"
    OPENED = "opened"
    JUDGED = "judged"
    FAILED = "failed"
    WAIVED = "waived"
    SIGNED = "signed"
    SERVED = "served"
    LISTED = "listed"
    MOVED = "moved"
    ALERTED = "alerted"
    RESOLVED = "resolved"
    SILENCED = "silenced"


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to a version; an empty `phase` means the version as a whole.

    A `served` event carries the whole traffic split (version -> share, summing to 1), so the fold is "the last one".
    `detail` holds what the kind needs beside: plain JSON values only.
    """

    kind: Kind
    at: datetime
    model: str
    version: str
    actor: str
    phase: str = ""
    evidence: tuple[Evidence, ...] = ()
    judgements: tuple[Judgement, ...] = ()
    split: Mapping[str, float] | None = None
    reason: str = ""
    until: date | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.at.tzinfo is None:
            raise ValueError("an event's moment needs its time zone")
        if self.split is not None and not _whole(self.split):
            raise ValueError(f"a split must be shares from 0 to 1 that sum to 1, got {dict(self.split)}")

    def sentence(self) -> str:
        """Return the event as a person would say it."""
        what = _SENTENCES[self.kind](self)
        return f"{what}: {self.reason}" if self.reason else what


def _whole(split: Mapping[str, float]) -> bool:
    """Return whether the shares make one whole (NaN makes every comparison false)."""
    return all(0 <= share <= 1 for share in split.values()) and abs(sum(split.values()) - 1) <= 1e-9


_SENTENCES = {
    Kind.STARTED: lambda e: f"{e.actor} started {e.phase or 'a run'} of {e.version}",
    Kind.OPENED: lambda e: f"{e.version} opened the test rows {e.detail.get('window', '')}",
    Kind.JUDGED: lambda e: f"{e.phase} of {e.version} was judged",
    Kind.FAILED: lambda e: f"{e.phase or 'the run'} of {e.version} broke off",
    Kind.WAIVED: lambda e: f"{e.actor} accepted {e.detail.get('gate', '')} of {e.version} until {e.until}",
    Kind.SIGNED: lambda e: f"{e.actor} signed {e.version} until {e.until}",
    Kind.SERVED: lambda e: f"{e.actor} put {_split_words(e.split or {})} in service",
    Kind.LISTED: lambda e: f"{e.actor} built the list {e.detail.get('list', '')} with {e.version}",
    Kind.MOVED: lambda e: f"{e.actor} moved the rollout of {e.version} to {e.detail.get('state', '')}",
    Kind.ALERTED: lambda e: f"{e.detail.get('severity', 'an')} alert {e.detail.get('rule', '')} on {e.version}",
    Kind.RESOLVED: lambda e: f"alert {e.detail.get('rule', '')} on {e.version} is over",
    Kind.SILENCED: lambda e: f"{e.actor} silenced {e.detail.get('rule', '')} until {e.until}",
}


def _split_words(split: Mapping[str, float]) -> str:
    return " and ".join(f"{version} ({share:.0%})" for version, share in split.items())


@dataclass(frozen=True, slots=True)
class Entry:
    """An event with its place in its model's chain; `digest` seals it and everything before it."""

    sequence: int
    event: Event
    previous: str
    digest: str


_SURROGATE = re.compile("[\ud800-\udfff]")


def seal(event: Event, sequence: int, previous: str) -> Entry:
    """Return the event chained to the digest of the one before it (empty for the first)."""
    return Entry(sequence, event, previous, digest_of_row(sequence, previous, to_json(event)))


def digest_of_row(sequence: int, previous: str, body: str) -> str:
    """Return the hash that seals a row: its place, the digest before it, and its text as it is stored."""
    return hashlib.sha256(f"{sequence}\n{previous}\n{body}".encode()).hexdigest()


def to_json(event: Event) -> str:
    """Return the event as canonical JSON: sorted keys, no spaces, non-finite numbers as words.

    Bytes that were no text (a file name in an error, say) come as lone surrogates, which no database takes: they are
    escaped.
    """
    raw = _plain(asdict(event))
    for found in (*raw["evidence"], *(j["evidence"] for j in raw["judgements"] if j["evidence"])):
        found.update({name: _number(found[name]) for name in ("value", "low", "high")})
    text = json.dumps(raw, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return _SURROGATE.sub(lambda lone: f"\\u{ord(lone[0]):04x}", text)


def from_json(text: str) -> Event:
    """Return the event a canonical JSON text was made from; raises KeyError or ValueError for anything else."""
    raw = json.loads(text)
    return Event(
        kind=Kind(raw["kind"]),
        at=datetime.fromisoformat(raw["at"]),
        model=raw["model"],
        version=raw["version"],
        actor=raw["actor"],
        phase=raw["phase"],
        evidence=tuple(_evidence(e) for e in raw["evidence"]),
        judgements=tuple(_judgement(j) for j in raw["judgements"]),
        split=raw["split"],
        reason=raw["reason"],
        until=None if raw["until"] is None else date.fromisoformat(raw["until"]),
        detail=raw["detail"],
    )


def gate_from(raw: Mapping[str, Any]) -> Gate:
    """Return a gate from its JSON form."""
    return Gate(**{**raw, "effect": Effect(raw["effect"])})


def gate_to(gate: Gate) -> dict[str, Any]:
    """Return a gate's JSON form."""
    return {**asdict(gate), "effect": str(gate.effect)}


def _evidence(raw: Mapping[str, Any]) -> Evidence:
    numbers = {k: None if raw[k] is None else float(raw[k]) for k in ("value", "low", "high")}
    return Evidence(**{**raw, **numbers, "as_of": date.fromisoformat(raw["as_of"]), "unit": Unit(raw["unit"])})


def _judgement(raw: Mapping[str, Any]) -> Judgement:
    evidence = None if raw["evidence"] is None else _evidence(raw["evidence"])
    return Judgement(gate_from(raw["gate"]), Result(raw["result"]), evidence, raw["words"])


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def _number(value: Any) -> Any:
    """Return a measured number as a float: 5 and 5.0 are one evidence, so they have one hash."""
    return float(value) if isinstance(value, int) else value
