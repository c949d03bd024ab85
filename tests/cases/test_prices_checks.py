"""What is wrong with quotes and with the columns beside them is found and named; honest real ones pass."""

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foregate.cases.prices.exogenous_checks import dated_by, exogenous_findings, foretold
from foregate.cases.prices.phases import features, quotes
from foregate.cases.prices.quote_checks import row_findings, runs, series_findings, unit_jumps
from foregate.cases.prices.quotes import Floats, Market, Quotes, Rows, Values, exogenous_at
from foregate.cases.prices.settings import PricesSettings, Series
from foregate.cases.prices.work import Work
from foregate.core.evidence import Evidence
from foregate.core.gate import Effect, Judgement, Result, judge
from foregate.core.phase import Run
from foregate.modeling.measured import Measured
from foregate.warehouse.binding import bind
from foregate.warehouse.duckdb import DuckDB
from foregate.warehouse.sources import Source

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "commodity_daily"
absent = pytest.mark.skipif(not DATA.is_dir(), reason=f"the real prices are not on this machine: no {DATA}")
MADE = Measured(date(2025, 10, 31), "test")
WORKDAYS = np.arange(np.datetime64("2005-01-03"), np.datetime64("2026-01-01"))
WORKDAYS = WORKDAYS[np.is_busday(WORKDAYS)]
HORIZONS = (5, 21, 63, 126)
Found = dict[str, Evidence]


def walk(size: int = 1200, seed: int = 1, spread: float = 0.01) -> Floats:
    return np.asarray(60 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, spread, size))))


def series(price: Floats, **declared: Any) -> Found:
    days = WORKDAYS[: len(price)]
    one = Series(**{"source": "s", "day": "on", "price": "p", "unit": "USD"} | declared)
    found = {one.name: one for one in series_findings(MADE, "wti", Quotes(days, price, days), one)}
    assert all(one.subject == "wti" for one in found.values())
    return found


def open_gates(found: Found) -> set[str]:
    gates = [gate for gate in quotes.GATES if gate.evidence in found]
    return {j.gate.evidence for j in judge(gates, found.values()) if j.result is not Result.PASS}


def test_an_honest_walk_passes_every_gate() -> None:
    assert open_gates(series(walk(), bounds=(1, 1000), fresh_days=10**4)) == set()


def test_rows_are_told_by_what_is_wrong_with_them() -> None:
    day = date(2025, 1, 2)
    found = {one.name: one for one in row_findings(MADE, "wti", Rows(100, 4, 2, 1, 3, 5, day, day, day))}
    assert found["missing_prices"].value == pytest.approx(0.04)
    assert found["duplicate_days"].value == 3
    assert "2 rows repeat a day with the same number, 1 with another, as 2025-01-02" in found["duplicate_days"].words
    assert (found["seen_early"].value, found["future_dated"].value) == (3, 5)
    assert open_gates(found) == set(found)
    assert open_gates({one.name: one for one in row_findings(MADE, "wti", Rows(100))}) == set()


def test_a_price_that_was_carried_forward_is_named_with_its_days() -> None:
    price = walk()
    price[300:312] = price[300]
    found = series(price)
    assert open_gates(found) == {"frozen_sessions"}
    words = f"{price[300]:g} on each of 12 sessions from {WORKDAYS[300]} to {WORKDAYS[311]}"
    assert (found["frozen_sessions"].value, found["frozen_sessions"].words) == (12, words)
    price[-6:] = price[-6]
    assert open_gates(series(price)) == {"frozen_sessions", "frozen_tail"}
    assert open_gates(series(np.append(walk(), walk()[[-1] * 4]))) == set()


def test_a_hole_is_counted_in_trading_days() -> None:
    days = np.delete(WORKDAYS[:1200], np.s_[700:708])
    plain = Series(source="s", day="on", price="p", unit="USD")
    found = {one.name: one for one in series_findings(MADE, "wti", Quotes(days, walk(1192), days), plain)}
    assert found["hole_days"].value == 8
    assert f"between {WORKDAYS[699]} and {WORKDAYS[708]}" in found["hole_days"].words


def test_stale_prices_and_short_histories_are_told() -> None:
    found = series(walk(900), fresh_days=10)
    assert found["stale_days"].value == (MADE.as_of - WORKDAYS[899].astype(object)).days - 10
    assert open_gates(found) == {"stale_days", "history_days"}


def test_negative_prices_need_a_displacement_and_are_no_fault_with_one() -> None:
    price = walk()
    price[400] = -36.98
    found = series(price, bounds=(20, 120))
    assert found["non_positive_prices"].value == 1
    assert f"-36.98 USD on {WORKDAYS[400]}" in found["non_positive_prices"].words
    assert "say displacement = a number well above 36.98" in found["non_positive_prices"].words
    displaced = series(price, displacement=50)
    assert open_gates(displaced) == {"negative_prices", "extreme_returns"}
    assert f"on {WORKDAYS[400]}" in displaced["extreme_returns"].words
    assert found["out_of_bounds"].value == ((price < 20) | (price > 120)).sum()
    assert price[400] == -36.98


@pytest.mark.parametrize("factor", [0.01, 0.4545, 2.2046, 7.33, 42.0, 100.0])
@pytest.mark.parametrize("seed", range(4))
def test_a_change_of_unit_is_found_on_its_fifth_day_and_a_crash_is_none(factor: float, seed: int) -> None:
    price = walk(seed=seed)
    switched = np.where(np.arange(1200) < 1195, price, factor * price)
    assert unit_jumps(switched).tolist() == [1195]
    assert unit_jumps(switched[:-1]).tolist() == []
    spike = price.copy()
    spike[900] *= factor
    assert unit_jumps(spike).tolist() == []


def test_a_unit_that_changes_and_changes_back_is_found_twice() -> None:
    price = walk()
    price[400:430] *= 100
    assert unit_jumps(price).tolist() == [400, 430]
    assert series(price)["unit_jumps"].value == 2


def test_a_crash_after_which_prices_stay_wild_is_no_change_of_unit() -> None:
    rng = np.random.default_rng(5)
    price = walk()
    price[800:] *= 0.5 * np.exp(np.cumsum(rng.normal(0, 0.25, 400)))
    assert unit_jumps(price[:830]).tolist() == []


@given(st.lists(st.sampled_from([1.0, 2.0]), max_size=30))
def test_runs_are_those_of_a_plain_loop(numbers: list[float]) -> None:
    found: list[int] = []
    for at, one in enumerate(numbers):
        found.append(found[-1] + 1 if at and one == numbers[at - 1] else 1)
    assert runs(np.array(numbers)).tolist() == found


def beside(x: Floats, days: Any = None, lag: int = 0, size: int = 1500) -> Found:
    dated = WORKDAYS[: len(x)] if days is None else days
    market = Market(
        MADE.as_of,
        {"wti": Quotes(WORKDAYS[:size], walk(size), WORKDAYS[:size])},
        {"vix": Values(dated, x, dated + lag)},
    )
    declared = PricesSettings(
        series={"wti": {"source": "s", "day": "on", "price": "p", "unit": "USD"}},
        exogenous={"vix": {"source": "s", "day": "on", "value": "p"}},
    )
    return {one.name: one for one in exogenous_findings(MADE, market, declared)}


def stopped(found: Found) -> set[str]:
    assert {gate.evidence for gate in features.GATES} == set(found)
    return {j.gate.evidence for j in judge(features.GATES, found.values()) if j.result is not Result.PASS}


HONEST = walk(1500, seed=9, spread=0.05)
COUNTS = np.random.default_rng(3).poisson(1.2, 1500).astype(np.float64)
EVERY_FIFTH = np.arange(1500) % 5 == 0


def filled(x: Floats, where: Any, value: float) -> Floats:
    return np.asarray(np.where(where, value, x))


@pytest.mark.parametrize(
    ("x", "named"),
    [
        (HONEST, set()),
        (np.diff(HONEST, prepend=HONEST[0]), set()),
        (COUNTS, set()),
        (filled(HONEST - 60, EVERY_FIFTH, 0.0), set()),
        (filled(HONEST, EVERY_FIFTH, 0.0), {"zero_share"}),
        (filled(1000 + COUNTS, EVERY_FIFTH, 0.0), {"zero_share"}),
        (
            filled(np.diff(HONEST, prepend=0.0), np.arange(1500) % 20 > 0, 0.0),
            {"zero_share", "constant_share", "constant_tail"},
        ),
        (filled(HONEST, EVERY_FIFTH, float(HONEST.mean())), {"imputed_share"}),
        (
            filled(HONEST, np.arange(1500) > 1300, float(HONEST[1300])),
            {"constant_share", "imputed_share", "constant_tail"},
        ),
        (np.interp(np.arange(1500), np.arange(0, 1500, 21), HONEST[::21]), {"imputed_share", "constant_tail"}),
        (np.full(1500, 3.0), {"constant_share", "constant_tail"}),
        (np.zeros(0), {"support"}),
    ],
    ids=[
        "plain",
        "change",
        "counts",
        "around zero",
        "zeros",
        "zeros in counts",
        "mostly zero",
        "mean",
        "carried",
        "lines",
        "constant",
        "none",
    ],
)
def test_values_that_were_filled_in_are_told_from_those_that_are_as_they_are(x: Floats, named: set[str]) -> None:
    found = beside(x)
    told = {one for one in stopped(found) if one not in {"leak_probe"} or found[one].value > 0.3}
    assert told == named


@pytest.mark.parametrize(
    ("named", "x"),
    [
        ("silent_days", HONEST[:1400]),
        ("constant_tail", np.append(HONEST[:1489], np.full(11, HONEST[1488]))),
        ("value_jumps", np.where(np.arange(1500) < 1000, HONEST, 100 * HONEST)),
    ],
)
def test_a_column_that_stopped_or_changed_its_unit_asks(named: str, x: Floats) -> None:
    assert stopped(beside(x)) == {named}


def test_a_column_on_few_days_has_no_support_and_one_known_late_is_told() -> None:
    few = beside(HONEST[:100])
    assert few["support"].value == pytest.approx(107 / 1500, abs=0.01)
    assert "support" in stopped(few)
    late = beside(HONEST, lag=400)
    assert late["lag_days"].value == 400
    assert stopped(late) >= {"lag_days", "support"}


def leaks(y: Floats, ahead: int, seed: int) -> dict[str, Floats]:
    rng = np.random.default_rng(seed)
    change = np.append(y[ahead:] - y[:-ahead], np.full(ahead, np.nan))
    mean = np.convolve(np.exp(y), np.ones(ahead) / ahead, "valid")[1:]
    return {
        "price": np.append(np.exp(y[ahead:]), np.full(ahead, np.nan)),
        "another unit": 7.33 * np.append(np.exp(y[ahead:]), np.full(ahead, np.nan)) + 5,
        "return": change,
        "return with noise": change + rng.normal(0, np.nanstd(change) / 2, len(y)),
        "mean to come": np.append(mean, np.full(len(y) - len(mean), np.nan)),
    }


@pytest.mark.parametrize("ahead", [5, 10, 21, 63])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_column_that_holds_what_comes_is_a_leak_at_any_shift(ahead: int, seed: int) -> None:
    y = np.log(walk(5000, seed=seed))
    for name, x in leaks(y, ahead, seed).items():
        assert foretold({"y": y, "x": x}, HORIZONS).share > 0.3, name


@pytest.mark.parametrize(("size", "ahead"), [(1500, 126), (4000, 1), (4000, 2)])
def test_a_shifted_price_is_a_leak_where_no_horizon_holds_enough_windows_to_show_it(size: int, ahead: int) -> None:
    y = np.log(walk(size))
    assert foretold({"y": y, "x": leaks(y, ahead, 1)["price"]}, HORIZONS).share > 0.9


@pytest.mark.parametrize("size", [700, 1500, 4000])
def test_honest_columns_tell_next_to_nothing(size: int) -> None:
    for seed in range(12):
        y, other = np.log(walk(size, seed=seed)), walk(size, seed=100 + seed)
        shared = np.exp(y) * walk(size, seed=200 + seed, spread=0.004)
        past = np.append(np.full(21, np.nan), y[21:] - y[:-21])
        for x in (other, shared, past, np.exp(y)):
            assert foretold({"y": y, "x": x}, HORIZONS).share < 0.15


def published_late(known_days: int) -> tuple[Market, PricesSettings]:
    """A price published days after its own day, beside another that moves with it and is known at once."""
    days, price = WORKDAYS[:3000], walk(3000, seed=4)
    other = price * walk(3000, seed=5, spread=0.001)
    market = Market(
        MADE.as_of,
        {"wti": Quotes(days, price, days + known_days)},
        {"brent": Values(days, other, days)},
    )
    declared = PricesSettings(
        series={"wti": {"source": "s", "day": "on", "price": "p", "unit": "USD"}},
        exogenous={"brent": {"source": "s", "day": "on", "value": "p"}},
    )
    return market, declared


def test_news_between_a_prices_own_day_and_its_publication_is_no_leak() -> None:
    market, declared = published_late(7)
    found = {one.name: one for one in exogenous_findings(MADE, market, declared)}
    assert found["leak_probe"].value < 0.1
    # The same news, taken as known on the price's own day, would be one.
    y = np.log(market.quotes["wti"].price)
    assert foretold({"y": y, "x": exogenous_at(market, "wti", "brent")}, HORIZONS).share > 0.5


@given(st.lists(st.integers(0, 40), unique=True, min_size=1, max_size=15).map(sorted), st.data())
def test_the_value_dated_by_a_prices_own_day_is_neither_later_nor_unpublished(days: list[int], data: Any) -> None:
    lags = data.draw(st.lists(st.integers(0, 9), min_size=len(days), max_size=len(days)))
    dated = WORKDAYS[0] + np.array(days)
    values = Values(dated, np.arange(len(days)) + 1.0, dated + np.array(lags))
    own = WORKDAYS[0] + np.arange(0, 50, 3)
    for wait in (0, 4):
        found = dated_by(Quotes(own, np.ones(len(own)), own + wait), values)
        for day, value in zip(own, found, strict=True):
            # A row counts once it and all before it are known.
            usable = [n for n in range(len(days)) if dated[n] <= day and values.known[: n + 1].max() <= day + wait]
            assert value == usable[-1] + 1 if usable else np.isnan(value)


REAL = {"wti": "wti-daily", "brent": "brent-daily", "henry_hub": "natural-gas-henry-hub-daily"}


@absent
def test_real_prices_pass_every_gate_that_blocks() -> None:
    sources = {
        name: Source(file=f"{file}.csv", key="Date", happened="Date", known_after="7 days")
        for name, file in REAL.items()
    }
    sources["vix"] = Source(file="vix-daily.csv", key="DATE", happened="DATE", known_after="1 day")
    declared = PricesSettings(
        series={
            name: {"source": name, "day": "Date", "price": "Price", "unit": "USD", "displacement": 50 * (name == "wti")}
            for name in REAL
        },
        exogenous={
            "vix": {"source": "vix", "day": "DATE", "value": "CLOSE"},
            "other_oil": {"source": "brent", "day": "Date", "value": "Price"},
            "other_gas": {"source": "henry_hub", "day": "Date", "value": "Price"},
        },
    )
    warehouse = DuckDB(":memory:")
    columns = bind(warehouse, sources, DATA)
    as_of = date(2024, 12, 31)
    work = Work(declared, sources, columns, DATA, dict.fromkeys(sources, "test"), as_of, 1)
    judged: list[Judgement] = []
    for phase in (quotes, features):
        judged += judge(phase.GATES, phase.measure(work, Run(warehouse, "prices", "v", as_of, 1)))
    named = {j.label for j in judged if j.result is not Result.PASS}
    assert not {j.label for j in judged if j.result is not Result.PASS and j.gate.effect is Effect.BLOCK}
    assert {"negative_prices[wti]", "frozen_sessions[henry_hub]", "hole_days[henry_hub]"} <= named
    probed = {j.evidence.label: j.evidence.value for j in judged if j.evidence and j.evidence.name == "leak_probe"}
    assert max(probed.values()) < 0.1
    assert len(probed) == 3
