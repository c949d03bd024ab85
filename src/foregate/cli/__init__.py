"""The command line: verbs without logic; data to stdout, everything else to stderr."""

from __future__ import annotations

import sys

import typer

from foregate.cli import forecasts, lists, projects, rollouts, versions, watching
from foregate.cli.root import cli

__all__ = ["cli", "forecasts", "lists", "main", "projects", "rollouts", "versions", "watching"]


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
