"""Verbs that watch: look at the field, see alerts, silence one, replay rules, count their false alarms."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foregate.cli.root import (
    By,
    Case,
    Cases,
    Day,
    Json,
    Reason,
    Until,
    alerts,
    app_of,
    cli,
    console_of,
    data,
    data_by_case,
    day_of,
    every_app,
    say,
)

if TYPE_CHECKING:
    from foregate.app import App
    from foregate.app.monitoring import Watch

_EVERY = re.compile(r"^(\d+)([smhd])$")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
From = Annotated[datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="Measure anew from this day on.")]
To = Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Up to this day; else today.")]


@cli.command()
def monitor(
    context: typer.Context,
    case: Cases = None,
    as_of: Day = None,
    every: Annotated[str, typer.Option("--every", help="Look again after so long, as 1d or 6h, for ever.")] = "",
    as_json: Json = False,
) -> None:
    """Look at the version in service: matured outcomes, drift, data; write alerts; act where the project says so."""
    from foregate.app.monitoring import monitor as look

    pause = _seconds(every)
    while True:
        apps = _in_service(every_app(context, case))
        looks = [(app, look(app, day_of(as_of))) for app in apps]
        if as_json:
            data_by_case({app.model: _watch_data(found) for app, found in looks})
        else:
            for app, found in looks:
                _show(found, app.telling)
        if not pause:
            break
        time.sleep(pause)
    loud = any(a.event and a.event.detail.get("severity") == "critical" for _, w in looks for a in w.alerts.values())
    raise typer.Exit(1 if loud else 0)


def _in_service(apps: list[App]) -> list[App]:
    """Return the cases with a version in service; all of them where none has, so that the monitor says so."""
    return [app for app in apps if app.champion()] or apps[:1]


@alerts.command("show")
def show_alerts(context: typer.Context, case: Case = None, as_json: Json = False) -> None:
    """Show where every rule stands for the version in service."""
    from foregate.app.alerts import rows_of
    from foregate.report.rollout import alerts_table

    rows = rows_of(app_of(context, case))
    if as_json:
        data(rows)
    elif rows:
        console_of().print(alerts_table(rows))
    else:
        say("the monitor has not looked yet; next: foregate monitor")


@alerts.command("silence")
def silence_rule(context: typer.Context, rule: str, by: By, reason: Reason, until: Until, case: Case = None) -> None:
    """Keep a rule from telling anyone and from acting, until a day."""
    from foregate.app.alerts import silence

    event = silence(app_of(context, case), rule, by, reason, until.date())
    say(event.sentence())


@alerts.command("replay")
def replay_rules(
    context: typer.Context, case: Case = None, first: From = None, last: To = None, as_json: Json = False
) -> None:
    """Show what today's rules would have told over past days."""
    from foregate.app.alerts import replayed

    looks, found = replayed(app_of(context, case), day_of(first), day_of(last))
    if as_json:
        data([t._asdict() for t in found])
        return
    for t in found:
        typer.echo(f"{t.day}  {t.what:<9} {t.rule}{' (muted by another)' if t.muted else ''}")
    say(f"{len(found)} transitions in {looks} looks of the version in service")


@alerts.command("budget")
def budget_rules(
    context: typer.Context,
    case: Case = None,
    runs: Annotated[int, typer.Option("--runs", min=1, help="Simulated years.")] = 100,
    rate: Annotated[
        float,
        typer.Option(
            "--rate",
            min=0.0,
            max=2.0,
            help="What comes over what was promised (conversions, counts, moves): 1 healthy.",
        ),
    ] = 1.0,
    as_json: Json = False,
) -> None:
    """Count the alerts a healthy model would cause at this project's volume, by simulation."""
    from foregate.app.alerts import budgeted

    noise, at_volume = budgeted(app_of(context, case), runs, rate)
    if as_json:
        data([asdict(n) for n in noise])
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for head in ("rule", "severity", "alerts a month [95 %]", "a year [95 %]", "years with one"):
        table.add_column(head)
    for n in noise:
        month, year = (f"{e.value:.2f} [{e.low:.2f}, {e.high:.2f}]" for e in (n.per_month, n.per_year))
        share = f"{n.share_of_runs.value:.0%} [{n.share_of_runs.low:.0%}, {n.share_of_runs.high:.0%}]"
        table.add_row(n.rule or "all together", n.severity, month, year, share)
    words = (
        "keeps its promise: every alert is a false one"
        if rate == 1
        else f"is off: {rate:g} times what it promised comes"
    )
    console = console_of()
    console.print(f"{runs} simulated years of a model that {words}; {at_volume}")
    console.print(table)


def _show(found: Watch, telling: Sequence[str]) -> None:
    from rich.markup import escape

    from foregate.report.words import number

    console = console_of()
    same = " (the same as the last look: nothing was written)" if found.repeated and not found.told else ""
    console.print(f"{found.version} as of {found.as_of}: {len(found.evidence)} measurements{same}")
    for name in telling:
        for e in found.evidence:
            if e.name == name:
                console.print(f"  {escape(e.label):<24} {number(e)}  [dim]{escape(e.words)}[/dim]")
    for event in found.told:
        console.print(f"  {event.sentence()}")
    for action in found.actions:
        console.print(f"  [bold]{action}[/bold]")
    for delivery in found.deliveries:
        if delivery.error:
            say(f"  {delivery.sink} could not be told, {delivery.waiting} alerts wait: {delivery.error}")
    open_ones = ", ".join(sorted(found.alerts)) or "none"
    console.print(f"open alerts: {open_ones}")


def _watch_data(found: Watch) -> dict[str, Any]:
    return {
        "version": found.version,
        "as_of": found.as_of,
        "evidence": [asdict(e) for e in found.evidence],
        "alerts": sorted(found.alerts),
        "told": [e.sentence() for e in found.told],
        "actions": list(found.actions),
        "deliveries": [asdict(d) for d in found.deliveries],
        "repeated": found.repeated,
    }


def _seconds(every: str) -> int:
    from foregate.core.errors import ConfigurationError

    if not every:
        return 0
    found = _EVERY.match(every)
    if not found or not int(found[1]):
        raise ConfigurationError("--every", found=repr(every), wanted="a time as 30m, 6h or 1d", then="Correct it.")
    return int(found[1]) * _SECONDS[found[2]]
