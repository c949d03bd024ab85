"""What each step of a forecast's rollout asks: nobody is split, so the shadow is the trial and issues are the field."""

from __future__ import annotations

from collections.abc import Mapping

from foregate.core.gate import Effect, Gate
from foregate.core.rollout import Plan
from foregate.lifecycle.crossings import GUARD, PARITY, VERDICT
from foregate.lifecycle.crossings import gates as common

DOES = {
    PARITY: "In shadow: the challenger's forecast beside the champion's, same series, same days.",
    VERDICT: "Before full traffic: what both versions issued on the same days against what came.",
}


def crossing_gates(plan: Plan, criterion: str = "") -> Mapping[str, tuple[Gate, ...]]:
    """Return the gates of every step of a plan, by phase; those of packages, probe and bake are every case's."""
    ceiling = 1.0 if (criterion or plan.criterion) == "better" else 1 + plan.margin
    sign = Effect.SIGN_OFF
    return {
        **common(plan, criterion),
        PARITY: (
            Gate("parity_rows_off", at_most=0, why="readers must find the same series and days"),
            Gate("parity_columns_off", at_most=0, why="readers must find the same columns"),
            Gate("parity_missing", at_most=0, why="a missing forecast is not a forecast of none"),
            Gate("parity_total_ratio", at_least=0.5, at_most=2.0, effect=sign, why="another world than the champion's"),
        ),
        GUARD: (),
        VERDICT: (
            Gate("future_labels", at_most=0, why="outcomes dated after the day they were read"),
            Gate(
                "field_loss_ratio",
                at_most=ceiling,
                effect=sign,
                why=f"issued forecasts against the champion's: {(criterion or plan.criterion).replace('_', ' ')}",
            ),
        ),
    }
