"""The count filter: no look-ahead, near the oracle where the truth is known, honest spread, awkward histories."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from bench.count_models import HORIZON, World, losses, simulated
from hypothesis import given, settings
from hypothesis import strategies as st

from foregate.metrics.forecast import randomised_pit
from foregate.modeling.count_days import weekday_factors, without_bursts
from foregate.modeling.count_levels import Following
from foregate.modeling.counts import COUNT_FILTER, CountFilter, Filtered
from foregate.modeling.series import History, grouped

LAST = date(2025, 3, 5)
ORIGINS = tuple(range(449, 702, 28))


def history(
    counts: np.ndarray, born: list[int] | None = None, died: list[int] | None = None, segments: list[int] | None = None
) -> History:
    series, days = counts.shape
    births = np.zeros(series, dtype=np.int64) if born is None else np.array(born)
    deaths = np.full(series, days) if died is None else np.array(died)
    return History(counts.astype(np.int64), LAST, births, deaths, np.array(segments or [0] * series))


def eventful(seed: int = 3) -> History:
    """Return 9 series in 3 segments over 150 days, with births, deaths, weekdays and bursts."""
    rng = np.random.default_rng(seed)
    counts = rng.poisson(rng.gamma(2, 1.0, (9, 1)) * (1 + (np.arange(150) % 7 < 5)), (9, 150))
    counts[rng.integers(0, 9, 12), rng.integers(0, 150, 12)] += 60
    born, died = [0, 0, 0, 70, 100, 0, 118, 0, 150], [150, 90, 150, 150, 130, 150, 150, 121, 150]
    return history(counts, born, died, [0, 0, 1, 1, 1, 2, 2, 0, 2])


@pytest.fixture(scope="module")
def worlds() -> list[tuple[World, Filtered]]:
    found = [simulated(seed) for seed in (1, 2, 4)]
    return [(world, COUNT_FILTER.filtered(world.history)) for world in found]


@pytest.fixture(scope="module")
def passed() -> Filtered:
    return COUNT_FILTER.filtered(eventful())


@pytest.mark.parametrize("day", [0, 1, 6, 27, 28, 69, 70, 118, 149])
def test_one_pass_gives_every_origin_what_filtering_anew_would(passed: Filtered, day: int) -> None:
    whole = passed.history
    cut = COUNT_FILTER.filtered(whole.until(day))
    assert passed.levels.level[: day + 1] == pytest.approx(cut.levels.level, rel=1e-9)
    assert passed.factors[: day + 2] == pytest.approx(cut.factors, rel=1e-9)
    anew = cut.paths(day, 40, 60, np.random.default_rng(5))
    assert np.array_equal(passed.paths(day, 40, 60, np.random.default_rng(5)), anew)


@given(st.integers(0, 10_000), st.integers(1, 148))
@settings(max_examples=6, deadline=None)
def test_nothing_that_comes_later_changes_a_forecast(passed: Filtered, seed: int, day: int) -> None:
    rng = np.random.default_rng(seed)
    whole = passed.history
    other = whole.counts.copy()
    other[:, day + 1 :] = rng.poisson(rng.gamma(1, 9, (9, 1)), other[:, day + 1 :].shape)
    born = np.where(whole.born > day, rng.integers(day + 1, 151, 9), whole.born)
    died = np.where(whole.died > day, rng.integers(day + 1, 151, 9), whole.died)
    changed = replace(whole, counts=other, born=born, died=died)
    one = passed.paths(day, 9, 30, np.random.default_rng(seed))
    assert np.array_equal(one, COUNT_FILTER.filtered(changed).paths(day, 9, 30, np.random.default_rng(seed)))


def test_it_is_within_three_percent_of_the_oracle_on_days_and_near_it_on_sums(
    worlds: list[tuple[World, Filtered]],
) -> None:
    def mean(paths: str) -> np.ndarray:
        found = []
        for world, filtered in worlds:
            oracle = paths == "oracle"
            forecast = (
                (lambda o, rng, w=world: w.oracle(o, rng, 200))
                if oracle
                else (lambda o, rng, f=filtered: f.paths(o, HORIZON, 200, rng))
            )
            found.append(losses(world.history, forecast, ORIGINS))
        return np.concatenate(found).mean(axis=0)

    ratio = mean("filter") / mean("oracle")
    assert ratio[0] < 1.03
    assert ratio[1] < 1.15
    assert ratio[2] < 1.35
    assert ratio[3] < 1.5


def test_sums_of_four_weeks_fall_where_they_should_at_every_level(worlds: list[tuple[World, Filtered]]) -> None:
    rng = np.random.default_rng(8)
    pits: dict[str, list[np.ndarray]] = {"series": [], "segment": [], "total": []}
    for world, filtered in worlds:
        known = world.history
        for origin in ORIGINS:
            drawn = filtered.paths(origin, HORIZON, 200, rng).sum(axis=2, dtype=np.int64)
            came = known.counts[:, origin + 1 : origin + 1 + HORIZON].sum(axis=1)
            pits["series"].append(randomised_pit(drawn, came, rng))
            parts = grouped(drawn, known.segments, known.super_segments, 1)
            pits["segment"].append(randomised_pit(parts, grouped(came, known.segments, known.super_segments), rng))
            pits["total"].append(np.atleast_1d(randomised_pit(drawn.sum(axis=1), came.sum(), rng)))
    for level, (half, most) in {"series": (0.05, 0.025), "segment": (0.10, 0.05), "total": (0.25, 0.15)}.items():
        away = np.abs(np.concatenate(pits[level]) - 0.5)
        assert np.mean(away < 0.25) == pytest.approx(0.5, abs=half), level
        assert np.mean(away < 0.475) == pytest.approx(0.95, abs=most), level


def test_a_level_without_forgetting_is_the_gamma_posterior_mean() -> None:
    rng = np.random.default_rng(9)
    one = history(rng.poisson(4.0, (1, 40)))
    plain = CountFilter(follow=Following(half_lives=(np.inf,)))
    found = plain.filtered(one)
    assert found.levels.level[-1, 0] == pytest.approx(one.counts.mean(), rel=0.01)
    assert found.levels.events[-1, 0] == pytest.approx(one.counts.sum() + 1)


def test_weekdays_are_learned_and_chance_is_not_taken_for_them() -> None:
    rng = np.random.default_rng(10)
    weekdays = np.arange(350) % 7
    share = np.array([1.5, 1.5, 1.5, 1.5, 1.0, 0.0, 0.0])
    found = weekday_factors(np.vstack([rng.poisson(5 * share[weekdays]), rng.poisson(0.3, 350)]), weekdays)[-1]
    assert found[0] == pytest.approx(share, abs=0.15)
    assert found[1] == pytest.approx(np.ones(7), abs=0.25)
    assert found.mean(axis=1) == pytest.approx([1, 1])


def test_a_burst_does_not_lift_the_level_but_stays_in_what_is_expected() -> None:
    rng = np.random.default_rng(11)
    counts = rng.poisson(3.0, (1, 118))
    with_burst = counts.copy()
    with_burst[0, 110] += 500
    plain, struck = (COUNT_FILTER.filtered(history(c)) for c in (counts, with_burst))
    assert struck.levels.level[-1, 0] < 1.5 * plain.levels.level[-1, 0]
    assert without_bursts(history(with_burst), 4.0)[0, 110] < 40
    drawn = struck.paths(117, 28, 2_000, np.random.default_rng(1))
    assert drawn.mean() - plain.means(117, 28).mean() == pytest.approx(500 / 117, rel=0.4)
    assert drawn.max() >= 450


def test_a_lasting_rise_is_no_burst() -> None:
    rng = np.random.default_rng(12)
    counts = np.hstack([rng.poisson(2.0, (1, 100)), rng.poisson(20.0, (1, 40))])
    found = COUNT_FILTER.filtered(history(counts))
    assert found.means(139, 28).mean() == pytest.approx(20, rel=0.25)


def test_a_series_that_ends_takes_its_share_of_the_total_with_it() -> None:
    rng = np.random.default_rng(13)
    counts = rng.poisson(np.array([[20.0], [2.0], [5.0]]), (3, 200))
    counts[0, 195:] = 0
    one = history(counts, died=[195, 200, 200], segments=[0, 0, 1])
    expected = COUNT_FILTER.filtered(one).means(199, 28).mean(axis=1)
    assert expected[0] == 0
    assert expected[1:] == pytest.approx([2.0, 5.0], rel=0.3)


def test_a_series_that_begins_starts_as_its_siblings_and_takes_nothing_from_them() -> None:
    rng = np.random.default_rng(14)
    counts = rng.poisson(2.0, (5, 120))
    counts[4, :119] = 0
    counts[4, 119] = 2
    expected = COUNT_FILTER.filtered(history(counts, born=[0, 0, 0, 0, 119])).means(119, 28).mean(axis=1)
    assert expected[4] == pytest.approx(2.0, rel=0.5)
    assert expected[:4] == pytest.approx(counts[:4].mean(axis=1), rel=0.3)


def test_series_that_move_together_are_forecast_together() -> None:
    rng = np.random.default_rng(15)
    walk = np.exp(np.cumsum(rng.normal(0, 0.05, (1, 400)), axis=1))
    together = history(rng.poisson(10 * np.repeat(walk, 6, axis=0)))
    drawn = COUNT_FILTER.paths(together, 28, 800, rng).sum(axis=2).astype(np.float64)
    correlation = np.corrcoef(drawn.T)[np.triu_indices(6, 1)].mean()
    alone = history(rng.poisson(10 * np.exp(np.cumsum(rng.normal(0, 0.05, (6, 400)), axis=1))))
    apart = np.corrcoef(COUNT_FILTER.paths(alone, 28, 800, rng).sum(axis=2).astype(np.float64).T)
    assert correlation > 0.5 > abs(apart[np.triu_indices(6, 1)].mean()) + 0.1


def test_the_expected_counts_are_the_mean_of_the_paths() -> None:
    filtered = COUNT_FILTER.filtered(simulated(5).history)
    drawn = filtered.paths(700, 14, 3_000, np.random.default_rng(2))
    assert drawn.sum(axis=(1, 2)).mean() == pytest.approx(filtered.means(700, 14).sum(), rel=0.05)


def awkward() -> dict[str, History]:
    rng = np.random.default_rng(16)
    burst = rng.poisson(0.2, (2, 90))
    burst[0, 80] = 1_000_000
    return {
        "all zero": history(np.zeros((3, 100)), segments=[0, 0, 2]),
        "one series": history(rng.poisson(0.1, (1, 200))),
        "one day": history(rng.poisson(2, (2, 1))),
        "one empty day": history(np.zeros((2, 1))),
        "born in the last week": history(rng.poisson(1, (2, 40)), born=[0, 36]),
        "born today": history(np.array([[0, 0, 7]]), born=[2]),
        "not yet born": history(rng.poisson(1, (2, 40)), born=[0, 40]),
        "none born": history(np.zeros((2, 9)), born=[9, 9]),
        "all dead": history(rng.poisson(1, (2, 40)), died=[20, 39]),
        "a segment dies and is born again": history(
            rng.poisson(3, (3, 80)), born=[0, 0, 60], died=[80, 40, 80], segments=[0, 1, 1]
        ),
        "a huge burst": history(burst),
        "a burst on the first day": history(np.array([[900_000, 0, 0, 0]])),
        "busy": history(rng.poisson(100_000, (2, 60))),
    }


@pytest.mark.parametrize("horizon", [1, 120])
@pytest.mark.parametrize("name", list(awkward()))
def test_awkward_histories_give_counts(name: str, horizon: int) -> None:
    one = awkward()[name]
    found = COUNT_FILTER.paths(one, horizon, 40, np.random.default_rng(17))
    assert found.shape == (40, one.series, horizon)
    assert found.dtype == np.int32
    assert (found >= 0).all()
    assert not found[:, ~one.alive].any()
    filtered = COUNT_FILTER.filtered(one)
    assert np.isfinite(filtered.means(one.days - 1, horizon)).all()
    assert np.array_equal(found, COUNT_FILTER.paths(one, horizon, 40, np.random.default_rng(17)))


def test_an_empty_past_is_forecast_as_nearly_empty() -> None:
    drawn = COUNT_FILTER.paths(history(np.zeros((4, 365))), 28, 500, np.random.default_rng(18))
    assert drawn.sum(axis=(1, 2)).mean() < 0.3


def test_an_origin_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="not there"):
        COUNT_FILTER.filtered(history(np.zeros((1, 5)))).paths(5, 1, 1, np.random.default_rng(1))
