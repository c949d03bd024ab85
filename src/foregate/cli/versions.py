"""Verbs on versions: run, look at, accept, promote."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foregate.cli.root import (
    By,
    Case,
    Cases,
    Day,
    Json,
    Reason,
    Strict,
    Until,
    Version,
    app_of,
    cli,
    console_of,
    data,
    data_by_case,
    day_of,
    every_app,
    say,
    target_of,
)

if TYPE_CHECKING:
    from foregate.app import App
    from foregate.core.folds import VersionState
    from foregate.core.rollout import Rollout


@cli.command()
def run(
    context: typer.Context,
    case: Case = None,
    as_of: Day = None,
    as_json: Json = False,
    strict: Strict = False,
) -> None:
    """Walk a version through its phases and judge it by the gates."""
    app = app_of(context, case)
    before = len(app.entries())
    with _watching(as_json) as watch:
        state = app.run(day_of(as_of), watch)
    if len(app.entries()) == before:
        say(f"{state.version} was judged before; nothing was run and nothing written")
    if as_json:
        data(_version_data(state))
    else:
        _show_summary(state)
    raise typer.Exit(_exit_code(state, strict=strict))


@cli.command()
def status(
    context: typer.Context,
    case: Cases = None,
    at: Annotated[
        datetime | None,
        typer.Option("--at", formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"], help="A past moment, UTC: what served then."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Say which rollout stands where and what it waits for, what is in service, and what fires."""
    apps = every_app(context, case)
    moment = at.replace(tzinfo=UTC) if at else None
    if as_json:
        data_by_case({a.model: _moment_data(a, moment) if moment else _status_data(a) for a in apps})
        return
    for app in apps:
        if len(apps) > 1:
            console_of().rule(app.model, align="left")
        if moment is not None:
            _show_moment(app, moment)
        else:
            _show_status(app)


def _status_data(app: App) -> dict[str, Any]:
    from foregate.app.alerts import open_alerts
    from foregate.core.folds import served
    from foregate.core.rollout import roles, rollouts

    entries, states = app.entries(), app.states()
    last = next(iter(rollouts(entries)[::-1]), None)
    told: dict[str, Any] = {"rollout": _rollout_data(app, last), "served": dict(served(e.event for e in entries))}
    told |= {"roles": roles(entries, states), "alerts": [e.sentence() for e in open_alerts(app)]}
    return told | {"versions": [_version_data(s) for s in states.values()]}


def _show_status(app: App) -> None:
    from foregate.app.alerts import open_alerts
    from foregate.core.folds import served, versions
    from foregate.core.rollout import roles, rollouts
    from foregate.report.terminal import registry_table

    entries = app.entries()
    events = [e.event for e in entries]
    states, split = versions(events, app.clock().date()), served(events)
    last = next(iter(rollouts(entries)[::-1]), None)
    console = console_of()
    if not states:
        say(f"no version yet; next: foregate run {app.model}")
        return
    if last:
        _show_rollout(app, last)
    console.print("in service: " + (", ".join(f"{v} ({s:.0%})" for v, s in split.items()) or "nothing yet"))
    for event in open_alerts(app):
        console.print(f"open since {event.detail.get('since', event.at.date())}: {event.sentence()}", style="red")
    console.print(registry_table(states.values(), split, roles(entries, states)))
    newest = list(states.values())[-1]
    if newest.version not in split and not (last and last.version == newest.version):
        _show_newest(newest)


def _rollout_data(app: App, last: Rollout | None) -> dict[str, Any] | None:
    from foregate.app.promotion import rollouts_of
    from foregate.cli.rollouts import rollout_data

    if last is None:
        return None
    return rollout_data(last) | {"waits": rollouts_of(app).waits(last) if last.is_open else ""}


def _show_newest(newest: VersionState) -> None:
    from foregate.report.log import next_step
    from foregate.report.terminal import next_line

    console = console_of()
    console.print(f"newest {newest.version}:")
    console.print(next_line(next_step(newest)))


def _show_rollout(app: App, last: Rollout) -> None:
    from foregate.app.promotion import rollouts_of
    from foregate.report.rollout import style_of, waiting, where

    console = console_of()
    console.print(where(last, app.clock()), style=style_of(last))
    if last.is_open:
        console.print(f"waits for: {waiting(last, rollouts_of(app).waits(last))}")


def _moment_data(app: App, when: datetime) -> dict[str, Any] | None:
    from foregate.app.promotion import in_service_at
    from foregate.core.event import to_json

    entry = in_service_at(app, when)
    return json.loads(to_json(entry.event)) | {"sequence": entry.sequence, "digest": entry.digest} if entry else None


def _show_moment(app: App, when: datetime) -> None:
    from foregate.app.promotion import in_service_at
    from foregate.report.rollout import served_words

    for line in served_words(in_service_at(app, when)):
        typer.echo(line)


@cli.command()
def log(
    context: typer.Context,
    case: Case = None,
    write: Annotated[bool, typer.Option("--write", help="Write EXECUTION_LOG.md into the project.")] = False,
    as_json: Json = False,
) -> None:
    """Render the execution log from the ledger."""
    from foregate.core.event import to_json
    from foregate.report.log import execution_log

    app = app_of(context, case)
    entries = app.entries()
    if as_json:
        data([json.loads(to_json(e.event)) | {"sequence": e.sequence, "digest": e.digest} for e in entries])
        return
    text = execution_log(entries, app.model, app.clock().date())
    if write:
        target = app.project.path("EXECUTION_LOG.md")
        target.write_text(text, encoding="utf-8")
        say(f"wrote {target}")
    else:
        typer.echo(text)


@cli.command()
def show(
    context: typer.Context,
    version: Version = None,
    phase: Annotated[str | None, typer.Option(help="Only this phase.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every measurement, not only the gates.")] = False,
    picture: Annotated[
        Path | None, typer.Option("--picture", help="Also draw a forecast's fan as .svg or .png.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show a version's gates: found, wanted, what happens otherwise; of a forecast what it says (--all: its gates)."""
    app, named = target_of(context, version)
    state = app.find(named)
    if as_json:
        data(_version_data(state))
        return
    from foregate.cli.forecasts import show_funnel, show_prices
    from foregate.cli.pictures import draw_forecast, refuse_undrawable
    from foregate.report.terminal import gates_table

    refuse_undrawable(app, picture)
    told: dict[str, Any] = {"funnel": show_funnel, "prices": show_prices}
    if app.model in told and phase is None and not everything:
        told[app.model](app, state, picture)
    else:
        console_of().print(gates_table(state, phase, everything=everything))
        if picture is not None:
            draw_forecast(app, state.version, picture)
    _show_summary(state)


@cli.command()
def card(
    context: typer.Context,
    version: Version = None,
    write: Annotated[bool, typer.Option("--write", help="Write cards/VERSION.md into the project.")] = False,
) -> None:
    """Render a version's model card from the ledger."""
    from foregate.report.card import model_card

    app, named = target_of(context, version)
    state = app.find(named)
    if not write:
        typer.echo(model_card(state))
        return
    target = app.project.path("cards") / f"{state.version}.md"
    target.parent.mkdir(exist_ok=True)
    target.write_text(model_card(state), encoding="utf-8")
    say(f"wrote {target}")


@cli.command()
def compare(context: typer.Context, left: str, right: str, as_json: Json = False) -> None:
    """Put two versions' numbers side by side."""
    app, named = target_of(context, left)
    a, b = app.find(named), app.find(right)
    if as_json:
        data([_version_data(a), _version_data(b)])
        return
    if app.forecasts:
        from foregate.report.sealed import forecast_table, window_words, windows

        opened = windows(app.entries())
        console_of().print(forecast_table(app.model, a, b, opened))
        say(window_words(app.model, opened, a.version, b.version))
    else:
        _compare_scores(a, b)


def _compare_scores(left: VersionState, right: VersionState) -> None:
    from foregate.report.terminal import compare_table

    console_of().print(compare_table(left, right))
    ends = [[state.evidence(name) for name in ("test_start", "test_end")] for state in (left, right)]
    if None in (*ends[0], *ends[1]):
        say("a test window that is not known: the numbers do not compare")
    elif ends[0] == ends[1]:
        say("the same test window")
    else:
        say("different test windows: the numbers do not compare; look at champion_auc_difference")


@cli.command()
def sign(context: typer.Context, version: str, by: By, reason: Reason, until: Until) -> None:
    """Sign a version as it is."""
    from foregate.app.promotion import sign as accept

    app, named = target_of(context, version)
    state = accept(app, named or version, by, reason, until.date())
    say(f"{by} signed {state.version} until {until:%Y-%m-%d}; {len(state.signatures)} in all")


@cli.command()
def waive(context: typer.Context, version: str, gate: str, by: By, reason: Reason, until: Until) -> None:
    """Accept one gate that asks for sign-off; a blocking gate can not be waived."""
    from foregate.app.promotion import waive as accept

    app, named = target_of(context, version)
    state = accept(app, named or version, gate, by, reason, until.date())
    say(f"{by} accepted {gate} of {state.version} until {until:%Y-%m-%d}")
    _show_summary(state)


def _show_summary(state: VersionState) -> None:
    from foregate.report.terminal import summary

    console_of().print(summary(state))


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

    console = console_of(errors=quiet)
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
