"""Target: how long conversions take, the window after which a lead has matured, and the one label rule."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from foregate.cases.leads.statements import statement
from foregate.cases.leads.work import LABEL, Work
from foregate.core.evidence import Evidence
from foregate.core.gate import Effect, Gate
from foregate.core.phase import Run
from foregate.metrics.survival import maturity_window
from foregate.modeling.measured import Measured, digest_of

DOES = (
    "Measures how long conversions take, sets the maturity window, labels leads: converted, matured negative, censored."
)
GATES = (
    Gate("conversions", at_least=100, effect=Effect.SIGN_OFF, why="the window is read off the conversions' delays"),
    Gate("window_over_days", at_most=0, why="labels that take a quarter to mature can not steer a month's list"),
    Gate("embargo_short_days", at_most=0, why="a training label decided inside the test window leaks into it"),
    Gate(
        "positive_rate", at_least=0.001, at_most=0.7, effect=Effect.SIGN_OFF, why="a target nearly always or never met"
    ),
    Gate("censored_rate", at_most=0.4, effect=Effect.INFORM, why="many open leads: the window may be long"),
)

_DELAYS = """
select
  date_diff('day', contacted_on, converted_on) as delay,
  date_diff('day', contacted_on, cast($as_of as date)) as age
from lead where contacted_on <= cast($train_end as date)
"""


def measure(work: Work, run: Run) -> Iterator[Evidence]:
    """Yield the window and the labels' counts; the label table is made here."""
    maturity, embargo = work.settings.maturity, work.settings.dates.embargo_days
    until = work.calendar.train_end
    table = run.warehouse.table(_DELAYS, {"as_of": run.as_of, "train_end": until})
    ages = table.column("age").to_numpy(zero_copy_only=False).astype(float)
    delays = table.column("delay").to_numpy(zero_copy_only=False).astype(float)
    seen = (delays >= 0) & (delays <= ages)
    made = Measured(run.as_of, digest_of(_DELAYS, run.version))
    yield made.count("conversions", int(seen.sum()), len(ages))
    found = maturity_window(np.where(seen, delays, ages), seen, maturity.share, maturity.horizon_days, seed=run.seed)
    measured = maturity.at_least_days if np.isnan(found.value) else int(np.ceil(found.value))
    work.window_days = max(maturity.at_least_days, measured)
    words = (
        f"{maturity.share:.0%} of the conversions of the first {maturity.horizon_days} days come within {measured} days"
    )
    words += f" [{found.low:.0f}, {found.high:.0f}]; at least {maturity.at_least_days}"
    yield made.days("window_days", work.window_days, int(seen.sum()), words=words)
    over = max(0, work.window_days - maturity.at_most_days)
    yield made.days("window_over_days", over, 1, words=f"at most {maturity.at_most_days} days are wanted")
    yield made.days("embargo_short_days", max(0, work.window_days - embargo), 1, words=f"embargo {embargo} days")
    yield from _labels(work, run)


def _labels(work: Work, run: Run) -> Iterator[Evidence]:
    sql = statement(LABEL, run.warehouse.dialect)
    run.warehouse.create(LABEL, sql, {"as_of": run.as_of, "window_days": work.window_days})
    rows, matured, positive, late, judged = run.warehouse.rows(
        "select count(*), count(label), count(*) filter (where label = 1 and contacted_on <= $until), "
        "count(*) filter (where label = 0 and delay_days between 1 and age_days and contacted_on <= $until), "
        "count(label) filter (where contacted_on <= $until) from label",
        {"until": work.calendar.train_end},
    )[0]
    made = Measured(run.as_of, digest_of(sql, work.window_days, run.version))
    yield made.count("labelled", matured, rows)
    yield made.rate(
        "positive_rate",
        positive,
        max(judged, 1),
        words=f"{positive:,} of {judged:,} contacted by the end of training converted within {work.window_days} days",
    )
    yield made.rate(
        "late_rate", late, max(judged, 1), words=f"{late:,} converted after the window: negatives by the rule"
    )
    yield made.rate(
        "censored_rate", rows - matured, max(rows, 1), words=f"{rows - matured:,} leads are younger than the window"
    )
