"""The monthly list: who is called, by whom, why, and why everybody else is not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa

from foregate.cases.leads import matrix as score_matrix
from foregate.cases.leads import rule_names, wording
from foregate.cases.leads.assignment import assign
from foregate.cases.leads.candidates import Candidates, Flags, Integers, assert_unique, read, taken
from foregate.cases.leads.eligibility import sift
from foregate.cases.leads.list_settings import ListSettings
from foregate.cases.leads.matrix import MatrixSettings
from foregate.cases.leads.places import Caps, Outcome, fill
from foregate.cases.leads.refusals import ListRefusalError, RefusalError
from foregate.cases.leads.sieve import ALL_TIERS, Sieve, Words, by_key, same_for_all
from foregate.cases.leads.tiers import TierRules
from foregate.metrics.rates import BetaPrior, expected_hits

Owner = int | str

# Walked in this order, so that the waterfall names a tier's own quota before what the whole list ran out of.
_CAPS = {
    Outcome.TIER_QUOTA: rule_names.TIER_QUOTA,
    Outcome.FIRM_CAP: rule_names.FIRM_CAP,
    Outcome.NO_LINKEDIN_CAP: rule_names.NO_LINKEDIN_CAP,
    Outcome.LIST_FULL: rule_names.LIST_FULL,
}


class ShortListError(ListRefusalError):
    """Too few people are left for the places the owners have; no list is made."""


class PromisedTierEmptyError(ListRefusalError):
    """A tier has places on the list and nobody in them."""


class PriceMissingError(RefusalError):
    """A tier on the list without a posterior of its conversion rate, or with one that is none."""


class OwnersWrongError(RefusalError):
    """No owners, or one owner named twice."""


@dataclass(frozen=True, slots=True)
class Built:
    """A finished list and its account.

    `people`: one row a person on the list, by list_rank. `decisions`: one row a candidate, by person_id, with the rule
    that decided ("listed" or what kept the person out), its words, and the priority among those still in at the caps.
    `waterfall`: one row a step and tier. `expected`: conversions per tier and in all, with 95 % intervals.
    `widened_by`: how many places the backfill group has beyond its quota, because the tiers left them open.
    """

    people: pa.Table
    decisions: pa.Table
    waterfall: pa.Table
    expected: pa.Table
    widened_by: int


def build(
    candidates: pa.Table,
    rules: TierRules,
    matrix: MatrixSettings,
    settings: ListSettings,
    owners: Sequence[Owner],
    prices: Mapping[str, tuple[float, float]],
    as_of: date,
    seed: int,
) -> Built:
    """Return the list with exactly `per_owner` people for every owner, or raise and return nothing.

    `candidates` has one row a person of the scoring population; `prices` the Beta posterior (a, b) of each tier's
    conversion rate and of the backfill group's. The order of rows and of owners does not matter. Raises
    CandidatesWrongError, DuplicatePersonsError, MatrixMismatchError, PriceMissingError, OwnersWrongError,
    PromisedTierEmptyError, ShortListError, UnfairAssignmentError.
    """
    score_matrix.check(matrix, rules)
    callers = _checked_owners(owners)
    rates = _rates(rules, matrix, prices)
    people = read(candidates, rules, matrix, as_of)
    sieve = Sieve(_group_names(rules, matrix), people.tier)
    sift(sieve, people, rules, matrix, settings)
    order = _by_priority(sieve, people)
    _cap(sieve, people, order, rules, settings, len(callers))
    listed = order[sieve.is_in[order]]
    _check_promises(sieve, rules)
    _check_length(sieve, listed.size, len(callers) * settings.per_owner, len(callers))
    table = _people(people, sieve, listed, rates, rules, matrix)
    table = _assigned(table, people, listed, callers, settings, seed)
    assert_unique(np.sort(table["person_id"].to_numpy()), "monthly list")
    counts = dict(
        zip(sieve.groups, np.bincount(sieve.group[listed], minlength=len(sieve.groups)).tolist(), strict=True)
    )
    backfill = matrix.backfill
    return Built(
        people=table,
        decisions=_decisions(people, sieve, order),
        waterfall=sieve.waterfall(),
        expected=_expected(counts, prices, seed),
        widened_by=0 if backfill is None else max(0, counts[backfill.name] - backfill.quota),
    )


def _group_names(rules: TierRules, matrix: MatrixSettings) -> list[str]:
    backfill = [matrix.backfill.name] if matrix.backfill else []
    return [*(tier.name for tier in rules.tier), rules.standard.name, *backfill]


def _checked_owners(owners: Sequence[Owner]) -> list[Owner]:
    kinds = {type(owner) for owner in owners}
    if not owners or len(set(owners)) != len(owners) or len(kinds) > 1:
        raise OwnersWrongError(
            "owners of the list",
            found=f"{len(owners)} owners, {len(set(owners))} different, as {sorted(kind.__name__ for kind in kinds)}",
            wanted="at least one active person, each once, ids of one kind",
            then="Mend the query of active owners.",
        )
    return sorted(owners, key=lambda owner: (str(owner) if isinstance(owner, str) else "", owner))


def _rates(rules: TierRules, matrix: MatrixSettings, prices: Mapping[str, tuple[float, float]]) -> dict[str, float]:
    names = [tier.name for tier in rules.tier if tier.quota] + ([matrix.backfill.name] if matrix.backfill else [])
    rates = {}
    for name in names:
        a, b = prices.get(name, (0.0, 0.0))
        if not (0 < a < np.inf and 0 < b < np.inf):
            raise PriceMissingError(
                f"prices, tier {name}",
                found=f"{prices.get(name, 'no posterior')}",
                wanted="a and b above 0 of the Beta posterior of its conversion rate",
                then="Shrink the tier's outcomes with metrics.rates and pass the result.",
            )
        rates[name] = a / (a + b)
    return rates


def _by_priority(sieve: Sieve, people: Candidates) -> Integers:
    """Return those still in: by tier as declared (backfill last), new first, percentile, score, then person_id.

    People come by person_id already and the sort is stable, so the order is total.
    """
    left = np.flatnonzero(sieve.is_in)
    keys = (-people.score[left], -people.percentile[left], people.is_known[left], sieve.group[left])
    found: Integers = left[np.lexsort(keys)]
    return found


def _cap(
    sieve: Sieve, people: Candidates, order: Integers, rules: TierRules, settings: ListSettings, owners: int
) -> None:
    """Give the places by priority and name, for everybody left out, the cap that did it.

    Only the backfill group has no quota here: it comes last, and takes its own places and all that the tiers left open.
    """
    quotas = [*(tier.quota for tier in rules.tier), None, None]
    caps = Caps(owners * settings.per_owner, settings.firm_cap, settings.no_linkedin_cap)
    group, firm = sieve.group[order], people.firm[order]
    outcome = fill(group, firm, people.flags["has_linkedin"][order], quotas, caps)
    words = {
        Outcome.TIER_QUOTA: by_key(
            sieve.group, lambda at: f"tier quota: all {quotas[at]} places of {sieve.groups[at]} are taken"
        ),
        Outcome.FIRM_CAP: _firm_words(people, order, settings.firm_cap),
        Outcome.NO_LINKEDIN_CAP: same_for_all(
            f"LinkedIn cap: {caps.no_linkedin} people without a profile are already on the list"
        ),
        Outcome.LIST_FULL: same_for_all(f"list full: all {caps.places} places are taken by higher priorities"),
    }
    for reason, rule in _CAPS.items():
        hit: Flags = np.zeros(sieve.group.size, np.bool_)
        hit[order[outcome == reason]] = True
        sieve.remove(rule, hit, words[reason])


def _firm_words(people: Candidates, order: Integers, cap: int) -> Words:
    def words(hit: Integers) -> tuple[Integers, list[str]]:
        if not hit.size:
            return np.zeros(0, np.int64), []
        firm = people.firm[order]
        by_firm = np.argsort(firm, kind="stable")
        starts = np.flatnonzero(np.r_[True, np.diff(firm[by_firm]) != 0])
        lengths = np.diff(np.r_[starts, firm.size])
        place = np.zeros(people.person.size, np.int64)
        place[order[by_firm]] = np.arange(firm.size) - np.repeat(starts, lengths) + 1
        firms = people.values("firm_id", hit)
        said = [
            f"firm cap: {cap} of firm {name} are already on the list, this person is {ordinal(at)} of the firm"
            for name, at in zip(firms, place[hit].tolist(), strict=True)
        ]
        return np.arange(hit.size), said

    return words


def ordinal(place: int) -> str:
    """Return a place in words.

    >>> ordinal(1), ordinal(12), ordinal(63), ordinal(111)
    ('1st', '12th', '63rd', '111th')
    """
    ending = "th" if 10 <= place % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(place % 10, "th")
    return f"{place}{ending}"


def _check_promises(sieve: Sieve, rules: TierRules) -> None:
    listed = set(np.unique(sieve.group[sieve.is_in]).tolist())
    empty = [tier.name for at, tier in enumerate(rules.tier) if tier.quota and at not in listed]
    if empty:
        losses = "; ".join(f"{name} had {sieve.population_of(name)}: {_losses(sieve, name)}" for name in empty)
        raise PromisedTierEmptyError(
            f"monthly list, tier {', '.join(empty)}",
            found=f"nobody ({losses})",
            wanted="at least one person in every tier that has a quota",
            then="Look at the rules that removed them, mend the tier, or give it quota 0.",
        )


def _check_length(sieve: Sieve, length: int, wanted: int, owners: int) -> None:
    if length != wanted:
        raise ShortListError(
            "monthly list",
            found=f"{length} people, {wanted - length} too few; removed: {_losses(sieve, None)}",
            wanted=f"exactly {wanted} for {owners} owners",
            then="Raise quotas, lower the backfill percentile, loosen the rule that removes most, or lower per_owner.",
        )


def _losses(sieve: Sieve, group: str | None) -> str:
    losses = sieve.removed_from(group)
    said = [f"{rule} {count}" for rule, count in list(losses.items())[:5]]
    return ", ".join(said) or "no rule removed any"


def _people(
    people: Candidates,
    sieve: Sieve,
    listed: Integers,
    rates: Mapping[str, float],
    rules: TierRules,
    matrix: MatrixSettings,
) -> pa.Table:
    """Return the list by rank, without owners."""
    tiers = [sieve.groups[at] for at in sieve.group[listed].tolist()]
    words = {tier.name: tier.words for tier in rules.tier}
    if matrix.backfill is not None:
        words[matrix.backfill.name] = matrix.backfill.words
    named = sorted({name for template in words.values() for name in wording.columns_in(template, "words")})
    rows = taken(people.table, named, people.rows[listed])
    return pa.table(
        {
            "person_id": pa.array(people.person[listed], pa.int64()),
            "lead_id": people.column("lead_id").take(pa.array(listed)),
            "list_rank": pa.array(np.arange(1, listed.size + 1), pa.int64()),
            "tier": pa.array(tiers, pa.string()),
            "firm_id": people.column("firm_id").take(pa.array(listed)),
            "score": pa.array(people.score[listed], pa.float64()),
            "percentile": pa.array(people.percentile[listed], pa.int64()),
            "expected_rate": pa.array([rates[tier] for tier in tiers], pa.float64()),
            "is_recycled": pa.array(people.is_known[listed]),
            "narrative": pa.array(
                [wording.fill(words[tier], row) for tier, row in zip(tiers, rows, strict=True)], pa.string()
            ),
        }
    )


def _assigned(
    table: pa.Table, people: Candidates, listed: Integers, owners: list[Owner], settings: ListSettings, seed: int
) -> pa.Table:
    """Return the list with the owner of each row and the row's rank with that owner."""
    rows = table.select(["firm_id", "expected_rate", "list_rank"])
    if "is_partner" in people.flags:
        rows = rows.append_column("is_partner", pa.array(people.flags["is_partner"][listed]))
    owner = assign(rows, owners, settings.per_owner, settings.assignment_tolerance, seed)
    rank = np.empty(owner.size, np.int64)
    # Every owner has as many rows, so the n-th row of a stable sort by owner has rank n within that number.
    rank[np.argsort(owner, kind="stable")] = np.arange(owner.size) % settings.per_owner + 1
    ids = pa.array([owners[at] for at in owner.tolist()])
    table = table.add_column(2, "owner_id", ids)
    return table.add_column(3, "owner_rank", pa.array(rank, pa.int64()))


def _decisions(people: Candidates, sieve: Sieve, order: Integers) -> pa.Table:
    rule, words = sieve.decisions()
    priority = np.zeros(people.person.size, np.int64)
    priority[order] = np.arange(1, order.size + 1)
    return pa.table(
        {
            "person_id": pa.array(people.person, pa.int64()),
            "decision": rule,
            "detail": words,
            "rank": pa.array(priority, pa.int64(), mask=priority == 0),
        }
    )


def _expected(counts: Mapping[str, int], prices: Mapping[str, tuple[float, float]], seed: int) -> pa.Table:
    """Return expected conversions per tier on the list and in all, with what their number may be."""
    priced = {name: (count, BetaPrior(*prices[name])) for name, count in counts.items() if count}
    groups = {**{name: [one] for name, one in priced.items()}, ALL_TIERS: list(priced.values())}
    rows: list[dict[str, Any]] = []
    for name, members in groups.items():
        estimate = expected_hits(members, seed)
        rows.append(
            {
                "tier": name,
                "leads": estimate.rows,
                "expected_rate": estimate.value / estimate.rows,
                "expected": estimate.value,
                "low": estimate.low,
                "high": estimate.high,
            }
        )
    return pa.Table.from_pylist(rows)
