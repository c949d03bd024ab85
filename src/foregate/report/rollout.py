"""A rollout in words: where it stands, since when, what it waits for, and what its next step would do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from foregate.core.event import Entry
from foregate.core.gate import Judgement, Result
from foregate.core.rollout import BACKWARD, Plan, Rollout, Stage
from foregate.report.log import MARKS, wanted
from foregate.report.words import number

_STYLES = {Stage.COMPLETED: "green", Stage.HELD: "yellow", Stage.AWAITS: "yellow", Stage.UNVERIFIED: "bold red"}
_SEVERITIES = {"critical": "bold red", "warning": "yellow", "info": "cyan"}


def where(rollout: Rollout, now: datetime) -> str:
    """Return a rollout's place in one line: which stage, what share, since when, by whom, and why.

    >>> from datetime import UTC
    >>> day = datetime(2026, 1, 5, tzinfo=UTC)
    >>> where(Rollout(3, "a1", Plan(), "b2", day, Stage.SHADOW, entered=day), datetime(2026, 1, 9, tzinfo=UTC))
    'rollout of a1: shadow since 2026-01-05 (4 days)'
    """
    stage = f"{rollout.stage}{f' in {rollout.held_in}' if rollout.stage is Stage.HELD else ''}"
    share = f", {rollout.share:.0%} of people" if rollout.stage is Stage.CANARY else ""
    since = f" since {rollout.entered:%Y-%m-%d} ({(now - rollout.entered).days} days)" if rollout.entered else ""
    by = f", by {rollout.moved.actor}" if rollout.moved else ""
    why = f": {rollout.moved.reason}" if rollout.moved and rollout.moved.reason else ""
    return f"rollout of {rollout.version}: {stage}{share}{since}{by}{why}"


def waiting(rollout: Rollout, waits: str) -> str:
    """Return what an open rollout waits for, with the command that goes on."""
    said = {
        Stage.PLANNED: "its readiness: `foregate promote`",
        Stage.AWAITS: f"names: `foregate sign {rollout.version}` or `foregate waive`, then `foregate promote`",
        Stage.HELD: "somebody: `foregate resume`, `foregate rollback` or `foregate reject`",
        Stage.UNVERIFIED: "readers to be shown what was rolled back to: `foregate reconcile`",
        Stage.ROLLING_BACK: "readers to be shown what was rolled back to: `foregate reconcile`",
        Stage.PROMOTING: "readers to be shown it: `foregate reconcile`",
    }
    return said.get(rollout.stage, waits or "nothing: `foregate promote` judges its next step")


def style_of(rollout: Rollout) -> str:
    """Return the colour of a rollout's stage."""
    return "red" if rollout.stage in BACKWARD and rollout.stage not in _STYLES else _STYLES.get(rollout.stage, "cyan")


def next_words(stage: Stage, share: float, version: str, *, forecasts: bool = False) -> str:
    """Return where a version goes next, with the share of people it is for; a forecast is for all or nobody.

    >>> next_words(Stage.CANARY, 0.1, "a1"), next_words(Stage.SHADOW, 0.0, "a1", forecasts=True)
    ('next: a1 to canary, 10% of people', 'next: a1 to shadow')
    """
    return f"next: {version} to {stage}{'' if forecasts else f', {share:.0%} of people'}"


def step_words(
    stage: Stage, share: float, version: str, champion: str | None, people: int, *, forecasts: bool = False
) -> list[str]:
    """Return what a step would change for readers and lists, in sentences.

    `forecasts`: of a case that issues forecasts, which has neither people nor lists.
    """
    if stage is Stage.COMPLETED:
        return [f"nothing changes for readers; from then on {version} is a version to roll back to"]
    if forecasts:
        return _issued_words(stage, version, champion or "nothing")
    if stage is Stage.SHADOW:
        return [f"readers go on seeing {champion}; {version} scores beside it, and every list notes whom it would take"]
    if stage is Stage.CANARY:
        moved = f", about {people * share:,.0f} of {people:,}" if people else ""
        return [
            f"{share:.0%} of people{moved} are scored by {version}, the others by {champion}, by a salted hash",
            f"the next list (or this month's, with --replace) gives {share:.0%} of the places that only one version "
            f"fills to {version}'s choice",
        ]
    if stage is Stage.PROMOTING:
        return [f"everybody is scored by {version}; {champion or 'nothing'} is what a rollback goes back to"]
    return []


def _issued_words(stage: Stage, version: str, champion: str) -> list[str]:
    if stage is Stage.SHADOW:
        served = "nothing" if champion == "nothing" else f"the forecasts of {champion}"
        return [f"readers go on being served {served}; {version} issues its own forecasts in its shadow, beside them"]
    if stage is Stage.PROMOTING:
        return [f"readers are served the forecasts of {version}; {champion} is what a rollback goes back to"]
    return []


def judged_table(judgements: Iterable[Judgement]) -> RenderableType:
    """Return gates as they were judged: found, wanted, what happens otherwise."""
    table = Table(box=None, pad_edge=False)
    for head in ("gate", "result", "found", "wanted", "else", "note"):
        table.add_column(head, overflow="fold")
    for j in judgements:
        found = number(j.evidence) if j.evidence else "nothing"
        words = j.words or (j.evidence.words if j.evidence else "")
        style = "green" if j.result is Result.PASS else "yellow" if j.result is Result.INSUFFICIENT else "red"
        mark = Text(MARKS[j.result], style=style)
        table.add_row(Text(j.label), mark, found, wanted(j), j.gate.effect.value, Text(words, style="dim"))
    return table


def plan_words(plan: Plan) -> str:
    """Return a plan in one line.

    >>> from foregate.core.rollout import Step
    >>> plan_words(Plan((Step(0.0, 7), Step(0.1, 14)), bake_days=3))
    'shadow 7 days, 10% 14 days, full, bake 3 days; judged by not worse (margin 20%)'
    """
    steps = [f"{f'{step.share:.0%}' if step.share else 'shadow'} {step.days} days" for step in plan.steps]
    steps += ["full", *([f"bake {plan.bake_days} days"] if plan.bake_days else [])]
    by = f"not worse (margin {plan.margin:.0%})" if plan.criterion == "not_worse" else f"better (by {plan.detect:g}x)"
    return f"{', '.join(steps)}; judged by {by}" if plan.steps else "at once to full traffic: the project has no steps"


def served_words(entry: Entry | None) -> list[str]:
    """Return what was in service by an entry: which version, who moved it, when, and on what evidence."""
    if entry is None:
        return ["nothing was in service yet"]
    event = entry.event
    split = ", ".join(f"{v} ({s:.0%})" for v, s in (event.split or {}).items()) or "nothing"
    cited = ", ".join(f"event {c['event']} ({str(c['digest'])[:12]})" for c in event.detail.get("cites", ()))
    lines = [f"{split}: moved by {event.actor} at {event.at:%Y-%m-%d %H:%M:%S} UTC, event {entry.sequence}"]
    lines += [f"why: {event.reason}"] if event.reason else []
    return lines + [f"on the judgement of {cited}" if cited else "on no judgement: a rollback, or before rollouts"]


def alerts_table(alerts: Sequence[Mapping[str, Any]]) -> RenderableType:
    """Return every rule with its standing, worst first."""
    order = ("firing", "pending", "no_data", "no data", "ok")
    table = Table(box=None, pad_edge=False)
    for head in ("rule", "severity", "standing", "since", "reading", "note"):
        table.add_column(head, overflow="fold")
    for alert in sorted(alerts, key=lambda a: (order.index(a["standing"]) if a["standing"] in order else 9, a["rule"])):
        loud = alert["standing"] == "firing"
        style = _SEVERITIES.get(str(alert["severity"]), "") if loud else "dim" if alert["standing"] == "ok" else ""
        cells = (alert["rule"], alert["severity"], alert["standing"], alert["since"], alert["reading"], alert["note"])
        table.add_row(*(Text(str(c), style=style) for c in cells))
    return Group(table)
