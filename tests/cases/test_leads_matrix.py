from typing import Any

import duckdb
import pytest
from pydantic import ValidationError

from foregate.cases.leads import matrix
from foregate.cases.leads.matrix import Action, MatrixMismatchError, MatrixSettings, action_expression, action_table
from foregate.cases.leads.tiers import Exclusion, Standard, Tier, TierRules

RULES = TierRules(
    tier=tuple(Tier(name=name, words="-", when="a", promised_rate=0.1, quota=1) for name in ("T1", "T2")),
    exclusion=(Exclusion(name="wirehouse", words="-", when="b"),),
    standard=Standard(name="STANDARD", promised_rate=0.03),
)
BACKFILL: dict[str, Any] = {"from": "STANDARD", "percentile": 80, "quota": 500, "name": "BACKFILL"}
FULL: dict[str, Any] = {
    "deprioritise_percentile": 20,
    "disagreement": {"tiers": ["T1"], "below_percentile": 60},
    "backfill": BACKFILL,
}


def settings(**changes: Any) -> MatrixSettings:
    return MatrixSettings.model_validate(FULL | changes)


def test_each_bound_falls_on_the_side_it_is_declared_on() -> None:
    table = action_table(settings(), RULES)
    assert (table["T2"][20], table["T2"][21]) == (Action.DEPRIORITISED, Action.KEPT)
    assert (table["T1"][20], table["T1"][21]) == (Action.DEPRIORITISED, Action.DISAGREEMENT)
    assert (table["T1"][59], table["T1"][60]) == (Action.DISAGREEMENT, Action.KEPT)
    assert (table["STANDARD"][79], table["STANDARD"][80]) == (Action.BELOW_CUT, Action.BACKFILL)
    assert {len(actions) for actions in table.values()} == {101}


def test_a_person_without_a_score_has_no_default() -> None:
    assert {actions[0] for actions in action_table(settings(), RULES).values()} == {Action.NOT_SCORED}


def test_a_top_tier_can_be_demoted_instead_of_dropped() -> None:
    against = {"tiers": ["T1"], "below_percentile": 60, "action": "demote"}
    assert action_table(settings(disagreement=against), RULES)["T1"][59] is Action.DEMOTED


def test_without_disagreement_and_backfill_only_the_lowest_are_left_out() -> None:
    table = action_table(MatrixSettings(deprioritise_percentile=0), RULES)
    assert set(table["T1"][1:]) == {Action.KEPT}
    assert set(table["STANDARD"][1:]) == {Action.BELOW_CUT}


def test_the_expression_runs_in_other_dialects_too() -> None:
    assert action_expression(settings(), RULES, "postgres").startswith("CASE WHEN percentile IS NULL THEN 'not scored'")
    with duckdb.connect() as engine:
        query = f"SELECT {action_expression(settings(), RULES)} FROM (SELECT 'T1' AS tier, 30 AS percentile)"
        assert engine.execute(query).fetchall() == [("the model disagrees",)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"disagreement": {"tiers": ["T9"], "below_percentile": 60}}, r"\[leads.matrix.disagreement\] tiers: found T9"),
        ({"disagreement": {"tiers": ["T1"], "below_percentile": 21}}, "could never act"),
        ({"backfill": BACKFILL | {"from": "T1"}}, r"\[leads.matrix.backfill\] from: found T1"),
        ({"backfill": BACKFILL | {"name": "wirehouse"}}, "already uses"),
        ({"backfill": BACKFILL | {"name": "t1"}}, "already uses"),
    ],
)
def test_a_matrix_that_does_not_fit_the_tiers_is_refused(changes: dict[str, Any], message: str) -> None:
    matrix.check(settings(), RULES)
    with pytest.raises(MatrixMismatchError, match=message):
        matrix.check(settings(**changes), RULES)


@pytest.mark.parametrize(
    "changes", [{"color": 1}, {"deprioritise_percentile": 100}, {"deprioritise_percentile": True}, {"disagreement": {}}]
)
def test_settings_are_strict(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        settings(**changes)
