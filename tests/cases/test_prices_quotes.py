"""Quotes: read as known on a day, each day once; a value beside them is never seen before it was published."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foregate.cases.prices.quotes import Market, Quotes, Values, exogenous_at, latest_known, read_quotes
from foregate.cases.prices.settings import PricesSettings
from foregate.core.errors import DataError
from foregate.warehouse.duckdb import DuckDB
from foregate.warehouse.sources import Source

Row = tuple[date | None, float | None, date | None]
DECLARED = PricesSettings(
    series={"wti": {"source": "oil", "day": "on", "price": "close", "unit": "USD"}},
    exogenous={"vix": {"source": "index", "day": "on", "value": "close"}},
)
KNOWN = Source(table="t", key="on", known="seen")
FIRST = date(2025, 1, 6)


def on(days: int) -> date:
    return FIRST + timedelta(days=days)


def plain(count: int, lag: int = 0) -> list[Row]:
    return [(on(n), 70.0 + n, on(n + lag)) for n in range(count)]


def read(oil: Sequence[Row], as_of: date, index: Sequence[Row] = (), source: Source = KNOWN, **changed: Any) -> Market:
    warehouse = DuckDB(":memory:")
    for name, rows in (("oil", oil), ("index", index)):
        columns = {
            "on": pa.array([row[0] for row in rows], pa.date32()),
            "close": pa.array([row[1] for row in rows], pa.float64()),
            "seen": pa.array([row[2] for row in rows], pa.date32()),
        }
        warehouse.load(f"source_{name}", pa.table(columns))
    declared = DECLARED.model_copy(update=changed)
    return read_quotes(warehouse, declared, {"oil": source, "index": KNOWN}, as_of)


def test_rows_are_read_in_order_as_far_as_they_are_known() -> None:
    market = read(plain(10, lag=2)[::-1], on(6))
    quotes = market.quotes["wti"]
    assert quotes.days.astype(object).tolist() == [on(n) for n in range(5)]
    assert quotes.price.tolist() == [70.0, 71.0, 72.0, 73.0, 74.0]
    assert (quotes.known - quotes.days).astype(int).tolist() == [2] * 5
    assert (quotes.rows.read, quotes.rows.missing, quotes.rows.future) == (5, 0, 0)
    assert (market.as_of, len(market.exogenous["vix"])) == (on(6), 0)


def test_what_is_known_later_changes_nothing() -> None:
    before = read(plain(30, lag=1)[:11], on(10))
    after = read([*plain(11, lag=1), *((day, 999.0, seen) for day, _, seen in plain(30, lag=1)[11:])], on(10))
    for one, other in zip((before.quotes["wti"],), (after.quotes["wti"],), strict=True):
        assert one.days.tolist() == other.days.tolist()
        assert one.price.tobytes() == other.price.tobytes()
        assert one.rows == other.rows


def test_a_lag_that_is_declared_and_a_column_of_its_own_say_when_a_price_is_known() -> None:
    lagged = Source(table="t", key="on", happened="on", known_after="4 days")
    assert len(read(plain(10), on(9), source=lagged).quotes["wti"]) == 6
    columns = {"close": {"known": "seen"}}
    own = Source(table="t", key="on", happened="on", known_after="1 day", columns=columns)
    assert len(read(plain(10, lag=3), on(9), source=own).quotes["wti"]) == 7


def test_missing_prices_are_left_out_and_counted() -> None:
    rows = [*plain(5), (on(5), None, on(5)), (on(6), float("nan"), on(6)), (None, 1.0, on(6)), (on(7), 1.0, None)]
    quotes = read(rows, on(9)).quotes["wti"]
    assert len(quotes) == 5
    assert (quotes.rows.read, quotes.rows.missing) == (9, 4)


def test_of_two_rows_of_a_day_the_one_known_first_stays_and_the_others_are_counted() -> None:
    rows = [*plain(5), (on(1), 71.0, on(3)), (on(2), 99.0, on(4)), (on(2), 98.0, on(3))]
    quotes = read(rows, on(9)).quotes["wti"]
    assert quotes.price.tolist() == [70.0, 71.0, 72.0, 73.0, 74.0]
    assert (quotes.rows.identical, quotes.rows.differing, quotes.rows.doubled_on) == (1, 2, on(2))


def test_a_row_known_before_its_day_is_used_on_its_day_and_counted() -> None:
    rows = [*plain(5), (on(5), 80.0, on(1))]
    quotes = read(rows, on(9)).quotes["wti"]
    assert quotes.known[-1].astype(object) == on(5)
    assert (quotes.rows.early, quotes.rows.early_on) == (1, on(5))
    assert len(read(rows, on(4)).quotes["wti"]) == 5


def test_rows_of_the_future_are_told_from_the_days_to_come() -> None:
    ahead = [(on(240), 1.0, on(4)), (on(241), 1.0, on(4))]
    rows = read([*plain(5), *ahead], on(9)).quotes["wti"].rows
    assert (rows.future, rows.future_on) == (2, on(240))
    lagged = Source(table="t", key="on", happened="on", known_after="1 day")
    assert read([*plain(5), *ahead], on(9), source=lagged).quotes["wti"].rows.future == 2
    assert read(plain(300), on(9), source=lagged).quotes["wti"].rows.future == 0


def test_prices_before_the_start_are_left_out_and_values_beside_them_are_not() -> None:
    market = read(plain(10), on(9), index=plain(10), train_start=on(4))
    assert (len(market.quotes["wti"]), len(market.exogenous["vix"])) == (6, 10)


def test_a_series_without_a_price_is_refused_by_name() -> None:
    with pytest.raises(DataError, match=r"\[prices.series.wti\]: found no price in `close` of source oil.*2024-12-01"):
        read(plain(10), date(2024, 12, 1))


def naive(quotes: Quotes, values: Values, most_days: int) -> list[float]:
    found = []
    for known in quotes.known.astype(object):
        best = float("nan")
        for day, value, seen in zip(values.days.astype(object), values.value, values.known.astype(object), strict=True):
            if seen <= known:
                best = float(value) if (known - day).days <= most_days else float("nan")
        found.append(best)
    return found


def column(days: list[int], lags: list[int], kind: type[Quotes] | type[Values]) -> Any:
    dated = np.datetime64(FIRST) + np.array(days, dtype=np.int64)
    numbers = np.arange(len(days), dtype=np.float64) + 1
    return kind(dated, numbers, dated + np.array(lags[: len(days)], dtype=np.int64))


DAYS = st.lists(st.integers(0, 60), unique=True, max_size=25).map(sorted)
LAGS = st.lists(st.integers(0, 20), min_size=25, max_size=25)


@given(DAYS, LAGS, DAYS, LAGS, st.integers(0, 15))
@settings(max_examples=200, deadline=None)
def test_the_value_beside_a_price_is_that_of_a_plain_loop(
    days: list[int], lags: list[int], theirs: list[int], seen: list[int], most_days: int
) -> None:
    market = Market(FIRST, {"wti": column(days, lags, Quotes)}, {"vix": column(theirs, seen, Values)})
    found = exogenous_at(market, "wti", "vix", most_days)
    np.testing.assert_array_equal(found, naive(market.quotes["wti"], market.exogenous["vix"], most_days))


@given(DAYS, LAGS, st.integers(0, 70))
@settings(max_examples=100, deadline=None)
def test_a_value_is_never_seen_before_it_is_published(days: list[int], lags: list[int], today: int) -> None:
    values = column(days, lags, Values)
    now = np.array([np.datetime64(FIRST) + today])
    changed = Values(values.days, np.where(values.known > now, -1e9, values.value), values.known)
    assert latest_known(values, now).tobytes() == latest_known(changed, now).tobytes()


def test_a_lag_of_publication_shifts_what_stands_beside_a_price() -> None:
    index = [(on(n), float(n), on(n + 3)) for n in range(20)]
    market = read(plain(20, lag=1), on(19), index=index)
    found = exogenous_at(market, "wti", "vix")
    assert np.isnan(found[:2]).all()
    assert found[2:].tolist() == [float(n) for n in range(17)]
