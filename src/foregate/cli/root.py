"""The root of the command line: its options, and how a verb opens the project and speaks."""

from __future__ import annotations

import json
import math
import os
import sys
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from foregate.app import App
    from foregate.app.choosing import Chosen
    from foregate.app.leads import Leads

cli = typer.Typer(
    help="Business models to production through gates, and back out in seconds.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
lists = typer.Typer(help="Build, explain and export the month's list.", no_args_is_help=True)
cli.add_typer(lists, name="list")
alerts = typer.Typer(help="See, silence, replay and budget the alert rules.", no_args_is_help=True)
cli.add_typer(alerts, name="alerts")

Day = Annotated[datetime | None, typer.Option("--as-of", formats=["%Y-%m-%d"], help="The day whose knowledge counts.")]
Json = Annotated[bool, typer.Option("--json", help="Data on stdout, nothing else.")]
Strict = Annotated[bool, typer.Option("--strict", help="Exit with 3 where gates only warned.")]
By = Annotated[str, typer.Option("--by", help="The name of the person who accepts.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; the ledger keeps it.")]
Until = Annotated[datetime, typer.Option("--until", formats=["%Y-%m-%d"], help="The last day it holds.")]
Version = Annotated[
    str | None, typer.Argument(help="A version, by its first letters, or a case for its newest; else the newest.")
]
Case = Annotated[str | None, typer.Argument(help="A case, as leads; else the project's only one.")]
Cases = Annotated[str | None, typer.Argument(help="A case, as leads; else every one of the project.")]
ListName = Annotated[str | None, typer.Option("--list", help="The list's name, as 2025_10; else the newest.")]


@cli.callback()
def options(
    context: typer.Context,
    project: Annotated[
        Path, typer.Option("--project", "-C", envvar="FOREGATE_PROJECT", help="The project's folder.")
    ] = Path(),
    actor: Annotated[
        str | None, typer.Option("--actor", envvar="FOREGATE_ACTOR", help="Who acts; else the login.")
    ] = None,
) -> None:
    """Take business models to production through gates, and back out in seconds."""
    context.obj = (project, actor)


def app_of(context: typer.Context, case: str | None = None) -> App:
    """Return the case that is named, or the project's only one, opened."""
    return target_of(context, case).app


def target_of(context: typer.Context, target: str | None) -> Chosen:
    """Return the case that a target means, opened, and the version if it named one: a case's name, or a version."""
    from foregate.app import chosen

    project, actor = context.obj
    return chosen(project, actor, target)


def every_app(context: typer.Context, case: str | None = None) -> list[App]:
    """Return the case that is named, or every one that the project declares, opened."""
    from foregate.app import apps_of

    project, actor = context.obj
    return [app_of(context, case)] if case else apps_of(project, actor)


def leads_of(context: typer.Context) -> Leads:
    """Return the project's lead scores, opened; raises ConfigurationError when it declares none."""
    found: Any = app_of(context, "leads")
    return found  # type: ignore[no-any-return]


def day_of(given: datetime | None) -> date | None:
    """Return the day of an option."""
    return given.date() if given else None


def console_of(*, errors: bool = False, record: bool = False) -> Console:
    """Return a console: as wide as the terminal, or as COLUMNS says where there is none."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else int(os.environ.get("COLUMNS", "160"))
    return Console(stderr=errors, width=width, highlight=False, record=record, force_terminal=record or None)


def say(text: str) -> None:
    """Tell a person, on stderr."""
    typer.echo(text, err=True)


def data(value: Any) -> None:
    """Print data as JSON on stdout; a number that is none (not told, not finite) is null."""
    typer.echo(json.dumps(_finite(value), indent=1, default=str, ensure_ascii=False, allow_nan=False))


def data_by_case(found: dict[str, Any]) -> None:
    """Print data as JSON: as it is for one case, by case for several."""
    data(next(iter(found.values())) if len(found) == 1 else found)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
