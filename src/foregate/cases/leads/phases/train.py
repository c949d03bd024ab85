"""Train: boosted trees, stopped on rows of their own, backtested forward in time, calibrated where it helps."""

from __future__ import annotations

from collections.abc import Iterator

from foregate.cases.leads.phases.tiering import tiers_of
from foregate.cases.leads.training_rows import between, of_slices, training_rows
from foregate.cases.leads.work import Floats, Rows, Work
from foregate.core.evidence import Evidence, Unit
from foregate.core.gate import Effect, Gate
from foregate.core.phase import Run
from foregate.metrics.estimate import Estimate
from foregate.metrics.ranking import auc_roc, lift_at, percentiles
from foregate.metrics.rates import BetaPrior, shrunken_rate
from foregate.modeling.boosted import Trees, fit, library
from foregate.modeling.calibration import calibrate
from foregate.modeling.measured import Measured, digest_of
from foregate.modeling.signature import encode, sign
from foregate.modeling.splits import Period

DOES = "Fits boosted trees, stopping on a slice that is not the test, and backtests them over rolling origins."
TOP = 0.1
GATES = (
    Gate("trees", at_least=5, effect=Effect.SIGN_OFF, why="a model that stops at once has found nothing"),
    Gate(
        "backtest_mean_auc",
        at_least=0.52,
        effect=Effect.SIGN_OFF,
        why="no better than a coin in the periods before the test",
    ),
    Gate("backtest_auc", at_least=0.45, effect=Effect.INFORM, why="a period in which the order was wrong"),
)


def measure(work: Work, run: Run) -> Iterator[Evidence]:
    """Yield the backtest per period, the trees, and whether calibration was kept; the model is set here."""
    rows = training_rows(run.warehouse)
    signature_rows = of_slices(rows, ("fit",))
    made = Measured(run.as_of, digest_of(work.settings.model, *work.selected, library(), run.version))
    yield from _backtest(made, work, run, rows)
    work.trees = fit_on(work, run.seed, signature_rows, of_slices(rows, ("stop",)), work.selected)
    words = f"{library()}, {work.settings.model.threads} threads, seed {run.seed}, rows in order of contact"
    yield made.count("trees", work.trees.trees, len(signature_rows), words=words)
    held = of_slices(rows, ("calibrate",))
    work.calibrator, difference, kept = calibrate(margins(work.trees, held), held.outcomes)
    words = "kept: the Brier score improves beyond doubt" if kept else "left out: no improvement beyond doubt"
    yield made.estimate("calibration_brier_change", difference, Unit.DIFFERENCE, words=words)
    yield from _price_backfill(made, work, run, held)


def _price_backfill(made: Measured, work: Work, run: Run, held: Rows) -> Iterator[Evidence]:
    """Yield what well scored leads outside every tier convert at, on rows the trees were not fitted to."""
    backfill = work.settings.matrix.backfill
    if backfill is None or work.trees is None:
        return
    high = percentiles(margins(work.trees, held)) >= backfill.percentile
    chosen = high & (tiers_of(held, run) == work.rules.standard.name)
    hits, rows = int(held.outcomes[chosen].sum()), int(chosen.sum())
    work.prices[backfill.name] = BetaPrior(work.prior.a + hits, work.prior.b + rows - hits)
    words = f"{hits:,} of {rows:,} leads of the calibration slice, shrunk to the tiers"
    yield made.estimate("backfill_rate", shrunken_rate(hits, rows, work.prior), Unit.RATE, backfill.name, words)


def fit_on(work: Work, seed: int, train: Rows, stop: Rows, names: tuple[str, ...]) -> Trees:
    """Return trees fitted on some rows and stopped on others; the signature is the training rows'."""
    signature = sign(train.table, names)
    return fit(
        encode(train.table, signature),
        train.outcomes,
        encode(stop.table, signature),
        stop.outcomes,
        signature,
        work.settings.model,
        seed,
    )


def margins(trees: Trees, rows: Rows) -> Floats:
    """Return the log-odds of some rows."""
    return trees.margins(encode(rows.table, trees.signature))


def _backtest(made: Measured, work: Work, run: Run, rows: Rows) -> Iterator[Evidence]:
    found = []
    for period in work.calendar.periods:
        judged = between(rows, period.start, period.end)
        scored = _judge(work, run, rows, period, judged)
        if scored is None:
            continue
        auc = auc_roc(judged.outcomes, scored)
        found.append((auc, len(judged)))
        words = f"trained to {period.train_end}, {int(judged.outcomes.sum()):,} of {len(judged):,} converted"
        yield made.estimate("backtest_auc", auc, Unit.SCORE, period.name, words)
        yield made.estimate(
            "backtest_lift", lift_at(judged.outcomes, scored, TOP), Unit.RATIO, period.name, "top decile"
        )
    if found:
        yield made.estimate("backtest_mean_auc", _mean(found), Unit.SCORE, words=f"mean of {len(found)} periods")


def _judge(work: Work, run: Run, rows: Rows, period: Period, judged: Rows) -> Floats | None:
    """Return the scores of one period by trees that saw only contacts before its embargo; None if too few rows."""
    seen = between(rows, work.calendar.train_start, period.train_end)
    cut = int(len(seen) * 0.85)
    few = min(seen.outcomes.sum(), judged.outcomes.sum(), (1 - judged.outcomes).sum() if len(judged) else 0) < 5
    if few or seen.outcomes[cut:].sum() < 1:
        return None
    train = Rows(seen.table.slice(0, cut), seen.outcomes[:cut])
    stop = Rows(seen.table.slice(cut), seen.outcomes[cut:])
    return margins(fit_on(work, run.seed, train, stop, work.selected), judged)


def _mean(found: list[tuple[Estimate, int]]) -> Estimate:
    count = len(found)
    value = sum(e.value for e, _ in found) / count
    spread = sum(((e.high - e.low) / 2) ** 2 for e, _ in found) ** 0.5 / count
    return Estimate(value, max(0.0, value - spread), min(1.0, value + spread), sum(n for _, n in found))
