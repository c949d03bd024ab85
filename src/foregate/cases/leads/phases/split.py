"""Split: fit, stop, calibrate, embargo and test by the contact's day; the test's labels stay closed here."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from foregate.cases.leads.statements import statement
from foregate.cases.leads.work import SLICE, Work
from foregate.core.evidence import Evidence, Unit
from foregate.core.gate import Effect, Gate
from foregate.core.phase import Run
from foregate.metrics.rates import rate_ratio
from foregate.modeling.measured import Measured, digest_of

DOES = "Cuts the leads by contact day into training, embargo and test, and lists the rolling backtest periods."
FIT_SHARE, STOP_SHARE = 0.7, 0.85
FEWEST = 10
GATES = (
    Gate("short_slices", at_most=0, why="nothing to fit, to stop or calibrate on, or to test with"),
    Gate("train_rows", at_least=1000, effect=Effect.SIGN_OFF, why="fewer rows fit noise"),
    Gate("train_positives", at_least=50, why="fewer conversions can not carry trees"),
    Gate("test_rows", at_least=500, effect=Effect.SIGN_OFF, why="a small test can not tell anything"),
    Gate("embargo_shortfall_days", at_most=0, why="labels of training would be decided inside the test"),
    Gate(
        "base_rate_ratio",
        at_least=0.5,
        at_most=2.0,
        effect=Effect.SIGN_OFF,
        why="a base rate that moves makes every promised rate wrong",
    ),
)


def measure(work: Work, run: Run) -> Iterator[Evidence]:
    """Yield rows per slice and how the base rate moved between training's halves; the slice table is made here."""
    found = work.calendar
    span = (found.train_end - found.train_start).days
    values = {
        "train_start": found.train_start,
        "fit_end": found.train_start + timedelta(days=int(span * FIT_SHARE)),
        "stop_end": found.train_start + timedelta(days=int(span * STOP_SHARE)),
        "train_end": found.train_end,
        "test_start": found.test_start,
        "test_end": found.test_end,
        "as_of": run.as_of,
    }
    sql = statement(SLICE, run.warehouse.dialect)
    run.warehouse.create(SLICE, sql, values)
    made = Measured(run.as_of, digest_of(sql, *values.values(), run.version))
    counted = dict(run.warehouse.rows("select slice, count(*) from slice group by slice"))
    for name in ("fit", "stop", "calibrate", "embargo", "test", "open"):
        yield made.count("slice_rows", counted.get(name, 0), counted.get(name, 0), name)
    short = [f"{n} has {counted.get(n, 0)}" for n in ("fit", "stop", "calibrate", "test") if counted.get(n, 0) < FEWEST]
    words = "; ".join(short) or f"fit, stop, calibrate and test have at least {FEWEST} leads each"
    yield made.count("short_slices", len(short), 4, words=words)
    positives, rows, early, early_rows = run.warehouse.rows(
        _TRAIN, {"half": found.train_start + timedelta(days=span // 2)}
    )[0]
    yield made.count("train_rows", rows, rows)
    yield made.count("train_positives", positives, rows)
    yield made.count("test_rows", counted.get("test", 0), counted.get("test", 0))
    gap = (found.test_start - found.train_end).days - 1
    yield made.days(
        "embargo_shortfall_days", max(0, work.window_days - gap), 1, words=f"{gap} days between training and test"
    )
    moved = rate_ratio(positives - early, rows - early_rows, early, early_rows)
    words = (
        f"second half of training {_rate(positives - early, rows - early_rows)}, first half {_rate(early, early_rows)}"
    )
    yield made.estimate("base_rate_ratio", moved, Unit.RATIO, "train", words)
    for period in found.periods:
        yield made.count(
            "backtest_period", 1, 1, period.name, f"train to {period.train_end}, judge {period.start}..{period.end}"
        )


_TRAIN = """
select count(*) filter (where label = 1), count(label),
  count(*) filter (where label = 1 and contacted_on < $half), count(label) filter (where contacted_on < $half)
from label join slice using (lead_id) where slice in ('fit', 'stop', 'calibrate')
"""


def _rate(hits: int, rows: int) -> str:
    return f"{hits:,} of {rows:,} ({hits / rows:.1%})" if rows else "no leads"
