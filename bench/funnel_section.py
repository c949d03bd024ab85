"""The page's section on forecasts of small counts: what everyone lost at each level, ours and the rivals alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.table import header, row

TITLES = {
    "series_day": "a day of a series",
    "series_sum": "28 days of a series",
    "segment_sum": "28 days of a segment",
    "total_sum": "28 days of all",
}
WORDS = """
CRPS over the mean outcome, lower is better; in brackets Foregate's {ours} over it from the same origins (below 1:
Foregate is ahead) and the coverage of its 50 % and 95 % intervals by randomised PIT. Every forecaster is asked from
the same origins about the next {horizon} days, by what was known then, as a process of its own with one thread; CPU
seconds are of one origin, libraries loaded. statsforecast and Prophet fit every series, every segment and all by
themselves and draw from their own sample paths; AutoARIMA takes minutes for the series and is asked for segments and
all alone, with the approximate search that R takes by default for so many days. CrostonSBA has no distribution: it is
given the conformal errors of its last ten windows, for sums those of the windows' sums, which its library does not
offer. LightGBM, one model of all series, gives Poisson days around its mean, or, tuned, conformal errors likewise.
What falls below 0 is taken as 0. A rival not done within its {seconds:g} CPU seconds is held against Foregate from the
origins it reached. The learned pool's weights at an origin come from earlier origins alone, and its CPU seconds are
with those. The segment trees' features, settings and doubt about levels were chosen among some twenty variants while
their scores on these panels were seen, and the doubt about shares likewise: what leads with them is partly chosen.
"""


def funnel(results: dict[str, Any]) -> str:
    """Return the section: verdicts first, then a table for each panel."""
    lines = ["## Forecasts of small counts", ""]
    for panel in results["panels"].values():
        lines.append(f"- {panel['words']}: {_verdict(panel['rows'], results['kinds'])}")
    for panel in results["panels"].values():
        lines += ["", f"### {panel['words'].capitalize()}", "", *_table(panel, results["kinds"])]
    words = WORDS.format(ours=f"`{results['ours']}`", horizon=results["horizon"], seconds=results["seconds"])
    return "\n".join(lines) + "\n" + words


def _verdict(rows: Sequence[dict[str, Any]], kinds: Sequence[str]) -> str:
    rivals = [one for one in rows if one.get("rival") and "levels" in one]
    said = []
    for kind in kinds:
        able = [one for one in rivals if kind in one["levels"]]
        best = max(able, key=lambda one: float(one["levels"][kind]["ours_over"]))
        times = best["levels"][kind]["ours_over"]
        who = "ahead of every rival" if times < 1 else f"**behind {best['name']}**"
        said.append(f"{TITLES[kind]}: {who} ({times:.3f} times the best one's CRPS)")
    return "; ".join(said) + "."


def _table(panel: dict[str, Any], kinds: Sequence[str]) -> list[str]:
    lines = header(["forecaster", *(TITLES[kind] for kind in kinds), "CPU s", "origins", "failed fits"])
    for one in panel["rows"]:
        if "failed" in one:
            lines.append(row([one["name"], f"failed: {_cell(one['failed'])}", *[""] * (len(kinds) + 2)]))
            continue
        cells = [_level(one["levels"].get(kind)) for kind in kinds]
        versions = " ".join(f"{n} {v}" for n, v in one.get("versions", {}).items() if n != "foregate")
        named = f"{one['name']} ({versions})" if versions else one["name"]
        cost = f"{one['cpu_seconds']:.2f}" if "cpu_seconds" in one else ""
        reached = f"{one['origins']} of {panel['origins']}"
        lines.append(row([named, *cells, cost, reached, str(one.get("failed_fits", ""))]))
    return lines


def _level(found: dict[str, Any] | None) -> str:
    if found is None:
        return ""
    return f"{found['crps']:.3f} ({found['ours_over']:.2f}; {found['covered_50']:.0%}, {found['covered_95']:.0%})"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "/").split())[-240:]
