"""The outlook: what a version's newest forecast says of the next days, beside what came, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from foregate.app.funnel.issuing import issues_of
from foregate.app.issued import newest
from foregate.cases.funnel import issues
from foregate.cases.funnel.events import read_events
from foregate.cases.funnel.issues import Issue
from foregate.cases.funnel.issuing import readers_of
from foregate.cases.funnel.levels import levels_of
from foregate.cases.funnel.outcomes import WATCHED_DAYS, aims_of, outcomes
from foregate.cases.funnel.panel import actuals
from foregate.cases.funnel.reading import BOUNDS, Reader, read
from foregate.core.errors import NotAllowedError

if TYPE_CHECKING:
    from foregate.app.funnel.case import Funnel

OUTLOOK_DAYS = 30
WEEKS_BACK = 26
Row = dict[str, Any]


@dataclass(frozen=True)
class Outlook:
    """A forecast as people read it: sums of the next days by stage, level and name, and weeks for a chart."""

    version: str
    issue: str
    as_of: date
    first: date
    days: int
    sums: list[Row]
    weeks: list[Row]


def outlook(app: Funnel, version: str, days: int = OUTLOOK_DAYS) -> Outlook:
    """Return the newest issue of a version, summed over its first days; raises NotAllowedError when there is none."""
    today = app.clock().date()
    issue = newest(app, version, today, read=issues.read)
    if issue is None:
        raise NotAllowedError(
            f"forecast of {version}", found="none issued", wanted="one", then="`foregate forecast funnel` issues one."
        )
    package, written = app.package(version), issues_of(app, version, today, damaged=[])
    with app.warehouse() as engine:
        work = app.work(engine, issue.forecast.day)
        events = read_events(engine, package.settings, work.sources, issue.forecast.day)
    plain = readers_of(package, {})
    before = outcomes(written, events, package.settings, WATCHED_DAYS)
    readers = readers_of(package, aims_of(before, plain, issue.forecast.day))
    first_week = issue.forecast.first - timedelta(days=7 * WEEKS_BACK)
    weeks = []
    for stage in issue.forecast.paths:
        came = actuals(events, stage, first_week, issue.forecast.last).sum(axis=0).reshape(WEEKS_BACK, 7).sum(axis=1)
        weeks += [
            {"stage": stage, "week": first_week + timedelta(days=7 * at), "actual": int(count)}
            for at, count in enumerate(came)
        ]
        weeks.append({"stage": stage, "week": issue.forecast.first, "actual": int(came[-1])})
    sums = [row for stage, reader in readers.items() for row in _sums(issue, stage, reader, days)]
    weeks += [row for stage, reader in readers.items() for row in _weeks(issue, stage, reader)]
    return Outlook(version, issue.key, issue.forecast.day, issue.forecast.first, days, sums, weeks)


def _sums(issue: Issue, stage: str, reader: Reader, days: int) -> list[Row]:
    found = []
    for level in levels_of(issue.series):
        if level.name in ("segment", "total"):
            drawn = level.sums(issue.forecast.paths[stage])[..., :days].sum(axis=-1)
            told = read(drawn, reader, level.name, min(days, issue.forecast.horizon))
            for place, name in enumerate(level.names):
                found.append({"stage": stage, "level": level.name, "name": name} | _told(told[:, place]))
    return found


def _weeks(issue: Issue, stage: str, reader: Reader) -> list[Row]:
    drawn = issue.forecast.paths[stage].sum(axis=1)
    whole = drawn.shape[-1] // 7
    sums = drawn[:, : 7 * whole].reshape(len(drawn), whole, 7).sum(axis=-1)
    told = read(sums, reader, "total", 7)
    return [
        {"stage": stage, "week": issue.forecast.first + timedelta(days=7 * at)} | _told(told[:, at])
        for at in range(whole)
    ]


def _told(values: Any) -> Row:
    return {"forecast": float(values[0])} | {name: float(values[1 + at]) for at, name in enumerate(BOUNDS)}
