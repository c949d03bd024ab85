"""Race: every candidate of every stage forecasts again from the open origins, by the function that serves."""

from __future__ import annotations

from collections.abc import Iterator

from foregate.cases.funnel.backtest import SCALE, Race, choose
from foregate.cases.funnel.candidates import NAIVE, allowed
from foregate.cases.funnel.work import Work
from foregate.core.evidence import Evidence, Unit
from foregate.core.gate import Gate
from foregate.core.phase import Run
from foregate.metrics.diebold import relative_loss
from foregate.modeling.measured import Measured, digest_of

DOES = "Lets every candidate forecast from every open origin and chooses for each stage the simplest none beats."
GATES = (
    Gate(
        "naive_candidates", at_least=len(NAIVE), why="a forecast that was not held against a naive one proves nothing"
    ),
)


def measure(work: Work, run: Run) -> Iterator[Evidence]:
    """Yield every candidate's loss over that of the 90-day mean, and who was chosen, stage after stage."""
    assert work.past is not None, "the panel phase ran before"
    made = Measured(run.as_of, digest_of(work.past.days, *sorted(work.fingerprints.items())))
    overlap = work.origins().overlap
    for stage in work.settings.stages:
        raced = work.past.race(stage, work.candidates, overlap, allowed(work.settings, stage))
        work.races[stage], work.choices[stage] = raced, choose(raced)
        work.past.forget(stage, work.choices[stage].candidate)
        yield from _ranking(made, raced, stage)
        there = sum(name in raced.candidates for name in NAIVE)
        yield made.count("naive_candidates", there, len(raced.candidates), stage, ", ".join(raced.candidates))
        chosen = work.choices[stage]
        yield made.count(
            "chosen",
            raced.candidates.index(chosen.candidate),
            len(raced.days),
            stage,
            f"{chosen.candidate}: {chosen.words}",
        )


def _ranking(made: Measured, raced: Race, stage: str) -> Iterator[Evidence]:
    """Yield each candidate's loss ratio, the best first."""
    mean = dict(zip(raced.candidates, raced.relative().mean(axis=1), strict=True))
    for name in sorted(raced.candidates, key=lambda c: float(mean[c])):
        found = relative_loss(raced.of(name), raced.of(SCALE), raced.overlap)
        yield made.estimate("loss_ratio", found, Unit.RATIO, f"{stage} {name}", f"over {len(raced.days)} origins")
