"""Verbs on lists: build, explain, export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from foregate.cli.root import Day, Json, ListName, console_of, data, day_of, leads_of, lists, say


@lists.command("build")
def list_build(
    context: typer.Context,
    as_of: Day = None,
    name: Annotated[str | None, typer.Option("--name", help="As 2025_11; else the month of the as-of date.")] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Build anew a list that another version had built before.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Build the month's list with the version in service, exact to the place, with its waterfall."""
    from foregate.app.leads.lists import build_list

    report = build_list(leads_of(context), day_of(as_of), name, replace=replace)
    if as_json:
        expected, waterfall = report.built.expected.to_pylist(), report.built.waterfall.to_pylist()
        data({"list": report.name, "digest": report.digest, "expected": expected, "waterfall": waterfall})
        return
    from foregate.report.terminal import expected_table, waterfall_table

    console = console_of()
    console.print(waterfall_table(report.built.waterfall.to_pylist()))
    console.print()
    console.print(expected_table(report.built.expected.to_pylist()))
    again = ", as it was built before; --replace builds it anew" if report.repeated else ""
    say(f"list {report.name}: {report.built.people.num_rows:,} leads by {report.version}, {report.digest}{again}")
    say("\n".join(f"  {path}" for path in report.files))
    first = report.built.people.column("person_id")[0].as_py()
    say(f"next: foregate list explain {first}")


@lists.command("explain")
def list_explain(context: typer.Context, lead: str, name: ListName = None, as_json: Json = False) -> None:
    """Say why a lead is on the list, or which rule kept it out."""
    from foregate.app.leads.lists import explain_lead

    found = explain_lead(leads_of(context), lead, name)
    if as_json:
        data(found)
        return
    from foregate.report.terminal import explanation

    console_of().print(explanation(found))


@lists.command("export")
def list_export(
    context: typer.Context,
    target: Annotated[Path, typer.Argument(help="A .csv or .parquet file.")],
    name: ListName = None,
) -> None:
    """Write the list as CSV or Parquet."""
    from foregate.app.leads.lists import export_list

    say(f"wrote {export_list(leads_of(context), target, name)}")
