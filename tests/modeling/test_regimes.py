"""Regimes: thresholds of the past alone, hysteresis, a fallback that shows, and filtered hidden states."""

import itertools
import math
from datetime import date
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from foregate.modeling.regimes import (
    Chain,
    expanding_quantile,
    filtered,
    hidden_regime,
    improved,
    threshold_regime,
    transitions,
    weekly_changes,
)


def indicator(seed: int, days: int = 900) -> Any:
    """A wandering positive indicator, as VIX is."""
    rng = np.random.default_rng(seed)
    found, state = np.empty(days), 0.0
    for day, shock in enumerate(rng.normal(0, 0.07, days)):
        state = 0.98 * state + shock
        found[day] = 20 * math.exp(state)
    return found


@given(st.lists(st.one_of(st.floats(-1e3, 1e3), st.just(math.nan)), min_size=1, max_size=60), st.integers(1, 5))
@settings(deadline=None)
def test_the_expanding_quantile_is_numpys_of_the_days_so_far(values: list[float], least: int) -> None:
    found = expanding_quantile(values, [0.0, 0.37, 0.8, 1.0], least)
    for day in range(len(values)):
        known = [value for value in values[: day + 1] if value == value]
        wanted = np.quantile(known, [0.0, 0.37, 0.8, 1.0]) if len(known) >= least else [math.nan] * 4
        assert found[:, day] == pytest.approx(wanted, rel=1e-9, abs=1e-9, nan_ok=True)


@given(st.integers(0, 10**6), st.integers(0, 898))
@settings(max_examples=20, deadline=None)
def test_later_days_move_neither_state_nor_threshold(seed: int, day: int) -> None:
    one, own = indicator(seed), indicator(seed + 1)
    one[:400] = math.nan
    other, own_other = one.copy(), own.copy()
    other[day + 1 :] *= 5
    own_other[day + 1 :] *= 5
    found, later = threshold_regime(one, own), threshold_regime(other, own_other)
    for name in ("state", "level", "enter", "leave", "fell_back"):
        assert np.array_equal(
            getattr(found, name)[: day + 1],
            getattr(later, name)[: day + 1],
            equal_nan=name in ("level", "enter", "leave"),
        )


@given(st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_a_state_stays_ten_days_and_moves_only_across_its_thresholds(seed: int) -> None:
    found = threshold_regime(indicator(seed))
    changes = np.flatnonzero(np.diff(found.state)) + 1
    known = changes[found.state[changes - 1] >= 0]
    assert found.transitions == known.size
    assert (np.diff(changes) >= 10).all()
    entered, left = known[found.state[known] == 1], known[found.state[known] == 0]
    assert (found.level[entered] > found.enter[entered]).all()
    assert (found.level[left] < found.leave[left]).all()
    assert (found.enter >= found.leave)[found.state >= 0].all()


def test_hysteresis_leaves_fewer_changes_than_one_threshold() -> None:
    both = [threshold_regime(indicator(seed, 4000)).transitions for seed in range(4)]
    alone = [threshold_regime(indicator(seed, 4000), shares=(0.8, 0.8), stay_days=0).transitions for seed in range(4)]
    assert sum(both) < 0.9 * sum(alone)


def test_the_whole_samples_quantile_would_have_looked_ahead() -> None:
    rising = indicator(3, 3000) * np.linspace(1, 3, 3000)
    found = threshold_regime(rising)
    ahead = np.quantile(rising, 0.8)
    early = slice(300, 1500)
    assert (found.state[early] == 1).mean() > 0.15
    assert (found.level[early] > ahead).mean() < 0.05


def test_a_missing_indicator_falls_back_and_says_so() -> None:
    own, vix = indicator(1), indicator(2)
    vix[:300] = math.nan
    vix[700:760] = math.nan
    found, alone = threshold_regime(vix, own), threshold_regime(own)
    assert (alone.state[249:540] == found.state[249:540]).all()
    assert found.fell_back[249:549].all()
    assert not found.fell_back[550:700].any()
    assert found.fell_back[715:760].any()
    without = threshold_regime(vix)
    assert (without.state[:549] == -1).all()
    assert (without.state[720:760] == -1).any()
    assert not without.fell_back.any()


def test_a_holiday_of_the_indicator_is_no_gap() -> None:
    vix = indicator(4)
    vix[::9] = math.nan
    found = threshold_regime(vix, indicator(5))
    assert not found.fell_back[300:].any()
    assert (found.state[300:] >= 0).all()


def test_weeks_count_their_changes() -> None:
    days = np.arange(np.datetime64("2025-01-01"), np.datetime64("2025-01-20"))
    state = np.zeros(19, dtype=np.int64)
    state[5:8] = 1
    found = weekly_changes(state, days)
    assert found == {date(2024, 12, 30): 0, date(2025, 1, 6): 2, date(2025, 1, 13): 0}
    assert sum(found.values()) == transitions(state)
    assert transitions([-1, 1, -1, 0, 1]) == 1
    with pytest.raises(ValueError, match="one for each"):
        weekly_changes(state, days[:-1])


def test_odd_thresholds_are_refused() -> None:
    with pytest.raises(ValueError, match="leave <= enter"):
        threshold_regime(indicator(1), shares=(0.6, 0.8))
    with pytest.raises(ValueError, match="as many"):
        threshold_regime(indicator(1), indicator(1)[:-1])
    with pytest.raises(ValueError, match="0 to 1"):
        expanding_quantile([1.0], [1.2])


CHAIN = Chain((1e-4, 9e-4), (0.95, 0.85), 0.3)


def enumerated(returns: Any, chain: Chain) -> tuple[float, Any]:
    """The likelihood and the last day's chance of high over every path of states."""
    step = np.array([[chain.stay[0], 1 - chain.stay[0]], [1 - chain.stay[1], chain.stay[1]]])
    dense = stats.norm.pdf(np.asarray(returns)[:, None], scale=np.sqrt(chain.variances))
    whole = high = 0.0
    for path in itertools.product((0, 1), repeat=len(returns)):
        chance = (1 - chain.first, chain.first)[path[0]] * dense[0, path[0]]
        for day in range(1, len(path)):
            chance *= step[path[day - 1], path[day]] * dense[day, path[day]]
        whole += chance
        high += chance * path[-1]
    return math.log(whole), high / whole


@given(st.lists(st.floats(-0.1, 0.1), min_size=1, max_size=8))
@settings(max_examples=30, deadline=None)
def test_the_filter_is_the_sum_over_all_paths(returns: list[float]) -> None:
    told, _, likelihood = filtered(returns, CHAIN)
    logarithm, last = enumerated(returns, CHAIN)
    assert likelihood == pytest.approx(logarithm, rel=1e-9, abs=1e-9)
    assert told[-1] == pytest.approx(last, rel=1e-9, abs=1e-12)


def switching(seed: int, days: int) -> tuple[Any, Any]:
    rng, state, states = np.random.default_rng(seed), 0, []
    for chance in rng.random(days):
        state = 1 - state if chance > (0.99, 0.97)[state] else state
        states.append(state)
    found = np.array(states)
    return np.array([0.01, 0.035])[found] * rng.normal(size=days), found


def test_each_step_of_the_estimation_raises_the_likelihood_and_finds_the_truth() -> None:
    returns, _ = switching(1, 4000)
    chain, before = Chain((2e-4, 4e-4), (0.9, 0.9), 0.5), -math.inf
    for _ in range(40):
        _, _, likelihood = filtered(returns, chain)
        assert likelihood >= before - 1e-6
        chain, before = improved(returns, chain), likelihood
    assert np.sqrt(chain.variances) == pytest.approx([0.01, 0.035], rel=0.06)
    assert chain.stay == pytest.approx((0.99, 0.97), abs=0.01)


def test_states_are_ordered_by_variance_whatever_the_start() -> None:
    returns, _ = switching(2, 1500)
    turned = Chain((4e-4, 2e-4), (0.9, 0.9), 0.5)
    for _ in range(20):
        turned = improved(returns, turned)
    assert turned.variances[0] < turned.variances[1]


def test_hidden_states_are_found_as_of_the_day_and_never_smoothed() -> None:
    returns, truth = switching(3, 2500)
    y = np.cumsum(np.append(0.0, returns))
    found = hidden_regime(y)
    known = found.state >= 0
    assert np.array_equal(np.flatnonzero(~known), np.arange(500))
    assert (found.state[501:] == truth[500:]).mean() > 0.9
    assert (found.deviations[0, known] < found.deviations[1, known]).all()
    assert found.transitions == transitions(found.state)
    for day in (640, 1000, 1777):
        later = y.copy()
        later[day + 1 :] += np.cumsum(np.random.default_rng(4).normal(0, 0.1, y.size - day - 1))
        changed = hidden_regime(later)
        assert np.array_equal(changed.probability[: day + 1], found.probability[: day + 1], equal_nan=True)
        assert not np.array_equal(changed.probability[day + 1 :], found.probability[day + 1 :])


def test_a_short_or_still_series_has_no_state_or_a_calm_one() -> None:
    assert (hidden_regime(np.cumsum(np.full(100, 0.01))).state == -1).all()
    still = hidden_regime(np.zeros(800))
    assert np.isfinite(still.probability[500:]).all()
