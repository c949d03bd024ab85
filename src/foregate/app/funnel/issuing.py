"""Issuing and watching: the forecast of a day written for good, and what forecasts written before have come to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np

from foregate.app.opened import Healthy, schema_of
from foregate.cases.funnel import issues
from foregate.cases.funnel.checks import control_findings
from foregate.cases.funnel.event_checks import event_findings
from foregate.cases.funnel.events import Events, read_events
from foregate.cases.funnel.issues import Issue
from foregate.cases.funnel.issuing import Staged, readers_of, stage_issue
from foregate.cases.funnel.lifecycle import MODEL
from foregate.cases.funnel.outcomes import (
    WATCHED_DAYS,
    Outcome,
    aims_of,
    levels_of,
    naive_losses,
    outcome_evidence,
    outcomes,
)
from foregate.cases.funnel.scoring import losses
from foregate.core.errors import DataError, NotAllowedError
from foregate.core.event import Event, Kind
from foregate.core.evidence import Evidence, Unit
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

WATCHED = ("missing_months", "silent_days", "stale_days", "late_share", "negative_delays", "suspected_renames")


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
    with app.ledger.lease(MODEL, holder_name(app.actor)), app.warehouse() as engine:
        for each in (version, *tried):
            staged = stage_today(app, engine, each, on)
            new = _record(app, each, staged, on)
            found.append(Issued(each, staged.key, on, not new, each != version))
    return found


def stage_today(app: Funnel, engine: DuckDB, version: str, on: date) -> Staged:
    """Return a version's forecast as of a day, made by its package and staged in its schema."""
    package = app.package(version)
    work = app.work(engine, on)
    events = read_events(engine, package.settings, work.sources, on)
    readers = readers_of(package, {})
    before = outcomes(issues_of(app, version, on), events, package.settings, WATCHED_DAYS)
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


def issues_of(app: Funnel, version: str, until: date, since: date | None = None) -> list[Issue]:
    """Return what a version issued up to a day, the last of each day, oldest first; bytes are checked."""
    told: dict[str, Event] = {}
    for entry in app.entries():
        event = entry.event
        if event.kind is Kind.ISSUED and event.version == version:
            told[str(event.detail["as_of"])] = event
    days = sorted(
        d for d in told if date.fromisoformat(d) <= until and (since is None or date.fromisoformat(d) >= since)
    )
    folder = app.project.folder
    return [issues.read(folder, str(told[d].detail["issue"]), str(told[d].detail["digest"])) for d in days]


def measured(app: Funnel, version: str, on: date) -> list[Evidence]:
    """Return what issued forecasts have come to by a day, and whether the data they are held against are sound."""
    package = app.package(version)
    with app.warehouse() as engine:
        work = app.work(engine, on)
        events = read_events(engine, package.settings, work.sources, on)
        made = Measured(on, digest_of(version, on, *sorted(work.fingerprints.items())))
        sound = [e for e in event_findings(made, events, package.settings) if e.name in WATCHED]
        sound += list(control_findings(made, engine, package.settings, work.sources, events))
    written = issues_of(app, version, on)
    return [*watched(made, package, events, written), *sound, _age(made, written, on)]


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
        ours, theirs = (np.array([_loss(side[day], stage) for day in both]) for side in sides)
        ratio: Estimate = relative_loss(ours, theirs, 1) if len(both) and theirs.sum() else untold(0, np.inf, 0, 0.95)
        words = f"{len(both)} issues of both versions since {since}, {WATCHED_DAYS} days each"
        found.append(made.estimate("field_loss_ratio", ratio, Unit.RATIO, stage, words))
    return found


def _loss(outcome: Outcome, stage: str) -> float:
    return float(losses(outcome.drawn(stage), outcome.came[stage], levels_of(outcome.issue)).sum())


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
            yield day + timedelta(days=7 * week), _simulated(newest, day, rng, multiplier)

    totals = {s: float(p[..., :WATCHED_DAYS].sum(axis=(1, 2)).mean()) for s, p in newest.forecast.paths.items()}
    return Healthy(year, ", ".join(f"{total:.1f} {stage} a week" for stage, total in totals.items()))


def _simulated(newest: Issue, day: date, rng: np.random.Generator, multiplier: float) -> list[Evidence]:
    made, found = Measured(day, "simulated"), []
    for stage, paths in newest.forecast.paths.items():
        drawn = paths[..., :WATCHED_DAYS]
        one_path = drawn[rng.integers(len(drawn))]
        came = one_path if multiplier == 1 else rng.poisson(multiplier * one_path)
        for level in levels_of(newest):
            if level.name in ("total", "channel"):
                sums, one = level.sums(drawn).sum(axis=-1), level.sums(np.asarray(came)).sum(axis=-1)
                for place, name in enumerate(level.names):
                    away = (one[place] - sums[:, place].mean()) / max(float(sums[:, place].std()), 0.5)
                    found.append(made.count("surprise", round(float(away), 3), WATCHED_DAYS, f"{stage} {name}"))
    return found
