"""Each fault that the seed's forecast had is stopped by a gate or an error that names it."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from foregate.app.funnel import Funnel
from foregate.app.played import Calendar
from foregate.app.starting import lay_funnel
from foregate.cases.funnel.candidates import NAIVE, allowed
from foregate.cases.funnel.settings import FunnelSettings
from foregate.cases.funnel.world import AS_OF, Trap, lay
from foregate.core.errors import ConfigurationError, DataError, ForegateError
from foregate.core.folds import State, VersionState
from foregate.core.gate import Judgement, Result

QUICK = 'candidates = ["mean_28"]\ndraws = 100'


def project(folder: Path, trap: Trap | None = None, *changes: tuple[str, str]) -> Funnel:
    lay_funnel(folder)
    (folder / "data").mkdir(exist_ok=True)
    lay(folder / "data", 4, AS_OF, trap)
    file = folder / "foregate.toml"
    text = file.read_text()
    for old, new in (("origins = 24", "origins = 16"), ("score_days = 28", f"score_days = 28\n{QUICK}"), *changes):
        assert old in text
        text = text.replace(old, new, 1)
    file.write_text(text)
    return Funnel(folder, "ada", Calendar(AS_OF))


def open_gates(state: VersionState) -> dict[str, Judgement]:
    return {j.label: j for j in state.judgements() if j.result is not Result.PASS}


NAMED = {
    Trap.DUPLICATE_EVENTS: "duplicate_keys",
    Trap.NEGATIVE_DELAY: "negative_delays",
    Trap.RENAMED_SOURCE: "suspected_renames",
    Trap.MISSING_MONTH: "missing_months",
    Trap.WRONG_DATE: "label_gap",
}


@pytest.mark.parametrize("trap", list(NAMED), ids=lambda t: str(t.value))
def test_every_trap_is_named_by_its_gate(trap: Trap, tmp_path: Path) -> None:
    app = project(tmp_path, trap)
    state = app.run(AS_OF)
    assert NAMED[trap] in {label.split("[")[0] for label in open_gates(state)}
    assert state.state in (State.BLOCKED, State.AWAITS)


BLOCKED = {Trap.NEGATIVE_DELAY: "negative_delays", Trap.MISSING_MONTH: "missing_months"}


@pytest.mark.parametrize("trap", list(BLOCKED), ids=lambda t: str(t.value))
def test_a_check_names_what_a_run_would_block_on(trap: Trap, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"{BLOCKED[trap]}\[.*wanted {BLOCKED[trap]}.* at most 0"):
        project(tmp_path, trap).check()
    effect = f'[funnel.gates.{BLOCKED[trap]}]\neffect = "sign_off"\n\n[funnel.segments]'
    app = project(tmp_path, trap, ("[funnel.segments]", effect))
    assert app.check().data["events"]["mql"], "what a run does not block on is no error of a check"


def test_a_check_of_sound_data_says_what_there_is(tmp_path: Path) -> None:
    app = project(tmp_path)
    found = app.check()
    assert "24 series of 4 segments" in found.words
    assert not app.entries()


def test_a_source_in_no_segment_stops_the_run_with_its_name(tmp_path: Path) -> None:
    app = project(tmp_path, Trap.UNMAPPED_SOURCE)
    with pytest.raises(DataError, match=r"\[funnel.segments\]"):
        app.run(AS_OF)
    assert not (tmp_path / "issued").exists(), "nothing is half issued"
    with app.warehouse() as engine:
        assert not engine.exists("bi.production_forecast")


def test_the_naive_ones_race_whatever_is_listed(tmp_path: Path) -> None:
    settings = project(tmp_path).settings
    assert set(NAIVE) <= set(allowed(settings, "mql"))
    state = project(tmp_path).run(AS_OF)
    for stage in settings.stages:
        raced = {
            e.subject.split(" ")[1] for e in state.measured() if e.name == "loss_ratio" and e.subject.startswith(stage)
        }
        assert set(NAIVE) <= raced


def test_a_candidate_nobody_has_and_one_that_converts_nothing_are_refused(tmp_path: Path) -> None:
    app = project(tmp_path, None, ('candidates = ["mean_28"]', 'candidates = ["means_28"]'))
    with pytest.raises(ConfigurationError, match="'means_28'"):
        app.check()
    text = (tmp_path / "foregate.toml").read_text()
    (tmp_path / "foregate.toml").write_text(text.replace('"means_28"', '"conversion"'))
    settings = Funnel(tmp_path, "ada", Calendar(AS_OF)).settings
    assert "conversion" not in allowed(settings, "mql"), "the funnel's list is for every stage that it fits"
    assert "conversion" in allowed(settings, "sql")
    own = settings.model_copy(
        update={"stages": {n: s.model_copy(update={"candidates": ("conversion",)}) for n, s in settings.stages.items()}}
    )
    with pytest.raises(ConfigurationError, match="first stage"):
        allowed(own, "mql")


def test_a_forecast_that_hears_nothing_of_its_past_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The view of the seed: its lags were empty, so that only the calendar was left."""
    from foregate.cases.funnel import forecasting
    from foregate.modeling import naive

    def calendar_only(self: object, history: object, horizon: int, draws: int, rng: np.random.Generator) -> object:
        return np.ones((draws, history.series, horizon), dtype=np.int32)  # type: ignore[attr-defined]

    monkeypatch.setattr(forecasting, "FLAT", frozenset())
    monkeypatch.setattr(naive.Mean, "paths", calendar_only)
    monkeypatch.setattr(naive.SeasonalNaive, "paths", calendar_only)
    monkeypatch.setattr(naive.Zero, "paths", calendar_only)
    state = project(tmp_path).run(AS_OF)
    assert "deaf_stages" in open_gates(state)


def test_skill_that_counts_do_not_allow_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A candidate that has seen what comes: it wins the race and the gate asks why."""
    from foregate.cases.funnel import backtest
    from foregate.cases.funnel.forecasting import Known, stage_paths
    from foregate.cases.funnel.panel import actuals

    app = project(tmp_path)
    with app.warehouse() as engine:
        from foregate.cases.funnel.events import read_events

        work = app.work(engine, AS_OF)
        every = read_events(engine, work.settings, work.sources, AS_OF)

    def seer(known: Known, stage: str, candidate: str, *rest: object) -> object:
        paths = stage_paths(known, stage, candidate, *rest)  # type: ignore[arg-type]
        if candidate != "mean_28":
            return paths
        complete = (Known(every, known.settings).last - known.last).days
        days = min(complete, paths.shape[-1])
        if days:
            first = date.fromordinal(known.last.toordinal() + 1)
            came = actuals(every, stage, first, date.fromordinal(first.toordinal() + days - 1))
            paths = paths.copy()
            paths[..., :days] = came
        return paths

    monkeypatch.setattr(backtest, "stage_paths", seer)
    monkeypatch.setattr(backtest, "NAIVE", tuple(n for n in NAIVE if n != "mean_28"))
    state = app.run(AS_OF)
    assert "implausible_skill[mql]" in open_gates(state)


def test_intervals_that_are_too_narrow_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every candidate draws its mean and nothing else; no reading of such paths can cover."""
    from foregate.modeling import naive

    honest = naive.Mean.paths

    def certain(self: naive.Mean, *given: object) -> object:
        paths = honest(self, *given)  # type: ignore[arg-type]
        return np.broadcast_to(np.rint(paths.mean(axis=0)).astype(np.int32), paths.shape).copy()

    monkeypatch.setattr(naive.Mean, "paths", certain)
    monkeypatch.setattr(
        naive.SeasonalNaive, "paths", certain_days := lambda self, h, n, d, r: certain(naive.MEAN_90, h, n, d, r)
    )
    assert certain_days
    state = project(tmp_path).run(AS_OF)
    named = {label.split("[")[0] for label in open_gates(state)}
    assert {"coverage_95", "unreadable_intervals"} & named


def test_a_forecast_far_from_the_last_weeks_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from foregate.modeling import naive

    honest = naive.Mean.paths
    monkeypatch.setattr(naive.Mean, "paths", lambda self, *given: 4 * honest(self, *given))
    honest_days = naive.SeasonalNaive.paths
    monkeypatch.setattr(naive.SeasonalNaive, "paths", lambda self, *given: 4 * honest_days(self, *given))
    state = project(tmp_path).run(AS_OF)
    assert "trend_break[mql]" in open_gates(state)
    assert open_gates(state)["bias[mql]"].result in (Result.FAIL, Result.INSUFFICIENT)


def test_every_reading_of_the_sealed_origins_is_counted(tmp_path: Path) -> None:
    app = project(tmp_path)
    first = app.run(AS_OF)
    text = (tmp_path / "foregate.toml").read_text()
    (tmp_path / "foregate.toml").write_text(text.replace("seed = 42", "seed = 43"))
    second = Funnel(tmp_path, "ada", Calendar(AS_OF)).run(AS_OF)
    readings = [next(e.value for e in s.measured() if e.name == "test_reading") for s in (first, second)]
    assert readings == [1, 2]
    widths = [next(e for e in s.measured() if e.label == "wape[mql source]") for s in (first, second)]
    assert "97.5" not in widths[0].words
    assert widths[0].rows == widths[1].rows


def test_fewer_than_twelve_origins_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ForegateError, match="min_origins"):
        project(tmp_path, None, ("origins = 16", "origins = 11"), ("test_origins = 8", "test_origins = 3"))


def test_history_too_short_for_the_origins_says_how_much_is_lacking(tmp_path: Path) -> None:
    app = project(tmp_path, None, ("origin_step_days = 14", "origin_step_days = 90"))
    with pytest.raises(DataError, match="days of history before the oldest origin"):
        app.run(AS_OF)


def test_one_stage_and_one_series_are_forecast_and_said(tmp_path: Path) -> None:
    app = project(tmp_path)
    settings = app.settings
    one = FunnelSettings.model_validate(
        settings.model_dump()
        | {
            "stages": {
                "mql": settings.stages["mql"].model_dump()
                | {"only": "original_source = 'Webinar' and mql_on is not null"}
            }
        }
    )
    app.project.declared = app.project.declared.model_copy(update={"funnel": one})
    state = app.run(AS_OF)
    assert replace(next(e for e in state.measured() if e.name == "series")).value == 1
    assert "one series only" in next(e.words for e in state.measured() if e.name == "series")
    assert state.phases["issue"].judged is not None


def test_a_stage_in_which_nothing_happens_any_more_is_judged_and_not_broken(tmp_path: Path) -> None:
    """All origins lie behind the last event: nothing can be calibrated, and the silence is named."""
    app = project(tmp_path)
    app.clock = Calendar(date(2031, 1, 1))
    state = app.run(date(2031, 1, 1))
    assert "stale_days[mql]" in open_gates(state)
    assert state.state in (State.AWAITS, State.BLOCKED)
