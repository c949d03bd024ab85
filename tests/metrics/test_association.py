"""Associations against scipy, and the columns that give the answer away."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.stats.contingency import association, crosstab

from foregate.metrics.association import cramers_v, disagreement, giveaway_auc, rank_correlation
from foregate.metrics.rates import rate_ratio

pairs = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=4, max_size=80)


@given(pairs)
@settings(deadline=None)
def test_associations_agree_with_scipy_and_are_symmetric(rows: list[tuple[int, int]]) -> None:
    a, b = (np.array(column) for column in zip(*rows, strict=True))
    found, strength = rank_correlation(a, b), cramers_v(a, b)
    assert found == rank_correlation(b, a) or math.isnan(found.value)
    if min(np.unique(a).size, np.unique(b).size) < 2:
        assert math.isnan(found.value)
        assert math.isnan(strength.value)
        return
    assert found.value == pytest.approx(stats.spearmanr(a, b).statistic)
    assert -1 <= found.low <= found.value <= found.high <= 1
    if math.isnan(strength.value):
        return
    assert 0 <= strength.low <= strength.value <= strength.high <= 1
    table, n = crosstab(a, b).count, a.size
    phi = association(table, "cramer") ** 2 * (min(table.shape) - 1)
    freedom = (table.shape[0] - 1) * (table.shape[1] - 1)
    most = min(k - (k - 1) ** 2 / (n - 1) for k in table.shape) - 1
    assert strength.value == pytest.approx(min(1.0, math.sqrt(max(0.0, phi - freedom / (n - 1)) / most)), abs=1e-6)


def test_pairs_with_a_nan_are_dropped() -> None:
    found = rank_correlation([1, 2, 3, 4, math.nan, 9], [1, 2, 3, 4, 5, math.nan])
    assert found.value == 1.0
    assert found.rows == 4
    assert rank_correlation([1, 2], [2, 1])[:3] == (-1.0, -1.0, 1.0)
    assert rank_correlation([math.nan], [1]).rows == 0


def test_unrelated_categories_are_near_nought_however_many() -> None:
    random = np.random.default_rng(1)
    found = cramers_v(random.integers(0, 40, 2000), random.integers(0, 40, 2000).astype(str))
    assert found.value < 0.05
    names = np.arange(80_000)
    assert cramers_v(names, names % 2).rows == 80_000


def hotel(seed: int, rows: int) -> tuple[np.ndarray, np.random.Generator]:
    random = np.random.default_rng(seed)
    return (random.random(rows) < 0.1).astype(int), random


def test_a_column_that_gives_the_answer_away_is_seen_whatever_its_shape() -> None:
    y, random = hotel(2, 4000)
    middle = np.where(y == 1, random.uniform(0.4, 0.6, 4000), random.random(4000))
    assert giveaway_auc(y, middle, categorical=False, seed=1).low > 0.85
    gaps = np.where(y == 1, math.nan, random.normal(size=4000))
    assert giveaway_auc(y, gaps, categorical=False, seed=1).value == 1.0
    words = np.where(y == 1, "Cancelled", random.choice(["Check-Out", "No"], 4000))
    assert giveaway_auc(y, words, categorical=True, seed=1).value == 1.0
    assert giveaway_auc(y, -middle, categorical=False, seed=1).value == pytest.approx(
        giveaway_auc(y, middle, categorical=False, seed=1).value, abs=0.02
    )


def test_names_constants_and_noise_give_nothing_away() -> None:
    y, random = hotel(3, 4000)
    assert giveaway_auc(y, np.arange(4000).astype(str), categorical=True, seed=1).value == 0.5
    assert giveaway_auc(y, np.ones(4000), categorical=False, seed=1).value == 0.5
    found = [giveaway_auc(y, random.normal(size=4000), categorical=False, seed=k) for k in range(60)]
    assert np.mean([one.value for one in found]) == pytest.approx(0.495, abs=0.015)
    assert sum(one.low > 0.5 for one in found) <= 12
    assert max(one.value for one in found) < 0.58


def test_a_giveaway_that_cannot_be_measured_is_untold() -> None:
    assert math.isnan(giveaway_auc([0, 0, 0, 0, 0], [1, 2, 3, 4, 5], categorical=False, seed=1).value)
    assert math.isnan(giveaway_auc([0, 1], [1, 2], categorical=False, seed=1).value)


def test_columns_that_part_when_the_outcome_comes_are_seen() -> None:
    y, random = hotel(4, 5000)
    reserved = random.choice(list("ABC"), 5000)
    assigned = np.where((y == 0) & (random.random(5000) < 0.2), "D", reserved)
    found = disagreement(y, reserved, assigned)
    apart = reserved != assigned
    assert found.agreement == pytest.approx(1 - apart.mean())
    assert found.ratio.value == 0.0
    assert found.ratio.high < 0.2
    assert found.ratio == rate_ratio(0, apart.sum(), y.sum(), (~apart).sum())
    alike = disagreement(y, reserved, reserved)
    assert alike.agreement == 1.0
    assert math.isnan(alike.ratio.value)
    gaps = disagreement([1, 0, 1], ["a", None, "b"], ["a", None, None])
    assert gaps.agreement == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    "call",
    [
        lambda: rank_correlation([1, 2], [1]),
        lambda: rank_correlation([], []),
        lambda: cramers_v(["a"], ["a", "b"]),
        lambda: giveaway_auc([0, 1], ["a", "b"], categorical=False, seed=1),
        lambda: giveaway_auc([0, 1, 1], [1, 2], categorical=True, seed=1),
        lambda: giveaway_auc([0, 1], [1, 2], categorical=True, seed=1, folds=1),
        lambda: disagreement([0, 1], ["a", "b"], [1, 2]),
        lambda: disagreement([0, 1, 1], ["a", "b"], ["a", "b"]),
    ],
)
def test_invalid_input_is_refused_with_what_was_wanted(call: object) -> None:
    with pytest.raises(ValueError, match="wanted"):
        call()  # type: ignore[operator]
