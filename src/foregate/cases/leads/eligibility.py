"""Who may be called at all, and what the model's percentile does to their tier: every rule removes by its own name."""

from functools import reduce
from typing import Any

import numpy as np
import pyarrow as pa

from foregate.cases.leads import rule_names, wording
from foregate.cases.leads.candidates import NEVER_CONTACTED, Candidates, Flags, Integers, codes
from foregate.cases.leads.list_settings import ListSettings
from foregate.cases.leads.matrix import Action, MatrixSettings, action_table
from foregate.cases.leads.sieve import Sieve, Words, by_key, same_for_all
from foregate.cases.leads.tiers import Exclusion, TierRules


def sift(sieve: Sieve, people: Candidates, rules: TierRules, matrix: MatrixSettings, settings: ListSettings) -> None:
    """Remove from the sieve, in the declared order, everybody who may not or should not be called."""
    sieve.remove(rule_names.DO_NOT_CALL, people.flags["do_not_call"], same_for_all("asked not to be called"))
    for exclusion in rules.exclusion:
        sieve.remove(exclusion.name, people.flags[f"excluded_{exclusion.name}"], _exclusion_words(people, exclusion))
    _sift_history(sieve, people, settings)
    _sift_by_score(sieve, people, rules, matrix)
    quota_free = [at for at, tier in enumerate(rules.tier) if not tier.quota]
    unlisted = np.isin(sieve.group, np.array(quota_free, np.int64))
    words = by_key(sieve.group, lambda at: f"tier {rules.tier[at].name} has quota 0: it is never on the list")
    sieve.remove(rule_names.TIER_NOT_LISTED, unlisted, words)


def _sift_history(sieve: Sieve, people: Candidates, settings: ListSettings) -> None:
    status, statuses = codes(people.column("lead_status"))
    closed = np.array([at for at, one in enumerate(statuses) if one in settings.closed_statuses], np.int64)
    sieve.remove(
        rule_names.CLOSED_STATUS,
        np.isin(status, closed),
        by_key(status, lambda at: f"lead status {statuses[at]} is closed"),
    )
    days, wanted = people.days_since_contact, settings.recycle_after_days
    sieve.remove(
        rule_names.CONTACTED_RECENTLY,
        (days < wanted) & (days != NEVER_CONTACTED),
        by_key(days, lambda ago: f"contacted {ago} days before the list, may be called again after {wanted}"),
    )


def _sift_by_score(sieve: Sieve, people: Candidates, rules: TierRules, matrix: MatrixSettings) -> None:
    actions = _Actions(sieve, people, rules, matrix)
    sieve.remove(rule_names.NOT_SCORED, actions.give(Action.NOT_SCORED), same_for_all("has no score"))
    lowest = matrix.deprioritise_percentile
    sieve.remove(
        rule_names.DEPRIORITISED,
        actions.give(Action.DEPRIORITISED),
        by_key(
            people.percentile,
            lambda at: f"deprioritised by the model: percentile {at}, the lowest {lowest} are left out",
        ),
    )
    if matrix.disagreement is not None:
        words = _disagreement_words(people, rules, matrix.disagreement.below_percentile)
        if matrix.disagreement.action == "drop":
            sieve.remove(rule_names.DISAGREEMENT, actions.give(Action.DISAGREEMENT), words)
        else:
            sieve.move(rule_names.DISAGREEMENT, actions.give(Action.DEMOTED), rules.standard.name)
    # The demoted are standard by now, so both questions are asked of them too.
    sieve.remove(rule_names.STANDARD_BELOW_CUT, actions.give(Action.BELOW_CUT), _below_words(people, rules, matrix))
    if matrix.backfill is not None:
        sieve.move(rule_names.BACKFILL, actions.give(Action.BACKFILL), matrix.backfill.name)


class _Actions:
    """The matrix looked up for the group that each person is in by now."""

    def __init__(self, sieve: Sieve, people: Candidates, rules: TierRules, matrix: MatrixSettings) -> None:
        names = [*(tier.name for tier in rules.tier), rules.standard.name]
        table = action_table(matrix, rules)
        self.sieve, self.people = sieve, people
        self.table = np.array([table[name] for name in names])

    def give(self, action: Action) -> Flags:
        """Return whether the matrix gives this action to each person."""
        is_action = self.table == action.value
        found: Flags = is_action[self.sieve.group, self.people.percentile]
        return found


def _disagreement_words(people: Candidates, rules: TierRules, wanted: int) -> Words:
    def say(key: int) -> str:
        return (
            f"the model disagrees with {rules.tier[key // 101].name}: percentile {key % 101}, wanted {wanted} or more"
        )

    return by_key(people.tier * 101 + people.percentile, say)


def _below_words(people: Candidates, rules: TierRules, matrix: MatrixSettings) -> Words:
    cut = f"the backfill cut of {matrix.backfill.percentile}" if matrix.backfill else "any cut: there is no backfill"

    def say(key: int) -> str:
        tier, percentile = divmod(key, 101)
        demoted = f"demoted from {rules.tier[tier].name}: " if tier < len(rules.tier) else ""
        return f"{demoted}{rules.standard.name}, percentile {percentile} is below {cut}"

    return by_key(people.tier * 101 + people.percentile, say)


def _exclusion_words(people: Candidates, exclusion: Exclusion) -> Words:
    """Return the exclusion's words, filled once for each distinct combination of what they name."""

    def words(hit: Integers) -> tuple[Integers, list[str]]:
        names = sorted(wording.columns_in(exclusion.words, f"exclusion {exclusion.name}"))
        if not (names and hit.size):
            return np.zeros(hit.size, np.int64), [wording.fill(exclusion.words, {})]
        lowered = {name.lower(): name for name in people.table.column_names}
        drawn = people.table.select([lowered[name] for name in names]).take(pa.array(people.rows[hit]))
        coded = [codes(drawn.column(at)) for at in range(len(names))]
        _, first, which = np.unique(
            reduce(_joined, (code for code, _ in coded)), return_index=True, return_inverse=True
        )
        said = [wording.fill(exclusion.words, row) for row in _rows(names, coded, first)]
        return which.astype(np.int64), said

    return words


def _joined(one: Integers, other: Integers) -> Integers:
    """Return a code for each distinct pair of codes."""
    _, place = np.unique(one, return_inverse=True)
    return place.astype(np.int64) * (int(other.max(initial=0)) + 2) + other + 1


def _rows(names: list[str], coded: list[tuple[Integers, list[Any]]], places: Integers) -> list[dict[str, Any]]:
    return [
        {name: values[code[at]] if code[at] >= 0 else None for name, (code, values) in zip(names, coded, strict=True)}
        for at in places.tolist()
    ]
