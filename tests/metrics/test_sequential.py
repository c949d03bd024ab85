"""E-values against enumeration and integrals; their false alarms and power at the volumes of one team."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.integrate import quad
from scipy.special import betainc, betaln

from foregate.metrics.sequential import (
    MULTIPLIERS,
    SLACK,
    YEARLY_THRESHOLD,
    arm_e_process,
    sample_ratio,
    sample_ratio_e_value,
    shortfall_e_detector,
)

SIDES = ["worse", "better", "different"]
shares = st.floats(0.02, 0.98)
conversions = st.lists(st.tuples(st.integers(0, 1), shares), min_size=1, max_size=40)


def closed_form(ours: int, all_of_them: int, side: str) -> float:
    """The Beta(10, 10) mixture at equal exposure, the Beta cut at one half for one side."""
    a, b = 10 + ours, 10 + all_of_them - ours
    part = {"worse": betainc(a, b, 0.5) * 2, "better": betainc(b, a, 0.5) * 2, "different": 1.0}[side]
    return float(betaln(a, b) - betaln(10, 10) + all_of_them * math.log(2) + math.log(part))


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("plan", [[0.5] * 8, [0.1, 0.1, 0.25, 0.25, 0.5, 0.5, 0.9, 0.3]])
def test_the_e_value_has_mean_one_when_the_arms_are_equal_wherever_it_is_stopped(side: str, plan: list[float]) -> None:
    share, kept, stopped = np.array(plan), np.zeros(9), 0.0
    for flags in itertools.product([0, 1], repeat=8):
        ours = np.array(flags)
        chance = float(np.prod(np.where(ours == 1, share, 1 - share)))
        values = np.exp(arm_e_process(ours, share, side))
        kept += chance * values
        reached = np.flatnonzero(values >= 1.3)
        stopped += chance * values[reached[0] if reached.size else -1]
    assert kept == pytest.approx(np.ones(9))
    assert stopped == pytest.approx(1)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(("ours", "theirs"), [(0, 15), (7, 7), (40, 60), (60, 40), (120, 180), (430, 570)])
def test_at_equal_exposure_it_is_the_beta_mixture(side: str, ours: int, theirs: int) -> None:
    flags = np.repeat([1, 0], [ours, theirs])
    found = arm_e_process(flags, np.full(flags.size, 0.5), side)[-1]
    assert found == pytest.approx(closed_form(ours, ours + theirs, side), abs=1e-6)


def test_at_changing_exposure_it_is_the_integral() -> None:
    random = np.random.default_rng(5)
    share = random.uniform(0.05, 0.6, 80)
    ours = random.random(80) < share * 0.6

    def integrand(part: float) -> float:
        odds = part / (1 - part)
        ratio = np.prod(np.where(ours, odds, 1.0) / (share * odds + 1 - share))
        return float(ratio * 2 * stats.beta.pdf(part, 10, 10))

    assert arm_e_process(ours, share)[-1] == pytest.approx(math.log(quad(integrand, 0, 0.5)[0]), abs=1e-6)


@given(conversions, st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_it_starts_at_one_ignores_order_and_names_of_the_arms(rows: list[tuple[int, float]], shuffler: object) -> None:
    ours, share = (np.array(column) for column in zip(*rows, strict=True))
    found = arm_e_process(ours, share)
    assert found.size == len(rows) + 1
    assert found[0] == 0
    assert arm_e_process(1 - ours, 1 - share, "better") == pytest.approx(found)
    shuffler.shuffle(rows)  # type: ignore[attr-defined]
    moved = arm_e_process(*zip(*rows, strict=True))
    assert moved[-1] == pytest.approx(found[-1])


def test_no_conversion_and_a_lone_arm_say_nothing() -> None:
    assert arm_e_process([], []).tolist() == [0.0]
    assert arm_e_process([1, 0, 1], [1.0, 0.0, 1.0]) == pytest.approx(np.zeros(4))


def daily_looks(runs: int, ours: float, theirs: float, side: str, seed: int) -> np.ndarray:
    """The first of 60 days, at 46 leads an arm and day, on which alpha 5% is reached; 61 for none."""
    random, first = np.random.default_rng(seed), np.full(runs, 61)
    for run in range(runs):
        a, b = random.binomial(46, ours, 60), random.binomial(46, theirs, 60)
        flags = np.repeat(np.tile([1, 0], 60), np.column_stack([a, b]).ravel())
        looks = arm_e_process(flags, np.full(flags.size, 0.5), side)[np.cumsum(a + b)]
        reached = np.flatnonzero(looks >= math.log(20))
        first[run] = reached[0] + 1 if reached.size else 61
    return first


def test_daily_looks_alarm_seldom_on_equal_arms_and_soon_on_worse_ones() -> None:
    healthy = daily_looks(2000, 0.0456, 0.0456, "worse", 1)
    assert (healthy <= 60).mean() <= 0.05
    assert (daily_looks(500, 0.0456, 0.0456, "different", 2) <= 60).mean() <= 0.05
    halved, silent = daily_looks(300, 0.0228, 0.0456, "worse", 3), daily_looks(100, 0, 0.0456, "worse", 4)
    assert (halved <= 60).mean() >= 0.96
    assert np.median(halved) <= 21
    assert np.median(silent) <= 7
    assert np.median(daily_looks(200, 0.0684, 0.0456, "better", 5)) <= 37


@given(st.lists(st.integers(0, 2), max_size=60), st.permutations([0.2, 0.3, 0.5]))
@settings(max_examples=40, deadline=None)
def test_a_sample_ratio_e_value_is_the_product_of_predictions(leads: list[int], plan: list[float]) -> None:
    counts, log = np.zeros(3), 0.0
    for lead in leads:
        log += math.log((100 * plan[lead] + counts[lead]) / (100 + counts.sum()) / plan[lead])
        counts[lead] += 1
    assert sample_ratio_e_value(counts, plan) == pytest.approx(log, abs=1e-9)


def test_uneven_arms_are_found_and_even_ones_left_alone() -> None:
    random, runs = np.random.default_rng(6), 500
    even = np.cumsum(random.multinomial(93, [0.1, 0.9], size=(runs, 60)), axis=1)
    alarms = [any(sample_ratio_e_value(day, [0.1, 0.9]) >= math.log(20) for day in run[::3]) for run in even]
    assert np.mean(alarms) <= 0.05
    assert sample_ratio_e_value([5100, 4900], [0.5, 0.5]) < 0 < sample_ratio_e_value([5300, 4700], [0.5, 0.5])
    assert sample_ratio([0, 0, 0], [0.2, 0.3, 0.5]) == 1.0
    assert sample_ratio([30, 31, 45], [0.2, 0.3, 0.5]) == pytest.approx(
        stats.chisquare([30, 31, 45], 106 * np.array([0.2, 0.3, 0.5])).pvalue
    )


series = st.lists(st.tuples(st.integers(0, 9), st.floats(0, 9)), min_size=1, max_size=12)


@given(series)
@settings(max_examples=50, deadline=None)
def test_a_shortfall_is_the_sum_over_starts_and_multipliers(days: list[tuple[int, float]]) -> None:
    observed, expected = (np.array(column) for column in zip(*days, strict=True))
    found = shortfall_e_detector(observed, expected)
    for day in range(len(days)):
        ratios = [
            math.prod(part**x * math.exp((1 - SLACK) * e * (1 - part)) for x, e in days[first : day + 1])
            for first in range(day + 1)
            for part in MULTIPLIERS
        ]
        assert found[day] == pytest.approx(math.log(sum(ratios) / len(MULTIPLIERS)), abs=1e-8)
    assert (shortfall_e_detector(observed + 1, expected) < found).all()
    assert (shortfall_e_detector(observed, expected + 1) > found).all()


def test_a_healthy_detector_counts_the_days_on_average() -> None:
    counts = np.arange(60)
    first, second = (stats.poisson.pmf(counts, mean * (1 - SLACK)) for mean in (3.0, 8.0))
    pairs = np.stack(np.meshgrid(counts, counts, indexing="ij"), axis=-1)
    values = np.exp(shortfall_e_detector(pairs, [3.0, 8.0]))
    assert first @ values[:, :, 1] @ second == pytest.approx(2)
    assert first @ values[:, 0, 0] == pytest.approx(1)
    sums = np.exp(shortfall_e_detector(pairs, [3.0, 8.0]))[:, :, 1]
    rare = [stats.binom.pmf(counts, 59, mean * (1 - SLACK) / 59) for mean in (3.0, 8.0)]
    assert rare[0] @ sums @ rare[1] < 2


def test_many_series_are_each_their_own() -> None:
    observed = np.random.default_rng(8).poisson(4, (2, 3, 30))
    found = shortfall_e_detector(observed, np.full(30, 4.0))
    assert found[1, 2] == pytest.approx(shortfall_e_detector(observed[1, 2], np.full(30, 4.0)))
    assert np.isfinite(shortfall_e_detector(np.zeros(5000), np.full(5000, 50.0))).all()
    assert np.isfinite(shortfall_e_detector(np.full(5000, 90), np.full(5000, 50.0))).all()


WINDOW = 120
SHOWN = (1 - 0.1 ** (np.arange(WINDOW + 1) / 43)) / (1 - 0.1 ** (WINDOW / 43))


def watched(years: int, days: int, leads: int, rates: np.ndarray, promise: float, seed: int) -> np.ndarray:
    """The detector over contact days, on each day, when the leads of each day convert late at their own rate."""
    random = np.random.default_rng(seed)
    found = random.binomial(leads, rates, (years, days))
    run, start = (np.repeat(place, found[found > 0]) for place in np.nonzero(found))
    end = start + np.searchsorted(SHOWN, random.random(run.size))
    counts, statistic = np.zeros((years, days)), np.zeros((years, days))
    for day in range(days):
        np.add.at(counts, (run[end == day], start[end == day]), 1)
        since = max(0, day - 150)
        due = leads * promise * SHOWN[np.minimum(day - np.arange(since, day + 1), WINDOW)]
        statistic[:, day] = shortfall_e_detector(counts[:, since : day + 1], due)[:, -1]
    return statistic


def pages(statistic: np.ndarray) -> float:
    """Pages in a run: the threshold is reached, and not again before the statistic fell by a factor of e."""
    total = 0
    for run in statistic:
        firing = False
        for value in run:
            total += not firing and value >= YEARLY_THRESHOLD
            firing = value >= YEARLY_THRESHOLD - firing
    return total / len(statistic)


def days_to_find(statistic: np.ndarray) -> float:
    reached = statistic >= YEARLY_THRESHOLD
    return float(np.median(np.where(reached.any(axis=1), reached.argmax(axis=1) + 1, 999)))


def test_a_healthy_year_is_not_paged_and_a_halved_rate_is_found_within_25_days() -> None:
    healthy = np.full(365, 0.0456)
    assert pages(watched(30, 365, 93, healthy, 0.0456, 9)) < 0.5
    assert pages(watched(30, 365, 93, healthy, 0.0456 * 1.1, 10)) < 1
    assert days_to_find(watched(60, 60, 93, healthy[:60] / 2, 0.0456, 11)) < 25
    fallen = np.where(np.arange(210) < 150, 0.0456, 0.0228)
    assert days_to_find(watched(30, 210, 93, fallen, 0.0456, 12)[:, 150:]) < 25


def test_the_best_tenth_alone_is_not_paged_either_and_takes_longer() -> None:
    assert pages(watched(30, 365, 9, np.full(365, 0.0965), 0.0965, 13)) < 0.6
    assert days_to_find(watched(60, 100, 9, np.full(100, 0.0965 / 2), 0.0965, 14)) < 50


@pytest.mark.parametrize(
    "call",
    [
        lambda: arm_e_process([1], [0.0]),
        lambda: arm_e_process([0], [1.0]),
        lambda: arm_e_process([2], [0.5]),
        lambda: arm_e_process([1, 0], [0.5]),
        lambda: arm_e_process([1], [1.5]),
        lambda: arm_e_process([1], [0.5], "other"),
        lambda: arm_e_process([], [0.5]),
        lambda: sample_ratio_e_value([1], [1.0]),
        lambda: sample_ratio_e_value([1, -1], [0.5, 0.5]),
        lambda: sample_ratio([1, 1.5], [0.5, 0.5]),
        lambda: sample_ratio([1, 1], [0.5, 0.4]),
        lambda: sample_ratio([1, 1], [1.0, 0.0]),
        lambda: shortfall_e_detector([], []),
        lambda: shortfall_e_detector(1, 1),
        lambda: shortfall_e_detector([1, 2], [1]),
        lambda: shortfall_e_detector([-1], [1]),
        lambda: shortfall_e_detector([1], [math.nan]),
        lambda: shortfall_e_detector([1], [1], multipliers=(1.0,)),
        lambda: shortfall_e_detector([1], [1], multipliers=()),
        lambda: shortfall_e_detector([1], [1], slack=1.0),
    ],
)
def test_invalid_input_is_refused_with_what_was_wanted(call: object) -> None:
    with pytest.raises(ValueError, match="wanted"):
        call()  # type: ignore[operator]
