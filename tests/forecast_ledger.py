"""A ledger of forecasts that were never run: made-up evidence, folded as a run's is, to test what is said of it."""

import io
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from rich.console import Console, RenderableType
from typer.testing import CliRunner, Result

from foregate.app.prices import Prices
from foregate.cli import cli
from foregate.core.errors import ForegateError
from foregate.core.event import Event, Kind
from foregate.core.evidence import Evidence, Unit
from foregate.core.folds import VersionState, versions

ON, AT = date(2026, 1, 5), datetime(2026, 1, 5, 9, tzinfo=UTC)
SOURCE = '[sources.oil]\nfile = "oil.csv"\nkey = "on"\nhappened = "on"\nknown_after = "1 day"\n'
SERIES = '[prices.series.wti]\nsource = "oil"\nday = "on"\nprice = "close"\nunit = "USD per barrel"\n'


def ratio(
    key: str, value: float, low: float, high: float, name: str = "mae_ratio", words: str = "", rows: int = 184
) -> Evidence:
    return Evidence(name, value, rows, ON, "x", low, high, Unit.RATIO, key, words)


def rate(name: str, key: str, value: float, low: float, high: float, rows: int = 250, words: str = "") -> Evidence:
    return Evidence(name, value, rows, ON, "x", low, high, Unit.RATE, key, words)


def told(name: str, key: str, words: str, value: float = 0) -> Evidence:
    return Evidence(name, value, 184, ON, "x", subject=key, words=words)


READING = told("test_reading", "", "candidate number 1 to read 2025-01-02..2026-01-05; intervals at 97.50%", 1)
STANDS = told(
    "chosen", "wti 1w", "equal: equal errs 1.020 times as much as no_change: not told from no_change (p 0.60)"
)
GONE = told(
    "chosen",
    "wti 1m",
    "no_change: equal errs 1.08 times as much as no_change (p 0.031): no_change stands in; 0 extreme",
)
MEASURED = (
    told("history_days", "wti", "2014-01-02 to 2026-01-02", 2141),
    STANDS,
    GONE,
    rate("long_run_95", "wti 1w", 0.959, 0.945, 0.97, 1862, "1,862 origins; 2014 85%"),
    rate("long_run_95", "wti 1m", 0.967, 0.923, 0.986, 1830),
    rate("worst_window_95", "wti 1w", 0.84, 0.752, 0.901, words="250 days from 2014-02-05"),
    rate("worst_window_95", "wti 1m", 0.652, 0.389, 0.847, words="250 days from 2014-02-05"),
    rate("extreme_share", "wti 1w", 0.01, 0.0, 0.02),
    READING,
    ratio("wti 1w", 1.01, 0.97, 1.06, words="equal against no-change: cannot tell"),
    ratio("wti 1m", 1.0, 1.0, 1.0, words="no_change says no change"),
    ratio("wti 1w", 1.0, 1.0, 1.0, "champion_mae_ratio", "no version is in service that forecasts it", 0),
    rate("coverage_80", "wti 1w", 0.799, 0.69, 0.876),
    rate("coverage_95", "wti 1w", 0.935, 0.827, 0.977),
    rate("coverage_95", "wti 1m", 0.958, 0.745, 0.995),
)
FUNNEL = (
    told("stage_events", "trial", "1.66 a day over 500 days", 828),
    told("origins", "", "16 to choose on, 8 sealed", 24),
    told("chosen", "trial", "mean_28: count_filter loses 0.9 against 0.8: the simpler one stays"),
    told("test_reading", "", "candidate number 2 to read 2025-08-27..2025-12-30; intervals at 99.17%", 2),
    ratio("trial", 0.93, 0.8, 1.05, "naive_loss_ratio", "mean_28 against mean_90 on 8 sealed origins: cannot tell"),
    ratio("trial", 1.0, 1.0, 1.0, "champion_loss_ratio", "no champion", 0),
    Evidence("bias", -0.05, 8, ON, "x", -0.2, 0.1, Unit.DIFFERENCE, "trial", "100 forecast, 105 came"),
    ratio("trial total", 0.31, 0.2, 0.4, "wape"),
    rate("coverage_95", "trial total day", 0.94, 0.8, 0.99),
)


def state(version: str, evidence: tuple[Evidence, ...], model: str = "prices", window: str = "") -> VersionState:
    return versions(events(version, evidence, model, window), ON)[version]


def events(version: str, evidence: tuple[Evidence, ...], model: str = "prices", window: str = "") -> list[Event]:
    detail: dict[str, Any] = {"phases": ["validate"], "as_of": ON.isoformat(), "gates": {}}
    opened = [Event(Kind.OPENED, AT, model, version, "Ada", detail={"window": window, "reading": 1})] if window else []
    return [
        Event(Kind.STARTED, AT, model, version, "Ada", detail=detail),
        Event(Kind.STARTED, AT, model, version, "Ada", "validate"),
        *opened,
        Event(Kind.JUDGED, AT, model, version, "Ada", "validate", evidence=evidence),
    ]


def printed(renderable: RenderableType) -> str:
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(renderable)
    return console.export_text()


def project(folder: Path, *written: Event, text: str = SERIES) -> Prices:
    (folder / "foregate.toml").write_text(f'name = "oil"\nas_of = {ON}\n{SOURCE}\n{text}')
    app = Prices(folder, "Ada")
    for event in written:
        app.ledger.add(event)
    return app


def foregate(folder: Path, *words: str) -> Result:
    """As `main` does it: an error a person can act on is one line, anything else is raised."""
    found = CliRunner().invoke(cli, ["-C", str(folder), *words], env={"COLUMNS": "200"})
    if found.exception and not isinstance(found.exception, SystemExit | ForegateError):
        raise found.exception
    return found


def row(horizon: str, forecast: float, levels: tuple[int, ...] = (50, 80, 95), **more: Any) -> dict[str, Any]:
    bounds = {f"{side}_{level}": 70 + sign * level for level in levels for side, sign in (("lower", -1), ("upper", 1))}
    about = {"series": "wti", "unit": "USD per barrel", "horizon": horizon, "due": date(2026, 2, 3), "price": 70.0}
    about |= {"price_day": date(2026, 1, 2), "forecast": forecast, "regime": "low", "volatility": 0.3}
    return about | bounds | {"rule": "equal", "weights": {"ses": 1.0}} | more
