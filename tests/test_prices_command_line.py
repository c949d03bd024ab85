"""Prices from the command line: what is printed, as text and as data, and how it exits."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cases.prices_project import AS_OF, CHEAP, laid


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One made-up series with cheap experts, run and promoted once, whatever had to be taken on."""
    made = laid(tmp_path_factory.mktemp("cli"), CHEAP, series=("crude",))
    ran = foregate("run", "prices", folder=made)
    assert ran.returncode in (0, 1), ran.stderr
    state = json.loads(foregate("show", "prices", "--json", folder=made).stdout)
    judged = [one for phase in state["phases"].values() for one in phase["judgements"]]
    for one in judged:
        if one["result"] != "pass" and one["gate"]["effect"] == "sign_off":
            words = ("--by", "Mira", "--reason", "seen and taken on", "--until", "2099-01-01")
            waived = foregate("waive", state["version"], one["label"], *words, folder=made)
            assert waived.returncode == 0, waived.stderr
    promoted = foregate("promote", "prices", folder=made)
    assert promoted.returncode == 0, promoted.stderr
    return made


def foregate(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "foregate", "-C", str(folder), *words], capture_output=True, text=True, check=False
    )


def test_check_says_which_prices_there_are(folder: Path) -> None:
    said = foregate("check", folder=folder)
    assert said.returncode == 0, said.stderr
    assert "crude: " in said.stderr
    assert "USD per barrel" in said.stderr
    assert set(json.loads(foregate("check", "--json", folder=folder).stdout)["days"]) == {"crude"}


def test_show_prints_forecast_weights_skill_and_plain_words_and_draws_both_charts(folder: Path) -> None:
    shown = foregate("show", "prices", "--picture", str(folder / "fan.svg"), folder=folder)
    assert shown.returncode == 0, shown.stderr
    for words in (
        "From crude",
        "95 %",
        "Weights in force",
        "On the open days: error over no-change's",
        "seed_mape",
        "On the sealed days, against no-change",
        "ahead where it goes can not be said",
        "how far it may move can be said",
    ):
        assert words in shown.stdout, words
    for name in ("fan.svg", "fan_weights.svg"):
        assert (folder / name).read_text().startswith("<svg")


def test_forecast_issues_once_and_says_when_it_was_issued_before(folder: Path) -> None:
    first = foregate("forecast", "prices", "--as-of", str(AS_OF), "--json", folder=folder)
    assert first.returncode == 0, first.stderr
    assert json.loads(first.stdout)[0]["repeated"] is True, "the run's own issue of the same day"
    again = foregate("forecast", folder=folder)
    assert "nothing was written" in again.stderr
    assert "bi.price_forecast" in again.stderr


def test_monitor_budget_and_plan_know_prices(folder: Path) -> None:
    assert foregate("monitor", folder=folder).returncode in (0, 1)
    budget = foregate("alerts", "budget", "--runs", "2", folder=folder)
    assert budget.returncode == 0, budget.stderr
    assert "price_surprise" in budget.stdout
    planned = foregate("plan", folder=folder)
    assert planned.returncode == 0
    assert not {"people", "everybody", "scored", "list"} & {*planned.stdout.split()}


def test_bad_names_are_told_with_what_there_is(folder: Path, tmp_path: Path) -> None:
    made = laid(tmp_path / "one", 'rules = ["best_guess"]', series=("crude",))
    said = foregate("check", folder=made)
    assert said.returncode == 2
    assert "best_guess" in said.stderr
    assert "ml_poly_shared" in said.stderr
    made = laid(tmp_path / "two", 'experts = ["oracle"]', series=("crude",))
    said = foregate("check", folder=made)
    assert (said.returncode, "drift_1y" in said.stderr) == (2, True)


def test_a_weight_for_an_expert_that_does_not_forecast_is_told_before_a_run(tmp_path: Path) -> None:
    weighed = 'rules = ["regime_table"]\nregime_weights = { low = { %s = 1.0 }, high = { no_change = 1.0 } }'
    said = foregate("check", folder=laid(tmp_path / "one", weighed % "theta", series=("crude",)))
    assert said.returncode == 2
    assert "[prices.regime_weights.low]: found 'theta', wanted any of no_change, " in said.stderr
    assert foregate("check", folder=laid(tmp_path / "two", weighed % "ses", series=("crude",))).returncode == 0


def test_a_misspelt_source_is_told_with_every_source_there_is(tmp_path: Path) -> None:
    made = laid(tmp_path / "one", series=("crude",), changes={'source = "crude"': 'source = "crud"'})
    said = foregate("check", folder=made)
    assert said.returncode == 2
    wanted = said.stderr.partition("found 'crud', wanted one of ")[2].partition(". ")[0]
    assert "crude" in wanted.split(", "), "it is declared, though nothing reads it now"


def test_init_lays_a_project_of_prices(tmp_path: Path) -> None:
    said = foregate("init", str(tmp_path / "new"), "--case", "prices", folder=tmp_path)
    assert said.returncode == 0
    assert "[prices.series.wti]" in (tmp_path / "new" / "foregate.toml").read_text()
    assert foregate("init", str(tmp_path / "other"), "--case", "weather", folder=tmp_path).returncode == 2
