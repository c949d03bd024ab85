"""Tables of the page, in Markdown."""

from __future__ import annotations

from collections.abc import Sequence


def row(cells: Sequence[str]) -> str:
    """Return one line of a table."""
    return f"| {' | '.join(cells)} |"


def header(names: Sequence[str]) -> list[str]:
    """Return a table's first two lines."""
    return [row(names), row(["---"] * len(names))]
