"""Issuing and watching: the forecast of a day written for good, and what forecasts written before have come to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np

from foregate.app.opened import Healthy, schema_of
from foregate.cases.funnel import issues
from foregate.cases.funnel.checks import control_findings, source_findings
from foregate.cases.funnel.event_checks import event_findings
from foregate.cases.funnel.events import Events, read_events
from foregate.cases.funnel.issues import Issue
from foregate.cases.funnel.issuing import Staged, readers_of, stage_issue
from foregate.cases.funnel.lifecycle import MODEL
from foregate.cases.funnel.outcomes import (
    WATCHED_DAYS,
    aims_of,
    naive_losses,
    outcome_evidence,
    outcomes,
    simulated_week,
)
from foregate.cases.funnel.phases import events as events_phase
from foregate.core.errors import DataError, NotAllowedError
from foregate.core.event import Event, Kind
from foregate.core.evidence import Evidence, Unit
from foregate.core.gate import Effect, Result, judge
from foregate.core.rollout import Rollout, Stage, active
from foregate.lifecycle.store import holder_name
from foregate.metrics.diebold import relative_loss
from foregate.metrics.estimate import Estimate, untold
from foregate.modeling.measured import Measured, digest_of

if TYPE_CHECKING:
    from foregate.app.funnel.case import Funnel
    from foregate.cases.funnel.packages import Package
    from foregate.core.folds import VersionState
    from foregate.warehouse.duckdb import DuckDB

NOT_LOADED = ("stale_days", "days_behind")
WATCHED = (
    "days_behind",
    "missing_months",
    "silent_days",
    "stale_days",
    "late_share",
    "negative_delays",
    "suspected_renames",
)


@dataclass(frozen=True)
class Issued:
    """A forecast that was issued, by which version, and whether this call made it or found it."""

    version: str
    key: str
    as_of: date
    repeated: bool
    shadow: bool = False


def remember(app: Funnel, state: VersionState) -> None:
    """Write to the ledger what the run's last phase issued, once."""
    found = next((e for e in state.measured() if e.name == "issue_digest"), None)
    if found is not None:
        _record(app, state.version, Staged(found.words, found.subject), found.as_of)


def issue(app: Funnel, as_of: date | None = None) -> list[Issued]:
    """Return the forecasts issued as of a day: by the version in service, and by the one that is tried in its shadow.

    The same version over the same data of the same day gives the same forecast, and writes nothing again. Raises
    NotAllowedError when nothing is in service, and whatever is wrong with the data; then nothing is issued.
    """
    on = app.day(as_of)
    version = app.champion()
    if version is None:
        raise NotAllowedError(
            "forecast funnel",
            found="nothing in service",
            wanted="a version in service",
            then="`foregate run funnel`, then `foregate promote funnel`.",
        )
    current = active(app.entries())
    tried = [current.version] if current and current.version != version and current.stage is not Stage.PLANNED else []
    found = []
    _refuse_backdated(app, on)
    with app.ledger.lease(MODEL, holder_name(app.actor)), app.warehouse() as engine:
        _refuse_unsound(app, engine, version, on)
        for each in (version, *tried):
            staged = stage_today(app, engine, each, on)
            new = _record(app, each, staged, on)
            found.append(Issued(each, staged.key, on, not new, each != version))
    return found


def _refuse_backdated(app: Funnel, on: date) -> None:
    """Raise NotAllowedError for a day before the newest issue: readers would be taken back without a word."""
    told = [str(e.event.detail["as_of"]) for e in app.entries() if e.event.kind is Kind.ISSUED]
    newest = max(told, default="")
    if on.isoformat() < newest:
        raise NotAllowedError(
            f"forecast of {on}",
            found=f"a newer one, of {newest}",
            wanted=f"a day from {newest} on",
            then="What was issued is in bi.issued_days and bi.issued_by_period; say --as-of a later day.",
        )


def _refuse_unsound(app: Funnel, engine: DuckDB, version: str, on: date) -> None:
    """Raise NotAllowedError naming what is wrong with the data of the day: a forecast of missing days is one of none.

    Judged by the gates of the events phase, those that block and those on days that were not loaded.
    """
    package = app.package(version)
    work = app.work(engine, on)
    made = Measured(on, digest_of(*sorted(work.fingerprints.items())))
    found = list(source_findings(made, engine, package.settings, work.sources))
    found += event_findings(made, read_events(engine, package.settings, work.sources, on), package.settings)
    asked = [app.settings.moved(g) for g in events_phase.GATES if g.effect is Effect.BLOCK or g.evidence in NOT_LOADED]
    wrong = [j for j in judge(asked, found) if j.result not in (Result.PASS, Result.NOT_RUN)]
    if wrong:
        told = "; ".join(f"{j.label}: {j.evidence.words if j.evidence else j.words}" for j in wrong)
        raise NotAllowedError(
            f"forecast of {on}",
            found=told,
            wanted="; ".join(f"{j.label} {j.gate.wanted()}" for j in wrong),
            then="Bring the data of these days, or say --as-of the day they end; nothing was issued.",
        )


def stage_today(app: Funnel, engine: DuckDB, version: str, on: date) -> Staged:
    """Return a version's forecast as of a day, made by its package and staged in its schema."""
    package = app.package(version)
    work = app.work(engine, on)
    events = read_events(engine, package.settings, work.sources, on)
    readers = readers_of(package, {})
    before = outcomes(issues_of(app, version, on, damaged=[]), events, package.settings, WATCHED_DAYS)
    engine.use(schema_of(version))
    found = package.forecast(events, on)
    return stage_issue(engine, package, events, found, app.project.folder, aims_of(before, readers, on))


def _record(app: Funnel, version: str, staged: Staged, on: date) -> bool:
    """Write an issue to the ledger unless it is there, and return whether it was new."""
    detail = {"issue": staged.key, "digest": staged.digest, "as_of": on.isoformat()}
    for entry in app.entries():
        event = entry.event
        if event.kind is Kind.ISSUED and event.version == version and event.detail["issue"] == staged.key:
            if event.detail["digest"] != staged.digest:
                raise DataError(
                    f"issued/{staged.key}",
                    found="other bytes than were issued",
                    wanted="the forecast as it was written",
                    then="An issued forecast is never changed: restore the folder `issued` from a backup.",
                )
            return False
    app.ledger.add(Event(Kind.ISSUED, app.clock(), MODEL, version, app.actor, detail=detail))
    return True


def issues_of(
    app: Funnel, version: str, until: date, since: date | None = None, damaged: list[str] | None = None
) -> list[Issue]:
    """Return what a version issued up to a day, the last of each day, oldest first; bytes are checked.

    Raises DataError for an issue that is not as it was written; given `damaged`, it is left out and named there.
    """
    told: dict[str, Event] = {}
    for entry in app.entries():
        event = entry.event
        if event.kind is Kind.ISSUED and event.version == version:
            told[str(event.detail["as_of"])] = event
    found = []
    for day in sorted(told):
        if date.fromisoformat(day) > until or (since is not None and date.fromisoformat(day) < since):
            continue
        try:
            found.append(_read(app, told[day]))
        except DataError as error:
            if damaged is None:
                raise
            damaged.append(str(error))
    return found


def _read(app: Funnel, event: Event) -> Issue:
    key = str(event.detail["issue"])
    try:
        return issues.read(app.project.folder, key, str(event.detail["digest"]))
    except DataError as error:
        raise DataError(
            f"issued/{key}",
            found=error.found,
            wanted="the forecast as it was issued",
            then="Restore the folder `issued` from a backup: what was issued is evidence.",
        ) from error


def measured(app: Funnel, version: str, on: date) -> list[Evidence]:
    """Return what issued forecasts have come to by a day, and whether the data they are held against are sound."""
    package = app.package(version)
    with app.warehouse() as engine:
        work = app.work(engine, on)
        events = read_events(engine, package.settings, work.sources, on)
        made = Measured(on, digest_of(version, on, *sorted(work.fingerprints.items())))
        sound = [e for e in event_findings(made, events, package.settings) if e.name in WATCHED]
        sound += list(control_findings(made, engine, package.settings, work.sources, events))
    damaged: list[str] = []
    written = issues_of(app, version, on, damaged=damaged)
    lost = made.count("damaged_issues", len(damaged), len(written) + len(damaged), words="; ".join(damaged))
    return [*watched(made, package, events, written), *sound, _age(made, written, on), lost]


def watched(made: Measured, package: Package, events: Events, written: Sequence[Issue]) -> list[Evidence]:
    """Return how what was written came true, against what is known of the events."""
    found = outcomes(written, events, package.settings, WATCHED_DAYS)
    naive = {stage: choice.naive for stage, choice in package.choices.items()}
    lost = naive_losses(found, events, package.settings, naive, package.seed)
    return list(outcome_evidence(made, found, readers_of(package, {}), lost))


def _age(made: Measured, written: Sequence[Issue], on: date) -> Evidence:
    if not written:
        return made.nothing("days_since_issue", "nothing was issued", float("nan"))
    newest = written[-1].forecast.day
    return made.days("days_since_issue", (on - newest).days, len(written), words=f"the newest was issued on {newest}")


def compared_issues(app: Funnel, rollout: Rollout, as_of: date) -> Sequence[Evidence]:
    """Return `field_loss_ratio`: challenger's loss over champion's, on issues of the same days since then."""
    assert rollout.champion is not None, "a rollout without a champion has no field"
    since = rollout.started_at.date()
    with app.warehouse() as engine:
        work = app.work(engine, as_of)
        events = read_events(engine, work.settings, work.sources, as_of)
    made = Measured(as_of, digest_of(rollout.version, rollout.champion, as_of))
    sides = [
        {
            o.issue.forecast.day: o
            for o in outcomes(issues_of(app, v, as_of, since), events, work.settings, WATCHED_DAYS)
        }
        for v in (rollout.version, rollout.champion)
    ]
    both = sorted(set(sides[0]) & set(sides[1]))
    newest = max((int(one.day.max()) for one in events.stages.values() if len(one)), default=0)
    late = newest > (as_of - date(1970, 1, 1)).days
    found = [made.count("future_labels", int(late), len(both))]
    for stage in work.settings.stages:
        ours, theirs = (np.array([side[day].loss(stage) for day in both]) for side in sides)
        ratio: Estimate = relative_loss(ours, theirs, 1) if len(both) and theirs.sum() else untold(0, np.inf, 0, 0.95)
        words = f"{len(both)} issues of both versions since {since}, {WATCHED_DAYS} days each"
        found.append(made.estimate("field_loss_ratio", ratio, Unit.RATIO, stage, words))
    return found


def healthy(app: Funnel, version: str, only: set[str], multiplier: float = 1.0) -> Healthy:
    """Return a year of the monitor's readings of a version whose forecasts hold, times `multiplier`.

    What comes is drawn from the newest issue's own paths: a week's total and each channel's, once a week.
    """
    del only
    written = issues_of(app, version, app.clock().date())
    if not written:
        raise NotAllowedError(
            f"volume of {version}",
            found="nothing issued",
            wanted="one forecast at least",
            then="`foregate forecast funnel`",
        )
    newest = written[-1]
    day = app.clock().date()

    def year(seed: int) -> Iterable[tuple[date, Sequence[Evidence]]]:
        rng = np.random.default_rng(seed)
        for week in range(52):
            yield day + timedelta(days=7 * week), simulated_week(newest, Measured(day, "simulated"), rng, multiplier)

    totals = {s: float(p[..., :WATCHED_DAYS].sum(axis=(1, 2)).mean()) for s, p in newest.forecast.paths.items()}
    return Healthy(year, ", ".join(f"{total:.1f} {stage} a week" for stage, total in totals.items()))
