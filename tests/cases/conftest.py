"""A small company with a project of its own: what tests of the lead case lay, spoil and run."""

import csv
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from foregate.app.leads import Leads
from foregate.app.promotion import promote, waive
from foregate.app.starting import lay_project
from foregate.core.folds import VersionState
from foregate.core.gate import Effect, Result

NOW = datetime(2025, 11, 3, 9, 0, tzinfo=UTC)
FIRST = date(2024, 1, 1)
LEADS, FEATURES, PROJECT = "data/leads.csv", "features/contact.sql", "foregate.toml"
Row = dict[str, str]


def same(row: Row) -> Row:
    return row


def lay(folder: Path, rows: int = 6_000, change: Callable[[Row], Row | None] = same) -> Path:
    """A fresh project with the leads of a small company; `change` spoils, drops or extends a lead."""
    lay_project(folder)
    (folder / "data").mkdir(exist_ok=True)
    replaced(folder / PROJECT, "as_of = 2025-10-31", "as_of = 2025-09-30")
    rng = np.random.default_rng(3)
    days, size = np.sort(rng.integers(0, 640, rows)), rng.integers(1, 300, rows)
    channel = rng.choice(["web", "fair", "referral"], rows)
    hit = rng.random(rows) < 1 / (1 + np.exp(3.6 - 0.01 * size - 1.2 * (channel == "referral")))
    delay = rng.integers(0, 15, rows)
    made = []
    for i in range(rows):
        on = FIRST + timedelta(days=int(days[i]))
        when = str(on + timedelta(days=int(delay[i]))) if hit[i] else ""
        row = dict(lead_id=str(i + 1), contacted_on=str(on), converted_on=when, channel=channel[i])
        made.append(change({**row, "company_size": str(size[i])}))
    write(folder / LEADS, [row for row in made if row is not None])
    return folder


def write(path: Path, rows: list[Row]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def replaced(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def features(folder: Path, extra: str) -> None:
    (folder / FEATURES).write_text(f"select channel, company_size, {extra} from leads")


def opened(folder: Path) -> Leads:
    return Leads(folder, actor="tester", clock=lambda: NOW)


def open_gates(state: VersionState) -> dict[str, Result]:
    judged = [p.judged for p in state.phases.values() if p.judged]
    return {j.label: j.result for e in judged for j in e.judgements if j.result is not Result.PASS}


def accepted(app: Leads) -> VersionState:
    """Run, and accept every gate that asks for it."""
    state = app.run()
    for phase in list(state.phases.values()):
        for j in phase.judged.judgements if phase.judged else ():
            if j.result is not Result.PASS and j.gate.effect is Effect.SIGN_OFF:
                waive(app, state.version, j.label, "Ada", "a small company", date(2026, 1, 1))
    return app.find(state.version)


def in_service(folder: Path) -> Leads:
    app = opened(folder)
    promote(app, accepted(app).version)
    return app


def with_people(folder: Path, people: list[Row], settings: str = "") -> None:
    """Score people of a table of their own."""
    write(folder / "data" / "people.csv", people)
    source = '[sources.people]\nfile = "data/people.csv"\nkey = "pid"\ncurrent_state = true\n\n[leads]\n'
    replaced(folder / PROJECT, "[leads]\n", source)
    place = f'[leads.population]\nsource = "people"\nperson = "pid"\n{settings}\n[leads.list]'
    replaced(folder / PROJECT, "[leads.list]", place)


def people(count: int, name: str = "{}", **more: str) -> list[Row]:
    kinds = ("web", "fair", "referral")
    return [
        dict(pid=name.format(i), channel=kinds[i % 3], company_size=str(1 + i % 299), **more)
        for i in range(1, count + 1)
    ]


def spoiled(app: Leads, people_now: list[Row]) -> Leads:
    write(app.project.path("data/people.csv"), people_now)
    return opened(app.project.folder)


@pytest.fixture(scope="session")
def company() -> SimpleNamespace:
    """Return the functions above: tests are imported one by one and can not import each other."""
    made = (lay, write, replaced, features, opened, open_gates, accepted, in_service, with_people, people, spoiled)
    return SimpleNamespace(**{one.__name__: one for one in made})
