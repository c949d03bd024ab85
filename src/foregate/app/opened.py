"""An opened project: its engine, its ledger, and one of its cases, which every verb is asked of."""

from __future__ import annotations

import getpass
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from functools import cache
from importlib.metadata import version as installed
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from foregate.core.errors import ConfigurationError, ForegateError, NotAllowedError
from foregate.core.event import Entry, Event, Kind
from foregate.core.folds import VersionState, champion, versions
from foregate.core.phase import Run
from foregate.lifecycle.signatures import package_digest
from foregate.lifecycle.store import Store
from foregate.modeling.measured import digest_of
from foregate.project import Project
from foregate.warehouse.duckdb import DuckDB

if TYPE_CHECKING:
    from foregate.app.issued import Issued
    from foregate.app.readers import CaseService
    from foregate.core.evidence import Evidence
    from foregate.core.gate import Gate
    from foregate.core.rollout import Plan
    from foregate.core.rule import Rule
    from foregate.lifecycle.alerts import AlertSettings
    from foregate.lifecycle.walk import Watch

PRODUCED = "none"
_UNCOUNTED = frozenset({"report", "world", "cli"})


class Checked(NamedTuple):
    """What a check found fine: in words, and as plain values."""

    words: str
    data: dict[str, Any]


class Healthy(NamedTuple):
    """A simulation of the monitor's readings: a year for each seed, and at which volume, in words."""

    year: Callable[[int], Iterable[tuple[date, Sequence[Evidence]]]]
    words: str


def utc_now() -> datetime:
    """Return the current moment: the only clock of the program, handed to everything that needs one."""
    return datetime.now(UTC)


class App(ABC):
    """One case of a project, opened: every verb of the command line and the pages is a method here or takes one."""

    model: ClassVar[str]
    view: ClassVar[str]
    telling: ClassVar[tuple[str, ...]]
    forecasts: ClassVar[bool] = False

    def __init__(self, folder: Path, actor: str | None = None, clock: Callable[[], datetime] = utc_now) -> None:
        self.project = Project(folder)
        self.actor = actor or getpass.getuser()
        self.clock = clock
        declared = self.project.declared
        url = self.project.address(declared.ledger.url)
        local = self.project.local(declared.ledger.url, "sqlite")
        self.ledger = Store(f"sqlite:///{local}" if local else url)

    @contextmanager
    def warehouse(self, schema: str = "main") -> Iterator[DuckDB]:
        """Open the project's warehouse and give it back at the end."""
        url = self.project.declared.warehouse.url
        path = self.project.local(url, "duckdb")
        if path is None:
            raise ConfigurationError(
                f"{self.project.file} [warehouse] url",
                found=repr(url),
                wanted="duckdb:///file.duckdb",
                then="Only the embedded engine is there yet.",
            )
        engine = DuckDB(path, schema)
        try:
            # The day of a moment must not depend on where the machine stands.
            engine.rows("SET TimeZone = 'UTC'")
            yield engine
        finally:
            engine.close()

    def entries(self) -> list[Entry]:
        """Return the ledger's events of the case that count today, oldest first, checked."""
        return list(self.ledger.current(self.model))

    def states(self) -> dict[str, VersionState]:
        """Return the registry today."""
        return versions((e.event for e in self.entries()), self.clock().date())

    def find(self, version: str | None) -> VersionState:
        """Return a version by its first letters, or the newest; raises NotAllowedError when none or several fit."""
        states = self.states()
        fitting = [v for v in states if v.startswith(version or "")]
        if not fitting or (version and len(fitting) > 1):
            raise NotAllowedError(
                f"version {version or '(newest)'}",
                found=f"{len(fitting)} that fit",
                wanted=f"one of {', '.join(states) or 'none yet'}",
                then="`foregate status` lists them." if states else f"`foregate run {self.model}` makes one.",
            )
        return states[fitting[-1]]

    def champion(self) -> str | None:
        """Return the version in service, or None."""
        return champion(e.event for e in self.entries())

    def package_digest(self, version: str) -> str | None:
        """Return the digest that the ledger recorded of a version's package, or None."""
        state = self.states().get(version)
        return package_digest(state) or None if state else None

    @contextmanager
    def remember_failure(self) -> Iterator[None]:
        """Write to the ledger that a run broke off before it had a version."""
        try:
            yield
        except ForegateError as error:
            event = Event(Kind.FAILED, self.clock(), self.model, PRODUCED, self.actor, "sources", reason=str(error))
            self.ledger.add(event)
            raise

    @property
    @abstractmethod
    def alerts(self) -> AlertSettings:
        """The case's alert settings."""

    @abstractmethod
    def rules(self) -> tuple[Rule, ...]:
        """Return the case's alert rules in force."""

    @abstractmethod
    def plan(self) -> Plan:
        """Return the case's rollout plan as the file declares it today."""

    def crossing_gates(self, plan: Plan, criterion: str = "") -> Mapping[str, tuple[Gate, ...]]:
        """Return the gates of every step of a plan, by phase."""
        from foregate.lifecycle.crossings import gates

        return gates(plan, criterion)

    @abstractmethod
    def check(self, as_of: date | None = None) -> Checked:
        """Return what was found after everything a run would need has been checked, without running it."""

    @abstractmethod
    def run(self, as_of: date | None = None, watch: Watch = lambda _step: None) -> VersionState:
        """Return the state of the version these declarations and data make, after walking it through its phases."""

    @abstractmethod
    def package(self, version: str) -> Any:
        """Return a version's package, its bytes checked against the digest the ledger recorded."""

    @abstractmethod
    def service(self, as_of: date | None = None) -> CaseService:
        """Return what a rollout moves, its evidence from the field read as of a day, else today."""

    def issue(self, as_of: date | None = None) -> list[Issued]:
        """Return the forecasts issued as of a day; raises NotAllowedError for a case that issues none."""
        raise NotAllowedError(
            f"forecast {self.model}", found="a case that issues none", wanted="funnel or prices", then="Name one."
        )

    @abstractmethod
    def measured(self, version: str, on: date) -> list[Evidence]:
        """Return what the monitor measures of a version in service on a day."""

    @abstractmethod
    def replayed(self, version: str, on: date) -> Sequence[Evidence]:
        """Return what the monitor would have measured on a past day; leaves nothing behind."""

    @abstractmethod
    def healthy(self, version: str, only: set[str], multiplier: float = 1.0) -> Healthy:
        """Return what the monitor of a version that keeps its promise, times `multiplier`, would measure in a year."""


def schema_of(version: str) -> str:
    """Return the schema that holds a version's tables."""
    return f"run_{version}"


@cache
def code_digest(case: str) -> str:
    """Return the hash of Foregate's own code that can change a number of a case; other cases' code can not."""
    root = Path(str(files("foregate")))
    others = {p.name for p in (root / "cases").iterdir() if p.is_dir()} - {case}
    code = sorted(
        p
        for p in root.rglob("*")
        if p.suffix in {".py", ".sql"} and p.parts[-2] not in _UNCOUNTED and not others & set(p.relative_to(root).parts)
    )
    return digest_of(*(f"{p.relative_to(root)}:{p.read_text()}" for p in code))


@cache
def libraries() -> dict[str, str]:
    """Return the versions of the libraries that can change a number."""
    return {name: installed(name) for name in ("duckdb", "sqlglot", "numpy", "scipy", "xgboost-cpu")}


def run_of(app: App, engine: DuckDB, version: str, as_of: date) -> Run:
    """Return the walk of a version as of a day, with the project's seed."""
    return Run(engine, app.model, version, as_of, app.project.declared.seed)
