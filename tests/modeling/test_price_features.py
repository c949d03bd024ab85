"""Price features: as a plain loop has them, blind to the future, and the same however much history is given."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foregate.modeling.price_features import HISTORY_DAYS, features


def market(days: int, seed: int, holes: float = 0.0) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(seed)
    y = np.cumsum(rng.normal(0, 0.02, days))
    volatility = rng.uniform(0.01, 0.03, days)
    volatility[:20] = np.nan
    vix = 15 + np.cumsum(rng.normal(0, 0.5, days))
    vix[rng.random(days) < holes] = np.nan
    return y, volatility, vix


def naive(y: Any, volatility: Any, vix: Any, t: int) -> dict[str, float]:
    """Return the features in words, of one day, from lists."""

    def at(values: Any, day: int) -> float:
        return float(values[day]) if day >= 0 else np.nan

    def there(values: Any, days: int) -> list[float]:
        return [at(values, d) for d in range(t - days + 1, t + 1) if np.isfinite(at(values, d))]

    def told(values: Any, days: int, statistic: Callable[[list[float]], float]) -> float:
        found = there(values, days)
        return statistic(found) if 2 * len(found) >= days and np.isfinite(at(values, t)) else np.nan

    def deviation(found: list[float]) -> float:
        return float(np.std(found, ddof=1))

    def mean(found: list[float]) -> float:
        return float(np.mean(found))

    daily = [np.nan, *(at(y, d) - at(y, d - 1) for d in range(1, len(y)))]
    said = {f"return_{n}d": (at(y, t) - at(y, t - n)) / (volatility[t] * n**0.5) for n in (1, 5, 21, 63, 250)}
    said |= {f"distance_{n}d": (at(y, t) - told(y, n, mean)) / volatility[t] for n in (20, 60, 250)}
    said["volatility_ratio"] = told(daily, 21, deviation) / told(daily, 250, deviation)
    scale = told(vix, 250, deviation)
    said["vix_level"] = (at(vix, t) - told(vix, 250, mean)) / scale
    return said | {f"vix_change_{n}d": (at(vix, t) - at(vix, t - n)) / scale for n in (5, 21)}


@pytest.mark.parametrize("holes", [0.0, 0.3, 0.6])
def test_each_day_is_as_a_plain_loop_has_it(holes: float) -> None:
    y, volatility, vix = market(420, 3, holes)
    y[50] = np.nan
    found = features(y, volatility, {"vix": vix})
    for t in (0, 4, 19, 40, 50, 51, 55, 124, 125, 126, 249, 250, 251, 300, 419):
        expected = naive(y, volatility, vix, t)
        assert found.names == tuple(expected)
        assert found.values[t] == pytest.approx(np.array(list(expected.values())), nan_ok=True), t


@given(st.integers(0, 2**32 - 1), st.integers(0, 398))
@settings(max_examples=25, deadline=None)
def test_nothing_after_a_day_changes_it(seed: int, t: int) -> None:
    y, volatility, vix = market(400, 1, 0.1)
    rng = np.random.default_rng(seed)
    before = features(y, volatility, {"vix": vix}).values
    for series in (y, volatility, vix):
        series[t + 1 :] = rng.choice([np.nan, 1e6, -3.0, 0.0, np.inf], 399 - t)
    after = features(y, volatility, {"vix": vix}).values
    assert before[: t + 1].tobytes() == after[: t + 1].tobytes()


@given(st.integers(0, 2**32 - 1), st.integers(0, 400))
@settings(max_examples=25, deadline=None)
def test_a_row_is_served_from_251_days_as_it_was_trained_on(seed: int, more: int) -> None:
    y, volatility, vix = market(HISTORY_DAYS + more, seed, 0.2)
    whole = features(y, volatility, {"vix": vix}).values[-1]
    short = features(y[more:], volatility[more:], {"vix": vix[more:]}).values[-1]
    assert whole.tobytes() == short.tobytes()


def test_what_is_not_known_stays_unknown() -> None:
    y, volatility, vix = market(600, 2)
    vix[:300] = np.nan
    vix[-1] = np.nan
    volatility[400], volatility[401], volatility[402] = np.nan, 0.0, -1.0
    found = features(y, volatility, {"vix": vix, "gone": np.full(600, np.nan), "flat": np.full(600, 7.1)})
    column = {name: found.values[:, place] for place, name in enumerate(found.names)}
    assert np.isnan(column["vix_level"][:424]).all()
    assert np.isfinite(column["vix_level"][424:599]).all(), "125 of 250 days are told from"
    assert np.isnan(column["vix_level"][599])
    for name in ("gone_level", "gone_change_5d", "flat_level", "flat_change_21d"):
        assert np.isnan(column[name]).all(), name
    for name in ("return_5d", "distance_60d"):
        assert np.isnan(column[name][400:403]).all()
        assert np.isfinite(column[name][403:]).all()
    assert not np.isinf(found.values).any()


def test_units_of_the_price_and_of_the_others_do_not_matter() -> None:
    y, volatility, vix = market(500, 4)
    found = features(y, volatility, {"vix": vix}).values
    other = features(y + np.log(42), volatility, {"vix": 100 * vix - 9}).values
    assert other == pytest.approx(found, nan_ok=True, abs=1e-9)


def test_a_walk_has_returns_of_unit_size() -> None:
    rng = np.random.default_rng(5)
    y = np.cumsum(rng.normal(0, 0.02, 8000))
    found = features(y, np.full(8000, 0.02), {})
    sizes = dict(zip(found.names, np.nanstd(found.values, axis=0), strict=True))
    for days in (1, 5, 21, 63):
        assert sizes[f"return_{days}d"] == pytest.approx(1, abs=0.15)
    # Of a walk the last of n days is off their mean by about sqrt(n / 3).
    assert sizes["distance_60d"] == pytest.approx(np.sqrt(60 / 3), rel=0.15)
    ratios = found.values[:, found.names.index("volatility_ratio")]
    assert np.nanmean(ratios) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("days", [0, 1, 5, 250])
def test_short_histories_neither_raise_nor_warn(days: int) -> None:
    y, volatility, vix = market(300, 6)
    found = features(y[:days], volatility[:days], {"vix": vix[:days]})
    assert found.values.shape == (days, len(found.names))


def test_unequal_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match=r"vix has the shape \(9,\); wanted \(10,\)"):
        features(np.zeros(10), np.ones(10), {"vix": np.zeros(9)})
    with pytest.raises(ValueError, match="volatility"):
        features(np.zeros(10), np.ones(11), {})
    with pytest.raises(ValueError, match="y has the shape"):
        features(np.zeros((2, 5)), np.ones(10), {})
