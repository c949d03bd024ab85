"""The world all peers read: generated once, with the leads to compute for, as Parquet files under build/bench."""

from __future__ import annotations

import json
import shutil
import sys
from datetime import date
from pathlib import Path

import foregate.cases.leads as leads
from bench.room import BUILD
from foregate.cases.leads.world import DEMO, SEEDS, generate
from foregate.modeling.measured import digest_of
from foregate.warehouse.duckdb import DuckDB

SCALES = {"seeds": SEEDS, "demo": DEMO}
AS_OF, SEED = date(2025, 10, 31), 42
_OWN = "person_id, email_known_on, linkedin_known_on"
SPINES = {
    "leads": f"select lead_id as subject_id, contacted_on as as_of, {_OWN} from leads where contacted_on is not null",
    "prospects": f"select person_id as subject_id, date '{AS_OF}' as as_of, {_OWN} from prospects",
    "both": "from leads_spine union all by name select * replace (-subject_id as subject_id) from prospects_spine",
}
DEMO_PROJECT = Path(str(leads.__file__)).parent / "demo_project"


def lay(name: str) -> Path:
    """Return the folder of a project over a world of that scale; made again only when the world's code changes."""
    folder = BUILD / name
    world = DEMO_PROJECT.parent / "world"
    stamp = digest_of(*(p.read_text() for p in sorted(world.glob("*.py"))), SCALES[name], SEED)
    made = folder / "stamp.txt"
    if not made.is_file() or made.read_text() != stamp:
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "data").mkdir(parents=True)
        generate(folder / "data", SCALES[name], SEED, AS_OF)
        spines(folder)
        made.write_text(stamp)
    shutil.copytree(DEMO_PROJECT, folder, dirs_exist_ok=True)
    return folder


def spines(folder: Path) -> None:
    """Write the leads, the prospects and both together as the peers read them, and the departures all start from."""
    engine, data = DuckDB(":memory:"), folder / "data"
    for name in ("leads", "prospects"):
        engine.read_file(name, data / f"{name}.parquet")
    for name, sql in SPINES.items():
        engine.view(f"{name}_spine", sql)
        engine.export(f"select * from {name}_spine order by as_of, subject_id", data / f"{name}_spine.parquet")
    departures = (DEMO_PROJECT / "sources" / "departures.sql").read_text().replace("{folder}", str(folder))
    engine.export(departures.strip().rstrip(";"), data / "departures.parquet")
    engine.close()


if __name__ == "__main__":
    for wanted in sys.argv[1:]:
        print(json.dumps(str(lay(wanted))))
