"""What is said of a forecast: compared, moved, and told in tables, charts and plain words."""

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.forecast_ledger import (
    FUNNEL,
    MEASURED,
    ON,
    READING,
    events,
    foregate,
    printed,
    project,
    rate,
    ratio,
    row,
    state,
)

from foregate.core.evidence import Evidence, Unit
from foregate.core.rollout import Stage
from foregate.report.prices import plain_words, price_fan, price_table, skill_table
from foregate.report.rollout import next_words, step_words
from foregate.report.sealed import forecast_table, interval_level, window_words, windows
from foregate.report.words import number

NEVER = ("people", "everybody", "list", "scored", "scores")


# -- compare


def test_compared_prices_show_what_both_have_by_series_and_horizon() -> None:
    less = tuple(e for e in MEASURED if e.subject != "wti 1m")
    both = state("aaaa", MEASURED), state("bbbb", less)
    shown = printed(forecast_table("prices", *both, {"aaaa": "2025-01-02..2026-01-05"}))
    lines = {line.split("  ")[0].strip(): line for line in shown.splitlines() if line.strip()}
    assert "1.01x [0.97, 1.06]" in lines["mae_ratio[wti 1w]"]
    assert lines["mae_ratio[wti 1m]"].count("1.00x") == 1
    assert lines["coverage_95[wti 1w]"].count("93.5 % [82.7, 97.7]") == 2
    assert lines["champion_mae_ratio[wti 1w]"].count("no version is in service") == 2
    assert lines["champion_mae_ratio[wti 1w]"].count("1.00x") == 0
    assert lines["chosen[wti 1m]"].count("no_change") == 1
    assert lines["sealed days"].count("2025-01-02..2026-01-05") == 1
    assert "unknown" in lines["sealed days"]
    assert lines["intervals at"].count("97.5 %") == 2


def test_a_compared_funnel_shows_losses_bias_and_coverage() -> None:
    shown = printed(forecast_table("funnel", state("a", FUNNEL, "funnel"), state("b", FUNNEL, "funnel"), {}))
    for words in ("naive_loss_ratio[trial]", "0.93x [0.80, 1.05]", "bias[trial]", "-0.050", "coverage_95[trial total"):
        assert words in shown, words
    assert "99.17 %" in shown
    assert "mae_ratio" not in shown


@pytest.mark.parametrize(
    ("opened", "said", "never"),
    [
        ({}, "neither aaaa nor bbbb has opened", "the same"),
        ({"aaaa": "1..2"}, "bbbb has not opened", "the same"),
        ({"aaaa": "1..2", "bbbb": ""}, "bbbb has not opened", "the same"),
        ({"aaaa": "1..2", "bbbb": "1..2"}, "the same sealed days, 1..2", "different"),
        ({"aaaa": "1..2", "bbbb": "1..3"}, "different sealed days: 1..2 and 1..3", "the same"),
    ],
)
def test_windows_are_the_same_only_where_both_are_known_and_equal(
    opened: dict[str, str], said: str, never: str
) -> None:
    words = window_words("prices", opened, "aaaa", "bbbb")
    assert said in words
    assert never not in words
    assert ("champion_mae_ratio" in words) == ("different" in words)


def test_the_window_is_the_one_last_opened() -> None:
    seen = [
        SimpleNamespace(event=event)
        for event in (*events("a", (), window="1..2"), *events("b", (), window="1..2"), *events("a", (), window="3..4"))
    ]
    assert windows(seen) == {"a": "3..4", "b": "1..2"}  # type: ignore[arg-type]


def test_compare_says_it_on_the_command_line(tmp_path: Path) -> None:
    project(
        tmp_path,
        *events("aaaa", MEASURED, window="2025-01-02..2026-01-05"),
        *events("bbbb", MEASURED, window="2025-01-03..2026-01-06"),
        *events("cccc", MEASURED, window="2025-01-02..2026-01-05"),
        *events("dddd", ()),
    )
    other = foregate(tmp_path, "compare", "aaaa", "bbbb")
    assert "different sealed days" in other.stderr
    assert "mae_ratio[wti 1w]" in other.stdout
    assert "train_start" not in other.stdout
    assert "the same sealed days" in foregate(tmp_path, "compare", "aaaa", "cccc").stderr
    assert "dddd has not opened" in foregate(tmp_path, "compare", "aaaa", "dddd").stderr
    assert len(json.loads(foregate(tmp_path, "compare", "aaaa", "bbbb", "--json").stdout)) == 2


# -- rollouts


@pytest.mark.parametrize("stage", [Stage.SHADOW, Stage.PROMOTING, Stage.COMPLETED])
@pytest.mark.parametrize("champion", ["old1", None])
def test_a_forecast_s_step_speaks_of_forecasts_and_nobody_s_scores(stage: Stage, champion: str | None) -> None:
    share = 0.0 if stage is Stage.SHADOW else 1.0
    said = " ".join(
        [
            *step_words(stage, share, "new1", champion, 0, forecasts=True),
            next_words(stage, share, "new1", forecasts=True),
        ]
    )
    assert not [word for word in NEVER if word in said.split("%")[0].split()]
    assert "new1" in said
    assert "None" not in said
    if stage is not Stage.COMPLETED:
        assert "forecast" in said


def test_a_forecast_in_its_shadow_issues_and_one_promoted_is_what_readers_are_served() -> None:
    shadow = step_words(Stage.SHADOW, 0.0, "new1", "old1", 0, forecasts=True)
    assert shadow == [
        "readers go on being served the forecasts of old1; new1 issues its own forecasts in its shadow, beside them"
    ]
    full = step_words(Stage.PROMOTING, 1.0, "new1", "old1", 0, forecasts=True)
    assert full == ["readers are served the forecasts of new1; old1 is what a rollback goes back to"]


def test_leads_go_on_being_scored() -> None:
    assert "everybody is scored by new1" in step_words(Stage.PROMOTING, 1.0, "new1", "old1", 0)[0]
    assert next_words(Stage.CANARY, 0.1, "new1") == "next: new1 to canary, 10% of people"
    assert next_words(Stage.SHADOW, 0.0, "new1") == "next: new1 to shadow, 0% of people"


# -- numbers and tables


@pytest.mark.parametrize("unit", list(Unit))
def test_what_is_not_a_number_is_unknown_and_nothing_else(unit: Unit) -> None:
    assert number(Evidence("x", math.nan, 0, ON, "x", 0.0, math.inf, unit)) == "unknown"
    assert number(Evidence("x", math.nan, 0, ON, "x", None if unit in ("count", "days") else 0, 1, unit)) == "unknown"


def test_the_table_and_the_fan_have_the_levels_that_are_there() -> None:
    rows = [row("1w", 70.1, (5, 90, 95)), row("1m", 71.2, (5, 90, 95))]
    heads = [str(column.header) for column in price_table(rows).columns]
    assert [head for head in heads if "%" in head] == ["5 %", "90 %", "95 %"]
    shown = printed(price_table(rows))
    assert "-20.00 to 160.00" in shown
    chart = price_fan([{"series": "wti", "day": "2026-01-01", "price": 69.0}], rows, "x")
    layers = chart["spec"]["layer"]
    assert [one["encoding"]["y"]["field"] for one in layers[:3]] == ["lower_95", "lower_90", "lower_5"], "widest behind"
    legend = layers[0]["encoding"]["color"]["scale"]
    assert legend["domain"] == ["price", "expected", "5 %", "90 %", "95 %"]
    assert len(set(legend["range"])) == len(legend["domain"])
    drawn = {key for value in chart["data"]["values"] for key in value if "_" in key}
    assert drawn == {f"{side}_{level}" for side in ("lower", "upper") for level in (5, 90, 95)}


@pytest.mark.parametrize("levels", [(95,), (50, 80, 95), tuple(range(60, 96, 5))])
def test_every_level_has_a_shade_of_its_own(levels: tuple[int, ...], tmp_path: Path) -> None:
    from foregate.report.forecast import draw

    chart = price_fan([], [row("1w", 70.1, levels)], "x")
    scale = chart["spec"]["layer"][0]["encoding"]["color"]["scale"]
    assert len(set(scale["range"])) == len(scale["domain"]) == 2 + len(levels)
    draw(chart, tmp_path / "fan.svg")
    text = (tmp_path / "fan.svg").read_text()
    assert all(f"{level} %" in text for level in levels)


def test_flags_of_a_row_are_all_told_and_a_volatility_that_is_not_there_is_unknown() -> None:
    shown = printed(price_table([row("1w", 70.1, extreme=True, incoherent=True, out_of_bounds=True)]))
    assert "extreme, out of bounds, incoherent" in shown
    shown = printed(price_table([row("1w", 70.1, volatility=math.nan)]))
    assert "nan" not in shown
    assert "unknown" in shown


def test_the_sealed_table_says_at_which_level_its_intervals_stand() -> None:
    heads = [str(column.header) for column in skill_table(MEASURED).columns]
    assert heads[1:3] == ["error over no-change's [97.5 %]", "inside 95 % [97.5 %]"]
    assert "[95 %]" not in printed(skill_table(MEASURED))
    heads = [str(column.header) for column in skill_table(e for e in MEASURED if e is not READING).columns]
    assert heads[1:3] == ["error over no-change's, with its interval", "inside 95 %, with its interval"]


def test_the_level_is_read_from_the_words_of_the_reading() -> None:
    assert (interval_level(FUNNEL), interval_level(MEASURED), interval_level([])) == ("99.17 %", "97.5 %", "")


# -- plain words


def said(evidence: tuple[Evidence, ...], rows: list[dict[str, Any]] | None = None) -> str:
    return "\n".join(plain_words(evidence, rows or ()))


def test_what_the_test_can_not_tell_is_not_stated_as_fact() -> None:
    words = said((ratio("wti 1w", 1.01, 0.97, 1.06), ratio("wti 1m", 0.98, 0.9, 1.02)))
    assert "wti: 1w, 1m ahead where it goes can not be said: nothing tells the forecast from no change." in words
    assert "can not be forecast" not in words
    assert "best single number" not in words


def test_each_verdict_has_its_own_words() -> None:
    measured = (
        ratio("wti 1d", 0.9, 0.85, 0.95),
        ratio("wti 1w", 1.2, 1.1, 1.3),
        ratio("wti 1m", 1.0, 1.0, 1.0),
        ratio("wti 3m", 1.0, 0.9, 1.1),
        ratio("wti 6m", math.nan, 0.0, math.inf, rows=0),
    )
    words = said(measured)
    assert "1d ahead it was forecast better than by no change" in words
    assert "1w ahead it was forecast worse than by no change" in words
    assert "1m ahead where it goes can not be said: nothing has proven better than no change" in words
    assert "3m ahead where it goes can not be said: nothing tells the forecast from no change" in words
    assert "6m ahead nothing was measured" in words
    assert "nan" not in words


def test_a_number_other_than_the_price_is_told_where_nothing_bears_it_out() -> None:
    measured = (ratio("wti 1w", 1.01, 0.97, 1.06), ratio("wti 1m", 0.9, 0.85, 0.95), ratio("wti 3m", 1.0, 1.0, 1.0))
    rows = [row("1w", 70.25), row("1m", 72.0), row("3m", 70.0), row("1w", 99.0, series="brent")]
    words = said(measured, rows)
    assert "wti: the rule in force says another number than the newest price, 70.00, all the same: 1w 70.25." in words
    assert "72.00" not in words, "borne out"
    assert "99.00" not in words, "of another series"
    assert "another number" not in said(measured, [row("1w", 70.001)]), "it reads the same in the table"
    assert "another number" not in said(measured)


def test_the_worst_year_is_told_with_its_interval_and_its_horizon() -> None:
    assert "in the worst year of days 65.2 % [38.9, 84.7] (1m)" in said(MEASURED)
    without = said(tuple(e for e in MEASURED if e.name != "worst_window_95"))
    assert "; ," not in without
    assert "held 1w 95.9%, 1m 96.7%" in without
    unknown = rate("worst_window_95", "wti 1w", math.nan, 0, 1, 0, "fewer than 250 outcomes")
    assert "65.2 %" in said((unknown, *(e for e in MEASURED if e.label != "worst_window_95[wti 1w]")))
    assert "nan" not in said((*MEASURED[-6:], rate("long_run_95", "wti 1w", math.nan, 0, 1, 0), unknown))


def test_a_rule_that_no_change_took_the_place_of_is_named() -> None:
    words = said(MEASURED)
    assert "wti 1m: no change took the place of the file's rule: " in words
    assert "on the open days equal errs 1.08 times as much as no_change (p 0.031)." in words
    assert "wti 1w: no change took" not in words
