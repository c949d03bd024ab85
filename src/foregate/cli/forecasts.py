"""Verbs on forecasts: issue one; show what one says."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from foregate.cli.root import Case, Day, Json, app_of, cli, console_of, data, day_of, say

if TYPE_CHECKING:
    from foregate.app.funnel import Funnel
    from foregate.core.folds import VersionState


@cli.command()
def forecast(context: typer.Context, case: Case = None, as_of: Day = None, as_json: Json = False) -> None:
    """Issue the forecast of a day with the version in service, once and for all; the views serve it."""
    from foregate.app.funnel.issuing import issue
    from foregate.app.funnel.outlook import outlook
    from foregate.report.forecast import outlook_table

    app: Any = app_of(context, case or "funnel")
    issued = issue(app, day_of(as_of))
    if as_json:
        data([asdict(one) for one in issued])
        return
    for one in issued:
        again = ", as it was issued before: nothing was written" if one.repeated else ""
        shadow = " in its shadow" if one.shadow else ""
        say(f"{one.version} issued {one.key}{shadow}{again}")
    told = outlook(app, issued[0].version)
    console_of().print(outlook_table(told.sums, told.days, told.first))
    say("read it in the warehouse: bi.forecast_for_bi by day, bi.forecast_by_period by week, month and quarter")


def show_funnel(app: Funnel, state: VersionState, picture: Path | None) -> None:
    """Print what a version forecasts, how its candidates raced, and what the sealed origins said; draw the fan."""
    from foregate.app.funnel.outlook import outlook
    from foregate.core.errors import NotAllowedError
    from foregate.report.forecast import draw, fan_chart, outlook_table, race_table, sealed_table

    console = console_of()
    measured = list(state.measured())
    try:
        told = outlook(app, state.version)
    except NotAllowedError as error:
        say(str(error))
    else:
        console.print(outlook_table(told.sums, told.days, told.first))
        if picture is not None:
            draw(fan_chart(told.weeks, f"{app.project.declared.name}: {told.version} as of {told.as_of}"), picture)
            say(f"drew {picture}")
    console.print()
    console.print(race_table(measured))
    for e in measured:
        if e.name == "chosen":
            console.print(f"{e.subject}: {e.words}", markup=False)
    console.print()
    console.print(sealed_table(measured))
