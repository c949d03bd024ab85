"""Issued price forecasts against what came: counted like a loop would, and never against themselves."""

import math
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foregate.cases.prices import issues
from foregate.cases.prices.forecasting import Forecast, Told
from foregate.cases.prices.issues import Issue
from foregate.cases.prices.issuing import forecast_findings
from foregate.cases.prices.outcomes import Outcomes, daily, estimates, issue_evidence, outcome_evidence, outcomes
from foregate.cases.prices.quotes import Market, Quotes
from foregate.cases.prices.settings import PricesSettings, Series
from foregate.core.errors import DataError
from foregate.modeling import issued
from foregate.modeling.measured import Measured

START = date(2024, 1, 1)
MADE = Measured(START, "x")
SETTINGS = PricesSettings(
    horizons={"1w": 5},
    series={"oil": Series(source="oil", day="day", price="price", unit="USD")},
    test_days=100,
)


def told(at: int, price: float, forecast: float, days: int = 5) -> Told:
    day = START + timedelta(days=at)
    bounds = {0.5: (forecast - 1, forecast + 1), 0.95: (forecast - 3, forecast + 3)}
    return Told(
        "oil", "USD", "1w", days, day, price, day + timedelta(days=7), forecast, bounds, "low", 0.3, 0.04, {"ses": 1.0}
    )


def market(prices: list[float]) -> Market:
    days = np.datetime64(START) + np.arange(len(prices))
    return Market(START + timedelta(days=len(prices)), {"oil": Quotes(days, np.array(prices), days)}, {})


def issue(at: int, price: float, forecast: float) -> Issue:
    return Issue("v1", Forecast(START + timedelta(days=at), (told(at, price, forecast),)))


@given(st.lists(st.floats(10, 90), min_size=8, max_size=40), st.integers(0, 10**6))
def test_what_came_is_the_price_so_many_quoted_days_later(prices: list[float], seed: int) -> None:
    rng = np.random.default_rng(seed)
    written = [issue(at, prices[at], prices[at] + rng.normal()) for at in range(0, len(prices), 2)]
    found = outcomes(written, market(prices), {})[0]
    assert found.at.tolist() == list(range(0, len(prices), 2))
    for place, at in enumerate(found.at.tolist()):
        due = at + 5
        assert (found.came[place] == prices[due]) if due < len(prices) else math.isnan(found.came[place])
    assert (found.lost, found.revised) == (0, 0)


def test_of_two_issues_from_one_price_day_the_last_counts() -> None:
    again = Issue("v1", Forecast(START + timedelta(days=3), (told(2, 12.0, 99.0),)))
    found = outcomes([issue(2, 12.0, 11.0), again], market([10.0, 11, 12, 13, 14, 15, 16, 17]), {})[0]
    assert found.forecast.tolist() == [99.0]


def test_prices_that_were_changed_or_are_gone_since_they_were_forecast_from_are_counted() -> None:
    written = [issue(0, 10.0, 10.0), issue(1, 11.0, 11.0), issue(90, 50.0, 50.0)]
    found = outcomes(written, market([10.0, 11.5] + [12.0] * 8), {})
    assert (found[0].lost, found[0].revised) == (1, 1)
    told_of = {e.name: e for e in outcome_evidence(MADE, found, {})}
    assert told_of["revised_prices"].value == 2


def test_few_outcomes_give_no_verdict() -> None:
    found = outcomes([issue(at, 10.0, 10.1) for at in range(5)], market([10.0] * 8), {})[0]
    for e in estimates(MADE, found):
        assert math.isnan(e.value)


def test_a_row_of_hits_is_worth_no_more_than_its_windows() -> None:
    one = replace(made_outcomes(60), lower=np.zeros((2, 60)), upper=np.full((2, 60), 1e3))
    found = {e.name: e for e in estimates(MADE, one)}["issued_coverage_95"]
    assert found.value == 1
    assert found.low < 0.8, "60 daily issues of a week ahead are twelve windows"


def made_outcomes(count: int = 200, seed: int = 0) -> Outcomes:
    rng = np.random.default_rng(seed)
    price = 50 + np.cumsum(rng.normal(0, 0.5, count + 5))
    start = price[:count]
    return Outcomes(
        "oil 1w",
        5,
        (0.5, 0.95),
        np.arange(count),
        start,
        start + rng.normal(0, 0.1, count),
        np.full(count, 0.02),
        np.stack([start - 0.7, start - 2]),
        np.stack([start + 0.7, start + 2]),
        price[5:],
    )


def test_error_and_coverage_are_those_of_a_plain_loop() -> None:
    one = made_outcomes()
    found = {e.name: e for e in estimates(MADE, one)}
    ours = [abs(f - c) for f, c in zip(one.forecast, one.came, strict=True)]
    naive = [abs(p - c) for p, c in zip(one.price, one.came, strict=True)]
    assert found["issued_mae_ratio"].value == pytest.approx(sum(ours) / sum(naive))
    hits = sum(low <= c <= high for low, c, high in zip(one.lower[1], one.came, one.upper[1], strict=True))
    assert found["issued_coverage_95"].value == pytest.approx(hits / 200)
    assert "40 of them independent" in found["issued_mae_ratio"].words


@pytest.mark.parametrize("fault", ["doubled", "itself"])
def test_a_fault_in_what_was_issued_shows(fault: str) -> None:
    one = made_outcomes()
    wrong = replace(one, forecast=2 * one.price if fault == "doubled" else one.came)
    found = {e.name: e for e in outcome_evidence(MADE, [wrong], {})}
    if fault == "doubled":
        assert found["issued_mae_ratio"].low > 5
    else:
        assert found["zero_error"].value == 1


def test_the_surprise_is_the_return_in_standard_deviations_of_its_horizon() -> None:
    one = made_outcomes(20)
    found = {e.name: e for e in daily(MADE, one, 3.0)}
    assert found["surprise"].value == pytest.approx(math.log(one.came[-1] / one.price[-1]) / 0.02, abs=1e-3)
    error = 100 * abs(one.forecast[-1] - one.came[-1]) / one.came[-1]
    assert found["relative_mape"].value == pytest.approx(error - 3.0, abs=1e-4)


def test_a_negative_price_is_a_surprise_and_no_error_of_the_monitor() -> None:
    one = made_outcomes(20)
    came = one.came.copy()
    came[-1] = -36.98
    found = {e.name: e for e in daily(MADE, replace(one, came=came), 3.0)}
    assert found["surprise"].value < -20
    assert "relative_mape" not in found, "a percentage of a negative price means nothing"


def test_weights_that_moved_within_a_week_are_named() -> None:
    before, now = issue(0, 10.0, 10.0), issue(7, 10.0, 10.0)
    moved = replace(now.told[0], weights={"ses": 0.3, "no_change": 0.7}, regime="high")
    after = Issue("v1", Forecast(now.forecast.day, (moved,)))
    found = {e.name: e for e in issue_evidence(MADE, [before, after])}
    assert found["weekly_weight_shift"].value == pytest.approx(0.7)
    assert found["weekly_weight_shift"].words in ("ses from 1.00 to 0.30", "no_change from 0.00 to 0.70")
    assert found["weekly_regime_changes"].value == 1


def test_an_issue_is_read_back_to_the_last_bit_and_never_changed(tmp_path: Path) -> None:
    one = issue(3, 10.1 / 3, math.pi)
    files = one.files()
    digest = issued.write(tmp_path, "20240104_x", files)
    assert issues.read(tmp_path, "20240104_x", digest) == one
    assert issued.write(tmp_path, "20240104_x", files) == digest
    with pytest.raises(DataError, match="never changed"):
        issued.write(tmp_path, "20240104_x", issue(3, 10.0, 3.0).files())


FAULTS = {
    "missing_forecasts": {"forecast": math.nan},
    "disordered_quantiles": {"bounds": {0.5: (1.0, 20.0), 0.95: (5.0, 15.0)}},
    "wrong_stamps": {"target_day": START},
    "weights_off": {"weights": {"ses": 0.9}},
    "out_of_bounds": {"outside": True},
    "extreme_forecasts": {"extreme": True},
    "incoherent_horizons": {"incoherent": True},
}


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_of_a_forecast_is_counted_under_its_name(name: str) -> None:
    whole = told(3, 10.0, 10.5)
    clean = forecast_findings(MADE, Forecast(START, (whole,)), SETTINGS)
    assert {e.name: e.value for e in clean} == dict.fromkeys(FAULTS, 0.0)
    found = forecast_findings(MADE, Forecast(START, (replace(whole, **FAULTS[name]),)), SETTINGS)
    assert {e.name for e in found if e.value} == {name}


def test_a_series_that_is_not_forecast_at_all_is_missing() -> None:
    found = {e.name: e.value for e in forecast_findings(MADE, Forecast(START, ()), SETTINGS)}
    assert found["missing_forecasts"] == 1
