"""`trees`: evidence for the choice of library for boosted trees, on the demo world and on a public campaign."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from bench.room import BUILD, child, ours, peers_python, theirs

LIBRARIES = {"xgboost-cpu": "xgboost", "lightgbm": "lightgbm", "catboost": "catboost"}
SEEDS = (1, 2, 3, 4, 5)
SYSTEM_OPENMP = "/usr/lib/x86_64-linux-gnu/libgomp.so.1"


def measure(bank: Path | None) -> dict[str, Any]:
    """Return, per library, wheel size and bareness, and per table fit time, AUC on later rows and model size."""
    tables = ours("bench.peers.tables", BUILD, *([bank] if bank else [])).told()
    found: dict[str, Any] = {"libraries": {n: _library(n, m) for n, m in LIBRARIES.items()}, "tables": {}}
    for name, table in tables.items():
        rows = [_fitted(library, module, table) for library, module in LIBRARIES.items()]
        scored = [_scores(r["library"]) for r in rows if "failed" not in r]
        if "failed" not in rows[0]:
            against = ours("bench.paired", *scored).told()
            for row, difference in zip([r for r in rows[1:] if "failed" not in r], against, strict=True):
                row["auc_minus_first"] = difference
        for row in rows:
            print(f"{name:28s}", _line(row))
        found["tables"][name] = {k: table[k] for k in ("rows", "positives")} | {"results": rows}
    return found


def _fitted(library: str, module: str, table: dict[str, Any]) -> dict[str, Any]:
    asked = {"table": table["path"], "kinds": table["kinds"], "library": module, "seeds": SEEDS}
    asked |= {"folder": str(BUILD), "scores": str(_scores(library))}
    try:
        return {"library": library, **theirs("bench.peers.one_library", json.dumps(asked)).told()}
    except RuntimeError as error:
        return {"library": library, "failed": str(error)[-400:]}


def _scores(library: str) -> Path:
    return BUILD / f"scores-{library}.parquet"


def _library(name: str, module: str) -> dict[str, Any]:
    python = peers_python()
    code = f"from importlib.metadata import version; print(version('{name}'))"
    version = child(python, "-c", code).out.strip()
    wheels = BUILD / "wheels"
    if not list(wheels.glob(f"{name.replace('-', '_')}-{version}*")):
        command = [str(python.resolve()), "-m", "pip", "download", "-qq", "--no-deps", "-d", str(wheels)]
        subprocess.run([*command, f"{name}=={version}"], check=True)
    wheel = next(wheels.glob(f"{name.replace('-', '_')}-{version}*"))
    return {"version": version, "wheel_mb": round(wheel.stat().st_size / 1e6, 1), "bare": _bare(python, module)}


def _bare(python: Path, module: str) -> str:
    """Return what happens on import where the system has no OpenMP library: it is hidden from this one child."""
    if not Path(SYSTEM_OPENMP).exists():
        ended = child(python, "-c", f"import {module}")
    else:
        hide = f"mount --bind /dev/null {SYSTEM_OPENMP} && exec {python} -c 'import {module}'"
        ended = child("unshare", "-m", "sh", "-c", hide)
    if ended.code == 0:
        return "imports"
    return "not tested: no right to hide libgomp" if "unshare" in ended.out else ended.out.strip().splitlines()[-1]


def _line(row: dict[str, Any]) -> str:
    if "failed" in row:
        return f"{row['library']:12s} failed: {row['failed'][-160:]}"
    auc = f"{row['auc_mean']:.4f} [{min(row['aucs']):.4f}..{max(row['aucs']):.4f}]"
    against = row.get("auc_minus_first", "")
    return f"{row['library']:12s} fit {row['best']:.2f} s, AUC {auc} {against}, model {row['model_kb']} kB"
