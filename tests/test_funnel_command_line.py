"""The funnel from the command line: what is printed, as text and as data, and how it exits."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from foregate.app.starting import lay_funnel
from foregate.cases.funnel.world import AS_OF, lay


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A funnel with nothing but means in the race, run once."""
    made = tmp_path_factory.mktemp("cli")
    lay_funnel(made)
    (made / "data").mkdir()
    lay(made / "data", 42, AS_OF)
    file = made / "foregate.toml"
    text = file.read_text()
    quick = '[funnel]\ncandidates = ["mean_28"]\ndraws = 100'
    for old, new in (("[funnel]", quick), ("origins = 24", "origins = 16")):
        assert old in text
        text = text.replace(old, new, 1)
    file.write_text(text)
    ran = foregate("run", "funnel", folder=made)
    assert ran.returncode in (0, 1), ran.stderr
    return made


def foregate(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "foregate", "-C", str(folder), *words], capture_output=True, text=True, check=False
    )


def test_check_says_what_there_is_to_count(folder: Path) -> None:
    said = foregate("check", folder=folder)
    assert said.returncode == 0
    assert "24 series of 4 segments" in said.stderr
    assert "next: foregate run funnel" in said.stderr
    told = json.loads(foregate("check", "--json", folder=folder).stdout)
    assert set(told["events"]) == {"mql", "sql", "sqo"}


def test_show_prints_the_next_days_the_race_and_the_sealed_origins_and_draws_the_fan(folder: Path) -> None:
    shown = foregate("show", "funnel", "--picture", str(folder / "fan.svg"), folder=folder)
    assert shown.returncode == 0, shown.stderr
    for words in (
        "The 30 days from",
        "95 % interval",
        "Past forecasts: loss over the 90-day mean's",
        "chosen",
        "On the sealed origins",
    ):
        assert words in shown.stdout
    assert (folder / "fan.svg").read_text().startswith("<svg")
    assert foregate("show", "funnel", "--picture", str(folder / "fan.jpg"), folder=folder).returncode == 2


def test_all_gates_are_shown_when_they_are_asked_for(folder: Path) -> None:
    shown = foregate("show", "funnel", "--all", folder=folder).stdout
    assert "control_gap" in shown
    assert "unmapped_share" in shown
    assert "conversion_rate[mql to sql]" in shown


def test_no_gate_judges_what_no_rate_can_fail(folder: Path) -> None:
    told = json.loads(foregate("show", "funnel", "--json", folder=folder).stdout)["phases"]["maturity"]
    assert "conversion_rate" in {e["name"] for e in told["evidence"]}
    assert {j["gate"]["evidence"] for j in told["judgements"]} == {"conversions", "mature_days"}


def test_a_version_is_found_by_its_first_letters_and_a_case_by_its_name(folder: Path) -> None:
    state = json.loads(foregate("status", "--json", folder=folder).stdout)
    version = state["versions"][0]["version"]
    assert json.loads(foregate("show", version[:4], "--json", folder=folder).stdout)["version"] == version
    assert json.loads(foregate("show", "funnel", "--json", folder=folder).stdout)["version"] == version
    wrong = foregate("show", "leads", folder=folder)
    assert wrong.returncode == 2
    assert "no [leads]" in wrong.stderr


def test_a_list_is_not_for_a_funnel(folder: Path) -> None:
    said = foregate("list", "build", folder=folder)
    assert said.returncode == 2
    assert "[leads]" in said.stderr


def test_nothing_is_issued_while_nothing_is_in_service(folder: Path) -> None:
    said = foregate("forecast", "funnel", folder=folder)
    assert said.returncode == 1
    assert "foregate promote funnel" in said.stderr


def test_a_forecast_of_a_day_to_come_is_refused(folder: Path) -> None:
    said = foregate("run", "funnel", "--as-of", "2031-01-01", folder=folder)
    assert said.returncode in (1, 2)
    assert "Traceback" not in said.stderr
