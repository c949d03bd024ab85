"""Issue: the forecast of today, staged as tables nobody reads yet, and held against what a forecast must be."""

from __future__ import annotations

from collections.abc import Iterator

from foregate.cases.prices import packages
from foregate.cases.prices.issuing import forecast_findings, keep_issue, stage_tables
from foregate.cases.prices.work import Work
from foregate.core.evidence import Evidence
from foregate.core.gate import Effect, Gate
from foregate.core.phase import Run
from foregate.modeling.measured import Measured

DOES = "Makes today's forecast with the package as written, stages its tables, and checks order, limits and stamps."
SIGN = Effect.SIGN_OFF
GATES = (
    Gate("missing_forecasts", at_most=0, why="a horizon without a number is not a forecast of no change"),
    Gate("disordered_quantiles", at_most=0, why="a wider interval must hold the narrower one"),
    Gate(
        "wrong_stamps", at_most=0, why="a forecast must fall due on a trading day after its price, farther ones later"
    ),
    Gate("weights_off", at_most=0, why="weights that do not sum to 1 move the level"),
    Gate("out_of_bounds", at_most=0, effect=SIGN, why="beyond the declared bounds; nothing is clipped"),
    Gate("extreme_forecasts", at_most=0, effect=SIGN, why="beyond three standard deviations of the return"),
    Gate("incoherent_horizons", at_most=0, effect=SIGN, why="horizons that contradict each other"),
)


def measure(work: Work, run: Run) -> Iterator[Evidence]:
    """Yield the checks of the staged tables, made by the package as it was written."""
    package = packages.read(work.artifacts / run.version, work.digest)
    found = package.forecast(work.market)
    kept = keep_issue(package, found, work.folder)
    stage_tables(run.warehouse, package, found, kept.key, shadow=True)
    made = Measured(run.as_of, kept.digest[:12])
    yield made.count("issue_digest", 1, 1, kept.digest, kept.key)
    yield from forecast_findings(made, found, work.settings)
