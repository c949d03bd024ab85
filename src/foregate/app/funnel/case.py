"""The funnel, opened: what its run needs, how a version is walked, what it issues, what the monitor measures."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from foregate.app.forecaster import Forecaster
from foregate.app.funnel.soundness import said, unsound
from foregate.app.funnel.today import Today
from foregate.app.opened import Checked, Healthy, code_digest, libraries, run_of, schema_of
from foregate.cases.funnel import packages
from foregate.cases.funnel.lifecycle import MODEL, check_names, lifecycle
from foregate.cases.funnel.origins import days_of
from foregate.cases.funnel.settings import FunnelSettings, check_stages
from foregate.cases.funnel.views import PRODUCTION
from foregate.cases.funnel.work import Work
from foregate.core.errors import ConfigurationError, DataError
from foregate.lifecycle.store import holder_name
from foregate.lifecycle.walk import Step, Watch, walk
from foregate.warehouse.binding import bind, unstable
from foregate.warehouse.sources import view_name

if TYPE_CHECKING:
    from foregate.app.funnel.service import FunnelService
    from foregate.app.issued import Issued
    from foregate.cases.funnel.packages import Package
    from foregate.core.evidence import Evidence
    from foregate.core.folds import VersionState
    from foregate.warehouse.duckdb import DuckDB


class Funnel(Forecaster):
    """The funnel forecast of a project."""

    model, view = MODEL, PRODUCTION
    telling = ("issued_bias", "issued_loss_ratio", "issued_coverage_95", "days_since_issue")

    @property
    def settings(self) -> FunnelSettings:
        """The project's funnel."""
        found = self.project.declared.funnel
        if found is None:
            raise ConfigurationError(
                str(self.project.file), found="no [funnel]", wanted="a case to run", then="Declare it."
            )
        return found

    def service(self, as_of: date | None = None) -> FunnelService:
        """Return what a rollout moves, its evidence from issued forecasts read as of a day, else today."""
        from foregate.app.funnel.service import FunnelService

        return FunnelService(self, as_of)

    def work(self, engine: DuckDB, as_of: date) -> Work:
        """Return a run's declarations with the stages' sources readable; raises what is wrong with them."""
        settings, declared = self.settings, self.project.declared
        check_names(settings)
        named = {stage.source for stage in settings.stages.values()}
        sources = {name: source for name, source in declared.sources.items() if name in named}
        there = bind(engine, sources, self.project.folder)
        check_stages(settings, sources, there, str(self.project.file))
        return Work(
            settings=settings,
            sources=sources,
            columns=there,
            folder=self.project.folder,
            fingerprints={name: engine.fingerprint(view_name(name)) for name in sources},
            as_of=as_of,
            seed=declared.seed,
        )

    def check(self, as_of: date | None = None) -> Checked:
        """Return the stages and series after everything a run would need has been checked, without running it.

        Raises what is wrong with the declarations, and DataError naming what the gates of the events phase block on.
        """
        on = self.day(as_of)
        with self.warehouse() as engine:
            today = Today(engine, self.work(engine, on))
            found = today.events(today.work.settings)
            wrong = unsound(today, today.work.settings, today.work.settings)
        if wrong:
            then = f"Mend the data: these gates block `foregate run {MODEL}`, and nobody can accept them."
            raise DataError(f"events known by {on}", **said(wrong), then=then)
        counts = {name: len(one) for name, one in found.stages.items()}
        told = ", ".join(f"{n:,} {name}" for name, n in counts.items())
        words = f"{told} in {len(found.series)} series of {len(found.segment_names)} segments by {on}"
        return Checked(words, {"events": counts, "series": [str(one) for one in found.series]})

    def run(self, as_of: date | None = None, watch: Watch = lambda _step: None) -> VersionState:
        """Return the state of the version these declarations and data make, after walking it through its phases."""
        from foregate.app.issued import remember

        on = self.day(as_of)
        with self.ledger.lease(MODEL, holder_name(self.actor)), self.warehouse() as engine:
            watch(Step("sources", "Reads the stages' sources and takes their fingerprints."))
            with self.remember_failure():
                work = self.work(engine, on)
                work.unstable = unstable(engine, work.sources, self.project.folder)
            version = self._version_of(work)
            engine.use(schema_of(version))
            work.champion = self._in_service
            detail = {"inputs": dict(work.fingerprints), "code": code_digest(MODEL), "libraries": libraries()}
            window = days_of(on, work.settings).window
            run = run_of(self, engine, version, on)
            state = walk(lifecycle(work, window), run, self.ledger, self.clock, self.actor, watch, detail)
        remember(self, state)
        return state

    def _in_service(self) -> Package | None:
        version = self.champion()
        return self.package(version) if version else None

    def package(self, version: str) -> Package:
        """Return a version's package, its bytes checked against the digest the ledger recorded."""
        return packages.read(self.project.path("artifacts") / version, self.package_digest(version))

    def issue(self, as_of: date | None = None) -> list[Issued]:
        """Return the forecasts issued as of a day, by the version in service and the one tried in its shadow."""
        from foregate.app.funnel.issuing import issue

        return issue(self, as_of)

    def measured(self, version: str, on: date) -> list[Evidence]:
        """Return what the forecasts that were issued have come to by a day."""
        from foregate.app.funnel.issuing import measured

        return measured(self, version, on)

    def healthy(self, version: str, only: set[str], multiplier: float = 1.0) -> Healthy:
        """Return what the monitor of a version whose forecasts hold, times `multiplier`, would measure in a year."""
        from foregate.app.funnel.issuing import healthy

        return healthy(self, version, only, multiplier)
