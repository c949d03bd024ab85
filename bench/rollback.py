"""`rollback`: what a pointer move costs, beside MLflow's alias, on one disk, synced as well, in the same minutes."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from typing import Any

from bench.room import BUILD, peers_python
from bench.turns import Peer

BLOCK, ROUNDS, WARM = 20, 16, 20
WHOLE_ROUNDS = 4
TARGET_TIMES = 10.0
OURS, MLFLOW = "bench.pointer_moves", "bench.peers.in_mlflow"
PEERS: dict[str, tuple[str, dict[str, Any]]] = {
    "one page written and synced": (OURS, {"what": "disk"}),
    "Foregate, the ledger: pointer, compare-and-swap and audit row": (OURS, {"what": "ledger"}),
    "MLflow, alias, write-ahead log": (MLFLOW, {"wal": True, "tag": False}),
    "MLflow, alias and a tag that says who and why, write-ahead log": (MLFLOW, {"wal": True, "tag": True}),
    "MLflow, alias, as it comes": (MLFLOW, {"wal": False, "tag": False}),
}
WHOLE = {
    "Foregate, a whole rollback: package checked, readers' view moved and probed": (OURS, {"what": "service"}),
}


def measure() -> dict[str, Any]:
    """Return median and 99th percentile of a pointer move by each way; the peers take turns, some moves at a time.

    The whole rollback writes much more: it comes after the others, so that its disk is not theirs.
    """
    rows = [*_in_turns(PEERS, ROUNDS), *_in_turns(WHOLE, WHOLE_ROUNDS)]
    for row in rows:
        print(f"{row['way']}: {row['p50_ms']:.2f} ms, p99 {row['p99_ms']:.2f} ms, CPU {row['cpu_p50_ms']:.2f} ms")
    return {"rows": rows, "block": BLOCK, "target_times": TARGET_TIMES}


def _in_turns(ways: dict[str, tuple[str, dict[str, Any]]], rounds: int) -> list[dict[str, Any]]:
    folder = BUILD / "rollback"
    shutil.rmtree(folder, ignore_errors=True)
    peers: dict[str, Peer] = {}
    try:
        for number, (name, (module, asked)) in enumerate(ways.items()):
            python = sys.executable if module == OURS else peers_python()
            where = folder / str(number)
            where.mkdir(parents=True)
            peers[name] = Peer(python, module, {**asked, "folder": str(where)})
            peers[name].move(WARM, counted=False)
        for _ in range(rounds):
            for peer in peers.values():
                peer.move(BLOCK)
    finally:
        for peer in peers.values():
            peer.close()
    shutil.rmtree(folder, ignore_errors=True)
    return [{"way": name, **peer.about, "moves": len(peer.seconds), **_summary(peer)} for name, peer in peers.items()]


def _summary(peer: Peer) -> dict[str, float]:
    wall = [1000 * s for s in peer.seconds]
    return {
        "p50_ms": round(_quantile(wall, 0.5), 3),
        "p99_ms": round(_quantile(wall, 0.99), 3),
        "least_ms": round(min(wall), 3),
        "cpu_p50_ms": round(_quantile([1000 * s for s in peer.cpu_seconds], 0.5), 3),
    }


def _quantile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least this share of all does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
