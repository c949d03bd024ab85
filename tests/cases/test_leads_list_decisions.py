from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from foregate.cases.leads.assignment import UnfairAssignmentError
from foregate.cases.leads.candidates import CandidatesWrongError, DuplicatePersonsError
from foregate.cases.leads.matrix import MatrixMismatchError, MatrixSettings
from foregate.cases.leads.monthly_list import (
    Built,
    ListSettings,
    OwnersWrongError,
    PriceMissingError,
    PromisedTierEmptyError,
    ShortListError,
    build,
)
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


def replaced(table: pa.Table, name: str, values: Any) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, values)


def by_person(table: pa.Table) -> dict[int, Row]:
    return {row["person_id"]: row for row in table.to_pylist()}


# --- one person at a time: everybody else is a standard person with percentile 90


def crowd(*special: Row) -> pa.Table:
    plain: Row = {
        "lead_id": None,
        "firm_name": "Acme",
        "tier": "STANDARD",
        "score": 0.4,
        "percentile": 90,
        "last_contacted_on": None,
        "do_not_call": False,
        "lead_status": None,
        "has_linkedin": True,
        "excluded_wirehouse": False,
        "excluded_title": False,
        "reps": None,
    }
    tiers = ["T1"] * 5 + ["T2"] * 5 + ["T3"] * 5 + ["STANDARD"] * 100
    rows = [{**plain, "person_id": 1000 + at, "firm_id": at, "tier": tier} for at, tier in enumerate(tiers)]
    rows += [{**plain, "person_id": at + 1, "firm_id": 5000 + at, **one} for at, one in enumerate(special)]
    kinds = {"lead_id": pa.string(), "last_contacted_on": pa.date32(), "lead_status": pa.string(), "reps": pa.int64()}
    return pa.table({name: pa.array([row[name] for row in rows], kinds.get(name)) for name in rows[0]})


def days_ago(days: int) -> Row:
    return {"tier": "T2", "last_contacted_on": AS_OF - timedelta(days)}


@pytest.mark.parametrize(
    ("person", "decision", "detail"),
    [
        ({"tier": "T2"}, "listed", ""),
        ({"do_not_call": True}, "do_not_call", "asked not to be called"),
        ({"excluded_wirehouse": True, "reps": 12000}, "wirehouse", "Acme is a wirehouse with 12,000 people"),
        ({"excluded_wirehouse": True}, "wirehouse", "Acme is a wirehouse with unknown people"),
        ({"excluded_title": True, "excluded_wirehouse": True}, "wirehouse", "Acme is a wirehouse with unknown people"),
        ({"lead_status": "Closed"}, "closed_status", "lead status Closed is closed"),
        (days_ago(179), "contacted_recently", "contacted 179 days before the list, may be called again after 180"),
        (days_ago(180), "listed", ""),
        (
            days_ago(-3),
            "contacted_recently",
            "contacted -3 days before the list, may be called again after 180",
        ),
        ({"tier": "T2", "score": None, "percentile": None}, "not_scored", "has no score"),
        (
            {"tier": "T2", "percentile": 20},
            "deprioritised",
            "deprioritised by the model: percentile 20, the lowest 20 are left out",
        ),
        ({"tier": "T2", "percentile": 21}, "listed", ""),
        (
            {"tier": "T1", "percentile": 39},
            "disagreement",
            "the model disagrees with T1: percentile 39, wanted 40 or more",
        ),
        ({"percentile": 59}, "standard_below_cut", "STANDARD, percentile 59 is below the backfill cut of 60"),
        ({"tier": "NEVER"}, "tier_not_listed", "tier NEVER has quota 0: it is never on the list"),
        ({"percentile": 60}, "list_full", "list full: all 64 places are taken by higher priorities"),
    ],
)
def test_every_decision_says_which_rule_and_why(person: Row, decision: str, detail: str) -> None:
    said = by_person(built(crowd(person)).decisions)[1]
    assert (said["decision"], said["detail"]) == (decision, detail)


def test_a_demoted_person_keeps_the_reason() -> None:
    said = by_person(built(crowd({"tier": "T1", "percentile": 39}), matrix=DEMOTING).decisions)[1]
    assert said["detail"] == "demoted from T1: STANDARD, percentile 39 is below the backfill cut of 60"
    high = DEMOTING.model_copy(
        update={"disagreement": DEMOTING.disagreement.model_copy(update={"below_percentile": 95})}
    )  # type: ignore[union-attr]
    made = built(crowd(*[{"tier": "T1", "percentile": 96}], {"tier": "T1", "percentile": 94}), matrix=high)
    assert by_person(made.people)[2]["tier"] == "BACKFILL"


def test_caps_name_the_firm_and_the_place() -> None:
    made = built(crowd(*[{"tier": "T1", "firm_id": 17}] * 6, *[{"tier": "T2", "has_linkedin": False}] * 14))
    said = by_person(made.decisions)
    assert said[6]["detail"] == "firm cap: 4 of firm 17 are already on the list, this person is 6th of the firm"
    assert said[20]["detail"] == "LinkedIn cap: 12 people without a profile are already on the list"
    full = by_person(built(crowd(*[{"tier": "T1"}] * 9)).decisions)
    assert Counter(row["detail"] for row in full.values())["tier quota: all 10 places of T1 are taken"] == 4


def test_the_list_carries_words_and_prices() -> None:
    made = built(crowd({"tier": "T1", "percentile": 99, "reps": 8, "firm_name": None}))
    first, last = made.people.to_pylist()[0], made.people.to_pylist()[-1]
    assert (first["person_id"], first["narrative"], first["expected_rate"]) == (1, "8 people at unknown", 0.08)
    assert last["narrative"] == "no tier, but percentile 90 of 100 by the model's score"
    total = made.expected.to_pylist()[-1]
    assert total["expected"] == pytest.approx(sum(made.people["expected_rate"].to_pylist()))
    assert total["low"] < total["expected"] < total["high"]
    assert made.widened_by == 64 - 16 - 10


def test_columns_of_nothing_and_whole_moments_are_taken() -> None:
    table = crowd()
    for name in ("lead_id", "lead_status", "last_contacted_on", "firm_id", "firm_name"):
        table = replaced(table, name, pa.nulls(table.num_rows))
    assert built(table, settings=SETTINGS.model_copy(update={"firm_cap": 1})).people.num_rows == 64
    moments = replaced(crowd(days_ago(3)), "last_contacted_on", pa.array([datetime(2025, 12, 1, tzinfo=UTC)] * 116))
    with pytest.raises(PromisedTierEmptyError, match="T1 had 5: contacted_recently 5"):
        built(moments, as_of=datetime(2025, 12, 30, 12, tzinfo=UTC))


# --- refusals


def test_a_person_who_stands_twice_is_refused_by_name() -> None:
    with pytest.raises(DuplicatePersonsError, match=r"found 2 persons in more than one row \(1000, 1001\)"):
        built(pa.concat_tables([crowd(), crowd().slice(0, 2)]))


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("person_id", pa.array(["a"] * 115), "column person_id: found string, wanted whole numbers"),
        ("tier", pa.array(["T9"] * 115), "column tier: found T9, wanted one of T1, T2, T3, NEVER, STANDARD"),
        ("tier", pa.array([None] * 115, pa.string()), "column tier: found no tier"),
        ("do_not_call", pa.array([None] * 115, pa.bool_()), "column do_not_call: found 115 missing values"),
        ("has_linkedin", pa.array([1] * 115), "column has_linkedin: found int64, wanted true or false"),
        ("percentile", pa.array([0] * 115), "column percentile: found a value outside 1..100"),
        ("percentile", pa.array([None] * 115, pa.int64()), "column score: found a score without percentile"),
        ("score", pa.array([1.5] * 115), "column score: found a value outside 0..1"),
    ],
)
def test_a_wrong_column_is_refused_by_name(name: str, values: pa.Array, message: str) -> None:
    with pytest.raises(CandidatesWrongError, match=message):
        built(replaced(crowd(), name, values))


def test_columns_that_rules_need_must_be_there_and_no_undeclared_exclusion() -> None:
    with pytest.raises(CandidatesWrongError, match=r"column excluded_title: found no such column"):
        built(crowd().drop_columns(["excluded_title"]))
    with pytest.raises(CandidatesWrongError, match="column reps: .*wanted it for the words of T1"):
        built(crowd().drop_columns(["reps"]))
    with pytest.raises(CandidatesWrongError, match="column excluded_age: found an exclusion that no rule declares"):
        built(crowd().append_column("excluded_age", crowd()["do_not_call"]))


def test_a_promised_tier_without_anybody_is_refused_with_its_losses() -> None:
    table = crowd()
    low = pc.if_else(pc.equal(table["tier"], "T3"), 20, 90)
    with pytest.raises(PromisedTierEmptyError, match=r"tier T3: found nobody \(T3 had 5: deprioritised 5\)"):
        built(replaced(table, "percentile", low))
    with pytest.raises(PromisedTierEmptyError, match="T3 had 0: no rule removed any"):
        built(table.filter(pc.not_equal(table["tier"], "T3")))


def test_a_short_list_is_refused_with_the_rules_that_removed_most() -> None:
    table = crowd(*[{"percentile": 30}] * 7)
    with pytest.raises(
        ShortListError, match="found 115 people, 5 too few; removed: standard_below_cut 7, wanted exactly 120"
    ):
        built(table, settings=SETTINGS.model_copy(update={"per_owner": 30}))
    without = MatrixSettings.model_validate({})
    with pytest.raises(ShortListError, match="found 15 people, 49 too few; removed: standard_below_cut 100"):
        built(crowd(), matrix=without)


def test_prices_owners_and_matrix_are_checked_first() -> None:
    with pytest.raises(PriceMissingError, match="tier BACKFILL: found no posterior"):
        built(crowd(), prices={name: price for name, price in PRICES.items() if name != "BACKFILL"})
    with pytest.raises(PriceMissingError, match=r"tier T1: found \(0, 3\)"):
        built(crowd(), prices=PRICES | {"T1": (0, 3)})
    for owners in ([], ["ann", "ann"], ["ann", 3]):
        with pytest.raises(OwnersWrongError):
            built(crowd(), owners=owners)
    strange = MatrixSettings.model_validate({"disagreement": {"tiers": ["T9"], "below_percentile": 60}})
    with pytest.raises(MatrixMismatchError):
        built(crowd(), matrix=strange)


def test_an_unfair_list_is_refused() -> None:
    with pytest.raises(UnfairAssignmentError, match="wanted at most 0.0%"):
        built(crowd(), settings=SETTINGS.model_copy(update={"assignment_tolerance": 0.0}))


def test_a_list_that_is_full_before_the_last_tier_says_so() -> None:
    tiny = SETTINGS.model_copy(update={"per_owner": 2})
    with pytest.raises(PromisedTierEmptyError, match="T3 had 5: list_full 5"):
        built(crowd(), settings=tiny)
