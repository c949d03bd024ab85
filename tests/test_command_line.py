"""The command line as a person meets it: exit codes, clean data on stdout, one clear error for bad input."""

import json
import os
import shutil
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

FIRST = date(2024, 1, 1)


def foregate(*words: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    place = ["-C", str(folder)] if folder else []
    env = {**os.environ, "NO_COLOR": "1", "COLUMNS": "200"}
    return subprocess.run([sys.executable, "-m", "foregate", *place, *words], capture_output=True, text=True, env=env)


def leads_csv(path: Path, rows: int = 9_000, seed: int = 1) -> None:
    """A small company's leads: bigger companies and referrals convert more, in about ten days."""
    rng = np.random.default_rng(seed)
    days = np.sort(rng.integers(0, 640, rows))
    size, channel = rng.integers(1, 300, rows), rng.choice(["web", "fair", "referral"], rows, p=[0.6, 0.2, 0.2])
    chance = 1 / (1 + np.exp(-(-3.6 + 0.010 * size + 1.2 * (channel == "referral"))))
    converted = rng.random(rows) < chance
    delay = rng.integers(0, 15, rows)
    lines = ["lead_id,contacted_on,converted_on,channel,company_size"]
    for i in range(rows):
        on = FIRST + timedelta(days=int(days[i]))
        when = on + timedelta(days=int(delay[i])) if converted[i] else ""
        lines.append(f"{i + 1},{on},{when},{channel[i]},{size[i]}")
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a person has who followed the README: init, her CSV, one edited date."""
    folder = tmp_path_factory.mktemp("mine") / "my-leads"
    assert foregate("init", str(folder)).returncode == 0
    leads_csv(folder / "data" / "leads.csv")
    toml = (folder / "foregate.toml").read_text()
    (folder / "foregate.toml").write_text(toml.replace("as_of = 2025-10-31", "as_of = 2025-09-30"))
    return folder


@pytest.fixture
def project(fresh: Path, tmp_path: Path) -> Path:
    """A copy to break."""
    target = tmp_path / "my-leads"
    shutil.copytree(fresh, target, ignore=shutil.ignore_patterns("*.duckdb*", "ledger*", "artifacts", "lists"))
    return target


def accept_what_is_asked(fresh: Path) -> None:
    """Wait for a promotion, and let a named person accept the one gate that asks."""
    assert foregate("promote", folder=fresh).returncode == 1
    state = json.loads(foregate("show", "--json", folder=fresh).stdout)
    judged = [j for phase in state["phases"].values() for j in phase["judgements"]]
    asked = [j["label"] for j in judged if j["result"] != "pass" and j["gate"]["effect"] == "sign_off"]
    assert asked == ["ablation_loss[company_size]"]
    shown = foregate("show", "--phase", "select", folder=fresh).stdout
    assert "giveaway_auc[company_size]" in shown, "a gate is shown with what it was applied to"
    hurried = foregate(
        "waive", state["version"], asked[0], "--by", "Ada", "--reason", "ok", "--until", "2099-12-31", folder=fresh
    )
    assert hurried.returncode == 1
    assert "--reason" in hurried.stderr
    words = ("--by", "Ada", "--reason", "two columns are all we have", "--until", "2099-12-31")
    accepted = foregate("waive", state["version"], asked[0], *words, folder=fresh)
    assert accepted.returncode == 0, accepted.stderr
    assert "next: foregate promote" in accepted.stdout
    assert "Ada accepted ablation_loss[company_size]" in accepted.stderr
    again = foregate("run", "leads", folder=fresh)
    assert "was judged before; nothing was run" in again.stderr


def test_from_a_csv_to_a_gated_version_and_a_ranked_list_by_the_readme_alone(fresh: Path) -> None:
    assert foregate("check", folder=fresh).returncode == 0
    ran = foregate("run", "leads", folder=fresh)
    assert ran.returncode == 1, "a model of two columns stands on one of them: a person must accept that"
    accept_what_is_asked(fresh)
    assert foregate("promote", folder=fresh).returncode == 0
    built = foregate("list", "build", folder=fresh)
    assert built.returncode == 0, built.stderr
    report = json.loads(foregate("list", "build", "--json", folder=fresh).stdout)
    assert report["expected"][-1]["leads"] == 25
    lines = (fresh / "lists" / "2025_09" / "list.csv").read_text().splitlines()
    assert len(lines) == 26
    person = lines[1].split(",")[0]
    explained = foregate("list", "explain", person, folder=fresh)
    assert explained.returncode == 0
    assert "the score (" in explained.stdout
    data = json.loads(foregate("status", "--json", folder=fresh).stdout)
    assert list(data["served"].values()) == [1.0]
    assert foregate("log", "--write", folder=fresh).returncode == 0
    assert "## Version" in (fresh / "EXECUTION_LOG.md").read_text()


def test_strict_turns_warnings_into_exit_code_three(fresh: Path) -> None:
    foregate("run", "leads", folder=fresh)
    found = json.loads(foregate("run", "leads", "--json", folder=fresh).stdout)
    code = foregate("run", "leads", "--strict", folder=fresh).returncode
    assert code == (0 if found["state"] == "passed" else 3)


def replaced(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def empty_table(p: Path) -> None:
    (p / "data" / "leads.csv").write_text("lead_id,contacted_on,converted_on,channel,company_size\n")


def missing_column(p: Path) -> None:
    replaced(p / "data" / "leads.csv", "company_size", "company_sise")


def unreadable_file(p: Path) -> None:
    (p / "data" / "leads.csv").unlink()


def unknown_key(p: Path) -> None:
    replaced(p / "foregate.toml", "train_days = 365", "trian_days = 365")


def broken_toml(p: Path) -> None:
    replaced(p / "foregate.toml", "seed = 42", "seed = = 42")


def sql_that_looks_ahead(p: Path) -> None:
    (p / "features" / "contact.sql").write_text("select current_date as today from leads")


def sql_that_is_none(p: Path) -> None:
    (p / "features" / "contact.sql").write_text("selec channel from leads")


def undeclared_column(p: Path) -> None:
    (p / "features" / "contact.sql").write_text("select converted_on is not null as cheat from leads")


def unreachable_tier(p: Path) -> None:
    with (p / "tiers.toml").open("a") as file:
        file.write(
            '\n[[tier]]\nname = "T2"\nwords = "x"\nwhen = "company_size > 200"\npromised_rate = 0.1\nquota = 1\n'
        )


def unknown_gate(p: Path) -> None:
    with (p / "foregate.toml").open("a") as file:
        file.write("\n[leads.gates.auc_rock]\nat_least = 0.5\n")


def not_a_database(p: Path) -> None:
    (p / "warehouse.duckdb").write_text("this is no database")


def not_a_ledger(p: Path) -> None:
    (p / "ledger.sqlite").write_text("this is no database, and long enough to have a header " * 40)


def typing_error_in_a_rule(p: Path) -> None:
    replaced(p / "tiers.toml", 'when = "company_size >= 100"', 'when = "company_sise >= 100"')


def typing_error_in_the_words(p: Path) -> None:
    replaced(p / "tiers.toml", "{company_size}", "{company_sise}")


CONFIGURATION = [
    (typing_error_in_a_rule, 2, "Did you mean company_size?"),
    (typing_error_in_the_words, 2, "Did you mean company_size?"),
    (empty_table, 2, "no rows"),
    (missing_column, 2, "company_size"),
    (unreadable_file, 2, "leads.csv"),
    (unknown_key, 2, "Did you mean train_days?"),
    (broken_toml, 2, "line"),
    (sql_that_looks_ahead, 2, "the clock"),
    (sql_that_is_none, 2, "contact.sql"),
    (undeclared_column, 2, "does not say when it becomes known"),
    (unreachable_tier, 2, "T2"),
    (unknown_gate, 2, "auc_rock"),
    (not_a_database, 4, "warehouse.duckdb"),
    (not_a_ledger, 4, "ledger"),
]


@pytest.mark.parametrize(("spoil", "code", "named"), CONFIGURATION, ids=lambda x: getattr(x, "__name__", ""))
def test_bad_input_is_one_clear_error_with_its_exit_code(spoil, code: int, named: str, project: Path) -> None:
    spoil(project)
    found = foregate("run", "leads", folder=project)
    assert found.returncode == code, found.stdout + found.stderr
    assert named in found.stderr
    assert found.stderr.count("error:") == 1
    assert "Traceback" not in found.stderr
    assert "wanted" in found.stderr
    assert not (project / "artifacts").exists()


def duplicate_keys(p: Path) -> None:
    file = p / "data" / "leads.csv"
    file.write_text(file.read_text() + file.read_text().splitlines()[5] + "\n")


def future_dates(p: Path) -> None:
    file = p / "data" / "leads.csv"
    file.write_text(file.read_text() + "99999,2031-01-01,,web,10\n")


def infinite_feature(p: Path) -> None:
    strange = "case when company_size > 250 then 1 / 0.0 else company_size end as strange"
    sql = f"select channel, company_size, {strange} from leads"
    (p / "features" / "contact.sql").write_text(sql)


DATA = [
    (duplicate_keys, "duplicate_keys[leads]"),
    (future_dates, "impossible_contacts"),
    (infinite_feature, "not_finite[strange]"),
]


@pytest.mark.parametrize(("spoil", "gate"), DATA, ids=lambda x: getattr(x, "__name__", ""))
def test_bad_data_is_stopped_by_a_gate_that_names_it(spoil, gate: str, project: Path) -> None:
    spoil(project)
    found = foregate("run", "leads", folder=project)
    assert found.returncode == 1, found.stdout + found.stderr
    assert gate in found.stdout
    assert "Traceback" not in found.stderr


def test_a_run_that_broke_off_before_it_had_a_version_is_in_the_ledger(project: Path) -> None:
    unreadable_file(project)
    foregate("run", "leads", folder=project)
    events = json.loads(foregate("log", "--json", folder=project).stdout)
    assert [e["kind"] for e in events] == ["failed"]
    assert "leads.csv" in events[0]["reason"]


def test_a_warehouse_that_another_process_holds_is_named_with_its_pid(project: Path) -> None:
    path = project / "warehouse.duckdb"
    holding = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    holder = subprocess.Popen(
        [sys.executable, "-c", holding, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        found = foregate("check", folder=project)
        assert found.returncode == 4
        assert str(holder.pid) in found.stderr
    finally:
        holder.communicate(input="")


def test_no_project_here_says_what_to_do(tmp_path: Path) -> None:
    found = foregate("status", folder=tmp_path)
    assert found.returncode == 2
    assert "foregate init" in found.stderr


def test_a_list_is_exported_as_csv_and_parquet(fresh: Path, tmp_path: Path) -> None:
    if not (fresh / "lists").exists():
        pytest.skip("needs the list that the path by the README builds")
    for ending in ("csv", "parquet"):
        assert foregate("list", "export", str(tmp_path / f"list.{ending}"), folder=fresh).returncode == 0
        assert (tmp_path / f"list.{ending}").stat().st_size > 100
    unknown = foregate("list", "export", str(tmp_path / "x.csv"), "--list", "1999_01", folder=fresh)
    assert unknown.returncode == 1
    assert "no such list" in unknown.stderr
