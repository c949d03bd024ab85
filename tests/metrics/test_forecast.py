"""Scores of forecasts: naive loops, closed forms, proper scores, intervals that hold what they say."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from foregate.metrics import forecast
from foregate.metrics.forecast import (
    bias,
    capture_rate,
    crps,
    interval_score,
    mase,
    pinball,
    poisson_wape_floor,
    quantiles,
    randomised_pit,
    rmsse,
    wape,
)

panels = st.tuples(st.integers(2, 12), st.integers(1, 4), st.integers(1, 3), st.integers(0, 999))
rows = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 3)), min_size=1, max_size=40).map(
    lambda found: np.array(found).T
)


def naive_crps(draws: np.ndarray, actual: float, fair: bool) -> float:
    count = len(draws)
    near = sum(abs(float(x) - actual) for x in draws) / count
    apart = sum(abs(float(x) - float(y)) for x in draws for y in draws)
    return near - apart / (2 * count * (count - 1 if fair else count))


@given(panels, st.booleans(), st.booleans())
@settings(deadline=None)
def test_crps_is_the_double_loop_for_counts_and_for_prices(panel: tuple[int, ...], fair: bool, whole: bool) -> None:
    draws, series, days, seed = panel
    random = np.random.default_rng(seed)
    samples = random.poisson(3, size=(draws, series, days)) if whole else random.normal(50, 9, (draws, series, days))
    actual = random.poisson(3, size=(series, days)) if whole else random.normal(50, 9, (series, days))
    found = crps(samples, actual, fair=fair)
    assert found.shape == actual.shape
    for place in np.ndindex(actual.shape):
        told = naive_crps(samples[(slice(None), *place)], float(actual[place]), fair)
        assert found[place] == pytest.approx(told, abs=1e-9)


def test_crps_is_half_the_squared_energy_distance_and_twice_the_mean_pinball() -> None:
    samples, actual = np.random.default_rng(1).normal(100, 3, 40), 101.5
    found = float(crps(samples, actual))
    assert found == pytest.approx(stats.energy_distance(samples, [actual]) ** 2 / 2)
    middles = (np.arange(40) + 0.5) / 40
    assert found == pytest.approx(2 * pinball(np.sort(samples), actual, middles).mean())


def test_crps_nears_its_closed_form() -> None:
    at = (np.arange(20_000) + 0.5) / 20_000
    for actual in (-2.0, 0.0, 0.7):
        told = actual * (2 * stats.norm.cdf(actual) - 1) + 2 * stats.norm.pdf(actual) - 1 / math.sqrt(math.pi)
        assert float(crps(stats.norm.ppf(at), actual)) == pytest.approx(told, abs=1e-4)
    counts = np.arange(60)
    for seen in (0, 2, 9):
        told = float(((stats.poisson.cdf(counts, 2.5) - (counts >= seen)) ** 2).sum())
        assert float(crps(stats.poisson.ppf(at, 2.5), seen)) == pytest.approx(told, abs=1e-3)


def test_fair_crps_does_not_depend_on_the_number_of_draws() -> None:
    random = np.random.default_rng(2)
    actual = random.normal(size=40_000)
    few, many = random.normal(size=(4, 40_000)), random.normal(size=(100, 40_000))
    true = 1 / math.sqrt(math.pi)
    assert crps(few, actual, fair=True).mean() == pytest.approx(true, abs=0.01)
    assert crps(many, actual, fair=True).mean() == pytest.approx(true, abs=0.01)
    assert crps(few, actual).mean() == pytest.approx(true * 1.25, abs=0.01)


def test_crps_goes_by_slices_without_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(3)
    samples, actual = random.poisson(2, size=(50, 7, 11)).astype(np.int32), random.poisson(2, size=(7, 11))
    whole = crps(samples, actual)
    monkeypatch.setattr(forecast, "SLICE", 120)
    assert np.array_equal(crps(samples, actual), whole)


def test_an_outcome_not_yet_known_scores_nan_and_leaves_the_others_alone() -> None:
    samples, actual = [[0, 1], [2, 3], [4, 5]], [1, math.nan]
    rng = np.random.default_rng(1)
    for found in (crps(samples, actual), randomised_pit(samples, actual, rng), interval_score([0, 0], 2, actual, 0.5)):
        assert np.isnan(found).tolist() == [False, True]
    assert crps(samples, actual)[0] == crps(samples, [1, 1])[0]


@given(st.lists(st.integers(0, 20), min_size=1, max_size=60), st.lists(st.floats(0, 1), min_size=1, max_size=9))
@settings(deadline=None)
def test_quantiles_are_draws_and_numpys_inverted_cdf(draws: list[int], asked: list[float]) -> None:
    samples = np.array(draws, dtype=np.int32)[:, None] + np.arange(3, dtype=np.int32)
    found = quantiles(samples, asked)
    assert found.dtype == np.int32
    assert found.shape == (len(asked), 3)
    assert np.isin(found[:, 0], draws).all()
    rounded = [round(p * len(draws)) for p in asked]
    for place, p in enumerate(asked):
        if abs(p * len(draws) - rounded[place]) > 1e-6:
            assert (found[place] == np.quantile(samples, p, axis=0, method="inverted_cdf")).all()


def test_quantiles_are_not_moved_by_a_rounding_error() -> None:
    assert quantiles(np.arange(100), [0.07, 0.29, 0.57]).tolist() == [6, 28, 56]


@pytest.mark.parametrize(("draws", "mean"), [(5, 0.1), (400, 0.1), (50, 3.0), (400, 40.0)])
def test_the_pit_of_an_oracle_is_uniform_for_any_number_of_draws(draws: int, mean: float) -> None:
    random = np.random.default_rng(int(draws * mean))
    actual = random.poisson(mean, size=20_000)
    pit = randomised_pit(random.poisson(mean, size=(draws, 20_000)), actual, random)
    assert stats.kstest(pit, "uniform").pvalue > 0.001
    assert stats.chisquare(np.bincount((pit * 20).astype(int), minlength=20)).pvalue > 0.001


def test_the_pit_lies_between_the_shares_below_and_not_above_and_repeats_with_its_seed() -> None:
    random = np.random.default_rng(5)
    samples, actual = random.poisson(1, size=(99, 300)), random.poisson(1, size=300)
    pit = randomised_pit(samples, actual, np.random.default_rng(8))
    below, not_above = (samples < actual).mean(axis=0), (samples <= actual).mean(axis=0)
    assert (pit >= below - 0.01).all()
    assert (pit <= not_above + 0.01).all()
    assert np.array_equal(pit, randomised_pit(samples, actual, np.random.default_rng(8)))


def test_the_interval_score_is_gneiting_and_rafterys_and_the_true_interval_scores_best() -> None:
    actual = np.random.default_rng(6).normal(size=20_000)
    low, high = stats.norm.ppf([0.1, 0.9])
    told = [(high - low) + (2 / 0.2) * (low - y) * (y < low) + (2 / 0.2) * (y - high) * (y > high) for y in actual[:50]]
    assert interval_score(np.full(50, low), np.full(50, high), actual[:50], 0.8) == pytest.approx(told)
    best = interval_score(low, high, actual, 0.8).mean()
    for other in ((low * 1.2, high * 1.2), (low * 0.8, high * 0.8), (low + 0.2, high + 0.2)):
        assert interval_score(*other, actual, 0.8).mean() > best


def test_the_true_quantile_has_the_least_pinball_loss() -> None:
    actual = np.random.default_rng(7).gamma(2, size=20_000)
    losses = [pinball(q, actual, 0.9).mean() for q in stats.gamma.ppf([0.85, 0.9, 0.95], 2)]
    assert losses[1] == min(losses)
    assert pinball([1.0, 3.0], 2.0, [0.25, 0.25]).tolist() == [0.25, 0.75]


@given(st.integers(0, 999), st.integers(1, 7))
@settings(deadline=None)
def test_scaled_errors_are_the_loop_over_what_is_known(seed: int, season: int) -> None:
    random = np.random.default_rng(seed)
    told, seen = random.normal(size=(2, 5)), random.normal(size=(2, 5))
    past = np.where(random.random((2, 30)) < 0.2, np.nan, random.normal(size=(2, 30)))
    for found, power in ((mase(told, seen, past, season), 1), (rmsse(told, seen, past, season) ** 2, 2)):
        for line in range(2):
            steps = [abs(past[line, d] - past[line, d - season]) ** power for d in range(season, 30)]
            scale = np.mean([step for step in steps if step == step])
            assert found[line] == pytest.approx(np.mean(np.abs(told[line] - seen[line]) ** power) / scale)


def test_a_history_that_never_moves_gives_no_scale() -> None:
    assert np.isnan(mase([1.0], [2.0], [0, 0, 0]))
    assert np.isnan(rmsse([1.0], [2.0], [math.nan, 3.0], 1))
    assert np.isnan(mase([[1.0], [1.0]], [[2.0], [math.nan]], [[5.0], [1.0]])).all()


def test_the_wape_floor_is_the_sum_over_the_distribution() -> None:
    counts = np.arange(4000)
    for mean in (0.02, 0.69, 0.7, 2.7, 3.0, 89.0):
        for size in (None, 0.5, 4.0, 1e9):
            law = stats.poisson(mean) if size in (None, 1e9) else stats.nbinom(size, size / (size + mean))
            told = float((np.abs(counts - law.ppf(0.5)) * law.pmf(counts)).sum()) / mean
            assert poisson_wape_floor([mean], size) == pytest.approx(told, rel=1e-6)
    assert poisson_wape_floor([[0.5, 3.0]], [[math.inf, 2.0]]) == pytest.approx(
        (0.5 * poisson_wape_floor([0.5]) + 3 * poisson_wape_floor([3.0], 2.0)) / 3.5
    )
    assert math.isnan(poisson_wape_floor([0.0, 0.0]))
    assert poisson_wape_floor([0.0, 2.0]) == poisson_wape_floor([2.0])


def test_nobody_gets_below_the_floor_and_the_median_gets_there() -> None:
    random = np.random.default_rng(9)
    means = random.gamma(1.0, 3.0, size=200)
    seen = random.poisson(means, size=(500, 200))
    floor = poisson_wape_floor(means)
    for told, above in ((stats.poisson.ppf(0.5, means), 0.0), (means, 0.002), (means * 0.8, 0.005), (means * 0, 0.5)):
        found = wape(np.tile(told, 500), seen.reshape(-1)).value
        assert found > floor + above - 0.004
    assert wape(np.tile(stats.poisson.ppf(0.5, means), 500), seen.reshape(-1)).value == pytest.approx(floor, abs=0.004)


@given(rows, st.integers(0, 99))
@settings(deadline=None)
def test_sums_know_no_order_no_unit_and_no_names_of_blocks(columns: np.ndarray, seed: int) -> None:
    told, seen, blocks = columns
    order = np.random.default_rng(seed).permutation(told.size)
    named = np.array(["d", "a", "c", "b"])[blocks]
    for metric in (wape, capture_rate):
        found = metric(told, seen, blocks)
        assert found[:3] == pytest.approx(metric(told[order], seen[order], named[order])[:3], nan_ok=True)
        assert math.isnan(found.value) or found.low <= found.value <= found.high
    doubled = wape(2 * told, 2 * seen, blocks)
    assert doubled[:3] == pytest.approx(wape(told, seen, blocks)[:3], nan_ok=True)


def test_the_error_of_a_ratio_is_the_jackknife_over_whole_blocks() -> None:
    random = np.random.default_rng(10)
    blocks = np.repeat(np.arange(12), 200)
    told, seen = random.poisson(5, blocks.size), random.poisson(5, blocks.size)
    found = capture_rate(told, seen, blocks)
    without = np.array([math.log(told[blocks != b].sum() / seen[blocks != b].sum()) for b in range(12)])
    error = math.sqrt(11 / 12 * ((without - without.mean()) ** 2).sum())
    half = stats.t.ppf(0.975, 11) * error
    assert math.log(found.high / found.value) == pytest.approx(half, rel=0.01)
    assert math.log(found.value / found.low) == pytest.approx(half, rel=0.01)


def world(random: np.random.Generator, origins: int, mean: float, shock: float) -> tuple[np.ndarray, ...]:
    level = np.exp(shock * random.normal(size=origins) - shock**2 / 2)
    seen = random.poisson(np.repeat(level, 28) * mean)
    return np.full(seen.size, mean), seen, np.repeat(np.arange(origins), 28)


@pytest.mark.parametrize(("origins", "mean", "shock"), [(6, 1.0, 0.3), (12, 0.1, 0.0), (12, 0.1, 0.5), (24, 3.0, 0.2)])
def test_the_intervals_of_sums_hold_the_truth_nineteen_times_of_twenty(origins: int, mean: float, shock: float) -> None:
    random, repeats = np.random.default_rng(origins), 500
    told, seen, _ = world(random, 100_000, mean, shock)
    true_wape = np.abs(told - seen).sum() / seen.sum()
    held = np.zeros(2)
    for _ in range(repeats):
        drawn = world(random, origins, mean, shock)
        captured, erred = capture_rate(*drawn), wape(*drawn)
        held += captured.low <= 1 <= captured.high, erred.low <= true_wape <= erred.high
    assert (held / repeats > 0.92).all()
    assert (held / repeats < 0.99).all()


def test_rows_that_err_together_are_no_more_rows_than_their_blocks() -> None:
    told, seen, blocks = world(np.random.default_rng(11), 12, 3.0, 0.6)
    together, apart = capture_rate(told, seen, blocks), capture_rate(told, seen, None)
    assert together.value == apart.value
    assert together.high - together.low > 2 * (apart.high - apart.low)


def test_one_origin_has_the_poisson_noise_of_what_came_and_no_other() -> None:
    found = capture_rate([60, 5], [80, 9], ["october", "october"])
    assert found.value == 65 / 89
    assert found.high == pytest.approx(65 / (stats.chi2.ppf(0.025, 2 * 89) / 2))
    assert found.low == pytest.approx(65 / (stats.chi2.ppf(0.975, 2 * 90) / 2))
    less = bias([60, 5], [80, 9], ["october", "october"])
    assert less[:3] == pytest.approx(tuple(part - 1 for part in found[:3]))
    assert wape([60, 5], [80, 9], ["october", "october"])[1:3] == (0.0, math.inf)


def test_sums_of_nothing_say_what_they_can() -> None:
    assert math.isnan(wape([1, 2], [0, 0]).value)
    assert wape([1, 2], [0, 0])[1:3] == (0.0, math.inf)
    assert math.isnan(capture_rate([0], [0], None).value)
    lost = capture_rate([12, 8], [0, 0], [1, 2])
    assert lost.value == lost.high == math.inf
    assert lost.low == pytest.approx(20 / -math.log(0.025))
    assert capture_rate([0, 0], [3, 4], [1, 2])[:3] == (0.0, 0.0, 0.0)
    assert wape([3, 4], [3, 4])[:3] == (0.0, 0.0, math.inf)
    assert wape([-30.0, 10.0], [-37.63, 12.37]).value == pytest.approx(0.2)


@pytest.mark.parametrize(
    "call",
    [
        lambda: crps([[1, 2]], [1]),
        lambda: crps([1.0, math.nan], 1.0),
        lambda: crps([1.0], 1.0, fair=True),
        lambda: crps(np.empty((0, 2)), [1, 2]),
        lambda: quantiles([1, 2], [1.1]),
        lambda: quantiles([1, 2], []),
        lambda: randomised_pit([[1, 2]], [1], np.random.default_rng(1)),
        lambda: interval_score([2], [1], [1], 0.5),
        lambda: interval_score([1], [2], [1], 1.0),
        lambda: pinball([1], [1], 1.0),
        lambda: mase([1], [1, 2], [1, 2]),
        lambda: mase([1], [1], [1, 2], season=0),
        lambda: wape([1, 2], [1]),
        lambda: wape([1, math.nan], [1, 1]),
        lambda: wape([1, 2], [1, 1], blocks=[1]),
        lambda: wape([1], [1], level=1.0),
        lambda: capture_rate([-1], [1], None),
        lambda: poisson_wape_floor([-1.0]),
        lambda: poisson_wape_floor([1.0], 0.0),
    ],
)
def test_invalid_input_is_refused_with_what_was_wanted(call: object) -> None:
    with pytest.raises(ValueError, match="wanted"):
        call()  # type: ignore[operator]
