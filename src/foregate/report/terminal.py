"""The terminal's pictures of phases, gates, lists and explanations: rich renderables, plain when there is no colour."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from foregate.core.folds import State, VersionState
from foregate.core.gate import Judgement, Result
from foregate.report.log import MARKS, next_step, wanted
from foregate.report.words import number

STYLES = {
    State.PASSED: "green",
    State.WARNED: "green",
    State.ACCEPTED: "green",
    State.AWAITS: "yellow",
    State.BLOCKED: "red",
    State.BROKE: "red",
    State.RUNNING: "cyan",
    State.NOT_RUN: "dim",
}
_RESULTS = {Result.PASS: "green", Result.FAIL: "red", Result.INSUFFICIENT: "yellow"}
KEY_NUMBERS = (
    "positive_rate",
    "window_days",
    "train_rows",
    "test_rows",
    "backtest_mean_auc",
    "auc_roc",
    "auc_pr",
    "top_decile_lift",
    "bottom_rate",
    "auc_gap",
    "calibration_ratio",
    "test_priority_lift",
    "champion_auc_difference",
    "conversion_rate",
    "naive_loss_ratio",
    "champion_loss_ratio",
    "capture_rate",
)
_REGISTRY = {"AUC": "auc_roc", "top-decile lift": "top_decile_lift", "loss over naive": "naive_loss_ratio"}


def phase_line(phase: str, state: State, seconds: float, judgements: Sequence[Judgement]) -> RenderableType:
    """Return one line for a phase, and one below it for every gate that did not pass."""
    passed = sum(j.result is Result.PASS for j in judgements)
    head = Text.assemble(
        (f"  {phase:<10}", "bold"),
        (f" {state.value:<22}", STYLES[state]),
        f"{f'{passed} of {len(judgements)} gates':<18}",
        f"{seconds:>6.1f} s",
    )
    return Group(head, *(_open_gate(j) for j in judgements if j.result is not Result.PASS))


def _open_gate(judgement: Judgement) -> Text:
    found = number(judgement.evidence) if judgement.evidence else "nothing"
    note = judgement.evidence.words if judgement.evidence else judgement.words
    style = _RESULTS.get(judgement.result, "red")
    return Text.assemble(
        "      ",
        (f"{MARKS[judgement.result]:<12}", style),
        f"{judgement.label}: found {found}, wanted {wanted(judgement)}",
        (f" ({judgement.gate.effect.value})", "dim"),
        ("\n" + " " * 18 + judgement.gate.why + (f"; {note}" if note else ""), "dim"),
    )


def summary(state: VersionState) -> RenderableType:
    """Return a version's key numbers with their intervals, its verdict and the next command."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for name in KEY_NUMBERS:
        for found in state.measured():
            if found.name == name:
                table.add_row(Text(found.label, style="bold"), number(found), Text(found.words, style="dim"))
    verdict = Text.assemble("version ", (state.version, "bold"), ": ", (state.state.value, STYLES[state.state]))
    return Group(Text(), table, Text(), verdict, next_line(next_step(state)))


def next_line(step: str) -> Text:
    """Return the next command to type."""
    return Text.assemble(("next: ", "dim"), (step.replace("`", ""), "bold cyan"))


def gates_table(state: VersionState, phase: str | None, *, everything: bool) -> RenderableType:
    """Return the gates of a version (of one phase): found, wanted, effect; with all measurements on request."""
    parts: list[RenderableType] = []
    for name, found in state.phases.items():
        if phase not in (None, name) or not found.judged:
            continue
        table = Table(
            title=f"{name}: {found.state.value}", title_justify="left", title_style=STYLES[found.state], box=None
        )
        for head in ("gate", "result", "found", "wanted", "else", "note"):
            table.add_column(head, overflow="fold")
        for j in found.judged.judgements:
            value = number(j.evidence) if j.evidence else "nothing"
            mark = Text(MARKS[j.result], style=_RESULTS.get(j.result, "red"))
            note = j.words or (j.evidence.words if j.evidence else "")
            table.add_row(Text(j.label), mark, Text(value), wanted(j), j.gate.effect.value, Text(note, style="dim"))
        judged = [j.evidence for j in found.judged.judgements]
        if everything:
            for e in (e for e in found.judged.evidence if e not in judged):
                table.add_row(Text(e.label), "", Text(number(e)), "", "", Text(e.words, style="dim"))
        parts += [table, Text()]
    return Group(*parts)


def registry_table(
    states: Iterable[VersionState], split: Mapping[str, float], roles: Mapping[str, str]
) -> RenderableType:
    """Return every version with its state, its role and its share of the traffic."""
    table = Table(box=None, pad_edge=False)
    states = list(states)
    told = {head: name for head, name in _REGISTRY.items() if any(_named(state, name) for state in states)}
    for head in ("version", "started (UTC)", "as of", "state", "role", "in service", *told):
        table.add_column(head)
    for state in states:
        share = f"{split[state.version]:.0%}" if state.version in split else ""
        table.add_row(
            state.version,
            f"{state.started_at:%Y-%m-%d %H:%M}",
            str(state.detail.get("as_of", "")),
            Text(state.state.value, style=STYLES[state.state]),
            str(roles.get(state.version, "")),
            share,
            *(_named(state, name) for name in told.values()),
        )
    return table


def compare_table(left: VersionState, right: VersionState) -> RenderableType:
    """Return the key numbers of two versions side by side; they compare only where the rows are the same."""
    table = Table(box=None, pad_edge=False)
    for head in ("measured", left.version, right.version):
        table.add_column(head)
    wanted_names = {*KEY_NUMBERS, "champion_lift_difference", "champion_swap_set"}
    for label in dict.fromkeys(e.label for s in (left, right) for e in s.measured() if e.name in wanted_names):
        table.add_row(Text(label), _labelled(left, label), _labelled(right, label))
    for name in ("train_start", "train_end", "test_start", "test_end"):
        table.add_row(name, _named(left, name), _named(right, name))
    return table


def waterfall_table(waterfall: Sequence[Mapping[str, Any]]) -> RenderableType:
    """Return what every rule of a list removed, in order, per tier and in all."""
    tiers = [t for t in dict.fromkeys(str(r["tier"]) for r in waterfall) if t != "all tiers"]
    table = Table(box=None, pad_edge=False)
    table.add_column("rule")
    for tier in [*tiers, "removed", "remaining"]:
        table.add_column(tier.replace("_", "\n"), justify="right")
    steps = sorted({(r["step"], r["rule"]) for r in waterfall})
    cells = {(r["rule"], r["tier"]): r for r in waterfall}
    for step, rule in steps:
        whole = cells[rule, "all tiers"]
        if step and not whole["removed"] and not whole["moved_in"]:
            continue
        row = [_cell(cells.get((rule, tier)), first=step == 0) for tier in tiers]
        table.add_row(rule, *row, f"{whole['removed']:,}" if step else "", f"{whole['remaining']:,}")
    return table


def _cell(row: Mapping[str, Any] | None, *, first: bool) -> str:
    if row is None:
        return ""
    if first:
        return f"{row['remaining']:,}"
    moved = row["moved_in"] - row["moved_out"]
    parts = [f"-{row['removed']:,}"] if row["removed"] else []
    parts += [f"{moved:+,}"] if moved else []
    return " ".join(parts)


def expected_table(expected: Sequence[Mapping[str, Any]]) -> RenderableType:
    """Return the conversions a list may be expected to bring, per tier and in all."""
    table = Table(box=None, pad_edge=False)
    for head in ("tier", "leads", "rate", "expected conversions [95 %]"):
        table.add_column(head, justify="left" if head == "tier" else "right")
    for row in expected:
        interval = f"{row['expected']:.0f} [{row['low']:.0f}, {row['high']:.0f}]"
        table.add_row(str(row["tier"]), f"{row['leads']:,}", f"{row['expected_rate']:.1%}", interval)
    return table


def explanation(found: Mapping[str, Any]) -> RenderableType:
    """Return why a person is on the list, or which rule kept them out, with the strongest reasons of the score."""
    decision, score, listed = found["decision"], found["score"], found["listed"]
    if listed:
        place = f"number {listed['list_rank']} of list {found['list']}, for owner {listed['owner_id']}"
        head = f"Person {decision['person_id']} is {place}."
        why = f"{listed['tier']}: {listed['narrative']}"
    else:
        head = f"Person {decision['person_id']} is not on list {found['list']}: {decision['decision']}."
        why = decision["detail"] or ""
    lines = [Text(head, style="bold"), Text(why)]
    if score:
        lines.append(
            Text(
                f"as known on {score['as_of']}: score {score['score']:.1%}, percentile {score['percentile']} of 100, "
                f"tier {score['tier']}, by {found['version']}"
            )
        )
    lines += [Text(f"  - {reason}") for reason in found["reasons"]]
    return Panel(Group(*lines), expand=False)


def _named(state: VersionState, name: str) -> str:
    """Return a measurement, or each subject's with the subject before it."""
    found = [e for e in state.measured() if e.name == name]
    if len(found) == 1:
        return number(found[0])
    return ", ".join(f"{e.subject} {number(e).split(' ')[0]}" for e in found)


def _labelled(state: VersionState, label: str) -> str:
    return next((number(e) for e in state.measured() if e.label == label), "")
