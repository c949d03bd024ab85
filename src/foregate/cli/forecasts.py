"""Verbs on forecasts: issue one; show what one says."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from foregate.cli.root import Case, Day, Json, app_of, cli, console_of, data, day_of, every_app, say
from foregate.core.errors import NotAllowedError

if TYPE_CHECKING:
    from foregate.app.funnel import Funnel
    from foregate.app.opened import App
    from foregate.app.prices import Prices
    from foregate.core.folds import VersionState


@cli.command()
def forecast(context: typer.Context, case: Case = None, as_of: Day = None, as_json: Json = False) -> None:
    """Issue the forecast of a day with the version in service, once and for all; the views serve it."""
    app: Any = _forecaster(context, case)
    issued = app.issue(day_of(as_of))
    if as_json:
        data([asdict(one) for one in issued])
        return
    for one in issued:
        if one.refused:
            say(f"{one.version} issued nothing in its shadow: {one.refused}")
            continue
        again = ", as it was issued before: nothing was written" if one.repeated else ""
        shadow = " in its shadow" if one.shadow else ""
        say(f"{one.version} issued {one.key}{shadow}{again}")
    if app.model == "prices":
        _told_prices(app, issued[0].version)
    else:
        _told_funnel(app, issued[0].version)


def _forecaster(context: typer.Context, case: str | None) -> App:
    """Return the case that is meant: the one named, else the only one of the project that forecasts."""
    if case is not None:
        app = app_of(context, case)
    else:
        apps = [one for one in every_app(context, None) if one.forecasts]
        app = apps[0] if len(apps) == 1 else app_of(context, None)
    if not app.forecasts:
        raise NotAllowedError(
            f"forecast {app.model}",
            found="a case that issues no forecasts",
            wanted="funnel or prices",
            then="Name one of them.",
        )
    return app


def _told_funnel(app: Any, version: str) -> None:
    from foregate.app.funnel.outlook import outlook
    from foregate.report.forecast import outlook_table

    told = outlook(app, version)
    console_of().print(outlook_table(told.sums, told.days, told.first))
    say("read it in the warehouse: bi.forecast_for_bi by day, bi.forecast_by_period by week, month and quarter")


def _told_prices(app: Any, version: str) -> None:
    from foregate.app.prices.outlook import outlook
    from foregate.report.prices import price_table

    console_of().print(price_table(outlook(app, version).told))
    say("read it in the warehouse: bi.price_forecast by horizon, bi.price_weights by expert")


def show_prices(app: Prices, state: VersionState, picture: Path | None) -> None:
    """Print what a version forecasts, its weights, its skill and what can not be forecast; draw fan and weights."""
    from foregate.app.prices.outlook import outlook
    from foregate.cli.pictures import draw_prices
    from foregate.report.prices import plain_words, price_table, rule_table, skill_table, weight_table

    console = console_of()
    measured = list(state.measured())
    rows: list[dict[str, Any]] = []
    try:
        told = outlook(app, state.version, past_weights=picture is not None)
    except NotAllowedError as error:
        say(str(error))
    else:
        rows = told.told
        console.print(price_table(rows))
        console.print()
        console.print(weight_table(rows))
        if picture is not None:
            draw_prices(app, told, picture)
    for table in (rule_table(measured), skill_table(measured)):
        console.print()
        console.print(table)
    console.print()
    for sentence in plain_words(measured, rows):
        console.print(sentence, markup=False)


def show_funnel(app: Funnel, state: VersionState, picture: Path | None) -> None:
    """Print what a version forecasts, how its candidates raced, and what the sealed origins said; draw the fan."""
    from foregate.app.funnel.outlook import outlook
    from foregate.cli.pictures import draw_funnel
    from foregate.report.forecast import outlook_table, race_table, sealed_table

    console = console_of()
    measured = list(state.measured())
    try:
        told = outlook(app, state.version)
    except NotAllowedError as error:
        say(str(error))
    else:
        console.print(outlook_table(told.sums, told.days, told.first))
        if picture is not None:
            draw_funnel(app, told, picture)
    console.print()
    console.print(race_table(measured))
    for e in measured:
        if e.name == "chosen":
            console.print(f"{e.subject}: {e.words}", markup=False)
    console.print()
    console.print(sealed_table(measured))
