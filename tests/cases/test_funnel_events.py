"""Events: each id once, in one series, as known on a day; cohorts against a loop that looks at one person at a time."""

from collections.abc import Callable
from datetime import date, timedelta
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foregate.cases.funnel.events import NOT_YET, Events, Series, date_of, day_number, read_events
from foregate.cases.funnel.settings import FunnelSettings
from foregate.core.errors import ConfigurationError, DataError
from foregate.warehouse.duckdb import DuckDB
from foregate.warehouse.sources import Column, Source

START = date(2025, 1, 1)
AS_OF = date(2025, 2, 15)
SEGMENTS = {"Others": ["Dover"], "Inbound": ["Web", "Event"]}
Rows = list["Row"]


class Row(NamedTuple):
    id: Any
    day: int | None
    source: str | None = "Web"
    entity: Any = "x"
    known: int | None = 0
    channel: str | None = "Marketing"


def dated(day: int | None) -> date | None:
    return None if day is None else START + timedelta(days=day)


def table(rows: Rows) -> pa.Table:
    columns = {
        "id": pa.array([row.id for row in rows]),
        "on_day": pa.array([dated(row.day) for row in rows], pa.date32()),
        "source_name": pa.array([row.source for row in rows], pa.string()),
        "channel": pa.array([row.channel for row in rows], pa.string()),
        "entity": pa.array([row.entity for row in rows]),
        "seen_on": pa.array([dated(row.known) for row in rows], pa.date32()),
    }
    return pa.table(columns)


def declared(rows: dict[str, Rows], **more: Any) -> FunnelSettings:
    stage = {"id": "id", "on": "on_day", "entity": "entity", "known": "seen_on"}
    return FunnelSettings(**{"stages": {n: {"source": n} | stage for n in rows}, "segments": SEGMENTS} | more)


@cache
def warehouse() -> DuckDB:
    return DuckDB(":memory:")


def read(rows: dict[str, Rows], as_of: date = AS_OF, **more: Any) -> Events:
    for name, one in rows.items():
        warehouse().load(f"source_{name}", table(one))
    sources = {name: Source(table=name, key="id") for name in rows}
    return read_events(warehouse(), declared(rows, **more), sources, as_of)


def dates(days: Any) -> list[int]:
    return [(date_of(day) - START).days for day in days]


def test_series_are_channel_and_source_in_order_and_segments_those_that_have_one() -> None:
    found = read({"mql": [Row(1, 1, "Web"), Row(2, 1, "Dover", channel="Outbound"), Row(3, 1, "Web", channel="Ads")]})
    assert found.series == (
        Series("Ads", "Web", "Inbound"),
        Series("Marketing", "Web", "Inbound"),
        Series("Outbound", "Dover", "Others"),
    )
    assert found.segment_names == ("Others", "Inbound")
    assert found.segments.tolist() == [1, 1, 0]
    assert found.channels == ("Ads", "Marketing", "Outbound")
    assert str(found.series[0]) == "Ads / Web"


def test_a_segment_without_series_leaves_no_gap_in_the_numbers() -> None:
    found = read({"mql": [Row(1, 1, "Web")]})
    assert (found.segment_names, found.segments.tolist()) == (("Inbound",), [0])


def test_an_id_on_several_rows_counts_once_on_its_first_day() -> None:
    found = read({"mql": [Row(1, 9), Row(1, 4), Row(1, 6), Row(2, 5)]})
    assert dates(found.stages["mql"].day) == [4, 5]


def test_what_is_known_later_or_happens_later_is_not_there() -> None:
    rows = [Row(1, 4), Row(2, 4, known=50), Row(3, 60), Row(4, 4, known=None), Row(5, None), Row(None, 4)]
    found = read({"mql": rows})
    assert dates(found.stages["mql"].day) == [4]


def test_an_event_is_never_known_before_it_happened() -> None:
    found = read({"mql": [Row(1, 4, known=0), Row(2, 4, known=7)]}).stages["mql"]
    assert (found.known - found.day).tolist() == [0, 3]


@pytest.mark.parametrize(
    ("source", "known"),
    [
        (Source(table="mql", key="id"), 10),
        (Source(table="mql", key="id", known="seen_on"), 12),
        (Source(table="mql", key="id", happened="on_day", known_after="5 days"), 15),
        (Source(table="mql", key="id", known="on_day", columns={"on_day": Column(known="seen_on")}), 12),
    ],
    ids=["its own day", "the row's column", "a lag", "the column's own"],
)
def test_without_a_word_of_the_stage_the_source_says_since_when_an_event_is_known(source: Source, known: int) -> None:
    warehouse().load("source_mql", table([Row(1, 10, known=12)]))
    stage = {"source": "mql", "id": "id", "on": "on_day"}
    found = read_events(warehouse(), FunnelSettings(stages={"mql": stage}, segments=SEGMENTS), {"mql": source}, AS_OF)
    assert dates(found.stages["mql"].known) == [known]


def test_a_renamed_source_goes_on_under_its_present_name() -> None:
    found = read({"mql": [Row(1, 1, "Site"), Row(2, 1, "Web")]}, renamed={"Site": "Web"})
    assert [one.source for one in found.series] == ["Web"]
    assert found.stages["mql"].series.tolist() == [0, 0]


def test_ids_of_one_person_link_whether_they_are_numbers_or_text() -> None:
    stages = {"mql": [Row(1, 1, entity=7)], "sql": [Row(1, 5, entity="7")]}
    assert dates(read(stages).cohorts("mql", "sql").converted) == [5]


def test_only_decides_which_rows_are_events() -> None:
    rows = {"mql": [Row(1, 1), Row(2, 1, channel="Ads")]}
    stage = {"source": "mql", "id": "id", "on": "on_day", "only": "channel = 'Ads'"}
    assert [one.channel for one in read(rows, stages={"mql": stage}).series] == ["Ads"]


@pytest.mark.parametrize("only", ["count(*) > 1", "day >", "today() > on_day", "id in (select 1)", "m.id = 1", "1"])
def test_only_must_be_a_condition_over_one_row(only: str) -> None:
    stage = {"source": "mql", "id": "id", "on": "on_day", "only": only}
    with pytest.raises(ConfigurationError, match=r"\[funnel.stages.mql\] only"):
        read({"mql": [Row(1, 1)]}, stages={"mql": stage})


REFUSALS: list[tuple[Rows, str]] = [
    ([Row(1, 1), Row(2, 1, "Podcast"), Row(3, 2, "Podcast")], r"'Podcast' on 2 events.*Add \"Podcast\""),
    ([Row(1, 1, "Podcast"), Row(2, 1, "Radio"), Row(3, 2, "Radio")], "'Radio' on 2 events, and 1 other such sources"),
    ([Row(1, 1), Row(2, 1, None)], r"column source_name \(stage mql\).*no source \(NULL\) on 1 events.*coalesce"),
    ([Row(1, 1), Row(2, 1, "web")], "'web' on 1 events"),
    ([Row(1, 1), Row(2, 1, channel=None)], "column channel.*no channel on 1 events"),
    ([Row(1, 60)], "no event dated by `on_day` of source mql and known by 2025-02-15"),
]


@pytest.mark.parametrize(("rows", "said"), REFUSALS)
def test_events_that_fit_nowhere_stop_everything_and_are_named(rows: Rows, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read({"mql": rows})


def test_a_source_that_nobody_maps_is_no_fault_before_it_is_known() -> None:
    found = read({"mql": [Row(1, 1), Row(2, 5, "Podcast")]}, as_of=START + timedelta(days=4))
    assert len(found.stages["mql"]) == 1


def test_nobody_knows_the_future() -> None:
    with pytest.raises(ValueError, match="known up to 2025-02-15"):
        read({"mql": [Row(1, 1)]}).known_at(date(2025, 2, 16))


rows_drawn = st.lists(
    st.builds(
        Row,
        id=st.integers(0, 9),
        day=st.integers(0, 20),
        source=st.sampled_from(["Web", "Event", "Dover"]),
        entity=st.sampled_from(["a", "b", "c", None]),
        known=st.integers(0, 30),
        channel=st.just("Marketing"),
    ),
    min_size=1,
    max_size=25,
)


def seen(rows: Rows, until: int) -> Rows:
    """What a person would write down: of each id the first day, among the rows known by then."""
    there = [row for row in rows if row.day is not None and row.day <= until and (row.known or 0) <= until]
    full: Callable[[Row], Any] = lambda row: (row.day, row.known, row.source, row.entity is not None, row.entity or "")  # noqa: E731
    return [
        min((row for row in there if row.id == one), key=full) for one in sorted({row.id for row in there}, key=str)
    ]


@settings(max_examples=60, deadline=None)
@given(rows=rows_drawn, until=st.integers(0, 45))
def test_a_past_day_sees_what_a_reading_on_that_day_would_have_seen(rows: Rows, until: int) -> None:
    events = read({"mql": rows})
    found, names = events.known_at(START + timedelta(days=until)).stages["mql"], [one.source for one in events.series]
    expected = seen(rows, until)
    assert dates(found.day) == [row.day for row in expected]
    assert [names[one] for one in found.series] == [row.source for row in expected]


@settings(max_examples=60, deadline=None)
@given(entries=rows_drawn, later=rows_drawn, last=st.integers(0, 44))
def test_cohorts_are_those_of_a_loop_over_the_people(entries: Rows, later: Rows, last: int) -> None:
    found = read({"mql": entries, "sql": later})
    cohorts = found.cohorts("mql", "sql", START + timedelta(days=last))
    names = [one.source for one in found.series]
    ours = [
        (row.day, row.source, row.entity)
        for row in seen(entries, 45)
        if row.entity is not None and row.day is not None and row.day <= last
    ]
    reached: dict[int, list[int]] = {place: [] for place in range(len(ours))}
    for row in (r for r in seen(later, 45) if r.day is not None and r.day <= last and r.entity is not None):
        mine = [place for place, (_, _, entity) in enumerate(ours) if entity == row.entity]
        before = [place for place in mine if ours[place][0] <= row.day]
        if before:
            reached[max(before, key=lambda place: (ours[place][0], place))].append(row.day)
        elif mine:
            first = min(mine, key=lambda place: (ours[place][0], place))
            reached[first].append(row.day)
    expected = [(d, s, max(d, min(reached[p])) if reached[p] else None) for p, (d, s, _) in enumerate(ours)]
    told = [
        (day, names[series], None if end == NOT_YET else dates([end])[0])
        for day, series, end in zip(dates(cohorts.entered), cohorts.series, cohorts.converted, strict=True)
    ]
    assert sorted(told, key=str) == sorted(expected, key=str)
    assert cohorts.last == day_number(START) + last
    assert (np.diff(cohorts.entered) >= 0).all()


def test_a_conversion_on_the_incomplete_day_is_still_open() -> None:
    events = read({"mql": [Row(1, 1)], "sql": [Row(9, 45)]})
    assert events.cohorts("mql", "sql").converted.tolist() == [NOT_YET]
    assert dates(events.cohorts("mql", "sql", AS_OF).converted) == [45]


def test_who_enters_twice_converts_from_the_latest_entry() -> None:
    found = read({"mql": [Row(1, 1), Row(2, 10)], "sql": [Row(9, 12)]}).cohorts("mql", "sql")
    assert (dates(found.entered), found.converted.tolist()) == ([1, 10], [NOT_YET, day_number(START) + 12])


def test_entries_before_the_training_are_left_out_of_cohorts() -> None:
    events = read({"mql": [Row(1, 1, entity="a"), Row(2, 10)], "sql": [Row(9, 12)]}, train_start=date(2025, 1, 5))
    assert dates(events.cohorts("mql", "sql").entered) == [10]


def test_the_same_rows_in_another_order_are_the_same_events() -> None:
    rows = [Row(i % 7, i % 5, ["Web", "Event"][i % 2], entity=str(i % 3), known=i % 4) for i in range(40)]
    one, other = read({"mql": rows}).rows["mql"], read({"mql": rows[::-1]}).rows["mql"]
    for name in ("id", "series", "entity", "day", "known"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name
