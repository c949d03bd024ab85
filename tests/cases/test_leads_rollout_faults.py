"""Faults around a rollout on a real project: killed processes, spoiled bytes, dropped tables, a warehouse that is held.

The numbers are those of the design's failure cases; the same ones on every store are in `tests/lifecycle`.
"""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from foregate.app import readers
from foregate.app.leads import Leads
from foregate.app.leads.case import VIEW
from foregate.app.promotion import promote, rollback, rollouts_of, sunset
from foregate.cases.leads.work import SCORES
from foregate.cli import main
from foregate.core.errors import ForegateError, NotAllowedError, OutsideError
from foregate.core.rollout import Role, Stage, pointer, roles, rollouts
from foregate.modeling import artifacts

KILLED = """
import json, os, sys
from datetime import UTC, datetime
from pathlib import Path
from foregate.app.leads import Leads
from foregate.app.promotion import rollouts_of

for folder, verb, words, point in json.loads(sys.argv[1]):
    child = os.fork()
    if child == 0:
        app = Leads(Path(folder), actor="tester", clock=lambda: datetime(2025, 11, 3, 9, tzinfo=UTC))
        mover = rollouts_of(app)
        mover.boundary = lambda reached: os.kill(os.getpid(), 9) if reached == point else None
        getattr(mover, verb)(*words)
        os._exit(0)
    print(os.WTERMSIG(os.waitpid(child, 0)[1]), flush=True)
"""
HOLDER = "import duckdb, sys; held = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"


@dataclass
class Project:
    """A project with two released versions and a candidate, `first` when one alone was released; copies to break."""

    folder: Path
    first: Path
    versions: list[str]


@pytest.fixture(scope="module")
def laid(company: Any, tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = company.lay(tmp_path_factory.mktemp("rollout") / "project")
    toml = (folder / "foregate.toml").read_text()
    plan = re.search(r"^\[rollout\].*?(?=^\[alerts\])", toml, re.DOTALL | re.MULTILINE)
    assert plan
    (folder / "foregate.toml").write_text(toml.replace(plan[0], "[rollout]\nretention_days = 0\n\n"))
    found = Project(folder, folder.with_name("first"), [])
    for seed in (42, 43, 44):
        if found.versions:
            company.replaced(folder / "foregate.toml", f"seed = {seed - 1}", f"seed = {seed}")
        app = company.opened(folder)
        found.versions.append(company.accepted(app).version)
        if seed < 44:
            assert promote(app, found.versions[-1]).moved
        app.ledger.close()
        if seed == 42:
            shutil.copytree(folder, found.first)
    return found


@pytest.fixture
def opened(company: Any, laid: Project, tmp_path: Path) -> Iterator[Callable[..., Leads]]:
    """Open a copy of the project."""
    apps = []

    def open_copy(name: str = "copy", source: Path = laid.folder) -> Leads:
        shutil.copytree(source, tmp_path / name)
        apps.append(company.opened(tmp_path / name))
        return apps[-1]

    yield open_copy
    for app in apps:
        app.ledger.close()


@pytest.fixture
def app(opened: Callable[..., Leads]) -> Leads:
    return opened()


def seen(app: Leads) -> set[str]:
    """The versions that readers see."""
    with app.warehouse() as engine:
        return {v for (v,) in engine.rows(f"select distinct version from {VIEW}")} if engine.exists(VIEW) else set()


def split(app: Leads) -> dict[str, float]:
    at = pointer(app.entries())
    return dict(at.event.split or {}) if at else {}


def held_by_another(app: Leads) -> "subprocess.Popen[str]":
    path = str(app.project.folder / "warehouse.duckdb")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, path], **pipes)
    assert holder.stdout
    assert holder.stdout.readline() == "held\n"
    return holder


def let_go(holder: "subprocess.Popen[str]") -> None:
    holder.communicate(timeout=30)


def test_killed_at_a_step_readers_see_the_old_or_the_new_and_the_next_look_makes_it_good(
    opened: Callable[..., Leads], laid: Project
) -> None:  # 1
    _, old, new = laid.versions
    points = ["promoting: served", "published", "probed"]
    orders = [(opened(f"copy_{n}"), "promote", [new], point) for n, point in enumerate(points)]
    orders.append((opened("back"), "rollback", ["harm"], "rolling back: served"))
    told = json.dumps([(str(app.project.folder), *order) for app, *order in orders])
    done = subprocess.run([sys.executable, "-c", KILLED, told], capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ["9"] * len(orders), done.stderr
    for app, verb, words, point in orders:
        assert seen(app) in ({old}, {new} if verb == "promote" else {laid.versions[0]}), point
        rollouts_of(app).reconcile()
        assert seen(app) == set(split(app)), point
        assert len(seen(app)) == 1
        getattr(rollouts_of(app), verb)(*words)
        assert seen(app) == set(split(app)) == {new if verb == "promote" else laid.versions[0]}, point
        wanted = {"promote": (Stage.COMPLETED,), "rollback": (Stage.ROLLED_BACK,)}[verb]
        assert rollouts(app.entries())[-1].stage in wanted, point


def missing(folder: Path) -> None:
    shutil.rmtree(folder)


def truncated(folder: Path) -> None:
    file = max(folder.iterdir(), key=lambda f: f.stat().st_size)
    file.write_bytes(file.read_bytes()[:100])


def registered_again(folder: Path) -> None:
    artifacts.write(folder, {**artifacts.read(folder), "note.txt": b"other bytes"})


SPOILS = {missing: "no such file", truncated: "bytes other than", registered_again: "another manifest than the ledger"}


@pytest.mark.parametrize("spoil", SPOILS)
def test_spoiled_bytes_stop_a_promotion_and_are_passed_over_by_a_rollback(
    app: Leads, laid: Project, spoil: Callable[[Path], None]
) -> None:  # 7, 17
    first, old, new = laid.versions
    packages = app.project.path("artifacts")
    for version in (old, new):
        shutil.copytree(packages / version, packages / "kept")
        spoil(packages / version)
        with pytest.raises(NotAllowedError, match=SPOILS[spoil]):
            promote(app, new)
        assert (split(app), seen(app)) == ({old: 1.0}, {old})
        shutil.rmtree(packages / version, ignore_errors=True)
        (packages / "kept").rename(packages / version)
    promote(app, new)
    spoil(packages / old)
    assert first in rollback(app, "harm done").words
    assert (split(app), seen(app)) == ({first: 1.0}, {first})


DROPPED = (
    "drop table {0}",
    "delete from {0}",
    "alter table {0} rename column score to points",
)


@pytest.mark.parametrize("statement", DROPPED)
def test_over_a_standby_that_could_not_serve_nothing_is_promoted_that_could_not_be_taken_back(
    app: Leads, laid: Project, statement: str
) -> None:  # 8
    _, old, new = laid.versions
    for version in (new, old):
        table = f"run_{version}.{SCORES}"
        with app.warehouse() as engine:
            whole = engine.columns(table)
            engine.rows(f"create table kept as from {table}")
            engine.rows(statement.format(table))
        try:
            promote(app, new)
            rollback(app, "back again")
        except ForegateError:
            assert rollouts(app.entries())[-1].version == old, "refused before anything moved"
            with app.warehouse() as engine:
                engine.rows(f"create or replace table {table} as from kept")
        assert (split(app), seen(app)) == ({old: 1.0}, {old})
        with app.warehouse() as engine:
            assert whole.keys() <= engine.columns(VIEW).keys()
            engine.rows("drop table kept")


def test_a_warehouse_that_another_program_holds_is_named_and_nothing_is_half_done(
    app: Leads, laid: Project, monkeypatch: pytest.MonkeyPatch
) -> None:  # 10
    monkeypatch.setattr(readers, "PATIENCE_SECONDS", 0.3)
    length = len(app.entries())
    holder = held_by_another(app)
    try:
        with pytest.raises(OutsideError, match=rf"PID {holder.pid}.*Close the program") as caught:
            promote(app, laid.versions[2])
        assert caught.value.exit_code == 4
        assert len(app.entries()) == length
    finally:
        let_go(holder)
    assert promote(app, laid.versions[2]).moved


def test_a_rollback_while_the_warehouse_is_held_is_recorded_and_finished_later(
    app: Leads, laid: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:  # 9
    first, old, _ = laid.versions
    monkeypatch.setattr(readers, "PATIENCE_SECONDS", 0.3)
    monkeypatch.setenv("NO_COLOR", "1")

    def foregate(*words: str) -> int:
        monkeypatch.setattr(sys, "argv", ["foregate", "-C", str(app.project.folder), *words])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0)

    holder = held_by_another(app)
    try:
        assert foregate("rollback", "--reason", "harm done") == 4
        assert "could not be shown" in " ".join("".join(capsys.readouterr()).split())
        assert split(app) == {first: 1.0}
        assert rollouts(app.entries())[-1].stage is Stage.UNVERIFIED
    finally:
        let_go(holder)
    assert seen(app) == {old}
    assert foregate("reconcile") == 0
    assert (seen(app), rollouts(app.entries())[-1].stage) == ({first}, Stage.ROLLED_BACK)
    assert foregate("rollback", "--reason", "harm done") == 0
    assert seen(app) == {first}


def test_a_first_release_is_withdrawn_only_when_somebody_says_so(opened: Callable[..., Leads], laid: Project) -> None:
    app = opened("first", laid.first)  # 21
    with pytest.raises(NotAllowedError, match="--withdraw"):
        rollback(app, "harm done")
    assert seen(app) == {laid.versions[0]}
    rollback(app, "harm done", withdraw=True)
    assert split(app) == {}
    with app.warehouse() as engine:
        assert not engine.exists(VIEW)


def test_a_view_on_a_versions_own_tables_keeps_it_from_being_packed_away(app: Leads, laid: Project) -> None:  # 22
    first, old, new = laid.versions
    with app.warehouse() as engine:
        engine.rows("create schema crm")
        engine.rows(f"create view crm.best as select * from run_{new}.{SCORES} where percentile > 90")
    for version, named in ((new, r"crm\.best"), (old, "in service"), (first, "goes back to")):
        with pytest.raises(NotAllowedError, match=named):
            sunset(app, version, "gone for good")
    with app.warehouse() as engine:
        engine.rows("drop view crm.best")
    assert sunset(app, new, "gone for good").moved
    assert roles(app.entries(), [new])[new] is Role.SUNSET
    assert (app.project.folder / "archive" / f"{new}.zip").is_file()
    assert not (app.project.path("artifacts") / new).exists()
    with app.warehouse() as engine:
        assert not engine.exists(f"run_{new}.{SCORES}")
    assert not sunset(app, new, "gone for good").moved
    assert seen(app) == {old}
