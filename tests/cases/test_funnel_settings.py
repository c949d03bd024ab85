"""`[funnel]` of foregate.toml: what it takes, and how it names what it does not take."""

from typing import Any

import pytest
from pydantic import ValidationError

from foregate.cases.funnel.settings import FunnelSettings, check_stages
from foregate.core.errors import ConfigurationError, DataError, ForegateError
from foregate.core.gate import Effect, Gate
from foregate.warehouse.sources import Source

MQL = {"source": "leads", "id": "lead_id", "on": "mql_on"}
COLUMNS = {
    "leads": {"lead_id": "BIGINT", "mql_on": "DATE", "channel": "VARCHAR", "source_name": "VARCHAR", "typed": "VARCHAR"}
}


def funnel(**changed: Any) -> FunnelSettings:
    return FunnelSettings(**{"stages": {"mql": MQL}, "segments": {"All": ["Event", "Web"]}} | changed)


def test_the_defaults_are_twenty_four_origins_of_which_eight_are_sealed_and_a_shadow_rollout() -> None:
    found = funnel()
    assert (found.horizon_days, found.origins, found.test_origins, found.origin_step_days) == (90, 24, 8, 14)
    assert (found.score_days, found.draws, found.min_origins, found.complete_after_days) == (28, 400, 12, 0)
    assert [step.share for step in found.rollout.step] == [0.0]
    assert found.stages["mql"].links_by == "lead_id"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"min_origins": 11}, "at least 12"),
        ({"origins": 11}, "origins = 11: say at least min_origins, 12"),
        ({"test_origins": 17}, "test_origins = 17: say at most origins less 8, 16"),
        ({"horizon_days": 20}, "score_days = 28: say at most horizon_days, 20"),
        ({"horizon_days": 367}, "less than or equal to 366"),
        ({"stages": {}}, "no stage: say at least one"),
        ({"stages": {"MQL-1": MQL}}, "'MQL-1': say a name of a to z and _"),
        ({"segments": {}}, "no segment lists a source"),
        ({"segments": {"A": ["Event"], "B": ["Web", "Event"]}}, "'Event' in A and in B: say every source once"),
        ({"segments": {"A": ["Event", "Event"]}}, "'Event' in A: say every source once"),
        ({"renamed": {"Fair": "Podcast"}}, "'Fair' to 'Podcast', which is in no segment"),
        ({"renamed": {"Web": "Event"}}, "'Web' both renamed and in segment All"),
        ({"renamed": {"Fair": "Expo", "Expo": "Event"}}, "'Fair' to 'Expo', itself renamed"),
        ({"unmapped": "other"}, "'refuse'"),
        ({"stages": {"mql": MQL | {"surce": "leads"}}}, "Extra inputs are not permitted"),
    ],
)
def test_what_can_not_be_meant_is_refused_by_name(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        funnel(**changed)


def test_segments_are_a_function_of_the_source_and_stages_follow_each_other() -> None:
    found = funnel(stages={"mql": MQL, "sql": MQL, "sqo": MQL}, segments={"A": ["Event"], "B": ["Web"]})
    assert found.segment_of() == {"Event": "A", "Web": "B"}
    assert found.pairs() == [("mql", "sql"), ("sql", "sqo")]


def test_a_stage_may_have_candidates_of_its_own() -> None:
    found = funnel(stages={"mql": MQL, "sql": MQL | {"candidates": ["zero"]}}, candidates=["mean_28", "mean_90"])
    assert (found.candidates_of("mql"), found.candidates_of("sql")) == (("mean_28", "mean_90"), ("zero",))


def test_a_gate_moves_as_the_project_says_and_others_stay() -> None:
    found = funnel(gates={"orphan_share": {"at_most": 0.02, "effect": "inform"}})
    gate = Gate("orphan_share", at_most=0.0, min_rows=5)
    assert found.moved(gate) == Gate("orphan_share", at_most=0.02, min_rows=5, effect=Effect.INFORM)
    assert found.moved(Gate("series", at_least=1)) == Gate("series", at_least=1)


def refused(stage: dict[str, Any], source: Source) -> ForegateError:
    with pytest.raises(ForegateError) as caught:
        check_stages(funnel(stages={"mql": MQL | stage}), {"leads": source}, COLUMNS, "foregate.toml")
    return caught.value


PLAIN = Source(file="data/leads.csv", key="lead_id")


def test_columns_that_are_there_pass() -> None:
    check_stages(funnel(), {"leads": PLAIN}, COLUMNS, "foregate.toml")


def test_a_source_that_is_not_declared_is_named_with_those_that_are() -> None:
    error = refused({"source": "laeds"}, PLAIN)
    assert isinstance(error, ConfigurationError)
    assert str(error).startswith("foregate.toml [funnel.stages.mql] source: found 'laeds', wanted one of leads")


@pytest.mark.parametrize("key", ["id", "on", "channel", "source_name", "entity", "known", "reported_on"])
def test_a_column_that_is_not_there_is_named_with_its_key(key: str) -> None:
    error = refused({key: "nowhere"}, PLAIN)
    assert isinstance(error, DataError)
    assert error.where == f"foregate.toml [funnel.stages.mql] {key}"
    assert "no column `nowhere` in source leads" in error.found


@pytest.mark.parametrize("key", ["on", "known", "reported_on"])
def test_a_date_that_is_text_is_refused(key: str) -> None:
    assert refused({key: "typed"}, PLAIN).found == "`typed` of type VARCHAR"


def test_a_source_of_todays_state_must_say_since_when_its_events_are_known() -> None:
    today = Source(file="data/leads.csv", key="lead_id", current_state=True)
    error = refused({}, today)
    assert error.where == "foregate.toml [funnel.stages.mql] known"
    assert 'known = "mql_on"' in error.then
    check_stages(funnel(stages={"mql": MQL | {"known": "mql_on"}}), {"leads": today}, COLUMNS, "foregate.toml")


def test_a_lag_that_is_still_to_be_measured_is_refused() -> None:
    unmeasured = Source(file="data/leads.csv", key="lead_id", happened="mql_on", known_after="measured")
    assert refused({}, unmeasured).where == "foregate.toml [funnel.stages.mql] known"
