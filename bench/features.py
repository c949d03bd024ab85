"""`features`: one compiled statement against what people write by hand, on the same files, with equal answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.room import BUILD, Ended, ours, theirs

HAND = "DuckDB, written by hand"
FOREGATE = "Foregate, compiled"
Runner = Callable[..., Ended]
# name, Python, module, plan, spines, repetitions
TURNS = 3  # the peers take turns, so that other work on the machine disturbs all alike; the slow one has one turn
PEERS: tuple[tuple[str, Runner, str, str, tuple[str, ...], int], ...] = (
    (FOREGATE, ours, "bench.peers.in_duckdb", "compiled", ("leads", "prospects", "both"), 3),
    (HAND, ours, "bench.peers.in_duckdb", "hand", ("leads", "prospects", "both"), 3),
    ("Foregate, over pairs", ours, "bench.peers.in_duckdb", "pairs", ("leads", "prospects"), 3),
    ("Polars, by hand", theirs, "bench.peers.in_polars", "", ("leads", "prospects"), 3),
    ("pandas, by hand", theirs, "bench.peers.in_pandas", "", ("leads", "prospects"), 3),
)
SUBSET = (
    (FOREGATE, ours, "bench.peers.in_duckdb", "subset", 3),
    ("Feast, historical retrieval", theirs, "bench.peers.in_feast", "subset", 3),
)


def measure() -> dict[str, Any]:
    """Return every peer's times for every spine; each answer is compared with Foregate's before it is believed."""
    folder = Path(ours("bench.world", "seeds").told())
    found: dict[str, Any] = {}
    for spine in ("leads", "prospects", "both"):
        rows = []
        for turn in range(TURNS):
            for name, runner, module, plan, spines, repeats in PEERS:
                if spine not in spines or (turn and plan == "pairs"):
                    continue
                row = _one(name, runner, module, plan, folder, f"{spine}_spine", repeats)
                _add(rows, row)
                print(_line(spine, row))
        _against(rows, BUILD / "answers" / f"{FOREGATE}-{spine}_spine.parquet")
        found[spine] = rows
    _firm_known(folder)
    rows = [_one(n, r, m, p, folder, "subset_spine", k) for n, r, m, p, k in SUBSET]
    _against(rows, BUILD / "answers" / f"{FOREGATE}-subset_spine.parquet")
    for row in rows:
        print(_line("subset", row))
    return {**found, "subset": rows}


def _add(rows: list[dict[str, Any]], row: dict[str, Any]) -> None:
    """Add a peer's times to those of its earlier turns; a turn that failed stands for all."""
    before = next((r for r in rows if r["peer"] == row["peer"]), None)
    if before is None:
        rows.append(row)
    elif "failed" in row or "failed" in before:
        before["failed"] = before.get("failed") or row["failed"]
    else:
        for kind in ("seconds", "cpu_seconds"):
            before[kind] += row[kind]
        before["best"], before["best_cpu"] = min(before["seconds"]), min(before["cpu_seconds"])
        before["peak_mb"] = max(before["peak_mb"], row["peak_mb"])


def _one(name: str, runner: Runner, module: str, plan: str, folder: Path, spine: str, repeats: int) -> dict[str, Any]:
    out = BUILD / "answers" / f"{name}-{spine}.parquet"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.unlink(missing_ok=True)
    data = folder / "data"
    asked = {"data": str(data), "spine": str(data / f"{spine}.parquet"), "out": str(out)}
    ended = runner(module, json.dumps({**asked, "repeats": repeats, "plan": plan}))
    try:
        told = ended.told()
    except RuntimeError as error:
        return {"peer": name, "failed": str(error)[-600:]}
    answer = {"peer": name, "answer": str(out), **told}
    answer["best"], answer["best_cpu"] = min(told["seconds"]), min(told["cpu_seconds"])
    return answer


def _against(rows: list[dict[str, Any]], reference: Path) -> None:
    hand = next((r for r in rows if r["peer"] == HAND and "best" in r), None)
    for row in rows:
        answer = row.pop("answer", None)
        if answer is None:
            continue
        row["differs"] = ours("bench.agreement", reference, answer).told()
        if hand is not None:
            row["times_hand"] = round(row["best"] / hand["best"], 2)
            row["times_hand_cpu"] = round(row["best_cpu"] / hand["best_cpu"], 2)


def _firm_known(folder: Path) -> None:
    """Write the leads with the firm Foregate found for them: Feast has no feature that keys another one."""
    answer = BUILD / "answers" / f"{FOREGATE}-leads_spine.parquet"
    data = folder / "data"
    ours("bench.peers.keyed", data / "leads_spine.parquet", answer, data / "subset_spine.parquet")


def _line(spine: str, row: dict[str, Any]) -> str:
    if "failed" in row:
        return f"{spine:10s} {row['peer']:28s} failed: {row['failed'][-200:]}"
    spread = f"{min(row['seconds']):.2f}..{max(row['seconds']):.2f}"
    used = f"cpu {row['best_cpu']:.2f} s, {row['peak_mb']} MB"
    return f"{spine:10s} {row['peer']:28s} {row['best']:7.2f} s [{spread}] {used}"
