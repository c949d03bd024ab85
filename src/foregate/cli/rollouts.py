"""Verbs on rollouts: see the next step, take it, stop it, go back, rehearse, retire."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foregate.cli.root import (
    Case,
    Cases,
    Day,
    Json,
    Version,
    app_of,
    cli,
    console_of,
    data,
    day_of,
    every_app,
    say,
    target_of,
)

if TYPE_CHECKING:
    from foregate.app import App
    from foregate.lifecycle.moving import Outcome

Why = Annotated[str, typer.Option("--reason", help="Why; the ledger keeps it.")]
Key = Annotated[str, typer.Option("--key", help="A name for this command: given again, it is not done again.")]


@cli.command()
def plan(context: typer.Context, version: Version = None, as_of: Day = None, as_json: Json = False) -> None:
    """Show what `promote` would do now and how it would be judged; nothing is written."""
    from foregate.app.promotion import plan as preview
    from foregate.report.rollout import judged_table, next_words, plan_words, step_words, waiting, where

    app, named = target_of(context, version)
    found = preview(app, named, day_of(as_of))
    if as_json:
        data(_preview_data(found))
        return
    console = console_of()
    console.print(f"plan: {plan_words(app.plan())}")
    if found.rollout:
        console.print(where(found.rollout, app.clock()))
        console.print(f"waits for: {waiting(found.rollout, found.waits)}")
    step = (found.crossing.stage, found.crossing.share, found.version)
    console.print(next_words(*step, forecasts=app.forecasts))
    for line in step_words(*step, found.champion, _people(app), forecasts=app.forecasts):
        console.print(f"  {line}")
    console.print(judged_table(found.judgements))
    console.print(f"its gates today: {found.state}{f'; but {found.waits}' if found.waits else ''}")


@cli.command()
def promote(
    context: typer.Context,
    version: Version = None,
    reason: Why = "",
    as_of: Day = None,
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Take a version's rollout one step on: judged first, then moved, then read through the readers' view."""
    from foregate.app.promotion import promote as move

    app, named = target_of(context, version)
    _tell(app, move(app, named, reason, day_of(as_of), key), as_json=as_json)


@cli.command()
def rollback(
    context: typer.Context,
    version: Version = None,
    reason: Why = "",
    key: Key = "",
    withdraw: Annotated[bool, typer.Option("--withdraw", help="Leave nothing in service, if need be.")] = False,
    as_json: Json = False,
) -> None:
    """Serve the last good version again, at once: no gate and no metric but its intact bytes."""
    from foregate.app.promotion import rollback as back
    from foregate.core.rollout import Stage

    app, named = target_of(context, version)
    outcome = back(app, reason or "an operator asked", named, key=key, withdraw=withdraw)
    _tell(app, outcome, as_json=as_json)
    if outcome.rollout and outcome.rollout.stage is Stage.UNVERIFIED:
        raise typer.Exit(4)


@cli.command()
def hold(context: typer.Context, reason: Why, case: Case = None, key: Key = "", as_json: Json = False) -> None:
    """Stop the open rollout where it stands; traffic stays as it is."""
    from foregate.app.promotion import rollouts_of

    app = app_of(context, case)
    _tell(app, rollouts_of(app).hold(reason, key), as_json=as_json)


@cli.command()
def resume(context: typer.Context, reason: Why, case: Case = None, key: Key = "", as_json: Json = False) -> None:
    """Let a held rollout go on from where it was held."""
    from foregate.app.promotion import rollouts_of

    app = app_of(context, case)
    _tell(app, rollouts_of(app).resume(reason, key), as_json=as_json)


@cli.command()
def reject(context: typer.Context, reason: Why, case: Case = None, key: Key = "", as_json: Json = False) -> None:
    """End a rollout that has not touched traffic."""
    from foregate.app.promotion import rollouts_of

    app = app_of(context, case)
    _tell(app, rollouts_of(app).reject(reason, key), as_json=as_json)


@cli.command()
def sunset(context: typer.Context, version: str, reason: Why, key: Key = "", as_json: Json = False) -> None:
    """Pack a version away that nobody needs: its record stays, its tables go."""
    from foregate.app.promotion import sunset as retire

    app, named = target_of(context, version)
    _tell(app, retire(app, named or version, reason, key), as_json=as_json)


@cli.command()
def drill(context: typer.Context, version: Version = None, as_json: Json = False) -> None:
    """Rehearse promote and rollback on a copy, by the code that does it in earnest."""
    from foregate.app.promotion import drill as rehearse
    from foregate.core.gate import Result
    from foregate.report.rollout import judged_table

    judgements = rehearse(*target_of(context, version))
    if as_json:
        data([asdict(j) | {"label": j.label} for j in judgements])
    else:
        console_of().print(judged_table(judgements))
    raise typer.Exit(0 if all(j.result is Result.PASS for j in judgements) else 1)


@cli.command()
def reconcile(context: typer.Context, case: Cases = None, as_json: Json = False) -> None:
    """Finish or undo whatever a crash left open between the ledger and the readers."""
    from foregate.app.promotion import rollouts_of
    from foregate.core.rollout import Stage, rollouts

    done: list[str] = []
    unseen = False
    for app in every_app(context, case):
        done += rollouts_of(app).reconcile()
        unseen |= any(last.stage is Stage.UNVERIFIED for last in rollouts(app.entries())[-1:])
    if as_json:
        data({"done": done})
    else:
        for line in done or ["nothing is open: readers see what the ledger serves"]:
            say(line)
    raise typer.Exit(4 if unseen else 0)


def _tell(app: App, outcome: Outcome, *, as_json: bool) -> None:
    from foregate.report.rollout import where

    if as_json:
        data(outcome_data(outcome))
        return
    say(outcome.words)
    if outcome.rollout:
        console_of().print(where(outcome.rollout, app.clock()))


def outcome_data(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome as plain values."""
    rollout = outcome.rollout
    return {"moved": outcome.moved, "words": outcome.words, "rollout": rollout_data(rollout) if rollout else None}


def rollout_data(rollout: Any) -> dict[str, Any]:
    """Return a rollout as plain values."""
    names = ("began", "version", "champion", "stage", "share", "held_in", "criterion", "started_at", "entered")
    return {name: getattr(rollout, name) for name in names} | {"plan": asdict(rollout.plan), "is_open": rollout.is_open}


def _preview_data(found: Any) -> dict[str, Any]:
    return {
        "version": found.version,
        "champion": found.champion,
        "next": {"stage": found.crossing.stage, "share": found.crossing.share, "opens_at": found.crossing.opens_at},
        "waits": found.waits,
        "state": found.state,
        "judgements": [asdict(j) | {"label": j.label} for j in found.judgements],
    }


def _people(app: App) -> int:
    """Return how many people readers see now; 0 before the first release, and for forecasts, which have none."""
    if app.forecasts:
        return 0
    with app.warehouse() as engine:
        return engine.count(app.view) if engine.exists(app.view) else 0
