"""Stability indices against naive counts, their noise, and seeded coverage."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.special import ndtr, ndtri

from foregate.metrics.drift import cells_of, psi, psi_noise, psi_of_categories, share_trend
from foregate.metrics.noncentral import noncentrality_bounds

columns = st.lists(st.one_of(st.just(math.nan), st.integers(-5, 30).map(float)), min_size=1, max_size=80)


def plain(expected: list[float], actual: list[float]) -> float:
    p, q = (np.array(side) + 0.5 for side in (expected, actual))
    p, q = p / p.sum(), q / q.sum()
    return float(((q - p) * np.log(q / p)).sum())


@given(columns, columns, st.integers(2, 20))
@settings(deadline=None)
def test_an_index_is_never_negative_and_lies_in_its_interval(
    expected: list[float], actual: list[float], bins: int
) -> None:
    found = psi(expected, actual, bins)
    assert 0 <= found.low <= found.value <= found.high
    assert found.rows == len(actual)


def test_an_index_is_the_naive_sum_less_its_noise() -> None:
    random = np.random.default_rng(1)
    before, after = random.normal(size=3000), random.normal(0.5, 1.2, size=2000)
    before[:60], after[:200] = math.nan, math.nan
    cuts = np.quantile(before[60:], np.arange(1, 10) / 10, method="inverted_cdf")

    def counts(column: np.ndarray) -> list[float]:
        edges = [-math.inf, *cuts, math.inf]
        within = [float(((column > a) & (column <= b)).sum()) for a, b in zip(edges, edges[1:], strict=False)]
        return [*within, float(np.isnan(column).sum())]

    noise = 10 * (1 / 3000 + 1 / 2000)
    assert psi(before, after).value == pytest.approx(plain(counts(before), counts(after)) - noise)


def test_categories_may_be_unseen_and_missing() -> None:
    before, after = ["a"] * 60 + ["b"] * 40, ["a"] * 30 + ["c"] * 50 + [None] * 20
    found = psi_of_categories(before, after)
    noise = 3 * (1 / 100 + 1 / 100)
    assert found.value == pytest.approx(plain([60, 40, 0, 0], [30, 0, 50, 20]) - noise)
    assert found.low > 0
    numbered = [{"a": 1.0, "b": 2.0, "c": 3.0, None: math.nan}[code] for code in after]
    assert psi_of_categories([1.0] * 60 + [2.0] * 40, numbered) == found
    alike = psi_of_categories(["a"] * 50, ["a"] * 50)
    assert alike[:2] == (0.0, 0.0)
    assert 0 < alike.high < 0.4


def test_few_numbers_are_their_own_cells_and_strangers_are_seen() -> None:
    assert cells_of(np.zeros(5), np.array([-1.0, 0.0, 1.0, math.nan]), 10).tolist() == [10, 0, 10, 11]
    assert psi(np.zeros(500), np.full(500, -1.0)).low > 1
    mostly = np.concatenate([np.zeros(700), np.arange(1.0, 301.0)])
    assert psi(mostly, mostly).value == 0.0
    assert psi(mostly, np.where(mostly == 0, -1.0, mostly)).value == 0.0
    endless = np.concatenate([mostly, [math.inf, -math.inf]])
    assert psi(endless, endless).value == 0.0


@given(st.integers(0, 5))
@settings(max_examples=6, deadline=None)
def test_an_index_sees_neither_row_order_nor_units(seed: int) -> None:
    random = np.random.default_rng(seed)
    before, after = random.normal(size=400), random.normal(0.3, 1, size=300)
    moved = psi(np.exp(random.permutation(before)), np.exp(random.permutation(after)))
    assert moved == psi(before, after)


def test_noise_is_that_of_the_lifecycle_table() -> None:
    # The table's 0.061 and 0.0066 are the limit formula with about 28,000 expected rows.
    assert psi_noise(280, 28_000) == pytest.approx(0.061, abs=5e-4)
    assert psi_noise(2_800, 28_000) == pytest.approx(0.0066, abs=5e-5)
    assert psi_noise(100, 2_800) == pytest.approx(0.175, abs=5e-4)


def test_noise_is_passed_as_often_as_it_says_when_nothing_changed() -> None:
    random, repeats = np.random.default_rng(2), 600
    alarms = sum(
        psi(random.normal(size=4000), random.normal(size=1000)).value + 9 * (1 / 4000 + 1 / 1000)
        > psi_noise(4000, 1000)
        for _ in range(repeats)
    )
    assert abs(alarms / repeats - 0.05) < 5 * math.sqrt(0.05 * 0.95 / repeats)


@pytest.mark.parametrize("shift", [0.0, 0.15, 0.4])
def test_an_index_covers_the_truth_at_least_about_as_often_as_it_says(shift: float) -> None:
    random, repeats = np.random.default_rng(3), 400
    after = np.diff(ndtr(np.concatenate([[-np.inf], ndtri(np.arange(1, 10) / 10), [np.inf]]) - shift))
    truth = float(((after - 0.1) * np.log(after / 0.1)).sum())
    found = [psi(random.normal(size=20_000), random.normal(shift, 1, 1000)) for _ in range(repeats)]
    covered = sum(one.low <= truth <= one.high for one in found)
    assert covered / repeats > 0.95 - 5 * math.sqrt(0.95 * 0.05 / repeats)


@given(st.floats(0, 5e4), st.integers(1, 60))
@settings(max_examples=60, deadline=None)
def test_noncentrality_bounds_solve_their_tails(statistic: float, freedom: int) -> None:
    low, high = noncentrality_bounds(statistic, freedom)
    assert 0 <= low <= high
    if low > 1e-3:
        assert stats.ncx2.sf(statistic, freedom, low) == pytest.approx(0.025, rel=1e-3)
    assert stats.ncx2.cdf(max(statistic, freedom), freedom, high) == pytest.approx(0.025, rel=1e-3)


def test_noncentrality_bounds_join_where_the_formula_changes() -> None:
    below, above = noncentrality_bounds(99_999, 9), noncentrality_bounds(100_001, 9)
    assert above == pytest.approx(below, rel=1e-4)


def test_share_trend_compares_the_oldest_third_with_the_newest() -> None:
    ages = np.arange(90)
    flags = (ages >= 60) & (ages % 2 == 0)
    found = share_trend(flags, ages)
    assert found.value == 0.5
    assert found.low > 0.25
    assert found.rows == 60
    order = np.random.default_rng(1).permutation(90)
    assert share_trend(flags[order], ages[order]) == found
    assert share_trend(flags, -ages).value == -0.5
    assert math.isnan(share_trend(flags, np.ones(90)).value)


@pytest.mark.parametrize(
    "call",
    [
        lambda: psi([], [1.0]),
        lambda: psi([1.0], [1.0], bins=1),
        lambda: psi(["a"], [1.0]),
        lambda: psi_of_categories([], ["a"]),
        lambda: psi_of_categories(["a"], [1]),
        lambda: psi_of_categories(np.array(["a", 1], dtype=object), ["a"]),
        lambda: psi_noise(0, 5),
        lambda: share_trend([0, 2], [1, 2]),
        lambda: share_trend([0, 1], [1, math.nan]),
        lambda: noncentrality_bounds(3.0, 0),
    ],
)
def test_invalid_input_is_refused_with_what_was_wanted(call: object) -> None:
    with pytest.raises(ValueError, match="wanted"):
        call()  # type: ignore[operator]
