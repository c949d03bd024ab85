"""Price forecasts in words, tables and charts: each horizon, its weights, its skill, and what can not be forecast."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rich.table import Table

from foregate.core.evidence import Evidence
from foregate.report.words import number

_BLUE, _GREY, _PLAIN = "#1f5fa8", "#333333", "#dddddd"
_SHADES = ("#4c78a8", "#f58518", "#e45756", "#72b7b2", "#54a24b", "#b279a2", "#ff9da6", "#9d755d", "#eeca3b")
_SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"
_LOOK = {"view": {"stroke": None}, "axis": {"gridColor": "#eeeeee"}}
_BANDS = ("95", "80", "50")
TESTED = "mae_ratio"


def price_table(told: Sequence[Mapping[str, Any]]) -> Table:
    """Return each series' forecast by horizon with its intervals, beside the price it starts from."""
    table = Table(box=None, pad_edge=False, title=_from(told), title_justify="left")
    for head in ("series", "ahead", "due", "forecast", "50 %", "80 %", "95 %", "volatility"):
        table.add_column(head, justify="left" if head in ("series", "ahead", "due", "volatility") else "right")
    for row in told:
        flags = ", ".join(n.replace("_", " ") for n in ("extreme", "out_of_bounds") if row.get(n))
        spans = [_span(row, level) for level in ("50", "80", "95")]
        state = f"{row['regime']}, {row['volatility']:.0%} a year{'; ' + flags if flags else ''}"
        table.add_row(row["series"], row["horizon"], str(row["due"]), f"{row['forecast']:,.2f}", *spans, state)
    return table


def _from(told: Sequence[Mapping[str, Any]]) -> str:
    first = {row["series"]: f"{row['series']} {row['price']:,.2f} {row['unit']} on {row['price_day']}" for row in told}
    return "From " + ", ".join(first.values())


def _span(row: Mapping[str, Any], level: str) -> str:
    if f"lower_{level}" not in row:
        return ""
    return f"{row[f'lower_{level}']:,.2f} to {row[f'upper_{level}']:,.2f}"


def weight_table(told: Sequence[Mapping[str, Any]]) -> Table:
    """Return the weights in force, the heaviest expert first; one below half a percent is not shown."""
    table = Table(box=None, pad_edge=False, title="Weights in force", title_justify="left")
    for head in ("series", "ahead", "rule", "experts"):
        table.add_column(head, overflow="fold")
    for row in told:
        ordered = sorted(row["weights"].items(), key=lambda pair: -pair[1])
        said = ", ".join(f"{name} {weight:.0%}" for name, weight in ordered if weight >= 0.005)
        table.add_row(row["series"], row["horizon"], row["rule"], said)
    return table


def skill_table(measured: Iterable[Evidence]) -> Table:
    """Return what the sealed days said of each horizon: the error over no-change's, the test, and coverage."""
    found = list(measured)
    inside = {e.subject: number(e) for e in found if e.name == "coverage_95"}
    table = Table(box=None, pad_edge=False, title="On the sealed days, against no-change", title_justify="left")
    for head in ("series and horizon", "error over no-change's [95 %]", "inside 95 %", "in words"):
        table.add_column(head, overflow="fold")
    for e in found:
        if e.name == TESTED:
            table.add_row(e.subject, number(e), inside.get(e.subject, ""), e.words)
    return table


def rule_table(measured: Iterable[Evidence]) -> Table:
    """Return what each rule's forecasts erred on the open days, over no-change's, by horizon; the chosen in bold."""
    found = list(measured)
    chosen = {e.subject: e.words.split(":")[0] for e in found if e.name == "chosen"}
    ratios = {e.subject: number(e) for e in found if e.name == "rule_mae_ratio"}
    table = Table(
        box=None, pad_edge=False, title="On the open days: error over no-change's [95 %]", title_justify="left"
    )
    table.add_column("rule")
    for key in chosen:
        table.add_column(key)
    rules = dict.fromkeys(subject.rsplit(" ", 1)[1] for subject in ratios)
    for rule in rules:
        cells = [ratios.get(f"{key} {rule}", "") for key in chosen]
        bold = [f"[bold]{cell}[/]" if chosen[key] == rule else cell for key, cell in zip(chosen, cells, strict=True)]
        table.add_row(rule, *bold)
    return table


def plain_words(measured: Iterable[Evidence]) -> Iterator[str]:
    """Yield, for each series, what can and what can not be forecast, in sentences.

    A horizon counts as forecast only when its interval of the error over no-change's lies below 1.
    """
    found = list(measured)
    tested = [e for e in found if e.name == TESTED]
    wide = {e.subject: e for e in found if e.name == "long_run_95"}
    worst = {e.subject: e for e in found if e.name == "worst_window_95"}
    for series in dict.fromkeys(e.subject.split(" ")[0] for e in tested):
        own = [e for e in tested if e.subject.split(" ")[0] == series]
        better = [e.subject.split(" ")[1] for e in own if e.high is not None and e.high < 1]
        rest = [e.subject.split(" ")[1] for e in own if e.subject.split(" ")[1] not in better]
        yield f"{series}: {_direction(better, rest)}"
        held = [(e.subject.split(" ")[1], wide[e.subject]) for e in own if e.subject in wide]
        if held:
            told = ", ".join(f"{horizon} {e.value:.1%}" for horizon, e in held)
            least = min((worst[e.subject] for e in own if e.subject in worst), key=lambda e: e.value, default=None)
            bad = f"in the worst year of days {least.value:.0%} ({least.subject.split(' ')[1]})" if least else ""
            yield (
                f"{series}: how far it may move can be said: of past outcomes the 95 % interval held {told}; "
                f"{bad}, so it is a promise for the long run and not for each year."
            )


def _direction(better: Sequence[str], rest: Sequence[str]) -> str:
    if not better:
        return (
            f"where it goes can not be forecast {_ahead(rest)} better than by no change: the best single number is the "
            "newest price."
        )
    said = f"where it goes was forecast better than by no change {_ahead(better)}"
    return f"{said}; not {_ahead(rest)}." if rest else f"{said}."


def _ahead(horizons: Sequence[str]) -> str:
    return f"{', '.join(horizons)} ahead"


def price_fan(before: Sequence[Mapping[str, Any]], told: Sequence[Mapping[str, Any]], title: str) -> dict[str, Any]:
    """Return the Vega-Lite chart of each series: the prices before, and the fan of its intervals.

    >>> price_fan([{"series": "wti", "day": "2024-01-02", "price": 70.4}], [], "x")["facet"]["row"]["field"]
    'series'
    """
    values = [dict(row) for row in before]
    for row in told:
        there = [level for level in _BANDS if f"lower_{level}" in row]
        ends = {f"{side}_{level}": row[f"{side}_{level}"] for level in there for side in ("lower", "upper")}
        values.append({"series": row["series"], "day": row["due"], "forecast": row["forecast"], **ends})
    for series in dict.fromkeys(str(row["series"]) for row in told):
        start = next(row for row in told if row["series"] == series)
        ends = {f"{side}_{level}": start["price"] for level in _BANDS for side in ("lower", "upper")}
        values.append({"series": series, "day": start["price_day"], "forecast": start["price"], **ends})
    names = list(dict.fromkeys(str(row["series"]) for row in (*before, *told)))
    return {
        "$schema": _SCHEMA,
        "title": {"text": title, "anchor": "start"},
        "data": {"values": _plain(values)},
        "facet": {"row": {"field": "series", "type": "nominal", "sort": names, "title": None}},
        "spec": {"width": 640, "height": 220, "layer": [*map(_band, _BANDS), *_lines()]},
        "resolve": {"scale": {"y": "independent"}},
        "background": "white",
        "config": _LOOK,
    }


def _plain(values: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [json.loads(json.dumps(dict(row), default=str)) for row in values]


_X = {"field": "day", "type": "temporal", "title": None}


def _colour(name: str) -> dict[str, Any]:
    order = ["price", "expected", *(f"{level} %" for level in reversed(_BANDS))]
    shades = [_GREY, _BLUE, "#6f97c6", "#a3bddc", "#cbd9eb"]
    scale = {"domain": order, "range": shades}
    return {"datum": name, "type": "nominal", "scale": scale, "legend": {"title": None, "orient": "top"}}


def _band(level: str) -> dict[str, Any]:
    y = {"field": f"lower_{level}", "type": "quantitative", "title": None, "scale": {"zero": False}}
    encoding = {"x": _X, "y": y, "y2": {"field": f"upper_{level}"}, "color": _colour(f"{level} %")}
    return {"mark": {"type": "area"}, "transform": [{"filter": f"isValid(datum.lower_{level})"}], "encoding": encoding}


def _lines() -> list[dict[str, Any]]:
    found = []
    for name, told, dash in (("price", "price", [1, 0]), ("forecast", "expected", [4, 3])):
        y = {"field": name, "type": "quantitative", "title": None, "scale": {"zero": False}}
        kept = [{"filter": f"isValid(datum.{name})"}]
        mark = {"type": "line", "strokeDash": dash}
        found.append({"mark": mark, "transform": kept, "encoding": {"x": _X, "y": y, "color": _colour(told)}})
    return found


def weight_chart(weights: Sequence[Mapping[str, Any]], title: str) -> dict[str, Any]:
    """Return the Vega-Lite chart of the experts' weights over time: a row for each series and horizon.

    Beside the weights in force stand those learnt, before evidence is asked for.
    """
    rows = [{**row, "panel": f"{row['series']} {row['horizon']}"} for row in weights]
    names = list(dict.fromkeys(str(row["panel"]) for row in rows))
    y = {"field": "weight", "type": "quantitative", "stack": "zero", "title": None, "scale": {"domain": [0, 1]}}
    experts = list(dict.fromkeys(str(row["expert"]) for row in rows))
    shades = [_PLAIN if name == "no_change" else _SHADES[at % len(_SHADES)] for at, name in enumerate(experts)]
    scale = {"domain": experts, "range": shades}
    colour = {"field": "expert", "type": "nominal", "title": None, "scale": scale, "legend": {"orient": "bottom"}}
    return {
        "$schema": _SCHEMA,
        "title": {"text": title, "anchor": "start"},
        "data": {"values": _plain(rows)},
        "facet": {
            "row": {"field": "panel", "type": "nominal", "sort": names, "title": None},
            "column": {"field": "kind", "type": "nominal", "sort": ["in force", "learnt"], "title": None},
        },
        "spec": {
            "width": 360,
            "height": 80,
            "mark": {"type": "area", "interpolate": "step-after"},
            "encoding": {"x": _X, "y": y, "color": colour},
        },
        "background": "white",
        "config": _LOOK,
    }
