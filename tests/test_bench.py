"""The bench's own ground: on a tiny world the hand-written statement and both plans of Foregate give one answer."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from bench.agreement import differences
from bench.render import render

from foregate.cases.leads.world import Scale, generate
from foregate.warehouse.duckdb import DuckDB

ROOT = Path(__file__).resolve().parent.parent
TINY = Scale(leads=400, people=1_000, employment=5_000, firms=120, months=23, prospects=1_400, owners=4)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from bench import world

    folder = tmp_path_factory.mktemp("tiny")
    (folder / "data").mkdir()
    generate(folder / "data", TINY, 7, world.AS_OF)
    world.spines(folder)
    return folder / "data"


def answer(data: Path, spine: str, plan: str) -> Path:
    out = data / f"{spine}-{plan}.parquet"
    asked = {"data": str(data), "spine": str(data / f"{spine}.parquet"), "out": str(out), "repeats": 1, "plan": plan}
    subprocess.run(
        [sys.executable, "-m", "bench.peers.in_duckdb", json.dumps(asked)], check=True, cwd=ROOT, capture_output=True
    )
    return out


@pytest.mark.parametrize("spine", ["leads_spine", "prospects_spine", "both_spine"])
def test_the_peers_in_one_engine_agree(tiny: Path, spine: str) -> None:
    compiled = answer(tiny, spine, "compiled")
    assert differences(compiled, answer(tiny, spine, "hand")) == {}
    assert differences(compiled, answer(tiny, spine, "pairs")) == {}


def test_a_peer_that_is_wrong_on_one_lead_or_loses_one_is_told(tiny: Path) -> None:
    compiled, wrong = answer(tiny, "leads_spine", "compiled"), tiny / "wrong.parquet"
    engine = DuckDB(":memory:")
    engine.read_file("a", compiled)
    some = engine.rows("select max(subject_id) from a where mobility_3yr is not null")[0][0]
    engine.export(f"select * replace (mobility_3yr + (subject_id = {some})::int as mobility_3yr) from a", wrong)
    assert differences(compiled, wrong) == {"mobility_3yr": 1}
    engine.export(f"select * from a where subject_id <> {some}", wrong)
    assert differences(compiled, wrong)["rows"] == 1
    engine.close()


def test_the_page_says_what_was_lost(tmp_path: Path) -> None:
    machine = {"cpu": "c", "cores": 2, "memory_gb": 8, "python": "3.11", "load": [0.1]}
    results = {"seconds": 91.0, "target_seconds": 90.0, "cpu_seconds": 80.0, "peak_mb": 500}
    stored = {"date": "2025-11-21", "machine": machine, "load_after": [0.2], "results": results}
    (tmp_path / "demo.json").write_text(json.dumps(stored))
    assert "the target of 90 is **missed**" in render(tmp_path)
