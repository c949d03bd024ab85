"""Rank metrics against sklearn and naive loops, and what must not move them."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr
from sklearn.metrics import average_precision_score, roc_auc_score

from foregate.metrics.ranking import (
    auc_roc,
    average_precision,
    bottom_rate,
    delong_components,
    lift_at,
    lift_by_decile,
    monotonicity,
    percentiles,
    top_share,
)
from foregate.metrics.rates import rate, rate_ratio

rows = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 12)), min_size=1, max_size=60)
shares = st.sampled_from([0.05, 0.1, 0.3, 0.5, 1.0])


def split(pairs: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([y for y, _ in pairs]), np.array([s for _, s in pairs], dtype=float)


def world(seed: int, size: int, ties: bool = False) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    scores = random.normal(size=size)
    outcomes = (random.random(size) < 1 / (1 + np.exp(2 - scores))).astype(int)
    return outcomes, np.round(scores, 1) if ties else scores


@given(rows)
@settings(deadline=None)
def test_auc_and_placements_agree_with_counting_pairs(pairs: list[tuple[int, int]]) -> None:
    y, s = split(pairs)
    found, (above, below) = auc_roc(y, s), delong_components(y, s)
    hits, misses = s[y == 1], s[y == 0]
    if min(hits.size, misses.size) == 0:
        assert math.isnan(found.value)
        assert found[1:3] == (0.0, 1.0)
        return
    wins = (hits[:, None] > misses[None, :]) + 0.5 * (hits[:, None] == misses[None, :])
    assert above == pytest.approx(wins.mean(axis=1))
    assert below == pytest.approx(wins.mean(axis=0))
    assert found.value == pytest.approx(wins.mean())
    assert 0 <= found.low <= found.value <= found.high <= 1


@pytest.mark.parametrize("ties", [False, True])
def test_auc_and_average_precision_agree_with_sklearn(ties: bool) -> None:
    y, s = world(1, 3000, ties)
    assert auc_roc(y, s).value == pytest.approx(roc_auc_score(y, s))
    found = average_precision(y, s, seed=1, replicates=50)
    assert found.value == pytest.approx(average_precision_score(y, s))
    assert found.low < found.value < found.high


@given(rows)
@settings(deadline=None, max_examples=50)
def test_average_precision_agrees_with_sklearn_under_heavy_ties(pairs: list[tuple[int, int]]) -> None:
    y, s = split(pairs)
    found = average_precision(y, s, seed=3, replicates=20)
    if y.sum() == 0:
        assert math.isnan(found.value)
        assert found[1:3] == (0.0, 1.0)
    else:
        assert found.value == pytest.approx(average_precision_score(y, s))
        assert 0 <= found.low <= found.value <= found.high <= 1 + 1e-12


def test_a_resampled_average_precision_is_that_of_the_repeated_rows() -> None:
    y, s = world(7, 200, ties=True)
    drawn = np.random.default_rng(9).integers(200, size=200)
    found = average_precision(y, s, seed=9, replicates=1, level=0.5)
    assert average_precision_score(y[drawn], s[drawn]) == pytest.approx(
        found.low if found.low < found.value else found.high
    )


@given(rows, shares, st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=60)
def test_rank_metrics_see_neither_row_order_nor_the_scale_of_scores(
    pairs: list[tuple[int, int]], share: float, shuffler: object
) -> None:
    moved = pairs.copy()
    shuffler.shuffle(moved)  # type: ignore[attr-defined]
    (y, s), (y2, s2) = split(pairs), split(moved)
    s2 = np.exp(s2 / 3) - 5
    for metric in (
        lambda a, b: auc_roc(a, b)[:3],
        lambda a, b: lift_at(a, b, share)[:3],
        lambda a, b: bottom_rate(a, b, share)[:3],
        lambda a, b: (monotonicity(a, b, 4, seed=1, replicates=5).value,),
        lambda a, b: (average_precision(a, b, seed=1, replicates=2).value,),
        lambda a, b: [count for row in lift_by_decile(a, b, groups=4) for count in (row.rows, row.hits)],
    ):
        assert metric(y, s) == pytest.approx(metric(y2, s2), nan_ok=True)  # type: ignore[no-untyped-call]
    order = np.argsort(percentiles(s))
    assert (np.diff(s[order]) >= 0).all()


@given(rows, shares)
@settings(deadline=None)
def test_the_top_share_is_a_whole_number_of_places_and_ties_are_alike(
    pairs: list[tuple[int, int]], share: float
) -> None:
    y, s = split(pairs)
    weights = top_share(s, share)
    assert weights.sum() == pytest.approx(max(1, math.floor(share * s.size + 0.5)))
    assert ((weights >= 0) & (weights <= 1)).all()
    for score in set(s):
        assert len(set(weights[s == score])) == 1
    naive = np.mean(
        [np.isin(np.arange(s.size), np.lexsort((p, -s))[: round(weights.sum())]) for p in naive_orders(s)], 0
    )
    assert weights == pytest.approx(naive, abs=0.2)


def naive_orders(scores: np.ndarray) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.permutation(scores.size) for _ in range(200)]


@given(rows, shares)
@settings(deadline=None)
def test_lift_is_the_rate_of_the_top_over_the_rate_of_all(pairs: list[tuple[int, int]], share: float) -> None:
    y, s = split(pairs)
    found, weights = lift_at(y, s, share), top_share(s, share)
    most = s.size / weights.sum()
    assert found.rows == round(weights.sum())
    if y.sum() == 0:
        assert math.isnan(found.value)
        assert found[1:3] == pytest.approx((0.0, most))
        return
    assert found.value == pytest.approx((weights @ y / weights.sum()) / y.mean())
    assert -1e-9 <= found.low <= found.value <= found.high <= most + 1e-9


def test_lift_bounds_are_the_bounds_of_the_top_against_the_rest() -> None:
    y, s = world(4, 1000)
    found, hits = lift_at(y, s, 0.1), float(y[np.argsort(-s)[:100]].sum())
    ratio = rate_ratio(hits, 100, y.sum() - hits, 900)
    assert found[1:3] == pytest.approx(tuple(r / (0.1 * r + 0.9) for r in ratio[1:3]))
    assert bottom_rate(y, -s, 0.1) == rate(hits, 100)


@given(rows, st.integers(1, 12))
@settings(deadline=None)
def test_groups_sum_to_all_rows_and_never_part_equal_scores(pairs: list[tuple[int, int]], groups: int) -> None:
    y, s = split(pairs)
    found = lift_by_decile(y, s, groups)
    assert [row.decile for row in found] == list(range(1, groups + 1))
    assert sum(row.rows for row in found) == s.size
    assert sum(row.hits for row in found) == y.sum()
    for row in found:
        assert math.isnan(row.rate.value) == (row.rows == 0)
        assert math.isnan(row.lift.value) == (row.rows == 0 or y.sum() == 0)


def test_untied_deciles_are_equal_and_start_with_the_top() -> None:
    y, s = world(5, 1000)
    found, order = lift_by_decile(y, s), np.argsort(-s)
    assert [row.rows for row in found] == [100] * 10
    assert [row.hits for row in found] == [int(y[order[k : k + 100]].sum()) for k in range(0, 1000, 100)]
    assert found[0].lift[:3] == pytest.approx(lift_at(y, s, 0.1)[:3])


@given(st.integers(50, 3000), st.integers(0, 9))
@settings(deadline=None)
def test_percentiles_without_ties_hold_their_share(size: int, seed: int) -> None:
    values = np.random.default_rng(seed).permutation(size)
    found = percentiles(values)
    assert found.max() == 100
    assert found.min() == (1 if size > 50 else 2)
    for percent in (20, 50, 90):
        assert abs((found <= percent).sum() - percent / 100 * len(values)) <= 1
    assert found[int(np.argmax(values))] == 100


def test_monotonicity_is_one_when_rates_fall_and_minus_one_when_they_rise() -> None:
    y = np.concatenate([np.arange(10) < hits for hits in range(9, 0, -1)])
    s = np.repeat(np.arange(9, 0, -1), 10)
    assert monotonicity(y, s, 9, seed=1).value == 1.0
    assert monotonicity(y, -s, 9, seed=1).value == -1.0
    told = monotonicity(y, s, 9, seed=1)
    assert told.low < 1.0
    assert told.high == 1.0
    assert math.isnan(monotonicity(np.zeros(90), s, 9, seed=1).value)
    assert math.isnan(monotonicity(y, np.ones(90), 9, seed=1).value)


@pytest.mark.parametrize(("hits", "misses", "shift"), [(12, 120, 1.0), (30, 300, 1.0), (60, 600, 2.0)])
def test_auc_covers_the_truth_as_often_as_it_says(hits: int, misses: int, shift: float) -> None:
    random = np.random.default_rng(6)
    y, truth, repeats = np.repeat([1, 0], [hits, misses]), ndtr(shift / math.sqrt(2)), 500
    found = [auc_roc(y, random.normal(size=y.size) + shift * y) for _ in range(repeats)]
    covered = sum(one.low <= truth <= one.high for one in found)
    assert abs(covered / repeats - 0.95) < 5 * math.sqrt(0.95 * 0.05 / repeats)


def test_lift_covers_the_truth_as_often_as_it_says() -> None:
    random = np.random.default_rng(7)
    grid = random.normal(size=400_000)
    chance = 1 / (1 + np.exp(3 - grid))
    truth = chance[grid >= np.quantile(grid, 0.9)].mean() / chance.mean()
    covered = 0
    for _ in range(500):
        s = random.normal(size=1500)
        found = lift_at(random.random(1500) < 1 / (1 + np.exp(3 - s)), s, 0.1)
        covered += found.low <= truth <= found.high
    assert abs(covered / 500 - 0.95) < 5 * math.sqrt(0.95 * 0.05 / 500)


def test_an_auc_without_variance_keeps_a_wide_interval() -> None:
    perfect = auc_roc([1] * 10 + [0] * 50, range(60, 0, -1))
    assert perfect[:3] == pytest.approx((1.0, 0.025**0.1, 1.0))
    flat = auc_roc([1] * 10 + [0] * 50, np.ones(60))
    assert flat.value == 0.5
    assert flat.high - flat.low > 0.5
    assert auc_roc([1, 0, 0], [3, 2, 1])[:3] == (1.0, 0.0, 1.0)


def test_fewer_rows_make_wider_intervals() -> None:
    y, s = world(8, 400, ties=True)
    for metric in (auc_roc, lambda a, b: lift_at(a, b, 0.1)):
        few, many = metric(y, s), metric(np.tile(y, 4), np.tile(s, 4))
        assert few.value == pytest.approx(many.value, abs=0.02)
        assert few.high - few.low > many.high - many.low


@pytest.mark.parametrize(
    "call",
    [
        lambda: auc_roc([], []),
        lambda: auc_roc([1, 2], [1, 2]),
        lambda: auc_roc([1, 0], [1, math.nan]),
        lambda: auc_roc([1, 0, 1], [1, 2]),
        lambda: auc_roc([1, 0], [1, 2], level=95),
        lambda: auc_roc([1, 0], ["a", "b"]),
        lambda: lift_at([1, 0], [1, 2], 0.0),
        lambda: lift_at([1, 0], [1, 2], 1.1),
        lambda: top_share([1, math.nan], 0.5),
        lambda: lift_by_decile([1, 0], [1, 2], groups=0),
        lambda: monotonicity([1, 0], [1, 2], 1, seed=1),
        lambda: percentiles([[1.0, 2.0]]),
    ],
)
def test_invalid_input_is_refused_with_what_was_wanted(call: object) -> None:
    with pytest.raises(ValueError, match="wanted"):
        call()  # type: ignore[operator]
