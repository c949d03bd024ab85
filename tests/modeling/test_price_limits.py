"""Limits of price forecasts: the return is tested and not the level, nothing is clipped, blending must pay."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foregate.modeling.price_limits import (
    blend_gain,
    blended,
    extreme,
    extreme_level,
    incoherent,
    outside,
)
from foregate.modeling.volatility import ewma, over_horizon

HORIZONS = (5, 21, 63, 126)
shapes = st.tuples(st.integers(1, 4), st.integers(1, 30))


def walk(seed: int, days: int = 4000) -> Any:
    return 4 + np.cumsum(0.015 * np.random.default_rng(seed).normal(size=days))


def foresight(y: Any) -> Any:
    """Forecasts that come true: what a check of forecasts must let pass as often as chance has it."""
    found = np.full((len(HORIZONS), y.size), math.nan)
    for row, horizon in enumerate(HORIZONS):
        found[row, :-horizon] = y[horizon:] - y[:-horizon]
    return found


def test_the_level_rule_fails_a_random_walk_ever_more_often_and_the_return_rule_does_not() -> None:
    by_level, by_return, unchanged = [], [], []
    for seed in range(6):
        y = walk(seed)
        m, spread = foresight(y), over_horizon(ewma(y), y, HORIZONS)
        known = slice(400, y.size - 126)
        by_level.append(extreme_level(np.exp(y), np.exp(y + m))[:, known].mean(axis=1))
        unchanged.append(extreme_level(np.exp(y), np.exp(y)[None])[:, known].mean())
        by_return.append(extreme(m, spread)[:, known].mean(axis=1))
    level, implied = np.mean(by_level, axis=0), np.mean(by_return, axis=0)
    assert (np.diff(level) > 0.01).all()
    assert level[0] > 0.015
    assert level[3] > 0.12
    assert (implied < 0.012).all()
    # No change at all is flagged on days on which the price has merely gone somewhere.
    assert 0.01 < np.mean(unchanged) < 0.04
    assert not extreme(np.zeros_like(m), spread).any()


def test_a_trending_price_fails_the_level_rule_while_a_mad_forecast_fails_the_return_rule() -> None:
    days = np.arange(1500.0)
    y = 4 + np.where(days < 800, 0.0, (days - 800) * 0.01) + 0.001 * np.sin(days)
    assert extreme_level(np.exp(y), np.exp(y)[None])[0, 805:850].all()
    calm = walk(1)
    spread = over_horizon(ewma(calm), calm, HORIZONS)
    mad = np.zeros_like(spread)
    mad[:, 1000] = 4 * spread[:, 1000]
    assert np.argwhere(extreme(mad, spread)).tolist() == [[row, 1000] for row in range(4)]
    assert not extreme(mad, spread, limit=5).any()


@given(st.integers(0, 10**6), shapes, st.floats(0.1, 10))
@settings(max_examples=40, deadline=None)
def test_flags_do_not_depend_on_the_unit_of_return(seed: int, shape: tuple[int, int], unit: float) -> None:
    rng = np.random.default_rng(seed)
    m, spread = rng.normal(0, 3, shape), np.cumsum(rng.random(shape) + 0.1, axis=0)
    power = 2.0 ** round(math.log2(unit))
    assert np.array_equal(extreme(m, spread), extreme(power * m, power * spread))
    assert np.array_equal(extreme(m, spread), np.abs(m / spread) > 3)
    assert np.array_equal(extreme(m, spread), extreme(-m, spread))
    assert np.array_equal(incoherent(m, spread), incoherent(power * m, power * spread))
    assert incoherent(m, spread).shape == (shape[0] - 1, shape[1])


@given(st.integers(0, 10**6), st.integers(0, 499))
@settings(max_examples=20, deadline=None)
def test_later_prices_move_no_earlier_flag(seed: int, day: int) -> None:
    rng = np.random.default_rng(seed)
    price = np.exp(walk(seed, 500))
    told = price * np.exp(rng.normal(0, 0.2, (2, 500)))
    changed, other = price.copy(), told.copy()
    changed[day + 1 :] *= 7
    other[:, day + 1 :] *= 3
    before, after = extreme_level(price, told, days=60), extreme_level(changed, other, days=60)
    assert np.array_equal(before[:, : day + 1], after[:, : day + 1])


def test_the_level_rule_is_its_formula_and_waits_for_its_days() -> None:
    price = np.exp(walk(2, 200))
    told = np.exp(walk(3, 200))[None]
    found = extreme_level(price, told, days=50, limit=1.5)
    assert not found[:, :49].any()
    for day in range(49, 200):
        recent = price[day - 49 : day + 1]
        assert found[0, day] == (abs(told[0, day] - recent.mean()) > 1.5 * recent.std(ddof=1))
    assert not extreme_level(price[:20], told[:, :20], days=50).any()


def test_what_is_not_there_is_not_flagged() -> None:
    gone = np.full((2, 5), math.nan)
    ones = np.ones((2, 5))
    assert not extreme(gone, ones).any()
    assert not extreme(ones, gone).any()
    assert not incoherent(gone, ones).any()
    assert not outside(gone, 20, 120).any()
    assert not extreme_level(np.arange(5.0), gone, days=3).any()


def test_bounds_flag_and_never_clip_and_a_negative_price_is_told() -> None:
    price = np.array([[-36.98, 18.86, 20.0, 145.0]])
    before = price.copy()
    assert outside(price, 20, 120).tolist() == [[True, True, False, True]]
    assert outside(price, low=-100).tolist() == [[False] * 4]
    assert outside(price, high=120).tolist() == [[False, False, False, True]]
    assert not outside(price).any()
    assert np.array_equal(price, before)
    with pytest.raises(ValueError, match="below the high"):
        outside(price, 120, 20)


@given(st.integers(0, 10**6), shapes, st.floats(0.01, 1))
@settings(max_examples=40, deadline=None)
def test_blending_pulls_the_flagged_towards_no_change_and_leaves_the_others(
    seed: int, shape: tuple[int, int], share: float
) -> None:
    rng = np.random.default_rng(seed)
    m, flags = rng.normal(size=shape), rng.random(shape) < 0.4
    found = blended(m, flags, share)
    assert np.array_equal(found[~flags], m[~flags])
    assert found[flags] == pytest.approx((1 - share) * m[flags])


def test_the_gain_of_blending_tells_noise_from_foresight() -> None:
    rng = np.random.default_rng(5)
    flags = rng.random((2, 600)) < 0.3
    came = 0.05 * rng.normal(size=(2, 600))
    came[1, -20:] = math.nan
    noise = np.where(flags, 0.2, 0.0) * rng.choice([-1, 1], (2, 600))
    pays = blend_gain(came, noise, flags, (1, 5))
    assert all(one.ratio.high < 1 for one in pays)
    assert [one.rows for one in pays] == [600, 580]
    known = ~np.isnan(came[1])
    assert pays[1].flagged == flags[1, known].sum()
    assert pays[1].loss_as_is == pytest.approx(np.abs(came - noise)[1, known].mean())
    assert pays[1].loss_blended == pytest.approx(np.abs(came - blended(noise, flags))[1, known].mean())
    seen = np.where(np.isnan(came), 0.0, came) + np.where(flags, 0.2, 0.0)
    costs = blend_gain(seen, np.where(flags, 0.2, 0.0), flags, (1, 5))
    assert all(one.ratio.low > 1 for one in costs)


def test_the_gain_where_nothing_is_flagged_or_known_and_with_a_scale() -> None:
    rng = np.random.default_rng(6)
    came, m = rng.normal(size=(2, 50)), rng.normal(size=(2, 50))
    same = blend_gain(came, m, np.zeros((2, 50), dtype=bool), (1, 5))
    assert [one.ratio[:3] for one in same] == [(1.0, 1.0, 1.0)] * 2
    nothing = blend_gain(np.full((1, 50), math.nan), m[:1], np.ones((1, 50), dtype=bool), (1,))[0]
    assert nothing.rows == 0
    assert math.isnan(nothing.loss_as_is)
    assert nothing.ratio[1:3] == (0.0, math.inf)
    doubled = blend_gain(came, m, np.ones((2, 50), dtype=bool), (1, 5), spread=np.full((2, 50), 2.0))
    plain = blend_gain(came, m, np.ones((2, 50), dtype=bool), (1, 5))
    assert doubled[0].loss_as_is == pytest.approx(plain[0].loss_as_is / 2)


def test_horizons_of_one_price_agree_and_a_jump_between_them_is_found() -> None:
    y = walk(7)
    m, spread = foresight(y), over_horizon(ewma(y), y, HORIZONS)
    known = slice(400, y.size - 126)
    assert (incoherent(m, spread)[:, known].mean(axis=1) < 0.012).all()
    # The seed's own log: 48.2, 43.8, 44.8 and 57.0 from a price of 50.04.
    logged = np.log(np.array([48.2, 43.8, 44.8, 57.0]) / 50.04)[:, None]
    calm = 0.01 * np.sqrt(np.array(HORIZONS, dtype=float))[:, None]
    assert incoherent(logged, calm, limit=2).tolist() == [[True], [False], [True]]
    assert incoherent([[0.0], [0.001]], [[0.02], [0.02]]).tolist() == [[True]]


def test_odd_input_is_refused() -> None:
    ones = np.ones((1, 4))
    for limit in (0.0, -1.0, math.inf):
        for check in (extreme, incoherent):
            with pytest.raises(ValueError, match="limit"):
                check(ones, ones, limit)
    with pytest.raises(ValueError, match="limit"):
        extreme_level(np.arange(4.0), ones, days=2, limit=0.0)
    with pytest.raises(ValueError, match="spread has shape"):
        extreme(ones, np.ones((2, 4)))
    with pytest.raises(ValueError, match=r"wanted \[H, T\]"):
        extreme_level(np.arange(3.0), ones)
    with pytest.raises(ValueError, match="as many"):
        blended(ones, np.ones((1, 3)))
    with pytest.raises(ValueError, match="share"):
        blended(ones, ones, 0.0)
    with pytest.raises(ValueError, match="2 horizons"):
        blend_gain(ones, ones, ones, (1, 2))
