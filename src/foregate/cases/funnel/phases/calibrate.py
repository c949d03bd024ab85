"""Calibrate: where in their own past paths outcomes came, and at which probabilities paths are read since."""

from __future__ import annotations

from collections.abc import Iterator

from foregate.cases.funnel.work import Work
from foregate.core.evidence import Evidence
from foregate.core.gate import Effect, Gate
from foregate.core.phase import Run
from foregate.modeling.measured import Measured, digest_of
from foregate.modeling.recalibration import Recalibration

DOES = "Learns from the open origins at which probabilities the chosen paths must be read for intervals to hold."
GATES = (
    Gate(
        "unreadable_intervals",
        at_most=0,
        effect=Effect.INFORM,
        why="paths so narrow that no draw reaches where the interval ends",
    ),
)


def measure(work: Work, run: Run) -> Iterator[Evidence]:
    """Yield, for every stage, level and grain, how many outcomes taught how its paths are read."""
    assert work.past is not None, "the panel phase ran before"
    made = Measured(run.as_of, digest_of(work.past.days, *sorted(work.candidates.items())))
    unreadable = []
    for stage in work.settings.stages:
        found = {}
        for (level, grain), pit in work.past.pits(stage, work.candidates).items():
            how = found[level, grain] = Recalibration.fit(pit.values, blocks=pit.origins // work.origins().overlap)
            low, high = how.probabilities(0.95)
            words = f"95 % is read from {low:.3f} to {high:.3f}; worth {how.effective:.0f} independent outcomes"
            yield made.count("calibrated_rows", how.rows, how.rows, f"{stage} {level} {grain}", words)
            unreadable += [] if how.readable(0.95, work.settings.draws) else [f"{stage} {level} {grain}"]
        work.recalibrations[stage] = found
    yield made.count("unreadable_intervals", len(unreadable), 1, words=", ".join(unreadable))
