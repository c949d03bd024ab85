"""Alerts: rules judged on evidence day by day; their state is plain data and each step a pure function of it.

A rule counts days of reading: days on which its evidence was measured. A day without a reading neither counts towards
`for_days` nor breaks a row, until `no_data_days` have passed; then the row is over and the standing is `no_data`. So a
monitor that rests at the weekend, or runs once a week, needs no special rule, and `for_days` of a weekly monitor are
weeks. `ok` means measured and not breached for long enough; the reading beside it says how sure that is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum
from typing import Any

from foregate.core.event import Event, Kind
from foregate.core.evidence import Evidence
from foregate.core.rule import ROLLBACK, By, Reading, Rule, Severity, inhibitors, read, worst

__all__ = [
    "ALERTED",
    "MONITOR",
    "RESOLVED",
    "ROLLBACK",
    "Alert",
    "By",
    "Open",
    "Reading",
    "Rule",
    "Severity",
    "Standing",
    "alert_from",
    "alert_to",
    "changes",
    "firing",
    "inhibitors",
    "is_muted",
    "opened",
    "read",
    "silences",
    "standing",
    "step",
    "step_all",
    "transitions",
]

MONITOR = "monitor"
ALERTED, RESOLVED = "alerted", "resolved"


class Standing(StrEnum):
    """Where a rule stands; `no_data` is apart from `ok`."""

    OK = "ok"
    PENDING = "pending"
    FIRING = "firing"
    NO_DATA = "no_data"


_UNKNOWN = frozenset({Reading.UNTOLD, Reading.ABSENT})


@dataclass(frozen=True, slots=True)
class Alert:
    """The state of one rule for one subject after `day`; `before` is its state before that day.

    `seen`: the last day that told something. `since`: the first breach of the row that is pending or firing. `run`,
    `calm`: breaches in a row, and fine days in a row while firing, in days of reading.
    """

    rule: str
    subject: str = ""
    standing: Standing = Standing.NO_DATA
    reading: Reading = Reading.ABSENT
    day: date | None = None
    seen: date | None = None
    since: date | None = None
    run: int = 0
    calm: int = 0
    inhibited_by: str = ""
    silenced_until: date | None = None
    before: Alert | None = None

    @property
    def label(self) -> str:
        """The rule's name with its subject."""
        return f"{self.rule}[{self.subject}]" if self.subject else self.rule

    @property
    def is_firing(self) -> bool:
        """Whether it fires, muted or not."""
        return self.standing is Standing.FIRING

    @property
    def is_muted(self) -> bool:
        """Whether it is kept from telling anyone and from acting: inhibited or silenced."""
        return bool(self.inhibited_by) or self.silenced_until is not None


def step(rule: Rule, before: Alert, day: date, found: Evidence | None) -> Alert:
    """Return a rule's state after a day's evidence (None when it was not measured).

    A breach lengthens the row; fine or band ends it; a day that cannot tell does neither. A firing alert ends after
    `resolve_days` fine days in a row, never because data fell silent. The same day again replaces what it said before,
    unless it says nothing; a day before the last is ignored: a clock was set back.

    >>> rule, first = Rule("faults", "standby_faults", above=0), date(2025, 10, 31)
    >>> after = step(rule, Alert("faults"), first, Evidence("standby_faults", 2, 1, first, "x"))
    >>> after.standing.value, step(rule, after, first, None) == after
    ('firing', True)
    """
    reading = read(rule, found)
    if before.day == day:
        if reading is Reading.ABSENT:
            return before
        before = before.before or Alert(before.rule, before.subject)
    elif before.day is not None and day < before.day:
        return before
    before = replace(before, inhibited_by="", silenced_until=None, before=None)
    after = _unknown(rule, before, day) if reading in _UNKNOWN else _told(rule, before, day, reading)
    return replace(after, reading=reading, day=day, before=before)


def _unknown(rule: Rule, before: Alert, day: date) -> Alert:
    silent = before.seen is None or (day - before.seen).days >= rule.no_data_days
    if before.is_firing or not silent:
        return before
    return replace(before, standing=Standing.NO_DATA, run=0, since=None)


def _told(rule: Rule, before: Alert, day: date, reading: Reading) -> Alert:
    if before.seen is not None and (day - before.seen).days > rule.no_data_days:
        before = replace(before, run=0, calm=0)
    before = replace(before, seen=day)
    if reading is Reading.BREACH:
        return _breached(rule, before, day)
    if before.is_firing:
        return _calmed(rule, before, reading)
    if reading is Reading.STRADDLES and before.run:
        return before
    return replace(before, standing=Standing.OK, run=0, since=None)


def _breached(rule: Rule, before: Alert, day: date) -> Alert:
    since = before.since if before.since and (before.run or before.is_firing) else day
    fires = before.is_firing or before.run + 1 >= rule.for_days
    standing = Standing.FIRING if fires else Standing.PENDING
    return replace(before, standing=standing, run=before.run + 1, calm=0, since=since)


def _calmed(rule: Rule, before: Alert, reading: Reading) -> Alert:
    if reading is Reading.STRADDLES:
        return before
    calm = before.calm + 1 if reading is Reading.FINE else 0
    if calm >= rule.resolve_days:
        return replace(before, standing=Standing.OK, run=0, calm=0, since=None)
    return replace(before, calm=calm)


def step_all(
    rules: Sequence[Rule],
    before: Mapping[str, Alert],
    day: date,
    found: Iterable[Evidence],
    silenced: Mapping[str, date] | None = None,
) -> dict[str, Alert]:
    """Return every rule's state after a day, by label: one for each subject it is or was measured for.

    A rule that has never been measured stands there once, without subject, as `no_data`; one that is no longer among
    the rules is dropped. Inhibited alerts keep their own state and name the first rule that mutes them. `silenced` says
    until which day a rule is silenced. A day before the last leaves everything as it is.
    """
    if any(alert.day is not None and day < alert.day for alert in before.values()):
        return dict(before)
    by_name: dict[str, dict[str, Evidence]] = {}
    for one in found:
        by_name.setdefault(one.name, {})[one.subject] = one
    after: dict[str, Alert] = {}
    for rule in rules:
        measured = by_name.get(rule.evidence, {})
        if not (rule.subject or rule.per_subject):
            one_reading = worst(rule, measured.values())
            measured = {"": one_reading} if one_reading else {}
        for subject in _subjects(rule, before, measured):
            alert = Alert(rule.name, subject)
            stepped = step(rule, before.get(alert.label, alert), day, measured.get(subject))
            after[alert.label] = stepped
    return _muted(rules, after, silenced or {})


def _subjects(rule: Rule, before: Mapping[str, Alert], measured: Mapping[str, Evidence]) -> list[str]:
    if rule.subject or not rule.per_subject:
        return [rule.subject]
    known = [alert.subject for alert in before.values() if alert.rule == rule.name and alert.seen is not None]
    return sorted({*known, *measured}) or [""]


def _muted(rules: Sequence[Rule], after: Mapping[str, Alert], silenced: Mapping[str, date]) -> dict[str, Alert]:
    fires = {alert.rule for alert in after.values() if alert.is_firing}
    by = {name: next((o for o in others if o in fires), "") for name, others in inhibitors(rules).items()}
    return {
        label: replace(a, inhibited_by=by[a.rule] if a.is_firing else "", silenced_until=silenced.get(a.rule))
        for label, a in after.items()
    }


@dataclass(frozen=True, slots=True)
class Open:
    """An alert as it was told: its subjects so far, and whether anyone was told (it was not muted when it fired).

    `event` is the `alerted` event that told it last; None where there is no ledger.
    """

    rule: str
    subjects: frozenset[str]
    told: bool
    event: Event | None = field(default=None, compare=False)

    @property
    def severity(self) -> str:
        """The severity it was told with; empty where there is no ledger."""
        return str(self.event.detail.get("severity", "")) if self.event else ""


def changes(told: Mapping[str, Open], after: Mapping[str, Alert]) -> list[tuple[str, str]]:
    """Return what is to be told of each rule: `alerted` or `resolved`, once, however many subjects fire.

    A rule alerts when it begins to fire, when a further subject joins, and when it still fires as its silence or
    inhibition ends and nobody has been told. It is resolved when no subject fires, or the rule is gone.
    """
    firing = _by_rule(after)
    alerted = [
        (rule, ALERTED)
        for rule, alerts in firing.items()
        if rule not in told
        or not {a.subject for a in alerts} <= told[rule].subjects
        or not (told[rule].told or any(a.is_muted for a in alerts))
    ]
    return alerted + [(rule, RESOLVED) for rule in sorted(told) if rule not in firing]


def opened(told: Mapping[str, Open], after: Mapping[str, Alert]) -> dict[str, Open]:
    """Return the open alerts once the changes have been told."""
    found = {}
    for rule, alerts in _by_rule(after).items():
        was = told.get(rule, Open(rule, frozenset(), told=False))
        subjects = was.subjects | {a.subject for a in alerts}
        found[rule] = Open(rule, subjects, was.told or not any(a.is_muted for a in alerts), was.event)
    return found


def transitions(before: Mapping[str, Alert], after: Mapping[str, Alert]) -> list[tuple[str, str]]:
    """Return each rule that began or ceased to fire from one day's states to the next, with `alerted` or `resolved`."""
    return changes(opened({}, before), after)


def _by_rule(alerts: Mapping[str, Alert]) -> dict[str, list[Alert]]:
    found: dict[str, list[Alert]] = {}
    for alert in alerts.values():
        if alert.is_firing:
            found.setdefault(alert.rule, []).append(alert)
    return found


def firing(events: Iterable[Event]) -> dict[str, dict[str, Open]]:
    """Return the open alerts of every version by rule, as told by alerted, resolved and silenced events.

    A silence takes back that anyone was told, so that an alert which outlasts it is told again.
    """
    found: dict[str, dict[str, Open]] = {}
    for event in events:
        rule, told = str(event.detail.get("rule", "")), found.setdefault(event.version, {})
        if event.kind is Kind.ALERTED:
            subjects = frozenset(map(str, event.detail.get("subjects", [""])))
            was = told.get(rule)
            heard = bool(was and was.told) or not is_muted(event)
            told[rule] = Open(rule, subjects | (was.subjects if was else frozenset()), heard, event)
        elif event.kind is Kind.RESOLVED:
            told.pop(rule, None)
        elif event.kind is Kind.SILENCED and rule in told:
            told[rule] = replace(told[rule], told=False)
    return {version: rules for version, rules in found.items() if rules}


def is_muted(event: Event) -> bool:
    """Return whether an alerted event tells nobody: it was written while inhibited or silenced."""
    return bool(event.detail.get("inhibited_by") or event.detail.get("silenced_until"))


def silences(events: Iterable[Event], on: date, version: str | None = None) -> dict[str, date]:
    """Return which rules are silenced on a day and until when, that day included; the last silence of a rule counts.

    A silence is about the version it was made on: give the version, and another's alerts are not muted by it.
    """
    last: dict[str, date] = {}
    for event in events:
        if event.kind is Kind.SILENCED and event.until and version in (None, event.version):
            last[str(event.detail.get("rule", ""))] = event.until
    return {rule: until for rule, until in last.items() if until >= on}


def standing(events: Iterable[Event], version: str) -> dict[str, Alert]:
    """Return a version's alert states by label, as its last monitor run left them; empty before the first."""
    for event in reversed(list(events)):
        if event.kind is Kind.JUDGED and event.phase == MONITOR and event.version == version:
            return {label: alert_from(raw) for label, raw in event.detail.get("standing", {}).items()}
    return {}


_COUNTS = ("run", "calm")
_DAYS = ("day", "seen", "since", "silenced_until")
_WORDS = ("standing", "reading", "inhibited_by")


def alert_to(alert: Alert) -> dict[str, Any]:
    """Return an alert's JSON form: plain values, and what is as at the start left out.

    >>> alert_to(Alert("psi", "career", Standing.OK, Reading.FINE, date(2025, 10, 31)))
    {'rule': 'psi', 'subject': 'career', 'standing': 'ok', 'reading': 'fine', 'day': '2025-10-31'}
    """
    subject = {"subject": alert.subject} if alert.subject else {}
    before = _state_to(alert.before) if alert.before else {}
    return {"rule": alert.rule, **subject, **_state_to(alert), **({"before": before} if before else {})}


def _state_to(alert: Alert) -> dict[str, Any]:
    fresh = Alert(alert.rule)
    found = {n: getattr(alert, n) for n in (*_WORDS, *_DAYS, *_COUNTS) if getattr(alert, n) != getattr(fresh, n)}
    return {n: v.isoformat() if isinstance(v, date) else v if n in _COUNTS else str(v) for n, v in found.items()}


def alert_from(raw: Mapping[str, Any]) -> Alert:
    """Return an alert from its JSON form; raises KeyError or ValueError for what is none."""
    rule, subject = str(raw["rule"]), str(raw.get("subject", ""))
    before = _state_from(rule, subject, raw["before"]) if "before" in raw else None
    if before is None and "day" in raw:
        before = Alert(rule, subject)
    return replace(_state_from(rule, subject, raw), before=before)


def _state_from(rule: str, subject: str, raw: Mapping[str, Any]) -> Alert:
    found: dict[str, Any] = {name: date.fromisoformat(raw[name]) for name in _DAYS if name in raw}
    found |= {name: int(raw[name]) for name in _COUNTS if name in raw}
    found |= {"inhibited_by": str(raw.get("inhibited_by", ""))}
    return Alert(
        rule, subject, Standing(raw.get("standing", "no_data")), Reading(raw.get("reading", "absent")), **found
    )
