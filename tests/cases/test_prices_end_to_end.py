"""Prices from their files to forecasts in service: run, promoted, issued weekly, watched, rolled back."""

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from tests.cases.prices_project import AS_OF, CHEAP, laid

from foregate.app.issued import Issued
from foregate.app.monitoring import monitor
from foregate.app.played import Calendar
from foregate.app.prices import Prices
from foregate.app.prices.issuing import issues_of, today_of
from foregate.app.prices.outlook import outlook
from foregate.app.promotion import drill, plan, promote, rollback, waive
from foregate.cases.prices import packages
from foregate.cases.prices.forecasting import Forecast
from foregate.cases.prices.issuing import forecast_columns
from foregate.cases.prices.outcomes import outcomes
from foregate.cases.prices.quotes import Market, Quotes
from foregate.cases.prices.world import lay
from foregate.core.errors import ConfigurationError, DataError, NotAllowedError
from foregate.core.event import Kind
from foregate.core.folds import PROMOTABLE, VersionState, readers
from foregate.core.gate import Effect, Result
from foregate.core.rollout import Stage, rollouts
from foregate.lifecycle.alerts import AlertSettings, budget, rules_of
from foregate.modeling import artifacts

WEEKS = 4
SERIES = ("crude", "copper")
HORIZONS = ("1w", "1m", "3m", "6m")


@dataclass
class Served:
    """A project whose first version is in service, and the clock it goes by."""

    app: Prices
    clock: Calendar
    state: VersionState


def accepted(app: Prices, state: VersionState) -> VersionState:
    """Return the state after somebody took on what the gates could not tell."""
    for judgement in state.judgements():
        if judgement.result is not Result.PASS and judgement.gate.effect is Effect.SIGN_OFF:
            until = app.clock().date() + timedelta(days=400)
            state = waive(app, state.version, judgement.label, "Mira", "seen and taken on", until)
    return state


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Served:
    """The made-up market with every shipped expert, trees too, in service."""
    folder = laid(tmp_path_factory.mktemp("prices"))
    clock = Calendar(AS_OF)
    app = Prices(folder, "Ada", clock)
    state = accepted(app, app.run(AS_OF))
    assert state.state in PROMOTABLE, [j.label for j in state.judgements() if j.result is not Result.PASS]
    promote(app, state.version, "the first one")
    return Served(app, clock, state)


@pytest.fixture
def copy(served: Served, tmp_path: Path) -> Served:
    """A copy of the served project that a test may change."""
    folder = tmp_path / "copy"
    shutil.copytree(served.app.project.folder, folder)
    clock = Calendar(AS_OF)
    return Served(Prices(folder, "Ada", clock), clock, served.state)


def test_readers_find_a_row_for_every_series_and_horizon_with_whole_intervals(served: Served) -> None:
    with served.app.warehouse() as engine:
        names = list(engine.columns("bi.price_forecast"))
        rows = engine.rows("select unit_id, price_day, target_day, forecast, lower_95, upper_95 from bi.price_forecast")
        weights = engine.rows("select unit_id, sum(weight) from bi.price_weights group by 1")
    assert names == [*forecast_columns((0.5, 0.8, 0.95)), "generation"]
    assert {row[0] for row in rows} == {f"{series} {horizon}" for series in SERIES for horizon in HORIZONS}
    assert all(low < forecast < high for *_, forecast, low, high in rows)
    assert all(price_day < due for _, price_day, due, *_ in rows)
    assert len(weights) == len(rows)
    assert all(total == pytest.approx(1) for _, total in weights)


def test_a_run_over_the_same_data_is_the_same_version_and_changes_nothing(served: Served) -> None:
    before = len(served.app.entries())
    assert served.app.run(AS_OF).version == served.state.version
    assert len(served.app.entries()) == before


def test_the_sealed_days_are_named_so_that_a_day_more_or_less_is_the_same_reading(served: Served) -> None:
    opened = [e.event for e in served.app.entries() if e.event.kind is Kind.OPENED]
    window = str(opened[0].detail["window"])
    first, last = window.split("..")
    assert date.fromisoformat(first) < date.fromisoformat(last) <= AS_OF
    moved = f"{date.fromisoformat(first) + timedelta(days=1)}..{date.fromisoformat(last) + timedelta(days=1)}"
    assert readers((e.event for e in served.app.entries()), moved) == [served.state.version]


def test_every_sealed_error_is_that_of_the_predictions_kept(served: Served) -> None:
    package = served.app.package(served.state.version)
    told = {e.subject: e for e in served.state.measured() if e.name == "mae_ratio"}
    assert set(told) == set(package.errors)
    for key, one in package.errors.items():
        assert one["ratio"] == pytest.approx(told[key].value)


def test_an_error_written_by_hand_is_found_at_every_load(copy: Served) -> None:
    folder = copy.app.project.path("artifacts") / copy.state.version
    files = artifacts.read(folder)
    key = next(iter(copy.app.package(copy.state.version).errors))
    files["errors.json"] = files["errors.json"].replace(b'"mae": ', b'"mae": 1', 1)
    digest = artifacts.write(folder, {n: b for n, b in files.items() if n != artifacts.MANIFEST})
    with pytest.raises(DataError, match=f"(?s){key}: mae 1.*predictions kept beside them"):
        packages.read(folder, digest)


def cut(market: Market, days: int) -> Market:
    """Return the market without each series' last days."""
    quotes = {
        name: Quotes(one.days[:-days], one.price[:-days], one.known[:-days], one.rows)
        for name, one in market.quotes.items()
    }
    last = max(one.known[-1] for one in quotes.values())
    values = {
        name: replace(one, days=one.days[one.known <= last], value=one.value[one.known <= last])
        for name, one in market.exogenous.items()
    }
    values = {
        name: replace(one, known=market.exogenous[name].known[market.exogenous[name].known <= last])
        for name, one in values.items()
    }
    return Market(market.as_of, quotes, values)


def test_the_backtest_is_what_would_have_been_served_on_the_day(served: Served) -> None:
    """Every number of a past day is the same when nothing after that day is there."""
    package = served.app.package(served.state.version)
    with served.app.warehouse() as engine:
        market = today_of(served.app, engine, AS_OF).market(served.app.settings)
    for days in (1, 30, 400):
        for series in SERIES:
            whole, past = package.follow(market, series), package.follow(cut(market, days), series)
            at = past[0].days.size - 1
            assert whole[0].days[at] == past[0].days[at]
            np.testing.assert_array_equal(past[1].weights[:, at], whole[1].weights[:, at])
            np.testing.assert_allclose(past[1].said[:, at], whole[1].said[:, at], rtol=1e-12)
            np.testing.assert_allclose(past[1].lower[..., at], whole[1].lower[..., at], rtol=1e-12)


def test_weekly_issues_are_kept_and_held_against_what_came(copy: Served) -> None:
    app = copy.app
    keys = []
    for week in range(1, WEEKS + 1):
        day = AS_OF + timedelta(days=7 * week)
        copy.clock.turn(day)
        lay(app.project.folder / "data", 11, day)
        issued = app.issue(day)
        assert [one.repeated for one in issued] == [False]
        assert [one.repeated for one in app.issue(day)] == [True]
        keys += [one.key for one in issued]
    assert len(set(keys)) == WEEKS
    found = {e.label: e for e in monitor(app).evidence}
    ratio = found["issued_mae_ratio[crude 1w]"]
    assert "issues have fallen due" in ratio.words
    assert found["issued_coverage_95[crude 6m]"].rows == 0
    assert found["damaged_issues"].value == 0
    assert found["revised_prices[crude 1w]"].value == 0
    assert found["zero_error[crude 1w]"].value == 0
    with app.warehouse() as engine:
        count = engine.rows("select count(distinct issued_on) from bi.issued_price_forecasts")[0][0]
    assert count == WEEKS + 1
    with pytest.raises(NotAllowedError, match="newer one"):
        app.issue(AS_OF)
    folder = app.project.folder / "issued" / keys[0]
    body = next(p for p in folder.iterdir() if p.name == "forecast.json")
    body.write_bytes(body.read_bytes().replace(b'"forecast":', b'"forecast": 1', 1))
    damaged = {e.name: e for e in monitor(app).evidence}["damaged_issues"]
    assert damaged.value == 1
    assert keys[0] in damaged.words
    assert outlook(app, copy.state.version).as_of == copy.clock.day, "an old issue that is damaged hides no newer one"


def test_what_came_is_looked_up_by_quoted_days_and_not_by_the_calendar(copy: Served) -> None:
    app = copy.app
    day = AS_OF + timedelta(days=60)
    copy.clock.turn(day)
    lay(app.project.folder / "data", 11, day)
    first = issues_of(app, copy.state.version, AS_OF)[0]
    with app.warehouse() as engine:
        market = today_of(app, engine, day).market(app.settings)
    found = {one.key: one for one in outcomes([first], market, {})}
    quotes = market.quotes["crude"]
    told = next(one for one in first.told if one.key == "crude 1m")
    at = int(np.flatnonzero(quotes.days == np.datetime64(told.price_day))[0])
    assert found["crude 1m"].came[0] == quotes.price[at + 21]
    assert np.isnan(found["crude 6m"].came[0])


def stepped(app: Prices, version: str) -> None:
    """Promote, accepting by name what the gates of the step can not tell."""
    for _ in range(3):
        try:
            promote(app, version, "the next step", app.clock().date())
            return
        except NotAllowedError as error:
            for label in re.findall(rf'foregate waive {version} "([^"]+)"', str(error)):
                waive(app, version, label, "Mira", "the issues of few weeks tell little", date(2027, 1, 1))
    raise AssertionError("still refused")


def seen_by_readers(app: Prices) -> set[str]:
    with app.warehouse() as engine:
        versions = {row[0] for row in engine.rows("select distinct version from bi.price_forecast")}
        assert versions == {row[0] for row in engine.rows("select distinct version from bi.price_weights")}
    return versions


def issued_after(app: Prices, clock: Calendar, days: int) -> list[Issued]:
    clock.turn(clock.day + timedelta(days=days))
    lay(app.project.folder / "data", 11, clock.day)
    return app.issue(clock.day)


def failing(version: str, honest: Callable[[packages.Package, Market], Forecast]) -> Callable[..., Forecast]:
    def forecast(package: packages.Package, market: Market) -> Forecast:
        if package.version == version:
            raise DataError("market", found="nothing", wanted="prices", then="Bring them.")
        return honest(package, market)

    return forecast


def compared(app: Prices, version: str) -> set[str]:
    """Return what the last verdict on a version held against the champion's."""
    judged = [e.event for e in app.entries() if e.event.version == version and e.event.phase == "verdict"]
    return {e.subject for e in judged[-1].evidence if e.name == "field_loss_ratio"}


def test_a_second_version_runs_in_the_shadow_takes_over_and_is_rolled_back_from(
    copy: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, file = copy.state.version, copy.app.project.file
    text = file.read_text().replace("\n[prices]\n", f"\n[prices]\n{CHEAP}\n", 1)
    file.write_text(text[: text.index("[prices.exogenous")])  # what the first version reads the second does not know
    app = Prices(copy.app.project.folder, "Ada", copy.clock)
    second = accepted(app, app.run(AS_OF))
    assert second.version != first
    against = next(e for e in second.measured() if e.name == "champion_mae_ratio")
    assert first in against.words
    stepped(app, second.version)
    assert rollouts(app.entries())[-1].stage is Stage.SHADOW
    seen = sorted((app.project.folder / "issued").iterdir())
    plan(app, second.version)
    assert sorted((app.project.folder / "issued").iterdir()) == seen, "a preview writes nothing"
    for _ in range(5):
        assert [one.shadow for one in issued_after(app, copy.clock, 7)] == [False, True]
    assert seen_by_readers(app) == {first}
    with monkeypatch.context() as broken:
        broken.setattr(packages.Package, "forecast", failing(second.version, packages.Package.forecast))
        told = issued_after(app, copy.clock, 3)
        assert [bool(one.refused) for one in told] == [False, True], "a broken shadow keeps nobody from the forecast"
    issued_after(app, copy.clock, 4)
    with app.warehouse() as engine:
        asked = "select version, shadow from bi.issued_price_forecasts where issued_on = $day group by all"
        assert dict(engine.rows(asked, {"day": copy.clock.day})) == {first: False, second.version: True}
    for _ in range(3):
        stepped(app, second.version)
    assert rollouts(app.entries())[-1].stage is Stage.COMPLETED
    assert compared(app, second.version) == {f"{s} {h}" for s in SERIES for h in HORIZONS}
    assert seen_by_readers(app) == {second.version}
    rollback(app, "we change our minds", second.version)
    assert seen_by_readers(app) == {first}


def test_a_rollback_is_rehearsed(served: Served) -> None:
    assert all(j.result is Result.PASS for j in drill(served.app))


def test_the_outlook_tells_price_intervals_and_weights_over_time(served: Served) -> None:
    told = outlook(served.app, served.state.version, past_weights=True)
    assert len(told.told) == len(SERIES) * len(HORIZONS)
    panels = {(row["series"], row["horizon"]) for row in told.weights}
    assert panels == {(row["series"], row["horizon"]) for row in told.told}
    by_day: dict[tuple[str, str, str, date], float] = {}
    for row in told.weights:
        key = (row["series"], row["horizon"], row["kind"], row["day"])
        by_day[key] = by_day.get(key, 0.0) + row["weight"]
    assert all(total == pytest.approx(1) for total in by_day.values())


def test_the_seeds_alerts_are_false_every_fortnight_and_the_shipped_ones_hardly_ever(served: Served) -> None:
    """Three years in which nothing is wrong, then one in which prices move twice as far as was said."""
    version, noise = served.state.version, {}
    for name in ("shipped", "seeds"):
        rules = rules_of(AlertSettings(rules=name), model="prices")
        for moves in (1.0, 2.0):
            healthy = served.app.healthy(version, {rule.evidence for rule in rules}, moves)
            found = budget(rules, healthy.year, 3)
            noise[name, moves] = {one.rule: one.per_year.value for one in found}
    assert noise["seeds", 1.0]["seed_004_mape"] > 20
    assert noise["seeds", 1.0]["seed_004_mape_rollback"] > 20
    assert sum(noise["shipped", 1.0].values()) < 4
    assert noise["shipped", 2.0]["narrow_intervals"] > 1


def test_a_day_to_come_is_refused(served: Served) -> None:
    with pytest.raises(ConfigurationError, match="as_of"):
        served.app.run(AS_OF + timedelta(days=1))
