"""Alerts of a model in service: `[alerts]` of foregate.toml, what a day's evidence changes, and how noisy rules are."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from graphlib import CycleError, TopologicalSorter
from importlib.resources import files
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from foregate.core.alerting import (
    ALERTED,
    MONITOR,
    ROLLBACK,
    Alert,
    By,
    Open,
    Reading,
    Rule,
    Severity,
    alert_from,
    alert_to,
    changes,
    firing,
    inhibitors,
    opened,
    read,
    silences,
    standing,
    step_all,
)
from foregate.core.errors import ConfigurationError
from foregate.core.event import Event, Kind
from foregate.core.evidence import Evidence
from foregate.core.folds import served

if TYPE_CHECKING:
    from foregate.metrics.estimate import Estimate

RULE_FILES: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("leads", "shipped"): ("shipped.toml",),
    ("leads", "seeds"): ("seeds.toml",),
    ("funnel", "shipped"): ("funnel.toml",),
    ("prices", "shipped"): ("prices.toml",),
    ("prices", "seeds"): ("seeds_prices.toml",),
}
_DAYS_A_YEAR = 365.25
_Number = Annotated[float | None, Field(strict=True)]
_Days = Annotated[int, Field(strict=True)]


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RuleSettings(_Settings):
    """One rule as a file says it; the keys and what they mean are those of `foregate.core.alerting.Rule`."""

    name: str
    evidence: str
    subject: str = ""
    per_subject: Annotated[bool, Field(strict=True)] = True
    above: _Number = None
    below: _Number = None
    by: By = By.BOUND
    for_days: _Days = 1
    severity: Severity = Severity.WARNING
    group: str = ""
    inhibits: tuple[str, ...] = ()
    action: str = ""
    clear_above: _Number = None
    clear_below: _Number = None
    resolve_days: _Days = 1
    no_data_days: _Days = 7
    min_rows: _Days = 1
    why: str = ""

    @model_validator(mode="after")
    def _holds(self) -> Self:
        self.rule()
        return self

    def rule(self) -> Rule:
        """Return the rule; raises ValueError for one that could never alert, or always."""
        return Rule(**{field.name: getattr(self, field.name) for field in fields(Rule)})


class SinkSettings(_Settings):
    """Where alerts are told and which it hears; `${NAME}` in a URL is read from the environment when it is used.

    `name` keeps its place in the outbox: under another name it starts anew. Without one it is the sink's kind.
    """

    kind: Literal["command", "http", "file"]
    name: str = ""
    run: tuple[str, ...] = ()
    url: str = ""
    path: str = ""
    severities: tuple[Severity, ...] = tuple(Severity)

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        keys = {"command": "run", "http": "url", "file": "path"}
        for kind, key in keys.items():
            if bool(getattr(self, key)) != (kind == self.kind):
                raise ValueError(f"{key!r} of a sink of kind {self.kind!r}: say {keys[self.kind]!r} and no other")
        if not self.severities:
            raise ValueError("a sink that hears nothing: say at least one of critical, warning, info")
        return self

    @property
    def label(self) -> str:
        """What the sink is called in the outbox and in messages."""
        return self.name or self.kind


class AlertSettings(_Settings):
    """`[alerts]`: how far alerts may go, which shipped rules are in force, the project's own, and who is told.

    `mode`: observe writes alerts to the ledger, advise tells the sinks too, act may also roll back. A rule of the
    project replaces the shipped one of the same name, whole.
    """

    mode: Literal["observe", "advise", "act"] = "observe"
    rules: Literal["shipped", "seeds", "none"] = "shipped"
    rule: tuple[RuleSettings, ...] = ()
    sink: tuple[SinkSettings, ...] = ()

    @model_validator(mode="after")
    def _told_apart(self) -> Self:
        for kind, names in (("rules", [r.name for r in self.rule]), ("sinks", [s.label for s in self.sink])):
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise ValueError(f"two {kind} named {twice[0]!r}: say another name for one of them")
        return self


class _RuleFile(_Settings):
    rule: tuple[RuleSettings, ...] = ()


def rules_of(settings: AlertSettings, file: str = "foregate.toml", model: str = "leads") -> tuple[Rule, ...]:
    """Return a case's rules in force, shipped first; raises ConfigurationError naming the file, the rule and the key.

    >>> [rule.name for rule in rules_of(AlertSettings(rules="none"))]
    []
    """
    found: dict[str, Rule] = {}
    for name in RULE_FILES.get((model, settings.rules), ()):
        text = (files("foregate.lifecycle") / "rules" / name).read_text(encoding="utf-8")
        found |= {rule.name: rule for rule in rules_in(text, name)}
    found |= {one.name: one.rule() for one in settings.rule}
    _check_inhibition(found, file)
    return tuple(found.values())


def rules_in(text: str, file: str) -> tuple[Rule, ...]:
    """Return the rules of a rule file, a list of `[[rule]]`; raises ConfigurationError naming file, rule and key."""
    try:
        raw = tomllib.loads(text)
        return tuple(one.rule() for one in _RuleFile.model_validate(raw).rule)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(file, found=str(error), wanted="TOML", then="Correct that line.") from error
    except ValidationError as error:
        first = error.errors()[0]
        words = [str(part) for part in first["loc"]]
        if len(words) > 1 and isinstance(raw["rule"][first["loc"][1]], dict):
            words[:2] = ["[[rule]]", str(raw["rule"][first["loc"][1]].get("name", f"number {int(words[1]) + 1}"))]
        said = first["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
        where = " ".join([file, *words])
        raise ConfigurationError(
            where, found=repr(first["input"])[:120], wanted=said, then="Correct the rule."
        ) from error


def _check_inhibition(rules: Mapping[str, Rule], file: str) -> None:
    """Raise ConfigurationError for a rule that inhibits one that is not there, itself, or one that inhibits it."""
    for rule in rules.values():
        if unknown := sorted({*rule.inhibits} - {*rules} | ({*rule.inhibits} & {rule.name})):
            raise ConfigurationError(
                f"{file} [[alerts.rule]] {rule.name} inhibits",
                found=repr(unknown[0]),
                wanted=f"other rules in force: {', '.join(sorted({*rules} - {rule.name})) or 'there is none'}",
                then="Correct the name, or remove it.",
            )
    try:
        TopologicalSorter(inhibitors(list(rules.values()))).prepare()
    except CycleError as error:
        raise ConfigurationError(
            f"{file} [[alerts.rule]] {error.args[1][0]} inhibits",
            found=f"a circle: {', '.join(error.args[1])}",
            wanted="no rules that mute one another, by name or by severity in one group",
            then="Remove one of them: none of these alerts would be told.",
        ) from error


def evaluate(
    events: Iterable[Event],
    rules: Sequence[Rule],
    day: date,
    found: Iterable[Evidence],
    *,
    at: datetime,
    model: str,
    version: str,
    actor: str,
    before: Mapping[str, Mapping[str, Any]] | None = None,
) -> tuple[dict[str, Any], list[Event]]:
    """Return the standing of every rule after a day, as JSON for the monitor's event, and the alerts to write.

    `before` is the standing the version had, by default as its last monitor event says. What is to be told is what the
    ledger has not told yet, so a run that broke off between its events is made good by the next one, and the same day
    again writes nothing twice. Open alerts of versions that are no longer in service are resolved too.
    """
    recorded, measured = list(events), list(found)
    states = standing(recorded, version) if before is None else {n: alert_from(raw) for n, raw in before.items()}
    after = step_all(rules, states, day, measured, silences(recorded, day, version))
    told = firing(recorded)
    open_now = told.pop(version, {})
    by_name = {rule.name: rule for rule in rules}
    written = [
        _alerted(by_name[name], after, measured, open_now.get(name))
        if what == ALERTED
        else _resolved(open_now[name], "")
        for name, what in changes(open_now, after)
    ]
    stamped = [Event(at=at, model=model, version=version, actor=actor, **one) for one in written]
    stamped += [
        Event(at=at, model=model, version=gone, actor=actor, **_resolved(one, "the version is no longer in service"))
        for gone in sorted({*told} - {*served(recorded)})
        for one in told[gone].values()
    ]
    return {label: alert_to(alert) for label, alert in after.items()}, stamped


def _alerted(rule: Rule, after: Mapping[str, Alert], measured: Sequence[Evidence], was: Open | None) -> dict[str, Any]:
    alerts = [alert for alert in after.values() if alert.rule == rule.name and alert.is_firing]
    subjects = {alert.subject for alert in alerts}
    joined = subjects - (was.subjects if was else frozenset())
    about = [e for e in measured if e.name == rule.evidence and (e.subject in subjects or not rule.per_subject)]
    readings = sorted(about, key=lambda e: (e.subject not in joined, read(rule, e) is not Reading.BREACH, e.subject))
    until = alerts[0].silenced_until
    detail = {
        "rule": rule.name,
        "severity": str(rule.severity),
        "since": min(alert.since for alert in alerts if alert.since).isoformat(),
        "group": rule.group,
        "evidence": readings[0].label if readings else rule.evidence,
        "words": "; ".join([*map(_said, readings[:3]), f"the rule alerts on {rule.wanted()}"]),
        "subjects": sorted(subjects),
        "inhibited_by": alerts[0].inhibited_by,
        "silenced_until": until.isoformat() if until else "",
        "why": rule.why,
    }
    return {"kind": Kind.ALERTED, "phase": MONITOR, "evidence": tuple(readings), "detail": detail}


def _said(found: Evidence) -> str:
    interval = "" if found.low is None or found.high is None else f" ({found.low:.4g} to {found.high:.4g})"
    return f"{found.label} {found.value:.4g}{interval} on {found.rows:,} rows"


def _resolved(was: Open, reason: str) -> dict[str, Any]:
    detail = {"rule": was.rule, "severity": was.severity, "subjects": sorted(was.subjects)}
    return {"kind": Kind.RESOLVED, "phase": MONITOR, "detail": detail, "reason": reason}


def rollback_asked(
    settings: AlertSettings, after: Mapping[str, Mapping[str, Any]], rules: Sequence[Rule]
) -> Rule | None:
    """Return the rule that asks for a rollback, given the standing `evaluate` returned, or None.

    Only in mode act, only a critical rule whose action is rollback, and only while it fires and nothing mutes it: not
    silenced and not inhibited. The cool-down after a rollback is not judged here.
    """
    if settings.mode != "act":
        return None
    alerts = [alert_from(raw) for raw in after.values()]
    acting = {alert.rule for alert in alerts if alert.is_firing and not alert.is_muted}
    asked = (r for r in rules if r.severity == Severity.CRITICAL and r.action == ROLLBACK and r.name in acting)
    return next(asked, None)


class Transition(NamedTuple):
    """A rule that alerted or was resolved on a day; `muted`: another rule inhibited it, so nobody would be told."""

    day: date
    rule: str
    what: str
    muted: bool


def monitored(events: Iterable[Event], version: str) -> Iterator[tuple[date, tuple[Evidence, ...]]]:
    """Yield what a version's monitor runs measured, with their as-of days, oldest first: what `replay` reads."""
    for event in events:
        if event.kind is Kind.JUDGED and event.phase == MONITOR and event.version == version:
            yield date.fromisoformat(str(event.detail["as_of"])), event.evidence


def replay(rules: Sequence[Rule], readings: Iterable[tuple[date, Sequence[Evidence]]]) -> list[Transition]:
    """Return what the rules would have told over past days, oldest first, starting from no state and no silence.

    >>> rule, first = Rule("faults", "standby_faults", above=0), date(2025, 10, 31)
    >>> [t.what for t in replay([rule], [(first, [Evidence("standby_faults", 2, 1, first, "x")])])]
    ['alerted']
    """
    after: dict[str, Alert] = {}
    told: dict[str, Open] = {}
    found = []
    for day, measured in readings:
        after = step_all(rules, after, day, measured)
        muted = {alert.rule for alert in after.values() if alert.is_muted}
        found += [Transition(day, rule, what, rule in muted) for rule, what in changes(told, after)]
        told = opened(told, after)
    return found


@dataclass(frozen=True, slots=True)
class Noise:
    """How often a rule alerts in simulated runs; an empty `rule` is all of them together.

    `per_month` and `per_year` (a twelfth of and a whole 365.25 days) carry Garwood's (1936) exact interval for a
    Poisson count; a rule that keeps firing can not fire again, so it is on the wide side. `share_of_runs`: runs in
    which it alerted at all. Alerts that another rule inhibits do not count: nobody would be told.
    """

    rule: str
    severity: str
    alerts: int
    days: int
    per_month: Estimate
    per_year: Estimate
    share_of_runs: Estimate


def budget(
    rules: Sequence[Rule], simulate: Callable[[int], Iterable[tuple[date, Sequence[Evidence]]]], runs: int
) -> list[Noise]:
    """Return how often each rule, and last all together, alert in runs of a simulation; `simulate` takes a seed.

    Run it on a healthy model: then every alert is a false one. Raises ValueError for runs without a single day.
    """
    alerts: list[tuple[int, str]] = []
    days = 0
    for seed in range(runs):
        readings = list(simulate(seed))
        days += (readings[-1][0] - readings[0][0]).days + 1 if readings else 0
        alerts += [(seed, t.rule) for t in replay(rules, readings) if t.what == ALERTED and not t.muted]
    if not days:
        raise ValueError(f"found no day in {runs} simulated runs; wanted at least one")
    each = [
        _noise(rule.name, str(rule.severity), [s for s, name in alerts if name == rule.name], days, runs)
        for rule in rules
    ]
    return [*each, _noise("", "", [seed for seed, _ in alerts], days, runs)]


def _noise(rule: str, severity: str, seeds: Sequence[int], days: int, runs: int) -> Noise:
    from scipy.special import gammaincinv

    from foregate.metrics.estimate import Estimate
    from foregate.metrics.rates import rate

    count, years = len(seeds), days / _DAYS_A_YEAR
    low = float(gammaincinv(count, 0.025)) if count else 0.0
    year = Estimate(count / years, low / years, float(gammaincinv(count + 1, 0.975)) / years, days)
    month = Estimate(year.value / 12, year.low / 12, year.high / 12, days)
    return Noise(rule, severity, count, days, month, year, rate(len(set(seeds)), runs))
