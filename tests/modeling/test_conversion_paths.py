"""Paths of the next stage: conservation, a naive loop, and coverage of what a simulated funnel then did."""

import math
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from foregate.modeling import conversion_paths as module
from foregate.modeling.cohorts import Cohorts
from foregate.modeling.conversion import Conversion, Drawn, fit_conversion
from foregate.modeling.conversion_paths import conversion_paths

CHANNEL = np.array([0, 1])
RATE, SIMULATIONS, DAYS, HORIZON, DRAWS = 0.55, 100, 240, 90, 200
entities = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 60), st.integers(-1, 60)), max_size=40)


class Fixed:
    """A conversion whose rates and delay are known: every draw is the truth."""

    def __init__(self, rates: list[float], shown: NDArray[np.float64], channel: NDArray[np.int64] = CHANNEL) -> None:
        self.rates, self.shown, self.channel = np.array(rates), shown, channel
        self.delay = type("Limited", (), {"limit": shown.size - 1})

    def draw(self, rng: np.random.Generator, draws: int, ahead: float = 0.0) -> Drawn:
        del rng, ahead
        return Drawn(np.tile(self.rates, (draws, 1)), np.tile(self.shown, (draws, 1)))


def cohorts_of(rows: list[tuple[int, int, int]], origin: int = 60) -> Cohorts:
    series, entered, delay = (np.array([row[at] for row in rows], np.int64) for at in range(3))
    converted = np.where((delay < 0) | (entered + delay > origin), -1, entered + delay)
    return Cohorts(series, entered, converted, origin, CHANNEL)


def known(rates: list[float], shown: NDArray[np.float64]) -> Conversion:
    return Fixed(rates, shown)  # type: ignore[return-value]


@given(entities, st.integers(1, 40), st.integers(0, 5), st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_nobody_converts_twice(rows: list[tuple[int, int, int]], horizon: int, most: int, seed: int) -> None:
    seen, rng = cohorts_of(rows), np.random.default_rng(seed)
    upstream = rng.integers(0, most + 1, (7, 2, horizon))
    paths = conversion_paths(fit_conversion(seen, half_life=math.inf), seen, upstream, rng)
    still = np.bincount(seen.series[~seen.is_converted], minlength=2)
    assert paths.dtype == np.int32
    assert paths.shape == upstream.shape
    assert (paths >= 0).all()
    assert (paths.cumsum(axis=2) <= still[:, None] + upstream.cumsum(axis=2)).all()


def test_each_day_gets_what_a_loop_over_hazards_says() -> None:
    shown = np.array([0.1, 0.1, 0.4, 0.7, 0.95, 1.0])
    seen = cohorts_of([(0, 60, -1)] * 3 + [(0, 58, -1)] * 2 + [(1, 57, -1)] * 4 + [(1, 20, -1)] * 9 + [(0, 59, 1)])
    upstream = np.zeros((40_000, 2, 4), int)
    upstream[:, 0, 1], upstream[:, 1, 0] = 6, 2
    rates, shares = [0.5, 0.9], np.diff(shown, prepend=0.0)
    expected = np.zeros((2, 4))
    for series, age, n in ((0, 0, 3), (0, 2, 2), (1, 3, 4), (0, -2, 6), (1, -1, 2)):
        before = shown[age] if age >= 0 else 0.0
        for day in range(4):
            if 0 <= (delay := age + 1 + day) < shares.size:
                expected[series, day] += n * rates[series] * shares[delay] / (1 - rates[series] * before)
    paths = conversion_paths(known(rates, shown), seen, upstream, np.random.default_rng(1))
    assert paths.mean(axis=0) == pytest.approx(expected, abs=0.02)
    # Given rate and delay each entity is one yes or no: no more spread than that.
    assert (paths.var(axis=0) <= expected + 0.05).all()
    assert (paths.sum(axis=2).var(axis=0) < paths.sum(axis=2).mean(axis=0)).all()


def test_all_that_can_convert_does_and_nothing_else() -> None:
    at_once, late = np.ones(9), np.concatenate([np.zeros(8), [1.0]])
    seen = cohorts_of([(0, 60, -1)] * 5 + [(1, 55, -1)] * 3 + [(1, 40, -1)])
    upstream = np.full((3, 2, 6), 2)
    first = conversion_paths(known([1.0, 1.0], at_once), seen, upstream, np.random.default_rng(1))
    assert np.array_equal(first, upstream)
    later = conversion_paths(known([1.0, 1.0], late), seen, upstream, np.random.default_rng(1))
    assert later[0].tolist() == [[0, 0, 0, 0, 0, 0], [0, 0, 3, 0, 0, 0]]
    assert conversion_paths(known([0.0, 0.0], at_once), seen, upstream, np.random.default_rng(1)).sum() == 0


def test_memory_is_bounded_without_changing_what_is_expected(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = cohorts_of([(day % 2, day, -1) for day in range(60)])
    shown = np.linspace(0.05, 1, 100)
    upstream = np.ones((3000, 2, 10), int)
    whole = conversion_paths(known([0.4, 0.6], shown), seen, upstream, np.random.default_rng(1))
    monkeypatch.setattr(module, "AT_ONCE", 2000)
    parts = conversion_paths(known([0.4, 0.6], shown), seen, upstream, np.random.default_rng(1))
    assert parts.mean(axis=0) == pytest.approx(whole.mean(axis=0), abs=0.06)


def test_moves_send_conversions_elsewhere_and_lose_none() -> None:
    seen, shown = cohorts_of([(0, 60, -1)] * 50), np.linspace(0.1, 1, 20)
    upstream, moves = np.full((2000, 2, 5), 3), np.array([[0.5, 0.2, 0.3], [0.0, 1.0, 0.0]])
    stay = conversion_paths(known([0.5, 0.5], shown), seen, upstream, np.random.default_rng(1))
    move = conversion_paths(known([0.5, 0.5], shown), seen, upstream, np.random.default_rng(1), moves)
    assert move.shape == (2000, 3, 5)
    assert np.array_equal(move.sum(axis=1), stay.sum(axis=1))
    assert move.mean(axis=0) == pytest.approx(moves.T @ stay.mean(axis=0), rel=0.05, abs=0.04)
    here = conversion_paths(known([0.5, 0.5], shown), seen, upstream, np.random.default_rng(1), np.eye(2))
    assert np.array_equal(here, stay)


@pytest.mark.parametrize(
    ("upstream", "moves", "said"),
    [
        (np.ones((2, 3, 4), int), None, "the cohorts 2 series and the conversion"),
        (np.ones((2, 4), int), None, "wanted"),
        (np.ones((2, 2, 0), int), None, "wanted"),
        (-np.ones((2, 2, 4), int), None, "no counts"),
        (np.ones((2, 2, 4)), None, "no counts"),
        (np.ones((2, 2, 4), int), np.eye(3), "the moves have shape"),
        (np.ones((2, 2, 4), int), np.array([[1.5, -0.5], [0, 1]]), "shares of at least 0"),
        (np.ones((2, 2, 4), int), np.array([[0.5, 0.4], [0, 1]]), "does not sum to 1"),
    ],
)
def test_what_is_no_path_is_refused(upstream: NDArray[np.int64], moves: NDArray[np.float64] | None, said: str) -> None:
    seen = cohorts_of([(0, 1, 2)])
    with pytest.raises(ValueError, match=said):
        conversion_paths(fit_conversion(seen, math.inf), seen, upstream, np.random.default_rng(1), moves)


def test_the_same_seed_gives_the_same_paths() -> None:
    seen = cohorts_of([(day % 2, day % 60, day % 13 if day % 3 else -1) for day in range(200)])
    told, upstream = fit_conversion(seen), np.ones((20, 2, 30), int)
    first, second = (conversion_paths(told, seen, upstream, np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(first, second)


class Outcome(NamedTuple):
    naive: float
    rate: float
    covered_rate: bool
    foretold: float
    happened: int
    place: float


def simulated(seed: int) -> Outcome:
    """One funnel of forecasting_methods.md 1f, its next 90 days foretold from the true entries of those days."""
    rng = np.random.default_rng(seed)
    entered = np.repeat(np.arange(DAYS + HORIZON), rng.poisson(4.0, DAYS + HORIZON))
    delay = np.floor(18.0 * rng.weibull(0.9, entered.size)).astype(int)
    converted = np.where(rng.random(entered.size) < RATE, entered + delay, -1)
    past, origin = entered < DAYS, DAYS - 1
    seen = Cohorts(
        np.zeros(int(past.sum()), int), entered[past], np.where(converted > origin, -1, converted)[past], origin, [0]
    )  # type: ignore[arg-type]
    upstream = np.bincount(entered[~past] - DAYS, minlength=HORIZON)
    happened = int(((converted > origin) & (converted < DAYS + HORIZON)).sum())
    told = fit_conversion(seen, half_life=math.inf, limit=365)
    paths = conversion_paths(told, seen, np.broadcast_to(upstream, (DRAWS, 1, HORIZON)), rng)
    totals, recent, rate = paths.sum(axis=(1, 2)), seen.entered > origin - 60, told.rate(0)
    return Outcome(
        float(seen.is_converted[recent].mean()),
        rate.value,
        rate.low <= RATE <= rate.high,
        float(totals.mean()),
        happened,
        float(np.mean(totals < happened) + rng.random() * np.mean(totals == happened)),
    )


@pytest.fixture(scope="module")
def outcomes() -> list[Outcome]:
    return [simulated(seed) for seed in range(SIMULATIONS)]


def test_the_recent_ratio_is_far_too_low_and_the_matured_rate_is_right(outcomes: list[Outcome]) -> None:
    assert np.mean([one.naive for one in outcomes]) == pytest.approx(0.393, abs=0.01)
    rates = np.array([one.rate for one in outcomes])
    assert abs(rates.mean() - RATE) < 0.006
    assert rates.std() < 0.02
    assert 0.9 <= np.mean([one.covered_rate for one in outcomes]) <= 0.99


def test_ninety_days_are_foretold_without_bias_and_inside_the_interval(outcomes: list[Outcome]) -> None:
    foretold, happened = (sum(getattr(one, name) for one in outcomes) for name in ("foretold", "happened"))
    assert abs(foretold / happened - 1) < 0.03
    places = np.array([one.place for one in outcomes])
    assert 0.9 <= np.mean((places > 0.025) & (places < 0.975)) <= 0.99
    assert stats.kstest(places, "uniform").pvalue > 0.05
