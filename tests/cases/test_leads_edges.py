"""Edges of real projects: each was a silent wrong answer or a traceback once, and is an error or a gate now."""

import csv
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from foregate.app import App
from foregate.app.lists import build_list, explain_lead
from foregate.app.promotion import VIEW, promote, waive
from foregate.app.starting import lay_project
from foregate.core.errors import ConfigurationError, DataError, FeatureError, ForegateError, OutsideError
from foregate.core.event import Kind
from foregate.core.folds import State, VersionState, served
from foregate.core.gate import Effect, Result
from foregate.warehouse.duckdb import DuckDB

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
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def replaced(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def features(folder: Path, extra: str) -> None:
    (folder / FEATURES).write_text(f"select channel, company_size, {extra} from leads")


def opened(folder: Path) -> App:
    return App(folder, actor="tester", clock=lambda: NOW)


def open_gates(state: VersionState) -> dict[str, Result]:
    judged = [p.judged for p in state.phases.values() if p.judged]
    return {j.label: j.result for e in judged for j in e.judgements if j.result is not Result.PASS}


def accepted(app: App) -> VersionState:
    """Run, and accept every gate that asks for it."""
    state = app.run()
    for phase in list(state.phases.values()):
        for j in phase.judged.judgements if phase.judged else ():
            if j.result is not Result.PASS and j.gate.effect is Effect.SIGN_OFF:
                waive(app, state.version, j.label, "Ada", "a small company", date(2026, 1, 1))
    return app.find(state.version)


def in_service(folder: Path) -> App:
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


# What is known, and when.


@pytest.mark.parametrize("known", ["hint_known_on", "at_contact"])
def test_a_column_whose_day_nobody_declares_is_not_taken_as_known_at_contact(known: str, tmp_path: Path) -> None:
    lay(tmp_path, 50, lambda row: {**row, "hint": "1", "hint_known_on": "2030-01-01"})
    replaced(tmp_path / PROJECT, 'channel = "at contact"', f'channel = "at contact"\nhint = "{known}"')
    with pytest.raises(DataError, match="does not declare"):
        opened(tmp_path).check()


def test_the_outcome_can_not_be_called_known_at_contact(tmp_path: Path) -> None:
    lay(tmp_path, 50)
    replaced(tmp_path / PROJECT, 'channel = "at contact"', 'channel = "at contact"\nconverted_on = "at contact"')
    with pytest.raises(DataError, match="the outcome"):
        opened(tmp_path).check()


@pytest.mark.parametrize(
    ("condition", "named"),
    [("converted_on is not null", "reads the outcome"), ("contacted_on < current_date", "when or where"), ("1", "not")],
)
def test_who_is_a_lead_depends_on_neither_outcome_nor_clock(condition: str, named: str, tmp_path: Path) -> None:
    lay(tmp_path, 50)
    replaced(tmp_path / PROJECT, 'source = "leads"\n', f'source = "leads"\nonly = "{condition}"\n')
    with pytest.raises(ForegateError, match=named):
        opened(tmp_path).run()


def test_a_lag_that_can_not_be_measured_is_refused_and_not_taken_as_none(tmp_path: Path) -> None:
    lay(tmp_path)
    write(tmp_path / "data" / "calls.csv", [{"lead_id": str(i), "called_on": "2025-01-01"} for i in range(1, 100)])
    calls = '[sources.calls]\nfile = "data/calls.csv"\nkey = "lead_id"\nhappened = "called_on"\nknown_after = "LAG"\n\n'
    replaced(tmp_path / PROJECT, "[leads]\n", calls + "[leads]\n")
    (tmp_path / "features" / "calls.sql").write_text("select count(*) as calls_made from calls")
    replaced(tmp_path / PROJECT, "LAG", "measured")
    with pytest.raises(DataError, match="too few rows to measure"):
        opened(tmp_path).run()
    replaced(tmp_path / PROJECT, "measured", "3 days")
    judged = opened(tmp_path).run().phases["landscape"].judged
    assert judged is not None
    said = next(e for e in judged.evidence if e.name == "shortfall")
    assert (said.subject, said.words) == ("calls", "too few rows to tell how late it fills")


def test_what_came_after_the_as_of_date_is_not_counted(tmp_path: Path) -> None:
    state = opened(lay(tmp_path)).run(date(2025, 6, 30))
    truth = lay(tmp_path / "then", change=lambda r: None if r["contacted_on"] > "2025-06-30" else hidden(r))
    other = opened(truth).run(date(2025, 6, 30))
    for name in ("contacted", "converted_ever_rate", "late_rate", "positive_rate"):
        assert state.evidence(name) == other.evidence(name), name


def hidden(row: Row) -> Row:
    return {**row, "converted_on": "" if row["converted_on"] > "2025-06-30" else row["converted_on"]}


def test_the_day_of_a_moment_does_not_depend_on_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    late = lay(tmp_path, change=lambda row: {**row, "contacted_on": row["contacted_on"] + " 23:30:00+00"})
    found = {}
    for zone in ("UTC", "Asia/Tokyo"):
        monkeypatch.setenv("TZ", zone)
        (late / "ledger.sqlite").unlink(missing_ok=True)
        (late / "warehouse.duckdb").unlink(missing_ok=True)
        state = opened(late).run()
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
def test_an_empty_slice_is_stopped_by_a_gate_that_names_it(gap: tuple[str, str], named: str, tmp_path: Path) -> None:
    state = opened(lay(tmp_path, change=between(*gap))).run()
    assert state.state is State.BLOCKED
    assert open_gates(state)["short_slices"] is Result.FAIL
    judged = state.phases["split"].judged
    assert judged is not None
    assert named in next(e.words for e in judged.evidence if e.name == "short_slices")


@pytest.mark.parametrize("as_of", [date(2026, 3, 1), date(2026, 6, 1), date(2027, 6, 1)])
def test_an_as_of_date_long_after_the_data_is_stopped_by_a_gate(as_of: date, tmp_path: Path) -> None:
    state = opened(lay(tmp_path)).run(as_of)
    assert state.state is State.BLOCKED
    assert "short_slices" in open_gates(state)


def test_leads_that_nobody_contacted_are_stopped_by_a_gate(tmp_path: Path) -> None:
    lay(tmp_path, 50)
    (tmp_path / "sources").mkdir()
    sql = "select * replace (null::date as contacted_on) from read_csv('{folder}/data/leads.csv')"
    (tmp_path / "sources" / "leads.sql").write_text(sql)
    replaced(tmp_path / PROJECT, 'file = "data/leads.csv" ', 'query = "sources/leads.sql" ')
    state = opened(tmp_path).run()
    assert open_gates(state)["contacted"] is Result.FAIL
    assert state.state is State.BLOCKED


# Features.


@pytest.mark.parametrize("name", ["label", "slice", "tier", "score", "percentile", "age__", "own__channel"])
def test_a_feature_can_not_bear_a_name_of_the_tables_of_a_run(name: str, tmp_path: Path) -> None:
    features(lay(tmp_path, 50), f"length(channel) as {name}")
    with pytest.raises(FeatureError, match=name):
        opened(tmp_path).check()


def test_a_decimal_feature_can_be_packaged_and_read_back(tmp_path: Path) -> None:
    features(lay(tmp_path), "company_size * 0.5 + length(channel) as half")
    app = opened(tmp_path)
    state = app.run()
    assert "half" in app.package(state.version).trees.signature.names


def test_features_of_many_values_do_not_ask_for_a_signature_on_their_values(tmp_path: Path) -> None:
    lay(tmp_path)
    (tmp_path / FEATURES).write_text("select company_size, company_size * 7919 % 307 as other from leads")
    replaced(tmp_path / "tiers.toml", ", by {channel}", "")
    assert "pure_values" not in open_gates(opened(tmp_path).run())


# Promotion.


def test_a_promotion_cut_short_is_done_again_and_not_taken_as_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = opened(lay(tmp_path))
    state = accepted(app)

    def cut(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(DuckDB, "publish", cut)
        with pytest.raises(KeyboardInterrupt):
            promote(app, state.version)
    promote(app, state.version)
    with app.warehouse() as engine:
        assert engine.rows(f"select distinct version from {VIEW}") == [(state.version,)]


def test_nothing_is_in_service_when_the_warehouse_could_not_be_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = opened(lay(tmp_path))
    state = accepted(app)

    def held(*_: object, **__: object) -> None:
        raise OutsideError("warehouse", found="a lock", wanted="none", then="Wait.")

    with monkeypatch.context() as patch:
        patch.setattr(App, "warehouse", held)
        with pytest.raises(OutsideError):
            promote(app, state.version)
    assert not served(e.event for e in app.entries())


# Lists.


@pytest.fixture(scope="module")
def text_app(tmp_path_factory: pytest.TempPathFactory) -> App:
    """A project whose ids are text, with people of their own, one of whose names has a quote."""
    folder = tmp_path_factory.mktemp("it's a folder") / "my leads"
    lay(folder, change=lambda row: {**row, "lead_id": f"00Q{int(row['lead_id']):06d}"})
    with_people(folder, people(400, "P'{:04d}"))
    return in_service(folder)


def test_text_ids_go_through_list_and_explanation(text_app: App) -> None:
    built = build_list(text_app).built
    ids = built.people.column("person_id").to_pylist()
    assert len(set(ids)) == 25
    assert all(one.startswith("P'") for one in ids)
    found = explain_lead(text_app, ids[3])
    assert found["decision"]["person_id"] == found["score"]["subject_id"] == found["listed"]["person_id"] == ids[3]


@pytest.mark.parametrize("name", ["a b", "../../x", "x'; drop table y; --", "a.b", "A"])
def test_a_list_name_is_letters_digits_and_underscores(name: str, text_app: App) -> None:
    with pytest.raises(ConfigurationError, match="--name"):
        build_list(text_app, name=name)


def spoiled(app: App, people_now: list[Row]) -> App:
    write(app.project.path("data/people.csv"), people_now)
    return opened(app.project.folder)


def test_people_doubled_after_the_promotion_are_refused_whatever_their_ids(text_app: App) -> None:
    once = people(400, "P'{:04d}")
    try:
        with pytest.raises(DataError, match="on several rows"):
            build_list(spoiled(text_app, once + once))
    finally:
        spoiled(text_app, once)


def test_people_without_an_id_are_refused_and_not_lost(text_app: App) -> None:
    once = people(400, "P'{:04d}")
    try:
        with pytest.raises(DataError, match="without an id"):
            build_list(spoiled(text_app, [*once, {**once[0], "pid": ""}]))
    finally:
        spoiled(text_app, once)


def test_a_refused_list_leaves_the_one_before_it_whole(text_app: App) -> None:
    build_list(text_app)
    tables = ("lead_scores", "population_features", "list_people", "list_decisions", "list_waterfall")

    def prints() -> list[str]:
        with text_app.warehouse("list_2025_09") as engine:
            return [engine.fingerprint(table) for table in tables]

    before, file = prints(), text_app.project.file
    original = file.read_text()
    try:
        replaced(file, "per_owner = 25", "per_owner = 3000")
        with pytest.raises(ForegateError, match="too few"):
            build_list(opened(text_app.project.folder), date(2025, 9, 20), "2025_09")
    finally:
        file.write_text(original)
    assert prints() == before


def test_the_last_list_in_the_ledger_is_the_one_in_the_tables(text_app: App) -> None:
    file = text_app.project.file
    original, first = file.read_text(), build_list(text_app)
    replaced(file, "firm_cap = 50", "firm_cap = 50\nassignment_tolerance = 0.5")
    replaced(file, "per_owner = 25", "per_owner = 24")
    try:
        build_list(opened(text_app.project.folder))
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
def test_a_list_of_other_tiers_than_were_priced_is_refused(file: str, old: str, new: str, text_app: App) -> None:
    path = text_app.project.path(file)
    original = path.read_text()
    try:
        replaced(path, old, new)
        with pytest.raises(ConfigurationError, match="judged and priced with"):
            build_list(opened(text_app.project.folder))
    finally:
        path.write_text(original)


def test_open_leads_are_the_leads_of_the_case_and_their_wishes_are_kept(tmp_path: Path) -> None:
    def wish(row: Row) -> Row:
        number = int(row["lead_id"])
        return {**row, "do_not_call": str(number % 2 == 0).lower(), "kind": "list" if number % 4 else "inbound"}

    lay(tmp_path, change=wish)
    replaced(tmp_path / PROJECT, 'source = "leads"\n', 'source = "leads"\nonly = "kind = \'list\'"\n')
    app = in_service(tmp_path)
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
    settings: str, limits: str, named: str, tmp_path: Path
) -> None:
    with_people(lay(tmp_path, 50), people(40), settings)
    replaced(tmp_path / PROJECT, "firm_cap = 50", f"firm_cap = 50\n{limits}")
    with pytest.raises(DataError, match=named):
        opened(tmp_path).check()


def test_an_unknown_wish_is_not_taken_as_a_yes_to_calls(tmp_path: Path) -> None:
    asked = [{**one, "do_not_call": "" if int(one["pid"]) % 2 else "true"} for one in people(400)]
    with_people(lay(tmp_path), asked)
    with pytest.raises(ForegateError, match="do_not_call"):
        build_list(in_service(tmp_path))
