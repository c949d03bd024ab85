"""The sealed days in words: which a version opened, at which level its intervals stand, and two versions beside."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from rich.table import Table
from rich.text import Text

from foregate.core.event import Entry, Kind
from foregate.core.evidence import EXACT, Evidence
from foregate.core.folds import VersionState
from foregate.report.words import number

COMPARED: Mapping[str, tuple[str, ...]] = {
    "prices": ("chosen", "mae_ratio", "champion_mae_ratio", "coverage_95"),
    "funnel": ("chosen", "naive_loss_ratio", "champion_loss_ratio", "bias", "coverage_95"),
}
"""What two versions of a forecast are compared by, each by series and horizon, or by stage."""
_OVER_CHAMPION = {"prices": "champion_mae_ratio", "funnel": "champion_loss_ratio"}
_LEVEL = re.compile(r"intervals at ([\d.]+)%")


def interval_level(measured: Iterable[Evidence]) -> str:
    """Return the level of the intervals on the sealed days, as the ledger has it; empty where it has none.

    It is wider than 95 %, and the more so the more candidates have read the same days before.

    >>> from datetime import date
    >>> words = "candidate number 2 to read the sealed days; intervals at 99.17%"
    >>> interval_level([Evidence("test_reading", 2, 189, date(2026, 1, 5), "x", words=words)])
    '99.17 %'
    """
    found = (_LEVEL.search(e.words) for e in measured if e.name == "test_reading")
    return next((f"{float(level[1]):g} %" for level in found if level), "")


def chosen_by(found: Evidence) -> tuple[str, str]:
    """Return who was chosen for a subject and why, from the words of `chosen`."""
    who, _, why = found.words.partition(": ")
    return who, why


def estimated(found: Evidence) -> str:
    """Return a measurement as a person reads it; an estimate from no rows is none, whatever number stands in."""
    return "not measured" if _stands_in(found) else number(found)


def _stands_in(found: Evidence) -> bool:
    return found.rows == 0 and found.unit not in EXACT


def _cell(found: Evidence) -> str:
    if found.name == "chosen":
        return chosen_by(found)[0]
    return f"{estimated(found)}{f': {found.words}' if _stands_in(found) and found.words else ''}"


def windows(entries: Iterable[Entry]) -> dict[str, str]:
    """Return version -> the sealed days it opened last, as the ledger names them."""
    opened = [entry.event for entry in entries if entry.event.kind is Kind.OPENED]
    return {event.version: str(event.detail.get("window", "")) for event in opened}


def window_words(model: str, opened: Mapping[str, str], left: str, right: str) -> str:
    """Return whether two versions of a forecast were judged on the same sealed days; never so where it is not known.

    >>> window_words("prices", {"a": "2025-01-02..2026-01-05", "b": "2025-01-02..2026-01-05"}, "a", "b")
    'the same sealed days, 2025-01-02..2026-01-05'
    """
    unknown = [version for version in dict.fromkeys((left, right)) if not opened.get(version)]
    if len(unknown) > 1:
        return f"neither {left} nor {right} has opened its sealed days: there is nothing to compare"
    if unknown:
        return f"{unknown[0]} has not opened its sealed days: there is nothing to compare"
    one, other = opened[left], opened[right]
    if one == other:
        return f"the same sealed days, {one}"
    return f"different sealed days: {one} and {other}; the numbers do not compare, look at {_OVER_CHAMPION[model]}"


def forecast_table(model: str, left: VersionState, right: VersionState, opened: Mapping[str, str]) -> Table:
    """Return two versions of a forecast side by side: what was chosen, errors, coverage, and on which sealed days."""
    states = (left, right)
    table = Table(box=None, pad_edge=False)
    for head in ("measured", left.version, right.version):
        table.add_column(head, overflow="fold")
    table.add_row("as of", *(str(state.detail.get("as_of", "unknown")) for state in states))
    table.add_row("sealed days", *(opened.get(state.version) or "unknown" for state in states))
    table.add_row("intervals at", *(interval_level(state.measured()) or "unknown" for state in states))
    cells = [{e.label: _cell(e) for e in state.measured() if e.name in COMPARED[model]} for state in states]
    order = {name: at for at, name in enumerate(COMPARED[model])}
    labels = dict.fromkeys(label for found in cells for label in found)
    for label in sorted(labels, key=lambda one: order[one.partition("[")[0]]):
        table.add_row(Text(label), *(Text(found.get(label, "")) for found in cells))
    return table
