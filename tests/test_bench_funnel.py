"""The bench of forecasts: panels, conformal samples of rivals, scores and the page's section, on made-up numbers."""

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bench import funnel_peers
from bench.count_models import HORIZON, simulated
from bench.funnel_candidates import KINDS, sums_of
from bench.funnel_panels import Panel
from bench.funnel_section import funnel
from bench.peers.forecasters import WINDOWS, by_series, conformal
from bench.peers.forecasters import Panel as Cut


class Mean:
    def forecast(self, row: Any, horizon: int) -> dict[str, Any]:
        return {"mean": np.full(horizon, row.mean())}


def test_a_rival_sees_no_day_after_the_origin() -> None:
    file = {
        "counts": np.arange(30).reshape(3, 10),
        "segments": np.array([0, 1, 1]),
        "born": np.array([0, 4, 9]),
        "first": date(2025, 3, 3).toordinal(),
    }
    cut = Cut(file, 5)
    assert [row.size for row in cut.rows] == [6, 2, 0, 6, 2, 6]
    assert cut.last == date(2025, 3, 8)
    changed = file["counts"].copy()
    changed[:, 6:] = 99
    again = Cut({**file, "counts": changed}, 5)
    assert all((a == b).all() for a, b in zip(cut.rows, again.rows, strict=True))


def test_conformal_samples_are_the_mean_and_each_windows_error() -> None:
    row = np.tile([0.0, 2.0], 100)
    days, sums = conformal(Mean)(row, date(2025, 1, 1), 10, 400, 0)
    assert days.shape == (2 * WINDOWS, 10)
    assert sorted(np.unique(days).round(9)) == [0, 2]
    assert sums == pytest.approx(np.full(2 * WINDOWS, 10))


def test_a_rival_that_fails_has_its_mean_and_is_told() -> None:
    def failing(*_: Any) -> Any:
        raise ZeroDivisionError("no")

    failures: list[str] = []
    file = {"counts": np.array([[1, 3] * 20]), "segments": np.zeros(1, int), "born": np.zeros(1, int), "first": 700_000}
    told = by_series(failing, "all", failures)(Cut(file, 39), 5, 3)
    assert told["series_day"].shape == (3, 1, 5)
    assert (told["total_sum"] == 10).all()
    assert failures == ["ZeroDivisionError: no"] * 3


def test_a_row_is_scored_at_every_level(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = simulated(0, series=8, segments=2, days=200, rate=0.5)
    panel = Panel("small", "small", world.history, (120, 150), tmp_path / "small.npz", world)
    told = {}
    for name, times in ((funnel_peers.OURS, 1.0), ("AutoETS", 3.0)):
        out = tmp_path / f"{name}.npz"
        rng = np.random.default_rng(1)
        samples = {}
        for origin in panel.origins:
            means = times * world.means[:, origin + 1 : origin + 1 + HORIZON]
            paths = rng.poisson(means, (100, *means.shape))
            samples |= {f"{k} {origin}": v for k, v in sums_of(paths, world.history.segments).items()}
        np.savez(out, **samples)
        told[name] = {"cpu_seconds": [1.0, 2.0], "done": [120, 150], "failed": 0, "samples": out} | {
            "peak_mb": 1,
            "versions": {"made": "1"},
        }
    told["Prophet"] = {"failed": "not done"}
    rows = {row["name"]: row for row in funnel_peers._scored(replace(panel), told)}
    assert set(rows["AutoETS"]["levels"]) == set(KINDS)
    assert rows["AutoETS"]["levels"]["total_sum"]["ours_over"] < 0.5
    assert rows[funnel_peers.OURS]["levels"]["total_sum"]["ours_over"] == 1
    assert rows["oracle"]["levels"]["series_day"]["outcomes"] == 8 * 28 * 2
    page = funnel(
        {
            "horizon": 28,
            "seconds": 1.0,
            "ours": "count_filter",
            "kinds": KINDS,
            "panels": {"small": {"words": "a small panel", "origins": 2, "rows": list(rows.values())}},
        }
    )
    assert "ahead of every rival" in page
    assert "| Prophet | failed: not done |" in page
    rows["AutoETS"]["levels"]["total_sum"]["ours_over"] = 1.2
    panels = {"small": {"words": "a small panel", "origins": 2, "rows": list(rows.values())}}
    lost = funnel({"horizon": 28, "seconds": 1.0, "ours": "count_filter", "kinds": KINDS, "panels": panels})
    assert "**behind AutoETS** (1.200" in lost
