"""Issuing and watching: the forecast of a day written for good, and what forecasts written before have come to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

from foregate.app.forecaster import issue_age
from foregate.app.issued import Issued, events_of, in_trial, record, recorded, refuse_backdated
from foregate.app.opened import schema_of
from foregate.app.prices.today import Today, findings
from foregate.cases.prices import issues
from foregate.cases.prices.issues import Issue
from foregate.cases.prices.issuing import Kept, forecast_findings, keep_issue, stage_tables
from foregate.cases.prices.lifecycle import MODEL
from foregate.cases.prices.outcomes import Outcomes, issue_evidence, outcome_evidence, outcomes
from foregate.cases.prices.phases import issue as phase
from foregate.cases.prices.quotes import Market
from foregate.core.errors import DataError, ForegateError, NotAllowedError
from foregate.core.evidence import Evidence
from foregate.core.gate import Effect, Judgement, Result, judge
from foregate.lifecycle.store import holder_name
from foregate.modeling.measured import Measured, digest_of

if TYPE_CHECKING:
    from foregate.app.prices.case import Prices
    from foregate.cases.prices.packages import Package
    from foregate.cases.prices.settings import PricesSettings
    from foregate.warehouse.duckdb import DuckDB


def issue(app: Prices, as_of: date | None = None) -> list[Issued]:
    """Return the forecasts issued as of a day: by the version in service, and by the one that is tried in its shadow.

    The same version over the same data of the same day gives the same forecast, and writes nothing again. Raises
    NotAllowedError when nothing is in service, and whatever is wrong with its data; then nothing is issued. A version
    in its shadow that can not forecast does not keep the one in service from it: it issues nothing and says why.
    """
    on = app.day(as_of)
    versions = in_trial(app)
    refuse_backdated(app, on)
    with app.ledger.lease(MODEL, holder_name(app.actor)), app.warehouse() as engine:
        today = today_of(app, engine, on)
        found = [_issued(today, versions[0], shadow=False)]
        for version in versions[1:]:
            try:
                found.append(_issued(today, version, shadow=True))
            except ForegateError as error:
                found.append(Issued(version, "", on, repeated=False, shadow=True, refused=str(error)))
    return found


def _issued(today: Today, version: str, *, shadow: bool) -> Issued:
    """Return what a version has issued on the day; raises NotAllowedError for data that are not to forecast from."""
    package = today.app.package(version)
    if wrong := today.unsound(package.settings):
        then = "Bring or correct the data, or say --as-of a day before that; nothing was issued."
        raise NotAllowedError(f"forecast of {today.day} by {version}", **_told(wrong), then=then)
    kept = stage_today(today, package, shadow=shadow)
    new = record(today.app, version, kept.key, kept.digest, today.day)
    return Issued(version, kept.key, today.day, not new, shadow)


def today_of(app: Prices, engine: DuckDB, on: date) -> Today:
    """Return what is known on a day."""
    return Today(app, engine, app.work(engine, on))


def stage_today(today: Today, package: Package, *, shadow: bool) -> Kept:
    """Return the name and digest of a package's forecast of the day, kept for good and staged for readers.

    Raises NotAllowedError for one that a run would block on; then nothing is written.
    """
    found = package.forecast(today.market(package.settings))
    made = Measured(today.day, package.version)
    gates = [g for g in map(today.app.settings.moved, phase.GATES) if g.effect is Effect.BLOCK]
    wrong = [j for j in judge(gates, forecast_findings(made, found, package.settings)) if j.result is not Result.PASS]
    if wrong:
        then = "Run the project again, or roll back; nothing was issued."
        raise NotAllowedError(f"forecast of {today.day} by {package.version}", **_told(wrong), then=then)
    kept = keep_issue(package, found, today.app.project.folder)
    today.engine.use(schema_of(package.version))
    stage_tables(today.engine, package, found, kept.key, shadow=shadow)
    return kept


def stage_again(app: Prices, engine: DuckDB, version: str, on: date) -> None:
    """Stage the newest issue that the ledger records of a version, read from its files and never forecast anew.

    An issue whose bytes are not those that were written is passed over. Where none is left, the forecast as of `on` is
    made, written for good and recorded, so that readers see no forecast that the ledger does not name.
    """
    package = app.package(version)
    written = issues_of(app, version, app.clock().date(), damaged=[])
    if not written:
        kept = stage_today(today_of(app, engine, on), package, shadow=version != app.champion())
        record(app, version, kept.key, kept.digest, on)
        return
    newest = written[-1].forecast
    engine.use(schema_of(version))
    named = [e for e in events_of(app, version) if e.detail["as_of"] == newest.day.isoformat()][-1]
    shadow = bool(named.detail.get("shadow", False))
    stage_tables(engine, package, newest, str(named.detail["issue"]), shadow=shadow)


def refuse_unfit(today: Today, settings: PricesSettings) -> None:
    """Raise DataError naming what is wrong with the data of the day, as settings read them."""
    if wrong := today.unsound(settings):
        then = "Bring or correct the data, or say --as-of a day before that."
        raise DataError(f"prices as of {today.day}", **_told(wrong), then=then)


def _told(wrong: Sequence[Judgement]) -> dict[str, str]:
    """Return `found` and `wanted` of an error about gates: each by its label, in words."""
    return {
        "found": "; ".join(f"{j.label} {_said(j)}" for j in wrong),
        "wanted": "; ".join(f"{j.label} {j.gate.wanted()}" for j in wrong),
    }


def _said(judgement: Judgement) -> str:
    found = judgement.evidence
    return f"{found.value:g}{f' ({found.words})' if found.words else ''}" if found else judgement.words


def issues_of(
    app: Prices, version: str, until: date, since: date | None = None, damaged: list[str] | None = None
) -> list[Issue]:
    """Return what a version issued up to a day, the last of each day, oldest first; bytes are checked."""
    return recorded(app, version, until, since, damaged, read=issues.read)


def came_of(market: Market, settings: PricesSettings, written: Sequence[Issue]) -> list[Outcomes]:
    """Return what was issued by series and horizon beside what came by the market's day."""
    shift = {name: series.displacement for name, series in settings.series.items()}
    return outcomes(written, market, shift)


def measured(app: Prices, version: str, on: date) -> list[Evidence]:
    """Return what issued forecasts have come to by a day, and whether the data they are held against are sound."""
    package = app.package(version)
    with app.warehouse() as engine:
        today = today_of(app, engine, on)
        market = today.market(package.settings)
    made = Measured(on, digest_of(version, on, *sorted(today.work.fingerprints.items())))
    damaged: list[str] = []
    written = issues_of(app, version, on, damaged=damaged)
    promised = {key: one["mape"] for key, one in package.errors.items() if "mape" in one}
    came = outcome_evidence(made, came_of(market, package.settings, written), promised)
    age = issue_age(made, written[-1].forecast.day if written else None, len(written), on, len(damaged))
    lost = made.count("damaged_issues", len(damaged), len(written) + len(damaged), words="; ".join(damaged))
    sound = findings(made, market, package.settings)
    return [*came, *issue_evidence(made, written), *sound, age, lost]
