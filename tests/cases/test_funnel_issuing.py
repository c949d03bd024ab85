"""Issuing, previewing and making again: what is done once, what leaves no trace, what the ledger names."""

import csv
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import pytest

from foregate.app.funnel import Funnel
from foregate.app.funnel import service as service_module
from foregate.app.funnel import today as today_module
from foregate.app.funnel.issuing import issue, issues_of
from foregate.app.funnel.today import Today
from foregate.app.issued import events_of
from foregate.app.played import Calendar
from foregate.app.promotion import plan, promote, waive
from foregate.app.starting import lay_funnel
from foregate.cases.funnel import packages
from foregate.cases.funnel.world import AS_OF, lay
from foregate.core.errors import NotAllowedError
from foregate.core.folds import VersionState
from foregate.core.gate import Effect, Result
from foregate.core.rollout import Stage, rollouts

QUICK = {
    "origins = 24": "origins = 16",
    "score_days = 28": 'score_days = 28\ncandidates = ["mean_28"]\ndraws = 100',
}
TRIED = AS_OF + timedelta(days=7)


def changed(file: Path, changes: dict[str, str]) -> None:
    text = file.read_text()
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new, 1)
    file.write_text(text)


def accepted(app: Funnel, state: VersionState) -> VersionState:
    for judgement in state.judgements():
        if judgement.result is not Result.PASS and judgement.gate.effect is Effect.SIGN_OFF:
            state = waive(app, state.version, judgement.label, "Vera", "few origins tell little", date(2027, 1, 1))
    return state


@dataclass
class Trial:
    """A funnel with a version in service and another in its shadow."""

    folder: Path
    champion: str
    challenger: str
    day: date = TRIED

    def opened(self) -> Funnel:
        return Funnel(self.folder, "ada", Calendar(self.day))

    def copied(self, folder: Path) -> "Trial":
        shutil.copytree(self.folder, folder)
        return Trial(folder, self.champion, self.challenger, self.day)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    folder = tmp_path_factory.mktemp("trial")
    lay_funnel(folder)
    (folder / "data").mkdir()
    lay(folder / "data", 42, AS_OF)
    changed(folder / "foregate.toml", QUICK)
    calendar = Calendar(AS_OF)
    app = Funnel(folder, "ada", calendar)
    first = accepted(app, app.run(AS_OF)).version
    promote(app, first, "first")
    calendar.turn(TRIED)
    lay(folder / "data", 42, TRIED)
    second = accepted(app, app.run(TRIED)).version
    promote(app, second, "tried")
    assert rollouts(app.entries())[-1].stage is Stage.SHADOW
    return Trial(folder, first, second)


@pytest.fixture
def trial(made: Trial, tmp_path: Path) -> Trial:
    return made.copied(tmp_path / "trial")


def seen(trial: Trial) -> dict[str, str]:
    """What readers see and what was issued: every table's fingerprint, every issued file's bytes and time."""
    app = trial.opened()
    with app.warehouse() as engine:
        names = engine.rows(
            "select table_schema || '.' || table_name from information_schema.tables "
            "where table_schema <> 'sources' order by 1"
        )
        found = {name: engine.fingerprint(name) for (name,) in names}
    for path in sorted((trial.folder / "issued").rglob("*")):
        found[str(path.relative_to(trial.folder))] = (
            f"{path.stat().st_mtime_ns} {path.is_file() and path.read_bytes()!r}"
        )
    found["ledger"] = str(len(app.entries()))
    return found


def counted(monkeypatch: pytest.MonkeyPatch, tally: Counter[str], owner: object, name: str) -> None:
    honest: Callable[..., object] = getattr(owner, name)

    def counting(*given: object, **named: object) -> object:
        tally[name] += 1
        return honest(*given, **named)

    monkeypatch.setattr(owner, name, counting)


def test_an_issue_binds_once_reads_once_and_loads_each_package_once(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    tally: Counter[str] = Counter()
    counted(monkeypatch, tally, Funnel, "work")
    counted(monkeypatch, tally, today_module, "read_events")
    counted(monkeypatch, tally, packages, "read")
    told = issue(trial.opened(), TRIED)
    assert [one.version for one in told] == [trial.champion, trial.challenger]
    assert tally == {"work": 1, "read_events": 1, "read": 2}


def test_versions_that_count_otherwise_each_read_their_own_events(trial: Trial) -> None:
    app = trial.opened()
    with app.warehouse() as engine:
        today = Today(engine, app.work(engine, TRIED))
        settings = today.work.settings
        later = settings.model_copy(update={"train_start": date(2024, 6, 1)})
        assert today.events(settings) is today.events(settings.model_copy())
        assert today.events(later).start != today.events(settings).start


def test_a_preview_of_a_shadow_leaves_no_trace(trial: Trial) -> None:
    """The day of the preview is a later one, with other data: whatever it staged would be seen."""
    trial.day = TRIED + timedelta(days=28)
    lay(trial.folder / "data", 42, trial.day)
    before = seen(trial)
    preview = plan(trial.opened(), trial.challenger)
    told = {j.gate.evidence for j in preview.judgements}
    assert {"parity_rows_off", "parity_columns_off", "parity_missing", "parity_total_ratio"} <= told
    assert seen(trial) == before
    assert any(name.startswith(f"run_{trial.champion}.") for name in before)


def test_parity_compares_the_forecasts_of_its_own_day(trial: Trial) -> None:
    app = trial.opened()
    rollout = rollouts(app.entries())[-1]
    told = {e.label: e for e in app.service(TRIED).parity(rollout)}
    assert told["parity_rows_off"].value == told["parity_columns_off"].value == told["parity_missing[mql]"].value == 0
    assert 0.5 < told["parity_total_ratio[mql]"].value < 2
    with app.warehouse() as engine:
        assert not engine.rows("select 1 from information_schema.schemata where schema_name like 'shadow%'")


def test_a_parity_that_breaks_off_leaves_no_schema(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    app = trial.opened()
    rollout = rollouts(app.entries())[-1]

    def broken(*_given: object) -> None:
        raise NotAllowedError("parity", found="a fault", wanted="none", then="Mend it.")

    with monkeypatch.context() as broke:
        broke.setattr(service_module, "Measured", broken)
        with pytest.raises(NotAllowedError, match="a fault"):
            app.service(TRIED).parity(rollout)
    with app.warehouse() as engine:
        assert not engine.rows("select 1 from information_schema.schemata where schema_name like 'shadow%'")


def served_table(trial: Trial, version: str) -> list[tuple[object, ...]]:
    with trial.opened().warehouse() as engine:
        return engine.rows(f"select * from run_{version}.funnel_forecast order by unit_id, date")


def dropped(trial: Trial, *schemas: str) -> Funnel:
    app = trial.opened()
    with app.warehouse() as engine:
        for schema in schemas:
            engine.drop_schema(schema)
    return app


def test_a_table_that_is_gone_is_made_again_from_the_newest_issue_and_no_other_is_issued(trial: Trial) -> None:
    app = trial.opened()
    issue(app, TRIED)
    before, told = served_table(trial, trial.champion), len(app.entries())
    files = sorted(str(p) for p in (trial.folder / "issued").rglob("*"))
    trial.day = TRIED + timedelta(days=14)
    lay(trial.folder / "data", 42, trial.day)
    app = dropped(trial, f"run_{trial.champion}")
    app.service(trial.day).restage(trial.champion)
    assert served_table(trial, trial.champion) == before, "of the day it was issued, not of the day it was made again"
    assert len(app.entries()) == told
    assert sorted(str(p) for p in (trial.folder / "issued").rglob("*")) == files


def test_a_warehouse_that_is_gone_gets_the_rows_of_the_newest_issue_back(trial: Trial) -> None:
    app = trial.opened()
    issue(app, TRIED)
    asked = "select * from issued.funnel_levels where version = $version and issued_on = $day order by all"
    values = {"version": trial.champion, "day": TRIED}
    with app.warehouse() as engine:
        before = engine.rows(asked, values)
    app = dropped(trial, f"run_{trial.champion}", "issued")
    app.service(TRIED).restage(trial.champion)
    with app.warehouse() as engine:
        assert engine.rows(asked, values) == before
        assert engine.rows("select distinct version, shadow from issued.funnel_days") == [(trial.champion, False)]


def test_a_series_that_is_new_or_gone_since_does_not_hinder_it(trial: Trial) -> None:
    """Source by source the issue is as it was; the actuals of a source that is gone are not known any more."""
    app = trial.opened()
    issue(app, TRIED)
    newest = issues_of(app, trial.champion, TRIED)[-1]
    with app.warehouse() as engine:
        today = Today(engine, app.work(engine, TRIED))
        events = today.events(today.work.settings)
    few = events.of(events.series[3:9])
    assert few.series == events.series[3:9]
    again = few.of(newest.series)
    assert again.series == newest.series
    assert [again.segment_names[i] for i in again.segments] == [one.segment for one in newest.series]
    for name, one in events.stages.items():
        mine = [i for i, _ in enumerate(events.series) if 3 <= i < 9]
        kept = one.where(sum((one.series == i for i in mine), one.series < 0))
        assert again.stages[name].day.tolist() == kept.day.tolist()
        assert again.stages[name].series.tolist() == kept.series.tolist()
    assert events.of(events.series) is events


def test_a_version_whose_issue_is_damaged_issues_the_day_and_the_ledger_names_it(trial: Trial) -> None:
    app = trial.opened()
    for event in events_of(app, trial.challenger):
        (trial.folder / "issued" / str(event.detail["issue"]) / "about.json").write_bytes(b"spoiled")
    trial.day = TRIED + timedelta(days=1)
    lay(trial.folder / "data", 42, trial.day)
    app = dropped(trial, f"run_{trial.challenger}")
    app.service(trial.day).restage(trial.challenger)
    newest = events_of(app, trial.challenger)[-1]
    assert newest.detail["as_of"] == trial.day.isoformat()
    assert {row[-2] for row in served_table(trial, trial.challenger)} == {newest.detail["issue"]}


def test_the_ledger_and_the_views_say_which_issues_readers_did_not_see(trial: Trial) -> None:
    app = trial.opened()
    trial.day = TRIED + timedelta(days=7)
    lay(trial.folder / "data", 42, trial.day)
    app = trial.opened()
    issue(app, trial.day)
    told = {
        (v, e.detail["as_of"]): e.detail["shadow"]
        for v in (trial.champion, trial.challenger)
        for e in events_of(app, v)
    }
    week, first = trial.day.isoformat(), AS_OF.isoformat()
    assert told == {
        (trial.champion, first): True,
        (trial.challenger, TRIED.isoformat()): True,
        (trial.champion, week): False,
        (trial.challenger, week): True,
    }
    with app.warehouse() as engine:
        for view in ("bi.issued_days", "bi.issued_by_period"):
            rows = engine.rows(f"select distinct version, issued_on, shadow from {view}")
            assert {(version, day.isoformat()): shadow for version, day, shadow in rows} == told
        assert "shadow" not in engine.columns("bi.forecast_by_period")
        assert "shadow" not in engine.columns("bi.production_forecast")


def test_issues_of_before_there_was_a_column_for_it_count_as_seen(trial: Trial) -> None:
    app = trial.opened()
    with app.warehouse() as engine:
        for table in ("issued.funnel_days", "issued.funnel_levels"):
            engine.create(table, f"select * exclude (shadow) from {table}")
    service = app.service(TRIED)
    service.publish(next(e for e in reversed(app.entries()) if e.event.split))
    with app.warehouse() as engine:
        assert engine.rows("select distinct shadow from bi.issued_days") == [(False,)]
        assert engine.count("bi.forecast_by_period")
    issue(app, TRIED)
    with app.warehouse() as engine:
        assert set(engine.rows("select distinct version, shadow from bi.issued_by_period")) == {
            (trial.champion, False),
            (trial.challenger, False),
        }


def with_known_reports(trial: Trial, change: Callable[[dict[str, str]], None]) -> Funnel:
    """The SQO's own date is known when the reports have it; one opportunity is changed."""
    changed(trial.folder / "foregate.toml", {'reported_on = "reported_on"': 'known = "reported_on"'})
    file = trial.folder / "data" / "opportunities.csv"
    with file.open(newline="") as opened:
        rows = list(csv.DictReader(opened))
    change(next(row for row in rows if row["became_sqo_on"]))
    with file.open("w", newline="") as opened:
        writer = csv.DictWriter(opened, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return trial.opened()


def test_an_event_dated_after_the_day_it_was_known_is_a_future_label(trial: Trial, tmp_path: Path) -> None:
    def later(row: dict[str, str]) -> None:
        row["became_sqo_on"] = str(date.fromisoformat(row["reported_on"]) + timedelta(days=3))

    honest = with_known_reports(trial.copied(tmp_path / "honest"), lambda row: None)
    planted = with_known_reports(trial.copied(tmp_path / "planted"), later)
    found = []
    for app in (honest, planted):
        rollout = rollouts(app.entries())[-1]
        found.append(next(e for e in app.service(TRIED).field(rollout) if e.name == "future_labels"))
    assert [one.value for one in found] == [0, 1]
    assert found[0].rows == found[1].rows > 0
    assert "sqo: 1 dated after the day" in found[1].words
    gate = next(g for g in planted.crossing_gates(planted.plan())["verdict"] if g.evidence == "future_labels")
    assert [gate.judge(one) for one in found] == [Result.PASS, Result.FAIL]
