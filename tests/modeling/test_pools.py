"""Linear pools: each draw whole from one member, in its share; weights from past losses."""

from dataclasses import dataclass
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foregate.modeling.counts import COUNT_FILTER
from foregate.modeling.naive import MEAN_28, NAIVE, SEASONAL_NAIVE, ZERO, Candidate
from foregate.modeling.pools import Pool, pool_weights, shares_of_draws
from foregate.modeling.series import History

ONE = History(np.full((2, 30), 3), date(2025, 3, 5), np.zeros(2, dtype=int), np.full(2, 30), np.array([0, 1]))


@dataclass(frozen=True)
class Constant:
    name: str
    value: int
    complexity: int = 1

    def paths(self, history: History, horizon: int, draws: int, rng: np.random.Generator) -> np.ndarray:
        return np.full((draws, history.series, horizon), self.value, dtype=np.int32)


def test_each_draw_is_whole_from_one_member_in_its_share() -> None:
    pool = Pool((Constant("a", 1), Constant("b", 2), Constant("c", 3)), (0.25, 0.0, 0.75))
    found = pool.paths(ONE, 4, 200, np.random.default_rng(1))
    assert (found == found[:, :1, :1]).all()
    counted = np.bincount(found[:, 0, 0], minlength=4)
    assert counted.tolist() == [0, 50, 0, 150]
    assert (np.diff(np.flatnonzero(found[:, 0, 0] == 1)) > 1).any()


@given(st.lists(st.floats(0.001, 1), min_size=1, max_size=6), st.integers(1, 300), st.integers(0, 1000))
def test_shares_of_draws_are_right_to_within_one(raw: list[float], draws: int, seed: int) -> None:
    weights = np.array(raw) / sum(raw)
    found = shares_of_draws(weights.tolist(), draws, np.random.default_rng(seed))
    assert sum(found) == draws
    assert (np.abs(np.array(found) - weights * draws) < 1 + 1e-6).all()


def test_one_draw_comes_from_a_member_as_often_as_its_weight_says() -> None:
    found = [shares_of_draws([0.3, 0.7], 1, np.random.default_rng(seed))[0] for seed in range(2_000)]
    assert np.mean(found) == pytest.approx(0.3, abs=0.03)


def test_weights_are_data() -> None:
    pool = Pool((MEAN_28, COUNT_FILTER), (0.25, 0.75), name="pool")
    told = pool.to_json()
    assert told == {"name": "pool", "weights": {"mean_28": 0.25, "count_filter": 0.75}}
    candidates: dict[str, Candidate] = {c.name: c for c in (*NAIVE, COUNT_FILTER)}
    again = Pool.from_json(told, candidates)
    assert again == pool
    with pytest.raises(KeyError):
        Pool.from_json(told, {"mean_28": MEAN_28})


def test_the_better_member_gets_more_and_few_origins_little() -> None:
    rng = np.random.default_rng(2)
    common = rng.gamma(5, 1, 40)
    losses = np.vstack([common, common + 0.3 + rng.normal(0, 0.3, 40), common + 2])
    weights = pool_weights(losses, np.random.default_rng(3))
    assert weights[0] > weights[1] > 0
    assert weights[2] == pytest.approx(12 / 52 / 3, abs=0.01)
    few = pool_weights(losses[:, :2], np.random.default_rng(3))
    assert max(few) - min(few) < 0.2
    overlapping = pool_weights(losses, np.random.default_rng(3), overlap=4)
    assert weights[2] < overlapping[2]


@given(st.integers(1, 5), st.integers(1, 20), st.integers(1, 6), st.integers(0, 1000))
def test_weights_are_shares_and_do_not_hang_on_the_unit(members: int, origins: int, overlap: int, seed: int) -> None:
    losses = np.random.default_rng(seed).gamma(2, 1, (members, origins))
    found = pool_weights(losses, np.random.default_rng(seed), overlap)
    assert sum(found) == pytest.approx(1)
    assert min(found) > 0
    assert pool_weights(losses * 1024, np.random.default_rng(seed), overlap) == pytest.approx(found)


def test_twins_share_alike() -> None:
    losses = np.random.default_rng(4).gamma(2, 1, (1, 24))
    assert pool_weights(np.repeat(losses, 4, axis=0), np.random.default_rng(5)) == pytest.approx([0.25] * 4)


@pytest.mark.parametrize("days", [1, 60])
def test_a_pool_of_real_members_gives_counts(days: int) -> None:
    rng = np.random.default_rng(6)
    known = History(
        rng.poisson(1.0, (3, days)), date(2025, 3, 5), np.zeros(3, dtype=int), np.array([days, days, 1]), np.arange(3)
    )
    pool = Pool((ZERO, MEAN_28, SEASONAL_NAIVE, COUNT_FILTER), (0.1, 0.2, 0.3, 0.4))
    found = pool.paths(known, 120, 30, np.random.default_rng(7))
    assert found.shape == (30, 3, 120)
    assert found.dtype == np.int32
    assert not found[:, ~known.alive].any()
    assert np.array_equal(found, pool.paths(known, 120, 30, np.random.default_rng(7)))


def test_what_is_no_pool_is_refused() -> None:
    for members, weights in (((), ()), ((ZERO,), (0.5,)), ((ZERO, MEAN_28), (1.5, -0.5)), ((ZERO, ZERO), (0.5, 0.5))):
        with pytest.raises(ValueError, match="pool|sum to 1"):
            Pool(members, weights)
    with pytest.raises(ValueError, match="losses"):
        pool_weights([[1.0, np.nan]], np.random.default_rng(1))
