"""Issue: the forecast of today, staged as tables nobody reads yet, and held against what a forecast must be."""

from __future__ import annotations

from collections.abc import Iterator

from foregate.cases.funnel import packages
from foregate.cases.funnel.issuing import forecast_findings, keep, stage_tables, tables_of
from foregate.cases.funnel.work import Work
from foregate.core.evidence import Evidence
from foregate.core.gate import Effect, Gate
from foregate.core.phase import Run
from foregate.modeling.measured import Measured

DOES = (
    "Makes today's forecast with the package as written, stages its tables, and checks sums, order, holes and hearing."
)
GATES = (
    Gate("incoherent_cells", at_most=0, why="children that do not sum to their parent contradict each other"),
    Gate("disordered_quantiles", at_most=0, why="a wider interval must hold the narrower one"),
    Gate("negative_cells", at_most=0, why="no count is negative"),
    Gate("missing_forecasts", at_most=0, why="a day without a number is read as none"),
    Gate("zero_filled_cells", at_most=0, why="what is not there is NULL and never 0"),
    Gate(
        "deaf_stages",
        at_most=0,
        effect=Effect.SIGN_OFF,
        why="a forecast that hears nothing of the last weeks is a calendar",
    ),
    Gate(
        "trend_break",
        at_least=0.4,
        at_most=2.5,
        effect=Effect.SIGN_OFF,
        why="the next weeks are far from the last ones",
    ),
)


def measure(work: Work, run: Run) -> Iterator[Evidence]:
    """Yield the checks of the staged tables, made by the package as it was written."""
    package = packages.read(work.artifacts / run.version, work.digest)
    found = package.forecast(work.events, run.as_of)
    told = tables_of(package, work.events, found, {})
    served = work.champion()
    kept = keep(run.warehouse, told, work.folder, shadow=served is None or served.version != run.version)
    stage_tables(run.warehouse, told)
    made = Measured(run.as_of, kept.digest[:12])
    yield made.count("issue_digest", 1, 1, kept.digest, kept.key)
    yield from forecast_findings(made, run.warehouse, package, work.events, found)
