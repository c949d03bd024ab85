"""The bank's calls: a real base rate that moves, and a column written after the call."""

import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from foregate.app.leads import Leads
from foregate.core.event import Kind
from foregate.core.folds import PROMOTABLE, State, VersionState
from foregate.core.gate import Judgement, Result

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data" / "bank_marketing" / "bank-additional-full.csv.gz"
pytestmark = pytest.mark.skipif(not DATA.is_file(), reason=f"the bank's calls are not on this machine: no {DATA}")

ASKED = {  # what a person must answer for before this version serves
    "base_rate_ratio[train]",
    "base_rate_ratio[test]",
    "psi[age]",
    "psi[job]",
    "psi[has_default]",
    "psi[earlier_calls]",
    "psi[earlier_outcome]",
    "psi[euribor_3m]",
}


def example(into: Path, *planted: str) -> Leads:
    """A copy of the example, the data where it expects them; `planted` columns are declared as known at contact."""
    folder = into / "main" / "examples" / "bank_marketing"
    keep_out = shutil.ignore_patterns("artifacts", "*.duckdb*", "*.sqlite*", "lists")
    shutil.copytree(ROOT / "examples" / "bank_marketing", folder, ignore=keep_out)
    (into / "shared").symlink_to(ROOT.parent / "shared")
    for column in planted:
        swap(
            folder / "foregate.toml", 'euribor_3m = "at contact"', f'euribor_3m = "at contact"\n{column} = "at contact"'
        )
        for file in ("features/contact.sql", "sources/call_list.sql"):
            swap(folder / file, "  euribor_3m\n", f"  euribor_3m,\n  {column}\n")
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


def digest(state: VersionState) -> str:
    return next(e.subject for e in state.phases["package"].judged.evidence if e.name == "package_digest")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> tuple[Leads, VersionState]:
    app = example(tmp_path_factory.mktemp("base"))
    return app, app.run()


def test_the_days_that_are_rebuilt_agree_with_the_months_and_weekdays_of_the_file(base) -> None:
    app, _ = base
    with app.warehouse() as engine:
        strange = engine.rows("""
            select count(*) from source_contacts where called_on is not null
              and (lower(strftime(called_on, '%a')) <> day_of_week or lower(strftime(called_on, '%b')) <> month)""")
        backwards = engine.rows("""
            select count(*) from (select called_on < lag(called_on) over (order by call_id) as b from source_contacts)
            where b""")
        months = engine.rows("""
            select date_trunc('month', called_on)::date, count(*), count(bought_on) / count(*) from source_contacts
            where called_on is not null group by 1 order by 1""")
        rows = engine.rows("select count(*), count(called_on), count(bought_on) from source_contacts")
    assert (strange, backwards) == ([(0,)], [(0,)])
    assert rows == [(41_188, 41_060, 4_582)]  # November 2010 is still to be called; 58 of its 128 will buy
    assert (len(months), months[0][0], months[-1][0]) == (25, date(2008, 5, 1), date(2010, 10, 1))
    assert round(months[0][2], 3) == 0.031
    assert round(max(share for _, rows, share in months if rows >= 200), 3) == 0.575


def test_the_run_goes_to_the_end_and_waits_for_a_person(base) -> None:
    app, state = base
    assert state.state is State.AWAITS
    assert state.state not in PROMOTABLE
    assert set(state.phases) == set(state.planned)
    assert state.evidence("scored_rows_off") == 0
    with app.warehouse(f"run_{state.version}") as engine:
        assert engine.rows("select count(*), count(distinct subject_id) from lead_scores") == [(128, 128)]


def test_the_gates_say_that_the_base_rate_moved_and_by_how_much(base) -> None:
    found = by_label(base[1])
    training, test = found["base_rate_ratio[train]"], found["base_rate_ratio[test]"]
    assert (training.result, test.result) == (Result.FAIL, Result.FAIL)
    assert 3 < training.evidence.low < training.evidence.value < training.evidence.high < 4.5
    assert 6 < test.evidence.low < test.evidence.value < test.evidence.high < 8
    assert "(18.8%), first half 1,465 of 27,972 (5.2%)" in training.evidence.words
    assert test.evidence.words == "test 52.59%, training 7.68%"


def test_nothing_else_is_asked_but_what_follows_from_that(base) -> None:
    asked = {j.label for j in judged(base[1]) if j.result is not Result.PASS and j.gate.effect == "sign_off"}
    assert asked == ASKED
    assert not [j.label for j in judged(base[1]) if j.result is not Result.PASS and j.gate.effect == "block"]


def test_the_ranking_holds_where_the_rate_does_not(base) -> None:
    _, state = base
    assert 0.66 < state.evidence("auc_roc") < 0.75
    assert 1.4 < state.evidence("top_decile_lift") < 1.75  # a base rate of 53 % leaves room for 1.9 at most
    assert state.evidence("test_tier_rate", "BOUGHT_BEFORE") > 0.7
    assert all(state.evidence("tier_population", tier) > 500 for tier in ("BOUGHT_BEFORE", "RETIRED_OR_STUDENT"))


def test_no_honest_column_is_named_as_one_that_gives_the_outcome_away(base) -> None:
    alone = {label: j for label, j in by_label(base[1]).items() if label.startswith(("giveaway_auc", "twin_ratio"))}
    assert len(alone) >= 13
    assert {j.result for j in alone.values()} == {Result.PASS}
    assert alone["giveaway_auc[euribor_3m]"].evidence.high < 0.75


def test_the_same_run_again_judges_nothing_twice(base) -> None:
    app, state = base
    before = len(app.entries())
    again = app.run()
    assert (again.version, again.state) == (state.version, state.state)
    assert len(app.entries()) == before
    read = [e.event for e in app.entries() if e.event.kind is Kind.OPENED]
    assert len(read) == 1, "the test rows were opened once"


def test_the_length_of_the_call_left_in_by_mistake_is_named(tmp_path: Path, base) -> None:
    app = example(tmp_path, "duration")
    state = app.run()
    named = by_label(state)["giveaway_auc[duration]"]
    assert named.result is Result.FAIL
    assert 0.80 < named.evidence.low < named.evidence.value < 0.86
    assert state.version != base[1].version
    assert state.state not in PROMOTABLE
    others = {j.label for j in judged(state) if j.gate.evidence == "giveaway_auc" and j.result is not Result.PASS}
    assert others == {"giveaway_auc[duration]"}


def test_a_second_folder_gives_the_same_version_and_the_same_bytes(tmp_path: Path, base) -> None:
    app = example(tmp_path)
    state = app.run()
    assert state.version == base[1].version
    assert digest(state) == digest(base[1])
    scores = "select subject_id, score, tier, percentile from lead_scores order by subject_id"
    with app.warehouse(f"run_{state.version}") as here, base[0].warehouse(f"run_{state.version}") as there:
        assert here.rows(scores) == there.rows(scores)
