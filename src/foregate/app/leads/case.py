"""Lead scoring, opened: what its run needs, how a version is walked, what the monitor measures."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foregate.app.opened import App, Checked, Healthy, code_digest, libraries, run_of, schema_of
from foregate.cases.leads import packages, tiers
from foregate.cases.leads.lifecycle import MODEL, check_gates, lifecycle
from foregate.cases.leads.matrix import check as check_matrix
from foregate.cases.leads.packages import Package
from foregate.cases.leads.rule_columns import check_rule_columns
from foregate.cases.leads.scoring import compiled_for
from foregate.cases.leads.settings import LeadsSettings, check_lead_columns, check_list_columns
from foregate.cases.leads.statements import check_feature_names
from foregate.cases.leads.work import Champion, Work
from foregate.core.errors import ConfigurationError
from foregate.lifecycle.alerts import rules_of
from foregate.lifecycle.store import holder_name
from foregate.lifecycle.walk import Step, Watch, walk
from foregate.modeling.measured import digest_of
from foregate.modeling.splits import calendar
from foregate.warehouse.binding import bind, unstable
from foregate.warehouse.features import read_features
from foregate.warehouse.point_in_time import Compiled, Spine, compile_features
from foregate.warehouse.sources import view_name

if TYPE_CHECKING:
    from foregate.app.leads.service import LeadsService
    from foregate.core.evidence import Evidence
    from foregate.core.folds import VersionState
    from foregate.core.rollout import Plan
    from foregate.core.rule import Rule
    from foregate.lifecycle.alerts import AlertSettings
    from foregate.project import Project
    from foregate.warehouse.duckdb import DuckDB
    from foregate.warehouse.features import FeatureFile
    from foregate.warehouse.sources import Source

POLICY_KEYS = {"gates", "list", "owners"}
VIEW = "bi.lead_scores"


class Leads(App):
    """The lead scores of a project."""

    model, view = MODEL, VIEW
    telling = (
        "listed_rate",
        "top_decile_rate",
        "listed_rate_ratio",
        "harm_e_value",
        "field_rate_ratio",
        "list_worked",
    )

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

    @property
    def alerts(self) -> AlertSettings:
        """The project's alert settings."""
        return self.project.declared.alerts

    def rules(self) -> tuple[Rule, ...]:
        """Return the alert rules in force."""
        return rules_of(self.alerts, str(self.project.file))

    def plan(self) -> Plan:
        """Return the rollout plan as the file declares it today."""
        return self.project.declared.rollout.plan()

    def service(self, as_of: date | None = None) -> LeadsService:
        """Return what a rollout moves, its evidence from the field read as of a day, else today."""
        from foregate.app.leads.service import LeadsService

        return LeadsService(self, as_of)

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
        sources = self._own_sources(found)
        columns = bind(engine, sources, self.project.folder)
        check_lead_columns(settings, columns[settings.source], str(self.project.file))
        check_list_columns(settings, columns, str(self.project.file))
        dates = settings.dates
        return Work(
            settings=settings,
            sources=sources,
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
            fingerprints={name: engine.fingerprint(view_name(name)) for name in sources},
        )

    def _own_sources(self, features: Sequence[FeatureFile]) -> dict[str, Source]:
        """Return the declared sources but those that only another case reads: its data make no other lead score."""
        settings, declared = self.settings, self.project.declared
        named = {settings.source, settings.people().source, *(f.source for f in features)}
        named |= {settings.owners.source} if settings.owners else set()
        others = {s.source for s in declared.funnel.stages.values()} if declared.funnel else set()
        return {name: source for name, source in declared.sources.items() if name in named or name not in others}

    def check(self, as_of: date | None = None) -> Checked:
        """Return the features after everything a run would need has been checked, without running it."""
        names = list(self.compiled(as_of).features)
        words = f"{len(names)} features compile to point in time: {', '.join(names)}"
        return Checked(words, {"features": names})

    def compiled(self, as_of: date | None = None) -> Compiled:
        """Return the compiled features after everything a run would need has been checked."""
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
            with self.remember_failure():
                work = self.work(engine, on)
                work.unstable = unstable(engine, work.sources, self.project.folder)
                spine = work.spine("spine")
                compiled = compile_features(work.files, _lagged(work), work.columns, spine, join_types=False)
                self._check_rules(work, compiled)
            version = version_of(self.project, work, on)
            engine.use(schema_of(version))
            work.champion = lambda: self._scored_by_champion(engine, work)
            run = run_of(self, engine, version, on)
            detail = {"inputs": dict(work.fingerprints), "code": code_digest(MODEL), "libraries": libraries()}
            return walk(lifecycle(work), run, self.ledger, self.clock, self.actor, watch, detail)

    def _check_rules(self, work: Work, compiled: Compiled) -> None:
        settings = work.settings
        scored = settings.population.source if settings.population else settings.source
        tiers_file = str(self.project.path("tiers.toml"))
        check_rule_columns(work.rules, compiled.features, work.columns[scored], tiers_file)

    def package(self, version: str) -> Package:
        """Return a version's package, its bytes checked against the digest the ledger recorded."""
        return packages.read(self.project.path("artifacts") / version, self.package_digest(version))

    def measured(self, version: str, on: date) -> list[Evidence]:
        """Return what the field says of the version by a day; who had converted is kept for the next look."""
        from foregate.app.leads.field import measured

        return measured(self, version, on)

    def replayed(self, version: str, on: date) -> Sequence[Evidence]:
        """Return what the monitor would have measured on a past day; leaves nothing behind."""
        from foregate.app.leads.field import measured_then

        return measured_then(self, version, on)

    def healthy(self, version: str, only: set[str], multiplier: float = 1.0) -> Healthy:
        """Return what the monitor of a version that keeps its promise, times `multiplier`, would measure in a year."""
        from foregate.app.leads.field import volume_of
        from foregate.modeling.healthy import simulate_year

        volume = volume_of(self, version)

        def year(seed: int) -> Any:
            return simulate_year(seed, volume, multiplier=multiplier, only=only)

        return Healthy(year, f"{volume.leads_per_day:.0f} leads a day at {volume.rate:.2%}")

    def _scored_by_champion(self, engine: DuckDB, work: Work) -> Champion | None:
        in_service = self.champion()
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
        settings, sources, queries, written, rules, inputs, as_of, seed, code_digest(MODEL), libraries(), length=10
    )


def _lagged(work: Work) -> dict[str, Any]:
    """Return the sources with a stand-in for lags that only a run can measure."""
    return {n: s.with_lag(0) if s.known_after == "measured" else s for n, s in work.sources.items()}
