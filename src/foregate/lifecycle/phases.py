"""Phases of a case, bound: each module's step, its gates as the project wants them, and which one opens test rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from types import ModuleType
from typing import Any

from foregate.core.errors import ConfigurationError
from foregate.core.gate import Gate
from foregate.core.phase import Lifecycle, Phase
from foregate.lifecycle.moved import GateMove, moved

OPENS_TEST = "validate"


def bound(
    model: str, modules: Mapping[str, ModuleType], work: Any, moves: Mapping[str, GateMove], window: str
) -> Lifecycle:
    """Return a case's lifecycle over one run's work; `window` names the rows its phase `validate` opens.

    A module has `DOES`, `GATES` and `measure(work, run)`. Raises ConfigurationError for a moved gate that no phase has.
    """
    refuse_unknown(model, modules, moves)
    phases = tuple(
        Phase(
            name,
            module.DOES,
            partial(module.measure, work),
            tuple(moved(gate, moves) for gate in module.GATES),
            reads_test=name == OPENS_TEST,
        )
        for name, module in modules.items()
    )
    return Lifecycle(model, phases, window)


def refuse_unknown(model: str, modules: Mapping[str, ModuleType], moves: Iterable[str]) -> None:
    """Raise ConfigurationError for a gate in the file that no phase of the case has."""
    gates: list[Gate] = [gate for module in modules.values() for gate in module.GATES]
    known = sorted({gate.evidence for gate in gates})
    for name in moves:
        if name not in known:
            raise ConfigurationError(
                f"foregate.toml [{model}.gates.{name}]",
                found="a gate that no phase has",
                wanted=f"one of {', '.join(known)}",
                then="Correct the name.",
            )
