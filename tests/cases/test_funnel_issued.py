"""An issued forecast: written once, kept byte for byte, refused under the same name with other bytes."""

from datetime import date
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from foregate.cases.funnel import issues, issuing
from foregate.cases.funnel.events import Series
from foregate.cases.funnel.forecasting import Forecast
from foregate.cases.funnel.issues import Issue
from foregate.cases.funnel.phases import issue as issue_phase
from foregate.core.errors import DataError
from foregate.core.evidence import Evidence
from foregate.core.gate import Result
from foregate.modeling.measured import Measured
from foregate.report.forecast import fan_chart

SERIES = (Series("Paid", "Webinar", "Inbound"), Series("Own", "Event", "Inbound"))


def made(change: int = 0) -> Issue:
    """Two draws of two series over three days; `change` moves events between draws: another forecast of one key."""
    paths = np.arange(12, dtype=np.int32).reshape(2, 2, 3)
    paths[0, 0, 0] += change
    paths[1, 0, 0] -= change
    return Issue("a1", SERIES, Forecast(date(2025, 10, 31), date(2025, 10, 30), {"mql": paths}))


def state_of(folder: Path) -> dict[str, tuple[bytes, int, int]]:
    found = {}
    for path in sorted(folder.rglob("*")):
        about = path.stat()
        found[str(path.relative_to(folder))] = (
            path.read_bytes() if path.is_file() else b"",
            about.st_mtime_ns,
            about.st_ino,
        )
    return found


def test_the_same_forecast_written_again_touches_no_file(tmp_path: Path) -> None:
    digest = issues.write(made(), tmp_path)
    before = state_of(tmp_path)
    assert issues.write(made(), tmp_path) == digest
    assert state_of(tmp_path) == before
    assert np.array_equal(issues.read(tmp_path, made().key, digest).forecast.paths["mql"], made().forecast.paths["mql"])


def test_other_bytes_under_the_same_name_are_refused_and_nothing_changes(tmp_path: Path) -> None:
    issues.write(made(), tmp_path)
    before = state_of(tmp_path)
    assert made(1).key == made().key
    with pytest.raises(DataError, match=f"issued/{made().key}: found other bytes"):
        issues.write(made(1), tmp_path)
    assert state_of(tmp_path) == before


@pytest.mark.parametrize("spoiled", ["paths.parquet", "manifest.json"])
def test_an_issue_that_somebody_changed_is_refused_and_not_written_over(tmp_path: Path, spoiled: str) -> None:
    issues.write(made(), tmp_path)
    (tmp_path / "issued" / made().key / spoiled).write_bytes(b"spoiled")
    before = state_of(tmp_path)
    with pytest.raises(DataError, match=f"issued/{made().key}"):
        issues.write(made(), tmp_path)
    assert state_of(tmp_path) == before


def test_an_issue_with_a_file_that_is_gone_is_refused(tmp_path: Path) -> None:
    issues.write(made(), tmp_path)
    (tmp_path / "issued" / made().key / "about.json").unlink()
    with pytest.raises(DataError, match=r"about.json|no such file"):
        issues.write(made(), tmp_path)


def trend(monkeypatch: pytest.MonkeyPatch, last: int, ahead: int) -> Evidence:
    """The evidence of a forecast of `ahead` in four weeks, after `last` events in the eight weeks before."""
    counts = np.zeros((2, 90), dtype=np.int64)
    counts[0, -10], counts[1, 0] = last, 1_000
    known = SimpleNamespace(history=lambda _stage: SimpleNamespace(counts=counts))
    monkeypatch.setattr(issuing, "Known", lambda _events, _settings: known)
    paths = np.zeros((100, 2, 28), dtype=np.int32)
    paths[:, 0, 3] = ahead
    package = SimpleNamespace(settings=SimpleNamespace(score_days=28))
    forecast = Forecast(date(2025, 10, 31), date(2025, 10, 30), {"sqo": paths})
    told = issuing._breaks(Measured(date(2025, 10, 31), "x"), None, package, forecast)  # type: ignore[arg-type]
    return next(told)


@pytest.mark.parametrize(
    ("last", "ahead", "result"),
    [
        (200, 100, Result.PASS),
        (200, 400, Result.FAIL),
        (200, 10, Result.FAIL),
        (2, 5, Result.INSUFFICIENT),
        (6, 1, Result.INSUFFICIENT),
        (0, 1, Result.INSUFFICIENT),
        (0, 0, Result.PASS),
    ],
)
def test_a_break_in_the_trend_is_told_by_its_interval(
    monkeypatch: pytest.MonkeyPatch, last: int, ahead: int, result: Result
) -> None:
    found = trend(monkeypatch, last, ahead)
    gate = next(g for g in issue_phase.GATES if g.evidence == "trend_break")
    assert gate.judge(found) is result
    assert found.rows == last
    if last and ahead:
        assert found.value == pytest.approx(2 * ahead / last)
        assert found.low is not None
        assert found.high is not None
        assert found.low < found.value < found.high


def test_the_fan_has_a_legend_of_what_came_what_is_expected_and_both_intervals() -> None:
    layers = fan_chart([{"stage": "sql", "week": "2025-11-03", "actual": 17}], "x")["spec"]["layer"]
    colours = [layer["encoding"]["color"] for layer in layers]
    assert {c["datum"] for c in colours} == {"actual", "forecast", "50 %", "95 %"}
    assert all(c["legend"] and c["scale"]["domain"] == ["actual", "forecast", "50 %", "95 %"] for c in colours)
    assert len(set(colours[0]["scale"]["range"])) == 4
