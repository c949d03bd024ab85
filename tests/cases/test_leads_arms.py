"""Two versions' lists in one: exact, nested as the share grows, owners untouched, propensities as they happen."""

from collections import Counter
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foregate.cases.leads.arms import RULE, Merged, merge
from foregate.cases.leads.monthly_list import Built
from foregate.cases.leads.sieve import ALL_TIERS
from foregate.metrics.rates import BetaPrior

OWNERS, PER_OWNER, CAP = ("a", "b"), 6, 5
PRICES = ({"GOLD": BetaPrior(5, 95), "REST": BetaPrior(2, 98)}, {"GOLD": BetaPrior(8, 92), "REST": BetaPrior(3, 97)})
VERSIONS = ("old1", "try2")


def built(chosen: list[int], firms: dict[int, int]) -> Built:
    """A list of these people in this order: the first third gold, the owners taking turns."""
    tiers = ["GOLD" if n < len(chosen) // 3 else "REST" for n in range(len(chosen))]
    people = pa.table(
        {
            "person_id": pa.array(chosen, pa.int64()),
            "owner_id": [OWNERS[n % 2] for n in range(len(chosen))],
            "owner_rank": pa.array([n // 2 + 1 for n in range(len(chosen))], pa.int64()),
            "list_rank": pa.array(range(1, len(chosen) + 1), pa.int64()),
            "tier": tiers,
            "firm_id": pa.array([firms[p] for p in chosen], pa.int64()),
            "score": [1 - n / 100 for n in range(len(chosen))],
        }
    )
    everybody = sorted(firms)
    decisions = pa.table(
        {
            "person_id": pa.array(everybody, pa.int64()),
            "decision": ["listed" if p in chosen else "list_full" for p in everybody],
            "detail": pa.array([None] * len(everybody), pa.string()),
        }
    )
    counts = Counter(tiers)
    rows = [
        {"step": 0, "rule": "population", "tier": tier, "removed": 0, "moved_in": 0, "moved_out": 0, "remaining": count}
        for tier, count in (("GOLD", counts["GOLD"]), ("REST", counts["REST"]), (ALL_TIERS, len(chosen)))
    ]
    return Built(people, decisions, pa.Table.from_pylist(rows), pa.table({"tier": []}), 0)


people = st.permutations(range(40)).map(lambda found: list(found[: len(OWNERS) * PER_OWNER]))


def merged(one: list[int], other: list[int], share: float, salt: str = "s", cap: int = CAP) -> Merged:
    firms = {p: p % 9 for p in range(40)}
    units = {p: str(p) for p in range(40)}
    return merge(built(one, firms), built(other, firms), VERSIONS, PRICES, units, share, salt, cap, seed=1)


def listed(found: Merged) -> set[int]:
    return set(found.built.people.column("person_id").to_pylist())


@settings(max_examples=60, deadline=None)
@given(people, people, st.floats(0, 1))
def test_the_list_stays_exact_and_everybody_keeps_their_number_of_places(
    one: list[int], other: list[int], share: float
) -> None:
    found = merged(one, other, share)
    table = found.built.people
    assert table.num_rows == len(one) == len(listed(found))
    assert table.column("list_rank").to_pylist() == list(range(1, len(one) + 1))
    assert Counter(table.column("owner_id").to_pylist()) == {owner: PER_OWNER for owner in OWNERS}
    assert listed(found) <= {*one, *other}
    assert {*one} & {*other} <= listed(found)
    assert len(listed(found) - {*one}) == found.swapped
    assert found.swapped + found.left_out == round(share * found.possible)
    worst = Counter(table.column("firm_id").to_pylist()).most_common(1)[0][1]
    before = Counter(p % 9 for p in one).most_common(1)[0][1]
    assert worst <= max(CAP, before)


@settings(max_examples=40, deadline=None)
@given(people, people, st.floats(0, 1), st.floats(0, 1))
def test_a_larger_share_keeps_everybody_a_smaller_one_swapped(
    one: list[int], other: list[int], less: float, more: float
) -> None:
    less, more = sorted((less, more))
    small, large = (listed(merged(one, other, share, cap=40)) - {*one} for share in (less, more))
    assert small <= large


@settings(max_examples=40, deadline=None)
@given(people, people, st.floats(0, 1))
def test_every_table_tells_the_same_story(one: list[int], other: list[int], share: float) -> None:
    found = merged(one, other, share)
    told = {row["person_id"]: row["decision"] for row in found.built.decisions.to_pylist()}
    assert {p for p, decision in told.items() if decision == "listed"} == listed(found)
    assert sum(decision == RULE for decision in told.values()) == found.swapped
    arms = {row["person_id"]: row for row in found.arms.to_pylist()}
    assert set(arms) == {*one, *other}
    assert {p for p, row in arms.items() if row["is_listed"]} == listed(found)
    assert all(row["version"] == VERSIONS[row["arm"] == "challenger"] for row in arms.values())
    last: dict[str, Any] = {row["tier"]: row for row in found.built.waterfall.to_pylist()}
    by_tier = Counter(found.built.people.column("tier").to_pylist())
    assert {tier: last[tier]["remaining"] for tier in by_tier} == dict(by_tier)
    assert last[ALL_TIERS]["remaining"] == len(one)
    if found.swapped:
        assert pc.sum(found.built.expected.column("leads")).as_py() == 2 * len(one)


def test_in_shadow_the_list_is_the_champions_and_the_arms_are_noted() -> None:
    one, other = list(range(12)), list(range(6, 18))
    found = merged(one, other, 0.0)
    assert listed(found) == set(one)
    assert (found.possible, found.swapped) == (6, 0)
    arms = Counter((row["arm"], row["is_listed"]) for row in found.arms.to_pylist())
    assert arms == {("both", True): 6, ("champion", True): 6, ("challenger", False): 6}


def test_a_person_is_listed_as_often_as_their_propensity_says() -> None:
    one, other = list(range(12)), list(range(6, 18))
    runs, share = 600, 1 / 3
    seen: Counter[int] = Counter()
    for salt in range(runs):
        found = merged(one, other, share, str(salt), cap=40)
        seen.update(listed(found))
        propensity = {row["person_id"]: row["propensity"] for row in found.arms.to_pylist()}
    for person, chance in propensity.items():
        assert seen[person] / runs == pytest.approx(chance, abs=0.09), person


def test_a_swap_that_would_break_the_firm_cap_is_left_out_and_counted() -> None:
    firms = {p: 1 if p in (0, 1, 12, 13) else 10 + p for p in range(40)}
    one, other = list(range(12)), [*range(2, 12), 12, 13]
    units = {p: str(p) for p in range(40)}
    found = merge(built(one, firms), built(other, firms), VERSIONS, PRICES, units, 1.0, "s", 2, 1)
    assert (found.possible, found.swapped, found.left_out) == (2, 2, 0)  # firm 1 for firm 1
    firms |= {0: 50, 2: 1, 3: 1}
    found = merge(built(one, firms), built(other, firms), VERSIONS, PRICES, units, 1.0, "s", 2, 1)
    assert found.left_out > 0
    assert Counter(found.built.people.column("firm_id").to_pylist())[1] <= 3
