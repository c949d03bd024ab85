"""Prices, opened: what their run needs, how a version is walked, what it issues, what the monitor measures."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from foregate.app.forecaster import Forecaster
from foregate.app.issued import remember
from foregate.app.opened import Checked, Healthy, code_digest, libraries, run_of, schema_of
from foregate.cases.prices import packages
from foregate.cases.prices.lifecycle import MODEL, check_names, lifecycle
from foregate.cases.prices.origins import sealed_window
from foregate.cases.prices.settings import PricesSettings, check_series
from foregate.cases.prices.views import PRODUCTION
from foregate.cases.prices.work import InService, Work
from foregate.core.errors import ConfigurationError, DataError
from foregate.lifecycle.store import holder_name
from foregate.lifecycle.walk import Step, Watch, walk
from foregate.warehouse.binding import bind, unstable
from foregate.warehouse.sources import view_name

if TYPE_CHECKING:
    from foregate.app.issued import Issued
    from foregate.app.prices.service import PricesService
    from foregate.cases.prices.packages import Package
    from foregate.core.evidence import Evidence
    from foregate.core.folds import VersionState
    from foregate.warehouse.duckdb import DuckDB


class Prices(Forecaster):
    """The price forecast of a project."""

    model, view = MODEL, PRODUCTION
    telling = ("issued_mae_ratio", "issued_coverage_95", "days_since_issue")

    @property
    def settings(self) -> PricesSettings:
        """The project's prices."""
        found = self.project.declared.prices
        if found is None:
            raise ConfigurationError(
                str(self.project.file), found="no [prices]", wanted="a case to run", then="Declare it."
            )
        return found

    def service(self, as_of: date | None = None) -> PricesService:
        """Return what a rollout moves, its evidence from issued forecasts read as of a day, else today."""
        from foregate.app.prices.service import PricesService

        return PricesService(self, as_of)

    def work(self, engine: DuckDB, as_of: date) -> Work:
        """Return a run's declarations with the sources readable; raises what is wrong with them."""
        settings, declared = self.settings, self.project.declared
        check_names(settings)
        named = {one.source for one in settings.series.values()} | {one.source for one in settings.exogenous.values()}
        sources = {name: source for name, source in declared.sources.items() if name in named}
        there = bind(engine, sources, self.project.folder)
        check_series(settings, declared.sources, there, str(self.project.file))
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
        """Return the series and their days after everything a run would need has been checked, without running it.

        Raises DataError for data that the run would stop at.
        """
        from foregate.app.prices.issuing import refuse_unfit, today_of

        on = self.day(as_of)
        with self.warehouse() as engine:
            today = today_of(self, engine, on)
            refuse_unfit(today, self.settings)
            market = today.market(self.settings)
        told = [
            f"{name}: {len(one):,} days to {one.days[-1]}, {one.price[-1]:,.2f} {self.settings.series[name].unit}"
            for name, one in market.quotes.items()
        ]
        days = {name: len(one) for name, one in market.quotes.items()}
        return Checked("; ".join(told), {"days": days, "exogenous": list(market.exogenous)})

    def run(self, as_of: date | None = None, watch: Watch = lambda _step: None) -> VersionState:
        """Return the state of the version these declarations and data make, after walking it through its phases."""
        from foregate.app.prices.issuing import today_of

        on = self.day(as_of)
        with self.ledger.lease(MODEL, holder_name(self.actor)), self.warehouse() as engine:
            watch(Step("sources", "Reads the prices' sources and takes their fingerprints."))
            with self.remember_failure():
                today = today_of(self, engine, on)
                work, work.found_market = today.work, today.market(self.settings)
                work.window = sealed_window(work.market, self.settings)
                work.unstable = unstable(engine, work.sources, self.project.folder)
            version = self._version_of(work)
            engine.use(schema_of(version))
            work.champion = lambda: self._in_service(engine, work)
            detail = {"inputs": dict(work.fingerprints), "code": code_digest(MODEL), "libraries": libraries()}
            run = run_of(self, engine, version, on)
            state = walk(lifecycle(work, work.window), run, self.ledger, self.clock, self.actor, watch, detail)
        remember(self, state)
        return state

    def _in_service(self, engine: DuckDB, work: Work) -> InService | None:
        """Return the version in service with the market as it reads it on the day of a run, or None."""
        from foregate.app.prices.today import Today

        version = self.champion()
        if version is None:
            return None
        package = self.package(version)
        try:
            return InService(package, Today(self, engine, work).market(package.settings))
        except DataError as error:
            # What is gone for good must not keep the version that does without it from being judged.
            return InService(package, None, str(error))

    def package(self, version: str) -> Package:
        """Return a version's package, its bytes checked against the digest the ledger recorded."""
        return packages.read(self.project.path("artifacts") / version, self.package_digest(version))

    def issue(self, as_of: date | None = None) -> list[Issued]:
        """Return the forecasts issued as of a day, by the version in service and the one tried in its shadow."""
        from foregate.app.prices.issuing import issue

        return issue(self, as_of)

    def measured(self, version: str, on: date) -> list[Evidence]:
        """Return what the forecasts that were issued have come to by a day."""
        from foregate.app.prices.issuing import measured

        return measured(self, version, on)

    def healthy(self, version: str, only: set[str], multiplier: float = 1.0) -> Healthy:
        """Return what the monitor of a version whose forecasts hold, moves times `multiplier`, measures in a year."""
        from foregate.app.prices.healthy import healthy

        return healthy(self, version, only, multiplier)
