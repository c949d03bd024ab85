"""Phases: named steps of making a version; a lifecycle is their order, a run is one walk through them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date

from foregate.core.evidence import Evidence
from foregate.core.gate import Gate
from foregate.core.ports import Warehouse


@dataclass(frozen=True, slots=True)
class Run:
    """All that a phase may know: no global, no clock, no environment.

    `reading` is the count of candidates that have read this run's test rows, this one included; intervals on test rows
    are drawn wider the more candidates have read them.
    """

    warehouse: Warehouse
    model: str
    version: str
    as_of: date
    seed: int
    reading: int = 1


@dataclass(frozen=True, slots=True)
class Phase:
    """A named step: what it does in one sentence, the function that measures, and the gates that judge.

    `reads_test` marks the step that opens the test rows' labels; the walker writes that reading to the ledger. Raises
    ValueError for two gates on one evidence: the policy holds one by each name, and the other could be loosened unseen.
    """

    name: str
    does: str
    run: Callable[[Run], Iterable[Evidence]]
    gates: tuple[Gate, ...] = ()
    reads_test: bool = False

    def __post_init__(self) -> None:
        if twice := _twice(gate.evidence for gate in self.gates):
            raise ValueError(f"phase {self.name}: two gates on {twice}")


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """The ordered phases of one case; `test_window` names the rows that may be read once per candidate."""

    model: str
    phases: tuple[Phase, ...]
    test_window: str = ""

    def __post_init__(self) -> None:
        if twice := _twice(phase.name for phase in self.phases):
            raise ValueError(f"lifecycle {self.model}: two phases are named {twice}")

    def gates(self) -> dict[str, Gate]:
        """Return every gate by `phase.evidence`: the policy a version is judged by."""
        return {f"{phase.name}.{gate.evidence}": gate for phase in self.phases for gate in phase.gates}


def _twice(names: Iterable[str]) -> str:
    """Return the first name that comes a second time, or nothing."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return ""
