"""Shadow parity: the challenger's scores beside the champion's, for the same people as of the same day."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import date

from foregate.app.leads.case import Leads
from foregate.cases.leads.scoring import score_population
from foregate.cases.leads.work import SCORES
from foregate.core.evidence import Evidence, Unit
from foregate.core.rollout import Rollout
from foregate.metrics.association import rank_correlation
from foregate.metrics.drift import psi
from foregate.modeling.measured import Measured
from foregate.warehouse.duckdb import DuckDB

_BOTH = """
select o.margin as ours, t.margin as theirs, o.score as our_score, t.score as their_score
from {ours} as o join {theirs} as t using (subject_id) order by subject_id
"""


def compared(app: Leads, rollout: Rollout, as_of: date) -> Sequence[Evidence]:
    """Return rows, columns, holes, rank correlation, PSI and cost of the challenger's scores against the champion's.

    Both packages score everybody anew as of the day, into a schema of the rollout that no reader's view reads.
    """
    assert rollout.champion is not None, "a rollout without a champion has no shadow"
    versions = {"ours": rollout.version, "theirs": rollout.champion}
    took: dict[str, float] = {}
    with app.warehouse() as engine:
        work = app.work(engine, as_of)
        columns = {name: dict(types) for name, types in work.columns.items()}
        tables = {}
        for side, version in versions.items():
            engine.use(f"shadow_{rollout.began}_{side}")
            began = time.process_time()
            score_population(app.package(version), engine, columns, work.spine("spine"), as_of, SCORES)
            took[side] = time.process_time() - began
            tables[side] = f"shadow_{rollout.began}_{side}.{SCORES}"
        return _evidence(engine, tables, took, Measured(as_of, engine.fingerprint(tables["ours"])))


def _evidence(engine: DuckDB, tables: dict[str, str], took: dict[str, float], made: Measured) -> list[Evidence]:
    ours, theirs = (engine.count(tables[side]) for side in ("ours", "theirs"))
    both = engine.table(_BOTH.format(**tables))
    apart = max(ours, theirs) - both.num_rows
    mine, others = (engine.columns(tables[side]) for side in ("ours", "theirs"))
    differ = sorted(n for n in {*mine, *others} if mine.get(n) != others.get(n))
    holes = "select count(*) from {ours} where score is null or isnan(score) or tier is null or percentile is null"
    missing = int(engine.rows(holes.format(**tables))[0][0])
    found = {name: both.column(name).to_numpy() for name in both.column_names}
    correlation = rank_correlation(found["ours"], found["theirs"])
    shift = psi(found["their_score"], found["our_score"])
    ratio = took["ours"] / max(took["theirs"], 1e-9)
    words = f"{took['ours']:.1f} s of CPU against {took['theirs']:.1f} s"
    return [
        made.count(
            "parity_rows_off", apart, ours, words=f"{ours:,} people against {theirs:,}, {both.num_rows:,} in both"
        ),
        made.count("parity_columns_off", len(differ), len(mine), words=", ".join(differ)),
        made.count("parity_unscored", missing, ours),
        made.estimate("parity_rank_correlation", correlation, Unit.SCORE, words="of the two versions' margins"),
        made.estimate("parity_score_psi", shift, Unit.DIFFERENCE, words="noise taken off"),
        made.count("parity_cost_ratio", round(ratio, 2), 1, words=words),
    ]
