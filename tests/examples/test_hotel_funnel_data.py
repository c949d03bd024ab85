"""The hotels' funnel: bookings, kept bookings and arrivals read to daily counts, against a plain loop over the file."""

import csv
import gzip
import tomllib
from collections import Counter
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from foregate.cases.funnel.checks import control_findings, source_findings
from foregate.cases.funnel.event_checks import event_findings
from foregate.cases.funnel.events import NOT_YET, Events, read_events
from foregate.cases.funnel.panel import panel
from foregate.cases.funnel.settings import FunnelSettings, check_stages
from foregate.core.evidence import Evidence
from foregate.modeling.measured import Measured
from foregate.warehouse.binding import bind, unstable
from foregate.warehouse.duckdb import DuckDB
from foregate.warehouse.sources import Source

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "hotel_funnel"
DATA = ROOT.parent / "shared" / "data" / "hotel_bookings" / "hotel_bookings.csv.gz"
pytestmark = pytest.mark.skipif(not DATA.is_file(), reason=f"the hotels' bookings are not on this machine: no {DATA}")

DECLARED = tomllib.loads((EXAMPLE / "foregate.toml").read_text())
FUNNEL = FunnelSettings(**DECLARED["funnel"])
SOURCES = {name: Source(**said) for name, said in DECLARED["sources"].items()}
AS_OF: date = DECLARED["as_of"]
FIRST, LAST = date(2015, 7, 1), AS_OF - timedelta(days=1)


class Hotel(NamedTuple):
    warehouse: DuckDB
    events: Events
    again: list[str]


@pytest.fixture(scope="module")
def hotel() -> Hotel:
    warehouse = DuckDB(":memory:")
    check_stages(FUNNEL, SOURCES, bind(warehouse, SOURCES, EXAMPLE), "foregate.toml")
    return Hotel(warehouse, read_events(warehouse, FUNNEL, SOURCES, AS_OF), unstable(warehouse, SOURCES, EXAMPLE))


@cache
def day_of(year: str, month: str, day: str) -> date:
    return datetime.strptime(f"{year} {month} {day}", "%Y %B %d").date()  # noqa: DTZ007 - a day has no time zone


Counted = dict[str, Counter[tuple[str, date]]]


@pytest.fixture(scope="module")
def counted() -> Counted:
    """Each stage's bookings by market segment and day, row by row."""
    found: Counted = {stage: Counter() for stage in FUNNEL.stages}
    with gzip.open(DATA, "rt") as lines:
        for row in csv.DictReader(lines):
            ahead, status = int(row["lead_time"]), row["reservation_status"]
            if ahead > 180:
                continue
            arrives = day_of(row["arrival_date_year"], row["arrival_date_month"], row["arrival_date_day_of_month"])
            booked = arrives - timedelta(days=ahead)
            standing = min(booked + timedelta(days=30), arrives)
            found["booking"][row["market_segment"], booked] += 1
            if status != "Canceled" or date.fromisoformat(row["reservation_status_date"]) > standing:
                found["kept"][row["market_segment"], standing] += 1
            if status == "Check-Out":
                found["arrived"][row["market_segment"], arrives] += 1
    return found


def test_the_query_gives_the_same_rows_twice(hotel: Hotel) -> None:
    assert hotel.again == []


def test_every_series_is_a_segment_s_own_and_every_segment_has_one(hotel: Hotel) -> None:
    assert len(hotel.events.series) == 26
    assert len(hotel.events.segment_names) == 8
    assert all(one.segment == one.channel for one in hotel.events.series)


@pytest.mark.parametrize("stage", FUNNEL.stages)
def test_the_panel_counts_what_a_loop_over_the_file_counts(stage: str, hotel: Hotel, counted: Counted) -> None:
    history = panel(hotel.events, stage, AS_OF, FUNNEL)
    assert (history.days, history.last) == ((LAST - FIRST).days + 1, LAST)
    days = [FIRST + timedelta(days=n) for n in range(history.days)]
    for place, segment in enumerate(hotel.events.segment_names):
        ours = history.counts[history.segments == place].sum(axis=0)
        assert ours.tolist() == [counted[stage][segment, day] for day in days], segment
    assert history.counts.sum() == {"booking": 78_265, "kept": 60_197, "arrived": 49_163}[stage]


def test_bookings_in_the_window_are_whole_on_both_sides(hotel: Hotel) -> None:
    newest = hotel.warehouse.rows(
        "SELECT max(arrived_on), min(booked_on) FROM source_bookings WHERE booked_on <= $on", {"on": AS_OF}
    )[0]
    assert newest[0] <= date(2017, 8, 31)
    assert newest[1] < FIRST


def test_nothing_is_wrong_with_the_bookings(hotel: Hotel) -> None:
    made = Measured(AS_OF, "test")
    found: list[Evidence] = [
        *source_findings(made, hotel.warehouse, FUNNEL, SOURCES),
        *event_findings(made, hotel.events, FUNNEL),
        *control_findings(made, hotel.warehouse, FUNNEL, SOURCES, hotel.events),
    ]
    told = {one.label: one.value for one in found if one.value}
    assert told == {"series": 26, "dead_series": 3, "unreached_series[kept]": 2, "unreached_series[arrived]": 2}


def test_who_books_is_kept_within_thirty_days_and_arrives_within_a_half_year(hotel: Hotel) -> None:
    for pair, longest, least, most in (("booking", "kept"), 30, 0.7, 0.8), (("kept", "arrived"), 150, 0.75, 0.85):
        cohorts = hotel.events.cohorts(*pair)
        reached = cohorts.converted != NOT_YET
        delay = (cohorts.converted - cohorts.entered)[reached]
        assert (delay.min(), delay.max()) == (0, longest)
        assert least < reached.mean() < most
        assert (np.diff(cohorts.entered) >= 0).all()


def test_a_past_origin_knows_of_no_later_arrival(hotel: Hotel) -> None:
    then = hotel.events.known_at(date(2016, 6, 1))
    assert all(stage.day.max() <= (date(2016, 6, 1) - date(1970, 1, 1)).days for stage in then.stages.values())
    cohorts = then.cohorts("kept", "arrived")
    assert (cohorts.converted[cohorts.converted != NOT_YET] <= cohorts.last).all()
    assert ((cohorts.converted == NOT_YET) & (cohorts.entered > cohorts.last - 30)).sum() > 500
