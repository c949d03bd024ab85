"""Arms: one list out of two versions' lists, in which a salted hash decides whose choice is called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from foregate.cases.leads.monthly_list import Built
from foregate.cases.leads.sieve import ALL_TIERS
from foregate.core.rollout import bucket
from foregate.metrics.rates import BetaPrior, expected_hits

ARMS = "list_arms"
RULE = "rollout_arms"
WENT = "rollout: the place went to a person of the other version's list"
CAME = "rollout: on the list of the version that is tried"
Prices = Mapping[str, BetaPrior]


@dataclass(frozen=True)
class Merged:
    """A list of two arms: the list itself, everybody either version chose with their arm, and how many were swapped.

    `arms`: person_id, arm (both, champion, challenger), version, propensity (the chance of being listed that the share
    gave this person), is_listed. `possible` is how many people only one version chose; `left_out` how many swaps the
    firm cap forbade.
    """

    built: Built
    arms: pa.Table
    share: float
    possible: int
    swapped: int
    left_out: int


def merge(
    champion: Built,
    challenger: Built,
    versions: tuple[str, str],
    prices: tuple[Prices, Prices],
    units: Mapping[Any, str],
    share: float,
    salt: str,
    firm_cap: int,
    seed: int,
) -> Merged:
    """Return the champion's list with a share of what only it chose replaced by what only the challenger chose.

    Who is replaced goes by the bucket of a person's unit: lowest first on both sides, so that a larger share keeps all
    that a smaller one swapped. A swap takes the place with the owner: nobody's list gets longer. One that would put
    more than `firm_cap` people of a firm on the list is left out. With share 0 (shadow) the list is the champion's.
    """
    ours, theirs = _by_person(challenger.people), _by_person(champion.people)
    order = lambda person: (bucket(salt, units[person]), str(person))  # noqa: E731
    only_ours = sorted((p for p in ours if p not in theirs), key=order)
    only_theirs = sorted((p for p in theirs if p not in ours), key=order)
    possible = min(len(only_ours), len(only_theirs))
    asked = round(share * possible)
    pairs = list(zip(only_theirs[:asked], only_ours[:asked], strict=True))
    done = _within_cap(pairs, ours, theirs, firm_cap)
    built = _swapped(champion, ours, theirs, done, prices, seed) if done else champion
    arms = _arms(ours, theirs, done, versions, asked / possible if possible else 0.0)
    return Merged(built, arms, share, possible, len(done), len(pairs) - len(done))


def _by_person(people: pa.Table) -> dict[Any, dict[str, Any]]:
    return {row["person_id"]: row for row in people.to_pylist()}


def _within_cap(
    pairs: list[tuple[Any, Any]], ours: Mapping[Any, Any], theirs: Mapping[Any, Any], firm_cap: int
) -> list[tuple[Any, Any]]:
    firms = Counter(row["firm_id"] for row in theirs.values())
    done = []
    for leaves, comes in pairs:
        before, after = theirs[leaves]["firm_id"], ours[comes]["firm_id"]
        if after is None or after == before or firms[after] < firm_cap:
            firms[before] -= 1
            firms[after] += 1
            done.append((leaves, comes))
    return done


def _swapped(
    champion: Built,
    ours: Mapping[Any, dict[str, Any]],
    theirs: Mapping[Any, dict[str, Any]],
    done: list[tuple[Any, Any]],
    prices: tuple[Prices, Prices],
    seed: int,
) -> Built:
    tiers = list(dict.fromkeys(champion.waterfall.column("tier").to_pylist()))
    gone = dict(done)
    rows = [row for person, row in theirs.items() if person not in gone]
    rows += [{**ours[comes], "owner_id": theirs[leaves]["owner_id"]} for leaves, comes in done]
    rows.sort(key=lambda row: (tiers.index(row["tier"]), row["list_rank"], str(row["person_id"])))
    seen: Counter[Any] = Counter()
    for rank, row in enumerate(rows, 1):
        seen[row["owner_id"]] += 1
        row |= {"list_rank": rank, "owner_rank": seen[row["owner_id"]]}
    people = pa.Table.from_pylist(rows, schema=champion.people.schema)
    came = Counter(ours[comes]["tier"] for _, comes in done)
    left = Counter(theirs[leaves]["tier"] for leaves in gone)
    return replace(
        champion,
        people=people,
        decisions=_decided(champion.decisions, done),
        waterfall=_waterfall(champion.waterfall, tiers, came, left),
        expected=_expected(people, came, prices, seed),
    )


def _decided(decisions: pa.Table, done: list[tuple[Any, Any]]) -> pa.Table:
    """Return the decisions with those of swapped people told anew."""
    ids = decisions.column("person_id")
    for place, words in ((0, WENT), (1, CAME)):
        hit = pc.is_in(ids, pa.array([pair[place] for pair in done], ids.type))
        told = RULE if place == 0 else "listed"
        for name, text in (("decision", told), ("detail", words)):
            column = pc.if_else(hit, text, decisions.column(name))
            decisions = decisions.set_column(decisions.column_names.index(name), name, column)
    return decisions


def _waterfall(waterfall: pa.Table, tiers: list[str], came: Counter[str], left: Counter[str]) -> pa.Table:
    rows = waterfall.to_pylist()
    step = max(row["step"] for row in rows)
    last = {row["tier"]: row for row in rows if row["step"] == step}
    more = []
    for tier in tiers:
        whole = tier == ALL_TIERS
        removed, moved = (sum(c.values()) if whole else c[tier] for c in (left, came))
        remaining = last[tier]["remaining"] - removed + moved
        told = {"removed": removed, "moved_in": moved, "moved_out": 0, "remaining": remaining}
        more.append({**last[tier], "step": step + 1, "rule": RULE, **told})
    return pa.Table.from_pylist([*rows, *more], schema=waterfall.schema)


def _expected(people: pa.Table, came: Counter[str], prices: tuple[Prices, Prices], seed: int) -> pa.Table:
    """Return expected conversions per tier and in all, each person at the price of the version that chose them."""
    counts = {row["values"]: row["counts"] for row in pc.value_counts(people.column("tier")).to_pylist()}
    groups = {
        tier: [(n, p[tier]) for n, p in ((count - came[tier], prices[0]), (came[tier], prices[1])) if n]
        for tier, count in counts.items()
    }
    groups[ALL_TIERS] = [member for members in groups.values() for member in members]
    rows = []
    for tier, members in groups.items():
        found = expected_hits(members, seed)
        told = {
            "expected_rate": found.value / found.rows,
            "expected": found.value,
            "low": found.low,
            "high": found.high,
        }
        rows.append({"tier": tier, "leads": found.rows, **told})
    return pa.Table.from_pylist(rows)


def _arms(
    ours: Mapping[Any, Any],
    theirs: Mapping[Any, Any],
    done: list[tuple[Any, Any]],
    versions: tuple[str, str],
    propensity: float,
) -> pa.Table:
    champion, challenger = versions
    left, came = {leaves for leaves, _ in done}, {comes for _, comes in done}
    both = [(p, "both", champion, 1.0, True) for p in theirs if p in ours]
    champions = [(p, "champion", champion, 1 - propensity, p not in left) for p in theirs if p not in ours]
    challengers = [(p, "challenger", challenger, propensity, p in came) for p in ours if p not in theirs]
    rows = [*both, *champions, *challengers]
    names = ("person_id", "arm", "version", "propensity", "is_listed")
    columns: list[Any] = [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in names]
    columns[3] = np.asarray(columns[3], np.float64)
    return pa.table(dict(zip(names, columns, strict=True)))
