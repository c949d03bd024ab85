"""The funnel's demo: a world with a known truth, forecast, issued week by week, and held against what came."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from rich.console import Console
from rich.rule import Rule

from foregate.app.funnel.case import Funnel
from foregate.app.funnel.outlook import outlook
from foregate.app.played import Calendar, accepted, play_weeks, teller
from foregate.app.promotion import promote
from foregate.app.starting import lay_funnel
from foregate.cases.funnel.world import Truth, lay_world, unfold
from foregate.core.folds import PROMOTABLE
from foregate.report.forecast import draw, fan_chart, outlook_table, race_table
from foregate.report.terminal import summary

AS_OF = date(2025, 10, 31)
WEEKS = 5
TELLING = ("issued_bias", "issued_coverage_95")
WHO, WHY = "Vera (VP Sales)", "Too few past origins to tell; the issued forecasts will show it"


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
    state = accepted(app, app.run(AS_OF, teller(console)), WHO, WHY, 180, console)
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


def _weeks(app: Funnel, calendar: Calendar, truth: Truth, folder: Path, console: Console) -> None:
    """Issue a forecast each week as the world goes on, and show what the issued ones came to."""
    console.print(Rule(f"{WEEKS} weeks later: foregate forecast funnel every week, then foregate monitor"))
    play_weeks(app, calendar, WEEKS, lambda day: lay_world(folder / "data", truth, day), TELLING, console)
    console.print(f"\nEverything is in {folder}/: try  foregate -C {folder} show funnel  or  log", markup=False)
