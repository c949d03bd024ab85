"""Cohort and period rates: every entry once, young cohorts completed, ratios of two cohorts called what they are."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foregate.modeling.cohorts import Cohorts
from foregate.modeling.conversion import fit_conversion
from foregate.modeling.conversion_report import cohort_rates, period_rates

rows = st.lists(st.tuples(st.integers(0, 90), st.integers(-1, 60)), max_size=40)


def cohorts_of(found: list[tuple[int, int]], origin: int = 90) -> Cohorts:
    entered, delay = (np.array([row[at] for row in found], np.int64) for at in (0, 1))
    converted = np.where((delay < 0) | (entered + delay > origin), -1, entered + delay)
    return Cohorts(np.zeros(entered.size, np.int64), entered, converted, origin, np.array([0]))


def steady(seed: int, days: int = 300) -> Cohorts:
    rng = np.random.default_rng(seed)
    entered = np.repeat(np.arange(days), rng.poisson(4.0, days))
    delay = np.where(rng.random(entered.size) < 0.55, 18 * rng.weibull(0.9, entered.size), -1).astype(int)
    return cohorts_of(list(zip(entered.tolist(), delay.tolist(), strict=True)), days - 1)


@given(rows, st.integers(1, 40))
@settings(max_examples=25, deadline=None)
def test_periods_are_a_loops_and_lose_nobody(found: list[tuple[int, int]], length: int) -> None:
    seen = cohorts_of(found)
    cohorts, periods = cohort_rates(seen, length), period_rates(seen, length)
    assert [(one.first, one.last) for one in cohorts] == [(one.first, one.last) for one in periods]
    assert cohorts[-1].last == 90
    for one, other in zip(cohorts, periods, strict=True):
        mine = (seen.entered >= one.first) & (seen.entered <= one.last)
        assert (one.entries, one.conversions) == (mine.sum(), (mine & seen.is_converted).sum())
        assert other.conversions == sum(one.first <= day <= one.last for day in seen.converted if day >= 0)
        assert one.completed.low <= one.completed.value <= one.completed.high
        assert 0 <= one.completeness <= 1 + 1e-9
        assert (one.raw is None) == (one.entries == 0)
        assert other.entries == 0 or other.ratio.low <= other.ratio.value <= other.ratio.high
    assert sum(one.entries for one in cohorts) == seen.entered.size
    assert sum(one.conversions for one in cohorts) == sum(one.conversions for one in periods)


def test_young_cohorts_look_bad_until_they_are_completed() -> None:
    raw, completed, covered = [], [], []
    for seed in range(15):
        found = cohort_rates(steady(seed), 30)
        youngest, oldest = found[-1], found[0]
        assert oldest.is_mature
        assert not youngest.is_mature
        assert oldest.raw is not None
        assert youngest.raw is not None
        assert oldest.completed.value == pytest.approx(oldest.raw.value, abs=0.02)
        raw.append(youngest.raw.value)
        completed.append(youngest.completed.value)
        covered += [one.completed.low <= 0.55 <= one.completed.high for one in found]
    assert np.mean(raw) < 0.35
    assert np.mean(completed) == pytest.approx(0.55, abs=0.04)
    assert np.mean(covered) >= 0.9


def test_a_younger_cohort_is_known_less() -> None:
    found = cohort_rates(steady(3), 30)
    widths = [(one.completed.high - one.completed.low) * math.sqrt(one.entries) for one in found]
    assert widths[-1] > 1.3 * widths[0]
    assert [one.completeness for one in found] == sorted((one.completeness for one in found), reverse=True)


def test_a_known_conversion_is_used_as_it_is() -> None:
    seen = steady(4)
    assert cohort_rates(seen, 30) == cohort_rates(seen, 30, fit_conversion(seen, half_life=math.inf))


def test_a_period_ratio_may_pass_one_and_has_no_value_without_entries() -> None:
    found = period_rates(cohorts_of([(1, 6)] * 3 + [(6, 1)] * 2 + [(20, -1)], origin=20), 5)
    assert [(one.entries, one.conversions) for one in found] == [(3, 0), (2, 5), (0, 0), (1, 0)]
    assert found[1].ratio.value == 2.5
    assert found[1].ratio.low < 1 < 2.5 < found[1].ratio.high
    assert math.isnan(found[2].ratio.value)
    assert found[2].ratio.high == math.inf


def test_a_period_of_no_days_is_refused() -> None:
    with pytest.raises(ValueError, match="days of a period"):
        cohort_rates(cohorts_of([]), 0)
