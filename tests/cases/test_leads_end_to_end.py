"""The whole path on the adviser world: a model reaches production, and every planted trap is stopped by a gate."""

import csv
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from foregate.app.leads import Leads
from foregate.app.leads.lists import build_list, explain_lead
from foregate.app.promotion import promote, sign, waive
from foregate.app.starting import lay_demo
from foregate.cases.leads.world import DEMO, Scale, Trap
from foregate.core.errors import ForegateError, NotAllowedError
from foregate.core.event import Kind
from foregate.core.folds import PROMOTABLE, State, VersionState
from foregate.core.gate import Result
from foregate.report.log import execution_log

AS_OF = date(2025, 10, 31)
SMALL = Scale(leads=20_000, people=48_000, employment=200_000, firms=3_500, months=23, prospects=60_000, owners=14)
NOW = datetime(2025, 11, 3, 9, 0, tzinfo=UTC)


def laid(folder: Path, trap: Trap | None = None, *, signal: bool = True, scale: Scale = SMALL) -> Leads:
    lay_demo(folder, scale, 42, AS_OF, trap, signal=signal)
    return Leads(folder, actor="tester", clock=lambda: NOW)


def open_gates(state: VersionState) -> dict[str, Result]:
    judged = [p.judged for p in state.phases.values() if p.judged]
    return {j.label: j.result for e in judged for j in e.judgements if j.result is not Result.PASS}


def accept_all(app: Leads, state: VersionState) -> VersionState:
    for phase in state.phases.values():
        for j in phase.judged.judgements if phase.judged else ():
            if j.result is not Result.PASS and j.gate.effect == "sign_off":
                state = waive(
                    app, state.version, j.label, "Ada", "a small world: too few leads to tell", date(2026, 1, 1)
                )
    return state


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Leads:
    app = laid(tmp_path_factory.mktemp("honest"), scale=DEMO)
    state = app.run(AS_OF)
    assert state.state in {*PROMOTABLE, State.AWAITS}, open_gates(state)
    accept_all(app, state)
    promote(app, state.version)
    return app


def test_an_honest_world_reaches_production_and_its_interval_holds_the_known_truth(honest: Leads) -> None:
    state = next(iter(honest.states().values()))
    assert state.state in PROMOTABLE
    with honest.warehouse(f"run_{state.version}") as engine:
        truth = str(honest.project.path("data/truth.parquet"))
        found = engine.table(
            f"select t.probability from slice s join read_parquet('{truth}') t using (lead_id) where slice = 'test'"
        )
    probability = found.column("probability").to_numpy()
    judged = state.phases["validate"].judged
    assert judged is not None
    auc = next(e for e in judged.evidence if e.name == "auc_roc")
    order = np.argsort(probability)
    odds, below = probability[order], np.cumsum(1 - probability[order])
    best = float((odds * (below - (1 - odds) / 2)).sum() / (odds.sum() * (1 - odds).sum()))
    assert auc.low is not None
    assert auc.low <= best, "the model can not be better than the truth it was drawn from"
    assert auc.value > 0.65


def test_a_version_is_judged_once_and_a_second_run_changes_nothing(honest: Leads) -> None:
    before = honest.entries()
    state = honest.run(AS_OF)
    assert state.version == next(iter(honest.states()))
    assert [e.digest for e in honest.entries()] == [e.digest for e in before]


def test_a_gate_can_not_be_moved_after_the_fact(honest: Leads) -> None:
    file = honest.project.file
    original = file.read_text()
    file.write_text(original + "\n[leads.gates.auc_roc]\nat_least = 0.5\n")
    try:
        moved = Leads(honest.project.folder, actor="tester", clock=lambda: NOW)
        with pytest.raises(NotAllowedError, match="can not be moved after the fact"):
            moved.run(AS_OF)
    finally:
        file.write_text(original)


def test_test_rows_are_opened_once_and_the_ledger_says_so(honest: Leads) -> None:
    opened = [e.event for e in honest.entries() if e.event.kind is Kind.OPENED]
    assert len(opened) == 1
    assert opened[0].detail == {"window": "2025-06-04..2025-09-01", "reading": 1}


def test_promoting_again_has_no_second_effect(honest: Leads) -> None:
    before = len(honest.entries())
    promote(honest, next(iter(honest.states())))
    assert len(honest.entries()) == before


def test_the_list_is_exact_repeatable_and_every_person_has_a_reason(honest: Leads) -> None:
    first = build_list(honest, AS_OF)
    people = first.built.people
    assert people.num_rows == 2_800
    assert len(set(people.column("person_id").to_pylist())) == 2_800
    owners = people.column("owner_id").to_pylist()
    assert sorted({owners.count(o) for o in set(owners)}) == [200]
    values = {o: 0.0 for o in owners}
    for owner, rate in zip(owners, people.column("expected_rate").to_pylist(), strict=True):
        values[owner] += rate
    assert max(values.values()) - min(values.values()) <= 0.02 * sum(values.values()) / len(values)
    assert people.column("reason_1").null_count == 0
    bytes_before = first.files[0].read_bytes()
    second = build_list(honest, AS_OF)
    assert second.repeated
    assert second.files[0].read_bytes() == bytes_before
    with first.files[0].open() as file:
        assert len(list(csv.DictReader(file))) == 2_800
    assert pq.read_table(first.files[1]).num_rows == 2_800


def test_explain_says_the_rule_that_kept_a_person_out_and_reasons_with_their_sign(honest: Leads) -> None:
    built = build_list(honest, AS_OF).built
    out = next(d for d in built.decisions.to_pylist() if d["decision"] == "disagreement")
    found = explain_lead(honest, str(out["person_id"]))
    assert found["decision"]["decision"] == "disagreement"
    assert "percentile" in found["decision"]["detail"]
    assert all(("raises" in r) == ("(+" in r) for r in found["reasons"])
    with pytest.raises(NotAllowedError, match="nobody of that id"):
        explain_lead(honest, "999999999")


def test_a_source_recoded_after_the_promotion_stops_the_list_and_is_named(honest: Leads) -> None:
    path = honest.project.path("data/person_snapshot.parquet")
    original = path.read_bytes()
    changed = pq.read_table(path)
    words = [None if w is None else f"type {w}" for w in changed.column("rep_type").to_pylist()]
    place = changed.column_names.index("rep_type")
    pq.write_table(changed.set_column(place, "rep_type", pa.array(words)), path)
    listed = len([e for e in honest.entries() if e.event.kind is Kind.LISTED])
    try:
        with pytest.raises(ForegateError, match=r"unseen_category_rate\[rep_type\]") as caught:
            build_list(honest, AS_OF)
        assert caught.value.exit_code == 1
    finally:
        path.write_bytes(original)
    assert len([e for e in honest.entries() if e.event.kind is Kind.LISTED]) == listed


def test_a_source_that_stopped_arriving_stops_the_list(honest: Leads) -> None:
    with pytest.raises(ForegateError, match=r"stale_days\[leads\]"):
        build_list(honest, AS_OF + timedelta(days=40))


def test_a_lead_id_finds_its_person(honest: Leads) -> None:
    build_list(honest, AS_OF)
    with honest.warehouse() as engine:
        lead, person = engine.rows(
            "select lead_id, person_id from source_prospects where lead_id is not null order by lead_id limit 1"
        )[0]
    assert explain_lead(honest, str(lead))["decision"]["person_id"] == person


def test_the_log_tells_every_attempt_from_the_ledger_alone(honest: Leads) -> None:
    text = execution_log(honest.entries(), "leads", NOW.date())
    for phase in (
        "dates",
        "preflight",
        "landscape",
        "target",
        "features",
        "validate",
        "package",
        "deploy",
        "readiness",
        "probe",
    ):
        assert f"### Phase {phase}, attempt 1" in text
    assert "**Learned**" in text
    assert "in service" in text.lower()


def test_a_retrained_candidate_is_compared_with_the_champion_on_the_same_rows(honest: Leads) -> None:
    champion = next(iter(honest.states()))
    file = honest.project.file
    original = file.read_text()
    file.write_text(original.replace("seed = 42", "seed = 43"))
    try:
        challenger = Leads(honest.project.folder, actor="tester", clock=lambda: NOW).run(AS_OF)
    finally:
        file.write_text(original)
    judged = challenger.phases["validate"].judged
    assert judged is not None
    difference = next(e for e in judged.evidence if e.name == "champion_auc_difference")
    assert champion in difference.words
    assert "not worse" in difference.words or "cannot tell" in difference.words
    reading = next(e for e in judged.evidence if e.name == "test_reading")
    assert reading.value == 2, "the second candidate to read the same test rows pays for it with wider intervals"


CAUGHT = {
    Trap.FANOUT: {"duplicate_keys[firms]"},
    Trap.TYPE: {"key_type_mismatches[career]"},
    Trap.SKEW: {"unseen_category_rate[rep_type]"},
    Trap.LATE_SOURCE: {"shortfall[employment]"},
    Trap.DRIFT: {"psi[firm_rep_count_at_contact]", "psi[has_email]"},
    Trap.LEAK: {"giveaway_auc[outcome_note]", "missing_trend[days_since_start_today]"},
}


@pytest.mark.parametrize("trap", list(Trap))
def test_every_trap_is_caught_by_a_gate_that_names_it(trap: Trap, tmp_path: Path) -> None:
    app = laid(tmp_path, trap, scale=DEMO if trap is Trap.SKEW else SMALL)
    state = app.run(AS_OF)
    assert state.state not in PROMOTABLE
    assert CAUGHT[trap] <= set(open_gates(state)), open_gates(state)
    with pytest.raises(NotAllowedError):
        promote(app, state.version)


def test_a_world_with_no_signal_does_not_reach_production(tmp_path: Path) -> None:
    app = laid(tmp_path, signal=False)
    state = app.run(AS_OF)
    assert state.state is State.BLOCKED
    assert open_gates(state)["auc_roc"] is not Result.PASS
    with pytest.raises(NotAllowedError, match="can not be waived"):
        waive(app, state.version, "auc_roc", "Ada", "we need it", date(2026, 1, 1))
    sign(app, state.version, "Ada", "a signature does not open a gate", date(2026, 1, 1))
    with pytest.raises(NotAllowedError):
        promote(app, state.version)
