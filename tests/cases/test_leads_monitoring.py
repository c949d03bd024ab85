"""The monitor's rows against a plain loop, and what it says of a small version in service."""

import math
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foregate.cases.leads.field_rows import CYCLE_DAYS, arm_rows, delay_of, field_rows
from foregate.cases.leads.monitoring import Watched, measure
from foregate.cases.leads.packages import Package
from foregate.cases.leads.serving import profile
from foregate.cases.leads.settings import LeadsSettings, Owners, Population
from foregate.cases.leads.tiers import Standard, Tier, TierRules
from foregate.cases.leads.work import Work
from foregate.core.errors import DataError
from foregate.core.evidence import Evidence
from foregate.core.phase import Run
from foregate.metrics.rates import BetaPrior
from foregate.modeling.boosted import TreeSettings, fit
from foregate.modeling.calibration import Calibrator
from foregate.modeling.signature import encode, sign
from foregate.modeling.splits import calendar
from foregate.warehouse.duckdb import DuckDB
from foregate.warehouse.sources import Source

FIRST = date(2025, 3, 31)
SETTINGS = LeadsSettings(population=Population(source="people", person="person_id"))
OPEN = LeadsSettings()
LEAD = {"lead_id": pa.int64(), "person_id": pa.int64(), "contacted_on": pa.date32(), "converted_on": pa.date32()}
VERSION = "abc"


@pytest.fixture(scope="module")
def engine() -> Iterator[DuckDB]:
    found = DuckDB(":memory:")
    yield found
    found.close()


def lay_leads(engine: DuckDB, rows: list[tuple[int, int | None, date | None, date | None]]) -> None:
    columns = dict(zip(LEAD, zip(*rows, strict=True), strict=True)) if rows else {name: () for name in LEAD}
    engine.load("sources.source_leads", pa.table({n: pa.array(columns[n], kind) for n, kind in LEAD.items()}))


def lay_list(engine: DuckDB, name: str, people: list[int], tiers: list[str] | None = None) -> None:
    size = len(people)
    engine.rows(f"create schema if not exists list_{name}")
    table = {
        "person_id": pa.array(people, pa.int64()),
        "owner_id": pa.array([1 + k % 2 for k in range(size)], pa.int64()),
        "list_rank": pa.array(range(1, size + 1), pa.int64()),
        "tier": pa.array(tiers or ["A"] * size, pa.string()),
        "score": pa.array([0.5 - 0.001 * k for k in range(size)], pa.float64()),
        "expected_rate": pa.array([0.1] * size, pa.float64()),
    }
    engine.load(f"list_{name}.list_people", pa.table(table))


def reached(engine: DuckDB, lists: Mapping[str, date], declared: LeadsSettings = SETTINGS) -> dict[Any, Any]:
    found = field_rows(engine, declared, lists).table.to_pylist()
    return {(r["list"], r["person_id"]): (r["lead_id"], r["contacted_on"], r["converted_on"]) for r in found}


def expected(
    lists: Mapping[str, tuple[date, list[int]]], rows: list[tuple[int, int | None, date | None, date | None]]
) -> dict[Any, Any]:
    """What `field_rows` promises: a contact belongs to the newest list of the person, and the first one counts."""
    found: dict[Any, Any] = {(n, p): (None, None, None) for n, (_, people) in lists.items() for p in people}
    by_lead = sorted(
        ((c, str(lead), v or date.max, p) for lead, p, c, v in rows if c is not None and p is not None),
        key=lambda row: (row[0], row[1], row[2]),
    )
    for contacted, lead, converted, person in by_lead:
        fitting = [
            (on, n) for n, (on, people) in lists.items() if person in people and 0 <= (contacted - on).days < CYCLE_DAYS
        ]
        if fitting:
            place = (max(fitting)[1], person)
            if found[place][1] is None:
                found[place] = (lead, contacted, None if converted == date.max else converted)
    return found


DAYS = st.integers(0, 100).map(lambda k: FIRST + timedelta(days=k))
LEADS = st.tuples(
    st.integers(1, 6), st.one_of(st.none(), st.integers(1, 5)), st.one_of(st.none(), DAYS), st.one_of(st.none(), DAYS)
)


@settings(max_examples=25, deadline=None)
@given(st.lists(LEADS, max_size=12), st.sets(st.integers(1, 5), min_size=1), st.sets(st.integers(1, 5), min_size=1))
def test_rows_are_those_of_a_plain_loop(engine: DuckDB, rows: list[Any], one: set[int], other: set[int]) -> None:
    lists = {"a": (FIRST, sorted(one)), "b": (FIRST + timedelta(days=30), sorted(other))}
    lay_leads(engine, rows)
    for name, (_, people) in lists.items():
        lay_list(engine, name, people)
    assert reached(engine, {n: on for n, (on, _) in lists.items()}) == expected(lists, rows)


def test_doubled_leads_and_further_contacts_do_not_multiply(engine: DuckDB) -> None:
    on = FIRST + timedelta(days=3)
    lay_list(engine, "a", [1, 2])
    lay_leads(engine, [(7, 1, on, None), (7, 1, on, on), (7, 1, on, None), (8, 1, on + timedelta(days=9), None)])
    found = field_rows(engine, SETTINGS, {"a": FIRST})
    assert found.table.num_rows == 2
    leads = found.leads()
    assert leads.contacted.tolist() == [on.toordinal()]
    assert leads.converted.tolist() == [on.toordinal()]
    assert found.table.column("copies").to_pylist() == [3, None]
    assert found.converted() == {"7"}


def test_the_best_tenth_is_of_each_list_by_score(engine: DuckDB) -> None:
    lay_list(engine, "a", list(range(1, 26)))
    lay_leads(engine, [(k, k, FIRST, None) for k in range(1, 26)])
    found = field_rows(engine, SETTINGS, {"a": FIRST}).leads()
    assert np.bincount(found.decile).tolist() == [0, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2]
    assert np.argsort(-found.score, kind="stable").tolist() == np.argsort(found.decile, kind="stable").tolist()


def test_a_list_of_open_leads_holds_leads_from_before_it(engine: DuckDB) -> None:
    before = FIRST - timedelta(days=12)
    lay_leads(engine, [(1, 11, before, FIRST + timedelta(days=2)), (2, 12, before, None), (3, 13, before, None)])
    lay_list(engine, "a", [1, 2])
    lay_list(engine, "b", [2, 3])
    lists = {"a": FIRST, "b": FIRST + timedelta(days=30)}
    found = field_rows(engine, OPEN, lists)
    assert found.open_leads
    assert {key for key, (lead, *_) in reached(engine, lists, OPEN).items() if lead} == {("a", 1), ("a", 2), ("b", 3)}
    leads = found.leads()
    assert leads.listed is not None
    assert [date.fromordinal(day) for day in leads.listed.tolist()] == [FIRST, FIRST, lists["b"]]
    assert leads.contacted.tolist() == [before.toordinal()] * 3


def lay_arms(engine: DuckDB, name: str, arms: dict[int, tuple[str, str, bool]]) -> None:
    table = {
        "person_id": pa.array(list(arms), pa.int64()),
        "arm": [arm for arm, _, _ in arms.values()],
        "version": [version for _, version, _ in arms.values()],
        "propensity": [0.5 if arm != "both" else 1.0 for arm, _, _ in arms.values()],
        "is_listed": [listed for _, _, listed in arms.values()],
    }
    engine.load(f"list_{name}.list_arms", pa.table(table))


def test_arms_are_the_listed_people_of_one_version_alone(engine: DuckDB) -> None:
    lay_list(engine, "armed", [1, 2, 3, 4])
    arms = {1: ("both", "old", True), 2: ("champion", "old", True), 3: ("challenger", "new", True)}
    lay_arms(engine, "armed", arms | {4: ("challenger", "new", True), 5: ("challenger", "new", False)})
    on = FIRST + timedelta(days=1)
    lay_leads(engine, [(k, k, on, on if k == 3 else None) for k in (1, 2, 3, 5)])
    found = arm_rows(engine, SETTINGS, {"armed": FIRST, "a": FIRST, "gone": FIRST}, FIRST + timedelta(days=9))
    assert found.is_challenger.tolist() == [False, True, True]
    assert found.contacted.tolist() == [on.toordinal(), on.toordinal(), 0]
    assert found.converted.tolist() == [0, on.toordinal(), 0]
    assert found.share.tolist() == pytest.approx([2 / 3] * 3)
    assert found.propensity.tolist() == [0.5] * 3
    assert arm_rows(engine, SETTINGS, {"armed": FIRST}, FIRST - timedelta(days=1)).share.size == 0
    own = field_rows(engine, SETTINGS, {"armed": FIRST}, "old")
    assert own.table.column("person_id").to_pylist() == [1, 2]


def features(rows: int, seed: int, shift: float = 0.0, missing: float = 0.0) -> pa.Table:
    rng = np.random.default_rng(seed)
    size = rng.normal(shift, 1, rows)
    return pa.table(
        {
            "subject_id": pa.array(range(rows), pa.int64()),
            "size": pa.array(size, pa.float64(), mask=rng.random(rows) < missing),
            "channel": pa.array(rng.choice(["web", "fair"], rows).tolist(), pa.string()),
        }
    )


@pytest.fixture(scope="module")
def package() -> Package:
    train = features(600, 1)
    rng = np.random.default_rng(2)
    outcomes = (rng.random(600) < 1 / (1 + np.exp(1 - train.column("size").to_numpy()))).astype(float)
    signature = sign(train, ("size", "channel"))
    matrix = encode(train, signature)
    tier = Tier(name="A", words="-", when="size > 0", promised_rate=0.1, quota=10)
    return Package(
        version=VERSION,
        as_of=FIRST,
        train_end=FIRST - timedelta(days=30),
        settings=SETTINGS,
        sources={},
        files=(),
        rules=TierRules(tier=(tier,), standard=Standard(name="STANDARD", promised_rate=0.03)),
        trees=fit(matrix, outcomes, matrix, outcomes, signature, TreeSettings(rounds=20), 1),
        calibrator=Calibrator(),
        prices={"A": BetaPrior(100, 900), "B": BetaPrior(50, 950)},
        profile=profile(train, ("size", "channel"), ("size", "channel")),
    )


def work_of(declared: LeadsSettings, sources: dict[str, Source] | None = None) -> Work:
    dates = calendar(FIRST, train_days=90, test_days=30, embargo_days=30, periods=1, period_days=30)
    prints = {name: "1:1" for name in ("leads", *(sources or {}))}
    return Work(declared, sources or {}, {}, (), TierRules.model_construct(), dates, Path(), prints)


def history() -> list[tuple[int, int | None, date | None, date | None]]:
    """Leads from before the list: half of them convert within ten days, evenly."""
    start = FIRST - timedelta(days=60)
    rows = [(k, 1_000 + k, start, start + timedelta(days=k % 10) if k % 2 else None) for k in range(100)]
    return [*rows]


def measured(
    engine: DuckDB,
    package: Package,
    on: date,
    lists: Mapping[str, date],
    declared: LeadsSettings = SETTINGS,
    **more: Any,
) -> dict[str, Evidence]:
    watched = Watched(package, lists, 10, top_decile_rate=0.3, top_decile_rows=60, **more)
    found = measure(work_of(declared), Run(engine, "leads", VERSION, on, 1), watched)
    assert len({e.label for e in found}) == len(found)
    return {e.label: e for e in found}


@pytest.fixture
def served(engine: DuckDB) -> DuckDB:
    engine.rows(f"create schema if not exists run_{VERSION}")
    engine.load(f"run_{VERSION}.population_features", features(2_000, 3))
    for name, tiers in (("one", ["A"] * 15 + ["B"] * 5), ("two", ["A"] * 5 + ["B"] * 15)):
        lay_list(engine, name, list(range(1, 21)), tiers)
        engine.load(f"list_{name}.population_features", features(2_000, 3))
    on = FIRST + timedelta(days=4)
    listed = [(9_000 + k, k, on, on + timedelta(days=1) if k <= 3 else None) for k in range(1, 13)]
    lay_leads(engine, [*history(), *listed])
    return engine


def test_a_reading_holds_the_list_against_its_prices(served: DuckDB, package: Package) -> None:
    found = measured(served, package, FIRST + timedelta(days=20), {"one": FIRST})
    assert found["listed_rate"].rows == 12
    assert found["listed_rate"].value == pytest.approx(3 / 12)
    assert found["listed_rate_ratio"].value == pytest.approx(3 / 12 / 0.1)
    assert found["calibration_ratio"].value == pytest.approx(3 / sum(0.5 - 0.001 * k for k in range(12)))
    assert found["list_worked"].value == pytest.approx(12 / 20)
    assert found["ineligible_owners"].value == 20
    assert math.isnan(found["mix_shift"].value)
    assert found["doubled_leads"].value == 0
    assert found["psi[size]"].value == 0
    assert found["missing_shift[size]"].value == 0
    assert "deployed" in found["missing_shift[size]"].words
    assert set(found) >= {"tier_rate_ratio[A]", "tier_rate_ratio[B]", "stale_days", "importance_shift[size]"}


def test_a_reading_may_hold_the_list_against_its_scores(served: DuckDB, package: Package) -> None:
    on = FIRST + timedelta(days=20)
    found = measured(served, package, on, {"one": FIRST}, basis="score", calibration=0.5, calibration_hits=50)
    assert found["listed_rate_ratio"].value == pytest.approx(found["calibration_ratio"].value / 0.5)
    sure = measured(served, package, on, {"one": FIRST}, basis="score", calibration=0.5)
    assert sure["listed_rate_ratio"].low > found["listed_rate_ratio"].low
    assert sure["top_decile_rate_ratio"].value == pytest.approx(2 / (0.25 + 0.2495))


def test_lists_of_days_to_come_and_no_list_are_no_trouble(served: DuckDB, package: Package) -> None:
    for lists in ({}, {"two": FIRST + timedelta(days=30)}):
        found = measured(served, package, FIRST, lists)
        told = {n for n, e in found.items() if not math.isnan(e.value)}
        assert told == {"future_labels", "doubled_leads", "stale_days"}


def test_people_unlike_those_of_the_deployment_are_noticed(served: DuckDB, package: Package) -> None:
    served.load("list_two.population_features", features(2_000, 8, shift=1.5, missing=0.4))
    found = measured(served, package, FIRST + timedelta(days=40), {"one": FIRST, "two": FIRST + timedelta(days=30)})
    assert found["psi[size]"].low > 0.2
    assert found["psi[channel]"].low < 0.02
    assert found["missing_shift[size]"].low > 0.3
    assert found["unseen_category_rate[channel]"].value == 0
    assert found["mix_shift[tier]"].low > 0
    assert found["importance_shift[channel]"].rows <= 1_000
    served.drop(f"run_{VERSION}.population_features")
    again = measured(served, package, FIRST + timedelta(days=40), {"one": FIRST, "two": FIRST + timedelta(days=30)})
    assert again["psi[size]"].value == pytest.approx(found["psi[size]"].value)
    served.drop("list_two.population_features")
    gone = measured(served, package, FIRST + timedelta(days=40), {"one": FIRST, "two": FIRST + timedelta(days=30)})
    assert math.isnan(gone["psi"].value)


def test_retracted_and_vanished_conversions_are_counted(served: DuckDB, package: Package) -> None:
    on, lists = FIRST + timedelta(days=20), {"one": FIRST}
    before = field_rows(served, SETTINGS, lists).converted()
    assert len(before) == 3
    assert math.isnan(measured(served, package, on, lists)["labels_retracted"].value)
    assert measured(served, package, on, lists, converted=before)["labels_retracted"].value == 0
    served.rows("update sources.source_leads set converted_on = null where lead_id = 9001")
    served.rows("delete from sources.source_leads where lead_id = 9002")
    found = measured(served, package, on, lists, converted=before)
    assert found["labels_retracted"].value == 2
    assert found["listed_rate"].rows == 11


def test_a_future_outcome_is_counted_and_not_used(served: DuckDB, package: Package) -> None:
    on = FIRST + timedelta(days=20)
    served.rows("update sources.source_leads set converted_on = date '2031-01-01' where lead_id = 9001")
    found = measured(served, package, on, {"one": FIRST})
    assert found["future_labels"].value == 1
    assert found["listed_rate"].value == pytest.approx(2 / 12)


def test_a_list_nobody_works_and_owners_who_left_are_noticed(served: DuckDB, package: Package) -> None:
    served.load("sources.source_owners", pa.table({"owner_id": [1, 2], "here": [True, False]}))
    declared = SETTINGS.model_copy(update={"owners": Owners(source="owners", eligible="here")})
    served.rows("delete from sources.source_leads where lead_id > 9000")
    found = measured(served, package, FIRST + timedelta(days=20), {"one": FIRST}, declared)
    assert (found["list_worked"].value, found["list_worked"].rows) == (0, 20)
    assert found["ineligible_owners"].value == 10
    assert found["ineligible_owners"].words == "owners 2"
    assert math.isnan(found["conversion_shortfall"].value)
    early = measured(served, package, FIRST + timedelta(days=10), {"one": FIRST}, declared)
    assert math.isnan(early["list_worked"].value)


def test_delays_are_those_known_when_the_version_was_trained(served: DuckDB, package: Package) -> None:
    delay = delay_of(served, SETTINGS, package, 10)
    assert delay.events == 50
    assert delay.shown_by([1, 3, 9]).tolist() == pytest.approx([0.2, 0.4, 1.0])
    served.rows(
        f"update sources.source_leads set converted_on = date '{FIRST + timedelta(days=1)}' where lead_id < 100"
    )
    with pytest.raises(DataError, match="nothing converted within 10 days"):
        delay_of(served, SETTINGS, package, 10)
