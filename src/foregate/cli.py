"""The command line: verbs without logic; data to stdout, everything else to stderr."""

from __future__ import annotations

import json
import os
import sys
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from foregate.app import App
    from foregate.core.folds import VersionState

cli = typer.Typer(
    help="Business models to production through gates, and back out in seconds.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
lists = typer.Typer(help="Build, explain and export the month's list.", no_args_is_help=True)
cli.add_typer(lists, name="list")

_Day = Annotated[datetime | None, typer.Option("--as-of", formats=["%Y-%m-%d"], help="The day whose knowledge counts.")]
_Json = Annotated[bool, typer.Option("--json", help="Data on stdout, nothing else.")]
_Strict = Annotated[bool, typer.Option("--strict", help="Exit with 3 where gates only warned.")]
_By = Annotated[str, typer.Option("--by", help="The name of the person who accepts.")]
_Reason = Annotated[str, typer.Option("--reason", help="Why; the ledger keeps it.")]
_Until = Annotated[datetime, typer.Option("--until", formats=["%Y-%m-%d"], help="The last day it holds.")]
_Version = Annotated[str | None, typer.Argument(help="A version, by its first letters; else the newest.")]
_Name = Annotated[str | None, typer.Option("--list", help="The list's name, as 2025_10; else the newest.")]


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


@cli.command()
def init(folder: Annotated[Path, typer.Argument(help="An empty folder.")] = Path()) -> None:
    """Write a fresh project: foregate.toml, tiers.toml, features/."""
    from foregate.app.starting import lay_project

    for path in lay_project(folder):
        typer.echo(path)
    _say(f"next: put your leads in {folder / 'data'}, edit {folder / 'foregate.toml'}, then foregate -C {folder} check")


@cli.command()
def check(context: typer.Context, as_of: _Day = None, as_json: _Json = False) -> None:
    """Check declarations, data and SQL as a run would, without running."""
    compiled = _app(context).check(_day(as_of))
    if as_json:
        _data({"features": list(compiled.features)})
        return
    _say(f"fine: {len(compiled.features)} features compile to point in time: {', '.join(compiled.features)}")
    _say("next: foregate run leads")


@cli.command()
def run(
    context: typer.Context,
    case: Annotated[str, typer.Argument(help="leads")] = "leads",
    as_of: _Day = None,
    as_json: _Json = False,
    strict: _Strict = False,
) -> None:
    """Walk a version through its phases and judge it by the gates."""
    from foregate.core.errors import ConfigurationError

    if case != "leads":
        raise ConfigurationError("case", found=repr(case), wanted="leads", then="`foregate run leads`")
    app = _app(context)
    with _watching(as_json) as watch:
        state = app.run(_day(as_of), watch)
    if as_json:
        _data(_version_data(state))
    else:
        _show_summary(state)
    raise typer.Exit(_exit_code(state, strict=strict))


@cli.command()
def status(context: typer.Context, as_json: _Json = False) -> None:
    """Say what is in service, and what each version waits for."""
    from foregate.core.folds import served

    app = _app(context)
    states, split = app.states(), served(e.event for e in app.entries())
    if as_json:
        _data({"served": dict(split), "versions": [_version_data(s) for s in states.values()]})
        return
    from foregate.report.log import next_step
    from foregate.report.terminal import next_line, registry_table

    console = _console()
    if not states:
        _say("no version yet; next: foregate run leads")
        return
    console.print("in service: " + (", ".join(f"{v} ({s:.0%})" for v, s in split.items()) or "nothing yet"))
    console.print(registry_table(states.values(), split))
    newest = list(states.values())[-1]
    if newest.version not in split:
        console.print(next_line(next_step(newest)))


@cli.command()
def log(
    context: typer.Context,
    write: Annotated[bool, typer.Option("--write", help="Write EXECUTION_LOG.md into the project.")] = False,
    as_json: _Json = False,
) -> None:
    """Render the execution log from the ledger."""
    from foregate.core.event import to_json
    from foregate.report.log import execution_log

    app = _app(context)
    entries = app.entries()
    if as_json:
        _data([json.loads(to_json(e.event)) | {"sequence": e.sequence, "digest": e.digest} for e in entries])
        return
    text = execution_log(entries, "leads", app.clock().date())
    if write:
        target = app.project.path("EXECUTION_LOG.md")
        target.write_text(text, encoding="utf-8")
        _say(f"wrote {target}")
    else:
        typer.echo(text)


@cli.command()
def show(
    context: typer.Context,
    version: _Version = None,
    phase: Annotated[str | None, typer.Option(help="Only this phase.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every measurement, not only the gates.")] = False,
    as_json: _Json = False,
) -> None:
    """Show a version's gates: found, wanted, and what happens otherwise."""
    state = _app(context).find(version)
    if as_json:
        _data(_version_data(state))
        return
    from foregate.report.terminal import gates_table

    _console().print(gates_table(state, phase, everything=everything))
    _show_summary(state)


@cli.command()
def compare(context: typer.Context, left: str, right: str, as_json: _Json = False) -> None:
    """Put two versions' numbers side by side."""
    app = _app(context)
    a, b = app.find(left), app.find(right)
    if as_json:
        _data([_version_data(a), _version_data(b)])
        return
    from foregate.report.terminal import compare_table

    _console().print(compare_table(a, b))
    same = all(a.evidence(n) == b.evidence(n) for n in ("test_start", "test_end"))
    _say(
        "the same test window"
        if same
        else "different test windows: the numbers do not compare; look at champion_auc_difference"
    )


@cli.command()
def promote(
    context: typer.Context,
    version: _Version = None,
    reason: Annotated[str, typer.Option("--reason", help="Why now.")] = "",
    as_json: _Json = False,
) -> None:
    """Put a version in service: move the pointer, then read through the readers' view."""
    from foregate.app.promotion import VIEW
    from foregate.app.promotion import promote as move

    state = move(_app(context), version, reason)
    if as_json:
        _data(_version_data(state))
        return
    _say(f"{state.version} is in service; readers see it through {VIEW}\nnext: foregate list build")


@cli.command()
def sign(context: typer.Context, version: str, by: _By, reason: _Reason, until: _Until) -> None:
    """Sign a version as it is."""
    from foregate.app.promotion import sign as accept

    state = accept(_app(context), version, by, reason, until.date())
    _say(f"{by} signed {state.version} until {until:%Y-%m-%d}; {len(state.signatures)} in all")


@cli.command()
def waive(context: typer.Context, version: str, gate: str, by: _By, reason: _Reason, until: _Until) -> None:
    """Accept one gate that asks for sign-off; a blocking gate can not be waived."""
    from foregate.app.promotion import waive as accept

    state = accept(_app(context), version, gate, by, reason, until.date())
    _show_summary(state)


@cli.command()
def sql(
    context: typer.Context,
    dialect: Annotated[str, typer.Option(help="duckdb, postgres, spark or bigquery.")] = "duckdb",
    as_of: _Day = None,
) -> None:
    """Print the compiled features: what was known at each lead's contact, as one statement."""
    typer.echo(_app(context).check(_day(as_of)).sql(dialect))


@lists.command("build")
def list_build(
    context: typer.Context,
    as_of: _Day = None,
    name: Annotated[str | None, typer.Option("--name", help="As 2025_11; else the month of the as-of date.")] = None,
    as_json: _Json = False,
) -> None:
    """Build the month's list with the version in service, exact to the place, with its waterfall."""
    from foregate.app.lists import build_list

    report = build_list(_app(context), _day(as_of), name)
    if as_json:
        expected, waterfall = report.built.expected.to_pylist(), report.built.waterfall.to_pylist()
        _data({"list": report.name, "digest": report.digest, "expected": expected, "waterfall": waterfall})
        return
    from foregate.report.terminal import expected_table, waterfall_table

    console = _console()
    console.print(waterfall_table(report.built.waterfall.to_pylist()))
    console.print()
    console.print(expected_table(report.built.expected.to_pylist()))
    again = ", the same bytes as before" if report.repeated else ""
    _say(f"list {report.name}: {report.built.people.num_rows:,} leads by {report.version}, {report.digest}{again}")
    _say("\n".join(f"  {path}" for path in report.files))
    first = report.built.people.column("person_id")[0].as_py()
    _say(f"next: foregate list explain {first}")


@lists.command("explain")
def list_explain(context: typer.Context, lead: str, name: _Name = None, as_json: _Json = False) -> None:
    """Say why a lead is on the list, or which rule kept it out."""
    from foregate.app.lists import explain_lead

    found = explain_lead(_app(context), lead, name)
    if as_json:
        _data(found)
        return
    from foregate.report.terminal import explanation

    _console().print(explanation(found))


@lists.command("export")
def list_export(
    context: typer.Context, target: Annotated[Path, typer.Argument(help="A .csv or .parquet file.")], name: _Name = None
) -> None:
    """Write the list as CSV or Parquet."""
    from foregate.app.lists import export_list

    _say(f"wrote {export_list(_app(context), target, name)}")


@cli.command()
def demo(
    context: typer.Context,
    folder: Annotated[Path, typer.Option("--folder", help="Where to lay it.")] = Path("demo"),
    scale: Annotated[str, typer.Option(help="demo, or seeds: 76,859 leads and 1.57 M prospects.")] = "demo",
    trap: Annotated[str | None, typer.Option(help="Plant a fault: leak drift fanout type skew late-source.")] = None,
    signal: Annotated[bool, typer.Option(help="--no-signal: a world in which nothing can be learned.")] = True,
    seed: Annotated[int, typer.Option(help="The seed of the world.")] = 42,
    picture: Annotated[Path | None, typer.Option(help="Also draw what is shown as an SVG.")] = None,
) -> None:
    """Lay a world of advisers with a known truth and take a model through it, to a list with its reasons."""
    from foregate.app.demo import play

    console = _console(record=picture is not None)
    code = play(folder, scale, trap, seed, signal=signal, console=console)
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
        _say(f"wrote {folder / name}")


def main() -> None:
    """Run the command line; an error a person can act on is one line on stderr and its exit code."""
    from foregate.core.errors import ForegateError

    try:
        cli()
    except ForegateError as error:
        typer.secho(f"error: {error}", err=True, fg=typer.colors.RED)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        typer.echo("stopped; the ledger says that the run broke off", err=True)
        sys.exit(130)


def _app(context: typer.Context) -> App:
    from foregate.app import App

    project, actor = context.obj
    return App(project, actor)


def _day(given: datetime | None) -> date | None:
    return given.date() if given else None


def _console(*, errors: bool = False, record: bool = False) -> Console:
    from rich.console import Console

    width = None if sys.stdout.isatty() else int(os.environ.get("COLUMNS", "160"))
    return Console(stderr=errors, width=width, highlight=False, record=record, force_terminal=record or None)


def _say(text: str) -> None:
    typer.echo(text, err=True)


def _data(value: Any) -> None:
    typer.echo(json.dumps(value, indent=1, default=str, ensure_ascii=False))


def _show_summary(state: VersionState) -> None:
    from foregate.report.terminal import summary

    _console().print(summary(state))


def _version_data(state: VersionState) -> dict[str, Any]:
    phases = {
        name: {
            "state": phase.state,
            "attempt": phase.attempt,
            "judgements": [asdict(j) | {"label": j.label} for j in phase.judged.judgements] if phase.judged else [],
            "evidence": [asdict(e) for e in phase.judged.evidence] if phase.judged else [],
        }
        for name, phase in state.phases.items()
    }
    return {"version": state.version, "state": state.state, "detail": dict(state.detail), "phases": phases}


def _exit_code(state: VersionState, *, strict: bool) -> int:
    from foregate.core.folds import PROMOTABLE, State

    if state.state not in PROMOTABLE:
        return 1
    return 3 if strict and state.state is not State.PASSED else 0


@contextmanager
def _watching(quiet: bool) -> Iterator[Any]:
    """Print a line per finished phase; on a terminal, show what the current one does."""
    from foregate.report.terminal import phase_line

    console = _console(errors=quiet)
    if not console.is_terminal:

        def tell(step: Any) -> None:
            if step.state is not None:
                console.print(phase_line(step.phase, step.state, step.seconds, step.judgements))

        yield tell
        return
    with console.status("reading") as spinner:

        def watch(step: Any) -> None:
            if step.state is None:
                spinner.update(f"{step.phase}: {step.does}")
            else:
                console.print(phase_line(step.phase, step.state, step.seconds, step.judgements))

        yield watch
