"""Statistical experts: fitted on a window, carried over every day since, blind to the future, and never in the way."""

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from foregate.core.errors import ConfigurationError
from foregate.modeling import price_statistical
from foregate.modeling.price_statistical import STATISTICAL, backtest
from foregate.modeling.statistical import library

HORIZONS = (1, 5, 21)
WINDOW = 120
NAMES = list(STATISTICAL)


def walk(days: int, seed: int = 1, drift: float = 0.0) -> Any:
    return 4 + np.cumsum(np.random.default_rng(seed).normal(drift, 0.02, days))


def planted(monkeypatch: pytest.MonkeyPatch, build: Callable[[Any], Any]) -> str:
    monkeypatch.setitem(STATISTICAL, "planted", build)
    return "planted"


@pytest.mark.parametrize("name", NAMES)
def test_every_day_has_a_forecast_from_the_first_window_on(name: str) -> None:
    y = walk(200)
    found = backtest(name, y, HORIZONS, window=WINDOW)
    assert found.predicted.shape == (3, 200)
    assert np.isnan(found.predicted[:, : WINDOW - 1]).all()
    assert np.isfinite(found.predicted[:, WINDOW - 1 :]).all()
    assert found.fitted_at == (119, 140, 161, 182)
    assert found.fallen_back == ()
    assert np.abs(found.predicted).max(initial=0, where=np.isfinite(found.predicted)) < 0.3
    assert backtest(name, y, HORIZONS, window=WINDOW).predicted.tobytes() == found.predicted.tobytes()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("t", [119, 139, 140, 150])
def test_nothing_after_a_day_changes_what_is_said_up_to_it(name: str, t: int) -> None:
    y = walk(180)
    before = backtest(name, y, HORIZONS, window=WINDOW).predicted[:, : t + 1]
    y[t + 1 :] = np.random.default_rng(2).normal(9, 3, 179 - t)
    after = backtest(name, y, HORIZONS, window=WINDOW).predicted[:, : t + 1]
    assert before.tobytes() == after.tobytes()


@pytest.mark.parametrize("name", NAMES)
def test_a_day_is_served_as_it_was_backtested(name: str) -> None:
    y = walk(200)
    whole = backtest(name, y, HORIZONS, window=WINDOW)
    for since in (140, 199):
        served = backtest(name, y, HORIZONS, window=WINDOW, since=since)
        assert served.predicted[:, since:].tobytes() == whole.predicted[:, since:].tobytes()
        assert np.isnan(served.predicted[:, :since]).all()
        assert served.fitted_at == tuple(day for day in whole.fitted_at if day + 21 > since), "others cost nothing"
    short = backtest(name, y[:191], HORIZONS, window=WINDOW, since=190)
    assert short.predicted[:, 190].tobytes() == whole.predicted[:, 190].tobytes()


@pytest.mark.parametrize("name", NAMES)
def test_a_price_in_cents_says_what_one_in_dollars_says(name: str) -> None:
    y = walk(160)
    found, cents = (backtest(name, y + shift, HORIZONS, window=WINDOW).predicted for shift in (0.0, np.log(100)))
    # Up to what searches for parameters make of the last bits.
    assert cents == pytest.approx(found, abs=2e-4, nan_ok=True)


@pytest.mark.parametrize("name", NAMES)
def test_the_state_is_carried_over_new_days(name: str) -> None:
    """Let the price jump by half the day after a fit: a stale level would foretell the whole way back for tomorrow.

    ARIMA may rightly go back a part of the way each day, where it took the window for stationary.
    """
    y = walk(150)
    y[120:] += 0.4
    for refit_days in (21, 100):
        found = backtest(name, y, (1,), window=WINDOW, refit_days=refit_days)
        assert np.abs(found.predicted[0, 121:140]).max() < 0.15


def test_ets_is_carried_as_its_own_recursion_says() -> None:
    y = walk(170, seed=3)
    model = library().AutoETS(season_length=1, model="AZN").fit(y[:WINDOW] - y[0])
    assert model.model_["components"] == "ANNN", "a walk without a trend"
    alpha, level = model.model_["par"][0], model.model_["par"][4]
    expected = []
    for price in y - y[0]:
        level += alpha * (price - level)
        expected.append(level - price)
    found = backtest("ets", y, HORIZONS, window=WINDOW, refit_days=100).predicted
    for said in found:
        assert said[WINDOW - 1 :] == pytest.approx(np.array(expected[WINDOW - 1 :]), abs=1e-9)


def test_theta_goes_on_by_half_the_slope_and_arima_with_the_drift() -> None:
    y = walk(400, drift=0.01)
    slope = 0.01 * 21
    theta = backtest("theta", y, (21,), window=250).predicted[0, 249:]
    arima = backtest("arima", y, (21,), window=250).predicted[0, 249:]
    assert 0.3 * slope < np.median(theta) < 0.9 * slope
    assert 0.6 * slope < np.median(arima) < 1.4 * slope


class Told:
    """A model that fails, or says what it is told, on days of its choice."""

    def __init__(self, fit: bool = True, mean: float = 0.0, fails_at: int = -1) -> None:
        self.fit_succeeds, self.mean, self.fails_at = fit, mean, fails_at

    def fit(self, prices: Any) -> "Told":
        if not self.fit_succeeds:
            raise np.linalg.LinAlgError("singular")
        return self

    def forward(self, prices: Any, days: int) -> dict[str, Any]:
        if prices.size == self.fails_at:
            raise ZeroDivisionError("odd")
        return {"mean": np.full(days, self.mean) + prices[-1]}


def test_a_failing_fit_says_no_change_until_the_next_and_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    fits = iter([True, False, True])
    found = backtest(planted(monkeypatch, lambda _: Told(next(fits), 0.01)), walk(170), HORIZONS, window=WINDOW)
    assert found.fitted_at == (119, 161)
    assert found.fallen_back == tuple(range(140, 161))
    assert not found.predicted[:, 140:161].any()
    assert found.predicted[:, 119:140] == pytest.approx(0.01)
    assert found.predicted[:, 161:] == pytest.approx(0.01)


def test_a_failing_forecast_says_no_change_for_its_day(monkeypatch: pytest.MonkeyPatch) -> None:
    name = planted(monkeypatch, lambda _: Told(mean=0.01, fails_at=WINDOW + 4))
    found = backtest(name, walk(140), HORIZONS, window=WINDOW)
    assert found.fallen_back == (123,)
    assert not found.predicted[:, 123].any()
    assert found.predicted[:, 124] == pytest.approx(0.01)


@pytest.mark.parametrize("mean", [5.0, -5.0, np.inf, np.nan])
def test_a_trend_that_ran_away_says_no_change(mean: float, monkeypatch: pytest.MonkeyPatch) -> None:
    found = backtest(planted(monkeypatch, lambda _: Told(mean=mean)), walk(130), HORIZONS, window=WINDOW)
    assert found.fallen_back == tuple(range(119, 130))
    assert not found.predicted[:, 119:].any()


@pytest.mark.parametrize("name", NAMES)
def test_a_day_without_a_price_has_no_forecast_and_its_windows_say_no_change(name: str) -> None:
    y = walk(180)
    y[150] = np.nan
    found = backtest(name, y, HORIZONS, window=WINDOW)
    assert np.isnan(found.predicted[:, 150]).all()
    assert not found.predicted[:, 151:].any()
    assert found.fallen_back == tuple(range(150, 180))
    assert found.fitted_at == (119, 140)


@pytest.mark.parametrize("name", NAMES)
def test_a_frozen_price_stays_where_it_is(name: str) -> None:
    found = backtest(name, np.full(140, 4.2), HORIZONS, window=WINDOW)
    assert not found.predicted[:, 119:].any()


def test_what_makes_no_sense_is_refused() -> None:
    y = walk(130)
    with pytest.raises(ValueError, match="found 'prophet'; wanted one of arima, ets, theta"):
        backtest("prophet", y, HORIZONS)
    for asked in ({"horizons": ()}, {"horizons": (0,)}, {"refit_days": 0}, {"window": 0}):
        with pytest.raises(ValueError, match="wanted from 1 on"):
            backtest("ets", y, **{"horizons": HORIZONS, "window": WINDOW, **asked})
    with pytest.raises(ValueError, match="wanted a whole window of 120 days: at least 119"):
        backtest("ets", y, HORIZONS, window=WINDOW, start=118)
    assert np.isnan(backtest("ets", y, HORIZONS).predicted).all(), "less than a window of days"


def test_without_the_package_a_person_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "statsforecast", None)
    with pytest.raises(ConfigurationError, match=r"experts arima, ets, theta.*pip install 'foregate\[forecast\]'"):
        backtest("theta", walk(130), HORIZONS, window=WINDOW)


def test_the_package_is_imported_when_asked_for_and_not_before() -> None:
    assert not hasattr(price_statistical, "statsforecast")
    import subprocess

    asked = "import sys, foregate.modeling.price_statistical, foregate.modeling.price_trees; print(sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True).stdout
    assert not [name for name in ("statsforecast", "xgboost", "scipy.stats", "pandas") if f"'{name}'" in loaded]
