"""A world that goes on is honest on every day, and what a desk does in it comes true as its truth says."""

import shutil
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from foregate.app.leads import Leads
from foregate.cases.leads.world import Scale, Unfolding, lay_variant
from foregate.cases.leads.world.truth import Effects

SMALL = Scale(leads=3_000, people=12_000, employment=50_000, firms=700, months=12, prospects=16_000, owners=4)
START, END, SEED = date(2025, 10, 31), date(2026, 4, 30), 5
FIRST, LAST = date(2025, 11, 3), date(2025, 11, 28)
LATER = date(2026, 1, 15)
TABLES = {"employment", "firm_month", "firms", "leads", "owners", "person_snapshot", "prospects", "tasks", "truth"}

World = duckdb.DuckDBPyConnection


def unfolding(seed: int = SEED) -> Unfolding:
    return Unfolding(SMALL, seed, START, END)


def opened(world: Unfolding, folder: Path, day: date) -> World:
    world.write(folder, day)
    connection = duckdb.connect()
    for file in folder.glob("*.parquet"):
        connection.execute(f"create view {file.stem} as from '{file}'")
    return connection


def one(connection: World, query: str) -> Any:
    row = connection.execute(query).fetchone()
    assert row is not None
    return row[0] if len(row) == 1 else row


def ids(connection: World, query: str) -> list[int]:
    return [row[0] for row in connection.execute(query).fetchall()]


def work(world: Unfolding, people: Sequence[int], first: date = FIRST, last: date = LAST) -> int:
    return world.contact(people, [1 + place % SMALL.owners for place in range(len(people))], first, last)


def contents(folder: Path) -> dict[str, bytes]:
    return {file.stem: file.read_bytes() for file in folder.glob("*.parquet")}


NEVER_CALLED = "select person_id from prospects where lead_id is null order by person_id"


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> World:
    return opened(unfolding(), tmp_path_factory.mktemp("start"), START)


@pytest.fixture(scope="module")
def worked(start: World) -> tuple[Unfolding, list[int]]:
    """A world whose desk worked through everybody who was not a lead yet."""
    world, people = unfolding(), ids(start, NEVER_CALLED)
    assert work(world, people) == len(people)
    return world, people


@pytest.fixture(scope="module")
def later(worked: tuple[Unfolding, list[int]], tmp_path_factory: pytest.TempPathFactory) -> World:
    return opened(worked[0], tmp_path_factory.mktemp("later"), LATER)


@pytest.fixture(scope="module")
def ended(worked: tuple[Unfolding, list[int]], tmp_path_factory: pytest.TempPathFactory) -> World:
    return opened(worked[0], tmp_path_factory.mktemp("ended"), END)


def test_the_same_seed_and_calls_give_the_same_bytes(tmp_path: Path, start: World) -> None:
    people = ids(start, NEVER_CALLED + " limit 300")
    for name, seed, days in (("one", SEED, 20), ("again", SEED, 20), ("seed", SEED + 1, 20), ("call", SEED, 10)):
        world = unfolding(seed)
        if seed == SEED:
            work(world, people, FIRST, FIRST + timedelta(days=days))
        rows = world.write(tmp_path / name, LATER)
        assert set(rows) == TABLES | {"webinars"}
    assert contents(tmp_path / "one") == contents(tmp_path / "again")
    assert contents(tmp_path / "one")["employment"] != contents(tmp_path / "seed")["employment"]
    assert contents(tmp_path / "one")["leads"] != contents(tmp_path / "call")["leads"]
    assert contents(tmp_path / "one")["employment"] == contents(tmp_path / "call")["employment"]


def test_a_day_s_files_do_not_change_with_what_comes_later(tmp_path: Path, start: World) -> None:
    world = unfolding()
    world.write(tmp_path / "before", START)
    work(world, ids(start, NEVER_CALLED + " limit 300"))
    world.lose_trust(LATER)
    world.write(tmp_path / "after", START)
    assert contents(tmp_path / "before") == contents(tmp_path / "after")


@pytest.mark.parametrize("day", [START, LATER, END])
def test_files_hold_nothing_recorded_later(day: date, start: World, later: World, ended: World) -> None:
    c = {START: start, LATER: later, END: ended}[day]
    for table, columns in {
        "employment": "started_on recorded_on ended_recorded_on",
        "person_snapshot": "recorded_on",
        "leads": "created_on contacted_on call_scheduled_on email_known_on linkedin_known_on",
        "tasks": "happened_on",
        "webinars": "attended_on recorded_on",
        "firms": "first_seen_on protocol_joined_on",
        "prospects": "last_contacted_on email_known_on linkedin_known_on",
    }.items():
        for column in columns.split():
            assert one(c, f"select max({column}) from {table}") <= day, (table, column)
    assert one(c, "select count(*) from employment where (ended_on is null) <> (ended_recorded_on is null)") == 0
    assert one(c, "select max(month + interval 1 month)::date from firm_month") <= day
    assert one(c, "select max(recorded_on) from employment") > day - timedelta(days=10)


def test_an_earlier_day_is_the_later_one_without_what_was_recorded_since(start: World, later: World) -> None:
    jobs = f"""select person_id, firm_id, started_on, recorded_on,
      case when ended_recorded_on <= date '{START}' then ended_on end as ended_on
      from employment where recorded_on <= date '{START}' order by all"""
    assert start.execute(jobs).fetchall() == later.execute(jobs).fetchall()
    leads = f"""select lead_id, person_id, source, created_on, contacted_on, owner_id, company,
      case when call_scheduled_on <= date '{START}' then call_scheduled_on end as called_on
      from leads where created_on <= date '{START}' order by all"""
    assert start.execute(leads).fetchall() == later.execute(leads).fetchall()


def test_references_are_met_and_keys_unique(later: World) -> None:
    for link in (
        "employment person_id prospects",
        "employment firm_id firms",
        "person_snapshot person_id prospects",
        "prospects person_id person_snapshot",
        "webinars person_id prospects",
        "tasks lead_id leads",
        "prospects lead_id leads",
        "leads owner_id owners",
    ):
        child, column, parent = link.split()
        missing = one(later, f"select count(*) from {child} where {column} not in (select {column} from {parent})")
        assert missing == 0, link
    for table, key in (("leads", "lead_id"), ("prospects", "person_id"), ("tasks", "task_id")):
        assert one(later, f"select count(*) - count(distinct {key}) from {table}") == 0


def test_whoever_is_worked_becomes_a_lead_on_a_working_day(
    worked: tuple[Unfolding, list[int]], start: World, later: World
) -> None:
    people = len(worked[1])
    found = one(
        later,
        f"""select count(*), count(distinct person_id), min(contacted_on), max(contacted_on), max(isodow(contacted_on)),
          count(*) filter (where created_on <> contacted_on or source <> 'Provided List') from leads
          where contacted_on > date '{START}'""",
    )
    assert found == (people, people, FIRST, LAST, 5, 0)
    per_day = [
        n
        for (n,) in later.execute(
            f"select count(*) from leads where contacted_on > date '{START}' group by contacted_on"
        ).fetchall()
    ]
    assert max(per_day) - min(per_day) <= 1
    assert one(later, "select count(*) from leads") == one(start, "select count(*) from leads") + people
    behind = """select count(*) from prospects p join leads l using (lead_id)
      where p.last_contacted_on < l.contacted_on or p.person_id <> l.person_id"""
    assert one(later, behind) == 0


def test_a_contact_is_unknown_before_its_day(worked: tuple[Unfolding, list[int]], tmp_path: Path) -> None:
    day = date(2025, 11, 12)
    c = opened(worked[0], tmp_path, day)
    assert one(c, f"select count(*) from leads where created_on > date '{START}'") < len(worked[1])
    assert one(c, "select count(*) from truth where lead_id not in (from leads select lead_id)") == 0
    assert one(c, "select max(last_contacted_on) from prospects") <= day


def test_a_lead_worked_again_has_another_lead_and_keeps_its_addresses(start: World, tmp_path: Path) -> None:
    world = unfolding()
    people = ids(start, "select person_id from prospects where email_known_on is not null and lead_id > 0 limit 200")
    work(world, people)
    c = opened(world, tmp_path, LAST)
    assert one(c, f"select count(*) from leads where source = 'Recycled' and created_on >= date '{FIRST}'") == 200
    twice = """select count(*) from (select person_id from leads where person_id is not null
      group by person_id having count(*) = 2 and count(distinct email_known_on) = 1 and count(email_known_on) = 2)"""
    assert one(c, twice) == 200
    newest = "select count(*) from prospects p join leads l using (lead_id) where l.contacted_on >= date '{}'"
    assert one(c, newest.format(FIRST)) == 200


def test_conversions_follow_the_truth(worked: tuple[Unfolding, list[int]], ended: World) -> None:
    expected, seen, ever = one(
        ended,
        f"""select sum(probability), count(*) filter (call_scheduled_on - contacted_on <= 43), sum(converted_ever::int)
          from truth join leads using (lead_id) where contacted_on > date '{START}'""",
    )
    assert abs(seen - expected) < 4 * np.sqrt(expected)
    assert seen / ever == pytest.approx(0.9, abs=0.07)
    told = worked[0].chances(worked[1], date(2025, 11, 14))
    assert told.sum() == pytest.approx(expected, rel=0.05)


def test_the_history_converts_at_its_rate(start: World, ended: World) -> None:
    assert one(start, "select avg(probability) from truth") == pytest.approx(0.03, abs=1e-6)
    calls = f"select count(*) from leads where contacted_on <= date '{START}' and call_scheduled_on is not null"
    assert one(ended, calls) >= one(start, calls)


def test_calls_come_as_late_as_in_the_history(later: World, ended: World) -> None:
    delays = """select median(d), avg((d <= 1)::int), avg((d <= 20)::int)
      from (select call_scheduled_on - contacted_on as d from leads where contacted_on {} date '{}') where d <= 120"""
    for since, day in ((">", START), ("<=", START - timedelta(days=120))):
        median, at_once, soon = one(ended, delays.format(since, day))
        assert median <= 2
        assert float(at_once) == pytest.approx(0.54 / 0.95, abs=0.12)
        assert float(soon) == pytest.approx(0.80 / 0.95, abs=0.09)
    assert one(later, "select max(call_scheduled_on) from leads") > LAST


ATTENDED = "(select person_id from webinars where attended_on >= date '{}' - 180)"


def chances(world: Unfolding, people: Iterable[int], day: date) -> float:
    return float(world.chances(list(people), day).mean())


def test_webinars_help_until_trust_is_lost_and_then_harm(start: World, tmp_path: Path) -> None:
    world, change = unfolding(), date(2025, 11, 3)
    came = ids(start, "select distinct person_id from " + ATTENDED.format(START - timedelta(days=-10)))
    others = ids(start, f"select person_id from prospects where person_id not in {ATTENDED.format('1990-01-01')}")
    before = chances(world, came, START) / chances(world, others, START)
    world.lose_trust(change)
    after = chances(world, came, change) / chances(world, others, change)
    assert before > 3
    assert after < 0.3
    assert chances(world, came, START) / chances(world, others, START) == before
    assert chances(world, others, change) > chances(world, others, START)
    c = opened(world, tmp_path, END)
    share = "select count(distinct person_id) / (select count(*) from prospects) from "
    for day in ("2025-10-31", "2026-04-28"):
        among = share + f"webinars where attended_on between date '{day}' - 179 and date '{day}'"
        assert one(c, among) == pytest.approx(0.08, abs=0.01)


def test_a_shift_keeps_the_rate_of_the_history(start: World) -> None:
    world = unfolding()
    recent = "select person_id from leads where contacted_on > date '2025-09-01'"
    history = ids(start, f"select person_id from prospects where person_id in ({recent})")
    before = chances(world, history, START)
    world.shift(FIRST, Effects(email=-2.0))
    assert chances(world, history, FIRST) == pytest.approx(before, rel=0.25)
    with pytest.raises(ValueError, match="no shift on"):
        world.shift(START, Effects())
    work(world, history[:10])
    with pytest.raises(ValueError, match="have had their outcomes"):
        world.lose_trust(LAST)


def test_some_tables_alone_are_written(tmp_path: Path) -> None:
    world = unfolding()
    assert set(world.write(tmp_path, START, only=("leads", "prospects"))) == {"leads", "prospects"}
    assert {file.stem for file in tmp_path.iterdir()} == {"leads", "prospects"}
    with pytest.raises(ValueError, match="no table lead:"):
        world.write(tmp_path, START, only=("lead",))


def test_what_can_not_be_is_refused(tmp_path: Path, start: World) -> None:
    world, people = unfolding(), ids(start, NEVER_CALLED + " limit 3")
    with pytest.raises(ValueError, match="outside"):
        world.write(tmp_path, END + timedelta(days=1))
    with pytest.raises(ValueError, match="outside"):
        work(world, people, START, LAST)
    with pytest.raises(ValueError, match="no working day"):
        work(world, people, date(2025, 11, 8), date(2025, 11, 9))
    with pytest.raises(ValueError, match="unknown are \\[1\\]"):
        work(world, [*people, 1])
    with pytest.raises(ValueError, match="each once"):
        work(world, [*people, people[0]])
    with pytest.raises(ValueError, match="3 people but 1 owners"):
        world.contact(people, [1], FIRST, LAST)
    with pytest.raises(ValueError, match="can not go on"):
        Unfolding(SMALL, SEED, END, START)
    assert work(world, []) == 0


def laid(folder: Path) -> Path:
    with as_file(files("foregate.cases.leads") / "rollout_project") as template:
        shutil.copytree(template, folder)
    return folder


def test_a_variant_changes_what_is_learned_and_nothing_else(tmp_path: Path) -> None:
    folder = laid(tmp_path / "project")
    file, feature = folder / "foregate.toml", folder / "features" / "webinars.sql"
    first = file.read_text()
    lay_variant(folder, "first")
    assert file.read_text() == first
    file.write_text(first + '\n[rollout]\nwords = "kept"\n')
    lay_variant(folder, "bad")
    assert feature.exists()
    assert file.read_text() == first + '\n[rollout]\nwords = "kept"\n'
    lay_variant(folder, "good")
    assert not feature.exists()
    learned = set(first.splitlines()) - set(file.read_text().splitlines())
    assert any("tenure_months" in line for line in learned)
    assert file.read_text().endswith('[rollout]\nwords = "kept"\n')
    lay_variant(folder, "first")
    assert file.read_text() == first + '\n[rollout]\nwords = "kept"\n'


def test_a_variant_needs_its_line_and_its_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no variant 'best'"):
        lay_variant(tmp_path, "best")  # type: ignore[arg-type]
    (tmp_path / "foregate.toml").write_text('name = "empty"\n')
    with pytest.raises(ValueError, match="0 lines"):
        lay_variant(tmp_path, "good")


def test_every_variant_can_be_run_on_the_world(tmp_path: Path) -> None:
    folder = laid(tmp_path / "project")
    unfolding().write(folder / "data", START)
    for name, features in (("first", False), ("bad", True), ("good", False)):
        lay_variant(folder, name)
        compiled = Leads(folder).compiled(START)
        assert ("attended_webinar" in compiled.features) is features
        assert {"tenure_months", "prior_firms", "is_wirehouse"} <= set(compiled.features)
