"""Events: reads every stage's events once, and says what is wrong with them before any is counted."""

from __future__ import annotations

from collections.abc import Iterator

from foregate.cases.funnel.checks import source_findings
from foregate.cases.funnel.event_checks import event_findings
from foregate.cases.funnel.events import read_events
from foregate.cases.funnel.work import Work
from foregate.core.evidence import Evidence
from foregate.core.gate import Effect, Gate
from foregate.core.phase import Run
from foregate.modeling.measured import Measured, digest_of

DOES = "Reads every stage's events with their own dates, and looks for doubled, undated, misordered and missing ones."
SIGN, INFORM = Effect.SIGN_OFF, Effect.INFORM
GATES = (
    Gate("unmapped_share", at_most=0, why="a source in no segment would lose its whole forecast"),
    Gate("duplicate_events", at_most=0, effect=SIGN, why="an id on several rows: counted once, on its first day"),
    Gate("missing_ids", at_most=0, effect=SIGN, why="an event without id is not counted"),
    Gate("undated_events", at_most=0, why="a row that entered a stage without a date can not be counted on any day"),
    Gate("future_dated", at_most=0, why="an event dated after the day it was known did not happen then"),
    Gate("negative_delays", at_most=0, why="a stage before the one it follows: one of the two dates is another field"),
    Gate("orphan_share", at_most=0.2, effect=SIGN, why="a stage that was entered from nowhere has no conversion rate"),
    Gate("missing_months", at_most=0, why="a month that was not loaded looks like a collapse"),
    Gate("silent_days", at_most=0, effect=SIGN, why="days without an event, longer than chance explains"),
    Gate("days_behind", at_most=0, effect=SIGN, why="the newest days were not loaded: they are no quiet days"),
    Gate("suspected_renames", at_most=0, effect=SIGN, why="a source that goes on under another name loses its history"),
    Gate("zero_series", at_most=0, effect=INFORM, why="a series that never had an event is forecast as none"),
    Gate("series", at_least=2, effect=INFORM, why="one series has nothing to share a level with"),
    Gate(
        "late_share", at_most=0.02, effect=SIGN, why="days called complete that are not: the newest counts are too low"
    ),
    Gate("stale_days", at_most=0, effect=SIGN, why="a source that stopped arriving looks like a quiet month"),
)


def measure(work: Work, run: Run) -> Iterator[Evidence]:
    """Yield the findings on rows, then on the events read from them."""
    made = Measured(run.as_of, digest_of(*sorted(work.fingerprints.items())))
    yield from source_findings(made, run.warehouse, work.settings, work.sources)
    work.found_events = read_events(run.warehouse, work.settings, work.sources, run.as_of)
    yield from event_findings(made, work.events, work.settings)
    if not work.settings.pairs():
        for name in ("negative_delays", "orphan_share"):
            yield made.nothing(name, "one stage only: there is no order to be wrong")
