"""What each step of a rollout asks before it is taken: its phase, its gates, and how long it waits."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from foregate.core.gate import Effect, Gate
from foregate.core.rollout import Plan, Rollout, Stage

GatesOf = Callable[[Plan, str], Mapping[str, tuple[Gate, ...]]]
READY, PARITY, GUARD, VERDICT, PROBE, BAKE = "readiness", "parity", "guardrail", "verdict", "probe", "bake"
SECONDS_TO_ROLL_BACK = 300
DOES = {
    READY: "Before anything moves: packages warm, promote and rollback rehearsed on a copy, the plan decidable.",
    PARITY: "In shadow: the challenger's scores beside the champion's, same people, same day.",
    GUARD: "At a share: who was reached as assigned, and no sign of harm at any look.",
    VERDICT: "Before full traffic: matured leads that only one of the two versions chose.",
    PROBE: "After every move: what readers see through their own view.",
    BAKE: "Before a release is complete: nothing fires, and the version to go back to is warm.",
}


def gates(plan: Plan, criterion: str = "") -> dict[str, tuple[Gate, ...]]:
    """Return the gates of every step of a plan, by phase; `criterion` is the one its window can decide."""
    limit = math.log(1 / plan.alpha)
    floor = 1.0 if (criterion or plan.criterion) == "better" else 1 - plan.margin
    sign, inform = Effect.SIGN_OFF, Effect.INFORM
    return {
        READY: (
            Gate("standby_faults", at_most=0, why="what can not be loaded can not serve, and not be gone back to"),
            Gate("drill_faults", at_most=0, why="a rollback that nobody tried is a hope"),
            Gate("drill_rollback_seconds", at_most=SECONDS_TO_ROLL_BACK, why="back within five minutes"),
            Gate("judgement_age_days", at_most=plan.evidence_days, why="what was judged long ago says little of today"),
            Gate("cooldown_days_left", at_most=0, effect=sign, why="before the last release's leads have matured"),
            Gate("rolled_back_before", at_most=0, effect=sign, why="it was taken out of service once"),
            Gate("undecided_days", at_most=0, effect=sign, why="the plan's window is too short to decide anything"),
        ),
        PARITY: (
            Gate("parity_rows_off", at_most=0, why="both versions must score the same people"),
            Gate("parity_columns_off", at_most=0, why="readers must find the same columns"),
            Gate("parity_unscored", at_most=0, why="a missing score is not an average one"),
            Gate("parity_rank_correlation", at_least=0.0, effect=sign, why="the order is turned around"),
            Gate("parity_score_psi", at_most=0.5, effect=inform, why="scores of another kind than readers know"),
            Gate("parity_cost_ratio", at_most=10.0, effect=inform, why="scoring that takes many times as long"),
        ),
        GUARD: (
            Gate("sample_ratio_e_value", at_most=limit, why="leads were not reached as they were assigned"),
            Gate("harm_e_value", at_most=limit, why="the challenger's leads convert less, at any look"),
        ),
        VERDICT: (
            Gate("future_labels", at_most=0, why="outcomes dated after the day they were read"),
            Gate(
                "field_rate_ratio",
                at_least=floor,
                min_rows=2 * plan.min_leads,
                effect=sign,
                why=f"the rollout's criterion: {(criterion or plan.criterion).replace('_', ' ')}",
            ),
        ),
        PROBE: (Gate("probe_rows_off", at_most=0, why="readers must see what the ledger says is in service"),),
        BAKE: (
            Gate("critical_alerts", at_most=0, why="a release is not complete while something critical fires"),
            Gate("standby_faults", at_most=0, why="the version to go back to must be warm"),
        ),
    }


@dataclass(frozen=True, slots=True)
class Crossing:
    """The next step of a rollout: where it leads, the phases that judge it, and the day from which it is open."""

    stage: Stage
    share: float
    phases: tuple[str, ...]
    opens_at: datetime | None = None


def crossing(rollout: Rollout | None, plan: Plan, champion: str | None) -> Crossing:
    """Return the next step forward of a rollout (None: of one that is to start); an ended one has none.

    Without a champion there is nobody to be compared with: full traffic comes at once.
    """
    standing = rollout.held_in if rollout and rollout.stage is Stage.HELD else rollout.stage if rollout else None
    if rollout is None or standing in (Stage.PLANNED, Stage.AWAITS):
        stage, share = plan.after(None) if champion else (Stage.PROMOTING, 1.0)
        return Crossing(stage, share, (READY,))
    if standing is Stage.BAKING:
        return Crossing(Stage.COMPLETED, 1.0, (BAKE,), _days_on(rollout, plan.bake_days))
    if standing is Stage.PROMOTING:
        return Crossing(Stage.BAKING, 1.0, (PROBE,))
    stage, share = plan.after(rollout.share)
    before = (PARITY,) if standing is Stage.SHADOW else (GUARD,)
    asked = (*before, VERDICT) if stage is Stage.PROMOTING else before
    return Crossing(stage, share, asked, _days_on(rollout, plan.days_of(rollout.share)))


def _days_on(rollout: Rollout, days: int) -> datetime | None:
    return rollout.entered + timedelta(days=days) if rollout.entered else None
