"""Maturity: how many of a stage go on to the next and how long they take, open cohorts counted as open."""

from __future__ import annotations

from collections.abc import Iterator

from foregate.cases.funnel.forecasting import Known
from foregate.cases.funnel.work import Work
from foregate.core.evidence import Evidence, Unit
from foregate.core.gate import Effect, Gate
from foregate.core.phase import Run
from foregate.metrics.estimate import Estimate
from foregate.metrics.rates import rate
from foregate.modeling.cohorts import Cohorts
from foregate.modeling.conversion import fit_conversion
from foregate.modeling.measured import Measured, digest_of

DOES = "Fits the rate and the delay from each stage to the next; young cohorts are open, not failures."
RECENT_DAYS = 60
GATES = (
    Gate("conversions", at_least=50, effect=Effect.SIGN_OFF, why="a delay fitted on fewer conversions is a guess"),
    Gate("mature_days", at_most=365, effect=Effect.INFORM, why="a rate whose cohorts take longer is known a year late"),
)


def measure(work: Work, run: Run) -> Iterator[Evidence]:
    """Yield, for every pair of stages, the matured rate, the days to maturity, and the naive rate beside it."""
    known = Known(work.events, work.settings)
    made = Measured(run.as_of, digest_of(*sorted(work.fingerprints.items())))
    pairs = work.settings.pairs()
    if not pairs:
        for gate in GATES:
            yield made.nothing(gate.evidence, "one stage only: nothing converts", 50.0)
    for before, after in pairs:
        name, cohorts = f"{before} to {after}", known.cohorts(before, after)
        found = fit_conversion(cohorts)
        converted = int(cohorts.is_converted.sum())
        yield made.count("conversions", converted, cohorts.entered.size, name, "; ".join(found.words))
        days = found.mature_days()
        yield made.days("mature_days", days, converted, name, f"nine in ten have converted {days} days after entry")
        matured = cohorts.entered_within(0, cohorts.origin - days)
        hits, rows = int(matured.is_converted.sum()), int(matured.entered.size)
        words = f"cohorts of at least {days} days: {hits:,} of {rows:,}"
        yield made.estimate("conversion_rate", rate(hits, rows), Unit.RATE, name, words)
        yield made.estimate("recent_rate", _recent(cohorts), Unit.RATE, name, _warning(days))


def _recent(cohorts: Cohorts) -> Estimate:
    """Return the rate of the last weeks as it stands: the number that hand-made reports multiply by."""
    young = cohorts.entered_within(cohorts.origin - RECENT_DAYS + 1, cohorts.origin)
    return rate(int(young.is_converted.sum()), int(young.entered.size))


def _warning(days: int) -> str:
    return f"entries of the last {RECENT_DAYS} days as they stand, {days} days to maturity: too low by construction"
