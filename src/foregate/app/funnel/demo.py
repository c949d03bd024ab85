"""The funnel's demo: a world with a known truth, forecast, issued week by week, and held against what came."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

from rich.console import Console
from rich.rule import Rule

from foregate.app.funnel.case import Funnel
from foregate.app.funnel.issuing import issue
from foregate.app.funnel.outlook import outlook
from foregate.app.monitoring import monitor
from foregate.app.played import Calendar
from foregate.app.promotion import promote, waive
from foregate.app.starting import lay_funnel
from foregate.cases.funnel.world import Truth, lay_world, unfold
from foregate.core.folds import PROMOTABLE, VersionState
from foregate.core.gate import Effect, Result
from foregate.lifecycle.walk import Step
from foregate.report.forecast import draw, fan_chart, outlook_table, race_table
from foregate.report.terminal import phase_line, summary
from foregate.report.words import number

AS_OF = date(2025, 10, 31)
WEEKS = 5
TELLING = ("issued_bias", "issued_coverage_95")
WHO = "Vera (VP Sales)"


def play(folder: Path, seed: int, console: Console) -> int:
    """Return the exit code after a funnel was laid, run, promoted, issued weekly, and held against what came."""
    lay_funnel(folder)
    truth = unfold(seed)
    (folder / "data").mkdir(exist_ok=True)
    rows = lay_world(folder / "data", truth, AS_OF)
    console.print(Rule("a funnel of advisers: MQL, SQL, SQO by channel and source"))
    console.print(f"{folder}/data: " + ", ".join(f"{name} {count:,}" for name, count in rows.items()))
    calendar = Calendar(AS_OF)
    app = Funnel(folder, "Ada (RevOps)", calendar)
    console.print(Rule(f"foregate run funnel --as-of {AS_OF}"))
    state = app.run(AS_OF, lambda step: _tell(step, console))
    state = _accepted(app, state, console)
    if state.state not in PROMOTABLE:
        console.print(summary(state))
        console.print("The gates did not let it through; nothing is in service.")
        return 1
    console.print(race_table(state.measured()))
    console.print(Rule("foregate promote funnel, foregate show funnel"))
    promote(app, state.version, "the demo's first forecast in service")
    told = outlook(app, state.version)
    console.print(outlook_table(told.sums, told.days, told.first))
    draw(fan_chart(told.weeks, f"{app.project.declared.name}, as of {told.as_of}"), folder / "forecast.svg")
    console.print(f"drew {folder}/forecast.svg; in the warehouse: bi.forecast_for_bi, bi.forecast_by_period")
    _weeks(app, calendar, truth, folder, console)
    return 0


def _tell(step: Step, console: Console) -> None:
    if step.state:
        console.print(phase_line(step.phase, step.state, step.seconds, step.judgements))


def _accepted(app: Funnel, state: VersionState, console: Console) -> VersionState:
    """Return the state after a named person has accepted what the gates could not tell, each with its reason."""
    for judgement in state.judgements():
        if judgement.result is not Result.PASS and judgement.gate.effect is Effect.SIGN_OFF:
            why = "Too few past origins to tell; the issued forecasts will show it"
            state = waive(app, state.version, judgement.label, WHO, why, app.clock().date() + timedelta(days=180))
            found = number(judgement.evidence) if judgement.evidence else "nothing"
            wanted = judgement.gate.wanted()
            text = f"{judgement.result}: {judgement.label} {found}, wanted {wanted}; accepted by {WHO}: {why}"
            console.print(text, markup=False)
    return state


def _weeks(app: Funnel, calendar: Calendar, truth: Truth, folder: Path, console: Console) -> None:
    """Issue a forecast each week as the world goes on, and show what the issued ones came to."""
    console.print(Rule(f"{WEEKS} weeks later: foregate forecast funnel every week, then foregate monitor"))
    for week in range(1, WEEKS + 1):
        day = AS_OF + timedelta(days=7 * week)
        calendar.turn(day)
        lay_world(folder / "data", truth, day)
        issue(app, day)
    found = monitor(app, calendar.day)
    for e in found.evidence:
        if e.name in TELLING:
            console.print(f"{e.label:<36} {number(e):<28} {e.words}", markup=False)
    for event in found.told:
        console.print(event.sentence(), markup=False)
    console.print(f"\nEverything is in {folder}/: try  foregate -C {folder} show funnel  or  log", markup=False)
