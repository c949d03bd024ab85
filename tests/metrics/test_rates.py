"""Rates against closed forms, published examples, naive solutions and seeded simulations."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.optimize import brentq

from foregate.metrics.estimate import Estimate
from foregate.metrics.rates import (
    BetaPrior,
    clopper_pearson,
    expected_hits,
    fit_beta_prior,
    rate,
    rate_difference,
    rate_ratio,
    shrunken_rate,
    wilson,
)

counts = st.integers(0, 400).flatmap(lambda rows: st.tuples(st.integers(0, rows), st.just(rows)))
levels = st.sampled_from([0.5, 0.8, 0.95, 0.999])


def bracket(found: Estimate) -> None:
    assert math.isnan(found.value) or found.low <= found.value <= found.high


def test_the_intervals_of_the_seed_documents() -> None:
    assert wilson(22, 163)[1:3] == pytest.approx((0.0909, 0.1959), abs=2e-4)
    assert clopper_pearson(2, 10)[1:3] == pytest.approx((0.0252, 0.5561), abs=1e-4)
    assert clopper_pearson(0, 10)[1:3] == pytest.approx((0.0, 1 - 0.025**0.1))


@given(counts, levels)
@settings(deadline=None)
def test_one_rate_agrees_with_scipy(counted: tuple[int, int], level: float) -> None:
    hits, rows = counted
    if rows == 0:
        assert math.isnan(rate(hits, rows, level).value)
        assert rate(hits, rows, level)[1:3] == (0.0, 1.0)
        return
    test = stats.binomtest(hits, rows)
    for ours, method in ((wilson, "wilson"), (clopper_pearson, "exact")):
        found, oracle = ours(hits, rows, level), test.proportion_ci(level, method=method)
        assert found[1:3] == pytest.approx((oracle.low, oracle.high), abs=1e-9)
        bracket(found)
    assert rate(hits, rows, level) == (clopper_pearson if min(hits, rows - hits) < 10 else wilson)(hits, rows, level)


@given(st.integers(1, 200), st.integers(2, 5), st.data())
@settings(deadline=None)
def test_fewer_rows_of_the_same_rate_make_a_wider_interval(rows: int, times: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, rows))
    for interval in (wilson, clopper_pearson):
        few, many = interval(hits, rows), interval(hits * times, rows * times)
        assert few.high - few.low > many.high - many.low


@given(counts, counts, levels)
@settings(deadline=None)
def test_a_difference_flips_with_its_arms_and_holds_its_value(
    a: tuple[int, int], b: tuple[int, int], level: float
) -> None:
    forth, back = rate_difference(*a, *b, level), rate_difference(*b, *a, level)
    bracket(forth)
    assert -1 <= forth.low <= forth.high <= 1
    assert forth.rows == a[1] + b[1]
    assert forth[:3] == pytest.approx((-back.value, -back.high, -back.low), nan_ok=True)


def test_newcombe_published_examples() -> None:
    # Newcombe 1998, table II, method 10: examples a, b and g.
    assert rate_difference(56, 70, 48, 80)[1:3] == pytest.approx((0.0524, 0.3339), abs=5e-5)
    assert rate_difference(9, 10, 3, 10)[1:3] == pytest.approx((0.1705, 0.8090), abs=5e-5)
    assert rate_difference(10, 10, 0, 10)[1:3] == pytest.approx((0.6075, 1.0), abs=5e-5)


def test_koopman_published_example() -> None:
    assert rate_ratio(36, 40, 16, 80)[1:3] == pytest.approx((2.94, 7.15), abs=5e-3)


def naive_score(x: int, m: int, y: int, n: int, ratio: float) -> float:
    def likelihood_slope(p: float) -> float:
        return x / p - (m - x) * ratio / (1 - ratio * p) + y / p - (n - y) / (1 - p)

    p_b = brentq(likelihood_slope, 1e-12, min(1.0, 1 / ratio) - 1e-12)
    p_a = ratio * p_b
    return (x - m * p_a) ** 2 / (m * p_a * (1 - p_a)) + (y - n * p_b) ** 2 / (n * p_b * (1 - p_b))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_the_bounds_of_a_ratio_solve_koopmans_equation(data: st.DataObject) -> None:
    m, n = data.draw(st.integers(2, 300)), data.draw(st.integers(2, 300))
    x, y = data.draw(st.integers(1, m - 1)), data.draw(st.integers(1, n - 1))
    found = rate_ratio(x, m, y, n)
    bracket(found)
    for bound in (found.low, found.high):
        assert naive_score(x, m, y, n, bound) == pytest.approx(stats.chi2.ppf(0.95, 1), rel=1e-4)


@given(counts, counts, levels)
@settings(deadline=None)
def test_a_ratio_inverts_with_its_arms(a: tuple[int, int], b: tuple[int, int], level: float) -> None:
    forth, back = rate_ratio(*a, *b, level), rate_ratio(*b, *a, level)
    bracket(forth)
    assert forth.low >= 0
    if min(a[1], b[1]) == 0 or a[0] + b[0] == 0:
        assert math.isnan(forth.value)
        assert forth[1:3] == (0.0, math.inf)
        return
    turned = [math.inf if bound == 0 else 1 / bound for bound in (back.value, back.high, back.low)]
    assert forth[:3] == pytest.approx(tuple(turned), rel=1e-6)


def test_a_ratio_without_hits_on_one_side_is_bounded_on_the_other() -> None:
    nothing, everything = rate_ratio(0, 10, 5, 10), rate_ratio(5, 10, 0, 10)
    assert nothing[:2] == (0.0, 0.0)
    assert nothing.high == pytest.approx(0.6129, abs=1e-4)
    assert everything[0] == everything[2] == math.inf
    assert everything.low == pytest.approx(1 / nothing.high)
    assert rate_ratio(0, 1_000_000, 1, 10).high < 1e-4


@pytest.mark.parametrize(("m", "n", "p", "q"), [(50, 500, 0.1, 0.06), (300, 300, 0.05, 0.04), (30, 30, 0.2, 0.1)])
def test_a_ratio_covers_the_truth_as_often_as_it_says(m: int, n: int, p: float, q: float) -> None:
    random = np.random.default_rng(5)
    found = [rate_ratio(random.binomial(m, p), m, random.binomial(n, q), n) for _ in range(600)]
    covered = sum(one.low <= p / q <= one.high for one in found)
    assert abs(covered / 600 - 0.95) < 5 * math.sqrt(0.95 * 0.05 / 600)


def likelihood(prior: BetaPrior, hits: np.ndarray, rows: np.ndarray) -> float:
    return float(stats.betabinom(rows, prior.a, prior.b).logpmf(hits).sum())


def test_the_prior_is_likelier_than_any_on_a_grid() -> None:
    random = np.random.default_rng(2)
    rows = random.integers(20, 400, 60)
    hits = random.binomial(rows, random.beta(4, 60, 60))
    best = likelihood(fit_beta_prior(hits, rows), hits, rows)
    for mean in np.linspace(0.03, 0.12, 19):
        for strength in np.geomspace(1, 1e5, 40):
            grid = BetaPrior(mean * strength, (1 - mean) * strength)
            assert best >= likelihood(grid, hits, rows) - 1e-6


def test_the_prior_finds_what_it_was_drawn_from_and_stays_in_bounds() -> None:
    random = np.random.default_rng(3)
    rows = np.full(2000, 300)
    found = fit_beta_prior(random.binomial(300, random.beta(5, 95, 2000)), rows)
    assert (found.a, found.b) == pytest.approx((5, 95), rel=0.1)
    alike = fit_beta_prior(np.full(50, 30), np.full(50, 300))
    assert alike.a + alike.b == pytest.approx(1e5, rel=1e-3)
    apart = fit_beta_prior([0, 300, 0, 300], [300] * 4)
    assert apart.a + apart.b == pytest.approx(1.0, rel=1e-3)
    for prior in (fit_beta_prior([0, 0], [10, 20]), fit_beta_prior([3], [9]), fit_beta_prior([4, 0], [4, 0])):
        assert prior.a + prior.b == pytest.approx(1.0)
        assert 0 < prior.a < 1


@given(counts, st.floats(1e-3, 1e4), st.floats(1e-3, 1e4), levels)
@settings(deadline=None)
def test_a_shrunken_rate_lies_between_prior_and_data(
    counted: tuple[int, int], a: float, b: float, level: float
) -> None:
    found, mean = shrunken_rate(*counted, BetaPrior(a, b), level), a / (a + b)
    bracket(found)
    assert 0 <= found.low <= found.high <= 1
    raw = counted[0] / counted[1] if counted[1] else mean
    assert min(raw, mean) - 1e-9 <= found.value <= max(raw, mean) + 1e-9


def test_expected_hits_of_one_group_are_beta_binomial() -> None:
    found, oracle = expected_hits([(400, BetaPrior(20, 180))], seed=4), stats.betabinom(400, 20, 180)
    assert found.value == pytest.approx(40)
    assert found[1:3] == pytest.approx(oracle.interval(0.95), abs=2)
    assert expected_hits([(400, BetaPrior(20, 180))], seed=4) == found
    assert expected_hits([], seed=4) == Estimate(0.0, 0.0, 0.0, 0)


def test_expected_hits_of_many_groups_have_the_moments_of_their_sum() -> None:
    groups = [(50 * k, BetaPrior(k, 30.0)) for k in range(1, 8)]
    found = expected_hits(groups, seed=1)
    spread = math.sqrt(sum(float(stats.betabinom(n, p.a, p.b).var()) for n, p in groups))
    assert found.value == pytest.approx(sum(n * p.a / (p.a + p.b) for n, p in groups))
    assert found.high - found.low == pytest.approx(2 * 1.96 * spread, rel=0.05)


@pytest.mark.parametrize(
    "call",
    [
        lambda: wilson(5, 4),
        lambda: wilson(-1, 4),
        lambda: rate(1, 4, level=1.0),
        lambda: rate_ratio(math.nan, 4, 1, 4),
        lambda: rate_difference(1, 4, 5, 4),
        lambda: fit_beta_prior([], []),
        lambda: fit_beta_prior([1], [1, 2]),
        lambda: fit_beta_prior([3, 0], [2, 2]),
        lambda: shrunken_rate(1, 2, BetaPrior(0, 1)),
        lambda: expected_hits([(-1, BetaPrior(1, 1))], seed=1),
    ],
)
def test_impossible_input_is_refused_with_what_was_wanted(call: object) -> None:
    with pytest.raises(ValueError, match="wanted"):
        call()  # type: ignore[operator]
