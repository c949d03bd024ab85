"""Coverage: intervals of it that hold, tests that object as often as they say, the PIT of small counts."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from foregate.metrics.coverage import (
    christoffersen,
    coverage,
    effective_rows,
    kupiec,
    pit_coverage,
    pit_uniformity,
)
from foregate.metrics.forecast import quantiles, randomised_pit
from foregate.metrics.rates import wilson

flagged = st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=1, max_size=60).map(
    lambda found: np.array(found, dtype=int).T
)


def pits(
    random: np.random.Generator, origins: int, rows: int, shared: float, spread: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """PIT values whose normal scores share a part of their variance within each origin."""
    common = np.repeat(random.normal(size=origins), rows)
    scores = math.sqrt(shared) * common + math.sqrt(1 - shared) * random.normal(size=origins * rows)
    return stats.norm.cdf(spread * scores), np.repeat(np.arange(origins), rows)


def test_independent_coverage_is_wilsons() -> None:
    inside = np.repeat([True, False], [92, 8])
    assert coverage(inside, 0.95) == wilson(92, 100)
    assert coverage(inside, 0.95, level=0.8) == wilson(92, 100, 0.8)


@given(flagged, st.integers(0, 99))
@settings(deadline=None)
def test_blocks_only_ever_widen_and_their_names_and_order_do_not_matter(columns: np.ndarray, seed: int) -> None:
    inside, blocks = columns
    apart, together = coverage(inside, 0.9), coverage(inside, 0.9, blocks)
    assert together.value == apart.value
    assert together.rows == inside.size
    assert together.low <= apart.low + 1e-12
    assert together.high >= apart.high - 1e-12
    assert 1 <= effective_rows(inside, blocks) <= inside.size
    order = np.random.default_rng(seed).permutation(inside.size)
    named = np.array(["f", "e", "d", "c", "b", "a"])[blocks]
    assert coverage(inside[order], 0.9, named[order])[:3] == pytest.approx(together[:3])


def test_copies_of_a_row_are_one_row() -> None:
    seen = np.random.default_rng(1).random(400) < 0.9
    assert effective_rows(np.repeat(seen, 7), np.repeat(np.arange(400), 7)) == pytest.approx(399)
    assert effective_rows([1, 1, 0], ["a", "a", "a"]) == 1.0
    assert effective_rows([1, 1, 1], ["a", "a", "b"]) == 3.0


@pytest.mark.parametrize(("origins", "rows", "shared"), [(12, 28, 0.0), (12, 28, 0.3), (24, 4, 0.3), (100, 7, 0.5)])
@pytest.mark.parametrize("nominal", [0.5, 0.95])
def test_the_interval_in_blocks_holds_the_truth(origins: int, rows: int, shared: float, nominal: float) -> None:
    random, repeats, held, held_alone = np.random.default_rng(origins), 400, 0, 0
    for _ in range(repeats):
        pit, blocks = pits(random, origins, rows, shared)
        found, alone = pit_coverage(pit, nominal, blocks), pit_coverage(pit, nominal)
        held += found.low <= nominal <= found.high
        held_alone += alone.low <= nominal <= alone.high
    assert held / repeats > 0.92
    assert held >= held_alone


def test_rows_taken_for_independent_would_deceive() -> None:
    random, held, held_alone = np.random.default_rng(2), 0, 0
    for _ in range(300):
        pit, blocks = pits(random, 12, 28, 0.8)
        found, alone = pit_coverage(pit, 0.95, blocks), pit_coverage(pit, 0.95)
        held += found.low <= 0.95 <= found.high
        held_alone += alone.low <= 0.95 <= alone.high
    assert held / 300 > 0.92
    assert held_alone / 300 < 0.6


def test_one_block_tells_nothing() -> None:
    assert coverage([1, 0, 1], 0.9, ["a"] * 3)[1:3] == (0.0, 1.0)
    assert pit_coverage([0.5, 0.9, 0.1], 0.9, [4, 4, 4])[1:3] == (0.0, 1.0)


def test_small_counts_cover_more_than_they_say_and_their_pit_does_not() -> None:
    random = np.random.default_rng(3)
    samples, actual = random.poisson(0.096, size=(400, 8000)), random.poisson(0.096, size=8000)
    low, high = quantiles(samples, [0.25, 0.75])
    assert coverage((low <= actual) & (actual <= high), 0.5).low > 0.85
    pit = randomised_pit(samples, actual, random)
    for nominal in (0.5, 0.95):
        found = pit_coverage(pit, nominal)
        assert found.low <= nominal <= found.high


@given(st.integers(0, 80), st.integers(0, 80), st.floats(0.05, 0.95))
def test_kupiec_is_the_likelihood_ratio_of_two_binomials(hits: int, misses: int, nominal: float) -> None:
    rows = hits + misses
    if rows:
        found = stats.binom.logpmf(hits, rows, hits / rows) - stats.binom.logpmf(hits, rows, nominal)
        told = stats.chi2.sf(2 * max(0.0, found), 1)
        assert kupiec([1] * hits + [0] * misses, nominal) == pytest.approx(told, abs=1e-6)


def test_kupiec_objects_as_often_as_it_says_and_sees_what_800_rows_can_tell() -> None:
    random = np.random.default_rng(4)
    right = [kupiec(random.random(800) < 0.95, 0.95) < 0.05 for _ in range(1000)]
    short = [kupiec(random.random(800) < 0.92, 0.95) < 0.05 for _ in range(300)]
    assert 0.02 < np.mean(right) < 0.09
    assert np.mean(short) > 0.8


@given(st.lists(st.booleans(), min_size=1, max_size=60))
def test_christoffersen_is_the_loop_over_pairs(inside: list[bool]) -> None:
    count = np.zeros((2, 2))
    for before, after in zip(inside, inside[1:], strict=False):
        count[int(not before), int(not after)] += 1
    if 0 in count.sum(axis=0) or 0 in count.sum(axis=1):
        assert math.isnan(christoffersen(inside))
        return
    free = count[:, 1].sum() / count.sum()
    ratio = 0.0
    for before in (0, 1):
        chained = count[before, 1] / count[before].sum()
        for after, of_chain, of_free in ((0, 1 - chained, 1 - free), (1, chained, free)):
            if count[before, after]:
                ratio += 2 * count[before, after] * math.log(of_chain / of_free)
    assert christoffersen(inside) == pytest.approx(stats.chi2.sf(max(0.0, ratio), 1), abs=1e-6)


def test_christoffersen_sees_misses_that_come_in_runs() -> None:
    random = np.random.default_rng(5)
    alone = [christoffersen(random.random(300) < 0.9) < 0.05 for _ in range(500)]
    runs = [christoffersen(np.repeat(random.random(75) < 0.9, 4)) < 0.05 for _ in range(100)]
    assert np.mean(alone) < 0.1
    assert np.mean(runs) > 0.95


def test_uniformity_of_independent_rows_is_pearsons() -> None:
    pit = np.random.default_rng(6).random(500)
    told = stats.chisquare(np.bincount((pit * 10).astype(int), minlength=10)).pvalue
    assert pit_uniformity(pit) == pytest.approx(told)
    assert pit_uniformity(np.append(pit, 1.0)) > 0


def test_uniformity_objects_as_often_as_it_says_however_rows_hang_together() -> None:
    random = np.random.default_rng(7)
    for origins, rows, shared in ((12, 28, 0.0), (12, 28, 0.8), (24, 28, 0.3)):
        in_blocks = [pit_uniformity(*pits(random, origins, rows, shared), flips=499) <= 0.05 for _ in range(300)]
        assert np.mean(in_blocks) < 0.09
    alone = [pit_uniformity(pits(random, 12, 28, 0.3)[0]) <= 0.05 for _ in range(300)]
    assert np.mean(alone) > 0.3


def test_uniformity_sees_forecasts_too_narrow_and_too_wide() -> None:
    random = np.random.default_rng(8)
    for spread in (1.5, 0.6):
        found = [pit_uniformity(*pits(random, 24, 28, 0.2, spread), flips=499) <= 0.05 for _ in range(100)]
        assert np.mean(found) > 0.8


def test_uniformity_repeats_with_its_seed_and_says_when_it_can_not_tell() -> None:
    pit, blocks = pits(np.random.default_rng(9), 12, 10, 0.3)
    assert pit_uniformity(pit, blocks, seed=3) == pit_uniformity(pit, blocks, seed=3)
    assert math.isnan(pit_uniformity(pit[:19]))
    assert math.isnan(pit_uniformity(pit[:50], blocks[:50]))
    assert pit_uniformity(np.full(60, 0.97), np.repeat(np.arange(6), 10)) < 0.05


@pytest.mark.parametrize(
    "call",
    [
        lambda: coverage([0.5], 0.9),
        lambda: coverage([], 0.9),
        lambda: coverage([1], 95),
        lambda: coverage([1, 0], 0.9, [1]),
        lambda: coverage([1, 0], 0.9, level=1.0),
        lambda: effective_rows([1, 0], [[1], [2]]),
        lambda: kupiec([1, 0], 1.0),
        lambda: christoffersen([2]),
        lambda: pit_coverage([1.2], 0.9),
        lambda: pit_coverage([math.nan], 0.9),
        lambda: pit_uniformity([-0.1]),
        lambda: pit_uniformity(np.full(60, 0.5), np.arange(60), flips=0),
    ],
)
def test_invalid_input_is_refused_with_what_was_wanted(call: object) -> None:
    with pytest.raises(ValueError, match="wanted"):
        call()  # type: ignore[operator]
