"""Who is chosen, what a race costs, how origins stand, and that levels and periods are what they say."""

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foregate.app.funnel.service import _days_needed
from foregate.cases.funnel.backtest import Race, choose
from foregate.cases.funnel.candidates import COMPLEXITY, NAIVE, candidate_of
from foregate.cases.funnel.forecasting import Followed
from foregate.cases.funnel.levels import GRAINS, Level, blocks_of, end_of, grain_of, periods, start_of
from foregate.cases.funnel.origins import days_of
from foregate.cases.funnel.scoring import COMPONENTS, losses, pits
from foregate.cases.funnel.settings import FunnelSettings
from foregate.core.evidence import Evidence, Unit
from foregate.core.rollout import Plan, Step
from foregate.metrics.forecast import crps
from foregate.modeling.counts import COUNT_FILTER
from foregate.modeling.series import History
from foregate.modeling.top_down import TOP_DOWN
from foregate.modeling.weekdays import spread_over_weekdays, weekday_shares

SETTINGS = FunnelSettings(stages={"mql": {"source": "x", "id": "i", "on": "d"}}, segments={"All": ["a"]})  # type: ignore[dict-item]


def race(better: Sequence[float], noise: float, names: Sequence[str], origins: int = 16, seed: int = 3) -> Race:
    """A race in which each further candidate loses `better` times what the naive ones lose, with noise over origins."""
    rng = np.random.default_rng(seed)
    shared = rng.uniform(0.8, 1.2, origins)
    factors = [1.0] * len(NAIVE) + list(better)
    found = np.array([f * shared * rng.normal(1, noise, origins).clip(0.1) for f in factors])
    days = tuple(date(2025, 1, 1) + timedelta(days=14 * n) for n in range(origins))
    return Race("mql", (*NAIVE, *names), days, np.repeat(found[:, :, None], len(COMPONENTS), axis=2), 2)


def test_a_candidate_that_is_better_beyond_doubt_is_chosen() -> None:
    found = choose(race([0.7], 0.05, ["count_filter"]))
    assert found.candidate == "count_filter"
    assert found.naive in NAIVE


def test_a_candidate_that_is_no_better_beyond_doubt_leaves_the_naive_one_in_place() -> None:
    found = choose(race([0.99], 0.2, ["count_filter"]))
    assert found.candidate == found.naive
    assert "the simpler one stays" in found.words


def test_of_two_that_can_not_be_told_apart_the_simpler_is_taken() -> None:
    found = choose(race([0.7, 0.7], 0.03, ["count_filter", "segment_trees"], seed=5))
    assert found.candidate == "count_filter"
    assert COMPLEXITY["count_filter"] < COMPLEXITY["segment_trees"]


def test_the_more_elaborate_is_taken_where_it_is_better_beyond_doubt() -> None:
    assert choose(race([0.8, 0.5], 0.03, ["count_filter", "segment_trees"])).candidate == "segment_trees"


def test_too_few_origins_choose_nobody_but_a_naive_one() -> None:
    assert choose(race([0.3], 0.01, ["count_filter"], origins=6)).candidate in NAIVE


def test_a_race_of_naive_ones_alone_has_a_winner() -> None:
    found = choose(race([], 0.1, []))
    assert found.candidate == found.naive
    assert found.words == "only naive ones race"


def test_the_newest_origin_has_its_outcomes_complete_and_the_last_are_sealed() -> None:
    as_of = date(2025, 10, 31)
    found = days_of(as_of, SETTINGS)
    assert found.sealed[-1] == as_of - timedelta(days=SETTINGS.score_days)
    assert len(found.open) + len(found.sealed) == SETTINGS.origins
    assert max(found.open) < min(found.sealed)
    assert found.window == f"{found.sealed[0]}..{as_of - timedelta(days=1)}"


@given(st.dates(date(2023, 1, 1), date(2026, 12, 31)), st.integers(1, 120))
def test_periods_cover_every_day_once_in_each_grain(first: date, horizon: int) -> None:
    for grain in GRAINS:
        own = [one for one in periods(first, horizon) if one.grain == grain]
        columns = [n for one in own for n in range(one.first, one.until)]
        assert columns == list(range(horizon))
        for one in own:
            assert one.start <= first + timedelta(days=one.first)
            assert first + timedelta(days=one.until - 1) <= one.end
            assert start_of(one.end, grain) == one.start
            assert end_of(one.start, grain) == one.end


@given(st.integers(1, 200))
def test_a_longer_sum_is_never_calibrated_by_a_shorter_grain(days: int) -> None:
    assert GRAINS.index(grain_of(days)) <= GRAINS.index(grain_of(days + 1))
    for grain in GRAINS:
        blocks = blocks_of(grain, days)
        assert [b.start for b in blocks] == sorted({b.start for b in blocks})
        assert all(b.stop <= days for b in blocks)


def test_losses_are_the_crps_of_a_plain_loop() -> None:
    rng = np.random.default_rng(1)
    paths, actual = rng.poisson(2, (50, 4, 6)), rng.poisson(2, (4, 6))
    of = (
        Level("source", tuple("abcd"), np.arange(4)),
        Level("segment", ("x", "y"), np.array([0, 0, 1, 1])),
        Level("total", ("all",), np.zeros(4, dtype=np.int64)),
    )
    found = losses(paths, actual, of)
    by_day = np.mean([crps(paths[:, s, d], actual[s, d]) for s in range(4) for d in range(6)])
    total = float(crps(paths.sum(axis=(1, 2)), actual.sum()))
    segments = [crps(paths[:, s : s + 2].sum(axis=(1, 2)), actual[s : s + 2].sum()) for s in (0, 2)]
    assert found[0] == pytest.approx(by_day)
    assert found[2:] == pytest.approx([float(np.mean(segments)), total])


def test_where_nothing_can_happen_and_nothing_did_there_is_nothing_to_calibrate() -> None:
    paths, actual = np.zeros((20, 2, 14), dtype=np.int64), np.zeros((2, 14), dtype=np.int64)
    paths[:, 0] = 1
    actual[0] = 1
    of = (Level("source", ("a", "b"), np.arange(2)),)
    found = pits(paths, actual, of, 0, np.random.default_rng(1))
    assert found["source", "day"].values.size == 14
    assert found["source", "week"].values.size == 2
    assert ("source", "month") not in found


def history(days: int = 200, series: int = 3) -> History:
    rng = np.random.default_rng(7)
    counts = rng.poisson(1.5, (series, days)).astype(np.int64)
    zero, end = np.zeros(series, dtype=np.int64), np.full(series, days)
    return History(counts, date(2025, 10, 30), zero, end, np.array([0, 0, 1])[:series])


def test_one_pass_over_a_history_forecasts_as_cutting_it_would() -> None:
    full = history()
    followed = Followed.of("count_filter", full)
    assert followed is not None
    early = full.until(150)
    assert followed.begins_with(early)
    once = followed.paths(150, 10, 50, np.random.default_rng(2))
    assert np.array_equal(once, COUNT_FILTER.paths(early, 10, 50, np.random.default_rng(2)))
    late = History(early.counts.copy(), early.last, early.born, early.died, early.segments)
    late.counts[0, 3] += 1
    assert not followed.begins_with(late), "what came late is another past, and is followed anew"


def test_top_down_paths_sum_to_totals_that_were_drawn_and_dead_series_stay_dead() -> None:
    alive = history()
    gone = History(alive.counts, alive.last, alive.born, np.array([200, 120, 200]), alive.segments)
    gone.counts[1, 120:] = 0
    paths = TOP_DOWN.paths(gone, 14, 60, np.random.default_rng(4))
    assert paths.shape == (60, 3, 14)
    assert paths.min() >= 0
    assert paths[:, 1].sum() == 0


@given(st.integers(0, 6), st.integers(1, 20))
def test_weeks_keep_their_sums_when_they_are_dealt_to_their_days(first: int, days: int) -> None:
    rng = np.random.default_rng(days)
    paths = rng.poisson(2, (10, 2, days)).astype(np.int32)
    shares = np.array([0.3, 0.2, 0.2, 0.2, 0.1, 0.0, 0.0])
    dealt = spread_over_weekdays(paths, first, shares, rng)
    for start in range(0, days, 7):
        part = slice(start, start + 7)
        assert np.array_equal(dealt[..., part].sum(axis=-1), paths[..., part].sum(axis=-1))
    weekend = [n for n in range(days - days % 7) if (first + n) % 7 >= 5]
    assert dealt[..., weekend].sum() == 0


def test_weekday_shares_sum_to_one_and_know_a_quiet_weekend() -> None:
    quiet = history(364)
    weekend = quiet.weekdays(0) >= 5
    quiet.counts[:, weekend] = 0
    shares = weekday_shares(quiet)
    assert shares.sum() == pytest.approx(1)
    assert shares[5:].max() < 0.02 < shares[:5].min()


@pytest.mark.parametrize("name", sorted(set(COMPLEXITY) - {"conversion", "trailing_rate"}))
def test_every_candidate_draws_counts_for_the_days_asked(name: str) -> None:
    paths = candidate_of(name).paths(history(), 9, 20, np.random.default_rng(1))
    assert paths.shape == (20, 3, 9)
    assert paths.dtype == np.int32
    assert paths.min() >= 0


def test_a_shadow_too_short_for_its_margin_is_said_in_days() -> None:
    plan = Plan((Step(0.0, 28),), margin=0.2)
    told = [
        Evidence("champion_loss_ratio", 1.0, 8, date(2025, 10, 31), "x", 1 - w, 1 + w, Unit.RATIO, "mql")
        for w in (0.0, 0.2, 9)
    ]
    same, close, wide = (_days_needed(one, plan, 28) for one in told)
    assert same == 28, "forecasts that are the same are told as soon as the first is scored"
    assert 28 < close < wide
    unknown = Evidence("champion_loss_ratio", 1.0, 8, date(2025, 10, 31), "x", 0.0, float("inf"), Unit.RATIO, "mql")
    assert _days_needed(unknown, plan, 28) == 10_000
