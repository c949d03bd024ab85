"""`funnel`: forecasts of small counts beside statsforecast's, Prophet's and mlforecast's, from the same origins."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from bench.count_models import HORIZON
from bench.funnel_candidates import KINDS, LEARNED, sums_of
from bench.funnel_panels import FOLDER, Panel, panels
from bench.room import ROOT, peers_python
from foregate.metrics.coverage import pit_coverage
from foregate.metrics.forecast import crps, randomised_pit

DRAWS = 400
SECONDS = 200.0
LIMIT = 600
AT_ONCE = 2
OURS, OWN = "count_filter", "bench.funnel_candidates"
CANDIDATES = (OURS, "pool", LEARNED, "top_down", "segment_trees", "theta", "mean_90", "seasonal_naive")
# In statsforecast's own terms, first as it comes, then one tuned configuration of each.
IN_OURS = (
    "AutoETS",
    "AutoETS, ANA",
    "AutoARIMA on segments",
    "CrostonSBA + conformal",
)
IN_THEIRS = (
    "Prophet",
    "Prophet, flat",
    "mlforecast LightGBM-Poisson",
    "mlforecast LightGBM-Poisson, tuned + conformal",
)
RIVALS = (*IN_OURS, *IN_THEIRS)


def measure() -> dict[str, Any]:
    """Return for each panel what everyone lost at each level, how often intervals covered, and CPU seconds."""
    found = {}
    peers_python()
    for panel in panels():
        asked = [*CANDIDATES, *RIVALS]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            told = dict(zip(asked, pool.map(lambda name, panel=panel: _asked(name, panel), asked), strict=True))
        rows = _scored(panel, told)
        found[panel.name] = {"words": panel.words, "origins": len(panel.origins), "rows": rows}
        print(f"{panel.words}: {panel.history.series} series, {len(panel.origins)} origins")
        for row in rows:
            print("  ", _line(row))
    return {
        "horizon": HORIZON,
        "draws": DRAWS,
        "seconds": SECONDS,
        "kinds": KINDS,
        "ours": OURS,
        "panels": found,
    }


def _asked(name: str, panel: Panel) -> dict[str, Any]:
    """Return what one forecaster said of itself, and where its samples are; a failure is told and not raised."""
    python = peers_python() if name in IN_THEIRS else Path(sys.executable)
    module = OWN if name in CANDIDATES else "bench.peers.forecasters"
    out = FOLDER / f"{panel.name}-{''.join(c for c in name if c.isalnum())}.npz"
    asked = {"panel": str(panel.path), "rival": name, "origins": list(panel.origins), "horizon": HORIZON}
    asked |= {"draws": DRAWS, "seconds": SECONDS, "out": str(out)}
    threads = {
        name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "STAN_NUM_THREADS")
    }
    command = [str(python), "-m", module, json.dumps(asked)]
    try:
        ended = subprocess.run(
            command, cwd=ROOT, env={**os.environ, **threads}, capture_output=True, text=True, timeout=LIMIT, check=False
        )
    except subprocess.TimeoutExpired:
        return {"failed": f"not done after {LIMIT} s"}
    if ended.returncode:
        return {"failed": ended.stderr.strip()[-300:]}
    return {**json.loads(ended.stdout.strip().splitlines()[-1]), "samples": out}


def _scored(panel: Panel, told: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a row for each forecaster; one that was not done in time is held against ours from its own origins."""
    ours = _samples(told[OURS])
    rows = []
    if panel.world is not None:
        rng = np.random.default_rng(1)
        exact = {o: sums_of(panel.world.oracle(o, rng, DRAWS), panel.history.segments) for o in panel.origins}
        rows.append({"name": "oracle", **_row(panel, exact, ours, panel.origins)})
    for name, said in told.items():
        if "samples" not in said:
            rows.append({"name": name, "failed": said["failed"]})
            continue
        row = _row(panel, _samples(said), ours, said["done"])
        about = {"cpu_seconds": round(sum(said["cpu_seconds"]) / len(said["done"]), 3), "peak_mb": said["peak_mb"]}
        about |= {"failed_fits": said["failed"], "versions": said["versions"], "rival": name in RIVALS}
        rows.append({"name": name, **row, **about})
    return rows


def _samples(said: dict[str, Any]) -> dict[int, dict[str, Any]]:
    found: dict[int, dict[str, Any]] = {origin: {} for origin in said["done"]}
    with np.load(said["samples"]) as file:
        for key in file.files:
            kind, origin = key.split()
            found[int(origin)][kind] = file[key]
    return found


def _row(
    panel: Panel, samples: dict[int, dict[str, Any]], ours: dict[int, dict[str, Any]], origins: Sequence[int]
) -> dict[str, Any]:
    """Return by kind the CRPS over the mean outcome, over ours at the same origins, and the coverage by PIT."""
    scored: dict[str, Any] = {}
    for kind in (kind for kind in KINDS if kind in samples[origins[0]]):
        losses, own, came, pits = [], [], [], []
        for origin in origins:
            actual, living = _actual(panel, origin, kind)
            drawn = samples[origin][kind][:, living]
            rng = np.random.default_rng(origin)
            losses.append(crps(drawn, actual, fair=True).reshape(-1))
            own.append(crps(ours[origin][kind][:, living], actual, fair=True).reshape(-1))
            pits.append(randomised_pit(drawn, actual, rng).reshape(-1))
            came.append(actual.reshape(-1))
        mean, pit = float(np.concatenate(came).mean()), np.concatenate(pits)
        lost, mine = float(np.concatenate(losses).mean()), float(np.concatenate(own).mean())
        covered = {f"covered_{nominal}": round(pit_coverage(pit, nominal / 100).value, 3) for nominal in (50, 95)}
        wins = sum(float(a.mean()) < float(b.mean()) for a, b in zip(own, losses, strict=True))
        scored[kind] = {
            "crps": round(lost / mean, 4),
            "ours_over": round(mine / lost, 3),
            "ours_better_origins": wins,
            "outcomes": int(pit.size),
            **covered,
        }
    return {"origins": len(origins), "levels": scored}


def _actual(panel: Panel, origin: int, kind: str) -> tuple[Any, Any]:
    """Return what came after an origin, and which rows are scored: series that had been born, and all sums."""
    past = panel.history
    came = past.counts[:, origin + 1 : origin + 1 + HORIZON] * (past.born <= origin)[:, None]
    found = sums_of(came[None], past.segments)[kind][0]
    living = past.born <= origin if kind.startswith("series") else np.ones(len(found), dtype=np.bool_)
    return found[living], living


def _line(row: dict[str, Any]) -> str:
    if "failed" in row:
        return f"{row['name']:48s} failed: {row['failed']}"
    cells = [
        f"{kind} {one['crps']:.4f} (ours/it {one['ours_over']:.3f}, {one['covered_50']:.2f}/{one['covered_95']:.2f})"
        for kind, one in row["levels"].items()
    ]
    return f"{row['name']:48s} {' | '.join(cells)} | CPU {row.get('cpu_seconds', 0):.2f} s, {row['origins']} origins"


if __name__ == "__main__":
    measure()
