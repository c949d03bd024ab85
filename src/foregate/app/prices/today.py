"""One day's knowledge: the sources bound once, the market read once for all versions that read the same."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING

from foregate.cases.prices.exogenous_checks import exogenous_findings
from foregate.cases.prices.phases import features, quotes
from foregate.cases.prices.quote_checks import lag, row_findings, series_findings
from foregate.cases.prices.quotes import Market, read_quotes
from foregate.cases.prices.settings import check_series
from foregate.core.errors import DataError
from foregate.core.gate import Effect, Judgement, Result, judge
from foregate.modeling.measured import Measured, digest_of
from foregate.warehouse.binding import bind

if TYPE_CHECKING:
    from foregate.app.prices.case import Prices
    from foregate.cases.prices.settings import PricesSettings
    from foregate.cases.prices.work import Work
    from foregate.core.evidence import Evidence
    from foregate.warehouse.duckdb import DuckDB
    from foregate.warehouse.sources import Source

NOT_LOADED = ("stale_days",)


@dataclass
class Today:
    """What is known on the day of `work`, whose sources are readable in `engine`; versions share what is the same."""

    app: Prices
    engine: DuckDB
    work: Work
    found: list[tuple[PricesSettings, Market]] = field(default_factory=list)

    @property
    def day(self) -> date:
        """The day whose knowledge counts."""
        return self.work.as_of

    def market(self, settings: PricesSettings) -> Market:
        """Return the market as a version with these settings reads it.

        Raises DataError for a source or column that the version reads and that is not there any more.
        """
        for known, market in self.found:
            if known == settings:
                return market
        market = read_quotes(self.engine, settings, self._sources(settings), self.day)
        self.found.append((settings, market))
        return market

    def _sources(self, settings: PricesSettings) -> dict[str, Source]:
        """Return the sources that settings name, readable; those that the file's own prices do not name are bound."""
        declared, file = self.app.project.declared.sources, str(self.app.project.file)
        named = {s.source for s in settings.series.values()} | {e.source for e in settings.exogenous.values()}
        if gone := sorted(named - set(declared)):
            raise DataError(
                f"{file} [sources.{gone[0]}]",
                found="no such source",
                wanted="the source that a version in service or in trial reads",
                then="Declare it again, or promote a version that does not read it.",
            )
        sources = {name: declared[name] for name in sorted(named)}
        there = dict(self.work.columns)
        missing = {name: source for name, source in sources.items() if name not in there}
        there |= bind(self.engine, missing, self.app.project.folder)
        check_series(settings, sources, there, file)
        return sources

    def unsound(self, settings: PricesSettings) -> list[Judgement]:
        """Return what the gates on quotes and exogenous columns find wrong with the day's data, as settings read it.

        Those that block, and those on days that were not loaded; gates stand where the file has moved them.
        """
        made = Measured(self.day, digest_of(*sorted(self.work.fingerprints.items())))
        gates = {gate.evidence: self.app.settings.moved(gate) for gate in (*features.GATES, *quotes.GATES)}
        asked = [gate for gate in gates.values() if gate.effect is Effect.BLOCK or gate.evidence in NOT_LOADED]
        judged = judge(asked, findings(made, self.market(settings), settings))
        return [j for j in judged if j.result not in (Result.PASS, Result.NOT_RUN)]


def findings(made: Measured, market: Market, settings: PricesSettings) -> list[Evidence]:
    """Return what the checks of quotes and of exogenous columns find in a market."""
    found: list[Evidence] = []
    for name, declared in settings.series.items():
        one = market.quotes[name]
        found += [*row_findings(made, name, one.rows), lag(made, name, one)]
        found += series_findings(made, name, one, declared)
    return [*found, *exogenous_findings(made, market, settings)]
