"""An opened project: its engine, its ledger, its registry, and the walk of a version."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from functools import cache
from importlib.metadata import version as installed
from importlib.resources import files
from pathlib import Path
from typing import Any

from foregate.cases.leads import packages, tiers
from foregate.cases.leads.lifecycle import MODEL, check_gates, lifecycle
from foregate.cases.leads.matrix import check as check_matrix
from foregate.cases.leads.packages import Package
from foregate.cases.leads.rule_columns import check_rule_columns
from foregate.cases.leads.scoring import compiled_for
from foregate.cases.leads.settings import LeadsSettings, check_lead_columns, check_list_columns
from foregate.cases.leads.statements import check_feature_names
from foregate.cases.leads.work import Champion, Work
from foregate.core.errors import ConfigurationError, ForegateError, NotAllowedError
from foregate.core.event import Entry, Event, Kind
from foregate.core.folds import VersionState, champion, versions
from foregate.core.phase import Run
from foregate.lifecycle.signatures import package_digest
from foregate.lifecycle.store import Store, holder_name
from foregate.lifecycle.walk import Step, Watch, walk
from foregate.modeling.measured import digest_of
from foregate.modeling.splits import calendar
from foregate.project import Project
from foregate.warehouse.binding import bind, unstable
from foregate.warehouse.duckdb import DuckDB
from foregate.warehouse.features import read_features
from foregate.warehouse.point_in_time import Compiled, Spine, compile_features
from foregate.warehouse.sources import view_name

POLICY_KEYS = {"gates", "list", "owners"}
PRODUCED = "none"


def utc_now() -> datetime:
    """Return the current moment: the only clock of the program, handed to everything that needs one."""
    return datetime.now(UTC)


class App:
    """One project, opened: every verb of the command line and the pages is a method here or takes one of these."""

    def __init__(self, folder: Path, actor: str | None = None, clock: Any = utc_now) -> None:
        self.project = Project(folder)
        self.actor = actor or getpass.getuser()
        self.clock = clock
        declared = self.project.declared
        url = self.project.address(declared.ledger.url)
        local = self.project.local(declared.ledger.url, "sqlite")
        self.ledger = Store(f"sqlite:///{local}" if local else url)

    @property
    def settings(self) -> LeadsSettings:
        """The project's lead-scoring case."""
        found = self.project.declared.leads
        if found is None:
            raise ConfigurationError(
                str(self.project.file),
                found="no [leads]",
                wanted="a case to run",
                then="Declare it, or run `foregate init`.",
            )
        return found

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

    def entries(self, model: str = MODEL) -> list[Entry]:
        """Return the ledger's events of a model that count today, oldest first, checked."""
        return list(self.ledger.current(model))

    def states(self, model: str = MODEL) -> dict[str, VersionState]:
        """Return the registry today."""
        return versions((e.event for e in self.entries(model)), self.clock().date())

    def find(self, version: str | None) -> VersionState:
        """Return a version by its first letters, or the newest; raises NotAllowedError when none or several fit."""
        states = self.states()
        fitting = [v for v in states if v.startswith(version or "")]
        if not fitting or (version and len(fitting) > 1):
            raise NotAllowedError(
                f"version {version or '(newest)'}",
                found=f"{len(fitting)} that fit",
                wanted=f"one of {', '.join(states) or 'none yet'}",
                then="`foregate status` lists them." if states else "`foregate run leads` makes one.",
            )
        return states[fitting[-1]]

    def work(self, engine: DuckDB, as_of: date) -> Work:
        """Return a run's declarations with every source readable; raises what is wrong with them."""
        settings, declared = self.settings, self.project.declared
        check_gates(settings)
        rules = tiers.load(self.project.path("tiers.toml"))
        check_matrix(settings.matrix, rules, str(self.project.file))
        found = read_features(self.project.path("features"), {n: f.of for n, f in declared.features.items() if f.of})
        check_feature_names(found)
        if settings.source not in declared.sources:
            raise ConfigurationError(
                f"{self.project.file} [leads] source",
                found=repr(settings.source),
                wanted=f"one of {', '.join(declared.sources)}",
                then="Declare the leads' table as a source.",
            )
        columns = bind(engine, declared.sources, self.project.folder)
        check_lead_columns(settings, columns[settings.source], str(self.project.file))
        check_list_columns(settings, columns, str(self.project.file))
        dates = settings.dates
        return Work(
            settings=settings,
            sources=dict(declared.sources),
            columns=columns,
            files=found,
            rules=rules,
            calendar=calendar(
                as_of,
                train_days=dates.train_days,
                test_days=dates.test_days,
                embargo_days=dates.embargo_days,
                periods=dates.backtest_periods,
                period_days=dates.backtest_days,
                train_start=dates.train_start,
            ),
            artifacts=self.project.path("artifacts"),
            fingerprints={name: engine.fingerprint(view_name(name)) for name in declared.sources},
        )

    def check(self, as_of: date | None = None) -> Compiled:
        """Return the compiled features after everything a run would need has been checked, without running it."""
        with self.warehouse() as engine:
            work = self.work(engine, self.project.day(as_of))
            lifecycle(work)
            compiled = compile_features(work.files, _lagged(work), work.columns, work.spine("spine"))
            self._check_rules(work, compiled)
            return compiled

    def run(self, as_of: date | None = None, watch: Watch = lambda _step: None) -> VersionState:
        """Return the state of the version these declarations and data make, after walking it through its phases."""
        on = self.project.day(as_of)
        with self.ledger.lease(MODEL, holder_name(self.actor)), self.warehouse() as engine:
            watch(Step("sources", "Reads every declared source and takes its fingerprint."))
            with self._remember_failure():
                work = self.work(engine, on)
                work.unstable = unstable(engine, work.sources, self.project.folder)
                spine = work.spine("spine")
                compiled = compile_features(work.files, _lagged(work), work.columns, spine, join_types=False)
                self._check_rules(work, compiled)
            version = version_of(self.project, work, on)
            engine.use(schema_of(version))
            work.champion = lambda: self._champion(engine, work)
            run = Run(engine, MODEL, version, on, self.project.declared.seed)
            detail = {"inputs": dict(work.fingerprints), "code": code_digest(), "libraries": libraries()}
            return walk(lifecycle(work), run, self.ledger, self.clock, self.actor, watch, detail)

    def _check_rules(self, work: Work, compiled: Compiled) -> None:
        settings = work.settings
        scored = settings.population.source if settings.population else settings.source
        tiers_file = str(self.project.path("tiers.toml"))
        check_rule_columns(work.rules, compiled.features, work.columns[scored], tiers_file)

    @contextmanager
    def _remember_failure(self) -> Iterator[None]:
        """Write to the ledger that a run broke off before it had a version."""
        try:
            yield
        except ForegateError as error:
            self.ledger.add(Event(Kind.FAILED, self.clock(), MODEL, PRODUCED, self.actor, "sources", reason=str(error)))
            raise

    def package(self, version: str) -> Package:
        """Return a version's package, its bytes checked against the digest the ledger recorded."""
        return packages.read(self.project.path("artifacts") / version, self.package_digest(version))

    def package_digest(self, version: str) -> str | None:
        """Return the digest that the ledger recorded of a version's package, or None."""
        state = self.states().get(version)
        return package_digest(state) or None if state else None

    def _champion(self, engine: DuckDB, work: Work) -> Champion | None:
        in_service = champion(e.event for e in self.entries())
        if in_service is None:
            return None
        package = self.package(in_service)

        def scores(spine: Spine) -> Any:
            columns = {name: dict(types) for name, types in work.columns.items()}
            compiled = compiled_for(package, spine, columns)
            table = engine.table(compiled.sql(engine.dialect))
            return table.append_column("margin", [package.score(table)[0]])

        return Champion(in_service, scores, package.train_end)


def version_of(project: Project, work: Work, as_of: date) -> str:
    """Return the content hash of all that makes a version: declarations, SQL, data, code, libraries, as-of and seed.

    Gates and the list's settings are policy, not the model: moving a gate does not make another version.
    """
    settings = work.settings.model_dump_json(exclude=POLICY_KEYS)
    sources = [(n, s.model_dump_json()) for n, s in sorted(work.sources.items())]
    queries = [project.path(s.query).read_text() for s in work.sources.values() if s.query]
    written = [(f.name, f.of, Path(f.path).read_text()) for f in work.files]
    rules = work.rules.model_dump_json()
    inputs = sorted(work.fingerprints.items())
    seed = project.declared.seed
    return digest_of(
        settings, sources, queries, written, rules, inputs, as_of, seed, code_digest(), libraries(), length=10
    )


def schema_of(version: str) -> str:
    """Return the schema that holds a version's tables."""
    return f"run_{version}"


@cache
def code_digest() -> str:
    """Return the hash of Foregate's own code that can change a number."""
    root = Path(str(files("foregate")))
    code = sorted(
        p for p in root.rglob("*") if p.suffix in {".py", ".sql"} and p.parts[-2] not in {"report", "world", "cli"}
    )
    return digest_of(*(f"{p.relative_to(root)}:{p.read_text()}" for p in code))


@cache
def libraries() -> dict[str, str]:
    """Return the versions of the libraries that can change a number."""
    return {name: installed(name) for name in ("duckdb", "sqlglot", "numpy", "scipy", "xgboost-cpu")}


def _lagged(work: Work) -> dict[str, Any]:
    """Return the sources with a stand-in for lags that only a run can measure."""
    return {n: s.with_lag(0) if s.known_after == "measured" else s for n, s in work.sources.items()}
