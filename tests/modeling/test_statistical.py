"""Candidates of statsforecast: joint integer paths, levels of intervals, odd series, and no package at all."""

import sys
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from foregate.core.errors import ConfigurationError
from foregate.modeling.segment_paths import (
    Outlook,
    dispersion,
    draw_totals,
    joint_paths,
    living_segments,
    local_means,
    moved_together,
    share_spread,
)
from foregate.modeling.series import History
from foregate.modeling.statistical import (
    STATISTICAL,
    Intermittent,
    SegmentModel,
    doubt_of,
    level_walk,
    library,
    sigmas,
)

WEEK = np.array([1.3, 1.2, 1.2, 1.1, 1.0, 0.7, 0.5])
LAST = date(2025, 6, 29)
MEANS = [name for name, one in STATISTICAL.items() if isinstance(one, Intermittent)]


def history_of(counts: Any, segments: Any = None, born: Any = None, died: Any = None) -> History:
    table = np.atleast_2d(np.asarray(counts, dtype=np.int64))
    rows = len(table)
    return History(
        table,
        LAST,
        np.zeros(rows, dtype=np.int64) if born is None else np.asarray(born),
        np.full(rows, 10**6) if died is None else np.asarray(died),
        np.zeros(rows, dtype=np.int64) if segments is None else np.asarray(segments),
    )


def weekly(rng: np.random.Generator, means: list[float], days: int) -> Any:
    return rng.poisson(np.array(means)[:, None] * WEEK[np.arange(days) % 7])


@pytest.fixture(scope="module")
def lively() -> History:
    rng = np.random.default_rng(2)
    counts = weekly(rng, [2.0, 1.0, 0.3, 0.1, 0.5, 3.0], 150)
    born, died = np.array([0, 0, 60, 0, 150, 0]), np.array([999, 999, 999, 999, 999, 120])
    day = np.arange(150)
    counts *= (day >= born[:, None]) & (day < died[:, None])
    return history_of(counts, [0, 0, 0, 1, 1, 1], born, died)


@pytest.mark.parametrize("name", STATISTICAL)
def test_paths_are_counts_of_the_living_and_repeat(name: str, lively: History) -> None:
    found, again = (STATISTICAL[name].paths(lively, 16, 50, np.random.default_rng(3)) for _ in range(2))
    assert found.shape == (50, 6, 16)
    assert found.dtype == np.int32
    assert found.min() >= 0
    assert not found[:, [4, 5]].any(), "unborn and dead series have no events"
    assert (found == again).all()
    other = STATISTICAL[name].paths(lively, 16, 50, np.random.default_rng(4))
    assert (found != other).any()
    daily = found.sum(axis=1).mean()
    assert 2.0 < daily < 5.0, "3.4 a day come"


@pytest.mark.parametrize("name", ["auto_arima", "auto_ets", "theta"])
def test_segment_models_find_the_week(name: str) -> None:
    past = history_of(weekly(np.random.default_rng(5), [6.0, 4.0], 364))
    found = STATISTICAL[name].paths(past, 14, 400, np.random.default_rng(1)).sum(axis=1).mean(axis=0)
    first = past.weekdays(14)[past.days :]
    # The history's first day has the factor of WEEK[0]: its weekday is that of every seventh day after.
    expected = 10 * WEEK[(np.arange(14) + 364) % 7]
    assert np.corrcoef(found, expected)[0, 1] > 0.8
    assert found.sum() == pytest.approx(expected.sum(), rel=0.15)
    assert (first[:7] == first[7:]).all()


ODD = {
    "all zeros": np.zeros(100),
    "one day": np.ones(1),
    "two days": np.array([0, 3]),
    "three days": np.array([1, 0, 2]),
    "constant": np.full(80, 3),
    "one event": np.eye(1, 90, 40)[0],
    "one event today": np.eye(1, 90, 89)[0],
    "two weeks": np.tile([1, 0, 2, 0, 1, 1, 0], 2),
    "a burst": np.concatenate([np.zeros(60), [500], np.zeros(60)]),
    "only yesterday": np.concatenate([np.zeros(364), [1]]),
    "empty Sundays": np.tile([5, 4, 6, 5, 3, 1, 0], 20),
}


@pytest.mark.parametrize("name", STATISTICAL)
@pytest.mark.parametrize("kind", ODD)
def test_odd_series_neither_raise_nor_warn(name: str, kind: str) -> None:
    found = STATISTICAL[name].paths(history_of(ODD[kind]), 9, 20, np.random.default_rng(1))
    assert found.shape == (20, 1, 9)
    if not ODD[kind].any():
        assert not found.any()


@pytest.mark.parametrize("name", ["auto_arima", "auto_ets", "theta"])
def test_too_short_a_segment_has_its_trailing_mean(name: str) -> None:
    found = STATISTICAL[name].paths(history_of([[3, 5, 4]]), 30, 2000, np.random.default_rng(1))
    assert found.mean() == pytest.approx(4, rel=0.05)


def test_nobody_alive_is_no_event() -> None:
    gone = history_of(np.ones((2, 30)), died=[10, 20])
    for candidate in STATISTICAL.values():
        assert not candidate.paths(gone, 5, 3, np.random.default_rng(1)).any()


class Told:
    """A model that says what it is told to say."""

    def __init__(self, mean: float, low: float = 0.0, high: float = 1.0) -> None:
        self.said = (mean, low, high)

    def forecast(self, totals: Any, horizon: int, level: Any = None) -> dict[str, Any]:
        names = ("mean", "lo-90", "hi-90") if level else ("mean",)
        return {name: np.full(horizon, value) for name, value in zip(names, self.said, strict=False)}


class Failing:
    def forecast(self, totals: Any, horizon: int, level: Any = None) -> dict[str, Any]:
        raise np.linalg.LinAlgError("singular")


@pytest.mark.parametrize("model", [Failing(), Told(np.nan), Told(1e9), Told(np.inf)])
@pytest.mark.parametrize("kind", [SegmentModel, Intermittent])
def test_a_failing_model_falls_back_to_the_trailing_mean(model: Any, kind: Any) -> None:
    past = history_of([np.tile([1, 3], 100)])
    found = kind("told", 4, lambda _models, _totals: model).paths(past, 30, 1000, np.random.default_rng(1))
    assert found.mean() == pytest.approx(2.0, rel=0.05)


def test_spikes_are_not_cleaned() -> None:
    # Bookings by the busload: a cleaner of three sigmas would take a quarter of all events away.
    rng = np.random.default_rng(6)
    spiky = history_of([rng.poisson(rng.gamma(0.15, 1.5 / 0.15, 700))])
    for name in ("auto_arima", "auto_ets", "theta", "adida", "imapa"):
        found = STATISTICAL[name].paths(spiky, 28, 400, np.random.default_rng(1))
        assert found.mean() == pytest.approx(spiky.counts.mean(), rel=0.2), name


@given(st.floats(0.1, 50), st.floats(-10, 10), st.sampled_from([50, 80, 90, 95]))
@settings(max_examples=30, deadline=None)
def test_a_bound_is_divided_by_the_quantile_of_its_own_level(sigma: float, mean: float, level: int) -> None:
    low, high = stats.norm.interval(level / 100, mean, sigma)
    assert sigmas(np.array([low]), np.array([high]), level) == pytest.approx(sigma)


def test_a_walk_of_a_smoothed_level_is_recovered() -> None:
    # Simple exponential smoothing: sigma^2 (1 + (h - 1) alpha^2), Hyndman et al. 2008, eq. 6.1.
    ahead, sigma, alpha, mean = np.arange(90), 3.0, 0.2, 12.0
    level, step = level_walk(np.full(90, mean), sigma * np.sqrt(1 + ahead * alpha**2), 60)
    assert step == pytest.approx((sigma * alpha / mean) ** 2)
    assert level == pytest.approx((sigma / mean) ** 2 / 60)


def test_drawn_totals_have_the_moments_asked_for() -> None:
    outlook = Outlook(np.array([3.0, 10.0, 5.0]), 4.0, level=0.02, step=0.01)
    rng = np.random.default_rng(1)
    drawn = draw_totals(outlook, rng.standard_normal((200_000, 3)), rng)
    variance = np.array([0.02, 0.03, 0.04])
    assert drawn.mean(axis=0) == pytest.approx(outlook.mean, rel=0.01)
    squared = np.exp(variance) * (1 + 1 / 4.0)
    assert drawn.var(axis=0) == pytest.approx(outlook.mean + outlook.mean**2 * (squared - 1), rel=0.02)
    # Days share the level's error up to the earlier of the two.
    shared = outlook.mean[0] * outlook.mean[2] * np.expm1(0.02)
    assert np.cov(drawn[:, 0], drawn[:, 2])[0, 1] == pytest.approx(shared, rel=0.15)


def test_children_sum_to_the_total_and_keep_their_shares() -> None:
    past = history_of(weekly(np.random.default_rng(1), [4.0, 2.0, 2.0, 1.0], 200), [0, 0, 1, 1])
    certain = {0: Outlook(np.full(10, 600.0), np.inf), 1: Outlook(np.zeros(10), np.inf)}
    found = joint_paths(past, certain, 10, 500, np.random.default_rng(2))
    totals = found[:, :2].sum(axis=1)
    assert totals.mean() == pytest.approx(600, rel=0.01)
    assert totals.var() == pytest.approx(600, rel=0.1), "the totals are Poisson still: nothing got lost"
    assert not found[:, 2:].any()
    assert found[:, 0].mean() / 600 == pytest.approx(2 / 3, abs=0.03)
    share = found[:, 0].sum(axis=1) / totals.sum(axis=1)
    assert share.std() > 1.5 * np.sqrt(2 / 9 / 6000), "a share that was misjudged is so on all days"


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=10, deadline=None)
def test_a_planted_spread_of_shares_is_recovered(seed: int) -> None:
    rng = np.random.default_rng(seed)
    base, concentration = np.array([0.5, 0.3, 0.2]), 30.0
    shares = rng.dirichlet(base * concentration, 3000)
    counts = rng.multinomial(80, shares).astype(np.float64)
    assert share_spread(counts, np.tile(base, (3000, 1))) == pytest.approx(1 / 31, rel=0.2)
    exact = rng.multinomial(80, np.tile(base, (3000, 1))).astype(np.float64)
    assert share_spread(exact, np.tile(base, (3000, 1))) < 0.002


def test_a_newborn_is_judged_by_its_own_days() -> None:
    rng = np.random.default_rng(4)
    counts = weekly(rng, [2.0, 2.0], 300)
    counts[1, :272] = 0
    found = joint_paths(
        history_of(counts, born=[0, 272]), {0: Outlook(np.full(5, 4.0), np.inf)}, 5, 4000, np.random.default_rng(1)
    )
    assert found[:, 1].mean() / 4 == pytest.approx(0.5, abs=0.1)


def test_the_dead_do_not_raise_the_level() -> None:
    counts = np.vstack([np.full(100, 2), np.concatenate([np.full(80, 50), np.zeros(20)])])
    (segment,) = living_segments(history_of(counts, died=[999, 80]), 7)
    assert (segment.totals == 2).all()


def test_segments_that_move_as_one_are_found() -> None:
    rng = np.random.default_rng(1)
    walk = np.exp(np.repeat(np.cumsum(rng.normal(0, 0.3, 25)), 28))
    as_one = rng.poisson(20 * np.vstack([walk, walk]))
    apart = rng.poisson(20 * np.vstack([walk, np.exp(np.repeat(np.cumsum(rng.normal(0, 0.3, 25)), 28))]))
    assert moved_together(living_segments(history_of(as_one, [0, 1]), 1)) > 0.8
    assert moved_together(living_segments(history_of(apart, [0, 1]), 1)) < 0.5
    assert moved_together(living_segments(history_of(as_one), 1)) == 0
    assert moved_together(living_segments(history_of(as_one[:, :100], [0, 1]), 1)) == 0


@pytest.mark.parametrize("size", [0.5, 2.0, 8.0])
def test_a_planted_dispersion_is_recovered(size: float) -> None:
    rng = np.random.default_rng(3)
    means = np.tile(12 * WEEK, 3000)
    counts = rng.poisson(rng.gamma(size, means / size))
    assert dispersion(counts, means) == pytest.approx(size, rel=0.1)
    assert dispersion(counts, local_means(counts, np.arange(21000) % 7)) == pytest.approx(size, rel=0.15)


def test_errors_of_levels_are_told_apart() -> None:
    rng = np.random.default_rng(1)
    told, came, groups = [], [], []
    for _ in range(200):
        means = np.full(40, 30.0)
        group = np.repeat(np.arange(4), 10)
        shared = rng.gamma(1 / 0.04, 0.04, 4)[group]
        own = rng.gamma(1 / 0.09, 0.09, 40)
        told.append(means)
        came.append(rng.poisson(means * shared * own).astype(np.float64))
        groups.append(group)
    doubt = doubt_of(told, came, groups)
    assert doubt.shared == pytest.approx(0.04, abs=0.015)
    assert float(doubt.relative(np.array([30 / 28]))[0]) == pytest.approx(0.09, abs=0.02)


def test_doubt_about_levels_widens_sums() -> None:
    rng = np.random.default_rng(8)
    level = np.exp(np.cumsum(rng.normal(0, 0.25, (30, 24)), axis=1)).repeat(28, axis=1)
    moving = history_of(rng.poisson(0.5 * level))
    steady = history_of(rng.poisson(np.full((30, 672), 0.5)))
    for name in MEANS:
        widths = []
        for past in (moving, steady):
            sums = STATISTICAL[name].paths(past, 28, 600, np.random.default_rng(1)).sum(axis=2)
            widths.append(float(np.median(sums.var(axis=0) / np.maximum(sums.mean(axis=0), 1e-9))))
        # TSB doubts itself on steady series too, and rightly: ten days tell it little.
        assert widths[0] > 1.3 * widths[1], name


def test_the_later_days_of_a_series_before_its_birth_do_not_count() -> None:
    counts = np.zeros((1, 200), dtype=np.int64)
    counts[0, 150:] = np.tile([2, 4], 25)
    for name in MEANS:
        found = STATISTICAL[name].paths(history_of(counts, born=[150]), 28, 400, np.random.default_rng(1))
        assert found.mean() == pytest.approx(3, rel=0.25), name


def test_a_past_is_forecast_alike_whatever_came_later(lively: History) -> None:
    changed = lively.counts.copy()
    changed[:, 130:] = 99
    for name in ("theta", "croston_sba"):
        found, again = (
            STATISTICAL[name].paths(past.until(129), 7, 20, np.random.default_rng(1))
            for past in (lively, replace(lively, counts=changed))
        )
        assert (found == again).all()


def test_without_the_package_a_person_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "statsforecast", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'foregate\[forecast\]'"):
        library()
    with pytest.raises(ConfigurationError, match="statsforecast"):
        STATISTICAL["auto_ets"].paths(history_of(np.ones((1, 40))), 3, 2, np.random.default_rng(1))
