"""Volatility: known on the day, sane after a mad day, the variance of a horizon, and the loss that ranks it."""

import csv
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from foregate.core.errors import ConfigurationError
from foregate.modeling.volatility import (
    LEAST_DAYS,
    LEAST_VOLATILITY,
    bounded_returns,
    ewma,
    garch,
    over_horizon,
    qlike,
    slow,
)

WTI = Path(__file__).resolve().parents[3] / "shared" / "data" / "commodity_daily" / "wti-daily.csv"
HORIZONS = (1, 5, 21, 126)


def walk(seed: int, days: int = 300, size: float = 0.02) -> Any:
    return np.cumsum(size * np.random.default_rng(seed).standard_t(5, days))


def naive_ewma(y: Any, halflife: float) -> Any:
    """The definition, one day at a time, with weights written out."""
    found, variance, decay = [math.nan], 0.0, 0.5 ** (1 / halflife)
    for day in range(1, len(y)):
        square = (y[day] - y[day - 1]) ** 2
        if day > LEAST_DAYS:
            square = min(square, 36 * variance)
        keep = min(decay, 1 - 1 / day)
        variance = max(keep * variance + (1 - keep) * square, LEAST_VOLATILITY**2)
        found.append(math.sqrt(variance) if day >= LEAST_DAYS else math.nan)
    return np.array(found)


@given(st.integers(0, 10**6), st.floats(2, 60))
@settings(max_examples=30, deadline=None)
def test_ewma_is_its_definition_day_by_day(seed: int, halflife: float) -> None:
    y = walk(seed, 120)
    assert ewma(y, halflife) == pytest.approx(naive_ewma(y, halflife), rel=1e-9, nan_ok=True)


@given(st.integers(0, 10**6), st.integers(1, 298))
@settings(max_examples=30, deadline=None)
def test_what_comes_after_a_day_does_not_move_what_was_known_on_it(seed: int, day: int) -> None:
    y = walk(seed)
    later = y.copy()
    later[day + 1 :] += np.random.default_rng(seed).normal(0, 3, 299 - day)
    for known in (ewma, slow, lambda x: over_horizon(ewma(x), x, HORIZONS), lambda x: qlike(ewma(x), x)[..., :-1]):
        upto = day + 1 - (known(y).shape[-1] < y.size)
        assert np.array_equal(known(y)[..., :upto], known(later)[..., :upto], equal_nan=True)
    assert np.array_equal(bounded_returns(y)[:day], bounded_returns(later)[:day])


def test_one_mad_day_is_forgotten_in_a_month_and_a_real_break_is_followed_in_days() -> None:
    calm = walk(1, 400, 0.01)
    mad, broken = calm.copy(), np.append(calm, calm[-1] + np.cumsum(0.1 * np.random.default_rng(2).normal(size=30)))
    mad[300:] -= 2.0
    before, at, month = ewma(mad)[[299, 300, 322]]
    assert before < at < 1.8 * before
    assert month < 1.6 * ewma(calm)[322]
    unbounded = math.sqrt(0.061 * 2.0**2)
    assert unbounded > 30 * before
    assert ewma(broken)[399 + 5] > 3 * ewma(broken)[399]
    assert slow(mad)[-1] < 1.1 * slow(calm)[-1]


def test_the_bound_leaves_a_heavy_tailed_series_its_variance() -> None:
    assert 2 * stats.t.sf(6 * math.sqrt(2), 4) == pytest.approx(1 / 950, rel=0.01)
    days = 0.02 * np.random.default_rng(3).standard_t(4, 40_000)
    returns = bounded_returns(np.cumsum(days))
    assert np.mean(returns**2) / np.mean(days**2) > 0.9
    normal = np.cumsum(0.02 * np.random.default_rng(4).normal(size=40_000))
    assert np.array_equal(bounded_returns(normal), np.diff(normal))


def test_a_price_that_stands_still_has_a_volatility_and_gets_going_again() -> None:
    y = np.concatenate([np.zeros(300), np.cumsum(np.full(30, 0.02) * (-1.0) ** np.arange(30))])
    found = ewma(y)
    assert found[299] == LEAST_VOLATILITY
    assert found[-1] == pytest.approx(0.02, rel=0.25)
    assert (over_horizon(found, y, HORIZONS)[:, LEAST_DAYS:] > 0).all()


def test_the_variance_of_a_horizon_returns_to_the_slow_level() -> None:
    y = walk(5, 3000)
    level = slow(y)
    for now in (0.3, 1.0, 3.0):
        found = over_horizon(now * level, y, HORIZONS)
        ratio = found / level / np.sqrt(HORIZONS)[:, None]
        assert ratio[0, 50:] == pytest.approx(now)
        gaps = np.abs(ratio[:, -1] - 1)
        assert (np.diff(gaps) <= 1e-12).all()
        by_days = [level[-1] ** 2 * (1 + 0.985**i * (now**2 - 1)) for i in range(126)]
        assert found[3, -1] == pytest.approx(math.sqrt(sum(by_days)))
    flat = over_horizon(3 * level, y, HORIZONS, persistence=1)
    assert flat[:, -1] == pytest.approx(3 * level[-1] * np.sqrt(HORIZONS))


def test_qlike_is_least_at_the_true_variance() -> None:
    rng = np.random.default_rng(6)
    deviation = np.exp(rng.normal(-4, 0.5, 40_000))
    y = np.cumsum(np.append(0.0, deviation[:-1] * rng.normal(size=39_999)))
    losses = {scale: np.nanmean(qlike(scale * deviation, y)) for scale in (0.8, 1.0, 1.25)}
    assert losses[1.0] < min(losses[0.8], losses[1.25]) - 0.02
    assert np.isnan(qlike(deviation, y)[-1])


def simulated_garch(days: int) -> tuple[Any, Any]:
    rng, variance, returns, true = np.random.default_rng(7), 4e-4, [], []
    for shock in rng.standard_t(6, days) * math.sqrt(4 / 6):
        true.append(variance)
        returns.append(math.sqrt(variance) * shock)
        variance = 8e-6 + 0.1 * returns[-1] ** 2 + 0.88 * variance
    return np.cumsum([0.0, *returns]), np.sqrt([*true, variance])


def test_garch_finds_the_variance_of_its_own_kind_and_is_the_librarys_recursion() -> None:
    from arch.univariate import arch_model

    y, true = simulated_garch(1_500)
    found = garch(y, refit_days=500)
    assert np.isnan(found[:500]).all()
    assert np.abs(np.log(found[1000:] / true[1000:])).mean() < 0.08
    assert np.nanmean(qlike(found, y)[500:]) < np.nanmean(qlike(ewma(y), y)[500:])
    fitted = arch_model(100 * bounded_returns(y)[:1000], mean="Zero", dist="t", rescale=False).fit(disp="off")
    ahead = math.sqrt(fitted.forecast(horizon=1).variance.iloc[-1, 0]) / 100
    assert found[1000] == pytest.approx(ahead, rel=1e-4)


def test_garch_knows_nothing_of_later_days() -> None:
    y, _ = simulated_garch(1_100)
    later = y.copy()
    later[901:] += np.random.default_rng(8).normal(0, 0.3, 200)
    assert np.array_equal(garch(y)[:901], garch(later)[:901], equal_nan=True)
    assert not np.array_equal(garch(y)[901:], garch(later)[901:])


def test_garch_where_the_fit_fails_says_nothing_and_without_the_package_says_how(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert np.isnan(garch(walk(9, 400))).all()

    class Failing:
        def fit(self, **_: Any) -> Any:
            raise ValueError("the optimiser gave up")

    monkeypatch.setattr("foregate.modeling.volatility.library", lambda: lambda *_, **__: Failing())
    assert np.isnan(garch(walk(9, 600))).all()
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "arch.univariate", None)
    with pytest.raises(ConfigurationError, match=r"foregate\[forecast\]"):
        garch(walk(9, 600))


def test_odd_input_is_refused() -> None:
    y = walk(10, 50)
    with pytest.raises(ValueError, match="NaN"):
        ewma([0.0, math.nan, 1.0])
    for halflife in (0.0, -1.0, math.inf):
        with pytest.raises(ValueError, match="half-life"):
            ewma(y, halflife)
    with pytest.raises(ValueError, match="one for each day"):
        over_horizon(ewma(y)[:-1], y, HORIZONS)
    with pytest.raises(ValueError, match="days ahead"):
        over_horizon(ewma(y), y, [0])
    with pytest.raises(ValueError, match="persistence"):
        over_horizon(ewma(y), y, HORIZONS, persistence=1.1)
    with pytest.raises(ValueError, match="one for each day"):
        qlike(ewma(y)[:-1], y)


@pytest.mark.skipif(not WTI.is_file(), reason=f"the prices are not on this machine: no {WTI}")
def test_the_day_wti_was_negative_does_not_set_the_volatility() -> None:
    with WTI.open() as lines:
        rows = [(row["Date"], float(row["Price"])) for row in csv.DictReader(lines) if row["Price"]]
    y = np.log(np.array([price for _, price in rows]) + 50)
    day = [when for when, _ in rows].index("2020-04-20")
    found = ewma(y)
    assert rows[day][1] < -36
    assert abs(y[day] - y[day - 1]) > 40 * found[day - 1]
    assert found[day] < 1.8 * found[day - 1]
    assert slow(y)[day] < 1.15 * slow(y)[day - 1]
    unbounded = slow(y)[day - 1] ** 2 + (y[day] - y[day - 1]) ** 2 / 1443
    assert math.sqrt(unbounded) > 3 * slow(y)[day - 1]
