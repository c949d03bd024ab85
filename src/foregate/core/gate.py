"""Gates: thresholds fixed before the measurement, judged on the interval's bound and never on the point."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from foregate.core.evidence import Evidence


class Result(StrEnum):
    """What the measurement said; only PASS passes."""

    PASS = "pass"
    FAIL = "fail"
    INSUFFICIENT = "insufficient"
    ERROR = "error"
    NOT_RUN = "not_run"


class Effect(StrEnum):
    """What a result that is not a pass does to the version."""

    BLOCK = "block"
    SIGN_OFF = "sign_off"
    INFORM = "inform"


_STRENGTH = {Effect.INFORM: 0, Effect.SIGN_OFF: 1, Effect.BLOCK: 2}


@dataclass(frozen=True, slots=True)
class Gate:
    """A threshold on a piece of evidence, with inclusive bounds.

    `at_least` is compared with the interval's low end and `at_most` with its high end; an exact number is its own
    interval. Raises ValueError without any bound, because such a gate would let NaN pass, and for a bound that is no
    finite number, because it would stop everything or nothing.
    """

    evidence: str
    at_least: float | None = None
    at_most: float | None = None
    min_rows: int = 0
    effect: Effect = Effect.BLOCK
    why: str = ""

    def __post_init__(self) -> None:
        if self.at_least is None and self.at_most is None:
            raise ValueError(f"gate {self.evidence}: needs at_least or at_most")
        for bound in (self.at_least, self.at_most):
            if bound is not None and not math.isfinite(bound):
                raise ValueError(f"gate {self.evidence}: a bound must be a finite number, not {bound}")

    def judge(self, found: Evidence) -> Result:
        """Return pass, fail, or insufficient when the interval straddles the threshold or the rows are too few.

        >>> from datetime import date
        >>> from foregate.core.evidence import Unit
        >>> lift = Evidence("lift", 2.03, 3393, date(2025, 10, 31), "x", 1.3, 2.9, Unit.RATIO)
        >>> Gate("lift", at_least=2.0).judge(lift).value, Gate("lift", at_least=1.2).judge(lift).value
        ('insufficient', 'pass')
        """
        low = found.value if found.low is None else found.low
        high = found.value if found.high is None else found.high
        if found.rows < self.min_rows or not (low <= found.value <= high or _within(found, low, high)):
            return Result.INSUFFICIENT
        above = self.at_least is None or low >= self.at_least
        below = self.at_most is None or high <= self.at_most
        if above and below:
            return Result.PASS
        beyond = (self.at_least is not None and high < self.at_least) or (
            self.at_most is not None and low > self.at_most
        )
        return Result.FAIL if beyond else Result.INSUFFICIENT

    def wanted(self) -> str:
        """Return the threshold in words.

        >>> Gate("lift", at_least=1.2, min_rows=500).wanted()
        'at least 1.2 on at least 500 rows'
        """
        parts = [f"at least {self.at_least:g}"] if self.at_least is not None else []
        parts += [f"at most {self.at_most:g}"] if self.at_most is not None else []
        rows = f" on at least {self.min_rows:,} rows" if self.min_rows else ""
        return " and ".join(parts) + rows

    def looser_than(self, other: Gate) -> bool:
        """Return whether this gate lets something through that the other would have stopped.

        >>> Gate("auc", at_least=0.63).looser_than(Gate("auc", at_least=0.6352))
        True
        """
        lower = other.at_least is not None and (self.at_least is None or self.at_least < other.at_least)
        higher = other.at_most is not None and (self.at_most is None or self.at_most > other.at_most)
        weaker = _STRENGTH[self.effect] < _STRENGTH[other.effect]
        return lower or higher or weaker or self.min_rows < other.min_rows


def _within(found: Evidence, low: float, high: float) -> bool:
    """Return whether rounding alone put the value outside its interval (NaN and infinity never are within)."""
    slack = 1e-9 * (1 + abs(found.value)) if math.isfinite(found.value) else 0.0
    return low - slack <= found.value <= high + slack


@dataclass(frozen=True, slots=True)
class Judgement:
    """One gate applied to one piece of evidence (none when nothing was measured)."""

    gate: Gate
    result: Result
    evidence: Evidence | None = None
    words: str = ""

    @property
    def label(self) -> str:
        """The gate's name with the subject it was applied to."""
        return self.evidence.label if self.evidence else self.gate.evidence


def judge(gates: Iterable[Gate], found: Iterable[Evidence]) -> tuple[Judgement, ...]:
    """Return every gate's judgement on every piece of evidence of its name; no evidence is `not_run`, never a pass."""
    by_name: dict[str, list[Evidence]] = {}
    for evidence in found:
        by_name.setdefault(evidence.name, []).append(evidence)
    return tuple(
        judgement
        for gate in gates
        for judgement in (
            [Judgement(gate, gate.judge(e), e) for e in by_name.get(gate.evidence, [])]
            or [Judgement(gate, Result.NOT_RUN, words="nothing was measured")]
        )
    )


def loosened(before: Mapping[str, Gate], after: Mapping[str, Gate]) -> list[str]:
    """Return the names of gates that were removed or let more through than before.

    >>> loosened({"auc": Gate("auc", at_least=0.63)}, {})
    ['auc']
    """
    return [n for n, gate in before.items() if n not in after or after[n].looser_than(gate)]


def subject_words(labels: Iterable[str]) -> str:
    """Return how one subject of a gate is accepted and how all are, or nothing where no label has a subject.

    >>> subject_words(["loss_ratio[sql]", "bias"])
    'A name with its subject, as loss_ratio[sql], accepts that one; the bare name, loss_ratio, all its subjects.'
    >>> subject_words(["bias"])
    ''
    """
    label = next((label for label in labels if label.endswith("]")), "")
    bare = label.partition("[")[0]
    told = f"A name with its subject, as {label}, accepts that one; the bare name, {bare}, all its subjects."
    return told if label else ""
