"""The forecasts that cost nothing: their moments, their joint days, and awkward histories."""

from datetime import date

import numpy as np
import pytest

from foregate.modeling.naive import MEAN_28, MEAN_ALL, NAIVE, SEASONAL_NAIVE, Candidate, Mean, moments
from foregate.modeling.series import History

LAST = date(2025, 3, 5)


def history(counts: np.ndarray, born: list[int] | None = None, died: list[int] | None = None) -> History:
    series, days = counts.shape
    births = np.zeros(series, dtype=np.int64) if born is None else np.array(born)
    deaths = np.full(series, days) if died is None else np.array(died)
    return History(counts.astype(np.int64), LAST, births, deaths, np.zeros(series, dtype=np.int64))


def test_the_moments_are_those_of_the_days_of_life_within_the_window() -> None:
    rng = np.random.default_rng(1)
    one = history(rng.poisson(3, (4, 50)), born=[0, 30, 49, 50], died=[50, 50, 50, 50])
    mean, excess = moments(one, 28)
    for series, first in enumerate([22, 30, 49]):
        lived = one.counts[series, first:]
        assert mean[series] == pytest.approx(lived.mean())
        spread = lived.var(ddof=1) if lived.size > 1 else 0.0
        assert excess[series] == pytest.approx(max(spread - lived.mean(), 0.0))
    assert mean[3] == excess[3] == 0


def test_a_mean_keeps_the_mean_and_the_variance_of_the_past() -> None:
    rng = np.random.default_rng(2)
    past = np.vstack([rng.negative_binomial(2, 0.25, 400), rng.poisson(0.3, 400)])
    found = MEAN_ALL.paths(history(past), 7, 4_000, np.random.default_rng(3))
    assert found.mean(axis=(0, 2)) == pytest.approx(past.mean(axis=1), rel=0.05)
    wanted = np.maximum(past.var(axis=1, ddof=1), past.mean(axis=1))
    assert found.var(axis=(0, 2)) == pytest.approx(wanted, rel=0.1)


def test_a_window_forgets_what_came_before_it() -> None:
    past = np.zeros((1, 60), dtype=np.int64)
    past[0, :32] = 50
    assert not MEAN_28.paths(history(past), 5, 50, np.random.default_rng(1)).any()


def test_the_seasonal_naive_keeps_days_whole_and_weekdays_apart() -> None:
    days = np.arange(70)
    one = history(np.vstack([days, 1000 + days]))
    found = SEASONAL_NAIVE.paths(one, 10, 200, np.random.default_rng(4))
    assert np.array_equal(found[:, 1], found[:, 0] + 1000)
    ahead = 70 + np.arange(10)
    assert ((found[:, 0] - ahead) % 7 == 0).all()
    assert found[:, 0].min() >= 70 - 56
    assert set(np.unique(found[:, 0, 0])) == set(range(14, 70, 7))


def test_a_young_series_is_drawn_from_its_own_life_alone() -> None:
    past = np.vstack([np.arange(60), np.full(60, 9)])
    past[1, :57] = 0
    found = SEASONAL_NAIVE.paths(history(past, born=[0, 57]), 14, 100, np.random.default_rng(5))
    assert (found[:, 1] == 9).all()


def awkward() -> dict[str, History]:
    rng = np.random.default_rng(6)
    burst = rng.poisson(0.2, (2, 90))
    burst[0, 80] = 1_000_000
    return {
        "all zero": history(np.zeros((3, 100))),
        "one series": history(rng.poisson(0.1, (1, 200))),
        "one day": history(rng.poisson(2, (2, 1))),
        "born in the last week": history(rng.poisson(1, (2, 40)), born=[0, 36]),
        "not yet born": history(rng.poisson(1, (2, 40)), born=[0, 40]),
        "all dead": history(rng.poisson(1, (2, 40)), died=[20, 39]),
        "a huge burst": history(burst),
    }


@pytest.mark.parametrize("horizon", [1, 120])
@pytest.mark.parametrize("name", list(awkward()))
@pytest.mark.parametrize("candidate", NAIVE, ids=lambda c: c.name)
def test_awkward_histories_give_counts(candidate: Candidate, name: str, horizon: int) -> None:
    one = awkward()[name]
    found = candidate.paths(one, horizon, 20, np.random.default_rng(7))
    assert found.shape == (20, one.series, horizon)
    assert found.dtype == np.int32
    assert (found >= 0).all()
    assert not found[:, ~one.alive].any()
    again = candidate.paths(one, horizon, 20, np.random.default_rng(7))
    assert np.array_equal(found, again)


def test_names_are_different_and_the_simpler_comes_first() -> None:
    assert len({c.name for c in NAIVE}) == len(NAIVE)
    assert [c.complexity for c in NAIVE] == sorted(c.complexity for c in NAIVE)
    assert isinstance(Mean("mean_7", 7).name, str)
