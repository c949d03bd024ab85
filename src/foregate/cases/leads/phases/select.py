"""Select: which features may be used, with what coverage, how stable, and whether one alone gives the outcome away."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np
import pyarrow as pa

from foregate.cases.leads.training_rows import text_codes, training_rows
from foregate.cases.leads.work import Rows, Work
from foregate.core.evidence import Evidence, Unit
from foregate.core.gate import Effect, Gate
from foregate.core.phase import Run
from foregate.metrics.association import disagreement, giveaway_auc, rank_correlation
from foregate.metrics.drift import psi, psi_of_categories
from foregate.metrics.estimate import Estimate
from foregate.metrics.rates import rate, rate_ratio
from foregate.modeling.measured import Measured, digest_of
from foregate.modeling.signature import is_text

DOES = "Keeps the features that are allowed, covered, stable and not copies, and names any that gives the outcome away."
FEWEST_VALUES = 1
TWINS_AGREE = 0.8
PURE_ROWS, PURE_HIGH, PURE_RATIO = 200, 0.8, 0.05
FEW_VALUES = 50
GATES = (
    Gate("forbidden_features", at_most=0, why="the project forbids them"),
    Gate("protected_missing", at_most=0, why="the project promised them"),
    Gate("not_finite", at_most=0, why="NaN or infinity in a feature is a division by nothing"),
    Gate("coverage", at_least=0.05, effect=Effect.INFORM, why="a feature few leads have"),
    Gate(
        "giveaway_auc",
        at_most=0.80,
        effect=Effect.SIGN_OFF,
        why="one column that separates the outcome alone was most likely written after it",
    ),
    Gate(
        "twin_ratio",
        at_least=0.2,
        at_most=5.0,
        effect=Effect.SIGN_OFF,
        why="two columns that nearly always agree, and whose disagreement tells the outcome: one was overwritten later",
    ),
    Gate(
        "pure_values",
        at_most=0,
        effect=Effect.SIGN_OFF,
        why="a value that decides the outcome was most likely written after it",
    ),
    Gate("psi", at_most=0.25, effect=Effect.SIGN_OFF, why="the test's leads are not the training's"),
    Gate("kept_features", at_least=1, why="nothing is left to learn from"),
)


def measure(work: Work, run: Run) -> Iterator[Evidence]:
    """Yield each feature's findings; the kept ones are set here."""
    assert work.compiled is not None, "features ran before"
    rows, test = training_rows(run.warehouse), training_rows(run.warehouse, ("test",), outcomes=False)
    names = list(work.compiled.features)
    made = Measured(run.as_of, digest_of(*names, run.version))
    yield from _allowed(made, names, work)
    constant = _constant(rows, names)
    unlearned = work.settings.selection.not_learned
    varied = [n for n in names if n not in constant and n not in unlearned]
    each = list(_each(made, rows, test, varied))
    yield from each
    if not any(e.name == "not_finite" for e in each):
        yield made.nothing("not_finite", "no feature is a floating-point number")
    yield from _twins(made, rows, varied)
    yield from _pure(made, rows, varied)
    collinear = _copies(rows, varied, work.settings.selection.collinear_above, set(work.settings.selection.protected))
    work.dropped = {**{n: "one value on all rows" for n in constant}, **collinear}
    dates = {
        n
        for n in names
        if pa.types.is_date(rows.table.column(n).type) or pa.types.is_timestamp(rows.table.column(n).type)
    }
    work.dropped |= {n: "a date: say days, as in date_diff('day', x, as_of)" for n in dates}
    work.dropped |= {n: "declared as not learned from" for n in names if n in work.settings.selection.not_learned}
    work.selected = tuple(n for n in names if n not in work.dropped)
    for name, why in work.dropped.items():
        yield made.count("dropped", 1, len(rows), name, why)
    yield made.count("kept_features", len(work.selected), len(rows), words=", ".join(work.selected))


def _allowed(made: Measured, names: list[str], work: Work) -> Iterator[Evidence]:
    selection = work.settings.selection
    forbidden = [n for n in names if n in selection.forbidden]
    absent = [n for n in selection.protected if n not in names]
    yield made.count("forbidden_features", len(forbidden), len(names), words=", ".join(forbidden))
    yield made.count("protected_missing", len(absent), len(names), words=", ".join(absent))


def _each(made: Measured, rows: Rows, test: Rows, names: list[str]) -> Iterator[Evidence]:
    for name in names:
        column = rows.table.column(name)
        known = len(rows) - column.null_count
        yield made.rate("coverage", known, len(rows), name)
        categorical = is_text(column)
        if not categorical and pa.types.is_floating(column.type):
            strange = _not_finite(rows, name) + _not_finite(test, name)
            yield made.count("not_finite", strange, len(rows) + len(test), name)
        values, later = (
            (text_codes(rows, name), text_codes(test, name))
            if categorical
            else (_floats(rows, name), _floats(test, name))
        )
        found = giveaway_auc(rows.outcomes, values, categorical=categorical, level=made.level, seed=0)
        yield made.estimate("giveaway_auc", found, Unit.SCORE, name, "alone, out of fold")
        if len(test):
            moved = psi_of_categories(values, later) if categorical else psi(values, later)
            yield made.estimate("psi", moved, Unit.DIFFERENCE, name, f"training {len(rows):,} rows, test {len(test):,}")


def _not_finite(rows: Rows, name: str) -> int:
    values = rows.column(name)
    missing = int(rows.table.column(name).null_count)
    return int(np.isinf(values).sum()) + int(np.isnan(values).sum()) - missing


def _twins(made: Measured, rows: Rows, names: list[str]) -> Iterator[Evidence]:
    """Yield, for text columns that state nearly the same thing, what their disagreement says about the outcome."""
    texts = {n: text_codes(rows, n) for n in names if is_text(rows.table.column(n))}
    pairs = 0
    for left, right in combinations(texts, 2):
        if not _say_the_same(texts[left], texts[right]):
            continue
        pairs += 1
        found = disagreement(rows.outcomes, texts[left], texts[right])
        words = (
            f"they agree on {found.agreement:.0%} of leads; the rate where they differ over the rate where they agree"
        )
        yield made.estimate("twin_ratio", found.ratio, Unit.RATIO, f"{left}~{right}", words)
    if not pairs:
        nothing = Estimate(1.0, 1.0, 1.0, len(rows))
        yield made.estimate("twin_ratio", nothing, Unit.RATIO, words="no two columns state the same thing")


def _say_the_same(left: Any, right: Any) -> bool:
    """Return whether two columns share values and agree on most rows, yet not on all."""
    shared = (set(np.unique(left)) & set(np.unique(right))) - {""}
    return bool(shared) and TWINS_AGREE <= float((left == right).mean()) < 1


def _pure(made: Measured, rows: Rows, names: list[str]) -> Iterator[Evidence]:
    """Yield, per feature of few values, how many of them all but decide the outcome: written after it, most likely.

    A value counts when it stands on at least 200 rows and at most half of them, and its rate lies above 80 % beyond
    doubt (where most leads do not convert), or below a twentieth of the others' beyond doubt.
    """
    base, judged = float(rows.outcomes.mean()) if len(rows) else 0.0, 0
    for name in names:
        if len(rows.table.column(name).unique()) > FEW_VALUES:
            continue
        judged += 1
        values = text_codes(rows, name) if is_text(rows.table.column(name)) else _floats(rows, name).astype(str)
        known, counts = np.unique(values, return_counts=True)
        found = []
        for value, count in zip(known, counts, strict=True):
            if PURE_ROWS <= count <= len(rows) / 2:
                hits = int(rows.outcomes[values == value].sum())
                found += [f"{value}: {hits:,} of {count:,}"] if _decides(hits, int(count), rows, base) else []
        words = "; ".join(found[:3]) or "no value decides the outcome"
        yield made.count("pure_values", len(found), len(rows), name, words)
    if not judged:
        yield made.nothing("pure_values", f"no feature has {FEW_VALUES} values or fewer")


def _decides(hits: int, count: int, rows: Rows, base: float) -> bool:
    if base < 0.5 and rate(hits, count).low > PURE_HIGH:
        return True
    others = int(rows.outcomes.sum()) - hits
    return rate_ratio(hits, count, others, len(rows) - count).high < PURE_RATIO


def _constant(rows: Rows, names: list[str]) -> list[str]:
    return [n for n in names if len(rows.table.column(n).unique()) <= FEWEST_VALUES]


def _copies(rows: Rows, names: list[str], limit: float, protected: set[str]) -> dict[str, str]:
    """Return later numeric features that rank the leads as an earlier one does, with which; protected ones stay."""
    numeric = [
        n for n in names if not is_text(rows.table.column(n)) and not pa.types.is_date(rows.table.column(n).type)
    ]
    found: dict[str, str] = {}
    for left, right in combinations(numeric, 2):
        if left in found or right in found or right in protected:
            continue
        strength = rank_correlation(_floats(rows, left), _floats(rows, right)).value
        if abs(strength) > limit:
            found[right] = f"ranks leads as {left} does (correlation {strength:.3f})"
    return found


def _floats(rows: Rows, name: str) -> Any:
    column = rows.table.column(name)
    if pa.types.is_date(column.type) or pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("s")).cast(pa.int64())
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    return column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
