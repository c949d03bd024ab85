"""Forecasters against each other: oracles, the share of false alarms, intervals that match the test."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from foregate.metrics.compare import Verdict
from foregate.metrics.diebold import diebold_mariano, forecast_verdict, relative_loss

losses = st.lists(st.tuples(st.floats(0, 9), st.floats(0, 9)), min_size=8, max_size=40).map(
    lambda found: np.round(np.array(found).T, 2)
)


def overlapping(random: np.random.Generator, rows: int, horizon: int, gain: float = 0.0) -> tuple[np.ndarray, ...]:
    """Absolute errors of two forecasters whose windows of `horizon` steps overlap; b errs more by `gain`."""
    window = np.ones(horizon) / math.sqrt(horizon)

    def moving() -> np.ndarray:
        return np.convolve(random.normal(size=rows + horizon - 1), window, "valid")

    shared = moving()
    return np.abs(shared + 0.7 * moving()), (1 + gain) * np.abs(shared + 0.7 * moving())


def naive_variance(series: np.ndarray, reach: int, flat: bool) -> float:
    rows, mean = len(series), sum(series) / len(series)
    total = sum((x - mean) ** 2 for x in series)
    for lag in range(1, reach + 1):
        weight = 1.0 if flat else 1 - lag / (reach + 1)
        total += 2 * weight * sum((series[t] - mean) * (series[t - lag] - mean) for t in range(lag, rows))
    return total / rows


def test_without_overlap_it_is_the_paired_t_test() -> None:
    random = np.random.default_rng(1)
    a, b = random.gamma(2, size=40), random.gamma(2.2, size=40)
    for alternative in ("two-sided", "less", "greater"):
        told = stats.ttest_rel(a, b, alternative=alternative)
        found = diebold_mariano(a, b, alternative=alternative)  # type: ignore[arg-type]
        assert (found.statistic, found.p_value) == pytest.approx((told.statistic, told.pvalue))
    bounds = stats.ttest_rel(a, b).confidence_interval(0.95)
    assert diebold_mariano(a, b).difference[1:3] == pytest.approx((bounds.low, bounds.high))


@pytest.mark.parametrize("horizon", [2, 5, 9])
def test_the_variance_is_the_naive_loop_with_the_small_sample_correction(horizon: int) -> None:
    a, b = overlapping(np.random.default_rng(horizon), 45, horizon)
    gaps, rows = a - b, 45
    variance = max(naive_variance(gaps, horizon - 1, flat) for flat in (False, True))
    correction = (rows + 1 - 2 * horizon + horizon * (horizon - 1) / rows) / rows
    statistic = gaps.mean() / math.sqrt(variance / rows) * math.sqrt(correction)
    found = diebold_mariano(a, b, horizon)
    assert found.statistic == pytest.approx(statistic)
    freedom = min(rows - 1, 1.5 * rows / horizon - 1)
    assert found.p_value == pytest.approx(2 * stats.t.sf(abs(statistic), freedom))
    half = stats.t.ppf(0.975, freedom) * gaps.mean() / statistic
    assert found.difference.high - found.difference.value == pytest.approx(abs(half))


def test_given_lags_it_is_bartletts_kernel() -> None:
    a, b = overlapping(np.random.default_rng(3), 60, 4)
    for lags in (0, 3, 11, 80):
        variance = naive_variance(a - b, min(lags, 59), flat=False)
        told = (a - b).mean() / math.sqrt(variance / 60) * math.sqrt(59 / 60)
        assert diebold_mariano(a, b, lags=lags).statistic == pytest.approx(told)


@pytest.mark.parametrize("rows", [30, 100])
@pytest.mark.parametrize("horizon", [1, 4, 7])
def test_equal_forecasters_are_told_apart_one_time_in_twenty(rows: int, horizon: int) -> None:
    random = np.random.default_rng(rows + horizon)
    alarms = [diebold_mariano(*overlapping(random, rows, horizon), horizon).p_value < 0.05 for _ in range(1000)]
    assert 0.02 <= np.mean(alarms) <= 0.09


def test_overlap_taken_for_independence_would_deceive() -> None:
    random = np.random.default_rng(5)
    alarms = [diebold_mariano(*overlapping(random, 100, 14)).p_value < 0.05 for _ in range(300)]
    assert np.mean(alarms) > 0.3


def test_a_better_forecaster_is_seen() -> None:
    random = np.random.default_rng(6)
    found = [diebold_mariano(*overlapping(random, 100, 2, gain=0.5), 2, "less").p_value < 0.05 for _ in range(200)]
    assert np.mean(found) > 0.8


@given(losses, st.integers(1, 4))
@settings(deadline=None)
def test_differences_flip_and_ratios_invert_with_the_arms(columns: np.ndarray, horizon: int) -> None:
    a, b = columns
    forth, back = diebold_mariano(a, b, horizon), diebold_mariano(b, a, horizon)
    assert forth.difference[:3] == pytest.approx((-back.difference.value, -back.difference.high, -back.difference.low))
    assert forth.p_value == pytest.approx(back.p_value, nan_ok=True)
    found = relative_loss(a, b, horizon)
    assert math.isnan(found.value) or 0 <= found.low <= found.value <= found.high
    doubled = relative_loss(3 * a, 3 * b, horizon)
    assert doubled[:3] == pytest.approx(found[:3], rel=1e-6, abs=1e-9, nan_ok=True)


def test_a_ratio_inverts_with_the_arms() -> None:
    a, b = overlapping(np.random.default_rng(7), 80, 3)
    forth, back = relative_loss(a, b, 3), relative_loss(b, a, 3)
    assert forth[:3] == pytest.approx((1 / back.value, 1 / back.high, 1 / back.low))


@pytest.mark.parametrize("horizon", [1, 4])
def test_the_ratio_leaves_out_one_exactly_where_the_test_objects_and_holds_the_truth(horizon: int) -> None:
    random, held = np.random.default_rng(8 + horizon), 0
    for _ in range(500):
        a, b = overlapping(random, 60, horizon, gain=0.25)
        ratio, tested = relative_loss(a, b, horizon), diebold_mariano(a, b, horizon)
        assert (ratio.low <= 1 <= ratio.high) == (tested.p_value >= 0.05)
        assert (tested.difference.low <= 0 <= tested.difference.high) == (tested.p_value >= 0.05)
        held += ratio.low <= 0.8 <= ratio.high
    assert 0.91 <= held / 500 <= 0.98


def test_the_ratio_is_fiellers_set() -> None:
    a, b = overlapping(np.random.default_rng(9), 50, 5)
    found = relative_loss(a, b, 5, level=0.9)
    for edge in (found.low, found.high):
        rest = a - edge * b
        assert diebold_mariano(rest, np.zeros(50), 5, level=0.9).p_value == pytest.approx(0.1)


def test_losses_that_are_equal_row_by_row_differ_by_nothing() -> None:
    a = np.random.default_rng(10).random(30)
    found = diebold_mariano(a, a)
    assert found.difference[:3] == (0.0, 0.0, 0.0)
    assert math.isnan(found.p_value)
    assert relative_loss(a, a)[:3] == (1.0, 1.0, 1.0)
    assert forecast_verdict(a, a, margin=0.01) is Verdict.NOT_WORSE


def test_rows_without_spread_or_too_few_can_not_tell() -> None:
    a = np.random.default_rng(11).random(30)
    for ours, theirs, horizon in ((a, a + 1, 1), (a[:7], a[:7][::-1], 1), (a, a[::-1] + 0.1, 16)):
        found = diebold_mariano(ours, theirs, horizon)
        assert found.difference[1:3] == (-math.inf, math.inf)
        assert math.isnan(found.p_value)
        assert math.isnan(found.statistic)
        assert relative_loss(ours, theirs, horizon)[1:3] == (0.0, math.inf)
        assert forecast_verdict(ours, theirs, horizon) is Verdict.CANNOT_TELL
    assert relative_loss(2 * a, a)[:3] == (pytest.approx(2.0), 0.0, math.inf)


def test_no_loss_at_all_is_no_ratio() -> None:
    assert math.isnan(relative_loss([0] * 9, [0] * 9).value)
    assert relative_loss([1] * 9, [0] * 9)[:3] == (math.inf, 0.0, math.inf)
    assert relative_loss([0] * 9, np.arange(9)).value == 0.0
    assert forecast_verdict([0] * 9, [0] * 9) is Verdict.CANNOT_TELL
    assert forecast_verdict([1] * 9, [0] * 9) is Verdict.CANNOT_TELL


def test_a_verdict_says_what_the_ratio_lets_it() -> None:
    random = np.random.default_rng(12)
    base = random.gamma(5, size=200)
    noise = random.normal(0, 0.05, size=200)
    assert forecast_verdict(0.8 * base + 0.05 + noise, base) is Verdict.BETTER
    assert forecast_verdict(1.2 * base + noise, base) is Verdict.WORSE
    near = base + noise - noise.mean()
    assert forecast_verdict(near, base, margin=0.05) is Verdict.NOT_WORSE
    assert forecast_verdict(near, base, margin=0.0) is Verdict.CANNOT_TELL
    assert forecast_verdict(random.gamma(5, size=20), base[:20], margin=0.01) is Verdict.CANNOT_TELL


@pytest.mark.parametrize(
    "call",
    [
        lambda: diebold_mariano([1, 2], [1]),
        lambda: diebold_mariano([1, math.nan], [1, 2]),
        lambda: diebold_mariano([], []),
        lambda: diebold_mariano([1, 2], [1, 3], horizon=0),
        lambda: diebold_mariano([1, 2], [1, 3], lags=-1),
        lambda: diebold_mariano([1, 2], [1, 3], alternative="better"),  # type: ignore[arg-type]
        lambda: diebold_mariano([1, 2], [1, 3], level=0.0),
        lambda: relative_loss([-1, 2], [1, 3]),
        lambda: relative_loss([1, 2], [1, 3], level=2),
        lambda: forecast_verdict([1, 2], [1, 3], margin=-0.1),
    ],
)
def test_invalid_input_is_refused_with_what_was_wanted(call: object) -> None:
    with pytest.raises(ValueError, match="wanted"):
        call()  # type: ignore[operator]
