"""docs/benchmarks.md from the stored results: ratios first, and what was lost as plainly as what was won."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.alarm_section import alarms
from bench.funnel_section import funnel
from bench.prices_section import prices
from bench.table import header as _header
from bench.table import row as _row

SPINES = {
    "leads": "All contacted leads (52 thousand, 672 days)",
    "prospects": "All prospects (1.57 million, one day)",
    "both": "Leads and prospects in one statement",
}
WITHIN = 1.5
HEAD = """# Benchmarks

Written by `./run bench`; the numbers behind it are in `bench/results`. Times are of one machine on one day: read the
ratios. Other work may have run beside it, so each line has the best of its repetitions with their spread, and CPU
seconds, which other work disturbs less. Every peer is a process of its own over the same Parquet files, and its answer
is compared with Foregate's (counts equal, floats within 1e-9) before its time is believed.
"""
FEAST = """
Feast is compared on what its historical retrieval can express: the last row known of an entity (registration, and the
firm's kind, with the firm already found). It can not express the other features: counts over a window that ends at
each lead's own day, values filled in later than their row, a feature that keys another source, "known strictly
before", or a declared order of ties. Asked for both views at once, its file store returned nothing for the leads of
which one view had later rows only, and it drops leads that share keys and day; it is therefore asked for one view at a
time, once per key and day. Preparing its files is not counted. What still differs is a tie: two registrations recorded
on one day.
"""
ROLLBACK = """
The processes are warm and take turns, {block} moves at a time, on one disk. Foregate's move is a row that
says who, when, why and from what, chained by hash to all before it, written only if nobody else has moved since. An
alias of MLflow is one row that is overwritten; a tag is the nearest it has to a row that says who and why, and is a
second transaction. Foregate's whole rollback checks the package's bytes (a megabyte), moves the ledger's pointer, then
the readers' view in DuckDB (200,000 scores), looks through that view as a reader would, and records what it saw.
"""


def render(results: Path) -> str:
    """Return the page for the results that are there."""
    found = {p.stem: json.loads(p.read_text()) for p in sorted(results.glob("*.json"))}
    parts = [HEAD]
    for name, section in SECTIONS.items():
        if name in found:
            parts.append(section(found[name]["results"]) + _where(found[name]))
    return "\n".join(parts)


def _features(results: dict[str, Any]) -> str:
    lines = ["## Features: one compiled statement against what people write by hand", "", _verdict(results), ""]
    for spine, title in SPINES.items():
        lines += [f"### {title}", "", *_peers(results[spine], hand=True), ""]
    lines += ["### What Feast can express, for the same leads", "", *_peers(results["subset"], hand=False)]
    return "\n".join(lines) + "\n" + FEAST


def _verdict(results: dict[str, Any]) -> str:
    """Return in words where Foregate stands against hand-written SQL, and who was faster."""
    said = []
    for spine in SPINES:
        mine = next(r for r in results[spine] if r["peer"].startswith("Foregate, compiled"))
        if "times_hand" not in mine:
            return "Foregate or the hand-written statement failed: see below."
        met = "within" if max(mine["times_hand_cpu"], mine["times_hand"]) <= WITHIN else "**not within**"
        words = (
            f"{spine}: {mine['times_hand_cpu']} times the CPU of hand-written SQL ({mine['times_hand']} in wall time)"
        )
        faster = [r["peer"] for r in results[spine] if r.get("best_cpu", 1e9) < mine["best_cpu"]]
        said.append(f"- {words}, {met} the target of {WITHIN}; cheaper than Foregate: {', '.join(faster) or 'none'}.")
    compiling = results["leads"][0].get("compile_seconds")
    said.append(f"- Compiling the statement takes {compiling} s, once, and is not in the times below.")
    return "\n".join(said)


def _peers(rows: Sequence[dict[str, Any]], *, hand: bool) -> list[str]:
    names = [
        "peer",
        "best s [spread]",
        "CPU s",
        *(["of hand-written", "of its CPU"] if hand else []),
        "peak MB",
        "answer",
    ]
    lines = _header(names)
    for row in rows:
        if "failed" in row:
            lines.append(f"| {row['peer']} | failed: {_cell(row['failed'])} |" + " |" * (len(names) - 2))
            continue
        differs = row["differs"]
        answer = (
            "equal" if not differs else "**differs** on " + ", ".join(f"{n} ({c} leads)" for n, c in differs.items())
        )
        versions = " ".join(f"{n} {v}" for n, v in row["versions"].items())
        ratios = [f"{row['times_hand']:.2f}", f"{row['times_hand_cpu']:.2f}"] if hand and "times_hand" in row else []
        cells = [f"{row['peer']} ({versions})", _spread(row["seconds"]), f"{row['best_cpu']:.2f}", *ratios]
        lines.append(_row([*cells, str(row["peak_mb"]), answer]))
    return lines


def _help(results: dict[str, Any]) -> str:
    return f"""## `foregate --help`

{_met(results["best_cpu"], results["target_cpu"], "s of CPU (user and system)")}; five runs from \
{min(results["cpu_seconds"]):.2f} to {max(results["cpu_seconds"]):.2f} s. {results.get("failed", "")}
"""


def _demo(results: dict[str, Any]) -> str:
    return f"""## `foregate demo`

{_met(results["seconds"], results["target_seconds"], "s of wall time")}, {results["cpu_seconds"]:.1f} s of CPU, peak \
{results["peak_mb"]} MB. {_cell(results.get("failed", ""))}
"""


def _scale(results: dict[str, Any]) -> str:
    if "failed" in results:
        return f"## A whole run at the seeds' size\n\nFailed: {_cell(results['failed'])}\n"
    rows = [_row([phase, f"{seconds:.1f}"]) for phase, seconds in results["phases"].items()]
    return "\n".join(
        [
            "## A whole run at the seeds' size",
            "",
            f"{_met(results['peak_mb'], results['target_mb'], 'MB at the peak')}; {results['seconds']:.0f} s of wall "
            f"time, {results['cpu_seconds']:.0f} s of CPU, one model thread; the version ended {results['state']}.",
            "",
            *_header(["phase", "s"]),
            *rows,
            "",
        ]
    )


def _trees(results: dict[str, Any]) -> str:
    lines = ["## Which boosted trees", "", *_header(["library", "wheel MB", "import where the system has no libgomp"])]
    for name, library in results["libraries"].items():
        lines.append(_row([f"{name} {library['version']}", str(library["wheel_mb"]), _cell(library["bare"])]))
    for name, table in results["tables"].items():
        lines += ["", f"### {name}: {table['rows']:,} rows, {table['positives']:,} positives", ""]
        lines += _header(
            ["library", "best fit s [spread]", "mean AUC [five seeds]", "AUC - XGBoost's [95 %]", "model kB", "peak MB"]
        )
        for row in table["results"]:
            if "failed" in row:
                lines.append(f"| {row['library']} | failed: {_cell(row['failed'])} | | | | |")
                continue
            auc = f"{row['auc_mean']:.4f} [{min(row['aucs']):.4f}..{max(row['aucs']):.4f}]"
            against = row.get("auc_minus_first")
            apart = f"{against[0]:+.4f} [{against[1]:+.4f}..{against[2]:+.4f}]" if against else ""
            cells = [row["library"], _spread(row["seconds"]), auc, apart, str(row["model_kb"]), str(row["peak_mb"])]
            lines.append(_row(cells))
    lines += [
        "",
        "Like settings (depth 3, rate 0.05, early stopping on a slice of its own), one thread, each library's way with",
        "categories, not tuned for any of them. Differences: mean scores of five seeds on the same test rows.",
    ]
    return "\n".join(lines) + "\n"


def _rollback(results: dict[str, Any]) -> str:
    rows = {row["way"]: row for row in results["rows"]}
    mine = next(row for way, row in rows.items() if way.startswith("Foregate, the ledger"))
    lines = ["## Rolling back: what a pointer move costs", ""]
    for way, row in rows.items():
        if way.startswith("MLflow"):
            times, target = row["p50_ms"] / mine["p50_ms"], results["target_times"]
            verdict = "met" if times >= target else "**missed**"
            lines.append(
                f"- {way}: {times:.1f} times the median of Foregate's, {row['p99_ms'] / mine['p99_ms']:.1f} times its "
                f"99th percentile, {row['cpu_p50_ms'] / mine['cpu_p50_ms']:.1f} times its CPU; the target of "
                f"{target:g} times is {verdict}."
            )
    lines += ["", *_header(["way", "moves", "median ms", "99th percentile ms", "least ms", "median CPU ms", "SQLite"])]
    for way, row in rows.items():
        pragmas = f"{row['journal_mode']}, synchronous {row['synchronous']}" if "journal_mode" in row else ""
        named = " ".join([way, *(f"({name} {version})" for name, version in row.get("versions", {}).items())])
        numbers = [f"{row[key]:.2f}" for key in ("p50_ms", "p99_ms", "least_ms", "cpu_p50_ms")]
        lines.append(_row([named, str(row["moves"]), *numbers, pragmas]))
    return "\n".join(lines) + "\n" + ROLLBACK.format(block=results["block"])


def _ledger(results: dict[str, Any]) -> str:
    ledger, looks = results["ledger"], results["looks"]
    kept = looks["a million events, with the checkpoint that left"]
    lines = [
        "## A ledger of a million events",
        "",
        f"- {_met(kept['reading'], results['target_seconds'], 's to read the registry with a checkpoint')} "
        f"({kept['reading_cpu']:.2f} s of CPU), once Python and Foregate are there.",
        f"- {_met(kept['process_seconds'], results['target_seconds'], 's for the whole process')} "
        f"({kept['process_cpu']:.2f} s of CPU): starting Python and importing Foregate takes "
        f"{kept['importing_cpu']:.2f} s of it.",
        "",
        *_header(["what is read", "s [spread]", "CPU s", "whole process s", "its CPU s", "entries read", "peak MB"]),
    ]
    for name, look in looks.items():
        spread = f"{look['reading']:.2f} [{look['reading_spread'][0]:.2f}..{look['reading_spread'][1]:.2f}]"
        times = [f"{look[key]:.2f}" for key in ("reading_cpu", "process_seconds", "process_cpu")]
        lines.append(_row([name, spread, *times, f"{look['retained']:,}", str(look["peak_mb"])]))
    whole = results["whole"]
    lines.append(
        _row(
            [
                "the whole chain, checked",
                f"{whole['reading']:.0f}",
                f"{whole['reading_cpu']:.0f}",
                "",
                "",
                f"{whole['events']:,}",
                str(whole["peak_mb"]),
            ]
        )
    )
    lines += ["", *_header(["`foregate status`", "s", "CPU s", "peak MB"])]
    for name, run in results["commands"].items():
        lines.append(_row([name, f"{run['process_seconds']:.2f}", f"{run['process_cpu']:.2f}", str(run["peak_mb"])]))
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in sorted(ledger["kinds"].items(), key=lambda k: -k[1]))
    lines += ["", f"The events: {ledger['mix']}. {ledger['mb']:,} MB in SQLite: {kinds}."]
    return "\n".join(lines) + "\n"


SECTIONS = {
    "features": _features,
    "help": _help,
    "demo": _demo,
    "scale": _scale,
    "trees": _trees,
    "rollback": _rollback,
    "ledger": _ledger,
    "alarms": alarms,
    "funnel": funnel,
    "prices": prices,
}


def _met(found: float, target: float, what: str) -> str:
    verdict = "met" if found <= target else "**missed**"
    return f"{found:,.{0 if found >= 100 else 2}f} {what}; the target of {target:g} is {verdict}"


def _spread(seconds: Sequence[float]) -> str:
    return f"{min(seconds):.2f} [{min(seconds):.2f}..{max(seconds):.2f}]"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "/").split())[-240:]


def _where(found: dict[str, Any]) -> str:
    machine = found["machine"]
    return (
        f"\n*{found['date']}, {machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB, Python "
        f"{machine['python']}; load {machine['load'][0]} before and {found['load_after'][0]} after.*\n"
    )
