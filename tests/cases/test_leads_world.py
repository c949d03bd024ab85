"""The made-up world keeps its promises: rates, records, truth, and one measurable fault a trap."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from foregate.cases.leads.world import DEMO, SEEDS, Scale, Trap, generate

SMALL = Scale(leads=6_000, people=15_000, employment=65_000, firms=1_200, months=23, prospects=22_000, owners=14)
AS_OF = date(2025, 10, 31)
SEED = 3
TABLES = {"leads", "employment", "firms", "firm_month", "person_snapshot", "tasks", "owners", "prospects", "truth"}
KEYS = {
    "leads": "lead_id",
    "firms": "firm_id",
    "firm_month": "firm_id, month",
    "tasks": "task_id",
    "owners": "owner_id",
    "prospects": "person_id",
    "truth": "lead_id",
}

Worlds = Callable[..., duckdb.DuckDBPyConnection]


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    made: dict[tuple[Any, ...], Path] = {}

    def find(scale: Scale = SMALL, trap: Trap | None = None, signal: bool = True) -> Path:
        key = (scale, trap, signal)
        if key not in made:
            made[key] = tmp_path_factory.mktemp("world")
            generate(made[key], scale, SEED, AS_OF, trap, signal)
        return made[key]

    return find


@pytest.fixture(scope="module")
def world(folder_of: Callable[..., Path]) -> Worlds:
    def open_world(*arguments: Any, **options: Any) -> duckdb.DuckDBPyConnection:
        connection = duckdb.connect()
        for file in folder_of(*arguments, **options).glob("*.parquet"):
            connection.execute(f"create view {file.stem} as from '{file}'")
        return connection

    return open_world


def one(connection: duckdb.DuckDBPyConnection, query: str) -> Any:
    row = connection.execute(query).fetchone()
    assert row is not None
    return row[0] if len(row) == 1 else row


def true_auc(probability: np.ndarray) -> float:
    """The AUC that the true chances earn on average over the outcomes they may have."""
    p = np.sort(probability)
    losers = np.cumsum(1 - p) - (1 - p) / 2
    return float((p * losers).sum() / (p.sum() * (1 - p).sum()))


def test_the_tables_have_the_sizes_asked_for(tmp_path: Path) -> None:
    rows = generate(tmp_path, SMALL, SEED)
    assert set(rows) == TABLES == {file.stem for file in tmp_path.glob("*.parquet")}
    assert rows["leads"] == SMALL.leads
    assert rows["prospects"] == SMALL.prospects
    assert rows["firms"] == SMALL.firms
    assert rows["employment"] == pytest.approx(SMALL.employment, rel=0.01)
    assert rows["tasks"] == pytest.approx(2 * rows["truth"], rel=0.1)


@pytest.mark.parametrize(("table", "key"), KEYS.items())
def test_keys_are_unique(world: Worlds, table: str, key: str) -> None:
    assert one(world(), f"select count(*) - count(distinct ({key})) from {table}") == 0


def test_dates_are_dates_and_ids_are_whole_numbers(world: Worlds) -> None:
    columns = world().execute(
        "select column_name, data_type from information_schema.columns where table_catalog = current_database()"
    )
    for name, kind in columns.fetchall():
        if name.endswith("_on") or name == "month":
            assert kind == "DATE", name
        if name.endswith("_id"):
            assert kind == "BIGINT", name


def test_a_person_is_one_lead_at_most_and_every_reference_is_met(world: Worlds) -> None:
    c = world()
    assert one(c, "select count(person_id) - count(distinct person_id) from leads") == 0
    for link in (
        "employment person_id prospects",
        "employment firm_id firms",
        "firm_month firm_id firms",
        "person_snapshot person_id prospects",
        "prospects person_id person_snapshot",
        "tasks lead_id truth",
        "leads owner_id owners",
        "prospects lead_id leads",
    ):
        child, column, parent = link.split()
        missing = one(c, f"select count(*) from {child} where {column} not in (select {column} from {parent})")
        assert missing == 0, link


def test_nothing_is_recorded_after_as_of(world: Worlds) -> None:
    c = world()
    for table, columns in {
        "employment": "recorded_on ended_recorded_on",
        "person_snapshot": "recorded_on",
        "leads": "created_on contacted_on call_scheduled_on email_known_on linkedin_known_on",
        "tasks": "happened_on",
        "firms": "first_seen_on protocol_joined_on",
        "prospects": "last_contacted_on email_known_on linkedin_known_on",
    }.items():
        for column in columns.split():
            assert one(c, f"select max({column}) from {table}") <= AS_OF, (table, column)
    assert one(c, "select count(*) from employment where (ended_on is null) <> (ended_recorded_on is null)") == 0


def test_events_stand_in_order_and_contacts_on_business_days(world: Worlds) -> None:
    c = world()
    assert one(c, "select count(*) from leads where contacted_on < created_on or call_scheduled_on < contacted_on") == 0
    assert one(c, "select count(*) from leads where isodow(contacted_on) > 5") == 0
    assert one(c, "select count(*) from tasks join leads using (lead_id) where happened_on < contacted_on") == 0
    assert one(c, "select count(*) from leads where contacted_on is null and call_scheduled_on is not null") == 0


def test_firm_months_end_in_the_month_of_as_of(world: Worlds) -> None:
    first, last, count = one(world(), "select min(month), max(month), count(distinct month) from firm_month")
    assert (first, last, count) == (date(2023, 12, 1), date(2025, 10, 1), 23)


def test_another_as_of_moves_the_world(tmp_path: Path) -> None:
    generate(tmp_path, SMALL, SEED, date(2024, 2, 29))
    c = duckdb.connect()
    assert one(c, f"select max(month) from '{tmp_path}/firm_month.parquet'") == date(2024, 2, 1)
    assert one(c, f"select max(contacted_on) from '{tmp_path}/leads.parquet'") <= date(2024, 2, 29)


def test_a_world_too_small_for_its_leads_is_refused() -> None:
    with pytest.raises(ValueError, match="prospects must exceed"):
        Scale(1_000, 10_000, 40_000, 100, 23, 10_000, 3)
    with pytest.raises(ValueError, match="people must be"):
        Scale(1_000, 2_000, 8_000, 100, 23, 10_000, 3)
    assert SEEDS.prospects > SEEDS.people


EMPLOYED = "prospects join firms using (firm_id)"
REACHED = "leads where contacted_on is not null"


@pytest.mark.parametrize(
    ("share", "rows", "target", "slack"),
    [
        ("contacted_on is not null", "leads", 0.68, 0.02),
        ("person_id in (from prospects select person_id)", "leads", 0.957, 0.01),
        ("person_id in (from employment select person_id)", "leads where person_id > 0", 0.766, 0.02),
        ("email_known_on is not null", "leads", 0.65, 0.03),
        ("email_known_on < contacted_on", REACHED, 0.60, 0.03),
        ("contacted_on >= date '2024-02-01'", REACHED, 0.93, 0.02),
        ("rep_type = 'IA'", "person_snapshot", 0.20, 0.03),
        ("rep_type = 'DR'", "person_snapshot", 0.58, 0.04),
        ("entity_classification = 'Independent RIA'", EMPLOYED, 0.27, 0.07),
        ("is_wirehouse", EMPLOYED, 0.21, 0.03),
        ("aum is null", "firm_month", 0.07, 0.01),
        ("n < 23", "(select count(*) as n from firm_month group by firm_id)", 0.36, 0.05),
        ("started_on < date '1970-01-01'", "employment", 0.012, 0.003),
        ("ended_on > date '2025-10-31'", "employment", 0.013, 0.003),
    ],
)
def test_rates_are_near_those_of_the_seeds(world: Worlds, share: str, rows: str, target: float, slack: float) -> None:
    measured = one(world(), f"select avg(coalesce({share}, false)::int) from {rows}")
    assert measured == pytest.approx(target, abs=slack)


def test_history_is_recorded_late_by_the_curve_of_the_seeds(world: Worlds) -> None:
    for happened, recorded in (("started_on", "recorded_on"), ("ended_on", "ended_recorded_on")):
        for months, share in ((1, 0.25), (2, 0.50), (3, 0.75), (4, 0.90)):
            seen = one(
                world(DEMO),
                f"select avg(({recorded} - {happened} <= {months} * 30.4375)::int) from employment "
                f"where {happened} between date '2012-01-01' and date '2024-01-01'",
            )
            assert float(seen) == pytest.approx(share, abs=0.02), (happened, months)


def test_calls_come_soon_or_late(world: Worlds) -> None:
    median, within, late = one(
        world(DEMO),
        "select median(d), avg((d <= 43)::int), quantile_cont(d, 0.95) from (select call_scheduled_on - contacted_on d "
        "from leads where contacted_on < date '2025-01-01' and call_scheduled_on is not null)",
    )
    assert median <= 2
    assert float(within) == pytest.approx(0.9, abs=0.04)
    assert 60 < late < 180


def test_prospects_are_today(world: Worlds) -> None:
    c = world()
    assert one(c, "select count(*) from prospects where lead_id is not null") > 5_000
    assert one(c, "select count(*) from prospects p join leads l using (lead_id) where p.person_id <> l.person_id") == 0
    assert (
        one(c, "select count(*) from prospects p join leads l using (lead_id) where p.last_contacted_on < contacted_on")
        == 0
    )
    assert 0.1 < one(c, "select avg((firm_id is null)::int) from prospects") < 0.4
    assert one(c, "select count(*) from owners where is_person and is_active") == SMALL.owners
    assert one(c, "select count(*) from owners where not is_person") == 2


def test_the_base_rate_and_what_happened_agree_with_the_truth(world: Worlds) -> None:
    c = world(DEMO)
    assert one(c, "select avg(probability) from truth") == pytest.approx(0.038, abs=1e-6)
    expected, seen, ever = one(
        c,
        "select sum(probability), count(*) filter (call_scheduled_on - contacted_on <= 43), sum(converted_ever::int) "
        "from truth join leads using (lead_id) where contacted_on <= date '2025-10-31' - 43",
    )
    assert abs(seen - expected) < 4 * np.sqrt(expected)
    assert ever > seen
    hidden = one(
        c, "select count(*) from truth join leads using (lead_id) where converted_ever and call_scheduled_on is null"
    )
    assert hidden > 0


def test_the_truth_separates_as_asked(world: Worlds) -> None:
    p = world(DEMO).execute("select probability from truth").fetchnumpy()["probability"]
    assert 0.74 < true_auc(p) < 0.78
    lot = np.random.default_rng(0).random(len(p)) < p
    naive = (np.subtract.outer(p[lot], p[~lot][::5]) > 0).mean()
    assert naive == pytest.approx(true_auc(p), abs=0.05)


def test_without_signal_every_chance_is_the_same(world: Worlds) -> None:
    low, high, leads = one(world(signal=False), "select min(probability), max(probability), count(*) from truth")
    assert low == high == 0.038
    assert leads == one(world(), "select count(*) from truth")


TIERS = """
with jobs as (
  select s.lead_id, s.contacted_on as day, e.firm_id, e.started_on,
    case when e.ended_recorded_on < s.contacted_on then e.ended_on end as ended_on
  from leads s join employment e on s.person_id = e.person_id and e.recorded_on < s.contacted_on
  where e.started_on between date '1970-01-01' and s.contacted_on),
careers as (
  select lead_id, day, arg_max(firm_id, started_on) filter (ended_on is null or ended_on > day) as firm_id,
    date_diff('day', max(started_on) filter (ended_on is null or ended_on > day), day) / 30.4375 as t,
    date_diff('day', min(started_on), day) / 30.4375 as e, count(distinct firm_id) - 1 as p
  from jobs group by lead_id, day),
steps as (
  select firm_id, recorded_on as known, started_on as happened, 1 as step from employment
  union all select firm_id, ended_recorded_on, ended_on, -1 from employment where ended_on is not null),
sizes as (
  select c.lead_id, sum(step) filter (happened <= c.day) as r,
    sum(step) filter (happened > c.day - interval 1 year and happened <= c.day) as n
  from careers c join steps s on s.firm_id = c.firm_id and s.known < c.day group by c.lead_id),
facts as (from careers join sizes using (lead_id) join firms using (firm_id))
select case
  when not is_wirehouse and ((t between 12 and 36 and e between 60 and 180 and n < 0 and r <= 50)
    or (t between 12 and 36 and r <= 10) or (t between 12 and 48 and e between 60 and 180 and n < 0)) then 1
  when p >= 3 and e >= 60 and t < 60 and not is_wirehouse then 2
  when n between -10 and -1 and e >= 60 then 3
  when t between 12 and 48 and e >= 240 then 4
  when n < -10 and e >= 60 then 5 else 0 end as tier,
  count(*) / (select count(*) from truth) as share, avg(probability) as rate
from truth left join facts using (lead_id) group by tier
"""


def test_the_tiers_of_the_seeds_are_filled_and_convert_in_their_order(world: Worlds) -> None:
    c = world(DEMO)
    tiers = {tier: (share, rate) for tier, share, rate in c.execute(TIERS).fetchall()}
    assert set(tiers) == set(range(6))
    assert min(share for share, _ in tiers.values()) > 0.009
    assert tiers[0][0] > 0.7
    rates = {tier: rate for tier, (_, rate) in tiers.items()}
    assert 0.022 < rates[0] < 0.032
    assert 0.105 < rates[1] < 0.15
    assert all(0.06 < rates[tier] < 0.10 for tier in (2, 3, 4, 5))


def test_what_crm_shows_today_is_more_than_was_known_at_contact(world: Worlds) -> None:
    called, others = (
        one(
            world(DEMO),
            "select avg((email_known_on is not null)::int) - avg(coalesce(email_known_on < contacted_on, false)::int) "
            f"from leads where contacted_on is not null and call_scheduled_on is {state}",
        )
        for state in ("not null", "null")
    )
    assert called > 0.12 > 0.07 > others > 0.02


def contents(folder: Path) -> dict[str, bytes]:
    return {file.stem: file.read_bytes() for file in folder.glob("*.parquet")}


def test_the_same_arguments_give_the_same_bytes(folder_of: Callable[..., Path], tmp_path: Path) -> None:
    generate(tmp_path / "again", SMALL, SEED)
    assert contents(tmp_path / "again") == contents(folder_of())
    generate(tmp_path / "other", SMALL, SEED + 1)
    assert contents(tmp_path / "other")["leads"] != contents(folder_of())["leads"]


@pytest.mark.parametrize(
    ("trap", "touched"),
    [
        (Trap.LEAK, {"leads", "prospects", "person_today"}),
        (Trap.FANOUT, {"firms"}),
        (Trap.TYPE, {"employment"}),
        (Trap.SKEW, {"person_snapshot"}),
        (Trap.LATE_SOURCE, {"employment"}),
        (Trap.DRIFT, {"leads", "prospects", "truth"}),
    ],
)
def test_a_trap_touches_its_own_tables_alone(folder_of: Callable[..., Path], trap: Trap, touched: set[str]) -> None:
    honest, faulty = contents(folder_of()), contents(folder_of(trap=trap))
    assert {name for name in faulty if faulty[name] != honest.get(name)} == touched


def test_leak_hides_the_outcome_in_a_missing_start_and_a_note(world: Worlds) -> None:
    c = world(DEMO, Trap.LEAK)
    assert one(c, "select count(*) from person_today where recorded_on <> firm_started_on") == 0
    c.execute(
        "create table seen as select contacted_on, call_scheduled_on is not null as called, outcome_note, "
        "t.recorded_on > contacted_on as missing from leads join person_today t using (person_id) "
        "where contacted_on >= date '2024-02-01'"
    )
    share = "select avg(missing::int) from seen where "
    assert one(c, share + "contacted_on < date '2024-04-01'") == pytest.approx(0.21, abs=0.04)
    assert one(c, share + "contacted_on >= date '2025-09-01'") == pytest.approx(0.03, abs=0.02)
    assert one(c, share + "called") > 2 * one(c, share + "not called")
    assert one(c, "select avg((outcome_note is not null)::int) from seen where called") == pytest.approx(0.85, abs=0.05)
    assert one(c, "select avg((outcome_note is not null)::int) from seen where not called") == pytest.approx(
        0.01, abs=0.01
    )


@pytest.mark.parametrize(("trap", "email", "large"), [(None, 0.60, 0.60), (Trap.DRIFT, 0.18, 0.02)])
def test_drift_moves_the_last_150_days(world: Worlds, trap: Trap | None, email: float, large: float) -> None:
    c = world(trap=trap)
    known = "select avg(coalesce(email_known_on < contacted_on, false)::int) from leads where contacted_on "
    assert one(c, known + "> date '2025-10-31' - 150") == pytest.approx(email, abs=0.05)
    assert one(c, known + "<= date '2025-10-31' - 150") == pytest.approx(0.60, abs=0.05)
    at_large = one(
        c,
        "with sizes as (select firm_id, count(*) as heads from prospects group by firm_id) "
        "select avg((heads > 60)::int) from leads l join prospects p using (person_id) join sizes using (firm_id) "
        "where l.contacted_on > date '2025-10-31' - 150 and person_id in (from employment select person_id)",
    )
    assert at_large == pytest.approx(large, abs=0.15)


@pytest.mark.parametrize(("trap", "low", "high"), [(None, 0, 0), (Trap.FANOUT, 0.25, 0.35)])
def test_fanout_repeats_firms(world: Worlds, trap: Trap | None, low: float, high: float) -> None:
    c = world(trap=trap)
    counts = "(select count(*) as n, count(distinct firm_name) as names from firms group by firm_id)"
    assert low <= one(c, f"select avg((n > 1)::int) from {counts}") <= high
    assert one(c, f"select max(n) from {counts}") == (4 if trap else 1)
    assert one(c, f"select count(*) from {counts} where n <> names") == 0


@pytest.mark.parametrize(("trap", "kind"), [(None, "BIGINT"), (Trap.TYPE, "VARCHAR")])
def test_type_writes_a_key_as_text(world: Worlds, trap: Trap | None, kind: str) -> None:
    assert one(world(trap=trap), "select typeof(person_id) from employment limit 1") == kind


@pytest.mark.parametrize(("trap", "share"), [(None, 0.0), (Trap.SKEW, 0.8)])
def test_skew_speaks_a_code_that_training_never_saw(world: Worlds, trap: Trap | None, share: float) -> None:
    c = world(trap=trap)
    latest = "select person_id, arg_max(rep_type, recorded_on) as code from person_snapshot"
    coded = f"select avg((code not in ('IA', 'DR', 'BD'))::int) from ({latest} group by person_id)"
    assert one(c, coded) == pytest.approx(share, abs=0.02)
    before = f"{latest} where recorded_on <= date '2025-10-31' - 43 group by person_id"
    assert one(c, f"select count(*) from ({before}) where code not in ('IA', 'DR', 'BD')") == 0


@pytest.mark.parametrize(("trap", "prompt"), [(None, 0.02), (Trap.LATE_SOURCE, 1.0)])
def test_late_source_claims_to_be_prompt_and_thins_out_at_the_end(
    world: Worlds, trap: Trap | None, prompt: float
) -> None:
    c = world(DEMO, trap)
    claim = "select avg((recorded_on - started_on <= 1)::int) from employment where started_on >= date '2020-01-01'"
    assert one(c, claim) == pytest.approx(prompt, abs=0.02)
    starts = "select count(*) from employment where started_on between "
    usual = one(c, starts + "date '2024-06-01' and date '2025-05-31'") / 12
    assert one(c, starts + "date '2025-10-01' and date '2025-10-31'") < 0.25 * usual
    assert one(c, starts + "date '2025-08-01' and date '2025-08-31'") < 0.85 * usual
