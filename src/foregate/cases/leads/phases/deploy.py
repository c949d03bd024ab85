"""Deploy: score everyone into a staged table and validate it there; nothing a reader sees has moved yet."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from foregate.cases.leads import packages
from foregate.cases.leads.scoring import POPULATION_SPINE, score_population
from foregate.cases.leads.training_rows import training_rows
from foregate.cases.leads.work import SCORES, SPINE, Work
from foregate.core.evidence import Evidence, Unit
from foregate.core.gate import Effect, Gate
from foregate.core.phase import Run
from foregate.metrics.drift import psi
from foregate.metrics.rates import rate_difference
from foregate.modeling.measured import Measured
from foregate.modeling.signature import is_text, sign, unseen
from foregate.warehouse.point_in_time import SUBJECT
from foregate.warehouse.profile import duplicates, row_count

DOES = "Scores everyone into a staged table and checks it: rows, nulls, unseen categories, missing values, drift."
GATES = (
    Gate("scored_rows_off", at_most=0, why="every person once: a join multiplies silently"),
    Gate("doubled_people", at_most=0, why="one person on many owners' lists"),
    Gate("unscored", at_most=0, why="a missing score is not an average one"),
    Gate("unseen_category_rate", at_most=0.05, why="categories that training never saw: a source was recoded"),
    Gate("missing_shift", at_most=0.5, effect=Effect.SIGN_OFF, why="a feature that training had and serving lacks"),
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
    texts = [n for n in work.compiled.features if is_text(train.column(n))] if work.compiled else []
    for name, count in unseen(scored, sign(train, texts)).items():
        yield made.rate("unseen_category_rate", count, rows, name)
    if not texts:
        yield made.nothing("unseen_category_rate", "no feature is a category")
    for name in package.trees.signature.names:
        yield _missing(made, name, train, scored)
    before, _ = package.score(train)
    after, _ = package.score(scored)
    yield made.estimate(
        "score_psi",
        psi(before, after),
        Unit.DIFFERENCE,
        words="scores of the training leads against the people to score",
    )


def _missing(made: Measured, name: str, train: pa.Table, scored: pa.Table) -> Evidence:
    now, before = scored.column(name).null_count, train.column(name).null_count
    shift = rate_difference(now, scored.num_rows, before, train.num_rows)
    here, there = now / max(scored.num_rows, 1), before / max(train.num_rows, 1)
    words = f"missing for {here:.1%} of people, {there:.1%} in training"
    return made.estimate("missing_shift", shift, Unit.DIFFERENCE, name, words)
