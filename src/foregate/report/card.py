"""The model card: what a version is, on what it was judged and what not to trust it with, from the ledger alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from foregate.core.evidence import Evidence
from foregate.core.folds import VersionState, Waiver
from foregate.core.gate import Judgement, Result
from foregate.report.log import MARKS, wanted
from foregate.report.prices import plain_words
from foregate.report.sealed import chosen_by, estimated
from foregate.report.words import number

QUALITY = (
    "auc_roc",
    "auc_pr",
    "top_decile_lift",
    "bottom_rate",
    "auc_gap",
    "calibration_ratio",
    "backtest_mean_auc",
    "champion_auc_difference",
)
_TIERS = (
    "tier_population",
    "tier_rate",
    "tier_shrunken_rate",
    "test_tier_population",
    "test_tier_rate",
    "test_tier_lift",
)
_ERRORS = ("mae_ratio", "champion_mae_ratio", "naive_loss_ratio", "champion_loss_ratio", "capture_rate", "bias", "wape")
_HELD = ("coverage_", "sum_coverage_95", "long_run_95", "worst_window_95")
_PAST = ("history_days", "stage_events", "origins")
_LIMITS = (
    *("independent_windows", "extreme_share", "incoherent_share", "implausible_skill", "doubtful_skill", "flat_errors"),
    *("broken_intervals", "extreme_forecasts", "incoherent_horizons", "out_of_bounds", "unreadable_intervals"),
)
"""What bounds a forecast's use, most of it 0 where nothing is wrong."""


def model_card(state: VersionState) -> str:
    """Return the card in Markdown; a number the ledger does not have is not on it."""
    found = list(state.measured())
    judged = list(state.judgements())
    by_name = {e.label: e for e in found}
    lines = [f"# Model card: {state.version}", "", f"**State:** {state.state}", ""]
    if "as_of" in state.detail and "analysis_on" not in by_name:
        lines += [f"**As of:** {state.detail['as_of']}", ""]
    if "window_days" in by_name:
        lines += [
            f"Scores the probability that a lead converts within {number(by_name['window_days'])} of its contact.",
            "",
        ]
    lines += _windows(by_name)
    lines += _forecasts(found)
    lines += _features(found)
    lines += _table(
        "How good", ["measured", "value", "rows", "note"], [_row(e) for n in QUALITY for e in found if e.name == n]
    )
    deciles = [
        (e.subject, number(e), number(by_name[f"decile_lift[{e.subject}]"]), e.words)
        for e in found
        if e.name == "decile_rate"
    ]
    lines += _table(
        "By decile of the test rows, highest scores first", ["decile", "rate", "lift", "converted"], deciles
    )
    lines += _table("Tiers", ["tier", *_TIERS], _tiers(found))
    lines += _table(
        "What did not pass",
        ["gate", "result", "found", "wanted", "why it matters"],
        [_open(j) for j in judged if j.result is not Result.PASS],
    )
    lines += _accepted("Accepted", state.waivers) + _accepted("Signed", state.signatures)
    return "\n".join(lines)


def _forecasts(found: Sequence[Evidence]) -> list[str]:
    """Return what a forecast's card says that no other has: what it forecasts, how well, and within which limits."""
    if not any(e.name in _PAST for e in found):
        return []
    chosen = [(e.subject, *chosen_by(e)) for e in found if e.name == "chosen"]
    past = [_row(e) for e in found if e.name in _PAST]
    reading = next((e.words for e in found if e.name == "test_reading"), "")
    errors = [_row(e) for name in _ERRORS for e in found if e.name == name]
    held = [_row(e) for start in _HELD for e in found if e.name.startswith(start)]
    limits = [_row(e) for name in _LIMITS for e in found if e.name == name]
    head, about = ["measured", "value", "rows", "note"], "series and horizon, or stage"
    lines = _table("What it forecasts", [about, "by", "why, on the open days"], chosen)
    lines += _table("On which past", head, past)
    lines += ["## On the sealed days", "", f"{reading[:1].upper()}{reading[1:]}.", ""] if reading else []
    lines += _table("Errors", head, errors) + _table("How often intervals held", head, held)
    lines += _table("Limits", head, limits)
    words = list(plain_words(found))
    return lines + (["## In plain words", "", *(f"- {one}" for one in words), ""] if words else [])


def _windows(by_name: dict[str, Evidence]) -> list[str]:
    pairs = [("trained on contacts", "train_start", "train_end"), ("judged on contacts", "test_start", "test_end")]
    rows = [
        (what, f"{number(by_name[a])} to {number(by_name[b])}") for what, a, b in pairs if a in by_name and b in by_name
    ]
    rows += [("nothing known after", number(by_name["analysis_on"]))] if "analysis_on" in by_name else []
    return _table("Windows", ["what", "when"], rows)


def _features(found: Sequence[Evidence]) -> list[str]:
    kept = next((e.words for e in found if e.name == "kept_features"), "")
    dropped = [(f"`{e.subject}`", e.words) for e in found if e.name == "dropped"]
    listed = ["## Features", "", kept, ""] if kept else []
    return listed + _table("Left out", ["feature", "why"], dropped)


def _tiers(found: Sequence[Evidence]) -> list[tuple[str, ...]]:
    cells = {(e.name, e.subject): number(e) for e in found if e.name in _TIERS}
    tiers = dict.fromkeys(subject for _, subject in cells)
    return [(tier, *(cells.get((name, tier), "") for name in _TIERS)) for tier in tiers]


def _row(found: Evidence) -> tuple[str, ...]:
    return (found.label, estimated(found), f"{found.rows:,}", found.words)


def _open(judgement: Judgement) -> tuple[str, ...]:
    value = number(judgement.evidence) if judgement.evidence else "nothing"
    return (judgement.label, MARKS[judgement.result], value, wanted(judgement), judgement.gate.why)


def _accepted(title: str, waivers: Iterable[Waiver]) -> list[str]:
    rows = [(w.by, w.gate or "the version", w.reason, w.until.isoformat()) for w in waivers]
    return _table(title, ["by", "what", "why", "until"], rows)


def _table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    if not rows:
        return []
    body = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return [f"## {title}", "", "| " + " | ".join(head) + " |", "|" + "---|" * len(head), *body, ""]
