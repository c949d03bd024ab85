"""Trading days to come: learnt from the past alone, and right where the past repeats."""

import csv
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foregate.cases.prices.trading_days import EASTER, FIXED, NTH, Calendar, Days, Holiday, easter
from foregate.cases.prices.world import trading_days
from foregate.cases.prices.world.catalogue import HOLIDAYS

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "commodity_daily"
absent = pytest.mark.skipif(not DATA.is_dir(), reason=f"the real prices are not on this machine: no {DATA}")
WEEK = (True,) * 5 + (False,) * 2


def real(name: str) -> Days:
    with (DATA / f"{name}.csv").open() as file:
        return np.array([next(iter(row.values())) for row in csv.DictReader(file)], dtype="datetime64[D]")


def test_easter_is_that_of_the_almanac() -> None:
    known = {1818: (3, 22), 1943: (4, 25), 1999: (4, 4), 2008: (3, 23), 2011: (4, 24), 2024: (3, 31), 2038: (4, 25)}
    assert {year: (easter(year).month, easter(year).day) for year in known} == known


def test_a_holiday_falls_where_its_kind_says() -> None:
    assert Holiday(NTH, 5, 0, -1).on(2025) == date(2025, 5, 26)
    assert Holiday(NTH, 10, 4, 5).on(2024) is None
    assert Holiday(FIXED, 7, 4, saturday=True).on(2026) == date(2026, 7, 3)
    assert Holiday(FIXED, 1, 1, sunday=True).on(2023) == date(2023, 1, 2)
    assert Holiday(FIXED, 1, 1, sunday=True).on(2022) == date(2022, 1, 1)


def test_the_days_of_a_made_up_market_are_learnt_whole() -> None:
    days = trading_days()
    learnt = Calendar.learn(days[days < np.datetime64("2024-01-01")])
    assert learnt.weekdays == WEEK
    for year in (2024, 2025, 2026, 2027):
        first, last = date(year, 1, 1), date(year, 12, 31)
        assert learnt.trading(first, last).tolist() == Calendar(WEEK, HOLIDAYS).trading(first, last).tolist()


def test_a_market_that_never_closes_trades_every_day_and_a_weekly_one_once_a_week() -> None:
    every = np.arange(np.datetime64("2018-01-01"), np.datetime64("2025-01-01"))
    assert Calendar.learn(every) == Calendar((True,) * 7)
    fridays = Calendar.learn(every[(every.astype(np.int64) + 3) % 7 == 4])
    assert fridays.weekdays == (False,) * 4 + (True,) + (False,) * 2
    assert fridays.after(date(2025, 1, 3), 2) == date(2025, 1, 17)


def test_a_holiday_that_was_given_up_is_no_longer_kept_and_one_kept_three_times_is() -> None:
    calendar = Calendar(WEEK, (Holiday(NTH, 5, 0, 1),)).trading(date(2010, 1, 1), date(2024, 12, 31)).tolist()
    ended = {date(2023, 5, 1), date(2024, 5, 6)}
    begun = {Holiday(NTH, 6, 2, 3).on(year) for year in (2022, 2023, 2024)}
    days = np.array(sorted(({*calendar} | ended) - begun), dtype="datetime64[D]")
    assert Calendar.learn(days).holidays == (Holiday(NTH, 6, 2, 3),)


@pytest.mark.parametrize(("month", "newest", "traded"), [(5, 2022, (2014, 2020)), (8, 2021, (2013, 2019))])
def test_a_holiday_on_the_last_monday_is_learnt_as_the_last_even_where_years_with_a_fifth_are_surer(
    month: int, newest: int, traded: tuple[int, ...]
) -> None:
    holiday = Holiday(NTH, month, 0, -1)
    calendar = Calendar(WEEK, (holiday,)).trading(date(newest - 9, 1, 1), date(newest, 12, 31)).tolist()
    # As Brent did: shut in every year with five Mondays, and in some with four it traded all the same.
    fourths = [Holiday(NTH, month, 0, 4).on(year) for year in traded]
    assert fourths == [holiday.on(year) for year in traded]
    days = np.array(sorted([*calendar, *fourths]), dtype="datetime64[D]")
    assert Calendar.learn(days).holidays == (holiday,)


def test_what_was_shut_on_fifth_mondays_alone_is_no_holiday() -> None:
    every = Calendar(WEEK).trading(date(2010, 1, 1), date(2019, 12, 31))
    fifths = [day for year in range(2010, 2020) if (day := Holiday(NTH, 8, 0, 5).on(year))]
    assert len(fifths) == 4
    assert Calendar.learn(np.setdiff1d(every, np.array(fifths, dtype="datetime64[D]"))).holidays == ()


def test_single_lost_days_make_no_holiday() -> None:
    days = Calendar(WEEK, (Holiday(EASTER, -2),)).trading(date(2010, 1, 1), date(2024, 12, 31))
    lost = np.random.default_rng(3).choice(len(days), 20, replace=False)
    assert Calendar.learn(np.delete(days, lost)).holidays == (Holiday(EASTER, -2),)


def naive_after(calendar: Calendar, day: date, ahead: int) -> date:
    closed = {one.on(year) for one in calendar.holidays for year in range(day.year - 1, day.year + 5)}
    while ahead:
        day += timedelta(days=1)
        ahead -= calendar.weekdays[day.weekday()] and day not in closed
    return day


@given(st.dates(date(2000, 1, 1), date(2040, 1, 1)), st.integers(1, 260))
@settings(max_examples=100, deadline=None)
def test_the_day_after_so_many_is_that_of_a_plain_count(day: date, ahead: int) -> None:
    calendar = Calendar(WEEK, HOLIDAYS)
    assert calendar.after(day, ahead) == naive_after(calendar, day, ahead)
    stamped = np.array([calendar.after(day, ahead)], dtype="datetime64[D]")
    if calendar.trading(day, day).size:
        assert calendar.between(np.array([day], dtype="datetime64[D]"), stamped)[0] == ahead - 1


def test_less_than_a_day_ahead_is_refused() -> None:
    with pytest.raises(ValueError, match="0 trading days after a day; wanted at least 1"):
        Calendar(WEEK).after(date(2025, 1, 1), 0)


def stamped(days: Days, ahead: int) -> tuple[float, float]:
    """Return the shares of stamps, by what was learnt before each year, that are exact and that are a day off."""
    off = []
    for year in range(2005, 2025):
        begin, end = np.searchsorted(days, [np.datetime64(f"{year}-01-01"), np.datetime64(f"{year + 1}-01-01")])
        own = days[begin : min(int(end), len(days) - ahead)]
        if len(own):
            stamps = Calendar.learn(days[:begin]).stamps(own, ahead)
            off.append(np.abs((stamps - days[begin + ahead : begin + ahead + len(own)]).astype(int)))
    return float((np.concatenate(off) == 0).mean()), float((np.concatenate(off) <= 1).mean())


@absent
@pytest.mark.parametrize(
    ("name", "exact"),
    [
        ("wti-daily", (0.97, 0.90, 0.76, 0.58)),
        ("brent-daily", (0.92, 0.72, 0.40, 0.18)),
        ("natural-gas-henry-hub-daily", (0.94, 0.80, 0.58, 0.42)),
        ("vix-daily", (0.97, 0.92, 0.84, 0.78)),
    ],
)
def test_stamps_of_real_series_are_mostly_right_and_rows_taken_for_calendar_days_never(
    name: str, exact: tuple[float, ...]
) -> None:
    days = real(name)
    for ahead, least in zip((5, 21, 63, 126), exact, strict=True):
        found, near = stamped(days, ahead)
        assert found >= least, (ahead, found, near)
        # What stamping trading rows as calendar days gives: a horizon of 126 days is half a year, not four months.
        assert not (days[:-ahead] + ahead == days[ahead:]).any()
    assert stamped(days, 5)[1] >= 0.97
