"""Edges of real projects: each was a silent wrong answer or a traceback once, and is an error or a gate now."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from foregate.app.leads import Leads
from foregate.app.leads.case import VIEW
from foregate.app.promotion import promote
from foregate.core.errors import DataError, FeatureError, ForegateError, OutsideError
from foregate.core.event import Event, Kind
from foregate.core.folds import State, served
from foregate.core.gate import Result
from foregate.warehouse.duckdb import DuckDB

FEATURES, PROJECT = "features/contact.sql", "foregate.toml"
Row = dict[str, str]


# What is known, and when.


@pytest.mark.parametrize("known", ["hint_known_on", "at_contact"])
def test_a_column_whose_day_nobody_declares_is_not_taken_as_known_at_contact(
    company: Any, known: str, tmp_path: Path
) -> None:
    company.lay(tmp_path, 50, lambda row: {**row, "hint": "1", "hint_known_on": "2030-01-01"})
    company.replaced(tmp_path / PROJECT, 'channel = "at contact"', f'channel = "at contact"\nhint = "{known}"')
    with pytest.raises(DataError, match="does not declare"):
        company.opened(tmp_path).check()


def test_the_outcome_can_not_be_called_known_at_contact(company: Any, tmp_path: Path) -> None:
    company.lay(tmp_path, 50)
    company.replaced(
        tmp_path / PROJECT, 'channel = "at contact"', 'channel = "at contact"\nconverted_on = "at contact"'
    )
    with pytest.raises(DataError, match="the outcome"):
        company.opened(tmp_path).check()


@pytest.mark.parametrize(
    ("condition", "named"),
    [("converted_on is not null", "reads the outcome"), ("contacted_on < current_date", "when or where"), ("1", "not")],
)
def test_who_is_a_lead_depends_on_neither_outcome_nor_clock(
    company: Any, condition: str, named: str, tmp_path: Path
) -> None:
    company.lay(tmp_path, 50)
    company.replaced(tmp_path / PROJECT, 'source = "leads"\n', f'source = "leads"\nonly = "{condition}"\n')
    with pytest.raises(ForegateError, match=named):
        company.opened(tmp_path).run()


def test_a_lag_that_can_not_be_measured_is_refused_and_not_taken_as_none(company: Any, tmp_path: Path) -> None:
    company.lay(tmp_path)
    company.write(
        tmp_path / "data" / "calls.csv", [{"lead_id": str(i), "called_on": "2025-01-01"} for i in range(1, 100)]
    )
    calls = '[sources.calls]\nfile = "data/calls.csv"\nkey = "lead_id"\nhappened = "called_on"\nknown_after = "LAG"\n\n'
    company.replaced(tmp_path / PROJECT, "[leads]\n", calls + "[leads]\n")
    (tmp_path / "features" / "calls.sql").write_text("select count(*) as calls_made from calls")
    company.replaced(tmp_path / PROJECT, "LAG", "measured")
    with pytest.raises(DataError, match="too few rows to measure"):
        company.opened(tmp_path).run()
    company.replaced(tmp_path / PROJECT, "measured", "3 days")
    judged = company.opened(tmp_path).run().phases["landscape"].judged
    assert judged is not None
    said = next(e for e in judged.evidence if e.name == "shortfall")
    assert (said.subject, said.words) == ("calls", "too few rows to tell how late it fills")


def test_what_came_after_the_as_of_date_is_not_counted(company: Any, tmp_path: Path) -> None:
    state = company.opened(company.lay(tmp_path)).run(date(2025, 6, 30))
    truth = company.lay(tmp_path / "then", change=lambda r: None if r["contacted_on"] > "2025-06-30" else hidden(r))
    other = company.opened(truth).run(date(2025, 6, 30))
    for name in ("contacted", "converted_ever_rate", "late_rate", "positive_rate"):
        assert state.evidence(name) == other.evidence(name), name


def hidden(row: Row) -> Row:
    return {**row, "converted_on": "" if row["converted_on"] > "2025-06-30" else row["converted_on"]}


def test_the_day_of_a_moment_does_not_depend_on_the_machine(
    company: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = company.lay(tmp_path, change=lambda row: {**row, "contacted_on": row["contacted_on"] + " 23:30:00+00"})
    found = {}
    for zone in ("UTC", "Asia/Tokyo"):
        monkeypatch.setenv("TZ", zone)
        (late / "ledger.sqlite").unlink(missing_ok=True)
        (late / "warehouse.duckdb").unlink(missing_ok=True)
        state = company.opened(late).run()
        found[zone] = state.version, state.evidence("test_rows"), state.evidence("auc_roc")
    assert found["UTC"] == found["Asia/Tokyo"]


# Windows without leads.


def between(first: str, last: str) -> Callable[[Row], Row | None]:
    return lambda row: None if first <= row["contacted_on"] <= last else row


@pytest.mark.parametrize(
    ("gap", "named"),
    [
        (("2025-06-18", "2025-08-16"), "test has 0"),
        (("2025-02-20", "2025-05-15"), "calibrate has 0"),
        (("2024-01-01", "2025-01-15"), "fit has 0"),
    ],
)
def test_an_empty_slice_is_stopped_by_a_gate_that_names_it(
    company: Any, gap: tuple[str, str], named: str, tmp_path: Path
) -> None:
    state = company.opened(company.lay(tmp_path, change=between(*gap))).run()
    assert state.state is State.BLOCKED
    assert company.open_gates(state)["short_slices"] is Result.FAIL
    judged = state.phases["split"].judged
    assert judged is not None
    assert named in next(e.words for e in judged.evidence if e.name == "short_slices")


@pytest.mark.parametrize("as_of", [date(2026, 3, 1), date(2026, 6, 1), date(2027, 6, 1)])
def test_an_as_of_date_long_after_the_data_is_stopped_by_a_gate(company: Any, as_of: date, tmp_path: Path) -> None:
    state = company.opened(company.lay(tmp_path)).run(as_of)
    assert state.state is State.BLOCKED
    assert "short_slices" in company.open_gates(state)


def test_leads_that_nobody_contacted_are_stopped_by_a_gate(company: Any, tmp_path: Path) -> None:
    company.lay(tmp_path, 50)
    (tmp_path / "sources").mkdir()
    sql = "select * replace (null::date as contacted_on) from read_csv('{folder}/data/leads.csv')"
    (tmp_path / "sources" / "leads.sql").write_text(sql)
    company.replaced(tmp_path / PROJECT, 'file = "data/leads.csv" ', 'query = "sources/leads.sql" ')
    state = company.opened(tmp_path).run()
    assert company.open_gates(state)["contacted"] is Result.FAIL
    assert state.state is State.BLOCKED


# Features.


@pytest.mark.parametrize("name", ["label", "slice", "tier", "score", "percentile", "age__", "own__channel"])
def test_a_feature_can_not_bear_a_name_of_the_tables_of_a_run(company: Any, name: str, tmp_path: Path) -> None:
    company.features(company.lay(tmp_path, 50), f"length(channel) as {name}")
    with pytest.raises(FeatureError, match=name):
        company.opened(tmp_path).check()


def test_a_decimal_feature_can_be_packaged_and_read_back(company: Any, tmp_path: Path) -> None:
    company.features(company.lay(tmp_path), "(company_size * 31 % 37) * 0.5 as half")
    app = company.opened(tmp_path)
    state = app.run()
    assert "half" in app.package(state.version).trees.signature.names


def test_features_of_many_values_do_not_ask_for_a_signature_on_their_values(company: Any, tmp_path: Path) -> None:
    company.lay(tmp_path)
    (tmp_path / FEATURES).write_text("select company_size, company_size * 7919 % 307 as other from leads")
    company.replaced(tmp_path / "tiers.toml", ", by {channel}", "")
    assert "pure_values" not in company.open_gates(company.opened(tmp_path).run())


def halves(row: Row) -> Row:
    """A size that is infinite once in the test window, where no training row shows it."""
    once = row["contacted_on"] > "2025-07-01" and int(row["lead_id"]) == 5_200
    return {**row, "company_size": "inf" if once else row["company_size"] + ".5"}


def test_an_infinite_number_in_the_test_rows_alone_is_stopped_by_a_gate(company: Any, tmp_path: Path) -> None:
    state = company.opened(company.lay(tmp_path, change=halves)).run()
    assert company.open_gates(state)["not_finite[company_size]"] is Result.FAIL


def test_an_infinite_number_where_people_are_scored_names_the_feature(company: Any, tmp_path: Path) -> None:
    company.lay(tmp_path, change=lambda row: {**row, "company_size": row["company_size"] + ".5"})
    crowd = [{**one, "company_size": one["company_size"] + ".5"} for one in company.people(400)]
    company.with_people(tmp_path, [*crowd[:5], {**crowd[5], "company_size": "inf"}, *crowd[6:]])
    with pytest.raises(DataError, match="feature company_size: found infinite for 1 of 400"):
        company.opened(tmp_path).run()


# Promotion.


def test_a_promotion_cut_short_is_done_again_and_not_taken_as_done(
    company: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = company.opened(company.lay(tmp_path))
    state = company.accepted(app)

    def cut(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(DuckDB, "publish", cut)
        with pytest.raises(KeyboardInterrupt):
            promote(app, state.version)
    assert not served(e.event for e in app.entries())
    promote(app, state.version)
    with app.warehouse() as engine:
        assert engine.rows(f"select distinct version from {VIEW}") == [(state.version,)]


def test_nothing_is_in_service_when_the_warehouse_could_not_be_opened(
    company: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = company.opened(company.lay(tmp_path))
    state = company.accepted(app)

    def held(*_: object, **__: object) -> None:
        raise OutsideError("warehouse", found="a lock", wanted="none", then="Wait.")

    with monkeypatch.context() as patch:
        patch.setattr(Leads, "warehouse", held)
        with pytest.raises(OutsideError):
            promote(app, state.version)
    assert not served(e.event for e in app.entries())


def test_a_process_killed_between_ledger_and_view_is_made_good_by_the_next_promotion(
    company: Any, tmp_path: Path
) -> None:
    app = company.opened(company.lay(tmp_path))
    state = company.accepted(app)
    split = {state.version: 1.0}
    app.ledger.add(Event(Kind.SERVED, app.clock(), "leads", state.version, "tester", split=split))
    promote(app, state.version)
    with app.warehouse() as engine:
        assert engine.rows(f"select distinct version from {VIEW}") == [(state.version,)]
