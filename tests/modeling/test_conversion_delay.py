"""The delay against a naive table, the product limit, simulated truths, and cohorts that leave it next to nothing."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from foregate.metrics.maturity import delay_curve
from foregate.modeling.cohorts import Cohorts
from foregate.modeling.conversion_delay import LIMIT, ConversionDelay, fit_delay, table_of

ONE = np.array([0])
rows = st.lists(st.tuples(st.integers(0, 60), st.integers(-1, 80)), max_size=40)


def cohorts_of(entered: NDArray[np.int64], delays: NDArray[np.int64], origin: int) -> Cohorts:
    """Entities with the delay they will have, negative for never, cut at the origin."""
    there = entered <= origin
    entered, delays = entered[there], delays[there]
    converted = np.where((delays < 0) | (entered + delays > origin), -1, entered + delays)
    return Cohorts(np.zeros(entered.size, np.int64), entered, converted, origin, ONE)


def listed(found: list[tuple[int, int]], origin: int = 60) -> Cohorts:
    entered, delays = (np.array([row[at] for row in found], np.int64) for at in (0, 1))
    return cohorts_of(entered, delays, origin)


def simulated(seed: int, rate: NDArray[np.float64], delay: NDArray[np.float64], days: int) -> Cohorts:
    rng = np.random.default_rng(seed)
    entered = np.sort(rng.integers(0, days, delay.size))
    delays = np.where(rng.random(delay.size) < rate, np.floor(delay), -1).astype(np.int64)
    return cohorts_of(entered, delays, days - 1)


@given(rows, st.integers(1, 70))
@settings(max_examples=60, deadline=None)
def test_the_table_counts_each_conversion_among_those_it_could_be_seen_with(
    found: list[tuple[int, int]], limit: int
) -> None:
    seen = [(60 - entered, delay) for entered, delay in found if 0 <= delay <= 60 - entered]
    table = table_of(listed(found), limit)
    capped = [(min(age, limit), min(delay, limit)) for age, delay in seen]
    assert table.at.tolist() == [sum(delay == day for _, delay in capped) for day in range(limit + 1)]
    assert table.among.tolist() == [sum(delay <= day <= age for age, delay in capped) for day in range(limit + 1)]


@given(rows)
@settings(max_examples=25, deadline=None)
def test_completeness_rises_to_one_and_so_does_every_draw(found: list[tuple[int, int]]) -> None:
    told = fit_delay(listed(found), limit=100)
    drawn = told.draw(np.random.default_rng(1), 20)
    for curve in (told.delay.shown[None], drawn):
        assert (np.diff(curve, axis=1) >= 0).all()
        assert (curve >= 0).all()
        assert (curve[:, -1] == 1).all()


def test_the_expected_curve_is_the_mean_of_its_draws() -> None:
    told = fit_delay(simulated(1, np.full(600, 0.5), 18 * np.random.default_rng(2).weibull(0.9, 600), 200))
    drawn = told.draw(np.random.default_rng(3), 4000)
    assert drawn.mean(axis=0) == pytest.approx(told.delay.shown, abs=0.01)


def test_many_matured_conversions_speak_for_themselves() -> None:
    rng = np.random.default_rng(4)
    # Half convert at once, the others on one of two days a month later: nothing like a Weibull curve.
    delays = np.where(rng.random(4000) < 0.5, 0, rng.choice([30, 31], 4000))
    seen = cohorts_of(np.zeros(4000, np.int64), delays, 400)
    watched = delay_curve(delays, np.ones(4000), 100)
    assert fit_delay(seen).delay.shown[:101] == pytest.approx(watched.shown, abs=0.01)
    assert fit_delay(seen).strength < 100


SHAPES = {
    "weibull": lambda rng, n: 18 * rng.weibull(0.9, n),
    "lognormal": lambda rng, n: np.exp(2.5 + 0.8 * rng.normal(size=n)),
    "half at once": lambda rng, n: np.where(rng.random(n) < 0.5, 0, 30 * rng.random(n)),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_delay_is_found_though_most_cohorts_are_open_and_the_rate_doubled(shape: str) -> None:
    rng, size = np.random.default_rng(5), 6000
    delay = SHAPES[shape](rng, size)
    rising = np.where(np.arange(size) < size / 2, 0.3, 0.6)
    told = fit_delay(simulated(6, rising, delay, 120))
    truth = np.array([(np.floor(delay) <= age).mean() for age in (1, 7, 14, 30, 60)])
    assert told.delay.shown_by([1, 7, 14, 30, 60]) == pytest.approx(truth, abs=0.035)


def test_draws_cover_the_true_curve() -> None:
    inside = []
    for seed in range(100):
        delay = 18 * np.random.default_rng(seed).weibull(0.9, 500)
        told = fit_delay(simulated(1000 + seed, np.full(500, 0.55), delay, 120))
        low, high = np.quantile(told.draw(np.random.default_rng(seed), 200)[:, [6, 29]], [0.025, 0.975], axis=0)
        truth = 1 - np.exp(-(((np.array([7, 30]) - 0.0) / 18) ** 0.9))
        inside.append((low <= truth) & (truth <= high))
    assert (np.mean(inside, axis=0) >= 0.9).all()


@pytest.mark.parametrize(
    ("entered", "delays", "origin"),
    [
        ([], [], 10),
        ([0] * 200, [-1] * 200, 300),
        ([9] * 40, [-1] * 40, 9),
        (list(range(300)), [0] * 300, 300),
        ([5], [0], 5),
        (list(range(200)), [199] * 200, 199),
        ([0] * 100, [LIMIT + 170] * 100, LIMIT + 300),
    ],
    ids=["nobody", "never", "all today", "all at once", "one", "longer than the history", "beyond the limit"],
)
def test_next_to_nothing_gives_a_curve_all_the_same(entered: list[int], delays: list[int], origin: int) -> None:
    told = fit_delay(cohorts_of(np.array(entered, np.int64), np.array(delays, np.int64), origin))
    drawn = told.draw(np.random.default_rng(1), 50)
    assert np.isfinite(drawn).all()
    assert np.isfinite(told.delay.shown).all()
    assert bool(told.words) == (told.events < 50)
    if told.events < 50:
        assert f"{told.events} conversions, fewer than 50" in told.words[0]


def test_a_delay_that_is_always_the_same_leaves_nothing_for_later() -> None:
    told = fit_delay(cohorts_of(np.arange(200), np.full(200, 60), 199))
    assert told.delay.shown_by([58, 60]) == pytest.approx([0, 1], abs=0.05)


def test_fewer_conversions_are_less_sure_of_the_curve() -> None:
    delay = 18 * np.random.default_rng(7).weibull(0.9, 2000)
    spreads = []
    for size in (40, 400, 2000):
        told = fit_delay(simulated(8, np.full(size, 0.9), delay[:size], 150))
        spreads.append(float(np.std(told.draw(np.random.default_rng(9), 400)[:, 20])))
    assert spreads[0] > 1.5 * spreads[1] > 1.5 * spreads[2] > 0


def test_a_curve_goes_through_json_and_back() -> None:
    told = fit_delay(simulated(10, np.full(300, 0.5), 18 * np.random.default_rng(11).weibull(0.9, 300), 100))
    back = ConversionDelay.from_json(json.loads(json.dumps(told.to_json())))
    assert np.array_equal(back.draw(np.random.default_rng(1), 5), told.draw(np.random.default_rng(1), 5))
    assert math.isclose(back.strength, told.strength)
    assert back.words == told.words


def test_a_limit_below_a_day_is_refused() -> None:
    with pytest.raises(ValueError, match="days of the limit"):
        fit_delay(listed([]), limit=0)
