"""Features: what may explain prices is there, was measured and not filled in, and tells nothing before its time."""

from __future__ import annotations

from collections.abc import Iterator

from foregate.cases.prices.exogenous_checks import exogenous_findings
from foregate.cases.prices.phases.quotes import ROW_GATES
from foregate.cases.prices.work import Work
from foregate.core.evidence import Evidence
from foregate.core.gate import Effect, Gate
from foregate.core.phase import Run
from foregate.modeling.measured import Measured, digest_of

DOES = "Looks at every exogenous column for values that are filled in, frozen, sparse, or known before they can be."
SIGN = Effect.SIGN_OFF
GATES = (
    *ROW_GATES,
    Gate("support", at_least=0.1, why="what is there on few days explains those days only"),
    Gate("zero_share", at_most=0.05, why="zeros in place of what is missing are taken for measurements"),
    Gate("constant_share", at_most=0.05, effect=SIGN, why="a value carried forward is no news"),
    Gate("imputed_share", at_most=0.05, effect=SIGN, why="what was filled in between two values knew the later one"),
    Gate("silent_days", at_most=0, effect=SIGN, why="a column that stopped arriving tells nothing of today"),
    Gate("constant_tail", at_most=5, effect=SIGN, why="a value carried forward to the end tells nothing of today"),
    Gate("value_jumps", at_most=0, effect=SIGN, why="a column in another unit is another column"),
    Gate("leak_probe", at_most=0.3, why="nothing honest explains so much of what is still to come"),
)


def measure(work: Work, run: Run) -> Iterator[Evidence]:
    """Yield the findings on each exogenous column; that there is none, if none is declared."""
    made = Measured(run.as_of, digest_of(*sorted(work.fingerprints.items())))
    if work.settings.exogenous:
        yield from exogenous_findings(made, work.market, work.settings)
        return
    for gate in GATES:
        yield made.nothing(gate.evidence, "no exogenous column is declared", gate.at_least or 0.0)
