"""The rate from stage to stage: no look-ahead, drift noticed, fallbacks in words, published only when mature."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from foregate.metrics.survival import cumulative_incidence, kaplan_meier
from foregate.modeling.cohorts import Cohorts
from foregate.modeling.conversion import Conversion, fit_conversion

CHANNEL = np.array([0, 0, 1])
entities = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 90), st.integers(-1, 60)), max_size=60)


def cohorts_of(rows: list[tuple[int, int, int]], origin: int = 90) -> Cohorts:
    series, entered, delay = (np.array([row[at] for row in rows], np.int64) for at in range(3))
    converted = np.where((delay < 0) | (entered + delay > origin), -1, entered + delay)
    return Cohorts(series, entered, converted, origin, CHANNEL)


def simulated(seed: int, rate_of_day: NDArray[np.float64], scale: float = 18.0) -> Cohorts:
    """Four a day with a Weibull delay, the rate of each day of entry given."""
    rng = np.random.default_rng(seed)
    entered = np.repeat(np.arange(rate_of_day.size), rng.poisson(4.0, rate_of_day.size))
    delay = np.floor(scale * rng.weibull(0.9, entered.size)).astype(int)
    delay[rng.random(entered.size) >= rate_of_day[entered]] = -1
    return cohorts_of([(0, int(e), int(d)) for e, d in zip(entered, delay, strict=True)], rate_of_day.size - 1)


@given(entities, entities, st.integers(20, 70))
@settings(max_examples=20, deadline=None)
def test_what_happens_after_the_origin_changes_nothing(
    rows: list[tuple[int, int, int]], others: list[tuple[int, int, int]], origin: int
) -> None:
    before = [row for row in rows if row[1] <= origin]
    # The same past: later entries differ, and whoever was open at the origin converts at another time or never.
    shifted = [
        (s, e, d if 0 <= d <= origin - e else max(-1, d - 7 if d - 7 > origin - e else -1)) for s, e, d in before
    ]
    told = cohorts_of(rows).known_at(origin)
    retold = cohorts_of(shifted + [row for row in others if row[1] > origin]).known_at(origin)
    order, reorder = (np.lexsort((c.converted, c.entered, c.series)) for c in (told, retold))
    assert np.array_equal(told.converted[order], retold.converted[reorder])
    first, second = (
        fit_conversion(Cohorts(c.series[at], c.entered[at], c.converted[at], c.origin, c.channel)).to_json()
        for c, at in ((told, order), (retold, reorder))
    )
    assert first == second


@given(entities)
@settings(max_examples=20, deadline=None)
def test_any_cohorts_give_rates_in_their_intervals_and_a_rising_completeness(rows: list[tuple[int, int, int]]) -> None:
    told = fit_conversion(cohorts_of(rows))
    for series in range(3):
        found = told.rate(series)
        assert 0 <= found.low <= found.value <= found.high <= 1
        shown = told.published(series)
        assert shown.is_completed == (shown.completeness < 0.9)
        assert 0 <= shown.estimate.low <= shown.estimate.value <= shown.estimate.high <= 1
    assert (np.diff(told.completeness(np.arange(800))) >= 0).all()
    assert told.completeness(told.mature_days(0.7))[0] >= 0.7 - 1e-9
    drawn = told.draw(np.random.default_rng(1), 20)
    assert ((drawn.rates >= 0) & (drawn.rates <= 1)).all()
    assert np.isfinite(drawn.shown).all()


@given(entities)
@settings(max_examples=20, deadline=None)
def test_a_series_rate_lies_between_its_own_and_its_channels(rows: list[tuple[int, int, int]]) -> None:
    told = fit_conversion(cohorts_of(rows))
    hits, misses = (side[0] for side in told.own)
    parent, counted = told.parents, hits + misses
    own = np.where(counted > 0.5, hits / np.maximum(counted, 1e-9), parent)
    slack = 0.5 / np.maximum(counted + 1, 1)  # the half hit and half miss that `own` was weighed against
    assert (told.rates >= np.minimum(own - slack, parent) - 1e-6).all()
    assert (told.rates <= np.maximum(own + slack, parent) + 1e-6).all()


def test_kaplan_meier_agrees_where_it_can_look() -> None:
    seen = simulated(1, np.full(400, 0.55))
    told = fit_conversion(seen, half_life=math.inf)
    watched = np.where(seen.is_converted, seen.converted - seen.entered, seen.ages)
    curve = kaplan_meier(watched, seen.is_converted)
    for age in (7, 30, 90):
        assert told.rate(0).value * told.completeness(age)[0] == pytest.approx(
            cumulative_incidence(curve, age), abs=0.02
        )


def test_a_rate_that_moved_is_followed_and_a_constant_one_keeps_all_its_evidence() -> None:
    moved = np.where(np.arange(500) < 330, 0.3, 0.6)
    for seed in range(3):
        told, all_days = (fit_conversion(simulated(seed, moved), half_life) for half_life in (None, math.inf))
        assert told.half_life == 60
        assert "counts half after 60 days" in told.words[-1]
        assert abs(told.rate(0).value - 0.6) < abs(all_days.rate(0).value - 0.6)
    constant = [fit_conversion(simulated(seed, np.full(300, 0.55))).half_life for seed in range(8)]
    assert constant.count(math.inf) >= 7


def test_evidence_on_a_drifting_rate_fades_ahead() -> None:
    told = fit_conversion(simulated(1, np.full(200, 0.5)), half_life=60)
    near, far = (np.std(told.draw(np.random.default_rng(1), 3000, ahead).rates[:, 0]) for ahead in (0, 120))
    assert 1.5 * near < far < 2.5 * near
    constant = fit_conversion(simulated(1, np.full(200, 0.5)), half_life=math.inf)
    same, still = (constant.draw(np.random.default_rng(1), 50, ahead).rates for ahead in (0, 120))
    assert np.array_equal(same, still)


def test_a_rate_is_published_as_counted_only_when_mature() -> None:
    rows = [(0, 0, 3 if n < 30 else -1) for n in range(100)] + [(1, 88, 1 if n < 20 else -1) for n in range(100)]
    rows += [(0, day, day % 9) for day in range(40)]
    told = fit_conversion(cohorts_of(rows))
    old, young, nobody = (told.published(series) for series in range(3))
    assert (old.is_completed, old.estimate.value, old.words) == (False, 0.5, "70 of 140, counted")
    assert young.is_completed
    assert young.estimate.value > 0.25
    assert young.words.startswith("20 of 100 so far, completed: ")
    assert (nobody.is_completed, nobody.words) == (True, "no entries: its channel's rate")
    assert nobody.estimate.rows == 0
    assert nobody.estimate.high - nobody.estimate.low > old.estimate.high - old.estimate.low


@pytest.mark.parametrize(
    ("rows", "origin", "said"),
    [
        ([], 90, "no entries: rates are a guess between 0 and 1"),
        ([(0, day, -1) for day in range(90)], 90, "no conversions: rates are known from above only"),
        ([(0, 90, -1)] * 40, 90, "0 conversions, fewer than 50"),
        ([(0, day, 0) for day in range(90)], 90, "every day counts the same"),
        ([(0, day, 0) for day in range(30)], 90, "30 conversions, fewer than 50"),
        ([(0, day, 85) for day in range(90)], 90, "6 conversions, fewer than 50"),
        ([(0, day, 1) for day in range(60)], 60, "too few past days to tell whether the rate drifts"),
    ],
    ids=["nobody", "never", "all today", "all at once", "few", "longer than the history", "short"],
)
def test_a_fallback_is_said_in_words(rows: list[tuple[int, int, int]], origin: int, said: str) -> None:
    told = fit_conversion(cohorts_of(rows, origin))
    assert any(said in words for words in told.words)
    assert np.isfinite(told.rates).all()
    assert all(math.isfinite(part) for part in told.rate(0))


def test_zero_of_three_hundred_is_known_from_above() -> None:
    found = fit_conversion(cohorts_of([(0, day % 60, -1) for day in range(300)], 700)).rate(0)
    assert found.value < 0.004
    assert 0.005 < found.high < 0.03


def test_a_conversion_goes_through_json_and_back() -> None:
    for half_life in (60.0, math.inf):
        told = fit_conversion(simulated(2, np.full(120, 0.5)), half_life)
        back = Conversion.from_json(json.loads(json.dumps(told.to_json())))
        assert back.to_json() == told.to_json()
        assert back.half_life == half_life
        assert back.rate(0) == told.rate(0)
        first, second = (one.draw(np.random.default_rng(3), 30, ahead=10) for one in (told, back))
        assert np.array_equal(first.rates, second.rates)


@pytest.mark.parametrize("half_life", [0.0, -1.0, math.nan])
def test_a_half_life_that_is_none_is_refused(half_life: float) -> None:
    with pytest.raises(ValueError, match="half-life"):
        fit_conversion(cohorts_of([]), half_life)
