import io
from collections import Counter
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv
import pyarrow.parquet as pq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foregate.cases.leads.matrix import MatrixSettings
from foregate.cases.leads.monthly_list import (
    Built,
    ListSettings,
    build,
)
from foregate.cases.leads.places import Caps, Outcome, fill
from foregate.cases.leads.tiers import TierRules

AS_OF = date(2025, 12, 30)
TIERS = {"T1": 10, "T2": 25, "T3": 15, "NEVER": 0}
RULES = TierRules.model_validate(
    {
        "tier": [
            {"name": name, "words": "{reps} people at {firm_name}", "when": name, "promised_rate": 0.1, "quota": quota}
            for name, quota in TIERS.items()
        ],
        "exclusion": [
            {"name": "wirehouse", "words": "{firm_name} is a wirehouse with {reps} people", "when": "w"},
            {"name": "title", "words": "does not advise", "when": "t"},
        ],
        "standard": {"name": "STANDARD", "promised_rate": 0.03},
    }
)
BACKFILL = {"from": "STANDARD", "percentile": 60, "quota": 10, "name": "BACKFILL"}
AGAINST = {"tiers": ["T1"], "below_percentile": 40}
MATRIX = MatrixSettings.model_validate({"disagreement": AGAINST, "backfill": BACKFILL})
DEMOTING = MatrixSettings.model_validate({"disagreement": AGAINST | {"action": "demote"}, "backfill": BACKFILL})
SETTINGS = ListSettings(
    per_owner=16, firm_cap=4, closed_statuses=("Closed",), no_linkedin_cap=12, assignment_tolerance=0.6
)
OWNERS = ["ann", "bob", "cy", "dee"]
PRICES = {"T1": (8.0, 92.0), "T2": (10.0, 190.0), "T3": (9.0, 191.0), "BACKFILL": (33.0, 967.0)}
Row = dict[str, Any]


def population(rows: int, seed: int) -> pa.Table:
    random = np.random.default_rng(seed)
    share = random.random
    percentile, unscored = random.integers(1, 101, rows), share(rows) < 0.05
    days = random.integers(0, 400, rows)
    return pa.table(
        {
            "person_id": random.permutation(rows * 3)[:rows],
            "lead_id": pa.array([f"L{i}" for i in range(rows)], mask=share(rows) < 0.8),
            "firm_id": pa.array(random.integers(1, 60, rows), mask=share(rows) < 0.05),
            "firm_name": pa.array([f"Firm {i}" for i in random.integers(1, 60, rows)]).dictionary_encode(),
            "tier": random.choice([*TIERS, "STANDARD"], rows, p=[0.08, 0.15, 0.1, 0.02, 0.65]),
            "score": pa.array(percentile / 200, mask=unscored),
            "percentile": pa.array(percentile, mask=unscored),
            "last_contacted_on": pa.array([AS_OF - timedelta(int(d)) for d in days], mask=share(rows) < 0.9),
            "do_not_call": share(rows) < 0.03,
            "lead_status": pa.array(random.choice(["Open", "Closed"], rows), mask=share(rows) < 0.8),
            "has_linkedin": share(rows) < 0.7,
            "excluded_wirehouse": share(rows) < 0.15,
            "excluded_title": share(rows) < 0.05,
            "is_partner": share(rows) < 0.1,
            "reps": pa.array(random.integers(1, 500, rows), mask=share(rows) < 0.1),
        }
    )


def built(table: pa.Table, **changes: Any) -> Built:
    given: dict[str, Any] = {
        "rules": RULES,
        "matrix": MATRIX,
        "settings": SETTINGS,
        "owners": OWNERS,
        "prices": PRICES,
        "as_of": AS_OF,
        "seed": 7,
    }
    return build(table, **given | changes)


def bytes_of(made: Built) -> list[bytes]:
    written = []
    for table in (made.people, made.decisions, made.waterfall, made.expected):
        for write in (pq.write_table, csv.write_csv):
            sink = io.BytesIO()
            write(table, sink)
            written.append(sink.getvalue())
    return written


def by_person(table: pa.Table) -> dict[int, Row]:
    return {row["person_id"]: row for row in table.to_pylist()}


many = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
populations = st.builds(population, st.integers(1200, 2500), st.integers(0, 2**32 - 1))
caps = st.builds(
    ListSettings,
    per_owner=st.integers(12, 18),
    firm_cap=st.integers(2, 50),
    recycle_after_days=st.sampled_from([0, 90, 180]),
    closed_statuses=st.just(("Closed",)),
    no_linkedin_cap=st.sampled_from([None, 0, 10]),
    assignment_tolerance=st.just(0.9),
)


@many
@given(populations, caps, st.sampled_from([MATRIX, DEMOTING]))
def test_the_list_keeps_every_promise(table: pa.Table, chosen: ListSettings, matrix: MatrixSettings) -> None:
    made = built(table, settings=chosen, matrix=matrix)
    people, source = made.people.to_pylist(), by_person(table)
    assert len({row["person_id"] for row in people}) == len(people) == len(OWNERS) * chosen.per_owner
    assert Counter(row["owner_id"] for row in people) == dict.fromkeys(OWNERS, chosen.per_owner)
    assert sorted((row["owner_id"], row["owner_rank"]) for row in people) == [
        (owner, rank) for owner in OWNERS for rank in range(1, chosen.per_owner + 1)
    ]
    assert [row["list_rank"] for row in people] == list(range(1, len(people) + 1))
    assert max(Counter(row["firm_id"] for row in people if row["firm_id"]).values()) <= chosen.firm_cap
    tiers = Counter(row["tier"] for row in people)
    assert all(tiers[name] <= quota for name, quota in TIERS.items())
    assert made.widened_by == max(0, tiers["BACKFILL"] - 10)
    unlinked = sum(not source[row["person_id"]]["has_linkedin"] for row in people)
    assert chosen.no_linkedin_cap is None or unlinked <= chosen.no_linkedin_cap
    for row in people:
        lead = source[row["person_id"]]
        assert not any(lead[name] for name in ("do_not_call", "excluded_wirehouse", "excluded_title"))
        assert lead["lead_status"] != "Closed"
        assert row["percentile"] > 20
        assert row["percentile"] >= {"T1": 40, "BACKFILL": 60}.get(row["tier"], 21)


@many
@given(populations, st.sampled_from([MATRIX, DEMOTING]))
def test_the_waterfall_adds_up_to_the_population(table: pa.Table, matrix: MatrixSettings) -> None:
    made = built(table, matrix=matrix)
    remaining: dict[str, int] = {}
    for row in made.waterfall.to_pylist():
        before = remaining.get(row["tier"], row["remaining"])
        assert row["remaining"] == before - row["removed"] + row["moved_in"] - row["moved_out"]
        remaining[row["tier"]] = row["remaining"]
    total = made.waterfall.filter(pc.equal(made.waterfall["tier"], "all tiers")).to_pylist()
    assert total[0]["remaining"] == table.num_rows == made.people.num_rows + sum(row["removed"] for row in total)
    assert all(row["moved_in"] == row["moved_out"] for row in total)
    decided = Counter(made.decisions["decision"].to_pylist())
    assert decided == Counter({row["rule"]: row["removed"] for row in total if row["removed"]}) + Counter(
        listed=made.people.num_rows
    )
    listed = Counter(made.people["tier"].to_pylist())
    assert {name: count for name, count in remaining.items() if count} == {**listed, "all tiers": made.people.num_rows}
    assert {row["tier"]: row["leads"] for row in made.expected.to_pylist()} == {**listed, "all tiers": listed.total()}


@settings(many, max_examples=12)
@given(populations, st.randoms(use_true_random=False))
def test_the_order_of_rows_and_owners_changes_no_byte(table: pa.Table, random: Any) -> None:
    order, owners = list(range(table.num_rows)), list(OWNERS)
    random.shuffle(order)
    random.shuffle(owners)
    shuffled = pa.concat_tables([table.take(order[:500]), table.take(order[500:])])
    assert bytes_of(built(table)) == bytes_of(built(table)) == bytes_of(built(shuffled, owners=owners))


@many
@given(populations)
def test_nobody_is_left_out_for_somebody_of_lower_priority_without_a_named_cap(table: pa.Table) -> None:
    made = built(table)
    source, tier_of = by_person(table), {row["person_id"]: row["tier"] for row in made.people.to_pylist()}
    ranked = [row for row in made.decisions.to_pylist() if row["rank"] is not None]
    last: dict[str, int] = {}
    for row in ranked:
        if row["decision"] == "listed":
            last[tier_of[row["person_id"]]] = max(row["rank"], last.get(tier_of[row["person_id"]], 0))
    firms = Counter(row["firm_id"] for row in made.people.to_pylist())
    for row in ranked:
        lead = source[row["person_id"]]
        tier = "BACKFILL" if lead["tier"] == "STANDARD" else lead["tier"]
        if row["decision"] in ("tier_quota", "list_full"):
            assert row["rank"] > last[tier]
        elif row["decision"] == "firm_cap":
            assert firms[lead["firm_id"]] == SETTINGS.firm_cap
        elif row["decision"] == "no_linkedin_cap":
            assert not lead["has_linkedin"]
        else:
            assert row["decision"] == "listed"


@many
@given(populations)
def test_priority_is_tier_then_new_then_percentile_then_person(table: pa.Table) -> None:
    made, source = built(table), by_person(table)
    order = [*TIERS, "BACKFILL"]
    keys = []
    for row in made.people.to_pylist():
        lead = source[row["person_id"]]
        assert row["is_recycled"] == (lead["lead_id"] is not None or lead["last_contacted_on"] is not None)
        keys.append((order.index(row["tier"]), row["is_recycled"], -row["percentile"], -row["score"], row["person_id"]))
    assert keys == sorted(keys)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 30), st.integers(1, 6), st.sampled_from([None, 0, 4]))
def test_the_walk_agrees_with_a_naive_one(seed: int, places: int, firm_cap: int, no_linkedin: int | None) -> None:
    random = np.random.default_rng(seed)
    group = np.sort(random.integers(0, 4, 60))
    firm, linked = random.integers(-1, 6, 60), random.random(60) < 0.6
    quotas = [5, 0, 12, None]
    taken: list[int] = []
    for at in range(60):
        quota = quotas[group[at]]
        has_room = len(taken) < places and (quota is None or sum(group[one] == group[at] for one in taken) < quota)
        firm_room = firm[at] < 0 or sum(firm[one] == firm[at] for one in taken) < firm_cap
        linked_room = linked[at] or no_linkedin is None or sum(not linked[one] for one in taken) < no_linkedin
        if has_room and firm_room and linked_room:
            taken.append(at)
    found = fill(group, firm, linked, quotas, Caps(places, firm_cap, no_linkedin))
    assert np.flatnonzero(found == Outcome.LISTED).tolist() == taken
