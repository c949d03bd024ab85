"""Panel: a day by series count for every stage, with its zeros, held against other counts of the same months."""

from __future__ import annotations

from collections.abc import Iterator

from foregate.cases.funnel.backtest import Past
from foregate.cases.funnel.checks import control_findings
from foregate.cases.funnel.forecasting import Known
from foregate.cases.funnel.work import Work
from foregate.core.evidence import Evidence
from foregate.core.gate import Effect, Gate
from foregate.core.phase import Run
from foregate.modeling.measured import Measured, digest_of

DOES = "Counts every stage by day and series, zeros written out, and reconciles months with the source and the reports."
LEAST_EVENTS = 100
GATES = (
    Gate("control_gap", at_most=0.01, why="a month of the panel that is not the month of the source"),
    Gate("label_gap", at_most=0.01, effect=Effect.SIGN_OFF, why="what is forecast is not what the reports count"),
    Gate("origins", at_least=12, why="on fewer past forecasts no forecast can be told from luck"),
    Gate(
        "stage_events",
        at_least=LEAST_EVENTS,
        effect=Effect.SIGN_OFF,
        why="too few events to tell one forecast from another",
    ),
)


def measure(work: Work, run: Run) -> Iterator[Evidence]:
    """Yield control totals, volumes and the rolling origins."""
    made = Measured(run.as_of, digest_of(*sorted(work.fingerprints.items())))
    yield from control_findings(made, run.warehouse, work.settings, work.sources, work.events)
    known = Known(work.events, work.settings)
    for stage in work.settings.stages:
        history = known.history(stage)
        total, cells = int(history.counts.sum()), int(history.present().sum())
        zeros = 1 - int((history.counts > 0).sum()) / max(1, cells)
        a_day = total / history.days
        words = (
            f"{a_day:.2f} a day over {history.days:,} days, {int(history.alive.sum())} series alive, {zeros:.1%} zeros"
        )
        yield made.count("stage_events", total, cells, stage, words)
    found = work.origins()
    words = (
        f"{len(found.open)} from {found.open[0]} to {found.open[-1]} to choose on, {len(found.sealed)} to "
        f"{found.sealed[-1]} sealed; {found.step_days} days apart, each scored on {found.score_days} days"
    )
    yield made.count("origins", len(found.open) + len(found.sealed), len(found.open), words=words)
    work.past = Past(work.events, work.settings, found.open, work.seed)
