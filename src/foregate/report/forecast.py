"""Forecasts in words, tables and a chart: the next days by stage, the race beside the naive ones, the fan."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from foregate.core.errors import ConfigurationError
from foregate.core.evidence import Evidence
from foregate.report.words import number

# As they stand in the legend, and from dark to light.
_COLOURS = {"actual": "#333333", "forecast": "#1f5fa8", "50 %": "#86a9d2", "95 %": "#d4e0ee"}


def outlook_table(sums: Sequence[Mapping[str, Any]], days: int, first: object) -> Table:
    """Return the sums of the next days by stage: expected, with the 50 % and 95 % intervals."""
    table = Table(box=None, pad_edge=False, title=f"The {days} days from {first}", title_justify="left")
    for head in ("stage", "of", "expected", "50 % interval", "95 % interval"):
        table.add_column(head, justify="right" if head not in ("stage", "of") else "left")
    for row in sums:
        name = "all" if row["level"] == "total" else str(row["name"])
        style = "bold" if row["level"] == "total" else ""
        table.add_row(
            row["stage"], name, f"{row['forecast']:,.1f}", _interval(row, "50"), _interval(row, "95"), style=style
        )
    return table


def _interval(row: Mapping[str, Any], width: str) -> str:
    return f"{row[f'lower_{width}']:,.0f} to {row[f'upper_{width}']:,.0f}"


def race_table(measured: Iterable[Evidence]) -> Table:
    """Return the race as the ledger has it: each stage's candidates, the best first, loss over the 90-day mean's."""
    found = list(measured)
    chosen = {e.subject: e.words.split(":")[0] for e in found if e.name == "chosen"}
    table = Table(box=None, pad_edge=False, title="Past forecasts: loss over the 90-day mean's", title_justify="left")
    for head in ("stage", "candidate", "loss [95 %]", ""):
        table.add_column(head)
    for e in found:
        if e.name == "loss_ratio":
            stage, candidate = e.subject.split(" ", 1)
            here = chosen.get(stage) == candidate
            table.add_row(stage, candidate, number(e), "chosen" if here else "", style="bold" if here else "")
    return table


def sealed_table(measured: Iterable[Evidence]) -> Table:
    """Return what the sealed origins said of each stage: against the naive one and the champion, bias and coverage."""
    names = {
        "naive_loss_ratio": "loss over the naive one's",
        "champion_loss_ratio": "loss over the champion's",
        "capture_rate": "forecast over what came",
        "wape": "error over volume",
        "coverage_50": "inside 50 %",
        "coverage_95": "inside 95 %",
    }
    table = Table(box=None, pad_edge=False, title="On the sealed origins", title_justify="left")
    for head in ("stage", "what", "found [95 %]", "in words"):
        table.add_column(head, overflow="fold")
    rows = [(e.subject, names[e.name], number(e), e.words) for e in measured if e.name in names]
    for row in sorted(rows, key=lambda r: r[0].split(" ")[0]):
        table.add_row(*row)
    return table


def fan_chart(weeks: Sequence[Mapping[str, Any]], title: str) -> dict[str, Any]:
    """Return the Vega-Lite chart of weekly sums by stage: what came, what is expected, both intervals, and a legend.

    >>> fan_chart([{"stage": "sql", "week": "2025-11-03", "forecast": 17.5}], "x")["facet"]["row"]["field"]
    'stage'
    """
    stages = list(dict.fromkeys(str(row["stage"]) for row in weeks))
    values = [json.loads(json.dumps(dict(row), default=str)) for row in weeks]
    x = {"field": "week", "type": "temporal", "title": None}
    legend = {"title": None, "orient": "top", "symbolType": "square"}
    scale = {"domain": list(_COLOURS), "range": list(_COLOURS.values())}

    def named(label: str) -> dict[str, Any]:
        return {"datum": label, "type": "nominal", "scale": scale, "legend": legend}

    def band(width: str) -> dict[str, Any]:
        y = {"field": f"lower_{width}", "type": "quantitative", "title": "a week"}
        mark = {"type": "area", "opacity": 1, "interpolate": "step-after"}
        encoding = {"x": x, "y": y, "y2": {"field": f"upper_{width}"}, "color": named(f"{width} %")}
        return {"mark": mark, "transform": [{"filter": "isValid(datum.forecast)"}], "encoding": encoding}

    def line(name: str, dash: list[int]) -> dict[str, Any]:
        mark = {"type": "line", "strokeDash": dash, "interpolate": "step-after"}
        encoding = {"x": x, "y": {"field": name, "type": "quantitative"}, "color": named(name)}
        return {"mark": mark, "transform": [{"filter": f"isValid(datum.{name})"}], "encoding": encoding}

    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "title": {"text": title, "anchor": "start"},
        "data": {"values": values},
        "facet": {"row": {"field": "stage", "type": "nominal", "sort": stages, "title": None}},
        "spec": {
            "width": 640,
            "height": 130,
            "layer": [band("95"), band("50"), line("forecast", [4, 3]), line("actual", [1, 0])],
        },
        "resolve": {"scale": {"y": "independent"}},
        "background": "white",
        "config": {"view": {"stroke": None}, "axis": {"gridColor": "#eeeeee"}},
    }


def draw(chart: Mapping[str, Any], target: Path) -> None:
    """Write a chart as .svg or .png; raises ConfigurationError for another ending, or a folder that is not there."""
    import vl_convert

    if not target.parent.is_dir():
        found, wanted = f"no folder {target.parent}", "a folder that is there"
        raise ConfigurationError("--picture", found=found, wanted=wanted, then="Make it, or choose another.")
    if target.suffix == ".svg":
        target.write_text(vl_convert.vegalite_to_svg(dict(chart)), encoding="utf-8")
    elif target.suffix == ".png":
        target.write_bytes(vl_convert.vegalite_to_png(dict(chart), scale=2))
    else:
        raise ConfigurationError(
            "--picture", found=str(target), wanted="a file ending in .svg or .png", then="Correct the name."
        )
