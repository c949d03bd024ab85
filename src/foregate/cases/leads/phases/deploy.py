"""Deploy: score everyone into a staged table and validate it there; nothing a reader sees has moved yet."""

from __future__ import annotations

from collections.abc import Iterator

from foregate.cases.leads import packages
from foregate.cases.leads.scoring import POPULATION_SPINE, score_population
from foregate.cases.leads.serving import GATES as SERVING
from foregate.cases.leads.serving import serving_evidence
from foregate.cases.leads.training_rows import training_rows
from foregate.cases.leads.work import SCORES, SPINE, Work
from foregate.core.evidence import Evidence, Unit
from foregate.core.gate import Effect, Gate
from foregate.core.phase import Run
from foregate.metrics.drift import psi
from foregate.modeling.measured import Measured
from foregate.warehouse.point_in_time import SUBJECT
from foregate.warehouse.profile import duplicates, row_count

DOES = "Scores everyone into a staged table and checks it: rows, nulls, unseen categories, missing values, drift."
GATES = (
    Gate("scored_rows_off", at_most=0, why="every person once: a join multiplies silently"),
    Gate("doubled_people", at_most=0, why="one person on many owners' lists"),
    Gate("unscored", at_most=0, why="a missing score is not an average one"),
    *SERVING,
    Gate("score_psi", at_most=1.0, effect=Effect.INFORM, why="the people to score are not like the leads contacted"),
)


def measure(work: Work, run: Run) -> Iterator[Evidence]:
    """Yield the checks of the staged score table, made by the package as it was written."""
    package = packages.read(work.artifacts / run.version, work.digest)
    columns = {name: dict(types) for name, types in work.columns.items()}
    scored = score_population(package, run.warehouse, columns, work.spine(SPINE), run.as_of, SCORES)
    made = Measured(run.as_of, run.warehouse.fingerprint(SCORES))
    people, rows = row_count(run.warehouse, POPULATION_SPINE), row_count(run.warehouse, SCORES)
    yield made.count("scored_rows_off", abs(people - rows), rows, words=f"{people:,} people in, {rows:,} scores out")
    doubled, example = duplicates(run.warehouse, SCORES, [SUBJECT])
    yield made.count("doubled_people", doubled, rows, words=example)
    holes = run.warehouse.rows("select count(*) from lead_scores where score is null or tier is null or isnan(score)")[
        0
    ][0]
    yield made.count("unscored", holes, rows)
    train = training_rows(run.warehouse).table
    yield from serving_evidence(made, package.profile, scored)
    before, _ = package.score(train)
    after, _ = package.score(scored)
    yield made.estimate(
        "score_psi",
        psi(before, after),
        Unit.DIFFERENCE,
        words="scores of the training leads against the people to score",
    )
