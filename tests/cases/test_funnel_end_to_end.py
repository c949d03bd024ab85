"""A funnel from its files to forecasts in service: run, promoted, issued weekly, watched, rolled back."""

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from foregate.app.funnel import Funnel
from foregate.app.funnel.issuing import issue, issues_of, watched
from foregate.app.funnel.outlook import outlook
from foregate.app.monitoring import monitor
from foregate.app.played import Calendar
from foregate.app.promotion import drill, promote, rollback, waive
from foregate.app.starting import lay_funnel
from foregate.cases.funnel.backtest import Past
from foregate.cases.funnel.events import read_events
from foregate.cases.funnel.forecasting import Known
from foregate.cases.funnel.issues import Issue
from foregate.cases.funnel.reading import BOUNDS
from foregate.cases.funnel.views import bi_columns, day_columns
from foregate.cases.funnel.world import AS_OF, Trap, lay
from foregate.core.alerting import firing, step_all
from foregate.core.errors import ConfigurationError, DataError, NotAllowedError
from foregate.core.event import Kind
from foregate.core.folds import PROMOTABLE, State, VersionState
from foregate.core.gate import Effect, Result
from foregate.core.rollout import Stage, rollouts
from foregate.modeling.measured import Measured

STAGES = ["mql", "sql", "sqo"]
WEEKS = 5
SMALL = {
    "origins = 24": "origins = 16",
    "score_days = 28": "score_days = 28\ndraws = 200",
}


def laid(folder: Path, *changes: tuple[str, str], until: date = AS_OF) -> Path:
    lay_funnel(folder)
    (folder / "data").mkdir(exist_ok=True)
    lay(folder / "data", 42, until)
    file = folder / "foregate.toml"
    text = file.read_text()
    for old, new in (*SMALL.items(), *changes):
        assert old in text
        text = text.replace(old, new, 1)
    file.write_text(text)
    return folder


def accepted(app: Funnel, state: VersionState) -> VersionState:
    for judgement in state.judgements():
        if judgement.result is not Result.PASS and judgement.gate.effect is Effect.SIGN_OFF:
            state = waive(app, state.version, judgement.label, "Vera", "twelve origins tell little", date(2027, 1, 1))
    return state


@dataclass
class Served:
    """A funnel in service for some weeks."""

    app: Funnel
    calendar: Calendar
    first: VersionState
    folder: Path


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Served:
    folder = laid(tmp_path_factory.mktemp("funnel"))
    calendar = Calendar(AS_OF)
    app = Funnel(folder, "ada", calendar)
    state = accepted(app, app.run(AS_OF))
    assert state.state in PROMOTABLE
    promote(app, state.version, "first")
    for week in range(1, WEEKS + 1):
        day = AS_OF + timedelta(days=7 * week)
        calendar.turn(day)
        lay(folder / "data", 42, day)
        issue(app, day)
    return Served(app, calendar, state, folder)


def test_every_phase_is_judged(served: Served) -> None:
    assert list(served.first.phases) == [
        "preflight", "events", "panel", "maturity", "race", "calibrate", "validate", "package", "issue",
    ]  # fmt: skip


def test_a_second_run_writes_nothing_and_the_same_declarations_are_the_same_version_anywhere(tmp_path: Path) -> None:
    quick = (("[funnel]", '[funnel]\ncandidates = ["mean_28"]'),)
    one, other = (Funnel(laid(tmp_path / n, *quick), "ada", Calendar(AS_OF)) for n in ("one", "other"))
    state = one.run(AS_OF)
    before = len(one.entries())
    again = one.run(AS_OF)
    assert (again.version, again.state, len(one.entries())) == (state.version, state.state, before)
    assert other.run(AS_OF).version == state.version
    files = [sorted((tmp_path / n / "issued").rglob("*.parquet")) for n in ("one", "other")]
    assert [f.read_bytes() for f in files[0]] == [f.read_bytes() for f in files[1]]


def test_children_sum_to_their_parents_in_every_path_and_in_every_table(served: Served) -> None:
    written = issues_of(served.app, served.first.version, served.calendar.day)[-1]
    for paths in written.forecast.paths.values():
        assert paths.min() >= 0
    with served.app.warehouse() as engine:
        apart = engine.rows(
            """select count(*) from (select stage, grain, period_start, level, sum(forecast) as f
            from bi.forecast_by_period group by all) as p
            join (select stage, grain, period_start, sum(forecast) as f from bi.forecast_by_period
            where level = 'total' group by all) as t using (stage, grain, period_start) where abs(p.f - t.f) > 1e-6"""
        )
        assert apart == [(0,)]
        days = engine.rows("select sum(mql_forecast) from bi.production_forecast where date > issued_on")[0][0]
        total = engine.rows(
            """select sum(forecast) from bi.forecast_by_period where stage = 'mql' and level = 'total'
            and grain = 'day' and period_start > issued_on"""
        )[0][0]
    assert days == pytest.approx(total)


def test_intervals_are_sums_of_paths_and_not_sums_of_intervals(served: Served) -> None:
    with served.app.warehouse() as engine:
        summed, told = engine.rows(
            """select sum(forecast_upper_95 - forecast_lower_95) filter (level = 'source'),
            sum(forecast_upper_95 - forecast_lower_95) filter (level = 'total') from bi.forecast_by_period
            where stage = 'mql' and grain = 'month' and whole"""
        )[0]
    assert told < summed / 1.5


def test_the_views_have_their_columns_and_say_nothing_where_nothing_is_known(served: Served) -> None:
    with served.app.warehouse() as engine:
        assert tuple(engine.columns("bi.forecast_for_bi")) == bi_columns(STAGES)
        assert tuple(engine.columns("bi.production_forecast")) == (*day_columns(STAGES), "generation")
        today = served.calendar.day
        kinds = dict(engine.rows("select time_period_type, count(distinct date) from bi.forecast_for_bi group by 1"))
        assert (kinds["TODAY"], kinds["FORECAST"]) == (1, 89)
        assert engine.rows("select distinct date from bi.forecast_for_bi where time_period_type = 'TODAY'") == [
            (today,)
        ]
        for stage in STAGES:
            wrong = f"""select count(*) from bi.forecast_for_bi where
                (time_period_type = 'ACTUAL' and ({stage}_forecast is not null or {stage}_ci_width_95 is not null))
                or (time_period_type <> 'ACTUAL' and ({stage}_actual is not null or {stage}_forecast is null))"""
            assert engine.rows(wrong) == [(0,)]
        unborn = engine.rows("select count(*) from bi.forecast_for_bi where mql_value is null")[0][0]
        assert unborn > 0, "days before a series was born are NULL and not 0"


def test_a_month_to_date_is_what_came_and_then_what_is_expected(served: Served) -> None:
    with served.app.warehouse() as engine:
        found = engine.rows(
            """select m.mql_mtd, (select sum(mql_value) from bi.forecast_for_bi as d where d.unit_id = m.unit_id
            and d.date between date_trunc('month', m.date) and m.date) from bi.forecast_for_bi as m
            where m.date = $day limit 5""",
            {"day": served.calendar.day + timedelta(days=9)},
        )
    assert found
    assert all(one == pytest.approx(other) for one, other in found)


def test_what_was_issued_stays_and_can_be_asked_for_by_its_day(served: Served) -> None:
    with served.app.warehouse() as engine:
        days = [row[0] for row in engine.rows("select distinct issued_on from bi.issued_days order by 1")]
    assert days == [AS_OF + timedelta(days=7 * week) for week in range(WEEKS + 1)]
    before = len(served.app.entries())
    told = issue(served.app, served.calendar.day)
    assert [one.repeated for one in told] == [True]
    assert len(served.app.entries()) == before
    issued = [e.event for e in served.app.entries() if e.event.kind is Kind.ISSUED]
    assert len(issued) == WEEKS + 1


def test_a_day_before_the_newest_issue_is_refused_and_readers_stay_where_they_are(served: Served) -> None:
    before = len(served.app.entries())
    with pytest.raises(NotAllowedError, match="a newer one"):
        issue(served.app, AS_OF)
    assert len(served.app.entries()) == before
    with served.app.warehouse() as engine:
        assert engine.rows("select distinct issued_on from bi.production_forecast") == [(served.calendar.day,)]


def test_a_day_whose_data_are_not_there_is_refused_and_a_day_to_come_too(served: Served) -> None:
    before = len(served.app.entries())
    with pytest.raises(ConfigurationError, match="a day up to"):
        issue(served.app, served.calendar.day + timedelta(days=1))
    late = Funnel(served.folder, "ada", Calendar(served.calendar.day + timedelta(days=40)))
    with pytest.raises(NotAllowedError, match="days_behind"):
        issue(late, served.calendar.day + timedelta(days=40))
    assert len(served.app.entries()) == before


def test_an_issue_that_somebody_changed_is_not_read(served: Served, tmp_path: Path) -> None:
    event = next(e.event for e in served.app.entries() if e.event.kind is Kind.ISSUED)
    file = served.folder / "issued" / str(event.detail["issue"]) / "about.json"
    kept = file.read_bytes()
    try:
        file.write_bytes(kept.replace(b'"horizon": 90', b'"horizon": 91'))
        with pytest.raises(DataError, match="bytes other than those that were written"):
            issues_of(served.app, served.first.version, served.calendar.day)
        damaged: list[str] = []
        rest = issues_of(served.app, served.first.version, served.calendar.day, damaged=damaged)
        assert (len(rest), len(damaged)) == (WEEKS, 1)
    finally:
        file.write_bytes(kept)


def known_on(app: Funnel, day: date) -> Known:
    with app.warehouse() as engine:
        work = app.work(engine, day)
        return Known(read_events(engine, work.settings, work.sources, day), work.settings)


def test_the_backtest_calls_what_serves(served: Served) -> None:
    package, known = served.app.package(served.first.version), known_on(served.app, served.calendar.day)
    past = Past(known.events, package.settings, [AS_OF], package.seed)
    told = package.forecast(known.events, AS_OF)
    for stage in STAGES:
        assert np.array_equal(past.paths(AS_OF, stage, package.candidates), told.paths[stage])
    assert np.array_equal(
        told.paths["sqo"], issues_of(served.app, served.first.version, AS_OF)[0].forecast.paths["sqo"]
    ), "what was issued is what the same knowledge gives again"


def test_what_happens_after_an_origin_changes_nothing_of_its_forecast(served: Served) -> None:
    package, known = served.app.package(served.first.version), known_on(served.app, served.calendar.day)
    later = {
        name: replace(one, day=np.where(one.day > (AS_OF - date(1970, 1, 1)).days, one.day + 1, one.day))
        for name, one in known.events.rows.items()
    }
    moved = replace(known.events, rows=later, stages={n: one.once() for n, one in later.items()})
    for events in (known.events, moved):
        told = package.forecast(events, AS_OF)
        assert all(np.array_equal(told.paths[s], package.forecast(known.events, AS_OF).paths[s]) for s in STAGES)


def test_the_monitor_joins_what_was_issued_to_what_came(served: Served) -> None:
    found = monitor(served.app, served.calendar.day)
    told = {e.label: e for e in found.evidence}
    issued = [e.event for e in served.app.entries() if e.event.kind is Kind.ISSUED]
    assert told["issued_bias[mql]"].rows == len(issued) - 1, "the newest has not come true yet"
    assert told["zero_error[mql]"].value == 0
    assert told["issued_coverage_95[mql source]"].value > 0.85
    assert not {"zero_error", "volume_surprise", "control_gap", "missing_months"} & set(found.alerts)
    again = monitor(served.app, served.calendar.day)
    assert again.repeated


def doubled(issue: Issue) -> Issue:
    paths = {stage: 2 * one for stage, one in issue.forecast.paths.items()}
    return replace(issue, forecast=replace(issue.forecast, paths=paths))


def of_itself(served: Served) -> Callable[[Issue], Issue]:
    """A monitor whose forecast is what came: the fault of the seed."""
    known = known_on(served.app, served.calendar.day)

    def change(issue: Issue) -> Issue:
        from foregate.cases.funnel.panel import actuals

        last = min(issue.forecast.first + timedelta(days=issue.forecast.horizon - 1), known.last)
        days = (last - issue.forecast.first).days + 1
        paths = {}
        for stage, one in issue.forecast.paths.items():
            came = np.zeros(one.shape[1:], dtype=np.int32)
            came[:, :days] = actuals(known.events, stage, issue.forecast.first, last)[: one.shape[1]]
            paths[stage] = np.broadcast_to(came, one.shape)
        return replace(issue, forecast=replace(issue.forecast, paths=paths))

    return change


def alerts_of(served: Served, change: Callable[[Issue], Issue]) -> set[str]:
    """The rules that fire when the issues are changed so, looked at once a week."""
    package, known = served.app.package(served.first.version), known_on(served.app, served.calendar.day)
    written = [change(one) for one in issues_of(served.app, served.first.version, served.calendar.day)]
    states: dict[str, object] = {}
    for week in range(2, WEEKS + 1):
        day = AS_OF + timedelta(days=7 * week)
        seen = [one for one in written if one.forecast.day <= day]
        found = watched(Measured(day, "test"), package, known.events.known_at(day), seen)
        states = step_all(served.app.rules(), states, day, found)  # type: ignore[arg-type, assignment]
    return {a.rule for a in states.values() if a.is_firing}  # type: ignore[attr-defined]


def test_a_healthy_forecast_fires_nothing_and_each_planted_fault_fires_its_rule(served: Served) -> None:
    assert not alerts_of(served, lambda issue: issue)
    assert {"volume_surprise", "forecast_bias"} & alerts_of(served, doubled)
    assert "zero_error" in alerts_of(served, of_itself(served))


def test_a_stage_that_is_dated_by_another_field_since_is_told(served: Served, tmp_path: Path) -> None:
    """The reports still count the true day: the months of the two dates part, and the data alerts fire."""
    folder = tmp_path / "moved"
    shutil.copytree(served.folder, folder)
    lay(folder / "data", 42, served.calendar.day, Trap.WRONG_DATE)
    found = monitor(Funnel(folder, "ada", Calendar(served.calendar.day)), served.calendar.day)
    assert {"label_gap"} <= set(found.alerts)


def test_a_channel_that_is_lost_from_the_data_is_a_surprise(served: Served) -> None:
    package, known = served.app.package(served.first.version), known_on(served.app, served.calendar.day)
    written = issues_of(served.app, served.first.version, served.calendar.day)
    busiest = max(set(s.channel for s in known.events.series), key=lambda c: volume(known, c))
    gone = np.array([s.channel == busiest for s in known.events.series])
    since = (AS_OF - date(1970, 1, 1)).days
    rows = {n: one.where(~(gone[one.series] & (one.day >= since))) for n, one in known.events.rows.items()}
    lost = replace(known.events, rows=rows, stages={n: one.once() for n, one in rows.items()})
    day = AS_OF + timedelta(days=14)
    seen = [one for one in written if one.forecast.day <= day]
    found = watched(Measured(day, "test"), package, lost.known_at(day), seen)
    away = {e.subject: e.value for e in found if e.name == "surprise"}
    assert away[f"mql {busiest}"] < -3
    states = step_all(served.app.rules(), {}, day, found)
    assert any(a.is_firing and a.rule == "volume_surprise" for a in states.values())


def volume(known: Known, channel: str) -> int:
    mine = [i for i, s in enumerate(known.events.series) if s.channel == channel]
    return int(np.isin(known.events.stages["mql"].series, mine).sum())


def stepped(app: Funnel, version: str) -> None:
    """Promote, accepting by name what the gates of the step can not tell."""
    for _ in range(3):
        try:
            promote(app, version, "the next step", app.clock().date())
            return
        except NotAllowedError as error:
            for label in re.findall(rf'foregate waive {version} "([^"]+)"', str(error)):
                waive(app, version, label, "Vera", "the issues of few weeks tell little", date(2027, 1, 1))
    raise AssertionError("still refused")


def test_another_version_takes_over_and_a_rollback_brings_every_view_back(served: Served) -> None:
    app, first = served.app, served.first.version
    state = accepted(app, app.run(served.calendar.day))
    assert state.version != first
    against = next(e for e in state.measured() if e.name == "champion_loss_ratio" and e.subject == "mql")
    assert first in against.words
    stepped(app, state.version)
    assert rollouts(app.entries())[-1].stage is Stage.SHADOW
    for _ in range(5):
        served.calendar.turn(served.calendar.day + timedelta(days=7))
        lay(served.folder / "data", 42, served.calendar.day)
        assert [one.shadow for one in issue(app, served.calendar.day)] == [False, True]
    assert seen_by_readers(app) == {first}, "in its shadow a challenger issues forecasts and readers do not see them"
    for _ in range(3):
        stepped(app, state.version)
    assert rollouts(app.entries())[-1].stage is Stage.COMPLETED
    judged = [e.event for e in app.entries() if e.event.version == state.version and e.event.phase == "verdict"]
    assert {e.subject for e in judged[-1].evidence if e.name == "field_loss_ratio"} == set(STAGES)
    assert all(e.rows == 5 for e in judged[-1].evidence if e.name == "field_loss_ratio")
    assert seen_by_readers(app) == {state.version}
    rollback(app, "we change our minds", state.version)
    assert seen_by_readers(app) == {first}
    assert all(j.result is Result.PASS for j in drill(app, state.version))


def seen_by_readers(app: Funnel) -> set[str]:
    with app.warehouse() as engine:
        versions = {row[0] for row in engine.rows("select distinct version from bi.production_forecast")}
        assert versions == {row[0] for row in engine.rows("select distinct version from bi.forecast_by_period")}
    return versions


def test_the_outlook_is_of_sums_with_both_intervals_in_order(served: Served) -> None:
    told = outlook(served.app, served.first.version)
    for row in told.sums:
        low95, low50, high50, high95 = (row[b] for b in ("lower_95", "lower_50", "upper_50", "upper_95"))
        assert low95 <= low50 <= high50 <= high95
    whole = {r["stage"]: r["forecast"] for r in told.sums if r["level"] == "total"}
    parts = {s: sum(r["forecast"] for r in told.sums if r["level"] == "segment" and r["stage"] == s) for s in STAGES}
    assert whole == pytest.approx(parts)
    assert set(BOUNDS) < set(told.sums[0])


def test_nothing_is_issued_before_anything_is_in_service(tmp_path: Path) -> None:
    app = Funnel(laid(tmp_path), "ada", Calendar(AS_OF))
    with pytest.raises(NotAllowedError, match="nothing in service"):
        issue(app, AS_OF)
    assert not app.entries()


def test_what_fires_is_read_from_the_ledger(served: Served) -> None:
    assert firing(e.event for e in served.app.entries()).keys() <= {served.first.version}
    assert served.first.state in (State.ACCEPTED, State.PASSED, State.WARNED)
