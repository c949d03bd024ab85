"""Package: writes the version in native formats with a golden forecast, and reads it back to make that again."""

from __future__ import annotations

from collections.abc import Iterator

from foregate.cases.funnel import packages
from foregate.cases.funnel.packages import Package
from foregate.cases.funnel.work import Work
from foregate.core.evidence import Evidence
from foregate.core.gate import Gate
from foregate.core.phase import Run
from foregate.modeling.measured import Measured, digest_of

DOES = "Writes who forecasts each stage and how it is read, with a golden forecast, and reads it back to make it again."
GATES = (
    Gate("golden_mismatches", at_most=0, why="a package that forecasts otherwise than what was judged"),
    Gate("package_files", at_least=7, why="a package that lacks a part can not be served"),
)


def measure(work: Work, run: Run) -> Iterator[Evidence]:
    """Yield what was written and whether the package, read back, says what was written."""
    package = Package(run.version, run.as_of, work.settings, work.sources, work.choices, work.recalibrations, work.seed)
    folder = work.artifacts / run.version
    work.digest = packages.write(package, work.events, folder)
    again = packages.read(folder, work.digest)
    made = Measured(run.as_of, work.digest[:12])
    differ = int(again.files_of() != package.files_of())
    yield made.count("golden_mismatches", differ, packages.GOLDEN_DRAWS, words="the golden forecast, made again")
    files = sorted(p.name for p in folder.iterdir())
    yield made.count("package_files", len(files), len(files), words=", ".join(files))
    yield made.count("package_digest", 1, 1, work.digest, f"artifacts/{run.version}")
    told = ", ".join(f"{stage} by {name}" for stage, name in work.candidates.items())
    yield made.count("chosen_candidates", len(work.candidates), 1, digest_of(told), told)
