"""Soundness: whether the data of a day may be forecast from, by the gates of the events phase."""

from __future__ import annotations

from typing import TYPE_CHECKING

from foregate.cases.funnel.checks import source_findings
from foregate.cases.funnel.event_checks import event_findings
from foregate.cases.funnel.phases import events as events_phase
from foregate.core.gate import Effect, Judgement, Result, judge
from foregate.modeling.measured import Measured, digest_of

if TYPE_CHECKING:
    from foregate.app.funnel.today import Today
    from foregate.cases.funnel.settings import FunnelSettings

NOT_LOADED = ("stale_days", "days_behind")


def unsound(
    today: Today, counted: FunnelSettings, judged: FunnelSettings, also: tuple[str, ...] = ()
) -> list[Judgement]:
    """Return what the blocking gates of the events phase, and those named in `also`, find wrong with a day's data.

    Events are counted as `counted` says; gates stand where `judged` has moved them. Raises DataError for events that
    can not be read.
    """
    made = Measured(today.day, digest_of(*sorted(today.work.fingerprints.items())))
    events = today.events(counted)
    found = [*source_findings(made, today.engine, counted, today.work.sources), *event_findings(made, events, counted)]
    gates = [judged.moved(gate) for gate in events_phase.GATES]
    asked = [gate for gate in gates if gate.effect is Effect.BLOCK or gate.evidence in also]
    return [j for j in judge(asked, found) if j.result not in (Result.PASS, Result.NOT_RUN)]


def said(wrong: list[Judgement]) -> dict[str, str]:
    """Return `found` and `wanted` of an error about gates: each by its label, in words."""
    return {
        "found": "; ".join(f"{j.label}: {j.evidence.words if j.evidence else j.words}" for j in wrong),
        "wanted": "; ".join(f"{j.label} {j.gate.wanted()}" for j in wrong),
    }
