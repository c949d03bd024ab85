"""The columns that rules and words read, checked against what will be there, before anything runs."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from foregate.cases.leads import conditions, wording
from foregate.cases.leads.tiers import TierDeclarationWrongError, TierRules

LISTED = (
    "person_id",
    "lead_id",
    "firm_id",
    "firm_name",
    "lead_status",
    "last_contacted_on",
    "score",
    "percentile",
    "tier",
)


def check_rule_columns(rules: TierRules, features: Iterable[str], beside: Iterable[str], file: str) -> None:
    """Raise TierDeclarationWrongError for a column that a rule or its words read and nothing provides.

    A tier's condition reads features; exclusions and words may also read the population's own columns (`beside`).
    """
    known = {f.lower() for f in features}
    wide = known | {b.lower() for b in beside} | set(LISTED)
    for tier in rules.tier:
        where = f"{file}, tier {tier.name}"
        _check(conditions.columns_of(conditions.parse(tier.when, where)), known, f"{where}, key when")
        _check(wording.columns_in(tier.words, where), wide, f"{where}, key words")
    for rule in rules.exclusion:
        where = f"{file}, exclusion {rule.name}"
        _check(conditions.columns_of(conditions.parse(rule.when, where)), wide, f"{where}, key when")
        _check(wording.columns_in(rule.words, where), wide, f"{where}, key words")


def _check(read: set[str], known: set[str], where: str) -> None:
    missing = sorted(read - known)
    if missing:
        near = difflib.get_close_matches(missing[0], sorted(known), n=1)
        raise TierDeclarationWrongError(
            where,
            found=f"the column `{missing[0]}`, which no feature provides",
            wanted=f"one of {', '.join(sorted(known))}",
            then=f"Did you mean {near[0]}?" if near else "Write the feature, or correct the name.",
        )
