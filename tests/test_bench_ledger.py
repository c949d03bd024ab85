"""The bench's long ledger is one that Foregate could have written, and its page says what was missed."""

import json
from pathlib import Path
from typing import Any

import pytest
from bench import ledger_history, ledger_status
from bench.render import render
from bench.rollback import _quantile

from foregate.core.compaction import retained
from foregate.core.event import from_json, to_json
from foregate.core.rollout import Stage, active, pointer, quarantined, rollouts
from foregate.lifecycle.store import Store


@pytest.fixture
def short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in {"EVENTS": 3000, "TAIL": 20, "DAYS": 10, "VERSIONS": 10}.items():
        monkeypatch.setattr(ledger_history, name, value)
    return tmp_path / "ledger"


def test_the_long_ledger_holds_and_reads_as_one_that_foregate_wrote(short: Path) -> None:
    written = ledger_history.build(short)
    assert written["events"] == 3000
    ledger_history.lengthen(short)
    store = Store(f"sqlite:///{short / 'ledger.sqlite'}")
    entries = list(store.read("leads"))
    assert len(entries) == 3020
    assert all(to_json(from_json(to_json(e.event))) == to_json(e.event) for e in entries[::97])
    assert [r.stage for r in rollouts(entries)] == [Stage.COMPLETED] * 9 + [Stage.ROLLED_BACK]
    assert active(entries) is None
    assert quarantined(entries) == {"a000000009"}
    assert store.current("leads") == retained(entries)
    at = pointer(entries)
    assert at is not None
    found = ledger_status.look(short, whole=False)
    assert found["versions"] == 10
    assert found["split"] == {"a000000008": 1.0} == at.event.split
    assert found["retained"] < 600
    assert ledger_status.look(short, whole=True)["events"] == 3020
    store.close()


def look(seconds: float) -> dict[str, Any]:
    spread = {"reading_spread": [seconds, seconds], "importing_cpu": 1.0, "retained": 7, "peak_mb": 99}
    return {"reading": seconds, "reading_cpu": seconds, "process_seconds": 2.0, "process_cpu": 2.0, **spread}


def test_the_page_says_what_a_move_and_a_status_cost_and_what_was_missed(tmp_path: Path) -> None:
    move = {"moves": 320, "p99_ms": 4.0, "least_ms": 1.0, "cpu_p50_ms": 1.0}
    rows = [
        {"way": "Foregate, the ledger", "p50_ms": 1.0, **move, "journal_mode": "wal", "synchronous": 2},
        {"way": "MLflow, alias", "p50_ms": 9.0, **move, "versions": {"mlflow-skinny": "3"}},
        {"way": "MLflow, alias and a tag", "p50_ms": 20.0, **move},
    ]
    names = ("an empty ledger", "a million events, with the checkpoint that left")
    results = {
        "rollback": {"rows": rows, "block": 20, "target_times": 10.0},
        "ledger": {
            "ledger": {"mix": "daily", "mb": 1800, "kinds": {"judged": 9}},
            "looks": {name: look(0.5) for name in names},
            "commands": {name: look(0.5) for name in names},
            "whole": {"reading": 30.0, "reading_cpu": 29.0, "events": 9, "peak_mb": 50},
            "target_seconds": 1.0,
        },
    }
    machine = {"cpu": "c", "cores": 2, "memory_gb": 8, "python": "3.11", "load": [0.1]}
    for name, found in results.items():
        stored = {"date": "2025-11-21", "machine": machine, "load_after": [0.2], "results": found}
        (tmp_path / f"{name}.json").write_text(json.dumps(stored))
    page = render(tmp_path)
    assert "MLflow, alias: 9.0 times the median of Foregate's" in page
    assert "the target of 10 times is **missed**" in page
    assert "20.0 times the median" in page
    assert "wal, synchronous 2" in page
    assert "0.50 s to read the registry with a checkpoint; the target of 1 is met" in page
    assert "2.00 s for the whole process; the target of 1 is **missed**" in page


def test_a_quantile_is_a_value_that_was_measured() -> None:
    assert [_quantile([3.0, 1.0, 2.0], share) for share in (0, 0.5, 0.99, 1)] == [1.0, 2.0, 3.0, 3.0]
