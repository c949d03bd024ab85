"""Verbs on projects: start one, check it, see its SQL, play the demo, write the reference."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from foregate.cli.root import Cases, Day, Json, cli, console_of, data_by_case, day_of, every_app, leads_of, say

_DATA = {"leads": "leads", "funnel": "tables of stages", "prices": "prices"}


@cli.command()
def init(
    folder: Annotated[Path, typer.Argument(help="An empty folder.")] = Path(),
    case: Annotated[str, typer.Option("--case", help="What for: leads, funnel or prices.")] = "leads",
) -> None:
    """Write a fresh project: foregate.toml, and for leads tiers.toml and features/."""
    from foregate.app.starting import lay_project

    for path in lay_project(folder, case):
        typer.echo(path)
    data_folder, file = folder / "data", folder / "foregate.toml"
    say(f"next: put your {_DATA[case]} in {data_folder}, edit {file}, then foregate -C {folder} check")


@cli.command()
def check(context: typer.Context, case: Cases = None, as_of: Day = None, as_json: Json = False) -> None:
    """Check declarations, data and SQL as a run would, without running."""
    found = {app.model: app.check(day_of(as_of)) for app in every_app(context, case)}
    if as_json:
        data_by_case({model: checked.data for model, checked in found.items()})
        return
    for model, checked in found.items():
        say(f"fine: {checked.words}")
        say(f"next: foregate run {model}")


@cli.command()
def sql(
    context: typer.Context,
    dialect: Annotated[str, typer.Option(help="duckdb, postgres, spark or bigquery.")] = "duckdb",
    as_of: Day = None,
) -> None:
    """Print the compiled features: what was known at each lead's contact, as one statement."""
    typer.echo(leads_of(context).compiled(day_of(as_of)).sql(dialect))


@cli.command()
def demo(
    context: typer.Context,
    folder: Annotated[Path, typer.Option("--folder", help="Where to lay it.")] = Path("demo"),
    scale: Annotated[str, typer.Option(help="demo, or seeds: 76,859 leads and 1.57 M prospects.")] = "demo",
    trap: Annotated[str | None, typer.Option(help="Plant a fault: leak drift fanout type skew late-source.")] = None,
    signal: Annotated[bool, typer.Option(help="--no-signal: a world in which nothing can be learned.")] = True,
    seed: Annotated[int, typer.Option(help="The seed of the world.")] = 42,
    rollout: Annotated[
        bool, typer.Option("--rollout", help="Half a year: shadow, canary, a bad version rolled back by itself.")
    ] = False,
    picture: Annotated[Path | None, typer.Option(help="Also draw what is shown as an SVG.")] = None,
) -> None:
    """Lay a world of advisers with a known truth and take a model through it, to a list with its reasons."""
    console = console_of(record=picture is not None)
    if rollout:
        from foregate.app.leads.half_year import play as play_half_year

        code = play_half_year(folder, seed, console)
    else:
        from foregate.app.funnel.demo import play as play_funnel
        from foregate.app.leads.demo import play

        code = play(folder, scale, trap, seed, signal=signal, console=console)
        if trap is None and signal and scale == "demo":
            from foregate.app.prices.demo import play as play_prices

            code = max(code, play_funnel(folder / "funnel", seed, console))
            code = max(code, play_prices(folder / "prices", console))
    if picture is not None:
        from foregate.report.picture import svg

        picture.write_text(svg(console, "foregate demo"), encoding="utf-8")
    raise typer.Exit(code)


@cli.command()
def docs(folder: Annotated[Path, typer.Argument(help="Where the pages go.")] = Path("docs")) -> None:
    """Write the reference pages: every gate, setting and command, from the code itself."""
    from foregate.app.reference import pages

    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages(typer.main.get_command(cli)).items():
        (folder / name).write_text(text, encoding="utf-8")
        say(f"wrote {folder / name}")
