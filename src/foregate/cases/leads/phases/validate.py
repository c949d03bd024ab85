"""Validate: the test rows, opened once: ranking, tiers, calibration, the top feature's weight, and the champion."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from foregate.cases.leads.phases.tiering import tier_evidence, tiers_of
from foregate.cases.leads.phases.train import TOP, fit_on, margins
from foregate.cases.leads.training_rows import of_slices, training_rows
from foregate.cases.leads.work import SPINE, Champion, Floats, Rows, Work
from foregate.core.evidence import Evidence, Unit
from foregate.core.gate import Effect, Gate
from foregate.core.phase import Run
from foregate.metrics.calibration import calibration_in_the_large
from foregate.metrics.compare import Verdict, auc_difference, lift_difference, rows_to_tell, swap_set, verdict
from foregate.metrics.estimate import Estimate
from foregate.metrics.ranking import auc_roc, average_precision, bottom_rate, lift_at, lift_by_decile, monotonicity
from foregate.metrics.rates import rate_ratio
from foregate.modeling.measured import Measured, digest_of
from foregate.modeling.signature import encode

DOES = (
    "Opens the test rows once and measures ranking, calibration, tiers, overfitting, the top feature and the champion."
)
BOTTOM = 0.2
GATES = (
    Gate("auc_roc", at_least=0.55, min_rows=300, why="a ranking close to a coin"),
    Gate("top_decile_lift", at_least=1.2, min_rows=50, why="the top of the list must be worth more than the rest"),
    Gate(
        "bottom_lift", at_most=1.0, effect=Effect.SIGN_OFF, why="the model deprioritises these: they must convert less"
    ),
    Gate("monotonicity", at_least=0.0, effect=Effect.SIGN_OFF, why="higher scores must convert more"),
    Gate("auc_gap", at_most=0.15, effect=Effect.SIGN_OFF, why="a model that knows its training rows by heart"),
    Gate(
        "base_rate_ratio",
        at_least=0.5,
        at_most=2.0,
        effect=Effect.SIGN_OFF,
        why="the base rate moved: promised rates do not hold",
    ),
    Gate(
        "calibration_ratio",
        at_least=0.5,
        at_most=2.0,
        effect=Effect.SIGN_OFF,
        why="probabilities off by more than a factor of two",
    ),
    Gate("ablation_loss", at_most=0.10, effect=Effect.SIGN_OFF, why="a model that stands on one feature falls with it"),
    Gate(
        "test_priority_lift", at_least=1.0, effect=Effect.SIGN_OFF, why="the tiers must hold on leads nobody had seen"
    ),
    Gate("test_tier_lift", at_least=1.0, effect=Effect.INFORM, why="a tier that does not beat the rest out of sample"),
    Gate("champion_auc_difference", at_least=-0.02, effect=Effect.SIGN_OFF, why="worse than what is in service"),
)


def measure(work: Work, run: Run) -> Iterator[Evidence]:
    """Yield all findings on the test rows; intervals widen with every candidate that has read the same rows.

    The k-th reading is judged at 1 - 0.05 / (k (k + 1)): over any number of candidates the shares sum to 0.05.
    """
    assert work.trees is not None, "train ran before"
    level = 1 - 0.05 / (run.reading * (run.reading + 1))
    rows = training_rows(run.warehouse, ("test",))
    made = Measured(run.as_of, digest_of(work.calendar.window, run.version), level)
    scores = margins(work.trees, rows)
    yield made.count(
        "test_reading",
        run.reading,
        len(rows),
        words=f"candidate number {run.reading} to read {work.calendar.window}; intervals at {level:.2%}",
    )
    yield from _ranking(made, rows, scores, run.seed)
    train = of_slices(training_rows(run.warehouse), ("fit",))
    yield from _against_training(made, work, rows, scores, train)
    yield from _ablation(made, work, run, rows, scores)
    yield from tier_evidence(made, work.rules, tiers_of(rows, run), rows.outcomes, "test_tier")
    champion = work.champion()
    if champion is None:
        yield made.estimate(
            "champion_auc_difference",
            Estimate(0.0, 0.0, 0.0, 0),
            Unit.DIFFERENCE,
            words="no version is in service yet: nothing to compare with",
        )
    else:
        yield from _champion(made, work, rows, scores, champion, run)


def _ranking(made: Measured, rows: Rows, scores: Floats, seed: int) -> Iterator[Evidence]:
    outcomes, level = rows.outcomes, made.level
    positives = f"{int(outcomes.sum()):,} of {len(rows):,} converted"
    yield made.estimate("auc_roc", auc_roc(outcomes, scores, level), Unit.SCORE, words=positives)
    precision = average_precision(outcomes, scores, seed, level)
    yield made.estimate("auc_pr", precision, Unit.SCORE, words=f"a coin has {outcomes.mean():.3f}")
    yield made.estimate("top_decile_lift", lift_at(outcomes, scores, TOP, level), Unit.RATIO, words=positives)
    for decile in lift_by_decile(outcomes, scores, level=level):
        words = f"{decile.hits:,} of {decile.rows:,}"
        yield made.estimate("decile_rate", decile.rate, Unit.RATE, str(decile.decile), words)
        yield made.estimate("decile_lift", decile.lift, Unit.RATIO, str(decile.decile), words)
    yield made.estimate(
        "bottom_rate", bottom_rate(outcomes, scores, BOTTOM, level), Unit.RATE, words="lowest 20 % of scores"
    )
    yield made.estimate(
        "bottom_lift", lift_at(outcomes, -scores, BOTTOM, level), Unit.RATIO, words="lowest 20 % of scores"
    )
    yield made.estimate(
        "monotonicity",
        monotonicity(outcomes, scores, 10, seed, level=level),
        Unit.DIFFERENCE,
        words="1 when every decile converts less than the one above",
    )


def _against_training(made: Measured, work: Work, rows: Rows, scores: Floats, train: Rows) -> Iterator[Evidence]:
    assert work.trees is not None, "train ran before"
    seen = auc_roc(train.outcomes, margins(work.trees, train), made.level)
    unseen = auc_roc(rows.outcomes, scores, made.level)
    gap = seen.value - unseen.value
    low = gap - ((seen.value - seen.low) ** 2 + (unseen.high - unseen.value) ** 2) ** 0.5
    high = gap + ((seen.high - seen.value) ** 2 + (unseen.value - unseen.low) ** 2) ** 0.5
    words = f"training {seen.value:.3f}, test {unseen.value:.3f}"
    yield made.estimate("auc_gap", Estimate(gap, low, high, len(rows)), Unit.DIFFERENCE, words=words)
    moved = rate_ratio(int(rows.outcomes.sum()), len(rows), int(train.outcomes.sum()), len(train), made.level)
    words = f"test {rows.outcomes.mean():.2%}, training {train.outcomes.mean():.2%}"
    yield made.estimate("base_rate_ratio", moved, Unit.RATIO, "test", words)
    expected = work.calibrator.probabilities(scores)
    words = f"converted over expected; mean probability {expected.mean():.2%}"
    yield made.estimate(
        "calibration_ratio", calibration_in_the_large(rows.outcomes, expected, made.level), Unit.RATIO, words=words
    )


def _ablation(made: Measured, work: Work, run: Run, rows: Rows, scores: Floats) -> Iterator[Evidence]:
    """Yield what is lost without the feature the model leans on most."""
    assert work.trees is not None, "train ran before"
    matrix = encode(rows.table, work.trees.signature)
    weight = np.abs(work.trees.contributions(matrix)[:, :-1]).mean(axis=0)
    top = int(np.argmax(weight))
    name = work.selected[top]
    yield made.count(
        "top_feature_share_percent",
        round(100 * float(weight[top] / max(weight.sum(), 1e-12))),
        len(rows),
        name,
        "of all TreeSHAP weight",
    )
    if len(work.selected) < 2:
        return
    training = training_rows(run.warehouse)
    without = tuple(n for n in work.selected if n != name)
    lesser = fit_on(work, run.seed, of_slices(training, ("fit",)), of_slices(training, ("stop",)), without)
    lost = auc_difference(rows.outcomes, scores, margins(lesser, rows), made.level)
    yield made.estimate("ablation_loss", lost, Unit.DIFFERENCE, name, f"AUC lost when {name} is taken away")


def _champion(
    made: Measured, work: Work, rows: Rows, scores: Floats, champion: Champion, run: Run
) -> Iterator[Evidence]:
    """Yield the comparison with the version in service, on the same rows in the same order."""
    table = champion.scores(work.spine(SPINE))
    theirs_by_lead = dict(zip(table.column("subject_id").to_pylist(), table.column("margin").to_pylist(), strict=True))
    ids = rows.table.column("subject_id").to_pylist()
    theirs = np.array([theirs_by_lead[i] for i in ids], dtype=float)
    difference = auc_difference(rows.outcomes, scores, theirs, made.level)
    told = verdict(difference, work.settings.margin_auc)
    words = (
        f"{told} than {champion.version}"
        if told in (Verdict.BETTER, Verdict.WORSE)
        else f"{told}, against {champion.version}"
    )
    needed = rows_to_tell(difference)
    if told is not Verdict.BETTER and needed:
        words += f"; about {needed:,} leads would tell a difference of this size"
    yield made.estimate("champion_auc_difference", difference, Unit.DIFFERENCE, words=words)
    lift = lift_difference(rows.outcomes, scores, theirs, TOP, run.seed, level=made.level)
    yield made.estimate("champion_lift_difference", lift, Unit.DIFFERENCE, words="top decile, paired bootstrap")
    swapped = swap_set(rows.outcomes, scores, theirs, TOP, np.array(ids))
    words = (
        f"only ours {swapped.only_challenger_hits} of {swapped.only_challenger}, "
        f"only theirs {swapped.only_champion_hits} of {swapped.only_champion}; McNemar mid-p {swapped.mid_p:.3f}"
    )
    yield made.count("champion_swap_set", swapped.only_challenger, len(rows), words=words)
    overlap = str(champion.trained_until) >= work.calendar.test_start.isoformat()
    words = f"{champion.version} was trained up to {champion.trained_until}" + (
        ": it saw test rows, the comparison favours it" if overlap else ""
    )
    yield made.count("champion_saw_test", int(overlap), len(rows), words=words)
