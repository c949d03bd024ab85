"""What the field can say of two versions: whether a plan's window is long enough, and what both arms' leads did."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

import numpy as np
import pyarrow as pa

from foregate.app.leads.case import Leads
from foregate.app.opened import run_of, schema_of
from foregate.cases.leads import monitoring
from foregate.cases.leads.field_rows import arm_rows, delay_of, field_rows, score_promise
from foregate.cases.leads.monitoring import Watched
from foregate.cases.leads.work import SCORES
from foregate.core.errors import NotAllowedError
from foregate.core.event import Event, Kind
from foregate.core.evidence import Evidence
from foregate.core.rollout import Plan, Rollout
from foregate.metrics.decidability import days_to_decide
from foregate.modeling.healthy import Volume as Expected
from foregate.modeling.measured import Measured, digest_of
from foregate.warehouse.days import day
from foregate.warehouse.duckdb import DuckDB
from foregate.warehouse.sources import view_name

CYCLE_DAYS = 30
RECENT_DAYS = 90
SCHEMA, CONVERTED = "monitor", "converted_before"
NORMAL = 1.96
Criterion = Literal["better", "not_worse"]


@dataclass(frozen=True)
class Volume:
    """What a rollout can count on: leads a day, their rate, and the part that only one version would list."""

    leads_per_day: float
    rate: float
    swap_share: float
    window_days: int

    def words(self) -> str:
        """Return the volume as a person would say it."""
        return (
            f"{self.leads_per_day:.0f} leads a day at {self.rate:.2%}, {self.swap_share:.0%} of the best by score "
            f"on one version's side only, {self.window_days} days to mature"
        )


def decidable(app: Leads, version: str, champion: str | None, plan: Plan, as_of: date) -> tuple[Evidence, Criterion]:
    """Return `undecided_days`, and the criterion that the plan's window can decide.

    The days are those by which a verdict comes too late: enrolment at this project's volumes and the plan's largest
    share, then maturity. "Better" that can not be decided becomes "not worse" with the plan's margin, where that can.
    """
    made = Measured(as_of, digest_of(version, plan.digest))
    share = max((step.share for step in plan.steps), default=0.0)
    asked: Criterion = "better" if plan.criterion == "better" else "not_worse"
    if champion is None or not plan.steps:
        words = "no version is in service" if champion is None else "the plan has no step beside the champion"
        return made.nothing("undecided_days", f"{words}: nothing to decide"), asked
    window = sum(step.days for step in plan.steps if step.share)
    if not share:
        words = "the plan has no share of people for the challenger: no verdict can come from the field"
        return made.count("undecided_days", 1, 0, words=words), asked
    volume = _volume(app, version, champion, as_of)
    if not volume.leads_per_day or not volume.rate or not volume.swap_share:
        words = f"{volume.words()}: no lead tells the versions apart"
        return made.count("undecided_days", window or 1, 0, words=words), asked
    needed = {c: _needed(volume, plan, share, c) for c in ("better", "not_worse")}
    chosen: Criterion = "not_worse" if needed[asked] > window >= needed["not_worse"] else asked
    words = f"{volume.words()}: {chosen.replace('_', ' ')} needs {needed[chosen]:,} days of the plan's {window}"
    if chosen != asked:
        words += f"; better by {plan.detect:g}x would need {needed['better']:,}, so the rollout is judged by not worse"
    rows = round(volume.leads_per_day * window)
    return made.count("undecided_days", max(0, needed[chosen] - window), rows, words=words), chosen


def field_of_arms(app: Leads, rollout: Rollout, as_of: date) -> Sequence[Evidence]:
    """Return what the leads that only one version listed say by the day: sample ratio, harm, and the matured rates."""
    from foregate.modeling.field import arm_evidence

    lists = lists_of(app, since=rollout)
    state = app.states()[rollout.version]
    window = int(state.evidence("window_days") or CYCLE_DAYS)
    with app.warehouse() as engine:
        work = app.work(engine, as_of)
        rows = arm_rows(engine, work.settings, lists, as_of)
    made = Measured(as_of, digest_of(rollout.salt, as_of, *lists))
    return list(arm_evidence(made, rows, as_of, window))


def watched(app: Leads, version: str, on: date, converted: Collection[str] | None = None) -> Watched:
    """Return what the field of a version is held against: its own scores, corrected by how they did on test rows.

    Tier prices are not it: a list takes the best scored of every tier, and they convert more often than their tier.
    """
    state = app.states()[version]
    found = next((e for e in state.measured() if e.name == "calibration_ratio" and not e.subject), None)
    ratio, hits = 1.0, 0
    if found is not None and found.low is not None and found.high is not None and found.high > found.low:
        ratio, hits = found.value, round((2 * NORMAL * found.value / (found.high - found.low)) ** 2)
    return Watched(
        app.package(version),
        lists_of(app, until=on, version=version),
        int(state.evidence("window_days") or CYCLE_DAYS),
        basis="score",
        calibration=ratio,
        calibration_hits=hits,
        converted=converted,
    )


def measured(app: Leads, version: str, on: date) -> list[Evidence]:
    """Return the case's own measurements; who had converted is kept for the next look, to see labels taken back."""
    with app.warehouse() as engine:
        work = app.work(engine, on)
        engine.use(SCHEMA)
        known = engine.exists(CONVERTED)
        before = {str(r[0]) for r in engine.rows(f"select lead_id from {CONVERTED}")} if known else None  # noqa: S608
        about = watched(app, version, on, before)
        rows = field_rows(engine, work.settings, about.lists, version)
        found = monitoring.measure(work, run_of(app, engine, version, on), about, rows)
        engine.use(SCHEMA)
        engine.load(CONVERTED, pa.table({"lead_id": pa.array(sorted(rows.converted()), pa.string())}))
    return found


def measured_then(app: Leads, version: str, on: date) -> Sequence[Evidence]:
    """Return what the monitor would have measured on a past day; leaves nothing behind."""
    with app.warehouse() as engine:
        work = app.work(engine, on)
        return monitoring.measure(work, run_of(app, engine, version, on), watched(app, version, on))


def volume_of(app: Leads, version: str) -> Expected:
    """Return what a version meets in the field: the leads of its lists a day, and the rates its scores promise."""
    on = app.clock().date()
    about = watched(app, version, on)
    if not about.lists:
        raise NotAllowedError(
            f"volume of {version}", found="no list", wanted="one list at least", then="`foregate list build`"
        )
    with app.warehouse() as engine:
        work = app.work(engine, on)
        rows = field_rows(engine, work.settings, about.lists, version)
        delay = delay_of(engine, work.settings, about.package, about.window_days)
    promise = score_promise(rows, delay, about.calibration, about.calibration_hits)
    scores = np.minimum(1.0, about.calibration * rows.table.column("score").to_numpy())
    best = rows.table.column("decile").to_numpy() == 1
    per_day = len(scores) / (CYCLE_DAYS * len(about.lists))
    return Expected(per_day, promise.rate, float(scores[best].mean()), delay)


def lists_of(
    app: Leads, since: Rollout | None = None, until: date | None = None, version: str | None = None
) -> dict[str, date]:
    """Return the lists by name with their days, the last built of each name.

    `since` takes only those of a rollout's arms, `until` none of later days, `version` those it had a say in.
    """
    made: dict[str, Event] = {}
    for entry in app.entries():
        if entry.event.kind is Kind.LISTED:
            made[str(entry.event.detail["list"])] = entry.event
    found = {name: date.fromisoformat(str(e.detail["as_of"])) for name, e in made.items()}
    wanted = {n for n, e in made.items() if since is None or e.detail.get("rollout") == since.began}
    if version is not None:
        wanted &= {n for n, e in made.items() if version in (e.version, e.detail.get("challenger"))}
    return {n: on for n, on in found.items() if n in wanted and (until is None or on <= until)}


def _needed(volume: Volume, plan: Plan, share: float, criterion: str) -> int:
    return days_to_decide(
        volume.rate,
        plan.detect if criterion == "better" else plan.margin,
        volume.leads_per_day,
        window_days=volume.window_days,
        share=share,
        swap_share=volume.swap_share,
        power=plan.power,
        level=1 - plan.alpha,
        criterion="better" if criterion == "better" else "not_worse",
    )


def _volume(app: Leads, version: str, champion: str, as_of: date) -> Volume:
    """Return the volume by the champion's last list, or by recent contacts where there is no list."""
    listed = [e.event for e in app.entries() if e.event.kind is Kind.LISTED]
    state = app.states()[version]
    window = int(state.evidence("window_days") or 0)
    with app.warehouse() as engine:
        if listed:
            places = int(listed[-1].detail["rows"])
            rate = next(
                (float(r["expected_rate"]) for r in listed[-1].detail["expected"] if r["tier"] == "all tiers"), 0.0
            )
            per_day = places / _cycle(listed)
        else:
            places, rate = 0, float(state.evidence("positive_rate") or 0.0)
            per_day = _recent(app, engine, as_of)
        swap = _swap_share(engine, version, champion, places)
    return Volume(per_day, rate, swap, window)


def _cycle(listed: Sequence[Event]) -> int:
    """Return the days between the last two lists, or a month."""
    days = sorted({date.fromisoformat(str(e.detail["as_of"])) for e in listed})
    return max(1, (days[-1] - days[-2]).days) if len(days) > 1 else CYCLE_DAYS


def _recent(app: Leads, engine: DuckDB, as_of: date) -> float:
    from sqlglot import exp

    app.work(engine, as_of)
    contacted = day(exp.column(app.settings.contacted)).sql(dialect="duckdb")
    sql = f"select count(*) from {view_name(app.settings.source)} where {contacted} > $start and {contacted} <= $as_of"  # noqa: S608
    found = engine.rows(sql, {"start": as_of - timedelta(days=RECENT_DAYS), "as_of": as_of})
    return float(found[0][0]) / RECENT_DAYS


def _swap_share(engine: DuckDB, version: str, champion: str, places: int) -> float:
    """Return the part of the best `places` (a tenth where there is no list) that only one of the versions has."""
    ours, theirs = (f"{schema_of(v)}.{SCORES}" for v in (version, champion))
    if not engine.exists(ours) or not engine.exists(theirs):
        return 0.0
    limit = places or max(1, engine.count(theirs) // 10)
    best = "select subject_id from {table} order by margin desc, subject_id limit {limit}"
    both = engine.rows(
        f"select count(*) from ({best.format(table=ours, limit=limit)}) as o "  # noqa: S608 - our own names
        f"join ({best.format(table=theirs, limit=limit)}) as t using (subject_id)"
    )[0][0]
    return 1 - int(both) / limit
