"""The prices' demo: real oil prices forecast as of a day, issued week by week, and held against what came."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path

from rich.console import Console
from rich.rule import Rule

from foregate.app.monitoring import monitor
from foregate.app.played import Calendar
from foregate.app.prices.case import Prices
from foregate.app.prices.outlook import outlook
from foregate.app.promotion import promote, waive
from foregate.app.starting import lay_prices
from foregate.core.errors import OutsideError
from foregate.core.folds import PROMOTABLE, VersionState
from foregate.core.gate import Effect, Result
from foregate.lifecycle.walk import Step
from foregate.report.forecast import draw
from foregate.report.prices import (
    plain_words,
    price_fan,
    price_table,
    rule_table,
    skill_table,
    weight_chart,
    weight_table,
)
from foregate.report.terminal import phase_line, summary
from foregate.report.words import number

AS_OF = date(2018, 6, 29)
WEEKS = 26
TELLING = ("issued_mae_ratio", "issued_coverage_95", "surprise")
WHO = "Mira (Treasury)"
Rows = list[tuple[date, float]]


def play(folder: Path, seed: int, console: Console) -> int:
    """Return the exit code after oil prices were forecast, promoted, issued weekly, and held against what came."""
    del seed
    wti, vix = real_prices()
    lay_prices(folder)
    console.print(Rule("oil: WTI of 1986 to 2018 and VIX since 2014, real prices"))
    _lay(folder, wti, vix, AS_OF)
    console.print(f"{folder}/data: wti {len(wti):,} days, vix {len(vix):,} days; as of {AS_OF} the rest is not there")
    calendar = Calendar(AS_OF)
    app = Prices(folder, "Ada (RevOps)", calendar)
    console.print(Rule(f"foregate run prices --as-of {AS_OF}"))
    state = _accepted(app, app.run(AS_OF, lambda step: _tell(step, console)), console)
    if state.state not in PROMOTABLE:
        console.print(summary(state))
        console.print("The gates did not let it through; nothing is in service.")
        return 1
    console.print(Rule("foregate promote prices, foregate show prices"))
    promote(app, state.version, "the demo's first price forecast in service")
    told = outlook(app, state.version, past_weights=True)
    measured = list(state.measured())
    tables = (price_table(told.told), weight_table(told.told), rule_table(measured), skill_table(measured))
    for table in tables:
        console.print(table)
    for sentence in plain_words(measured, told.told):
        console.print(sentence, markup=False)
    name = f"{app.project.declared.name}, as of {told.as_of}"
    draw(price_fan(told.before, told.told, name), folder / "prices.svg")
    draw(weight_chart(told.weights, f"{name}: weights"), folder / "weights.svg")
    console.print(f"drew {folder}/prices.svg and weights.svg; in the warehouse: bi.price_forecast, bi.price_weights")
    _weeks(app, calendar, folder, (wti, vix), console)
    return 0


def real_prices() -> tuple[Rows, Rows]:
    """Return WTI's daily spot prices (1986 to 2019) and VIX's closes (2014 to 2019), as they come with `arch`.

    Raises OutsideError when `arch` is not installed.
    """
    try:
        from arch.data import vix, wti
    except ImportError as error:
        raise OutsideError(
            "the package `arch`",
            found="not installed",
            wanted="its real price series",
            then="pip install 'foregate[forecast]'",
        ) from error
    return _rows(wti.load()["DCOILWTICO"]), _rows(vix.load()["vix"])


def _rows(series: Iterable[float]) -> Rows:
    kept = series.dropna()  # type: ignore[attr-defined]
    return [(day.date(), float(value)) for day, value in kept.items()]


def _lay(folder: Path, wti: Rows, vix: Rows, until: date) -> None:
    (folder / "data").mkdir(exist_ok=True)
    for name, column, rows in (("wti", "price", wti), ("vix", "close", vix)):
        with (folder / "data" / f"{name}.csv").open("w", newline="") as out:
            writer = csv.writer(out)
            writer.writerow(("day", column))
            writer.writerows(row for row in rows if row[0] < until)


def _tell(step: Step, console: Console) -> None:
    if step.state:
        console.print(phase_line(step.phase, step.state, step.seconds, step.judgements))


def _accepted(app: Prices, state: VersionState, console: Console) -> VersionState:
    """Return the state after a named person has accepted what the gates could not tell, each with its reason."""
    for judgement in state.judgements():
        if judgement.result is not Result.PASS and judgement.gate.effect is Effect.SIGN_OFF:
            why = "Too few windows to tell; the issued forecasts will show it"
            state = waive(app, state.version, judgement.label, WHO, why, app.clock().date() + timedelta(days=270))
            found = number(judgement.evidence) if judgement.evidence else "nothing"
            wanted = judgement.gate.wanted()
            text = f"{judgement.result}: {judgement.label} {found}, wanted {wanted}; accepted by {WHO}: {why}"
            console.print(text, markup=False)
    return state


def _weeks(app: Prices, calendar: Calendar, folder: Path, rows: tuple[Rows, Rows], console: Console) -> None:
    """Issue a forecast each week as the market goes on, and show what the issued ones came to."""
    console.print(Rule(f"{WEEKS} weeks later: foregate forecast prices every week, then foregate monitor"))
    for week in range(1, WEEKS + 1):
        day = AS_OF + timedelta(days=7 * week)
        calendar.turn(day)
        _lay(folder, *rows, day)
        app.issue(day)
    found = monitor(app, calendar.day)
    for e in found.evidence:
        if e.name in TELLING:
            console.print(f"{e.label:<28} {number(e):<28} {e.words}", markup=False)
    for event in found.told:
        console.print(event.sentence(), markup=False)
    console.print(f"\nEverything is in {folder}/: try  foregate -C {folder} show prices  or  log", markup=False)
