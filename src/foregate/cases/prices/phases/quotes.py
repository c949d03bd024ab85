"""Quotes: reads every series' prices once, and says what is wrong with them before any is forecast."""

from __future__ import annotations

from collections.abc import Iterator

from foregate.cases.prices.quote_checks import lag, row_findings, series_findings
from foregate.cases.prices.quotes import read_quotes
from foregate.cases.prices.work import Work
from foregate.core.evidence import Evidence
from foregate.core.gate import Effect, Gate
from foregate.core.phase import Run
from foregate.modeling.measured import Measured, digest_of

DOES = "Reads every series' prices as known, and looks for doubled, frozen, missing, jumping and impossible ones."
SIGN, INFORM = Effect.SIGN_OFF, Effect.INFORM
ROW_GATES = (
    Gate("missing_prices", at_most=0.01, effect=SIGN, why="days without a number are left out, as if nothing traded"),
    Gate("duplicate_days", at_most=0, why="a day that stands twice makes every horizon a day shorter"),
    Gate("future_dated", at_most=0, why="a row of a day that has not come is no observation"),
    Gate("seen_early", at_most=0, why="what was known before its own day is a forecast, or its date is wrong"),
    Gate(
        "lag_days", at_most=31, effect=SIGN, why="what is known so late was loaded afterwards, or tells nothing in time"
    ),
)
GATES = (
    *ROW_GATES,
    Gate("history_days", at_least=1000, why="shorter histories hold too few windows of the longer horizons"),
    Gate("stale_days", at_most=0, effect=SIGN, why="a source that stopped arriving looks like a quiet market"),
    Gate("hole_days", at_most=5, effect=SIGN, why="days that were not loaded make one return of many"),
    Gate("frozen_sessions", at_most=5, effect=SIGN, why="a price that does not move was carried forward"),
    Gate("frozen_tail", at_most=5, why="a price carried forward to the end makes no change look perfect"),
    Gate("unit_jumps", at_most=0, why="a price in another unit is another series"),
    Gate("non_positive_prices", at_most=0, why="without a logarithm there is no return"),
    Gate("negative_prices", at_most=0, effect=INFORM, why="a percentage of a negative price means nothing"),
    Gate("out_of_bounds", at_most=0, effect=SIGN, why="bounds that the past has left will alert for nothing"),
    Gate("extreme_returns", at_most=0, effect=INFORM, why="a day like no other: an error, or an event to know of"),
)


def measure(work: Work, run: Run) -> Iterator[Evidence]:
    """Yield the findings on each series' rows, then on its prices."""
    made = Measured(run.as_of, digest_of(*sorted(work.fingerprints.items())))
    if work.found_market is None:
        work.found_market = read_quotes(run.warehouse, work.settings, work.sources, run.as_of)
    for name, declared in work.settings.series.items():
        quotes = work.market.quotes[name]
        yield from row_findings(made, name, quotes.rows)
        yield lag(made, name, quotes)
        yield from series_findings(made, name, quotes, declared)
