"""Edges of real lists: ids that are text, people who are doubled or nameless, wishes, names, and lists refused."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from foregate.app.leads import Leads
from foregate.app.leads.lists import build_list, explain_lead
from foregate.core.errors import ConfigurationError, DataError, ForegateError
from foregate.core.event import Kind

PROJECT = "foregate.toml"
Row = dict[str, str]


@pytest.fixture(scope="module")
def text_app(company: Any, tmp_path_factory: pytest.TempPathFactory) -> Leads:
    """A project whose ids are text, with people of their own, one of whose names has a quote."""
    folder = tmp_path_factory.mktemp("it's a folder") / "my leads"
    company.lay(folder, change=lambda row: {**row, "lead_id": f"00Q{int(row['lead_id']):06d}"})
    company.with_people(folder, company.people(400, "P'{:04d}"))
    return company.in_service(folder)


def test_text_ids_go_through_list_and_explanation(company: Any, text_app: Leads) -> None:
    built = build_list(text_app).built
    ids = built.people.column("person_id").to_pylist()
    assert len(set(ids)) == 25
    assert all(one.startswith("P'") for one in ids)
    found = explain_lead(text_app, ids[3])
    assert found["decision"]["person_id"] == found["score"]["subject_id"] == found["listed"]["person_id"] == ids[3]


@pytest.mark.parametrize("name", ["a b", "../../x", "x'; drop table y; --", "a.b", "A"])
def test_a_list_name_is_letters_digits_and_underscores(company: Any, name: str, text_app: Leads) -> None:
    with pytest.raises(ConfigurationError, match="--name"):
        build_list(text_app, name=name)


def test_people_doubled_after_the_promotion_are_refused_whatever_their_ids(company: Any, text_app: Leads) -> None:
    once = company.people(400, "P'{:04d}")
    try:
        with pytest.raises(DataError, match="on several rows"):
            build_list(company.spoiled(text_app, once + once))
    finally:
        company.spoiled(text_app, once)


def test_people_without_an_id_are_refused_and_not_lost(company: Any, text_app: Leads) -> None:
    once = company.people(400, "P'{:04d}")
    try:
        with pytest.raises(DataError, match="without an id"):
            build_list(company.spoiled(text_app, [*once, {**once[0], "pid": ""}]))
    finally:
        company.spoiled(text_app, once)


def test_a_refused_list_leaves_the_one_before_it_whole(company: Any, text_app: Leads) -> None:
    build_list(text_app)
    tables = ("lead_scores", "population_features", "list_people", "list_decisions", "list_waterfall")

    def prints() -> list[str]:
        with text_app.warehouse("list_2025_09") as engine:
            return [engine.fingerprint(table) for table in tables]

    before, file = prints(), text_app.project.file
    original = file.read_text()
    try:
        company.replaced(file, "per_owner = 25", "per_owner = 3000")
        with pytest.raises(ForegateError, match="too few"):
            build_list(company.opened(text_app.project.folder), date(2025, 9, 20), "2025_09")
    finally:
        file.write_text(original)
    assert prints() == before


def test_the_last_list_in_the_ledger_is_the_one_in_the_tables(company: Any, text_app: Leads) -> None:
    file = text_app.project.file
    original, first = file.read_text(), build_list(text_app)
    company.replaced(file, "firm_cap = 50", "firm_cap = 50\nassignment_tolerance = 0.5")
    company.replaced(file, "per_owner = 25", "per_owner = 24")
    try:
        build_list(company.opened(text_app.project.folder))
    finally:
        file.write_text(original)
    again = build_list(text_app)
    assert again.digest == first.digest
    last = [e.event for e in text_app.entries() if e.event.kind is Kind.LISTED][-1]
    assert last.detail["digest"] == again.digest
    assert build_list(text_app).repeated


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("tiers.toml", "company_size >= 100", "company_size >= 250"),
        ("foregate.toml", "percentile = 50", "percentile = 21"),
    ],
)
def test_a_list_of_other_tiers_than_were_priced_is_refused(
    company: Any, file: str, old: str, new: str, text_app: Leads
) -> None:
    path = text_app.project.path(file)
    original = path.read_text()
    try:
        company.replaced(path, old, new)
        with pytest.raises(ConfigurationError, match="judged and priced with"):
            build_list(company.opened(text_app.project.folder))
    finally:
        path.write_text(original)


def test_open_leads_are_the_leads_of_the_case_and_their_wishes_are_kept(company: Any, tmp_path: Path) -> None:
    def wish(row: Row) -> Row:
        number = int(row["lead_id"])
        return {**row, "do_not_call": str(number % 2 == 0).lower(), "kind": "list" if number % 4 else "inbound"}

    company.lay(tmp_path, 12_000, wish)
    company.replaced(tmp_path / PROJECT, 'source = "leads"\n', 'source = "leads"\nonly = "kind = \'list\'"\n')
    app = company.in_service(tmp_path)
    built = build_list(app).built
    assert all(int(one) % 2 for one in built.people.column("person_id").to_pylist())
    assert built.people.column("lead_id").to_pylist() == built.people.column("person_id").to_pylist()
    assert all(int(one) % 4 for one in built.decisions.column("person_id").to_pylist())


@pytest.mark.parametrize(
    ("settings", "limits", "named"),
    [
        ('do_not_call = "dont_call"\n', "", "dont_call"),
        ("", 'closed_statuses = ["Closed"]\n', "lead_status"),
        ("", "no_linkedin_cap = 5\n", "has_linkedin"),
    ],
)
def test_a_rule_of_the_list_without_its_column_is_refused(
    company: Any, settings: str, limits: str, named: str, tmp_path: Path
) -> None:
    company.with_people(company.lay(tmp_path, 50), company.people(40), settings)
    company.replaced(tmp_path / PROJECT, "firm_cap = 50", f"firm_cap = 50\n{limits}")
    with pytest.raises(DataError, match=named):
        company.opened(tmp_path).check()


def test_an_unknown_wish_is_not_taken_as_a_yes_to_calls(company: Any, tmp_path: Path) -> None:
    asked = [{**one, "do_not_call": "" if int(one["pid"]) % 2 else "true"} for one in company.people(400)]
    company.with_people(company.lay(tmp_path), asked)
    with pytest.raises(ForegateError, match="do_not_call"):
        build_list(company.in_service(tmp_path))
