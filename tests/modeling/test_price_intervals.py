"""Price intervals: what they teach themselves, exactly when, the long run they hold, and the rival they beat."""

import csv
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foregate.metrics.estimate import critical
from foregate.metrics.forecast import interval_score
from foregate.modeling.price_intervals import (
    LEVELS,
    STEP,
    by_regime,
    by_year,
    coverage_by,
    gaussian,
    held,
    intervals,
    worst_window,
)
from foregate.modeling.volatility import ewma, over_horizon

DAILY = Path(__file__).resolve().parents[3] / "shared" / "data" / "commodity_daily"
HORIZONS = (5, 21, 63, 126)


def realised(y: Any, horizons: tuple[int, ...] = HORIZONS) -> Any:
    found = np.full((len(horizons), y.size), math.nan)
    for row, horizon in enumerate(horizons):
        found[row, :-horizon] = y[horizon:] - y[:-horizon]
    return found


def prices(seed: int, days: int, switching: bool = False) -> Any:
    rng = np.random.default_rng(seed)
    wild = (np.arange(days) // 400) % 3 == 2 if switching else np.zeros(days, dtype=bool)
    return np.cumsum(np.where(wild, 0.035, 0.012) * rng.standard_t(5, days) * math.sqrt(3 / 5))


def naive(error: Any, horizon: int, level: float, days: int) -> list[float]:
    """One day, one horizon, one level at a time: whatever matures today moves the logarithm."""
    found, state = [], math.log(critical(level))
    for day in range(days):
        origin = day - horizon
        if origin >= 0 and not math.isnan(error[origin]):
            missed = error[origin] > found[origin]
            state += STEP / math.sqrt(horizon) * (missed - (1 - level))
        found.append(math.exp(state))
    return found


@given(st.integers(0, 10**6), st.integers(1, 40), st.sampled_from([0.5, 0.8, 0.95]), st.integers(1, 150))
@settings(max_examples=40, deadline=None)
def test_the_blocks_are_the_rule_one_day_at_a_time(seed: int, horizon: int, level: float, days: int) -> None:
    rng = np.random.default_rng(seed)
    came, spread = rng.standard_t(3, (1, days)), np.exp(rng.normal(size=(1, days)))
    came[:, max(days - horizon, 0) :] = math.nan
    came[rng.random((1, days)) < 0.1] = math.nan
    found = intervals(came, np.zeros((1, days)), spread, [horizon], [level], least=0)
    assert found.multiplier[0, 0] == pytest.approx(naive(np.abs(came / spread)[0], horizon, level, days), rel=1e-9)


@given(st.integers(0, 10**6), st.integers(0, 599))
@settings(max_examples=25, deadline=None)
def test_an_interval_knows_only_outcomes_that_have_matured(seed: int, day: int) -> None:
    rng = np.random.default_rng(seed)
    came, point, spread = rng.normal(size=(3, 600)), rng.normal(size=(3, 600)), np.exp(rng.normal(size=(3, 600)))
    horizons = (1, 7, 30)
    found = intervals(came, point, spread, horizons, least=50)
    changed = [came.copy(), point.copy(), spread.copy()]
    for row, horizon in enumerate(horizons):
        changed[0][row, max(day - horizon + 1, 0) :] = rng.normal(size=600)[max(day - horizon + 1, 0) :] * 9
        changed[1][row, day + 1 :] += 1
        changed[2][row, day + 1 :] *= 3
    later = intervals(*changed, horizons, least=50)
    for name in ("lower", "upper", "multiplier", "taught"):
        assert np.array_equal(getattr(found, name)[..., : day + 1], getattr(later, name)[..., : day + 1])


@given(st.integers(0, 10**6), st.floats(0.05, 20))
@settings(max_examples=25, deadline=None)
def test_higher_levels_hold_lower_ones_and_missing_days_have_none(seed: int, wrong: float) -> None:
    rng = np.random.default_rng(seed)
    came, point, spread = rng.normal(size=(2, 500)), rng.normal(size=(2, 500)), np.full((2, 500), wrong)
    point[rng.random((2, 500)) < 0.1] = math.nan
    spread[rng.random((2, 500)) < 0.1] = 0.0
    found = intervals(came, point, spread, (3, 20))
    missing = np.isnan(point) | (spread == 0)
    assert np.array_equal(np.isnan(found.lower), np.broadcast_to(missing, found.lower.shape))
    there = ~missing
    assert (np.diff(found.upper[:, there], axis=0) >= 0).all()
    assert (np.diff(found.lower[:, there], axis=0) <= 0).all()
    middle = (found.upper + found.lower)[:, there] / 2
    assert middle == pytest.approx(np.broadcast_to(point[there], middle.shape), abs=1e-9)


def test_before_250_outcomes_have_matured_the_interval_is_normal_and_says_so() -> None:
    came = np.random.default_rng(1).standard_t(3, (2, 600))
    found = intervals(came, np.zeros((2, 600)), np.ones((2, 600)), (5, 126))
    assert found.taught.sum(axis=1).tolist() == [600 - (250 + 5) + 1, 600 - (250 + 126) + 1]
    assert found.multiplier[2][~found.taught] == pytest.approx(critical(0.95))
    assert (found.multiplier[2][found.taught] != critical(0.95)).all()


@pytest.mark.parametrize("wrong", [0.3, 1.0, 3.0])
def test_the_share_missed_is_what_the_multiplier_says_whatever_the_spread_is_worth(wrong: float) -> None:
    y = prices(2, 6000, switching=True)
    came = realised(y)
    spread = wrong * 0.015 * np.sqrt(np.array(HORIZONS))[:, None] * np.ones((4, 6000))
    found = intervals(came, np.zeros_like(came), spread, HORIZONS, levels=[0.95], least=0)
    for row, horizon in enumerate(HORIZONS):
        flags = held(came[row], found.lower[0, row], found.upper[0, row])
        matured = flags[: 6000 - horizon]
        moved = math.log(found.multiplier[0, row, -1] / critical(0.95))
        promised = 0.05 + moved / (matured.size * STEP / math.sqrt(horizon))
        assert 1 - matured.mean() == pytest.approx(promised, abs=1e-9)
        untaught = np.abs(came[row, : 6000 - horizon]) <= critical(0.95) * spread[row, : 6000 - horizon]
        assert abs(matured.mean() - 0.95) < abs(untaught.mean() - 0.95)


@pytest.mark.parametrize("switching", [False, True])
def test_coverage_holds_at_each_level_where_the_gaussian_does_not(switching: bool) -> None:
    shares = []
    for seed in range(4):
        y = prices(seed, 6000, switching)
        came, nothing = realised(y), np.zeros((4, y.size))
        found = intervals(came, nothing, over_horizon(ewma(y), y, HORIZONS), HORIZONS)
        inside = held(came, found.lower, found.upper)[..., 500:]
        shares.append(np.nanmean(inside, axis=2))
    means = np.mean(shares, axis=0)
    assert means == pytest.approx(np.repeat([[0.5], [0.8], [0.95]], 4, axis=1), abs=0.02)
    assert means[:, :2] == pytest.approx(np.repeat([[0.5], [0.8], [0.95]], 2, axis=1), abs=0.006)


def test_after_volatility_has_trebled_the_interval_follows_and_the_rival_does_not() -> None:
    y = prices(7, 6000, switching=True)
    came, nothing = realised(y), np.zeros((4, y.size))
    found = intervals(came, nothing, over_horizon(ewma(y), y, HORIZONS), HORIZONS)
    low, high = gaussian(nothing, y, HORIZONS)
    for row in range(2):
        worst = [
            worst_window(held(came[row], bounds[0][2, row], bounds[1][2, row])[500:]).share
            for bounds in ((found.lower, found.upper), (low, high))
        ]
        assert worst[0] > worst[1] + 0.03


def test_the_rival_is_its_formula() -> None:
    y = prices(3, 400)
    low, high = gaussian(np.full((2, 400), 0.1), y, (4, 9), days=100)
    deviation = np.std(np.diff(y)[200:300], ddof=1)
    assert high[2, 1, 300] == pytest.approx(0.1 + critical(0.95) * 3 * deviation)
    assert low[0, 0, 300] == pytest.approx(0.1 - critical(0.5) * 2 * deviation)
    assert np.isnan(high[..., :100]).all()
    assert np.isfinite(high[..., 100:]).all()
    assert np.isnan(gaussian(np.zeros((1, 50)), y[:50], (4,))[0]).all()


def test_coverage_by_year_and_regime_counts_each_origin_once() -> None:
    days = np.arange(np.datetime64("2023-07-01"), np.datetime64("2025-07-01"))
    rng = np.random.default_rng(4)
    inside = (rng.random(days.size) < 0.9).astype(float)
    inside[-21:] = math.nan
    state = (np.arange(days.size) // 100 % 3) - 1
    years, regimes = by_year(inside, days, 0.95, 21), by_regime(inside, state, 0.95, 21)
    assert list(years) == [2023, 2024, 2025]
    assert list(regimes) == [-1, 0, 1]
    for found in (years, regimes):
        assert sum(one.rows for one in found.values()) == days.size - 21
        whole = sum(one.value * one.rows for one in found.values()) / (days.size - 21)
        assert whole == pytest.approx(np.nanmean(inside))
    assert coverage_by(inside[:20], np.zeros(20), 0.95, 21)[0][:3] == (inside[:20].mean(), 0.0, 1.0)
    with pytest.raises(ValueError, match="one for each"):
        coverage_by(inside, state[:-1], 0.95, 21)


@given(st.lists(st.sampled_from([0.0, 1.0, math.nan]), min_size=1, max_size=60), st.integers(1, 10))
def test_the_worst_window_is_the_least_of_all(flags: list[float], days: int) -> None:
    known = [(place, flag) for place, flag in enumerate(flags) if flag == flag]
    found = worst_window(flags, days)
    if len(known) < days:
        assert math.isnan(found.share)
        assert found.start == -1
        return
    shares = [(np.mean([f for _, f in known[i : i + days]]), known[i][0]) for i in range(len(known) - days + 1)]
    assert found.share == pytest.approx(min(share for share, _ in shares))
    assert (found.start, found.share) in [(place, pytest.approx(share)) for share, place in shares]


def test_odd_input_is_refused() -> None:
    table = np.ones((1, 10))
    for levels in ([], [0.8, 0.5], [0.0, 0.5], [0.5, 1.0]):
        with pytest.raises(ValueError, match="levels"):
            intervals(table, table, table, [2], levels)
    with pytest.raises(ValueError, match="spread has shape"):
        intervals(table, table, np.ones((2, 10)), [2])
    with pytest.raises(ValueError, match="horizons by days"):
        intervals(table, table, table, [2, 3])
    with pytest.raises(ValueError, match="days ahead"):
        intervals(table, table, table, [0])
    with pytest.raises(ValueError, match="step"):
        intervals(table, table, table, [2], step=0.0)


@pytest.mark.skipif(not DAILY.is_dir(), reason=f"the prices are not on this machine: no {DAILY}")
@pytest.mark.parametrize(
    ("file", "displacement"),
    [("wti-daily.csv", 50.0), ("brent-daily.csv", 0.0), ("natural-gas-henry-hub-daily.csv", 0.0)],
)
def test_real_prices_are_covered_in_the_long_run_and_for_less(file: str, displacement: float) -> None:
    with (DAILY / file).open() as lines:
        y = np.log(
            np.array([float(row["Price"]) for row in csv.DictReader(lines) if row["Price"].strip()]) + displacement
        )
    came, nothing = realised(y), np.zeros((4, y.size))
    found = intervals(came, nothing, over_horizon(ewma(y), y, HORIZONS), HORIZONS, LEVELS)
    rival = [bound[2] for bound in gaussian(nothing, y, HORIZONS)]
    inside = held(came, found.lower[2], found.upper[2])[:, 500:]
    assert np.nanmean(inside, axis=1) == pytest.approx(np.full(4, 0.95), abs=0.01)
    scores = [
        np.nanmean(interval_score(low, high, came, 0.95)[:, 500:], axis=1)
        for low, high in ((found.lower[2], found.upper[2]), rival)
    ]
    assert (scores[0][:3] < scores[1][:3]).all()
    assert scores[0][3] < 1.03 * scores[1][3]
    theirs = held(came, *rival)[:, 500:]
    assert all(worst_window(inside[row]).share > worst_window(theirs[row]).share + 0.05 for row in range(2))
