"""Package: the version in native formats, its golden rows, read back and scored again before anyone trusts it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from foregate.cases.leads import packages
from foregate.cases.leads.packages import Package
from foregate.cases.leads.serving import profile
from foregate.cases.leads.training_rows import training_rows
from foregate.cases.leads.work import Work
from foregate.core.evidence import Evidence
from foregate.core.gate import Gate
from foregate.core.phase import Run
from foregate.modeling.measured import Measured, digest_of

DOES = "Writes the version in native formats with golden rows, and reads it back to score them again."
GOLDEN_ROWS = 50
GATES = (
    Gate("golden_mismatches", at_most=0, why="a package that scores otherwise than the model it was made from"),
    Gate("package_files", at_least=12, why="a package that lacks a part can not be served"),
)


def measure(work: Work, run: Run) -> Iterator[Evidence]:
    """Yield what was written and whether the package, read back, gives the scores of the model in memory."""
    package = package_of(work, run)
    rows = training_rows(run.warehouse)
    every = max(1, len(rows) // GOLDEN_ROWS)
    golden = rows.table.take(pa.array(range(0, len(rows), every)[:GOLDEN_ROWS]))
    folder = work.artifacts / run.version
    work.digest = packages.write(package, golden, folder)
    made = Measured(run.as_of, work.digest[:12])
    again, _ = packages.read(folder, work.digest).score(golden)
    differ = int((np.abs(again - package.score(golden)[0]) > packages.GOLDEN_TOLERANCE).sum())
    yield made.count("golden_mismatches", differ, golden.num_rows, words=f"{golden.num_rows} golden rows")
    files = sorted(p.name for p in folder.iterdir())
    yield made.count("package_files", len(files), len(files), words=", ".join(files))
    yield made.count("package_digest", 1, 1, work.digest, f"artifacts/{run.version}")
    yield made.count("signature_features", len(work.selected), 1, digest_of(*work.selected), ", ".join(work.selected))


def package_of(work: Work, run: Run) -> Package:
    """Return the package of a finished training."""
    assert work.trees is not None, "train ran before"
    assert work.compiled is not None, "features ran before"
    return Package(
        version=run.version,
        as_of=run.as_of,
        train_end=work.calendar.train_end,
        settings=work.settings,
        sources=work.sources,
        files=tuple(work.files),
        rules=work.rules,
        trees=work.trees,
        calibrator=work.calibrator,
        prices=work.prices,
        profile=profile(training_rows(run.warehouse).table, work.trees.signature.names, work.compiled.features),
    )
