"""Package: writes the version with every prediction it was judged by, reads it back, and recomputes its errors."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from foregate.cases.prices import packages
from foregate.cases.prices.origins import split
from foregate.cases.prices.packages import Package
from foregate.cases.prices.work import Work
from foregate.core.evidence import Evidence
from foregate.core.gate import Gate
from foregate.core.phase import Run
from foregate.modeling.measured import Measured, digest_of

DOES = "Writes rules, fitted experts and every prediction; reads them back, recomputes errors, and forecasts again."
GATES = (
    Gate("golden_mismatches", at_most=0, why="a package that forecasts otherwise than what was judged"),
    Gate("package_files", at_least=7, why="a package that lacks a part can not be served"),
)


def measure(work: Work, run: Run) -> Iterator[Evidence]:
    """Yield what was written, and whether the package, read back, forecasts the same."""
    parts = [
        packages.predictions_of(
            track, work.followed[series], work.settings, split(track, work.settings).sealed.astype(float)
        )
        for series, track in work.tracks.items()
    ]
    predictions = pa.concat_tables(parts)
    errors = packages.recomputed(predictions, work.settings.horizons)
    about = (run.version, run.as_of, work.settings, work.sources, work.choices, work.fitted, work.seed, errors)
    folder = work.artifacts / run.version
    work.digest = packages.write(Package(*about), predictions, work.market, folder)
    again = packages.read(folder, work.digest)
    made = Measured(run.as_of, work.digest[:12])
    faults = packages.golden_faults(folder, again, work.market)
    words = "; ".join(faults) or "the forecast of the day, made again by the package as it is on disk"
    yield made.count("golden_mismatches", len(faults), len(errors), words=words)
    files = sorted(p.name for p in folder.iterdir())
    yield made.count("package_files", len(files), len(files), words=", ".join(files))
    yield made.count("package_digest", 1, 1, work.digest, f"artifacts/{run.version}")
    told = ", ".join(
        f"{series} {name} by {choice.rule}"
        for series, choices in work.choices.items()
        for name, choice in zip(work.settings.horizons, choices, strict=True)
    )
    yield made.count("chosen_rules", len(work.choices), 1, digest_of(told), told)
