"""Children that sum to drawn totals: exactly, on the draws asked for; means against a WLS-struct MinT projection."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foregate.modeling.coherence import aggregate, conditioned, mixed_draws, sums_by_period

SEGMENTS = np.array([0, 1, 0, 2, 1, 0])


def drawn(seed: int, draws: int = 40, horizon: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Return bottom paths, series 4 dead, and totals of three segments."""
    rng = np.random.default_rng(seed)
    rates = rng.gamma(0.7, 2.0, (6, 1))
    rates[4] = 0
    paths = rng.poisson(rates * rng.gamma(3, 1 / 3, (draws, 6, 1)), (draws, 6, horizon)).astype(np.int32)
    return paths, rng.negative_binomial(1, 0.2, (draws, 3, horizon))


@given(st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_with_weight_one_every_day_of_every_draw_sums_to_its_total(seed: int) -> None:
    paths, totals = drawn(seed)
    alive = np.arange(6) != 4
    found = conditioned(paths, totals, SEGMENTS, 1.0, np.random.default_rng(seed), alive)
    assert np.array_equal(aggregate(found, SEGMENTS), totals)
    assert found.dtype == np.int32
    assert (found >= 0).all()
    assert not found[:, 4].any()


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_with_weight_nothing_the_paths_stay_as_they_were(seed: int) -> None:
    paths, totals = drawn(seed)
    assert np.array_equal(conditioned(paths, totals, SEGMENTS, 0.0, np.random.default_rng(seed)), paths)


@given(st.integers(0, 10_000), st.lists(st.floats(0, 1), min_size=3, max_size=3))
@settings(max_examples=40, deadline=None)
def test_each_draw_is_either_its_total_or_its_own_sum_in_the_shares_asked_for(seed: int, weights: list[float]) -> None:
    paths, totals = drawn(seed)
    rng = np.random.default_rng(seed)
    taken = mixed_draws(weights, 40, np.random.default_rng(seed))
    alive = np.arange(6) != 4
    found = aggregate(conditioned(paths, totals, SEGMENTS, weights, rng, alive), SEGMENTS)
    wanted = np.where(taken[..., None], totals, aggregate(paths, SEGMENTS))
    assert np.array_equal(found, wanted)
    assert taken.sum(axis=0).tolist() == [round(40 * w) for w in weights]
    order = np.argsort(weights)
    assert (taken[:, order[0]] <= taken[:, order[1]]).all()
    assert (taken[:, order[1]] <= taken[:, order[2]]).all()


def test_days_whose_sum_is_right_already_are_not_touched() -> None:
    paths, totals = drawn(7)
    totals[:, :, 2] = aggregate(paths, SEGMENTS)[:, :, 2]
    found = conditioned(paths, totals, SEGMENTS, 1.0, np.random.default_rng(1), np.arange(6) != 4)
    assert np.array_equal(found[:, :, 2], paths[:, :, 2])


def test_poisson_children_given_their_sum_are_multinomial() -> None:
    rng = np.random.default_rng(3)
    rates, draws = np.array([1.0, 2.0, 5.0]), 30_000
    for total in (4, 13):
        paths = rng.poisson(rates[:, None], (draws, 3, 8)).astype(np.int32)
        found = conditioned(paths, np.full((draws, 1, 8), total), np.zeros(3, dtype=np.int64), 1.0, rng)[:, :, 0]
        share = rates / rates.sum()
        assert found.mean(axis=0) == pytest.approx(total * share, rel=0.02)
        assert found.var(axis=0) == pytest.approx(total * share * (1 - share), rel=0.06)


def test_a_segment_without_a_living_series_keeps_nothing() -> None:
    paths = np.zeros((4, 2, 3), dtype=np.int32)
    paths[:, 0] = 1
    found = conditioned(paths, np.full((4, 2, 3), 6), np.array([0, 1]), 1.0, np.random.default_rng(1))
    assert (found[:, 0] == 6).all()
    assert not found[:, 1].any()


def test_half_and_half_has_the_segment_means_of_a_projection() -> None:
    """WLS-struct MinT of two levels halves the way from the segment's own mean to its children's sum.

    Wickramasuriya, Athanasopoulos & Hyndman 2019: b = (S' W^-1 S)^-1 S' W^-1 y, W the number of children of a node.
    """
    rng = np.random.default_rng(5)
    rates, own = np.array([1.0, 4.0, 2.0, 3.0, 0.5, 6.0]), np.array([12.0, 3.0, 3.5])
    draws = 6_000
    paths = rng.poisson(rates[:, None], (draws, 6, 2)).astype(np.int32)
    totals = rng.poisson(own[:, None], (draws, 3, 2))
    found = aggregate(conditioned(paths, totals, SEGMENTS, 0.5, rng), SEGMENTS).mean(axis=(0, 2))
    summing = np.vstack([(segment == SEGMENTS).astype(float) for segment in range(3)] + [np.eye(6)])
    weight = np.diag(1 / summing.sum(axis=1))
    base = np.concatenate([totals.mean(axis=(0, 2)), paths.mean(axis=(0, 2))])
    bottom = np.linalg.solve(summing.T @ weight @ summing, summing.T @ weight @ base)
    assert found == pytest.approx((summing @ bottom)[:3], rel=0.02)


def test_the_sums_are_those_of_a_loop() -> None:
    paths, _ = drawn(9)
    by_hand = np.stack([paths[:, g == SEGMENTS].sum(axis=1) for g in range(3)], axis=1)
    assert np.array_equal(aggregate(paths, SEGMENTS), by_hand)
    periods = np.array([0, 0, 1, 2, 2])
    weekly = np.stack([paths[..., periods == p].sum(axis=-1) for p in range(3)], axis=-1)
    assert np.array_equal(sums_by_period(paths, periods), weekly)
    most = np.full((1, 3, 1), 2_000_000_000, dtype=np.int32)
    assert aggregate(most, np.zeros(3, dtype=np.int64)).item() == 6_000_000_000


def test_what_does_not_fit_is_refused() -> None:
    paths, totals = drawn(1)
    rng = np.random.default_rng(1)
    with pytest.raises(ValueError, match="fit together"):
        conditioned(paths, totals[:, :2], SEGMENTS, 1.0, rng)
    with pytest.raises(ValueError, match="negative"):
        conditioned(paths, totals - 9, SEGMENTS, 1.0, rng)
    with pytest.raises(ValueError, match="shares"):
        conditioned(paths, totals, SEGMENTS, 1.5, rng)
    with pytest.raises(ValueError, match="groups"):
        aggregate(paths, SEGMENTS[:3])
    with pytest.raises(ValueError, match="periods"):
        sums_by_period(paths, np.array([0, 1]))
