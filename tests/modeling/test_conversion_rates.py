"""Posteriors of open groups against a grid, shrinkage between own and parent, and strengths against known worlds."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from foregate.modeling.cohorts import Cohorts
from foregate.modeling.conversion_rates import (
    Betas,
    Standing,
    Strengths,
    evidence_of,
    family_of,
    matched,
    mean_of,
    mixed,
    standing_of,
    strength_of,
)

SHOWN = 1 - np.exp(-(((np.arange(200) + 1) / 18) ** 0.9))
SHOWN[-1] = 1.0


def known_of(converted: list[float], cells: list[tuple[int, int, float]]) -> Standing:
    group, age, entities = (np.array([cell[at] for cell in cells]) for at in range(3))
    return Standing(np.array(converted, float), group.astype(int), age.astype(int), entities.astype(float))


def on_a_grid(a: float, b: float, converted: float, cells: list[tuple[int, int, float]]) -> tuple[float, float, float]:
    """The exact posterior's mean, 2.5 % and 97.5 % point, summed up on a fine grid."""
    rates = (np.arange(100_000) + 0.5) / 100_000
    logs = (a + converted - 1) * np.log(rates) + (b - 1) * np.log1p(-rates)
    for _, age, entities in cells:
        logs += entities * np.log1p(-rates * SHOWN[age])
    weights = np.exp(logs - logs.max())
    running = np.cumsum(weights) / weights.sum()
    low, high = np.searchsorted(running, [0.025, 0.975])
    return float(rates @ weights / weights.sum()), float(rates[low]), float(rates[high])


@pytest.mark.parametrize(
    ("converted", "cells"),
    [
        (30.0, [(0, 5, 20.0), (0, 60, 30.0)]),
        (8.0, [(0, 0, 5.0), (0, 3, 10.0), (0, 20, 40.0)]),
        (40.0, [(0, 2, 15.0), (0, 199, 3.0)]),
        (5.0, [(0, 199, 400.0)]),
        (2.0, [(0, 1, 30.0)]),
    ],
)
def test_the_beta_is_like_the_exact_posterior(converted: float, cells: list[tuple[int, int, float]]) -> None:
    prior = Betas(np.array([[2.0]]), np.array([[3.0]]))
    hits, misses = (float(side[0, 0]) for side in matched(prior, known_of([converted], cells), SHOWN[None]))
    mean, low, high = on_a_grid(2.0, 3.0, converted, cells)
    assert hits / (hits + misses) == pytest.approx(mean, abs=0.02)
    assert stats.beta(hits, misses).ppf([0.025, 0.975]) == pytest.approx([low, high], abs=0.035)


def test_matured_groups_have_the_exact_posterior() -> None:
    known = known_of([7, 0, 12], [(0, 199, 13.0), (1, 199, 4.0)])
    found = matched(Betas(np.full((2, 3), 0.5), np.full((2, 3), 1.5)), known, np.tile(SHOWN, (2, 1)))
    assert found.hits == pytest.approx(np.tile([7.5, 0.5, 12.5], (2, 1)))
    assert found.misses == pytest.approx(np.tile([14.5, 5.5, 1.5], (2, 1)))


def test_fresh_entities_say_nothing_and_weight_is_evidence() -> None:
    fresh = np.concatenate([[0.0], np.ones(9)])
    known = known_of([4], [(0, 0, 1000.0), (0, 9, 6.0)])
    found = evidence_of(known, fresh[None])
    assert (float(found.hits[0, 0]), float(found.misses[0, 0])) == pytest.approx((4, 6))
    half = evidence_of(known.times(0.5), fresh[None])
    assert (float(half.hits[0, 0]), float(half.misses[0, 0])) == pytest.approx((2, 3))


def test_a_standing_counts_what_a_loop_counts_and_merges_only_like_ages() -> None:
    rng = np.random.default_rng(1)
    entered = rng.integers(0, 150, 400)
    converted = np.where(rng.random(400) < 0.4, np.minimum(entered + rng.integers(0, 30, 400), 150), -1)
    seen = Cohorts(rng.integers(0, 3, 400), entered, converted, 150, np.array([0, 0, 1]))
    known = standing_of(seen, SHOWN, half_life=60)
    weights = 2.0 ** (-seen.ages / 60)
    for series in range(3):
        mine = seen.series == series
        assert known.converted[series] == pytest.approx(weights[mine & seen.is_converted].sum())
        assert known.entities[known.group == series].sum() == pytest.approx(weights[mine & ~seen.is_converted].sum())
        still = mine & ~seen.is_converted
        exposure = (known.entities * SHOWN[known.age])[known.group == series].sum()
        assert exposure == pytest.approx(weights[still] @ SHOWN[seen.ages[still]], rel=0.01)
    assert (np.diff(known.group) >= 0).all()


groups = st.lists(
    st.tuples(st.integers(0, 30), st.lists(st.tuples(st.integers(0, 199), st.integers(1, 50)), max_size=4)),
    min_size=1,
    max_size=5,
)


@given(groups, st.floats(1, 500), st.floats(1, 500))
@settings(max_examples=60, deadline=None)
def test_a_rate_lies_between_what_its_own_data_say_and_its_parent(
    found: list[tuple[int, list[tuple[int, int]]]], series: float, channel: float
) -> None:
    cells = [(at, age, float(n)) for at, (_, opens) in enumerate(found) for age, n in opens]
    known = known_of([float(converted) for converted, _ in found], cells)
    parents = np.arange(len(found)) % 2
    family = family_of(known, parents, Strengths(series, channel), SHOWN[None], mean_of)
    rates, parent = mean_of(*family.series)[0], family.channels[0][parents]
    # The own rate alone, by a prior too weak to matter; without any data there is none.
    weak = np.full((1, len(found)), 1e-6)
    own = mean_of(*matched(Betas(weak * parent, weak * (1 - parent)), known, SHOWN[None]))[0]
    assert ((rates > 0) & (rates < 1)).all()
    assert (rates >= np.minimum(own, parent) - 1e-5).all()
    assert (rates <= np.maximum(own, parent) + 1e-5).all()


def test_few_entities_take_their_channels_rate_and_many_their_own() -> None:
    known = known_of([3, 300, 80, 0], [(0, 199, 1.0), (1, 199, 700.0), (2, 199, 20.0)])
    family = family_of(known, np.array([0, 0, 1, 1]), Strengths(50, 50), SHOWN[None], mean_of)
    few, many, other, nobody = mean_of(*family.series)[0]
    first, second = family.channels[0]
    assert abs(few - first) < 0.05 < abs(3 / 4 - few)
    assert many == pytest.approx(0.3, abs=0.01)
    assert other > 0.7
    assert nobody == pytest.approx(second)


@pytest.mark.parametrize("strength", [5.0, 50.0, 500.0])
def test_the_strength_of_a_known_world_is_found(strength: float) -> None:
    rng = np.random.default_rng(3)
    parent = np.repeat(np.arange(10), 20)
    rates = rng.beta(strength * 0.4, strength * 0.6, 200)
    hits = rng.binomial(400, rates).astype(float)
    found = strength_of(Betas(hits[None], 400 - hits[None]), parent)
    assert strength / 2 < found < strength * 2


def test_shared_parents_make_errors_of_children_go_together() -> None:
    known = known_of([5, 5, 5, 5], [(at, 199, 5.0) for at in range(4)])
    rng = np.random.default_rng(4)
    found = family_of(known, np.array([0, 0, 1, 1]), Strengths(50, 5), np.tile(SHOWN, (4000, 1)), rng.beta)
    together = np.corrcoef(mean_of(*found.series).T)
    assert together[0, 1] > 0.9 > 0.6 > together[0, 2] > 0


@given(st.floats(0.01, 0.99), st.integers(1, 2000))
@settings(max_examples=40, deadline=None)
def test_a_mixture_of_one_beta_is_that_beta(mean: float, size: int) -> None:
    hits, misses = np.array([[mean * size]]), np.array([[(1 - mean) * size]])
    found = mixed(np.array([mean]), Betas(hits, misses), np.array([size]))[0]
    low, high = stats.beta(hits[0, 0], misses[0, 0]).ppf([0.025, 0.975])
    assert (found.low, found.high) == pytest.approx((min(low, mean), max(high, mean)), abs=1e-6)
    assert not any(math.isnan(part) for part in found)
