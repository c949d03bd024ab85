"""Events: the ledger's only row, as plain data that hashes the same on every machine."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from foregate.core.errors import OutsideError
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
    ISSUED = "issued"
    MOVED = "moved"
    ALERTED = "alerted"
    RESOLVED = "resolved"
    SILENCED = "silenced"


class _Stored:
    """What of an event that was stored has not been read yet: the text of its detail, evidence and judgements."""

    __slots__ = ("_unread",)
    _unread: str


@dataclass(frozen=True, slots=True)
class Event(_Stored):
    """One thing that happened to a version; an empty `phase` means the version as a whole.

    A `served` event carries the whole traffic split (version -> share, summing to 1), so the fold is "the last one".
    `detail` holds what the kind needs beside: plain JSON values only. Of an event that comes from the ledger, detail,
    evidence and judgements are made when they are first asked for: they are most of its text, and few want them all.
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

    if not TYPE_CHECKING:  # a type checker would take it that an event has any attribute

        def __getattr__(self, name: str) -> Any:
            """Return the detail, evidence or judgements of a stored event, read from its text."""
            if name not in _LATE:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            try:
                found = _LATE[name](self)
            except (KeyError, TypeError, ValueError) as error:
                raise OutsideError(
                    f"ledger, model {self.model}, {self.kind} {self.phase} of {self.version} at {self.at}",
                    found=f"sealed {name} that this Foregate can not read ({error})",
                    wanted=f"{name} of a kind it knows",
                    then="A newer Foregate wrote it: upgrade.",
                ) from error
            object.__setattr__(self, name, found)
            return found

    def not_passed(self) -> tuple[Judgement, ...]:
        """Return the judgements that are no pass; where a stored event has none, the text says so at once."""
        if _all_passed(self):
            return ()
        return tuple(j for j in self.judgements if j.result is not Result.PASS)

    def measured(self, name: str) -> tuple[Evidence, ...]:
        """Return the pieces of evidence of that name, without making the others of a stored event."""
        if not hasattr(self, "_unread"):
            return tuple(e for e in self.evidence if e.name == name)
        return tuple(_evidence(json.loads(piece)) for piece in _pieces(_arrays(self)[0], name))

    def may_have(self, *names: str) -> bool:
        """Return whether `detail` has one of these keys, or, while nobody has read it, could by its text."""
        text = getattr(self, "_unread", ",")
        if text.startswith(","):
            return any(name in self.detail for name in names)
        return any([_key(name) in text for name in names])

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
    Kind.SERVED: lambda e: f"{e.actor} put {_split_words(e.split or {}) or 'nothing'} in service",
    Kind.ISSUED: lambda e: f"{e.actor} issued the forecast of {e.detail.get('as_of', '')} with {e.version}",
    Kind.LISTED: lambda e: f"{e.actor} built the list {e.detail.get('list', '')} with {e.version}",
    Kind.MOVED: lambda e: f"{e.actor} moved the rollout of {e.version} to {e.detail.get('stage', '')}",
    Kind.ALERTED: lambda e: (
        f"{e.detail.get('severity', 'an')} alert {e.detail.get('rule', '')}{_about(e)} on {e.version}"
    ),
    Kind.RESOLVED: lambda e: f"alert {e.detail.get('rule', '')} on {e.version} is over",
    Kind.SILENCED: lambda e: f"{e.actor} silenced {e.detail.get('rule', '')} until {e.until}",
}


def _about(event: Event) -> str:
    """Return which subjects an alert is about, the first few by name."""
    subjects = [str(s) for s in event.detail.get("subjects", ()) if s and s != event.version]
    more = f" and {len(subjects) - 3} more" if len(subjects) > 3 else ""
    return f" about {', '.join(subjects[:3])}{more}" if subjects else ""


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
    raw = {
        "actor": event.actor,
        "at": event.at.isoformat(),
        "detail": _plain(event.detail),
        "evidence": [_evidence_to(e) for e in event.evidence],
        "judgements": [_judgement_to(j) for j in event.judgements],
        "kind": event.kind,
        "model": event.model,
        "phase": event.phase,
        "reason": event.reason,
        "split": _plain(event.split),
        "until": _plain(event.until),
        "version": event.version,
    }
    return _canonical(raw)


def _canonical(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return _SURROGATE.sub(lambda lone: f"\\u{ord(lone[0]):04x}", text)


@lru_cache(maxsize=256)
def _key(name: str) -> str:
    return f"{_canonical(name)}:"


_STRING = r'"((?:[^"\\]|\\.)*)"'
_OPENING = re.compile(rf'\{{"actor":{_STRING},"at":"([^"\\]*)","detail":(?=\{{)')
_ENDING = re.compile(
    rf',"kind":"(\w+)","model":{_STRING},"phase":{_STRING},"reason":{_STRING},'
    rf'"split":(null|\{{.*\}}),"until":(?:null|"([^"\\]*)"),"version":{_STRING}\}}'
)
_EVIDENCE, _JUDGEMENTS = ',"evidence":[', '],"judgements":['
_RESULT = ',"result":"'
_WORDS = ("actor", "model", "phase", "reason", "version")
_DECODER = json.JSONDecoder()
_KINDS = {str(kind): kind for kind in Kind}


def from_json(text: str) -> Event:
    """Return the event a canonical JSON text was made from; raises KeyError, TypeError or ValueError for anything else.

    Detail, evidence and judgements are read when they are first asked for: what is there that this Foregate does not
    know raises OutsideError then.
    """
    opening = _OPENING.match(text)
    # A quote inside a string is escaped: neither a name nor a reason can look like a key. The keys are sorted.
    end = text.rfind(',"kind":"')
    ending = _ENDING.fullmatch(text, end) if end > 0 else None
    if opening is None or ending is None:
        return _from_any(text)
    actor, at = opening.groups()
    kind, model, phase, reason, split, until, version = ending.groups()
    words = (actor, model, phase, reason, version)
    if "\\" in actor or "\\" in ending[0]:
        words = tuple(json.loads(f'"{word}"') for word in words)
    event = object.__new__(Event)
    put = object.__setattr__  # an event is frozen, and its initialiser would read what is to be read later
    put(event, "kind", _KINDS.get(kind) or Kind(kind))
    put(event, "at", datetime.fromisoformat(at))
    for name, word in zip(_WORDS, words, strict=True):
        put(event, name, word)
    put(event, "split", None if split == "null" else json.loads(split))
    put(event, "until", None if until is None else date.fromisoformat(until))
    put(event, "_unread", text[opening.end() : end])
    event.__post_init__()
    return event


def _from_any(text: str) -> Event:
    """Return the event of a text that is not canonical."""
    raw = json.loads(text)
    return Event(
        kind=Kind(raw["kind"]),
        at=datetime.fromisoformat(raw["at"]),
        model=raw["model"],
        version=raw["version"],
        actor=raw["actor"],
        phase=raw["phase"],
        evidence=tuple(map(_evidence, raw["evidence"])),
        judgements=tuple(map(_judgement, raw["judgements"])),
        split=raw["split"],
        reason=raw["reason"],
        until=None if raw["until"] is None else date.fromisoformat(raw["until"]),
        detail=raw["detail"],
    )


def _detail(event: Event) -> Any:
    """Return the detail, after which only the two arrays are left to be read."""
    found, end = _DECODER.raw_decode(event._unread)
    object.__setattr__(event, "_unread", event._unread[end:])
    return found


def _arrays(event: Event) -> tuple[str, str]:
    """Return the texts of both arrays; a piece of evidence holds no array, so the first end is the end."""
    if not event._unread.startswith(","):
        object.__setattr__(event, "detail", _detail(event))
    text = event._unread
    middle = text.index(_JUDGEMENTS)
    return text[len(_EVIDENCE) - 1 : middle + 1], text[middle + len(_JUDGEMENTS) - 1 :]


def _pieces(array: str, name: str) -> list[str]:
    """Return the texts of the pieces of evidence of that name; each begins with its day, the first of its keys."""
    wanted, between = f"{_key('name')}{_canonical(name)},", '},{"as_of":"'
    return [f"{between[2:]}{piece}}}" for piece in array[11:-2].split(between) if wanted in piece]


def _all_passed(event: Event) -> bool:
    """Return whether the text of an event that was stored says of every judgement that it passed."""
    if not hasattr(event, "_unread"):
        return False
    text = _arrays(event)[1]
    return text.count(_RESULT) == text.count(f'{_RESULT}{Result.PASS}",')


def gate_from(raw: Mapping[str, Any]) -> Gate:
    """Return a gate from its JSON form; equal ones are one object, for every version brings the same."""
    return _gate(**raw)


def gate_to(gate: Gate) -> dict[str, Any]:
    """Return a gate's JSON form."""
    return {
        "evidence": gate.evidence,
        "at_least": gate.at_least,
        "at_most": gate.at_most,
        "min_rows": gate.min_rows,
        "effect": str(gate.effect),
        "why": gate.why,
    }


@lru_cache(maxsize=4096, typed=True)
def _gate(effect: str, **raw: Any) -> Gate:
    return Gate(**raw, effect=Effect(effect))


_UNITS = {str(unit): unit for unit in Unit}
_RESULTS = {str(result): result for result in Result}
_MEASURED = frozenset(one.name for one in fields(Evidence))


def _evidence(raw: Mapping[str, Any]) -> Evidence:
    low, high, unit = raw["low"], raw["high"], raw["unit"]
    found = Evidence(
        raw["name"],
        float(raw["value"]),
        raw["rows"],
        date.fromisoformat(raw["as_of"]),
        raw["source"],
        None if low is None else float(low),
        None if high is None else float(high),
        _UNITS.get(unit) or Unit(unit),
        raw["subject"],
        raw["words"],
        raw.get("family", 1),
    )
    if unknown := raw.keys() - _MEASURED:
        raise ValueError(f"evidence with {', '.join(sorted(unknown))}")
    return found


def _judgement(raw: Mapping[str, Any]) -> Judgement:
    evidence = None if raw["evidence"] is None else _evidence(raw["evidence"])
    return Judgement(
        gate_from(raw["gate"]), _RESULTS.get(raw["result"]) or Result(raw["result"]), evidence, raw["words"]
    )


_LATE: Mapping[str, Callable[[Event], Any]] = {
    "detail": _detail,
    "evidence": lambda event: tuple(map(_evidence, json.loads(_arrays(event)[0]))),
    "judgements": lambda event: tuple(map(_judgement, json.loads(_arrays(event)[1]))),
}


def _evidence_to(found: Evidence) -> dict[str, Any]:
    return {
        "name": found.name,
        "value": _number(_plain(found.value)),
        "rows": _plain(found.rows),
        "as_of": found.as_of.isoformat(),
        "source": found.source,
        "low": _number(_plain(found.low)),
        "high": _number(_plain(found.high)),
        "unit": found.unit,
        "subject": found.subject,
        "words": found.words,
        "family": _plain(found.family),
    }


def _judgement_to(judgement: Judgement) -> dict[str, Any]:
    evidence = None if judgement.evidence is None else _evidence_to(judgement.evidence)
    return {"gate": gate_to(judgement.gate), "result": judgement.result, "evidence": evidence, "words": judgement.words}


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
