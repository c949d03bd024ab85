"""A forecast shown and drawn from the command line, and its model card from the ledger's evidence alone."""

from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.forecast_ledger import FUNNEL, MEASURED, ON, events, foregate, project, ratio, row, state

from foregate.app.leads import Leads
from foregate.app.starting import lay_project
from foregate.core.errors import ConfigurationError, NotAllowedError
from foregate.core.evidence import Evidence, Unit
from foregate.report.card import model_card

# -- show, and its picture


@pytest.fixture
def shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one version whose newest issue is made up."""
    project(tmp_path, *events("aaaa", MEASURED, window="2025-01-02..2026-01-05"))
    newest = SimpleNamespace(
        version="aaaa",
        as_of=ON,
        told=[row("1w", 70.1), row("1m", 70.0)],
        before=[{"series": "wti", "day": date(2026, 1, 1), "price": 69.0}],
        weights=[
            {"series": "wti", "horizon": "1w", "kind": kind, "day": day, "expert": "ses", "weight": 1.0}
            for kind in ("in force", "learnt")
            for day in (date(2025, 12, 1), ON)
        ],
    )

    def outlook(_app: Any, _version: str, *, past_weights: bool = False) -> Any:
        return newest if past_weights else SimpleNamespace(**{**vars(newest), "weights": []})

    monkeypatch.setattr("foregate.app.prices.outlook.outlook", outlook)
    return tmp_path


@pytest.mark.parametrize("how", [(), ("--all",), ("--phase", "validate")])
def test_a_picture_that_is_asked_for_is_drawn_whatever_else_is_shown(how: tuple[str, ...], shown: Path) -> None:
    target = shown / "fan.png"
    found = foregate(shown, "show", "prices", *how, "--picture", str(target))
    assert found.exit_code == 0
    assert target.read_bytes().startswith(b"\x89PNG")
    assert (shown / "fan_weights.png").is_file()
    assert found.stderr.count("drew ") == 1
    assert ("validate: " in found.stdout) == bool(how), "the gates, where they are asked for"


@pytest.mark.parametrize("how", [(), ("--all",)])
def test_a_picture_into_a_folder_that_is_not_there_names_the_folder(how: tuple[str, ...], shown: Path) -> None:
    found = foregate(shown, "show", "prices", *how, "--picture", str(shown / "nodir" / "x.png"))
    assert isinstance(found.exception, ConfigurationError)
    assert str(shown / "nodir") in str(found.exception)


def test_nothing_issued_is_said_where_a_picture_was_asked_for(tmp_path: Path) -> None:
    project(tmp_path, *events("aaaa", MEASURED))
    found = foregate(tmp_path, "show", "--all", "--picture", str(tmp_path / "x.png"))
    assert "none issued" in found.stderr
    assert not (tmp_path / "x.png").exists()


# -- the card


def test_the_card_of_prices_says_what_it_forecasts_how_well_and_what_not_to_trust() -> None:
    text = model_card(state("aaaa", MEASURED, window="2025-01-02..2026-01-05"))
    for words in (
        "**As of:** 2026-01-05",
        "| wti 1w | equal | equal errs 1.020 times",
        "| wti 1m | no_change |",
        "2014-01-02 to 2026-01-02",
        "Candidate number 1 to read 2025-01-02..2026-01-05; intervals at 97.50%",
        "| mae_ratio[wti 1w] | 1.01x [0.97, 1.06] | 184 | equal against no-change: cannot tell |",
        "| coverage_80[wti 1w] | 79.9 % [69.0, 87.6] |",
        "| coverage_95[wti 1m] | 95.8 % [74.5, 99.5] |",
        "| worst_window_95[wti 1m] | 65.2 % [38.9, 84.7] |",
        "| extreme_share[wti 1w] |",
        "nothing tells the forecast from no change",
        "no change took the place of the file's rule",
    ):
        assert words in text, words
    assert "| champion_mae_ratio[wti 1w] | not measured |" in text


def test_the_card_of_a_funnel_has_its_stages_candidates_errors_and_coverage() -> None:
    text = model_card(state("aaaa", FUNNEL, "funnel"))
    for words in (
        "| trial | mean_28 | count_filter loses",
        "1.66 a day over 500 days",
        "16 to choose on, 8 sealed",
        "| naive_loss_ratio[trial] | 0.93x [0.80, 1.05] | 184 |",
        "| bias[trial] | -0.050 [-0.200, +0.100] |",
        "| wape[trial total] |",
        "| coverage_95[trial total day] | 94.0 % [80.0, 99.0] |",
        "intervals at 99.17%",
    ):
        assert words in text, words


def test_the_card_of_a_version_that_measured_nothing_has_its_day_and_nothing_made_up() -> None:
    text = model_card(state("aaaa", ()))
    assert "**As of:** 2026-01-05" in text
    assert "##" not in text


def test_the_card_s_table_rows_have_as_many_cells_as_its_heads() -> None:
    text = model_card(state("aaaa", (*MEASURED, ratio("wti 3m", 1.0, 0.9, 1.1, words="a | b"))))
    rows = [line.replace("\\|", "") for line in text.splitlines()]
    for at, line in enumerate(rows):
        if line.startswith("|---"):
            cells = line.count("---")
            below = [one for one in rows[at + 1 :] if one.startswith("|") or not one]
            for one in below[: below.index("")]:
                assert one.count("|") == cells + 1, one


def test_a_picture_of_a_case_without_forecasts_is_refused(tmp_path: Path) -> None:
    lay_project(tmp_path)
    app = Leads(tmp_path, "Ada")
    for event in events("aaaa", (), "leads"):
        app.ledger.add(event)
    found = foregate(tmp_path, "show", "--picture", str(tmp_path / "x.png"))
    assert isinstance(found.exception, NotAllowedError)
    assert "leads, which issues no forecasts" in str(found.exception)


def test_two_scores_whose_test_windows_are_not_known_are_never_said_to_have_the_same(tmp_path: Path) -> None:
    lay_project(tmp_path)
    app = Leads(tmp_path, "Ada")
    ends = {at: tuple(day(name, at) for name in ("test_start", "test_end")) for at in (739000, 739001)}
    for version, evidence in {
        "aaaa": (),
        "bbbb": (),
        "cccc": ends[739000],
        "dddd": ends[739000],
        "eeee": ends[739001],
    }.items():
        for event in events(version, evidence, "leads"):
            app.ledger.add(event)
    assert "not known" in foregate(tmp_path, "compare", "aaaa", "bbbb").stderr
    assert "not known" in foregate(tmp_path, "compare", "aaaa", "cccc").stderr
    assert foregate(tmp_path, "compare", "cccc", "dddd").stderr.strip() == "the same test window"
    assert "different test windows" in foregate(tmp_path, "compare", "cccc", "eeee").stderr


def day(name: str, ordinal: int) -> Evidence:
    return Evidence(name, ordinal, 1, ON, "x", unit=Unit.DATE)
