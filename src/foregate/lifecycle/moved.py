"""Moved gates: what a project changes in a shipped gate."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict

from foregate.core.gate import Effect, Gate


class GateMove(BaseModel):
    """A change to a shipped gate; every loosening needs a named person's acceptance."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    at_least: float | None = None
    at_most: float | None = None
    min_rows: int | None = None
    effect: Effect | None = None


def moved(gate: Gate, moves: Mapping[str, GateMove]) -> Gate:
    """Return the gate as a project wants it; what is not moved stays as it was.

    >>> moved(Gate("bias", at_least=-0.4, at_most=0.5), {"bias": GateMove(at_most=0.2)}).wanted()
    'at least -0.4 and at most 0.2'
    """
    move = moves.get(gate.evidence)
    if move is None:
        return gate
    return Gate(
        gate.evidence,
        gate.at_least if move.at_least is None else move.at_least,
        gate.at_most if move.at_most is None else move.at_most,
        gate.min_rows if move.min_rows is None else move.min_rows,
        gate.effect if move.effect is None else move.effect,
        gate.why,
    )
