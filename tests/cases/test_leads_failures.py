"""Failures of the seeds that no planted trap covers: what stops each one, held to it directly."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from foregate.app.leads.lists import build_list
from foregate.core.errors import DataError
from foregate.core.gate import Result
from foregate.modeling import explanations
from foregate.modeling.boosted import Trees
from foregate.modeling.signature import encode, sign

TEST = ("2025-06-18", "2025-08-16")
Row = dict[str, str]


def flipped(row: Row) -> Row:
    """The lead with the other outcome when it is of the test window."""
    if not TEST[0] <= row["contacted_on"] <= TEST[1]:
        return row
    return {**row, "converted_on": "" if row["converted_on"] else row["contacted_on"]}


def test_labels_of_the_test_change_nothing_before_they_are_opened(company: Any, tmp_path: Path) -> None:
    found = {}
    for name, change in (("true", lambda row: row), ("flipped", flipped)):
        app = company.opened(company.lay(tmp_path / name, change=change))
        state = app.run()
        measured = {
            (phase, e.label): (e.value, e.low, e.high)
            for phase in ("features", "split", "select", "tiers", "train")
            for e in state.phases[phase].judged.evidence
        }
        found[name] = measured, state.evidence("auc_roc")
    assert found["true"][0] == found["flipped"][0]
    assert found["true"][1] > 0.6
    assert found["flipped"][1] < 0.4


LABELS = [
    ("2025-01-01", "2025-01-01", 1),
    ("2025-01-01", "2025-01-15", 1),
    ("2025-01-01", "2025-01-16", 0),
    ("2025-01-01", "2024-12-31", 0),
    ("2025-01-01", "", 0),
    ("2025-09-16", "", 0),
    ("2025-09-17", "2025-09-18", None),
    ("2025-09-17", "", None),
]


def test_the_label_is_converted_matured_or_open_by_one_rule(company: Any, tmp_path: Path) -> None:
    extra = [
        dict(lead_id=str(90_001 + i), contacted_on=on, converted_on=when, channel="web", company_size="10")
        for i, (on, when, _) in enumerate(LABELS)
    ]
    plain = company.lay(
        tmp_path, change=lambda row: {**row, "converted_on": row["converted_on"] and row["contacted_on"]}
    )
    with (plain / "data" / "leads.csv").open("a") as file:
        file.writelines(",".join(row.values()) + "\n" for row in extra)
    app = company.opened(plain)
    state = app.run()
    assert state.evidence("window_days") == 14
    with app.warehouse(f"run_{state.version}") as engine:
        found = dict(engine.rows("select lead_id, label from label where lead_id > 90000"))
    assert [found[90_001 + i] for i in range(len(LABELS))] == [label for *_, label in LABELS]


def test_a_stand_in_value_that_grows_with_age_asks_for_a_signature(company: Any, tmp_path: Path) -> None:
    def stand_in(row: Row) -> Row:
        old = row["contacted_on"] < "2024-12-01" and int(row["lead_id"]) % 2
        return {**row, "days_since_move": "9999" if old else str(int(row["lead_id"]) % 365)}

    company.lay(tmp_path, change=stand_in)
    company.replaced(
        tmp_path / "foregate.toml", 'channel = "at contact"', 'channel = "at contact"\ndays_since_move = "at contact"'
    )
    company.features(tmp_path, "days_since_move")
    state = company.opened(tmp_path).run()
    assert company.open_gates(state)["sentinel_trend[days_since_move]"] is Result.FAIL


def test_a_source_that_stopped_arriving_asks_for_a_signature(company: Any, tmp_path: Path) -> None:
    company.lay(tmp_path)
    company.replaced(tmp_path / "foregate.toml", 'known = "contacted_on"', 'known = "contacted_on"\nfresh_days = 5')
    assert "stale_days[leads]" not in company.open_gates(company.opened(tmp_path).run())
    state = company.opened(tmp_path).run(date(2025, 11, 1))
    assert company.open_gates(state)["stale_days[leads]"] is Result.FAIL


def test_a_query_that_answers_differently_twice_is_stopped(company: Any, tmp_path: Path) -> None:
    company.lay(tmp_path)
    (tmp_path / "sources").mkdir()
    sql = "select *, random() as draw from read_csv('{folder}/data/leads.csv')"
    (tmp_path / "sources" / "leads.sql").write_text(sql)
    company.replaced(tmp_path / "foregate.toml", 'file = "data/leads.csv" ', 'query = "sources/leads.sql" ')
    assert company.open_gates(company.opened(tmp_path).run())["unstable_queries[leads]"] is Result.FAIL


def test_a_tier_that_promises_more_than_it_keeps_asks_for_a_signature(company: Any, tmp_path: Path) -> None:
    company.lay(tmp_path)
    company.replaced(tmp_path / "tiers.toml", "promised_rate = 0.10", "promised_rate = 0.80")
    gates = company.open_gates(company.opened(tmp_path).run())
    assert gates["tier_promise_kept[T1_FIRST]"] is Result.FAIL


def test_a_feature_that_serving_lacks_or_has_of_another_kind_is_an_error() -> None:
    table = pa.table({"size": [1.0, None, 3.0], "channel": ["web", "fair", None]})
    signature = sign(table, ["channel", "size"])
    assert np.isnan(encode(table, signature)[1, 1])
    with pytest.raises(DataError, match="no such column"):
        encode(table.drop_columns(["size"]), signature)
    with pytest.raises(DataError, match="channel"):
        encode(table.set_column(1, "channel", pa.array([1, 2, 3])), signature)


def test_a_package_with_another_byte_or_other_scores_is_not_read(company: Any, tmp_path: Path) -> None:
    app = company.opened(company.lay(tmp_path))
    version = app.run().version
    golden = app.project.path("artifacts") / version / "golden.json"
    rows = json.loads(golden.read_text())
    golden.write_text(json.dumps({**rows, "margins": [m + 1 for m in rows["margins"]]}))
    with pytest.raises(DataError, match="bytes other than"):
        app.package(version)


def test_an_explanation_that_does_not_add_up_is_refused(
    company: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = company.in_service(company.lay(tmp_path, 9_000))
    gains = lambda trees, matrix: np.ones((len(matrix), matrix.shape[1] + 1))  # noqa: E731 - what V4.3 stored as SHAP
    monkeypatch.setattr(Trees, "contributions", gains)
    with pytest.raises(DataError, match="add up to the margin"):
        build_list(app)
    assert explanations.ADDITIVE_WITHIN <= 1e-3
