"""Verbs on versions: run, look at, accept, promote."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foregate.cli.root import By, Day, Json, Reason, Strict, Until, Version, app_of, cli, console_of, data, day_of, say

if TYPE_CHECKING:
    from foregate.core.folds import VersionState


@cli.command()
def run(
    context: typer.Context,
    case: Annotated[str, typer.Argument(help="leads")] = "leads",
    as_of: Day = None,
    as_json: Json = False,
    strict: Strict = False,
) -> None:
    """Walk a version through its phases and judge it by the gates."""
    from foregate.core.errors import ConfigurationError

    if case != "leads":
        raise ConfigurationError("case", found=repr(case), wanted="leads", then="`foregate run leads`")
    app = app_of(context)
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
def status(context: typer.Context, as_json: Json = False) -> None:
    """Say what is in service, and what each version waits for."""
    from foregate.core.folds import served

    app = app_of(context)
    states, split = app.states(), served(e.event for e in app.entries())
    if as_json:
        data({"served": dict(split), "versions": [_version_data(s) for s in states.values()]})
        return
    from foregate.report.log import next_step
    from foregate.report.terminal import next_line, registry_table

    console = console_of()
    if not states:
        say("no version yet; next: foregate run leads")
        return
    console.print("in service: " + (", ".join(f"{v} ({s:.0%})" for v, s in split.items()) or "nothing yet"))
    console.print(registry_table(states.values(), split))
    newest = list(states.values())[-1]
    if newest.version not in split:
        console.print(f"newest {newest.version}:")
        console.print(next_line(next_step(newest)))


@cli.command()
def log(
    context: typer.Context,
    write: Annotated[bool, typer.Option("--write", help="Write EXECUTION_LOG.md into the project.")] = False,
    as_json: Json = False,
) -> None:
    """Render the execution log from the ledger."""
    from foregate.core.event import to_json
    from foregate.report.log import execution_log

    app = app_of(context)
    entries = app.entries()
    if as_json:
        data([json.loads(to_json(e.event)) | {"sequence": e.sequence, "digest": e.digest} for e in entries])
        return
    text = execution_log(entries, "leads", app.clock().date())
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
    as_json: Json = False,
) -> None:
    """Show a version's gates: found, wanted, and what happens otherwise."""
    state = app_of(context).find(version)
    if as_json:
        data(_version_data(state))
        return
    from foregate.report.terminal import gates_table

    console_of().print(gates_table(state, phase, everything=everything))
    _show_summary(state)


@cli.command()
def card(
    context: typer.Context,
    version: Version = None,
    write: Annotated[bool, typer.Option("--write", help="Write cards/VERSION.md into the project.")] = False,
) -> None:
    """Render a version's model card from the ledger."""
    from foregate.report.card import model_card

    app = app_of(context)
    state = app.find(version)
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
    app = app_of(context)
    a, b = app.find(left), app.find(right)
    if as_json:
        data([_version_data(a), _version_data(b)])
        return
    from foregate.report.terminal import compare_table

    console_of().print(compare_table(a, b))
    same = all(a.evidence(n) == b.evidence(n) for n in ("test_start", "test_end"))
    say(
        "the same test window"
        if same
        else "different test windows: the numbers do not compare; look at champion_auc_difference"
    )


@cli.command()
def promote(
    context: typer.Context,
    version: Version = None,
    reason: Annotated[str, typer.Option("--reason", help="Why now.")] = "",
    as_json: Json = False,
) -> None:
    """Put a version in service: move the pointer, then read through the readers' view."""
    from foregate.app.promotion import VIEW
    from foregate.app.promotion import promote as move

    state = move(app_of(context), version, reason)
    if as_json:
        data(_version_data(state))
        return
    say(f"{state.version} is in service; readers see it through {VIEW}\nnext: foregate list build")


@cli.command()
def sign(context: typer.Context, version: str, by: By, reason: Reason, until: Until) -> None:
    """Sign a version as it is."""
    from foregate.app.promotion import sign as accept

    state = accept(app_of(context), version, by, reason, until.date())
    say(f"{by} signed {state.version} until {until:%Y-%m-%d}; {len(state.signatures)} in all")


@cli.command()
def waive(context: typer.Context, version: str, gate: str, by: By, reason: Reason, until: Until) -> None:
    """Accept one gate that asks for sign-off; a blocking gate can not be waived."""
    from foregate.app.promotion import waive as accept

    state = accept(app_of(context), version, gate, by, reason, until.date())
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
