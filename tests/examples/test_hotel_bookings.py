"""The hotels' bookings: an honest run passes; columns written after the booking are named."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from foregate.app.leads import Leads
from foregate.core.event import Kind
from foregate.core.folds import PROMOTABLE, State, VersionState
from foregate.core.gate import Judgement, Result

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data" / "hotel_bookings" / "hotel_bookings.csv.gz"
pytestmark = pytest.mark.skipif(not DATA.is_file(), reason=f"the hotels' bookings are not on this machine: no {DATA}")


def example(into: Path, *planted: str) -> Leads:
    """A copy of the example, the data where it expects them; `planted` columns are declared as known at contact."""
    folder = into / "main" / "examples" / "hotel_bookings"
    keep_out = shutil.ignore_patterns("artifacts", "*.duckdb*", "*.sqlite*", "lists")
    shutil.copytree(ROOT / "examples" / "hotel_bookings", folder, ignore=keep_out)
    (into / "shared").symlink_to(ROOT.parent / "shared")
    for column in planted:
        last = 'reserved_room_type = "at contact"'
        swap(folder / "foregate.toml", last, f'{last}\n{column} = "at contact"')
        for file in ("features/contact.sql", "sources/standing_bookings.sql"):
            swap(folder / file, "  reserved_room_type\n", f"  reserved_room_type,\n  {column}\n")
    return Leads(folder, actor="tester")


def swap(file: Path, before: str, after: str) -> None:
    text = file.read_text()
    assert text.count(before) == 1, f"{file} says `{before}` {text.count(before)} times"
    file.write_text(text.replace(before, after))


def judged(state: VersionState) -> Iterator[Judgement]:
    for phase in state.phases.values():
        yield from phase.judged.judgements if phase.judged else ()


def by_label(state: VersionState) -> dict[str, Judgement]:
    return {j.label: j for j in judged(state)}


def asked(state: VersionState) -> set[str]:
    return {j.label for j in judged(state) if j.result is not Result.PASS}


def digest(state: VersionState) -> str:
    return next(e.subject for e in state.phases["package"].judged.evidence if e.name == "package_digest")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> tuple[Leads, VersionState]:
    app = example(tmp_path_factory.mktemp("base"))
    return app, app.run()


def test_no_booking_is_cut_off_at_either_end_of_the_file(base) -> None:
    app, _ = base
    with app.warehouse() as engine:
        found = engine.rows("""
            select min(booked_on)::varchar, max(booked_on)::varchar, max(days_ahead),
              max(booked_on) + 180 <= date '2017-08-31', count(*), count(cancelled_on),
              count(*) filter (where cancelled_on < booked_on or cancelled_on > date '2017-02-28')
            from source_bookings""")
    assert found == [("2015-07-01", "2017-02-28", 180, True, 68_259, found[0][5], 0)]
    assert 15_000 < found[0][5] < 20_000


def test_the_run_goes_to_the_end_and_passes(base) -> None:
    app, state = base
    assert state.state is State.PASSED
    assert asked(state) == set()
    assert set(state.phases) == set(state.planned)
    assert state.evidence("scored_rows_off") == 0
    with app.warehouse(f"run_{state.version}") as engine:
        rows, people, low, high = engine.rows(
            "select count(*), count(distinct subject_id), min(score), max(score) from lead_scores"
        )[0]
    assert rows == people == 2_834
    assert 0 < low < high < 1


def test_what_it_found_is_what_the_file_says(base) -> None:
    _, state = base
    assert 50 <= state.evidence("window_days") <= 60
    assert 0.20 < state.evidence("positive_rate") < 0.25
    assert 0.70 < state.evidence("auc_roc") < 0.78
    assert 1.5 < state.evidence("top_decile_lift") < 2.3
    assert 1.0 < state.evidence("base_rate_ratio", "test") < 1.4
    for tier in ("AGENCY_SINGLE_FAR_AHEAD", "AGENCY_SINGLE_WEEKS_AHEAD"):
        assert state.evidence("tier_population", tier) > 3_000
        assert state.evidence("test_tier_lift", tier) > 1.2


def test_no_honest_column_is_named_as_one_that_gives_the_outcome_away(base) -> None:
    alone = {label: j for label, j in by_label(base[1]).items() if label.startswith(("giveaway_auc", "twin_ratio"))}
    assert len(alone) >= 14
    assert {j.result for j in alone.values()} == {Result.PASS}
    assert max(j.evidence.high for label, j in alone.items() if label.startswith("giveaway")) < 0.70


def test_the_same_run_again_judges_nothing_twice(base) -> None:
    app, state = base
    before = len(app.entries())
    again = app.run()
    assert (again.version, again.state) == (state.version, state.state)
    assert len(app.entries()) == before
    assert len([e for e in app.entries() if e.event.kind is Kind.OPENED]) == 1, "the test rows were opened once"


def test_the_status_written_at_the_end_is_named(tmp_path: Path, base) -> None:
    state = example(tmp_path, "reservation_status").run()
    named = by_label(state)["giveaway_auc[reservation_status]"]
    assert named.result is Result.FAIL
    assert named.evidence.low > 0.95
    assert state.version != base[1].version
    assert state.state is State.AWAITS
    assert state.state not in PROMOTABLE
    subjects = ("giveaway_auc", "ablation_loss", "pure_values")
    assert asked(state) == {f"{name}[reservation_status]" for name in subjects}


def test_a_column_that_only_guests_who_came_can_have_is_named(tmp_path: Path) -> None:
    state = example(tmp_path, "required_car_parking_spaces").run()
    named = by_label(state)["pure_values[required_car_parking_spaces]"]
    assert named.result is Result.FAIL
    assert "1: 0 of" in named.evidence.words or "1.0: 0 of" in named.evidence.words
    assert state.state not in PROMOTABLE


def test_the_room_given_at_the_desk_is_named_beside_the_room_that_was_booked(tmp_path: Path, base) -> None:
    state = example(tmp_path, "assigned_room_type").run()
    named = by_label(state)["twin_ratio[reserved_room_type~assigned_room_type]"]
    assert named.result is Result.FAIL
    assert named.evidence.value < named.evidence.high < 0.2
    assert "they agree on 84% of leads" in named.evidence.words
    assert by_label(state)["giveaway_auc[assigned_room_type]"].result is Result.PASS  # alone it would not be noticed
    assert state.version != base[1].version
    assert state.state is State.AWAITS
    assert state.state not in PROMOTABLE
    assert asked(state) == {"twin_ratio[reserved_room_type~assigned_room_type]"}


def test_a_second_folder_gives_the_same_version_and_the_same_bytes(tmp_path: Path, base) -> None:
    app = example(tmp_path)
    state = app.run()
    assert state.version == base[1].version
    assert digest(state) == digest(base[1])
    scores = "select subject_id, score, tier, percentile from lead_scores order by subject_id"
    with app.warehouse(f"run_{state.version}") as here, base[0].warehouse(f"run_{state.version}") as there:
        assert here.rows(scores) == there.rows(scores)
