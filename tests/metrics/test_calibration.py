"""Calibration against sklearn, closed forms and forecasts whose fault is known."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from sklearn.calibration import _SigmoidCalibration
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss

from foregate.metrics.calibration import (
    brier,
    brier_difference,
    calibration_in_the_large,
    calibration_slope,
    isotonic_apply,
    isotonic_fit,
    platt_apply,
    platt_fit,
    reliability,
)

forecasts = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 10)), min_size=1, max_size=60).map(
    lambda rows: (np.array([y for y, _ in rows]), np.array([p for _, p in rows]) / 10)
)


def world(seed: int, rows: int, slope: float = 1.0, factor: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Outcomes of which the forecast's log odds are off by a slope, or whose rate is off by a factor."""
    random = np.random.default_rng(seed)
    margin = random.normal(-2, 1, rows)
    return (random.random(rows) < factor * expit(margin)).astype(float), expit(margin / slope)


@given(forecasts)
@settings(deadline=None)
def test_estimates_hold_their_values(rows: tuple[np.ndarray, np.ndarray]) -> None:
    y, p = rows
    found = (
        brier(y, p),
        brier_difference(y, p, 1 - p),
        calibration_in_the_large(y, p),
        calibration_slope(y, p),
    )
    for one in found:
        assert math.isnan(one.value) or one.low <= one.value <= one.high
    assert found[0].value == pytest.approx(brier_score_loss(y, p) if 0 < y.mean() < 1 else ((p - y) ** 2).mean())
    turned = brier_difference(y, 1 - p, p)
    assert turned[:3] == pytest.approx((-found[1].value, -found[1].high, -found[1].low))
    assert brier_difference(y, p, p)[:3] == (0.0, 0.0, 0.0)


def test_a_better_forecast_has_the_lower_brier_score() -> None:
    y, p = world(1, 5000)
    found = brier_difference(y, p, np.full(5000, y.mean()))
    assert found.high < 0
    assert found.value == pytest.approx(brier(y, p).value - y.mean() * (1 - y.mean()))
    unspread = brier_difference([0, 0], [0.1, 0.1], [0.5, 0.5])
    assert unspread[1:3] == (-1.0, 1.0)
    assert brier([1], [0.9])[1:3] == (0.0, 1.0)


def test_calibration_in_the_large_and_its_slope_find_known_faults() -> None:
    large, slope = calibration_in_the_large(*world(2, 20_000)), calibration_slope(*world(2, 20_000))
    assert large.low < 1 < large.high
    assert slope.low < 1 < slope.high
    doubled = calibration_in_the_large(*world(2, 20_000, factor=1.5))
    assert doubled.low < 1.5 < doubled.high
    assert doubled.low > 1.3
    timid = calibration_slope(*world(3, 20_000, slope=2.0))
    assert timid.low < 2 < timid.high
    assert timid.high - timid.low < 0.4


def test_a_slope_is_that_of_logistic_regression_and_flips_to_nan_when_it_cannot_be_told() -> None:
    y, p = world(4, 800, slope=1.7)
    oracle = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(logit(p)[:, None], y)
    assert calibration_slope(y, p).value == pytest.approx(oracle.coef_[0, 0], rel=1e-4)
    for outcomes, told in (([0, 0], [0.1, 0.2]), ([0, 1], [0.3, 0.3]), ([0, 0, 1], [0.1, 0.2, 0.3])):
        found = calibration_slope(outcomes, told)
        assert math.isnan(found.value)
        assert found[1:3] == (-math.inf, math.inf)


def test_a_forecast_of_nothing_is_infinitely_short_or_untold() -> None:
    assert calibration_in_the_large([1, 0], [0, 0])[:3] == (math.inf, 0.0, math.inf)
    assert math.isnan(calibration_in_the_large([0, 0], [0, 0]).value)


@given(forecasts, st.integers(1, 8))
@settings(deadline=None)
def test_reliability_groups_sum_to_all_rows(rows: tuple[np.ndarray, np.ndarray], groups: int) -> None:
    y, p = rows
    found = reliability(y, p, groups)
    assert sum(row.rows for row in found) == y.size
    assert sum(row.rows * row.predicted for row in found) == pytest.approx(p.sum())
    assert sum(row.rows * row.rate.value for row in found) == pytest.approx(y.sum())
    assert all(a.predicted < b.predicted for a, b in zip(found, found[1:], strict=False))


@given(forecasts)
@settings(max_examples=60, deadline=None)
def test_isotonic_fit_agrees_with_sklearn(rows: tuple[np.ndarray, np.ndarray]) -> None:
    y, p = rows
    grid = np.linspace(-0.5, 1.5, 41)
    oracle = IsotonicRegression(out_of_bounds="clip").fit(p, y).predict(grid)
    found = isotonic_apply(isotonic_fit(p, y), grid)
    assert found == pytest.approx(oracle, abs=1e-6)
    assert (np.diff(found) >= 0).all()
    assert isotonic_apply(isotonic_fit(p, y), p).sum() == pytest.approx(y.sum())


def test_platt_fit_agrees_with_sklearn_and_stays_finite_when_separated() -> None:
    y, p = world(5, 3000, slope=2.0)
    slope, intercept = platt_fit(logit(p), y)
    oracle = _SigmoidCalibration().fit(logit(p), y)
    assert platt_apply((slope, intercept), logit(p)) == pytest.approx(oracle.predict(logit(p)), abs=1e-4)
    steep = platt_fit([-1e4, -1e3, 1e3, 1e4], [0, 0, 1, 1])
    assert all(math.isfinite(part) for part in steep)
    assert steep[0] > 0
    flat, level = platt_fit([7.0, 7.0, 7.0], [1, 0, 0])
    assert flat == 0.0
    assert 0 < expit(level) < 1
    assert platt_fit([1.0, 2.0], [0, 0])[0] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    "call",
    [
        lambda: brier([1], [1.2]),
        lambda: brier([], []),
        lambda: brier([1, 0], [math.nan, 0]),
        lambda: brier_difference([1, 0], [0.1, 0.2], [0.1]),
        lambda: calibration_slope([1, 3], [0.1, 0.2]),
        lambda: reliability([1], [0.5], groups=0),
        lambda: isotonic_fit([math.inf], [1]),
        lambda: platt_fit([1.0], [0.5]),
        lambda: platt_apply((1.0, 0.0), []),
    ],
)
def test_invalid_input_is_refused_with_what_was_wanted(call: object) -> None:
    with pytest.raises(ValueError, match="wanted"):
        call()  # type: ignore[operator]
