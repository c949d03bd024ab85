"""The prices' demo: real oil prices forecast as of a day, issued week by week, and held against what came."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from datetime import date
from pathlib import Path

from rich.console import Console
from rich.rule import Rule

from foregate.app.played import Calendar, accepted, play_weeks, teller
from foregate.app.prices.case import Prices
from foregate.app.prices.outlook import outlook
from foregate.app.promotion import promote
from foregate.app.starting import lay_prices
from foregate.core.errors import OutsideError
from foregate.core.folds import PROMOTABLE
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
from foregate.report.terminal import summary

AS_OF = date(2018, 6, 29)
WEEKS = 26
TELLING = ("issued_mae_ratio", "issued_coverage_95", "surprise")
WHO, WHY = "Mira (Treasury)", "Too few windows to tell; the issued forecasts will show it"
Rows = list[tuple[date, float]]


def play(folder: Path, console: Console) -> int:
    """Return the exit code after oil prices were forecast, promoted, issued weekly, and held against what came."""
    wti, vix = real_prices()
    lay_prices(folder)
    console.print(Rule("oil: WTI of 1986 to 2018 and VIX since 2014, real prices"))
    _lay(folder, wti, vix, AS_OF)
    console.print(f"{folder}/data: wti {len(wti):,} days, vix {len(vix):,} days; as of {AS_OF} the rest is not there")
    calendar = Calendar(AS_OF)
    app = Prices(folder, "Ada (RevOps)", calendar)
    console.print(Rule(f"foregate run prices --as-of {AS_OF}"))
    state = accepted(app, app.run(AS_OF, teller(console)), WHO, WHY, 270, console)
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


def _weeks(app: Prices, calendar: Calendar, folder: Path, rows: tuple[Rows, Rows], console: Console) -> None:
    """Issue a forecast each week as the market goes on, and show what the issued ones came to."""
    console.print(Rule(f"{WEEKS} weeks later: foregate forecast prices every week, then foregate monitor"))
    play_weeks(app, calendar, WEEKS, lambda day: _lay(folder, *rows, day), TELLING, console)
    console.print(f"\nEverything is in {folder}/: try  foregate -C {folder} show prices  or  log", markup=False)
