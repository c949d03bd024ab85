"""Tree experts: nothing that is not over is fitted on, serving says what the backtest said, and signal is found."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter

from foregate.core.errors import DataError
from foregate.modeling import price_trees
from foregate.modeling.price_features import Features, features
from foregate.modeling.price_trees import (
    Fit,
    TreeExpert,
    TreeRuns,
    embargo_days,
    matured_rows,
    scaled_returns,
    serve,
    split_claims,
)

WTI = Path(__file__).resolve().parents[3] / "shared" / "data" / "commodity_daily" / "wti-daily.csv"
SD = 0.02
HORIZONS = (5, 21, 63)
EXPERT = TreeExpert()


def market(days: int, seed: int, strength: float = 0.0) -> tuple[Features, Any, Any]:
    """Return features, log prices and volatility of a walk that an exogenous series foretells by some strength."""
    rng = np.random.default_rng(seed)
    signal = lfilter([1], [1, -0.95], rng.normal(size=days)) * np.sqrt(1 - 0.95**2)
    y = np.cumsum(SD * (rng.normal(size=days) + np.r_[0, strength * signal[:-1]]))
    volatility = np.full(days, SD)
    volatility[:20] = np.nan
    return features(y, volatility, {"signal": signal}), y, volatility


def ran(world: tuple[Features, Any, Any], expert: TreeExpert = EXPERT, **asked: Any) -> TreeRuns:
    return expert.backtest(*world, **{"horizons": HORIZONS, "refit_days": 250, "start": 500, **asked})


def relative_mae(runs: TreeRuns, y: Any) -> list[float]:
    found = []
    for said, horizon in zip(runs.predicted, runs.horizons, strict=True):
        came, said = y[horizon:] - y[:-horizon], said[:-horizon]
        there = np.isfinite(said)
        found.append(float(np.abs(came - said)[there].mean() / np.abs(came)[there].mean()))
    return found


@given(st.integers(0, 2**32 - 1), st.integers(450, 898))
@settings(max_examples=8, deadline=None)
def test_nothing_after_a_day_changes_what_is_said_up_to_it(seed: int, t: int) -> None:
    told, y, volatility = market(900, 1, 0.1)
    before = ran((told, y, volatility), refit_days=120)
    rng = np.random.default_rng(seed)
    for series in (told.values, y, volatility):
        series[t + 1 :] = rng.uniform(0.5, 9, series[t + 1 :].shape)
    after = ran((told, y, volatility), refit_days=120)
    assert before.predicted[:, : t + 1].tobytes() == after.predicted[:, : t + 1].tobytes()
    known = [place for place, fit_at in enumerate(before.fitted_at) if fit_at <= t]
    assert before.importances[known].tobytes() == after.importances[known].tobytes()


@given(st.integers(1, 130), st.integers(0, 300), st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None)
def test_the_rows_of_a_fit_are_those_a_plain_loop_finds_over(horizon: int, fit_at: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    y, volatility = rng.normal(size=300), rng.choice([0.01, 0.02, np.nan, 0.0], 300)
    targets = scaled_returns(y, volatility, horizon)
    for s in range(300):
        if s + horizon < 300 and volatility[s] > 0:
            assert targets[s] == pytest.approx((y[s + horizon] - y[s]) / (volatility[s] * horizon**0.5))
        else:
            assert np.isnan(targets[s])
    expected = [s for s in range(300) if s + horizon <= fit_at and np.isfinite(targets[s])]
    assert matured_rows(targets, fit_at, horizon).tolist() == expected


def test_the_embargo_is_read_off_what_was_fitted() -> None:
    runs = ran(market(1200, 2), horizons=(5, 126))
    assert embargo_days(runs.fits) == 0
    assert [(fit.horizon, fit.fit_at) for fit in runs.fits[:4]] == [(5, 500), (126, 500), (5, 750), (126, 750)]
    with pytest.raises(ValueError, match="no fit"):
        embargo_days([])


@pytest.mark.parametrize("planted", [1, 5, 40])
def test_a_planted_leak_shows(planted: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let fits of the longest horizon alone see so many days too many."""
    honest = price_trees.matured_rows

    def leaking(targets: Any, fit_at: int, horizon: int) -> Any:
        return honest(targets, fit_at + planted * (horizon == max(HORIZONS)), horizon)

    monkeypatch.setattr(price_trees, "matured_rows", leaking)
    assert embargo_days(ran(market(1200, 2)).fits) == -planted


def test_a_signal_is_found_and_noise_is_hardly_followed() -> None:
    world = market(4000, 1, strength=0.3)
    runs = ran(world, start=1000)
    week, month, quarter = relative_mae(runs, world[1])
    assert max(week, month) < 0.95
    assert quarter < 1.0
    assert runs.names[int(runs.importances[-1, 1].argmax())] == "signal_level"
    noise = [relative_mae(ran(one), one[1]) for one in (market(3000, seed) for seed in range(4))]
    assert np.mean(noise, axis=0).max() < 1.01
    assert np.max(noise) < 1.04


def test_trees_are_the_same_for_a_seed_to_the_byte() -> None:
    world = market(1300, 4, 0.1)
    found, again, other = (ran(world, seed=seed) for seed in (7, 7, 8))
    assert found.models == again.models
    assert found.predicted.tobytes() == again.predicted.tobytes()
    assert found.importances.tobytes() == again.importances.tobytes()
    assert found.models != other.models


def test_a_served_model_says_what_the_backtest_said() -> None:
    told, y, volatility = market(1300, 5, 0.1)
    runs = ran((told, y, volatility))
    last = slice(runs.fitted_at[-1], 1300)
    assert sorted(runs.models) == sorted(HORIZONS)
    for place, horizon in enumerate(HORIZONS):
        served = serve(runs.models[horizon], told.names, told.values[last], volatility[last], horizon)
        assert served.tobytes() == runs.predicted[place, last].tobytes()
        # One row at a time, as a day is served.
        alone = serve(runs.models[horizon], told.names, told.values[-1:], volatility[-1:], horizon)
        assert alone[0] == runs.predicted[place, -1]


def test_a_model_is_served_its_own_features_and_horizon_or_not_at_all() -> None:
    told, y, volatility = market(900, 5)
    model = ran((told, y, volatility)).models[5]
    given = (told.values[-2:], volatility[-2:])
    with pytest.raises(DataError, match="a model for 5 days"):
        serve(model, told.names, *given, 21)
    with pytest.raises(DataError, match="Serve the model with the features"):
        serve(model, told.names[::-1], *given, 5)
    with pytest.raises(DataError, match="XGBoost can not read"):
        serve(b"no model", told.names, *given, 5)


def test_what_is_said_scales_with_volatility_and_is_unknown_without() -> None:
    told, y, volatility = market(900, 6, 0.1)
    model = ran((told, y, volatility)).models[21]
    row = told.values[[-1, -1, -1, -1, -1]]
    found = serve(model, told.names, row, np.array([0.01, 0.03, np.nan, 0.0, -0.01]), 21)
    assert found[1] == pytest.approx(3 * found[0])
    assert np.isnan(found[2:]).all()
    assert np.isfinite(serve(model, told.names, np.full_like(row, np.nan), np.full(5, 0.02), 21)).all()


def test_without_enough_rows_there_is_no_fit_or_no_split() -> None:
    runs = ran(market(900, 7), horizons=(5, 126), refit_days=100, start=200)
    assert runs.fitted_at == (200, 300, 400, 500, 600, 700, 800)
    assert [fit.fit_at for fit in runs.fits if fit.horizon == 5] == [300, 400, 500, 600, 700, 800]
    assert [fit.fit_at for fit in runs.fits if fit.horizon == 126] == [400, 500, 600, 700, 800]
    assert np.isnan(runs.predicted[0, :300]).all()
    assert np.isfinite(runs.predicted[0, 300:]).all()
    assert np.isnan(runs.predicted[1, :400]).all()
    assert np.isnan(runs.importances[0]).all()
    # Six windows of half a year are less than a leaf holds.
    assert not runs.importances[2:, 1].any()
    assert not runs.predicted[1, 400:].any()
    assert runs.importances[1:, 0].sum(axis=1) == pytest.approx(1)
    late = ran(market(400, 7), start=1000)
    assert np.isnan(late.predicted).all()
    assert late.fits == []
    assert late.models == {}


def test_one_extreme_day_is_clipped() -> None:
    told, y, volatility = market(1500, 8)
    calm = ran((told, y, volatility)).predicted
    y[700:] += 50 * SD
    wild = ran((told, y, volatility)).predicted
    # The features stay; the targets of five to 63 rows became absurd.
    moved = np.nanmax(np.abs(wild - calm)[:, 1000:], axis=1)
    assert (moved < 0.5 * SD * np.sqrt(HORIZONS)).all()


def test_a_random_split_claims_what_time_does_not_keep() -> None:
    for seed in range(2):
        claims = split_claims(*market(3000, seed), horizon=21, seed=seed)
        assert claims.random_relative_mae < 0.9, "a walk seems foretold"
        assert claims.temporal_relative_mae > 1.0, "and is not"
        assert claims == split_claims(*market(3000, seed), horizon=21, seed=seed)
    # One day's returns do not overlap: neither split has anything to leak, and neither claims.
    assert min(split_claims(*market(3000, 1), horizon=1)) > 1.0
    assert np.isnan(split_claims(*market(60, 1), horizon=63)).all()


def test_the_temporal_split_has_an_embargo(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def noted(told: Any, targets: Any, fitted: Any, held: Any, seed: int) -> float:
        seen.append((fitted, held))
        return 1.0

    monkeypatch.setattr(price_trees, "_relative_mae", noted)
    split_claims(*market(1000, 1), horizon=63)
    (random_fitted, random_held), (early, late) = seen
    assert early.max() + 63 == late.min()
    assert not set(random_fitted) & set(random_held)
    assert set(random_fitted) | set(random_held) == set(range(20, 937)), "every row with a target"
    assert random_held.size == late.size
    assert random_held.min() < early.max()


@pytest.mark.skipif(not WTI.is_file(), reason=f"the oil prices are not on this machine: no {WTI}")
def test_on_oil_the_random_split_claims_and_time_denies() -> None:
    with WTI.open() as file:
        prices = np.array([float(row["Price"]) for row in csv.DictReader(file) if row["Price"]])
    y = np.log(prices + 50)
    returns = np.diff(y, prepend=y[0])
    volatility = np.sqrt(lfilter([0.03], [1, -0.97], returns**2))
    volatility[:60] = np.nan
    claims = split_claims(features(y, volatility, {}), y, volatility, 63)
    assert claims.random_relative_mae < 0.85
    assert claims.temporal_relative_mae > 1.0


def test_what_makes_no_sense_is_refused() -> None:
    told, y, volatility = market(600, 1)
    for asked in ({"horizons": ()}, {"horizons": (0, 5)}, {"refit_days": 0}):
        with pytest.raises(ValueError, match="wanted each at least 1"):
            ran((told, y, volatility), **asked)
    with pytest.raises(ValueError, match=r"found features \(600, 12\), y \(599,\)"):
        ran((told, y[1:], volatility))
    with pytest.raises(ValueError, match="volatility"):
        split_claims(told, y, volatility[1:], 5)
    assert Fit(5, 10, 10).last_target_row == 10
