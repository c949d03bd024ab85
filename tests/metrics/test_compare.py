"""Challenger against champion: oracles, laws and seeded false alarms."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from foregate.metrics.compare import (
    Verdict,
    auc_difference,
    lift_difference,
    rows_to_tell,
    swap_set,
    two_rates_rows,
    verdict,
)
from foregate.metrics.estimate import Estimate
from foregate.metrics.ranking import auc_roc, lift_at
from foregate.metrics.rates import rate_difference

triples = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 8), st.integers(0, 8)), min_size=1, max_size=50).map(
    lambda found: np.array(found, dtype=float).T
)


def world(seed: int, size: int, noise: float = 0.7) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    truth = random.normal(size=size)
    y = (random.random(size) < 1 / (1 + np.exp(2 - truth))).astype(float)
    return y, truth + noise * random.normal(size=size), truth + noise * random.normal(size=size)


def naive_variance(y: np.ndarray, a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    hits, misses = np.flatnonzero(y == 1), np.flatnonzero(y == 0)

    def wins(s: np.ndarray) -> np.ndarray:
        gaps = s[hits][:, None] - s[misses][None, :]
        return np.where(gaps > 0, 1.0, np.where(gaps == 0, 0.5, 0.0))

    table = wins(a) - wins(b)
    by_hit, by_miss = table.mean(axis=1), table.mean(axis=0)
    return float(table.mean()), float(by_hit.var(ddof=1) / hits.size + by_miss.var(ddof=1) / misses.size)


def test_auc_difference_is_delongs() -> None:
    y, a, b = world(1, 2000)
    value, variance = naive_variance(y, a, b)
    found = auc_difference(y, a, b)
    assert found.value == pytest.approx(value)
    assert found.value == pytest.approx(auc_roc(y, a).value - auc_roc(y, b).value)
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * math.sqrt(variance), rel=0.01)


@given(triples)
@settings(deadline=None)
def test_differences_hold_their_value_and_flip_with_the_arms(columns: np.ndarray) -> None:
    y, a, b = columns
    for metric in (auc_difference, lambda *c: lift_difference(*c, 0.2, seed=1, replicates=30)):
        forth, back = metric(y, a, b), metric(y, b, a)
        assert forth[:3] == pytest.approx((-back.value, -back.high, -back.low), nan_ok=True)
        assert math.isnan(forth.value) or forth.low <= forth.value <= forth.high
        same = metric(y, a, 2 * a + 1)
        assert math.isnan(same.value) or same[:3] == (0.0, 0.0, 0.0)


def test_auc_difference_without_variance_is_not_certain() -> None:
    y = np.array([1.0] * 5 + [0.0] * 5)
    found = auc_difference(y, y, np.ones(10))
    assert found.value == 0.5
    assert found.low < 0.3
    assert auc_difference([1, 0, 0], [3, 2, 1], [1, 2, 3])[:3] == (1.0, -1.0, 1.0)
    assert math.isnan(auc_difference([0, 0], [1, 2], [2, 1]).value)


def test_equal_models_are_seldom_told_apart() -> None:
    random, alarms, repeats = np.random.default_rng(3), 0, 500
    y = np.repeat([1.0, 0.0], [40, 600])
    for _ in range(repeats):
        base = 1.5 * y + random.normal(size=y.size)
        found = auc_difference(y, base + random.normal(size=y.size), base + random.normal(size=y.size))
        alarms += found.low > 0 or found.high < 0
    assert alarms / repeats < 0.05 + 5 * math.sqrt(0.05 * 0.95 / repeats)
    assert alarms > 0


def test_lift_difference_is_the_difference_of_lifts_and_its_bootstrap_redraws_rows() -> None:
    y, a, b = (np.round(column, 1) for column in world(5, 800))
    found = lift_difference(y, a, b, 0.1, seed=11, replicates=1, level=0.5)
    assert found.value == pytest.approx(lift_at(y, a, 0.1).value - lift_at(y, b, 0.1).value)
    drawn = np.random.default_rng(11).integers(800, size=800)
    redrawn = lift_at(y[drawn], a[drawn], 0.1).value - lift_at(y[drawn], b[drawn], 0.1).value
    assert redrawn == pytest.approx(found.low if found.low < found.value else found.high)


def test_lift_difference_sees_a_better_model_and_is_repeatable() -> None:
    y, a, _ = world(6, 6000, noise=0.1)
    blind = np.random.default_rng(0).normal(size=6000)
    found = lift_difference(y, a, blind, 0.1, seed=2, replicates=100)
    assert found.low > 0
    assert found == lift_difference(y, a, blind, 0.1, seed=2, replicates=100)
    assert math.isnan(lift_difference(np.zeros(9), np.arange(9), np.arange(9), 0.3, seed=1).value)


@given(triples, st.sampled_from([0.1, 0.4, 1.0]), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_a_swap_set_is_even_and_sees_no_row_order(columns: np.ndarray, share: float, shuffler: object) -> None:
    y, a, b = columns
    key = np.array([f"lead {place}" for place in range(y.size)])
    found = swap_set(y, a, b, share, key)
    assert found.only_challenger == found.only_champion
    assert 0 <= found.mid_p <= 1
    order = np.arange(y.size)
    shuffler.shuffle(order)  # type: ignore[attr-defined]
    assert swap_set(y[order], a[order], b[order], share, key[order]) == found
    turned = swap_set(y, b, a, share, key)
    assert turned == (
        found.only_champion, found.only_champion_hits, found.only_challenger, found.only_challenger_hits, found.mid_p
    )  # fmt: skip


def mid_p(ours: int, theirs: int) -> float:
    rows = ours + theirs
    y = np.concatenate([np.ones(rows), np.zeros(2 * rows)])
    only_a = np.concatenate([np.arange(rows) < ours, np.arange(2 * rows) < rows - ours])
    only_b = np.concatenate([np.arange(rows) >= ours, np.arange(2 * rows) >= rows + ours])
    found = swap_set(y, only_a, only_b, 1 / 3, np.arange(3 * rows))
    assert (found.only_challenger_hits, found.only_champion_hits) == (ours, theirs)
    return found.mid_p


def test_mcnemar_mid_p_is_fagerlands() -> None:
    # Fagerland et al. 2013, Bentur's 21 children: exact 0.0703, mid-p 0.0391.
    assert mid_p(1, 7) == pytest.approx(0.0391, abs=5e-5)
    assert mid_p(5, 5) == pytest.approx(1 - 0.5 * stats.binom.pmf(5, 10, 0.5))
    assert mid_p(0, 3) == pytest.approx(0.125)
    assert swap_set([0, 0], [1, 2], [2, 1], 0.5, [1, 2]).mid_p == 1.0


@pytest.mark.parametrize(
    ("low", "high", "margin", "said"),
    [
        (0.01, 0.05, 0.0, Verdict.BETTER),
        (-0.05, -0.01, 0.1, Verdict.WORSE),
        (-0.01, 0.05, 0.02, Verdict.NOT_WORSE),
        (-0.05, 0.05, 0.02, Verdict.CANNOT_TELL),
        (0.0, 0.0, 0.01, Verdict.NOT_WORSE),
        (0.0, 0.0, 0.0, Verdict.CANNOT_TELL),
    ],
)
def test_a_verdict_is_read_off_the_interval(low: float, high: float, margin: float, said: Verdict) -> None:
    assert verdict(Estimate((low + high) / 2, low, high, 100), margin) is said


def test_what_cannot_be_measured_cannot_be_told() -> None:
    assert verdict(Estimate(math.nan, 0.1, 0.2, 0), 0.1) is Verdict.CANNOT_TELL
    assert verdict(Estimate(0.1, math.nan, 0.2, 0), 0.1) is Verdict.CANNOT_TELL
    with pytest.raises(ValueError, match="wanted"):
        verdict(Estimate(0.1, 0.0, 0.2, 9), math.nan)


def test_rows_to_tell_scale_the_interval_to_the_effect() -> None:
    found = rate_difference(70, 1000, 50, 1000)
    needed = rows_to_tell(found)
    assert needed is not None
    assert needed == pytest.approx(2 * two_rates_rows(0.05, 1.4), rel=0.05)
    assert rows_to_tell(found, power=0.95) > needed  # type: ignore[operator]
    for unknown in (Estimate(0.0, -1.0, 1.0, 9), Estimate(math.nan, -1, 1, 9), Estimate(1, -math.inf, 2, 9)):
        assert rows_to_tell(unknown) is None


def test_rows_for_two_rates_are_those_of_the_seed_document() -> None:
    assert two_rates_rows(0.0456, 1.0592) == pytest.approx(96_400, rel=0.002)
    assert two_rates_rows(0.0456, 1.25) == pytest.approx(5_900, rel=0.01)
    assert two_rates_rows(0.0456, 1.5) == pytest.approx(1_600, rel=0.02)


def test_rows_for_two_rates_give_the_power_they_promise() -> None:
    rows, random = two_rates_rows(0.1, 1.5), np.random.default_rng(1)
    a, b = random.binomial(rows, 0.15, 2000), random.binomial(rows, 0.1, 2000)
    pooled = (a + b) / (2 * rows)
    z = (a - b) / rows / np.sqrt(2 * pooled * (1 - pooled) / rows)
    assert abs((np.abs(z) > 1.96).mean() - 0.8) < 5 * math.sqrt(0.16 / 2000)


@pytest.mark.parametrize(
    "call",
    [
        lambda: auc_difference([1, 0], [1, 2], [1, 2, 3]),
        lambda: auc_difference([1, 0], [1, math.nan], [1, 2]),
        lambda: lift_difference([1, 0], [1, 2], [1, 2], 2.0, seed=1),
        lambda: lift_difference([1, 0], [1, 2], [1, 2], 0.5, seed=1, replicates=0),
        lambda: swap_set([1, 0], [1, 2], [1, 2], 0.5, [7, 7]),
        lambda: swap_set([1, 0], [1, 2], [1, 2], 0.5, [7]),
        lambda: rows_to_tell(Estimate(0.1, 0, 0.2, 9), power=1.0),
        lambda: two_rates_rows(0.1, 1.0),
        lambda: two_rates_rows(0.6, 2.0),
    ],
)
def test_invalid_input_is_refused_with_what_was_wanted(call: object) -> None:
    with pytest.raises(ValueError, match="wanted"):
        call()  # type: ignore[operator]
