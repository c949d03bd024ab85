"""Starting: lay a demo world or a fresh project in an empty folder."""

from __future__ import annotations

import shutil
from datetime import date
from importlib.resources import as_file, files
from pathlib import Path

from foregate.cases.leads.world import DEMO, SEEDS, Scale, Trap, generate
from foregate.core.errors import ConfigurationError
from foregate.project import FILE

_FRESH = {"leads": "fresh_project", "funnel": "project", "prices": "project"}
SCALES: dict[str, Scale] = {"demo": DEMO, "seeds": SEEDS}


def lay_demo(folder: Path, scale: Scale, seed: int, as_of: date, trap: Trap | None, *, signal: bool) -> dict[str, int]:
    """Return rows per table after the adviser world and its project files have been written to an empty folder.

    A trap plants its fault in the data and, for a leak, the mistaken declarations that would let it in.
    """
    _lay("demo_project", folder)
    if trap is Trap.LEAK:
        _lay_over("demo_leak", folder)
    (folder / "data").mkdir(exist_ok=True)
    return generate(folder / "data", scale, seed, as_of=as_of, trap=trap, signal=signal)


def lay_funnel(folder: Path) -> None:
    """Write the project files of the funnel's demo to a folder; its world writes the data."""
    _lay("project", folder, "funnel")


def lay_prices(folder: Path) -> None:
    """Write the project files of the prices' demo to a folder; whoever lays it writes the data."""
    _lay("project", folder, "prices")


def lay_half_year(folder: Path) -> None:
    """Write the project files of the half year's demo to an empty folder; its world writes the data day by day."""
    _lay("rollout_project", folder)


def lay_project(folder: Path, case: str = "leads") -> list[Path]:
    """Return the files of a fresh project of a case written to a folder.

    Raises ConfigurationError where a project is already, and for a case that is none.
    """
    if case not in _FRESH:
        raise ConfigurationError("--case", found=repr(case), wanted=f"one of {', '.join(_FRESH)}", then="Correct it.")
    if (folder / FILE).exists():
        raise ConfigurationError(
            str(folder / FILE), found="a project", wanted="a folder without one", then="Choose another folder."
        )
    _lay(_FRESH[case], folder, case)
    return sorted(p for p in folder.rglob("*") if p.is_file())


def empty(folder: Path) -> None:
    """Remove a demo of ours; raises ConfigurationError for a folder that holds anything else."""
    if folder.exists() and any(folder.iterdir()) and not (folder / FILE).exists():
        raise ConfigurationError(
            str(folder),
            found="files that no demo wrote",
            wanted="an empty folder",
            then="Choose another with --folder.",
        )
    shutil.rmtree(folder, ignore_errors=True)


def _lay(name: str, folder: Path, case: str = "leads") -> None:
    with as_file(files(f"foregate.cases.{case}") / name) as template:
        shutil.copytree(template, folder, dirs_exist_ok=True)


def _lay_over(name: str, folder: Path) -> None:
    """Copy a template's files and append its foregate.toml to the one that is there."""
    declared = (folder / FILE).read_text()
    _lay(name, folder)
    added = (folder / FILE).read_text()
    columns = "[leads.columns]                                  # a lead's own columns, and when each is known\n"
    noted = declared.replace(
        columns, columns + 'outcome_note = "at contact"                      # planted: it is not\n'
    )
    (folder / FILE).write_text(noted + "\n" + added)
