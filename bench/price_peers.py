"""Forecasts of a price by statsforecast and Prophet beside ours and no change, from the same origins."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from bench.price_rules import DEFAULT_RULE, UNPROVEN, Race, finite
from bench.price_series import HORIZONS, Quoted
from bench.room import BUILD, ROOT, peers_python
from foregate.metrics.coverage import coverage
from foregate.metrics.diebold import relative_loss
from foregate.metrics.estimate import Floats
from foregate.modeling.price_intervals import gaussian, held, intervals
from foregate.modeling.volatility import over_horizon

STEP, WINDOW = 63, 750
SECONDS, LIMIT = 90.0, 300
AT_ONCE = 2
NOMINAL = 0.95
FOLDER = BUILD / "prices"
MODULE = "bench.peers.price_forecasters"
# Each as it comes, then with one setting of its documentation.
IN_OURS = (
    "AutoARIMA",
    "AutoARIMA, approximation",
    "AutoETS",
    "AutoETS, damped",
    "AutoTheta",
    "AutoTheta, DOTM",
)
IN_THEIRS = ("Prophet", "Prophet, trend alone")
RIVALS = (*IN_OURS, *IN_THEIRS)
NO_CHANGE = "no_change"
OURS = (DEFAULT_RULE, UNPROVEN, "equal", "seed_mape")


def measure(
    series: Sequence[Quoted], origins: int = 48, rivals: Sequence[str] = RIVALS, seconds: float = SECONDS
) -> dict[str, Any]:
    """Return for each series what everyone lost against no change, and how often their own 95 % intervals held."""
    if set(rivals) & set(IN_THEIRS):
        peers_python()
    FOLDER.mkdir(parents=True, exist_ok=True)
    asked = [(one, name) for name in rivals for one in series]
    places = {one.name: origins_of(one.days.size, origins) for one in series}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        said = list(pool.map(lambda pair: _asked(*pair, places[pair[0].name], seconds), asked))
    panels = {}
    for one in series:
        told = {name: answer for (of, name), answer in zip(asked, said, strict=True) if of is one}
        ends = [str(one.days[places[one.name][at]]) for at in (0, -1)]
        rows = scored(one, places[one.name], told)
        panels[one.name] = {"words": one.words, "origins": len(places[one.name]), "from_to": ends, "rows": rows}
        print(f"  {one.words}: {len(places[one.name])} origins from {ends[0]} to {ends[1]}")
        for row in rows:
            print("    ", _line(row))
    return {"step": STEP, "window": WINDOW, "seconds": seconds, "panels": panels, "summary": summary(panels)}


def origins_of(days: int, count: int) -> list[int]:
    """Return the last origins whose every outcome has come, 63 trading days apart, with a whole window before each."""
    last = days - 1 - max(HORIZONS)
    return [o for o in range(last - STEP * (count - 1), last + 1, STEP) if o >= WINDOW - 1]


def _asked(one: Quoted, name: str, origins: Sequence[int], seconds: float) -> dict[str, Any]:
    """Return what one rival said of itself, and its forecasts; a failure is told and not raised."""
    stem = f"{one.name}-{''.join(c for c in name if c.isalnum())}"
    series, out = FOLDER / f"{stem}-series.npz", FOLDER / f"{stem}.npy"
    np.savez(series, y=one.y, days=one.days.astype(np.int64))
    asked = {"series": str(series), "out": str(out), "rival": name, "origins": list(origins), "seconds": seconds}
    python = peers_python() if name in IN_THEIRS else Path(sys.executable)
    threads = {key: "1" for key in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "STAN_NUM_THREADS")}
    command = [str(python), "-m", MODULE, json.dumps({**asked, "horizons": HORIZONS, "window": WINDOW})]
    try:
        ended = subprocess.run(
            command, cwd=ROOT, env={**os.environ, **threads}, capture_output=True, text=True, timeout=LIMIT, check=False
        )
    except subprocess.TimeoutExpired:
        return {"failed": f"not done after {LIMIT} s"}
    if ended.returncode:
        return {"failed": ended.stderr.strip()[-300:]}
    return {**json.loads(ended.stdout.strip().splitlines()[-1]), "forecasts": np.load(out)}


def scored(one: Quoted, origins: Sequence[int], told: Mapping[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a row for no change, our rules and each rival; one not done in time is scored where it got to."""
    race = Race.of(one)
    rows = [{"name": name, **_scores(race, found, origins)} for name, found in _own(race, origins).items()]
    for name, said in told.items():
        if "forecasts" not in said or not said["done"]:
            why = "not one origin was done in time" if "forecasts" in said else said["failed"]
            rows.append({"name": name, "rival": True, "failed": why})
            continue
        found = np.moveaxis(said["forecasts"], 0, 2)
        about = {key: said[key] for key in ("versions", "peak_mb", "failures")}
        about |= {"failed_fits": said["failed"], "cpu_seconds": round(float(np.mean(said["cpu_seconds"])), 4)}
        rows.append({"name": name, "rival": True, **_scores(race, found, said["done"]), **about})
    return rows


def _own(race: Race, origins: Sequence[int]) -> dict[str, Floats]:
    """Return by name [3, H, origins] our points and bounds, no change's those of a normal interval."""
    nothing = np.zeros(race.came.shape)
    low, high = gaussian(nothing, race.y, HORIZONS, [NOMINAL])
    found = {NO_CHANGE: np.stack([nothing, low[0], high[0]])}
    spread = over_horizon(race.volatility, race.y, HORIZONS)
    for rule in OURS:
        made = race.made(rule)
        taught = intervals(race.came, made, spread, HORIZONS, [NOMINAL])
        found[rule] = np.stack([made, taught.lower[0], taught.upper[0]])
    return {name: every[:, :, list(origins)] for name, every in found.items()}


def _scores(race: Race, found: Floats, origins: Sequence[int]) -> dict[str, Any]:
    """Return for each horizon the loss over no change's with its interval, and the coverage; [3, H, n] as `_own`."""
    places = np.asarray(origins)
    cells = []
    for at, days in enumerate(HORIZONS):
        y, came, steps = race.y[places], race.came[at, places], -(-days // STEP)
        price = np.exp(y + came)
        lost, least = np.abs(np.exp(y + found[0, at]) - price), np.abs(np.exp(y) - price)
        ratio = relative_loss(lost, least, steps)
        flags = held(came, found[1, at], found[2, at])
        known = ~np.isnan(flags)
        blocks = (np.arange(places.size) // steps)[known]
        inside = coverage(flags[known], NOMINAL, blocks).value if known.any() else math.nan
        bounds = [finite(x) for x in (ratio.value, ratio.low, ratio.high)]
        cells.append({"ratio": bounds, "covered_95": finite(inside), "outcomes": int(known.sum())})
    return {"origins": places.size, "cells": cells}


def summary(panels: Mapping[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Return by forecaster, of the series it was scored on: geometric mean ratios, coverage, what is told from 1."""
    names = dict.fromkeys(row["name"] for panel in panels.values() for row in panel["rows"])
    found = []
    for name in names:
        rows = [row for panel in panels.values() for row in panel["rows"] if row["name"] == name and "cells" in row]
        if rows:
            found.append({"name": name, "series": len(rows), **_pooled(rows)})
    return found


def _pooled(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    ratios = np.array([[cell["ratio"][0] for cell in row["cells"]] for row in rows], dtype=np.float64)
    weights = np.array([[cell["outcomes"] for cell in row["cells"]] for row in rows])
    shares = np.array([[cell["covered_95"] or 0.0 for cell in row["cells"]] for row in rows])
    cells = [cell["ratio"] for row in rows for cell in row["cells"]]
    about: dict[str, Any] = {
        "ratios": (ratios.prod(axis=0) ** (1 / len(rows))).round(4).tolist(),
        "covered_95": ((shares * weights).sum(axis=0) / np.maximum(weights.sum(axis=0), 1)).round(3).tolist(),
        "surely_worse": sum(low is not None and low > 1 for _, low, _ in cells),
        "surely_better": sum(high is not None and high < 1 for _, _, high in cells),
        "cells": len(cells),
        "origins": sum(row["origins"] for row in rows),
    }
    if "cpu_seconds" in rows[0]:
        seconds = sum(row["cpu_seconds"] * row["origins"] for row in rows)
        about["cpu_seconds"] = round(seconds / about["origins"], 4)
        about["failed_fits"] = sum(row["failed_fits"] for row in rows)
        about["versions"] = rows[0]["versions"]
    return about


def _line(row: dict[str, Any]) -> str:
    if "failed" in row:
        return f"{row['name']:26s} failed: {row['failed']}"
    cells = (f"{c['ratio'][0]:.4f} [{c['ratio'][1]}, {c['ratio'][2]}] {c['covered_95']}" for c in row["cells"])
    return f"{row['name']:26s} {' | '.join(cells)} | CPU {row.get('cpu_seconds', 0):.3f} s, {row['origins']} origins"
