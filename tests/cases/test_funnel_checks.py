"""What is wrong with the data is found, named, and found nowhere else."""

import tomllib
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from foregate.cases.funnel.checks import control_findings, source_findings
from foregate.cases.funnel.event_checks import event_findings
from foregate.cases.funnel.events import read_events
from foregate.cases.funnel.settings import FunnelSettings
from foregate.cases.funnel.world import AS_OF, RENAMED, Trap, lay
from foregate.core.errors import DataError
from foregate.core.evidence import Evidence
from foregate.modeling.measured import Measured
from foregate.warehouse.binding import bind
from foregate.warehouse.duckdb import DuckDB
from foregate.warehouse.sources import Source

PROJECT = Path(__file__).resolve().parents[2] / "src" / "foregate" / "cases" / "funnel" / "project" / "foregate.toml"
DECLARED = tomllib.loads(PROJECT.read_text())
SOURCES = {name: Source(**said) for name, said in DECLARED["sources"].items()}
SEED = 4
UNWANTED = {
    "duplicate_events",
    "missing_ids",
    "undated_events",
    "future_dated",
    "unmapped_share",
    "zero_series",
    "control_gap",
    "label_gap",
    "suspected_renames",
    "missing_months",
    "silent_days",
    "late_share",
    "stale_days",
    "negative_delays",
    "orphan_share",
    "moved_series_share",
}
Found = dict[str, Evidence]


def findings(warehouse: DuckDB, funnel: FunnelSettings, sources: dict[str, Source], as_of: date) -> Found:
    made = Measured(as_of, "test")
    found = list(source_findings(made, warehouse, funnel, sources))
    if not any(one.value for one in found if one.name == "unmapped_share"):
        events = read_events(warehouse, funnel, sources, as_of)
        found += event_findings(made, events, funnel)
        found += control_findings(made, warehouse, funnel, sources, events)
    assert len({one.label for one in found}) == len(found)
    return {one.label: one for one in found}


def wrong(found: Found) -> set[str]:
    return {label for label, one in found.items() if one.name in UNWANTED and one.value > 0}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., tuple[DuckDB, Found]]:
    def find(trap: Trap | None, **changed: Any) -> tuple[DuckDB, Found]:
        folder, warehouse = tmp_path_factory.mktemp("world"), DuckDB(":memory:")
        lay(folder / "data", SEED, AS_OF, trap)
        bind(warehouse, SOURCES, folder)
        return warehouse, findings(warehouse, FunnelSettings(**DECLARED["funnel"] | changed), SOURCES, AS_OF)

    return find


def test_nothing_is_found_in_an_honest_world(world: Callable[..., tuple[DuckDB, Found]]) -> None:
    _, found = world(None)
    assert {one.name for one in found.values()} >= UNWANTED
    assert wrong(found) == set()
    assert (found["series"].value, found["dead_series"].value) == (24, 2)
    assert "Outbound / Dover" in found["dead_series"].words


TRAPS = {
    Trap.DUPLICATE_EVENTS: ("duplicate_events[sqo]", {"control_gap[sqo]", "label_gap[sqo]"}, "on several rows"),
    Trap.NEGATIVE_DELAY: ("negative_delays[sqo]", {"late_share[sqo]"}, "days before its sql"),
    Trap.UNMAPPED_SOURCE: ("unmapped_share[mql]", {"unmapped_share[sql]", "unmapped_share[sqo]"}, "'Podcast'"),
    Trap.RENAMED_SOURCE: ("suspected_renames", set(), "Marketing / Website, last seen 2025-03-31, may be called"),
    Trap.MISSING_MONTH: ("missing_months[sqo]", {"silent_days[sqo]"}, "no event in 2024-11"),
    Trap.ZERO_SERIES: ("zero_series", set(), "Marketing / Webinar"),
    Trap.WRONG_DATE: ("label_gap[sqo]", set(), "by became_sqo_on"),
}


@pytest.mark.parametrize("trap", Trap)
def test_a_trap_is_named_and_nothing_else_is(trap: Trap, world: Callable[..., tuple[DuckDB, Found]]) -> None:
    label, allowed, words = TRAPS[trap]
    _, found = world(trap)
    assert found[label].value > 0
    assert words in found[label].words
    assert wrong(found) - allowed == {label}


def test_an_unmapped_source_stops_the_reading(world: Callable[..., tuple[DuckDB, Found]]) -> None:
    warehouse, _ = world(Trap.UNMAPPED_SOURCE)
    with pytest.raises(DataError, match=r"'Podcast' on \d+ events.*\[funnel.segments\]"):
        read_events(warehouse, FunnelSettings(**DECLARED["funnel"]), SOURCES, AS_OF)


def test_a_rename_that_is_declared_is_one_series_again(world: Callable[..., tuple[DuckDB, Found]]) -> None:
    old, new, _ = RENAMED
    segments = {n: [s for s in listed if s != old] for n, listed in DECLARED["funnel"]["segments"].items()}
    _, found = world(Trap.RENAMED_SOURCE, segments=segments, renamed={old: new})
    assert wrong(found) == set()
    assert found["series"].value == 24


def small(rows: list[dict[str, Any]], as_of: date, **stage: Any) -> Found:
    columns = dict.fromkeys(key for row in rows for key in row)
    warehouse = DuckDB(":memory:")
    warehouse.load("source_s", pa.table({key: [row.get(key) for row in rows] for key in columns}))
    said = {"source": "s", "id": "id", "on": "on_day"} | stage
    funnel = FunnelSettings(stages={"mql": said}, segments={"A": ["Web", "Event"]})
    return findings(warehouse, funnel, {"s": Source(table="s", key="id")}, as_of)


def row(number: int, day: date | None, **more: Any) -> dict[str, Any]:
    return {"id": number, "on_day": day, "channel": "Ads", "source_name": "Web", "flag": True, "seen": day} | more


DAYS = [date(2025, 1, 1) + timedelta(days=n) for n in range(60)]
DAILY = [row(n, day) for n, day in enumerate(DAYS)]
TODAY = date(2025, 3, 2)


def test_one_series_alone_is_said() -> None:
    found = small(DAILY, TODAY)["series"]
    assert found.value == 1
    assert "one series only" in found.words


def test_a_row_that_is_in_the_stage_without_a_date_is_counted() -> None:
    found = small([*DAILY, row(100, None), row(101, None, flag=False)], TODAY, only="flag")
    assert found["undated_events[mql]"].value == 1
    assert small([*DAILY, row(100, None)], TODAY)["undated_events[mql]"].rows == 0


def test_an_event_without_an_id_is_counted() -> None:
    rows = [*DAILY, row(0, DAYS[3]) | {"id": None}]
    assert wrong(small(rows, TODAY)) == {"missing_ids[mql]"}


def test_an_event_dated_after_the_day_it_is_known_is_counted() -> None:
    rows = [*DAILY, row(100, date(2025, 2, 20), seen=date(2025, 2, 1)), row(101, date(2026, 1, 1), seen=DAYS[0])]
    found = small(rows, TODAY, known="seen")
    assert found["future_dated[mql]"].value == 2
    assert "the newest 2026-01-01" in found["future_dated[mql]"].words


def test_events_that_become_known_late_are_told_by_their_share() -> None:
    rows = [row(n, day, seen=day + timedelta(days=n % 2 * 3)) for n, day in enumerate(DAYS)]
    found = small(rows, TODAY, known="seen")["late_share[mql]"]
    assert found.value == pytest.approx(29 / 59)
    assert "all within 3" in found.words


def test_a_month_less_than_the_source_holds_is_named() -> None:
    rows = [*DAILY, *(row(500 + n, DAYS[40], seen=None) for n in range(3))]
    found = small(rows, TODAY, known="seen")["control_gap[mql]"]
    assert found.value == pytest.approx(3 / 31)
    assert found.words == "2025-02: 28 in the panel, 31 ids in source s; 1 of 3 months differ"


def test_a_report_that_counts_by_another_date_is_told_from_one_that_does_not() -> None:
    moved = [row(n, day, told=day + timedelta(days=10)) for n, day in enumerate(DAYS)]
    found = small(moved, TODAY, reported_on="told")["label_gap[mql]"]
    assert found.value == pytest.approx(10 / 21)
    assert found.words == "2025-01: 31 by on_day, 21 by told; 1 of 2 months differ"


def test_weekends_without_events_are_no_silence_and_a_lost_week_is() -> None:
    year = [date(2024, 1, 1) + timedelta(days=n) for n in range(365)]
    workdays = [row(n * 10 + k, day) for n, day in enumerate(year) if day.weekday() < 5 for k in range(8)]
    assert wrong(small(workdays, date(2025, 1, 1))) == set()
    lost = [one for one in workdays if not date(2024, 6, 10) <= one["on_day"] < date(2024, 6, 17)]
    found = small(lost, date(2025, 1, 1))["silent_days[mql]"]
    assert found.value == 9
    assert found.words.startswith("none from 2024-06-08 to 2024-06-16, where 40 were to be expected")


def test_a_stage_that_stopped_arriving_is_stale() -> None:
    warehouse = DuckDB(":memory:")
    warehouse.load("source_s", pa.table({key: [one[key] for one in DAILY] for key in DAILY[0]}))
    stage = {"source": "s", "id": "id", "on": "on_day"}
    funnel = FunnelSettings(stages={"mql": stage}, segments={"A": ["Web"]}, fresh_days=5)
    found = findings(warehouse, funnel, {"s": Source(table="s", key="id")}, date(2025, 3, 20))
    assert found["stale_days[mql]"].value == 14


def test_who_never_entered_the_stage_before_is_counted_as_an_orphan() -> None:
    warehouse = DuckDB(":memory:")
    warehouse.load("source_s", pa.table({key: [one[key] for one in DAILY] for key in DAILY[0]}))
    later = [row(n, day + timedelta(days=1), source_name="Event") for n, day in zip((3, 4, 900), DAYS, strict=False)]
    warehouse.load("source_t", pa.table({key: [one[key] for one in later] for key in later[0]}))
    stages = {name: {"source": name, "id": "id", "on": "on_day"} for name in ("s", "t")}
    funnel = FunnelSettings(stages=stages, segments={"A": ["Web", "Event"]})
    found = findings(warehouse, funnel, {name: Source(table=name, key="id") for name in "st"}, TODAY)
    assert found["orphan_share[t]"].value == pytest.approx(1 / 3)
    assert (found["negative_delays[t]"].value, found["moved_series_share[t]"].value) == (2, 1.0)
    assert found["unreached_series[t]"].words == "never: Ads / Web"
