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
    """Return the gate as a project wants it; a bound that is moved replaces both.

    >>> moved(Gate("rows", at_least=1), {"rows": GateMove(at_least=50)}).wanted()
    'at least 50'
    """
    move = moves.get(gate.evidence)
    if move is None:
        return gate
    bounds = move.at_least is not None or move.at_most is not None
    return Gate(
        gate.evidence,
        move.at_least if bounds else gate.at_least,
        move.at_most if bounds else gate.at_most,
        gate.min_rows if move.min_rows is None else move.min_rows,
        gate.effect if move.effect is None else move.effect,
        gate.why,
    )
