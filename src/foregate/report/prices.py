"""Price forecasts in words, tables and charts: each horizon, its weights, its skill, and what nothing tells."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rich.table import Table

from foregate.core.evidence import Evidence
from foregate.report.sealed import chosen_by, interval_level
from foregate.report.words import number

_BLUE, _GREY, _PLAIN = "#1f5fa8", "#333333", "#dddddd"
_SHADES = ("#4c78a8", "#f58518", "#e45756", "#72b7b2", "#54a24b", "#b279a2", "#ff9da6", "#9d755d", "#eeca3b")
_SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"
_LOOK = {"view": {"stroke": None}, "axis": {"gridColor": "#eeeeee"}}
_NARROWEST, _WIDEST = (0x6F, 0x97, 0xC6), (0xCB, 0xD9, 0xEB)
TESTED = "mae_ratio"
_FLAGS = ("extreme", "out_of_bounds", "incoherent")


def price_table(told: Sequence[Mapping[str, Any]]) -> Table:
    """Return each series' forecast by horizon with its intervals, beside the price it starts from."""
    table = Table(box=None, pad_edge=False, title=_from(told), title_justify="left")
    levels = _levels(told)
    for head in ("series", "ahead", "due", "forecast", *(f"{level} %" for level in levels), "volatility"):
        table.add_column(head, justify="left" if head in ("series", "ahead", "due", "volatility") else "right")
    for row in told:
        flags = ", ".join(name.replace("_", " ") for name in _FLAGS if row.get(name))
        swings = "unknown" if math.isnan(row["volatility"]) else f"{row['volatility']:.0%} a year"
        spans = [_span(row, level) for level in levels]
        state = f"{row['regime']}, {swings}{'; ' + flags if flags else ''}"
        table.add_row(row["series"], row["horizon"], str(row["due"]), f"{row['forecast']:,.2f}", *spans, state)
    return table


def _levels(told: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the levels of the intervals that rows have, in percent, the narrowest first."""
    found = {key.removeprefix("lower_") for row in told for key in row if key.startswith("lower_")}
    return sorted(found, key=float)


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
    level = interval_level(found)
    at = f" [{level}]" if level else ", with its interval"
    table = Table(box=None, pad_edge=False, title="On the sealed days, against no-change", title_justify="left")
    for head in ("series and horizon", f"error over no-change's{at}", f"inside 95 %{at}", "in words"):
        table.add_column(head, overflow="fold")
    for e in found:
        if e.name == TESTED:
            table.add_row(e.subject, number(e), inside.get(e.subject, ""), e.words)
    return table


def rule_table(measured: Iterable[Evidence]) -> Table:
    """Return what each rule's forecasts erred on the open days, over no-change's, by horizon; the chosen in bold."""
    found = list(measured)
    chosen = {e.subject: chosen_by(e)[0] for e in found if e.name == "chosen"}
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


def plain_words(measured: Iterable[Evidence], told: Iterable[Mapping[str, Any]] = ()) -> Iterator[str]:
    """Yield, for each series, what can be forecast and what nothing tells, in sentences.

    A horizon counts as forecast only when its interval of the error over no-change's lies below 1. `told`: the newest
    forecast's rows; where it says another number than the price and nothing bears that out, that is said.
    """
    found, rows = list(measured), list(told)
    for series in dict.fromkeys(_series(e) for e in found if e.name == TESTED):
        own = [e for e in found if e.subject and _series(e) == series]
        verdicts = {_horizon(e): _verdict(e) for e in own if e.name == TESTED}
        yield f"{series}: {_direction(verdicts)}"
        borne_out = {horizon for horizon, verdict in verdicts.items() if verdict == _BETTER}
        yield from _other_numbers([r for r in rows if r["series"] == series and r["horizon"] not in borne_out])
        yield from (_gave_way(e) for e in own if e.name == "chosen" and _STANDS_IN in e.words)
        yield from _widths(series, own)


_BETTER = "it was forecast better than by no change"
_WORSE = "it was forecast worse than by no change"
_SAME = "where it goes can not be said: nothing has proven better than no change, which the forecast is"
_UNTOLD = "where it goes can not be said: nothing tells the forecast from no change"
_UNMEASURED = "nothing was measured"
_STANDS_IN = ": no_change stands in"


def _series(found: Evidence) -> str:
    return found.subject.split(" ")[0]


def _horizon(found: Evidence) -> str:
    return found.subject.split(" ")[1]


def _verdict(found: Evidence) -> str:
    """Return what the sealed days say of a forecast, by the interval of its error over no-change's."""
    if math.isnan(found.value) or found.low is None or found.high is None:
        return _UNMEASURED
    if math.isclose(found.low, 1) and math.isclose(found.high, 1):
        return _SAME
    return _BETTER if found.high < 1 else _WORSE if found.low > 1 else _UNTOLD


def _direction(verdicts: Mapping[str, str]) -> str:
    groups = {verdict: [one for one in verdicts if verdicts[one] == verdict] for verdict in verdicts.values()}
    order = [one for one in (_BETTER, _WORSE, _UNTOLD, _SAME, _UNMEASURED) if one in groups]
    return "; ".join(f"{', '.join(groups[one])} ahead {one}" for one in order) + "."


def _other_numbers(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield that the newest forecast is another number than the price, as both stand in the table."""
    other = [(row, f"{row['forecast']:,.2f}") for row in rows if f"{row['forecast']:,.2f}" != f"{row['price']:,.2f}"]
    if other:
        said, first = ", ".join(f"{row['horizon']} {shown}" for row, shown in other), other[0][0]
        yield (
            f"{first['series']}: the rule in force says another number than the newest price, {first['price']:,.2f}, "
            f"all the same: {said}."
        )


def _gave_way(found: Evidence) -> str:
    why = chosen_by(found)[1].split(_STANDS_IN)[0]
    return f"{found.subject}: no change took the place of the file's rule: on the open days {why}."


def _widths(series: str, own: Sequence[Evidence]) -> Iterator[str]:
    """Yield how often intervals held in the long run, and in the worst year of days."""
    held, worst = ([e for e in own if e.name == n and e.value == e.value] for n in ("long_run_95", "worst_window_95"))
    if not held:
        return
    told = ", ".join(f"{_horizon(e)} {e.value:.1%}" for e in held)
    least = min(worst, key=lambda e: e.value, default=None)
    bad = f"in the worst year of days {number(least)} ({_horizon(least)}), so " if least else ""
    yield (
        f"{series}: how far it may move can be said: of past outcomes the 95 % interval held {told}; "
        f"{bad}it is a promise for the long run and not for each year."
    )


def price_fan(before: Sequence[Mapping[str, Any]], told: Sequence[Mapping[str, Any]], title: str) -> dict[str, Any]:
    """Return the Vega-Lite chart of each series: the prices before, and the fan of its intervals.

    >>> price_fan([{"series": "wti", "day": "2024-01-02", "price": 70.4}], [], "x")["facet"]["row"]["field"]
    'series'
    """
    values, levels = [dict(row) for row in before], _levels(told)
    for row in told:
        there = [level for level in levels if f"lower_{level}" in row]
        ends = {f"{side}_{level}": row[f"{side}_{level}"] for level in there for side in ("lower", "upper")}
        values.append({"series": row["series"], "day": row["due"], "forecast": row["forecast"], **ends})
    for series in dict.fromkeys(str(row["series"]) for row in told):
        start = next(row for row in told if row["series"] == series)
        ends = {f"{side}_{level}": start["price"] for level in levels for side in ("lower", "upper")}
        values.append({"series": series, "day": start["price_day"], "forecast": start["price"], **ends})
    names = list(dict.fromkeys(str(row["series"]) for row in (*before, *told)))
    shades = {"price": _GREY, "expected": _BLUE, **_band_shades(levels)}
    # The widest lies behind the others.
    bands = [_band(level, shades) for level in reversed(levels)]
    return {
        "$schema": _SCHEMA,
        "title": {"text": title, "anchor": "start"},
        "data": {"values": _plain(values)},
        "facet": {"row": {"field": "series", "type": "nominal", "sort": names, "title": None}},
        "spec": {"width": 640, "height": 220, "layer": [*bands, *_lines(shades)]},
        "resolve": {"scale": {"y": "independent"}},
        "background": "white",
        "config": _LOOK,
    }


def _band_shades(levels: Sequence[str]) -> dict[str, str]:
    """Return name -> colour of each band, from dark for the narrowest to light for the widest."""
    found = {}
    for at, level in enumerate(levels):
        part = at / max(1, len(levels) - 1)
        mixed = (round(dark + part * (light - dark)) for dark, light in zip(_NARROWEST, _WIDEST, strict=True))
        found[f"{level} %"] = "#" + "".join(f"{one:02x}" for one in mixed)
    return found


def _plain(values: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [json.loads(json.dumps(dict(row), default=str)) for row in values]


_X = {"field": "day", "type": "temporal", "title": None}


def _colour(name: str, shades: Mapping[str, str]) -> dict[str, Any]:
    scale = {"domain": list(shades), "range": list(shades.values())}
    return {"datum": name, "type": "nominal", "scale": scale, "legend": {"title": None, "orient": "top"}}


def _band(level: str, shades: Mapping[str, str]) -> dict[str, Any]:
    y = {"field": f"lower_{level}", "type": "quantitative", "title": None, "scale": {"zero": False}}
    colour = _colour(f"{level} %", shades)
    encoding = {"x": _X, "y": y, "y2": {"field": f"upper_{level}"}, "color": colour}
    return {"mark": {"type": "area"}, "transform": [{"filter": f"isValid(datum.lower_{level})"}], "encoding": encoding}


def _lines(shades: Mapping[str, str]) -> list[dict[str, Any]]:
    found = []
    for name, told, dash in (("price", "price", [1, 0]), ("forecast", "expected", [4, 3])):
        y = {"field": name, "type": "quantitative", "title": None, "scale": {"zero": False}}
        kept = [{"filter": f"isValid(datum.{name})"}]
        mark = {"type": "line", "strokeDash": dash}
        encoding = {"x": _X, "y": y, "color": _colour(told, shades)}
        found.append({"mark": mark, "transform": kept, "encoding": encoding})
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
