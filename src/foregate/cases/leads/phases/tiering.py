"""Tiers: the declared rules on real leads: who is in each, what they convert at, what the team may expect."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from foregate.cases.leads.tiers import TierRules, case_expression, violation_expressions
from foregate.cases.leads.training_rows import training_rows
from foregate.cases.leads.work import TIER, Rows, Work
from foregate.core.evidence import Evidence, Unit
from foregate.core.gate import Effect, Gate
from foregate.core.phase import Run
from foregate.metrics.estimate import Estimate
from foregate.metrics.rates import BetaPrior, fit_beta_prior, rate, rate_ratio, shrunken_rate
from foregate.modeling.measured import Measured, digest_of
from foregate.warehouse.point_in_time import SUBJECT

DOES = "Assigns every lead to the first tier that matches and measures what each tier converts at before the test."
GATES = (
    Gate("tier_population", at_least=1, why="a tier that nobody is in promises nothing"),
    Gate("facts_broken", at_most=0, why="the proof that tiers can be reached rests on these facts"),
    Gate("tier_lift", at_least=1.0, effect=Effect.SIGN_OFF, why="a priority tier must beat the rest"),
    Gate(
        "tier_promise_kept", at_least=0.5, effect=Effect.SIGN_OFF, why="a tier that delivers less than half its promise"
    ),
    Gate("priority_lift", at_least=1.2, effect=Effect.SIGN_OFF, why="the tiers together must be worth the effort"),
)


def measure(work: Work, run: Run) -> Iterator[Evidence]:
    """Yield each tier's population, rate, lift and shrunken rate on training rows; prices for the list are set here."""
    expression = case_expression(work.rules, run.warehouse.dialect)
    sql = f"select {SUBJECT}, {expression} as tier from lead_features"  # noqa: S608 - the expression is checked SQL
    run.warehouse.create(TIER, sql)
    made = Measured(run.as_of, digest_of(sql, run.version))
    yield from _facts(made, work, run)
    rows = training_rows(run.warehouse)
    tiers = tiers_of(rows, run)
    yield from tier_evidence(made, work.rules, tiers, rows.outcomes)
    hits, counts = _counts(work.rules, tiers, rows.outcomes)
    work.prior = prior = fit_beta_prior(np.array(hits), np.array(counts))
    for name, hit, count in zip(tier_names(work.rules), hits, counts, strict=True):
        work.prices[name] = BetaPrior(prior.a + hit, prior.b + count - hit)
        yield made.estimate(
            "tier_shrunken_rate",
            shrunken_rate(hit, count, prior),
            Unit.RATE,
            name,
            f"{hit:,} of {count:,}, shrunk to its fellows",
        )


def tier_names(rules: TierRules) -> list[str]:
    """Return the names of the tiers in order, the standard group last."""
    return [*(tier.name for tier in rules.tier), rules.standard.name]


def tiers_of(rows: Rows, run: Run) -> np.ndarray:
    """Return each row's tier."""
    table = run.warehouse.table(f"select {SUBJECT}, tier from {TIER}")  # noqa: S608 - names of our own
    found = dict(zip(table.column(SUBJECT).to_pylist(), table.column("tier").to_pylist(), strict=True))
    return np.array([found[s] for s in rows.table.column(SUBJECT).to_pylist()], dtype=str)


def tier_evidence(
    made: Measured, rules: TierRules, tiers: np.ndarray, outcomes: np.ndarray, prefix: str = "tier"
) -> Iterator[Evidence]:
    """Yield population, rate, lift against the rest and kept promise per tier, and the priority tiers together.

    The intervals of the tiers are drawn as one family (Bonferroni), so that the best of several is not taken for good.
    """
    hits, counts = _counts(rules, tiers, outcomes)
    family, all_hits, all_rows = len(rules.tier), int(outcomes.sum()), len(outcomes)
    level = 1 - (1 - made.level) / family
    for tier, hit, count in zip(rules.tier, hits, counts, strict=False):
        yield made.count(f"{prefix}_population", count, all_rows, tier.name)
        yield made.rate(f"{prefix}_rate", hit, count, tier.name, f"{hit:,} of {count:,}", family)
        lift = rate_ratio(hit, count, all_hits - hit, all_rows - count, level)
        yield made.estimate(
            f"{prefix}_lift", _sane(lift, count), Unit.RATIO, tier.name, "against all leads outside the tier", family
        )
        kept = _scaled(rate(hit, count, level), tier.promised_rate)
        yield made.estimate(
            f"{prefix}_promise_kept", kept, Unit.RATIO, tier.name, f"promised {tier.promised_rate:.1%}", family
        )
    yield made.rate(f"{prefix}_rate", hits[-1], counts[-1], rules.standard.name)
    first = "priority" if prefix == "tier" else f"{prefix.removesuffix('_tier')}_priority"
    pooled, rows = sum(hits[:-1]), sum(counts[:-1])
    lift = rate_ratio(pooled, rows, hits[-1], counts[-1], made.level)
    yield made.estimate(
        f"{first}_lift",
        _sane(lift, rows),
        Unit.RATIO,
        words=f"priority tiers {pooled:,} of {rows:,}, the rest {hits[-1]:,} of {counts[-1]:,}",
    )


def _sane(found: Estimate, rows: int) -> Estimate:
    """Return the estimate with the subject's own rows, on which a gate's least rows are counted."""
    return found._replace(rows=rows)


def _scaled(found: Estimate, by: float) -> Estimate:
    return found._replace(value=found.value / by, low=found.low / by, high=found.high / by)


def _counts(rules: TierRules, tiers: np.ndarray, outcomes: np.ndarray) -> tuple[list[int], list[int]]:
    masks: Sequence[np.ndarray] = [tiers == name for name in tier_names(rules)]
    return [int(outcomes[m].sum()) for m in masks], [int(m.sum()) for m in masks]


def _facts(made: Measured, work: Work, run: Run) -> Iterator[Evidence]:
    """Yield how many leads break each fact that the proof of reachability rests on."""
    broken = violation_expressions(work.rules, run.warehouse.dialect)
    for fact, expression in broken.items():
        sql = f"select count(*) from lead_features where {expression}"  # noqa: S608 - parsed and checked at load
        yield made.count("facts_broken", int(run.warehouse.rows(sql)[0][0]), 1, fact)
    if not broken:
        yield made.count("facts_broken", 0, 0, words="no facts are declared")
