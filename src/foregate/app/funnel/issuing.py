"""Issuing and watching: the forecast of a day written for good, and what forecasts written before have come to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np

from foregate.app.forecaster import issue_age
from foregate.app.funnel.soundness import NOT_LOADED, said, unsound
from foregate.app.funnel.today import Today
from foregate.app.issued import Issued, events_of, in_trial, record, recorded, refuse_backdated
from foregate.app.opened import Healthy, schema_of
from foregate.cases.funnel import issues
from foregate.cases.funnel.checks import control_findings, future_dated
from foregate.cases.funnel.event_checks import event_findings
from foregate.cases.funnel.events import Events, read_events
from foregate.cases.funnel.issues import Issue
from foregate.cases.funnel.issuing import Aims, Staged, Tables, keep, keep_rows, readers_of, stage_tables, tables_of
from foregate.cases.funnel.lifecycle import MODEL
from foregate.cases.funnel.outcomes import (
    WATCHED_DAYS,
    aims_of,
    naive_losses,
    outcome_evidence,
    outcomes,
    simulated_week,
)
from foregate.core.errors import NotAllowedError
from foregate.core.evidence import Evidence, Unit
from foregate.core.rollout import Rollout
from foregate.lifecycle.store import holder_name
from foregate.metrics.diebold import relative_loss
from foregate.metrics.estimate import Estimate, untold
from foregate.modeling.measured import Measured, digest_of

if TYPE_CHECKING:
    from foregate.app.funnel.case import Funnel
    from foregate.cases.funnel.packages import Package
    from foregate.warehouse.duckdb import DuckDB

WATCHED = (
    "days_behind",
    "missing_months",
    "silent_days",
    "stale_days",
    "late_share",
    "negative_delays",
    "suspected_renames",
)


def issue(app: Funnel, as_of: date | None = None) -> list[Issued]:
    """Return the forecasts issued as of a day: by the version in service, and by the one that is tried in its shadow.

    The same version over the same data of the same day gives the same forecast, and writes nothing again. Raises
    NotAllowedError when nothing is in service, and whatever is wrong with the data; then nothing is issued.
    """
    on = app.day(as_of)
    versions = in_trial(app)
    refuse_backdated(app, on)
    found = []
    with app.ledger.lease(MODEL, holder_name(app.actor)), app.warehouse() as engine:
        loaded = [app.package(version) for version in versions]
        today = Today(engine, app.work(engine, on))
        _refuse_unsound(app, today, loaded[0])
        for package in loaded:
            shadow = package.version != versions[0]
            staged = stage_today(app, today, package, shadow=shadow)
            new = record(app, package.version, staged.key, staged.digest, on)
            found.append(Issued(package.version, staged.key, on, not new, shadow))
    return found


def _refuse_unsound(app: Funnel, today: Today, package: Package) -> None:
    """Raise NotAllowedError naming what is wrong with the data of the day: a forecast of missing days is one of none.

    Judged by the gates of the events phase, those that block and those on days that were not loaded.
    """
    wrong = unsound(today, package.settings, app.settings, NOT_LOADED)
    if wrong:
        then = "Bring the data of these days, or say --as-of the day they end; nothing was issued."
        raise NotAllowedError(f"forecast of {today.day}", **said(wrong), then=then)


def stage_today(app: Funnel, today: Today, package: Package, *, shadow: bool) -> Staged:
    """Return a version's forecast as of a day, made by its package, written for good and staged in its schema."""
    told = tables_today(app, today, package)
    today.engine.use(schema_of(package.version))
    kept = keep(today.engine, told, app.project.folder, shadow=shadow)
    stage_tables(today.engine, told)
    return kept


def stage_again(app: Funnel, engine: DuckDB, version: str, on: date) -> None:
    """Stage the newest issue that the ledger records of a version, read from its files and never forecast anew.

    An issue whose bytes are not those that were written is passed over. Where none is left, the forecast as of `on` is
    made, written for good and recorded, so that readers see no forecast that the ledger does not name.
    """
    package = app.package(version)
    written = issues_of(app, version, app.clock().date(), damaged=[])
    if not written:
        staged = stage_today(app, Today(engine, app.work(engine, on)), package, shadow=version != app.champion())
        record(app, version, staged.key, staged.digest, on)
        return
    newest = written[-1]
    today = Today(engine, app.work(engine, newest.forecast.day))
    events = today.events(package.settings).of(newest.series)
    told = tables_of(package, events, newest.forecast, _aims(app, package, events))
    engine.use(schema_of(version))
    named = next(event for event in events_of(app, version) if event.detail["issue"] == newest.key)
    keep_rows(engine, told, shadow=bool(named.detail.get("shadow", False)))
    stage_tables(engine, told)


def tables_today(app: Funnel, today: Today, package: Package) -> Tables:
    """Return a version's forecast as of a day, as readers would be shown it; nothing is written."""
    events = today.events(package.settings)
    return tables_of(package, events, package.forecast(events, today.day), _aims(app, package, events))


def _aims(app: Funnel, package: Package, events: Events) -> Aims:
    """Return how far what the version issued has moved its intervals, by what is known of the events."""
    before = issues_of(app, package.version, events.as_of, damaged=[])
    matured = outcomes(before, events, package.settings, WATCHED_DAYS)
    return aims_of(matured, readers_of(package, {}), events.as_of)


def issues_of(
    app: Funnel, version: str, until: date, since: date | None = None, damaged: list[str] | None = None
) -> list[Issue]:
    """Return what a version issued up to a day, the last of each day, oldest first; bytes are checked.

    Raises DataError for an issue that is not as it was written; given `damaged`, it is left out and named there.
    """
    return recorded(app, version, until, since, damaged, read=issues.read)


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
    age = issue_age(made, written[-1].forecast.day if written else None, len(written), on, len(damaged))
    lost = made.count("damaged_issues", len(damaged), len(written) + len(damaged), words="; ".join(damaged))
    return [*watched(made, package, events, written), *sound, age, lost]


def watched(made: Measured, package: Package, events: Events, written: Sequence[Issue]) -> list[Evidence]:
    """Return how what was written came true, against what is known of the events."""
    found = outcomes(written, events, package.settings, WATCHED_DAYS)
    naive = {stage: choice.naive for stage, choice in package.choices.items()}
    lost = naive_losses(found, events, package.settings, naive, package.seed)
    return list(outcome_evidence(made, found, readers_of(package, {}), lost))


def compared_issues(app: Funnel, rollout: Rollout, as_of: date) -> Sequence[Evidence]:
    """Return `field_loss_ratio`: challenger's loss over champion's, on issues of the same days since it began.

    With it `future_labels`: the events known by then that are dated after the day since which they are known.
    """
    assert rollout.champion is not None, "a rollout without a champion has no field"
    since = rollout.started_at.date()
    made = Measured(as_of, digest_of(rollout.version, rollout.champion, as_of))
    with app.warehouse() as engine:
        work = app.work(engine, as_of)
        events = read_events(engine, work.settings, work.sources, as_of)
        late = list(future_dated(made, engine, work.settings, work.sources))
    sides = [
        {
            o.issue.forecast.day: o
            for o in outcomes(issues_of(app, v, as_of, since), events, work.settings, WATCHED_DAYS)
        }
        for v in (rollout.version, rollout.champion)
    ]
    both = sorted(set(sides[0]) & set(sides[1]))
    words = "; ".join(f"{one.subject}: {one.words}" for one in late if one.words)
    found = [made.count("future_labels", sum(one.value for one in late), sum(one.rows for one in late), words=words)]
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
