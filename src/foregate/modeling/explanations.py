"""Explanations: the strongest exact TreeSHAP contributions of a score, in words that respect their sign."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from foregate.core.errors import DataError
from foregate.modeling.boosted import Trees
from foregate.modeling.signature import encode

ADDITIVE_WITHIN = 1e-3


@dataclass(frozen=True, slots=True)
class Reason:
    """One feature's part in one score, in log-odds: above zero it raises the score."""

    feature: str
    value: Any
    contribution: float

    def words(self) -> str:
        """Return the reason in words.

        >>> Reason("tenure_months", 14.0, 0.4512).words()
        'tenure_months = 14 raises the score (+0.45)'
        """
        verb = "raises" if self.contribution > 0 else "lowers"
        return f"{self.feature} = {_value(self.value)} {verb} the score ({self.contribution:+.2f})"


def reasons(trees: Trees, table: pa.Table, most: int) -> list[list[Reason]]:
    """Return, per row, the `most` features that move its score most, strongest first; ties in the signature's order.

    Raises DataError unless every row's contributions add up to its margin: an explanation that does not is no
    explanation.
    """
    matrix = encode(table, trees.signature)
    parts = trees.contributions(matrix)
    worst = float(np.abs(parts.sum(axis=1) - trees.margins(matrix)).max(initial=0.0))
    if worst > ADDITIVE_WITHIN:
        raise DataError(
            "explanations",
            found=f"contributions that miss the score by {worst:.3g}",
            wanted="contributions that add up to the margin",
            then="The library's TreeSHAP is broken for this model; do not show reasons.",
        )
    names = trees.signature.names
    columns = {name: table.column(name).to_pylist() for name in names}
    order = np.argsort(-np.abs(parts[:, :-1]), axis=1, kind="stable")[:, :most]
    return [
        [Reason(names[i], columns[names[i]][row], float(parts[row, i])) for i in chosen if parts[row, i] != 0]
        for row, chosen in enumerate(order)
    ]


def _value(value: Any) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 10 else f"{value:.3g}"
    return str(value)
