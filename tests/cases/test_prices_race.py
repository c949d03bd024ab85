"""Who combines, which origins may choose, and the alarms that only a leak sets off."""

from dataclasses import replace
from datetime import date
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foregate.cases.prices.alarms import alarms
from foregate.cases.prices.combining import Choice, choose, combined, extremes, followed
from foregate.cases.prices.origins import split
from foregate.cases.prices.quotes import Market, Quotes, Values
from foregate.cases.prices.scoring import covered, inside, naive_errors, relative_mae
from foregate.cases.prices.settings import Exogenous, PricesSettings, Series
from foregate.cases.prices.tracks import Track, logarithm, track_of
from foregate.modeling.measured import Measured
from foregate.modeling.price_experts import predicted, realised
from foregate.modeling.regimes import threshold_regime
from foregate.modeling.volatility import ewma, over_horizon

HORIZONS = (5, 21, 63, 126)
NAMES = ("1w", "1m", "3m", "6m")
SETTINGS = PricesSettings(
    series={"oil": Series(source="oil", day="day", price="price", unit="USD")},
    exogenous={"vix": Exogenous(source="vix", day="day", value="value")},
)


def track(days: int = 3000, seed: int = 3, experts: tuple[str, ...] = ("no_change", "drift_1y", "ses")) -> Track:
    """Return the track of a random walk, for which nothing but no change is right."""
    rng = np.random.default_rng(seed)
    price = 50 * np.exp(np.cumsum(rng.normal(0, 0.01, days)))
    y = logarithm(price, 0.0)
    volatility = ewma(y)
    return Track(
        name="oil",
        days=np.datetime64("2010-01-04") + np.arange(days),
        price=price,
        displacement=0.0,
        horizons=HORIZONS,
        y=y,
        volatility=volatility,
        spread=over_horizon(volatility, y, HORIZONS),
        state=threshold_regime(volatility).state,
        fell_back=np.zeros(days, dtype=np.bool_),
        experts=experts,
        predicted=predicted(y, HORIZONS, experts),
        realised=realised(y, HORIZONS),
    )


def with_expert(whole: Track, said: np.ndarray[Any, np.dtype[np.float64]]) -> Track:
    return replace(
        whole, experts=(*whole.experts, "planted"), predicted=np.concatenate([whole.predicted, said[..., None]], axis=2)
    )


@given(days=st.integers(20, 400), test_days=st.integers(1, 200), burn_in=st.integers(0, 100))
def test_an_open_origin_has_its_outcome_before_the_first_sealed_day(days: int, test_days: int, burn_in: int) -> None:
    some: Any = SimpleNamespace(price=np.ones(days), horizons=(1, 7), realised=np.full((2, days), np.nan))
    for row, ahead in enumerate(some.horizons):
        some.realised[row, : max(0, days - ahead)] = 0.0
    asked: Any = SimpleNamespace(test_days=test_days, burn_in_days=burn_in)
    found = split(some, asked)
    first_sealed = days - test_days
    for row, ahead in enumerate(some.horizons):
        for at in range(days):
            assert found.open[row, at] == (at >= burn_in and at + ahead < first_sealed and at + ahead < days)
            assert found.sealed[row, at] == (at >= first_sealed and at + ahead < days)
    assert not (found.open & found.sealed).any()


def test_no_change_stands_in_for_a_rule_that_errs_more_beyond_doubt() -> None:
    rng = np.random.default_rng(0)
    naive = np.abs(rng.normal(size=400))
    assert choose({"equal": naive + rng.uniform(0.2, 0.4, 400), "no_change": naive}, 1)[0] == "no_change"
    assert choose({"equal": naive + rng.normal(0, 0.01, 400), "no_change": naive}, 1)[0] == "equal"
    rule, words = choose({"equal": naive, "no_change": naive}, 1)
    assert (rule, "no change all along" in words) == ("equal", True)


def test_a_later_rule_takes_over_only_when_it_errs_less_beyond_doubt() -> None:
    rng = np.random.default_rng(1)
    naive = 1 + np.abs(rng.normal(size=400))
    noise = rng.normal(0, 0.05, 400)
    assert choose({"equal": naive, "ml_poly": naive - 0.2 + noise, "no_change": naive}, 1)[0] == "ml_poly"
    assert choose({"equal": naive, "ml_poly": naive + noise - noise.mean(), "no_change": naive}, 1)[0] == "equal"


def test_the_random_walk_leaves_nothing_to_win_and_sets_off_no_alarm() -> None:
    whole = track()
    parts = split(whole, SETTINGS)
    found = combined(whole, "ml_poly_shared", SETTINGS)
    made = Measured(date(2020, 1, 1), "x")
    told = {e.name: e for e in alarms(made, whole, NAMES, found.said, parts.sealed)}
    assert {e.value for e in told.values()} == {0.0}
    naive, ours = naive_errors(whole), whole.errors(found.said)
    for row, ahead in enumerate(HORIZONS):
        ratio = relative_mae(ours[row], naive[row], parts.sealed[row], ahead)
        assert ratio.low <= 1.01


@pytest.mark.parametrize(
    ("seen", "doubtful", "wild"), [(0.0, 0, 0), (0.2, 4, 0), (0.6, 4, 3)], ids=["honest", "some", "much"]
)
def test_an_expert_that_sees_what_is_to_come_sets_off_the_alarm(seen: float, doubtful: int, wild: int) -> None:
    """Of the return to come `seen` is given away: that share of no-change's error is saved, at every horizon."""
    whole = track()
    leaked = with_expert(whole, seen * np.nan_to_num(whole.realised))
    parts = split(leaked, SETTINGS)
    said = combined(leaked, "no_change", SETTINGS).said
    told = {e.name: e for e in alarms(Measured(date(2020, 1, 1), "x"), leaked, NAMES, said, parts.sealed)}
    assert (told["doubtful_skill"].value, told["implausible_skill"].value) == (doubtful, wild)
    if wild:
        assert "6m 60%" in told["implausible_skill"].words
        assert "1w" not in told["implausible_skill"].words, "a week ahead asks for a name, and no more"


def test_an_error_that_does_not_grow_with_the_horizon_sets_off_the_alarm() -> None:
    whole = track()
    said = np.zeros_like(whole.realised)
    said[3] = 0.9 * np.nan_to_num(whole.realised[3])
    told = {
        e.name: e for e in alarms(Measured(date(2020, 1, 1), "x"), whole, NAMES, said, split(whole, SETTINGS).sealed)
    }
    assert told["flat_errors"].value == 1
    assert told["flat_errors"].words.startswith("mean absolute error: 6m")


def test_pulled_back_forecasts_are_only_those_that_are_extreme_and_only_where_that_has_won() -> None:
    whole = track()
    said = np.zeros_like(whole.realised)
    said[:, 2000] = 5 * whole.spread[:, 2000]
    wild = with_expert(whole, said)
    alone = replace(wild, experts=("no_change",), predicted=said[..., None])
    choices = [Choice("equal", blends, "") for blends in (True, False, True, False)]
    found = followed(alone, choices, SETTINGS)
    assert found.extreme[:, 2000].all()
    assert found.extreme.sum() == len(HORIZONS)
    np.testing.assert_allclose(found.said[:, 2000], np.array([0.5, 1, 0.5, 1]) * said[:, 2000])


def test_flags_of_an_interval_are_counted_by_a_plain_loop() -> None:
    whole = track(1500)
    found = followed(whole, [Choice("no_change", False, "")] * 4, SETTINGS)
    for row in (0, 2):
        flags = inside(whole, found, 2, row)
        hits = total = 0
        for at in range(whole.price.size - HORIZONS[row]):
            if np.isfinite(found.lower[2, row, at]):
                moved = np.log(whole.price[at + HORIZONS[row]] / whole.price[at])
                hits += bool(found.lower[2, row, at] <= moved <= found.upper[2, row, at])
                total += 1
        told = covered(flags, 0.95, np.ones(flags.size, dtype=np.bool_), HORIZONS[row])
        assert (told.rows, round(told.value * told.rows)) == (total, hits)


def test_a_logarithm_of_what_has_none_is_refused() -> None:
    with pytest.raises(ValueError, match=r"wanted a displacement above 36\.98"):
        logarithm(np.array([20.0, -36.98]), 0.0)
    assert np.isfinite(logarithm(np.array([20.0, -36.98]), 50.0)).all()


def market_of(days: int = 1500, seed: int = 5) -> Market:
    """Return a market of one price and one index that doubles while the price is wild."""
    rng = np.random.default_rng(seed)
    wild = (np.arange(days) // 100) % 7 == 6
    price = 50 * np.exp(np.cumsum(rng.normal(0, np.where(wild, 0.03, 0.01))))
    on = np.datetime64("2015-01-01") + np.arange(days)
    index = np.where(wild, 40.0, 15.0) + rng.normal(0, 1, days)
    return Market(date(2020, 1, 1), {"oil": Quotes(on, price, on)}, {"vix": Values(on, index, on + 1)})


def test_every_way_to_tell_the_regime_knows_no_day_after_its_own() -> None:
    whole = market_of()
    cut = 1100
    quotes, values = whole.quotes["oil"], whole.exogenous["vix"]
    early = Market(
        whole.as_of,
        {"oil": Quotes(quotes.days[:cut], quotes.price[:cut], quotes.known[:cut])},
        {"vix": Values(values.days[: cut - 1], values.value[: cut - 1], values.known[: cut - 1])},
    )
    states = {}
    for regime in ("own", "hidden", "vix"):
        asked = SETTINGS.model_copy(update={"regime": regime, "experts": ("no_change",)})
        full, part = (track_of(one, asked, "oil", {}) for one in (whole, early))
        np.testing.assert_array_equal(full.state[:cut], part.state)
        assert set(np.unique(full.state)) <= {-1, 0, 1}
        states[regime] = full
    wild = (np.arange(1500) // 100) % 7 == 6
    for found in states.values():
        late = np.arange(1500) > 800
        assert found.state[wild & late].mean() > found.state[~wild & late].mean() + 0.3
    assert not states["own"].fell_back.any()


def test_a_regime_whose_index_is_gone_is_told_by_the_series_itself_and_says_so() -> None:
    whole = market_of()
    values = whole.exogenous["vix"]
    gone = Market(whole.as_of, whole.quotes, {"vix": Values(values.days[:700], values.value[:700], values.known[:700])})
    asked = SETTINGS.model_copy(update={"regime": "vix", "experts": ("no_change",)})
    found = track_of(gone, asked, "oil", {})
    assert not found.fell_back[300:700].any()
    assert found.fell_back[750:].all()
    assert (found.state[750:] >= 0).all()


def test_the_declared_volatility_and_limit_are_the_ones_that_count() -> None:
    pytest.importorskip("arch")
    whole = market_of()
    asked = SETTINGS.model_copy(update={"experts": ("no_change",)})
    plain = track_of(whole, asked, "oil", {})
    other = track_of(whole, asked.model_copy(update={"volatility": "garch"}), "oil", {})
    assert not np.allclose(plain.volatility[600:], other.volatility[600:])
    said = np.full_like(plain.realised, 0.0)
    by_return = extremes(plain, said, asked)
    by_level = extremes(plain, said, asked.model_copy(update={"limit": "level"}))
    assert not by_return.any(), "no change is never an extreme return"
    assert by_level.any(), "while a price that wandered off is an extreme level, forecast or not"
