"""The panel: every day counted, today never, and a past origin sees what a person of that day would have counted."""

import tomllib
from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as tried
from hypothesis import strategies as st

from foregate.cases.funnel.events import Events, Ints, Series, StageEvents, day_number, read_events
from foregate.cases.funnel.panel import NEVER, actuals, last_complete, lives, panel
from foregate.cases.funnel.settings import FunnelSettings
from foregate.cases.funnel.world import AS_OF, lay_world, unfold
from foregate.warehouse.binding import bind
from foregate.warehouse.duckdb import DuckDB
from foregate.warehouse.sources import Source

PROJECT = Path(__file__).resolve().parents[2] / "src" / "foregate" / "cases" / "funnel" / "project" / "foregate.toml"
START = date(2024, 1, 1)


def funnel(**changed: Any) -> FunnelSettings:
    stage = {"source": "s", "id": "id", "on": "on"}
    return FunnelSettings(**{"stages": {"mql": stage, "sql": stage}, "segments": {"A": ["a", "b", "c"]}} | changed)


def staged(happened: list[tuple[int, int]]) -> StageEvents:
    """Events of (series, day after START), each of an entity of its own."""
    series = np.array([one for one, _ in happened], dtype=np.int64)
    day = np.array([later for _, later in happened], dtype=np.int64) + day_number(START)
    return StageEvents(np.arange(len(day)), series, np.arange(len(day)), day, day)


def events(mql: list[tuple[int, int]], sql: list[tuple[int, int]] | None = None, as_of: int = 400) -> Events:
    stages = {"mql": staged(mql), "sql": staged(sql or [])}
    series = tuple(Series("x", name, "A") for name in "abc")
    return Events(START + timedelta(days=as_of), series, np.zeros(3, dtype=np.int64), ("A",), stages, stages)


def on(day: int) -> date:
    return START + timedelta(days=day)


def test_every_day_from_the_first_event_of_any_stage_is_a_column_and_silence_is_a_zero() -> None:
    found = panel(events([(0, 12), (0, 14), (1, 14), (1, 14)], [(0, 10)], 16), "mql", on(16), funnel())
    assert found.counts.tolist() == [[0, 0, 1, 0, 1, 0], [0, 0, 0, 0, 2, 0], [0] * 6]
    assert found.last == on(15)


def test_today_is_never_complete_and_later_days_are_if_they_take_so_long() -> None:
    all_days = events([(0, day) for day in range(20)], as_of=19)
    for after, last in ((0, 18), (1, 18), (2, 17), (5, 14)):
        found = panel(all_days, "mql", on(19), funnel(complete_after_days=after))
        assert (found.last, found.counts[0].tolist()) == (on(last), [1] * (last + 1))
        assert last_complete(on(19), after) == on(last)


def test_the_days_begin_with_the_training() -> None:
    year = events([(0, day) for day in range(365)])
    start = funnel(train_start=on(100))
    assert panel(year, "mql", on(364), start).days == 264
    assert panel(year, "mql", on(364), funnel(train_days=60)).days == 60
    assert panel(year, "mql", on(130), funnel(train_days=60)).days == 60
    assert panel(year, "mql", on(40), funnel(train_days=60)).days == 40
    with pytest.raises(ValueError, match=f"no complete day by {on(100)}"):
        panel(year, "mql", on(100), start)


def test_a_series_is_born_with_its_first_event_in_any_stage_and_earlier_days_are_absence() -> None:
    found = panel(events([(0, 0), (1, 30)], [(1, 20), (2, 90)], 60), "mql", on(60), funnel())
    assert found.born.tolist() == [0, 20, 60]
    assert found.alive.tolist() == [True, True, False]


def test_a_series_born_before_the_training_exists_from_its_first_day() -> None:
    found = panel(events([(0, 0), (0, 200)]), "mql", on(300), funnel(train_start=on(100)))
    assert (found.born[0], found.alive[0]) == (0, True)


def test_a_series_dies_of_a_silence_of_180_days_and_twenty_gaps_and_not_before() -> None:
    weekly = [(0, day) for day in range(0, 71, 7)]
    rare = [(1, day) for day in range(0, 61, 30)]
    there = events([*weekly, *rare, (2, 399)])
    assert lives(there, on(250)).died.tolist() == [NEVER] * 3
    assert lives(there, on(251)).died.tolist() == [day_number(on(251)), NEVER, NEVER]
    found = panel(there, "mql", on(390), funnel())
    assert found.died.tolist() == [251, 390, 390]
    assert found.alive.tolist() == [False, True, False]


def test_a_series_that_comes_back_lives() -> None:
    found = panel(events([(0, day) for day in (*range(10), 350)]), "mql", on(390), funnel())
    assert (found.died[0], found.alive[0]) == (390, True)


def test_a_history_cut_at_an_earlier_day_knows_of_no_death_before_it_could_be_known() -> None:
    weekly = events([(0, day) for day in range(0, 71, 7)] + [(1, 399)])
    whole = panel(weekly, "mql", on(390), funnel())
    assert whole.until(250).alive[0]
    assert not whole.until(251).alive[0]
    assert np.array_equal(whole.until(251).died, panel(weekly, "mql", on(252), funnel()).died)


@tried(max_examples=60, deadline=None)
@given(
    mql=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 60)), min_size=1, max_size=40),
    sql=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 60)), max_size=20),
    origin=st.integers(1, 60),
)
def test_the_counts_are_those_of_a_loop(mql: list[tuple[int, int]], sql: list[tuple[int, int]], origin: int) -> None:
    there = events(mql, sql, as_of=60)
    first = min(day for _, day in (*mql, *sql))
    if first >= origin:
        with pytest.raises(ValueError, match="no complete day"):
            panel(there, "mql", on(origin), funnel())
        return
    found = panel(there, "mql", on(origin), funnel())
    times = Counter(mql)
    assert found.counts.tolist() == [[times[one, day] for day in range(first, origin)] for one in range(3)]
    counted = actuals(there, "mql", on(0), on(59))
    assert counted.tolist() == [[times[one, day] for day in range(60)] for one in range(3)]


def test_the_actual_of_today_is_refused() -> None:
    with pytest.raises(ValueError, match="not complete"):
        actuals(events([(0, 1)], as_of=20), "mql", on(0), on(20))


DECLARED = tomllib.loads(PROJECT.read_text())
FUNNEL = FunnelSettings(**DECLARED["funnel"])
SOURCES = {name: Source(**said) for name, said in DECLARED["sources"].items()}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Callable[[date], Events]:
    """What a person who exports the world's files on a day reads on that day."""

    @cache
    def read_on(day: date) -> Events:
        folder, warehouse = tmp_path_factory.mktemp("world"), DuckDB(":memory:")
        lay_world(folder / "data", unfold(1), day)
        bind(warehouse, SOURCES, folder)
        return read_events(warehouse, FUNNEL, SOURCES, day)

    return read_on


def named(there: Events, rows: Ints) -> dict[Series, list[int]]:
    """Rows by series, without those of nothing but zeros: a reading of an earlier day does not know them."""
    return {series: row for series, row in zip(there.series, rows.tolist(), strict=True) if any(row)}


@pytest.mark.parametrize("stage", ["mql", "sql", "sqo"])
@pytest.mark.parametrize("back", [0, 30, 200, 600])
def test_a_replayed_origin_is_the_panel_of_that_day(exported: Callable[[date], Events], stage: str, back: int) -> None:
    day = AS_OF - timedelta(days=back)
    today, then = exported(AS_OF), exported(day)
    replayed, lived = panel(today, stage, day, FUNNEL), panel(then, stage, day, FUNNEL)
    assert (replayed.last, replayed.days) == (lived.last, lived.days)
    assert named(today, replayed.counts) == named(then, lived.counts)
    alive = {series for series, lives in zip(today.series, replayed.alive, strict=True) if lives}
    assert alive == {series for series, lives in zip(then.series, lived.alive, strict=True) if lives}


@pytest.mark.parametrize("pair", [("mql", "sql"), ("sql", "sqo")])
def test_the_cohorts_of_a_replayed_origin_are_those_of_that_day(
    exported: Callable[[date], Events], pair: tuple[str, str]
) -> None:
    day = AS_OF - timedelta(days=100)
    today, then = exported(AS_OF).known_at(day), exported(day)
    cohorts = today.cohorts(*pair), then.cohorts(*pair)
    told = [
        sorted(zip((str(there.series[s]) for s in one.series), one.entered, one.converted, strict=True))
        for there, one in zip((today, then), cohorts, strict=True)
    ]
    assert told[0] == told[1]
    assert cohorts[0].last == cohorts[1].last == day_number(day) - 1


def test_the_panel_s_totals_are_the_world_s(exported: Callable[[date], Events]) -> None:
    there = exported(AS_OF)
    for stage in FUNNEL.stages:
        found = panel(there, stage, AS_OF, FUNNEL)
        first = found.last - timedelta(days=found.days - 1)
        assert found.counts.sum() == unfold(1).counts(stage, first, found.last).sum()
