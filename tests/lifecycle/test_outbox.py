"""Every sink is told what happened, in order, at least once, and a sink that is down holds up nothing."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from foregate.core.errors import ConfigurationError, OutsideError
from foregate.core.event import Event, Kind
from foregate.core.evidence import Evidence
from foregate.lifecycle.alerts import SinkSettings
from foregate.lifecycle.outbox import Delivery, Outbox
from foregate.lifecycle.store import Store

NOON = datetime(2025, 10, 31, 12, tzinfo=UTC)
PAGER = SinkSettings(kind="http", name="pager", url="${PAGER_URL}")
LOG = SinkSettings(kind="file", path="alerts.jsonl")


def put(ledger: Store, kind: Kind, rule: str, model: str = "leads", **detail: Any) -> None:
    detail = {"rule": rule, "severity": "warning", "subjects": [""], **detail}
    found = (Evidence("rate", float("inf"), 9, NOON.date(), "x"),)
    ledger.add(Event(kind, NOON, model, "v1", "monitor", "monitor", evidence=found, detail=detail))


def alerted(ledger: Store, *rules: str, **detail: Any) -> None:
    for rule in rules:
        put(ledger, Kind.ALERTED, rule, **detail)


class World:
    """Sinks that remember what they took; those named in `down` take nothing."""

    def __init__(self) -> None:
        self.took: dict[str, list[str]] = {}
        self.payloads: list[Mapping[str, Any]] = []
        self.down: dict[str, int] = {}

    def send(self, sink: SinkSettings, payload: Mapping[str, Any]) -> None:
        took = self.took.setdefault(sink.label, [])
        if len(took) >= self.down.get(sink.label, 99):
            raise OutsideError(f"alert sink {sink.label}", found="silence", wanted="an answer", then="Wait.")
        took.append(f"{payload['event']} {payload['rule']}")
        self.payloads.append(payload)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def outbox(ledger: Store) -> Outbox:
    return Outbox(ledger)


def test_alerts_are_told_in_order_and_once(ledger: Store, outbox: Outbox, world: World) -> None:
    alerted(ledger, "a", "b")
    assert outbox.deliver("leads", [PAGER], world.send) == [Delivery("pager", 2, 0)]
    put(ledger, Kind.RESOLVED, "a")
    alerted(ledger, "c")
    outbox.deliver("leads", [PAGER], world.send)
    outbox.deliver("leads", [PAGER], world.send)
    assert world.took == {"pager": ["alerted a", "alerted b", "resolved a", "alerted c"]}
    assert outbox.pending(PAGER, "leads") == []


def test_what_a_sink_is_told(ledger: Store, outbox: Outbox, world: World) -> None:
    alerted(ledger, "a", words="rate is low", since="2025-10-30")
    outbox.deliver("leads", [PAGER], world.send)
    (payload,) = world.payloads
    entry = next(iter(ledger.read("leads")))
    wanted = {
        "id": "leads/1",
        "key": "leads/v1/a",
        "event": "alerted",
        "text": "warning alert a on v1",
        "severity": "warning",
        "since": "2025-10-30",
        "words": "rate is low",
        "digest": entry.digest,
    }
    assert {key: payload[key] for key in wanted} == wanted
    assert payload["readings"][0]["value"] == "inf"


def test_a_sink_that_is_down_keeps_its_alerts_and_holds_up_no_other(
    ledger: Store, outbox: Outbox, world: World
) -> None:
    alerted(ledger, "a", "b", "c")
    world.down = {"pager": 1}
    pager, log = outbox.deliver("leads", [PAGER, LOG], world.send)
    assert (pager.sent, pager.waiting) == (1, 2)
    assert "silence" in str(pager.error)
    assert log == Delivery("file", 3, 0)
    alerted(ledger, "d")
    world.down = {}
    assert [d.sent for d in outbox.deliver("leads", [PAGER, LOG], world.send)] == [3, 1]
    assert world.took["pager"] == world.took["file"] == [f"alerted {rule}" for rule in "abcd"]


def test_an_address_that_can_not_be_filled_in_holds_up_no_other(ledger: Store, outbox: Outbox, world: World) -> None:
    def send(sink: SinkSettings, payload: Mapping[str, Any]) -> None:
        if sink is PAGER:
            raise ConfigurationError("foregate.toml", found="no PAGER_URL", wanted="the secret", then="Set it.")
        world.send(sink, payload)

    alerted(ledger, "a")
    pager, log = outbox.deliver("leads", [PAGER, LOG], send)
    assert (pager.waiting, log.sent) == (1, 1)


def test_a_process_that_dies_after_the_answer_tells_it_again(ledger: Store, outbox: Outbox, world: World) -> None:
    def send(sink: SinkSettings, payload: Mapping[str, Any]) -> None:
        world.send(sink, payload)
        if payload["rule"] == "b":
            raise KeyboardInterrupt

    alerted(ledger, "a", "b")
    with pytest.raises(KeyboardInterrupt):
        outbox.deliver("leads", [PAGER], send)
    outbox.deliver("leads", [PAGER], world.send)
    assert world.took["pager"] == ["alerted a", "alerted b", "alerted b"]
    assert world.payloads[1]["id"] == world.payloads[2]["id"]


def test_what_was_muted_is_not_told_and_neither_is_its_end(ledger: Store, outbox: Outbox, world: World) -> None:
    outbox.pass_over("leads", [PAGER])
    alerted(ledger, "a", inhibited_by="b")
    alerted(ledger, "c", silenced_until="2025-11-30")
    put(ledger, Kind.RESOLVED, "a")
    alerted(ledger, "c")
    put(ledger, Kind.RESOLVED, "c")
    outbox.deliver("leads", [PAGER], world.send)
    assert world.took["pager"] == ["alerted c", "resolved c"]


def test_a_sink_hears_its_severities_and_not_the_past_when_it_hears_more(
    ledger: Store, outbox: Outbox, world: World
) -> None:
    deaf = SinkSettings.model_validate(PAGER.model_dump() | {"severities": ["critical"]})
    alerted(ledger, "a")
    alerted(ledger, "b", severity="critical")
    alerted(ledger, "c")
    outbox.deliver("leads", [deaf], world.send)
    outbox.deliver("leads", [PAGER], world.send)
    assert world.took["pager"] == ["alerted b"]


def test_a_sink_that_comes_later_hears_from_the_oldest_alert_that_is_open(
    ledger: Store, outbox: Outbox, world: World
) -> None:
    alerted(ledger, "a", "b", "c")
    put(ledger, Kind.RESOLVED, "a")
    assert [t.payload["rule"] for t in outbox.pending(PAGER, "leads")] == ["b", "c", "a"]
    for rule in "bc":
        put(ledger, Kind.RESOLVED, rule)
    outbox.deliver("leads", [LOG], world.send)
    assert "file" not in world.took
    alerted(ledger, "d")
    outbox.deliver("leads", [LOG], world.send)
    assert world.took["file"] == ["alerted d"]


def test_a_sink_that_was_down_from_the_first_day_misses_nothing(ledger: Store, outbox: Outbox, world: World) -> None:
    world.down = {"pager": 0}
    alerted(ledger, "a")
    outbox.deliver("leads", [PAGER], world.send)
    put(ledger, Kind.RESOLVED, "a")
    world.down = {}
    outbox.deliver("leads", [PAGER], world.send)
    assert world.took["pager"] == ["alerted a", "resolved a"]


def test_what_was_recorded_while_nobody_was_to_be_told_is_passed_over(
    ledger: Store, outbox: Outbox, world: World
) -> None:
    alerted(ledger, "a")
    outbox.pass_over("leads", [PAGER])
    alerted(ledger, "b")
    outbox.deliver("leads", [PAGER], world.send)
    assert world.took["pager"] == ["alerted b"]


def test_each_model_has_its_own_place_and_another_process_goes_on_there(
    url: str, opened: Callable[[str], Store], ledger: Store, outbox: Outbox, world: World
) -> None:
    alerted(ledger, "a")
    alerted(ledger, "p", model="prices")
    outbox.deliver("leads", [PAGER], world.send)
    Outbox(opened(url)).deliver("prices", [PAGER], world.send)
    Outbox(opened(url)).deliver("leads", [PAGER], world.send)
    assert world.took["pager"] == ["alerted a", "alerted p"]


def test_a_place_never_moves_back(url: str, opened: Callable[[str], Store], ledger: Store, world: World) -> None:
    outbox, other = Outbox(ledger), Outbox(opened(url))
    alerted(ledger, "a", "b")

    def send(sink: SinkSettings, payload: Mapping[str, Any]) -> None:
        if payload["rule"] == "b":
            raise OutsideError("pager", found="silence", wanted="an answer", then="Wait.")
        other.deliver("leads", [PAGER], world.send)

    assert outbox.deliver("leads", [PAGER], send)[0].waiting == 1
    assert world.took["pager"] == ["alerted a", "alerted b"]
    assert outbox.pending(PAGER, "leads") == []


def test_the_outbox_is_no_part_of_the_chain(
    ledger: Store, outbox: Outbox, world: World, behind: Callable[..., None]
) -> None:
    alerted(ledger, "a")
    outbox.deliver("leads", [PAGER], world.send)
    before = [entry.digest for entry in ledger.read("leads")]
    behind("DELETE FROM foregate_outbox")
    assert [entry.digest for entry in ledger.read("leads")] == before
    outbox.deliver("leads", [PAGER], world.send)
    assert world.took["pager"] == ["alerted a", "alerted a"], "what is open is told again"


def test_a_database_that_is_gone_is_an_error_of_the_outside(ledger: Store, behind: Callable[..., None]) -> None:
    outbox = Outbox(ledger)
    behind("DROP TABLE foregate_outbox")
    with pytest.raises(OutsideError, match="ledger"):
        outbox.pending(PAGER, "leads")
    assert sa.inspect(ledger._engine).has_table("foregate_events")
