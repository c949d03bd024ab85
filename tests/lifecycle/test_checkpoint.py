"""A checkpoint spares a reader the chain before it, is believed only as far as it can be checked, and may be lost."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from foregate.core.alerting import MONITOR
from foregate.core.compaction import retained
from foregate.core.errors import ConflictError, LedgerBrokenError, OutsideError
from foregate.core.event import Entry, Event, Kind
from foregate.lifecycle import checkpoint
from foregate.lifecycle import store as store_module
from foregate.lifecycle.store import Store

NOON = datetime(2025, 10, 31, 12, tzinfo=UTC)
Behind = Callable[..., None]
Opened = Callable[[str], Store]


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a tail of eight events a long one."""
    monkeypatch.setattr(checkpoint, "TAIL", 8)


def event(kind: Kind, hours: int = 0, **changes: Any) -> Event:
    return Event(kind, NOON + timedelta(hours=hours), "leads", "v1", "cron", **changes)


def fill(ledger: Store, monitors: int) -> None:
    """Write 4 + `monitors` events: a start, a judgement, a waiver, a move, and the hours that followed."""
    ledger.add(event(Kind.STARTED, detail={"phases": ["train"], "gates": {}}))
    ledger.add(event(Kind.JUDGED, phase="train"))
    ledger.add(event(Kind.WAIVED, detail={"gate": "m"}, reason="known", until=NOON.date()))
    ledger.add(event(Kind.SERVED, split={"v1": 1.0}))
    watch(ledger, monitors)


def watch(ledger: Store, monitors: int) -> None:
    for hour in range(1, monitors + 1):
        ledger.add(event(Kind.JUDGED, hour, phase=MONITOR))


def rows_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The places of the rows that are read from here on, as they are checked."""
    found: list[int] = []
    checked = Store._checked

    def counting(self: Store, model: str, row: Any, place: int, previous: str) -> Entry:
        found.append(place)
        return checked(self, model, row, place, previous)

    monkeypatch.setattr(Store, "_checked", counting)
    return found


def places(url: str) -> list[tuple[str, int]]:
    engine = sa.create_engine(url)
    with engine.connect() as link:
        found = link.exec_driver_sql("SELECT model, sequence FROM foregate_checkpoints ORDER BY model").all()
    engine.dispose()
    return [tuple(row) for row in found]


def test_what_counts_today_is_what_is_retained_of_the_whole_chain(ledger: Store, opened: Opened) -> None:
    fill(ledger, 20)
    for store in (ledger, ledger, opened(ledger.url), opened(ledger.url)):
        assert store.current("leads") == retained(ledger.read("leads"))
    assert [e.sequence for e in ledger.current("leads")] == [1, 2, 3, 4, 5, 23, 24]
    assert ledger.current("prices") == []


def test_a_reader_who_checked_a_long_tail_spares_the_next_one_that(
    ledger: Store, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(ledger, 20)
    opened(ledger.url).current("leads")
    assert places(ledger.url) == [("leads", 24)]
    watch(ledger, 3)
    read = rows_read(monkeypatch)
    assert opened(ledger.url).current("leads") == retained(ledger.read("leads"))
    assert read[:10] == [1, 2, 3, 4, 5, 23, 24, 25, 26, 27]
    assert places(ledger.url) == [("leads", 24)]  # the tail was short
    watch(ledger, 6)
    opened(ledger.url).current("leads")
    assert places(ledger.url) == [("leads", 33)]


def test_a_short_chain_needs_no_checkpoint(ledger: Store) -> None:
    fill(ledger, 4)
    ledger.current("leads")
    assert places(ledger.url) == []


def test_a_process_reads_again_only_what_came_since(ledger: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(ledger, 20)
    before = ledger.current("leads")
    before.clear()  # what a caller does with the list is no concern of the store
    read = rows_read(monkeypatch)
    assert len(ledger.current("leads")) == 7
    assert read == []
    watch(ledger, 2)
    assert ledger.current("leads")[-1].sequence == 26
    assert read == [25, 26]


def test_checkpoints_may_be_deleted_or_dropped_at_any_time(ledger: Store, opened: Opened, behind: Behind) -> None:
    fill(ledger, 20)
    wanted = ledger.current("leads")
    behind("DELETE FROM foregate_checkpoints")
    assert ledger.current("leads") == opened(ledger.url).current("leads") == wanted
    assert places(ledger.url) == [("leads", 24)]
    behind("DROP TABLE foregate_checkpoints")
    assert ledger.current("leads") == wanted
    assert opened(ledger.url).current("leads") == wanted
    assert places(ledger.url) == [("leads", 24)]  # made again by whoever opened it


RETAINED = [
    ["UPDATE foregate_events SET body = replace(body, 'known', 'fine') WHERE sequence = 3"],
    ["UPDATE foregate_events SET version = 'v2' WHERE sequence = 4"],
    ["UPDATE foregate_events SET kind = 'judged' WHERE sequence = 4"],
    ["UPDATE foregate_events SET digest = previous WHERE sequence = 1"],
    ["DELETE FROM foregate_events WHERE sequence = 3"],
    ["DELETE FROM foregate_events WHERE sequence = 24"],
    ["UPDATE foregate_events SET sequence = 99 WHERE sequence = 23"],
]
TAIL = [
    ["UPDATE foregate_events SET body = replace(body, 'cron', 'sam') WHERE sequence = 26"],
    ["UPDATE foregate_events SET previous = digest WHERE sequence = 25"],
    ["DELETE FROM foregate_events WHERE sequence = 25"],
    ["DELETE FROM foregate_events WHERE sequence = 26"],
]


@pytest.mark.parametrize("tampering", RETAINED + TAIL)
def test_a_retained_row_or_one_after_them_that_was_tampered_with_is_a_broken_ledger(
    ledger: Store, opened: Opened, behind: Behind, tampering: list[str]
) -> None:
    fill(ledger, 20)
    ledger.current("leads")
    watch(ledger, 3)
    behind(*tampering, guarded=False)
    with pytest.raises(LedgerBrokenError, match="model leads, event"):
        opened(ledger.url).current("leads")


def test_a_row_changed_before_the_checkpoint_that_counts_no_more_is_found_by_who_reads_all(
    ledger: Store, opened: Opened, behind: Behind
) -> None:
    fill(ledger, 20)
    wanted = ledger.current("leads")
    behind("UPDATE foregate_events SET body = replace(body, 'cron', 'sam') WHERE sequence = 12", guarded=False)
    assert opened(ledger.url).current("leads") == wanted
    with pytest.raises(LedgerBrokenError, match="event 12"):
        list(opened(ledger.url).read("leads"))


@pytest.mark.parametrize(
    "forged",
    [
        "body = ''",
        "body = 'nonsense'",
        "body = body || '\n24'",
        "body = replace(body, '23 ', '22 ')",
        "digest = 'x'",
        "sequence = 23",
        "sequence = 99",
        "model = 'prices'",
        "body = hidden",
        "body = cut",
    ],
)
def test_a_checkpoint_that_does_not_fit_is_ignored(ledger: Store, opened: Opened, behind: Behind, forged: str) -> None:
    fill(ledger, 20)
    ledger.add(replace(event(Kind.STARTED), model="prices"))
    wanted = ledger.current("leads")
    engine = sa.create_engine(ledger.url)
    with engine.connect() as link:
        lines = str(link.exec_driver_sql("SELECT body FROM foregate_checkpoints").scalar()).splitlines()
    engine.dispose()
    hidden = "\n".join(line for line in lines if not line.startswith("4 "))
    forged = forged.replace("hidden", f"'{hidden}'").replace("cut", "'" + "\n".join(lines[:-1]) + "'")
    behind(f"UPDATE foregate_checkpoints SET {forged} WHERE model = 'leads'")
    fresh = opened(ledger.url)
    assert fresh.current("leads") == wanted
    assert [e.sequence for e in fresh.current("prices")] == [1]


def test_a_ledger_that_was_put_back_to_an_earlier_state_is_read_anew(ledger: Store, behind: Behind) -> None:
    fill(ledger, 20)
    ledger.current("leads")
    behind("DELETE FROM foregate_events WHERE sequence > 12", guarded=False)
    assert [e.sequence for e in ledger.current("leads")] == [1, 2, 3, 4, 5, 11, 12]


def test_readers_who_can_not_write_go_without(url: str, ledger: Store, opened: Opened) -> None:
    fill(ledger, 20)
    if url.startswith("sqlite"):
        read_only = url.replace("sqlite:///", "sqlite:///file:") + "?mode=ro&uri=true"
    else:
        read_only = url + "&options=-cdefault_transaction_read_only=on"
    store = opened(read_only)
    assert store.current("leads") == store.current("leads") == retained(ledger.read("leads"))
    assert places(url) == []


def test_a_reader_waits_for_no_writer_to_leave_a_checkpoint(url: str, ledger: Store) -> None:
    fill(ledger, 20)
    engine = sa.create_engine(url)
    with engine.connect() as link:
        sqlite = engine.dialect.name == "sqlite"
        link.exec_driver_sql("BEGIN IMMEDIATE" if sqlite else "LOCK TABLE foregate_checkpoints IN EXCLUSIVE MODE")
        began = datetime.now(UTC)
        assert len(ledger.current("leads")) == 7
        assert datetime.now(UTC) - began < timedelta(seconds=5)
        link.rollback()
    engine.dispose()
    assert places(url) == []
    ledger.add(event(Kind.STARTED))  # the store's patience with other writers is what it was


def to_version_1(behind: Behind) -> None:
    behind(
        "DROP TABLE foregate_checkpoints",
        "DROP INDEX foregate_events_by_kind",
        "UPDATE foregate_meta SET value = 1",
    )


def test_a_ledger_of_version_1_is_brought_up_when_it_is_opened(
    ledger: Store, opened: Opened, behind: Behind, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(ledger, 20)
    to_version_1(behind)
    fresh = opened(ledger.url)
    assert fresh.current("leads") == retained(fresh.read("leads"))
    assert places(ledger.url) == [("leads", 24)]
    assert fresh.add(event(Kind.SERVED, split={"v1": 1.0}), generation=4).sequence == 25
    monkeypatch.setattr(store_module, "SCHEMA", 1)
    with pytest.raises(Exception, match="tables of version 2.*upgrade"):
        opened(ledger.url).add(event(Kind.STARTED))


def test_a_ledger_of_version_1_that_can_not_be_written_is_read_as_it_is(
    url: str, ledger: Store, opened: Opened, behind: Behind
) -> None:
    fill(ledger, 20)
    to_version_1(behind)
    if url.startswith("sqlite"):
        read_only = url.replace("sqlite:///", "sqlite:///file:") + "?mode=ro&uri=true"
    else:
        read_only = url + "&options=-cdefault_transaction_read_only=on"
    store = opened(read_only)
    assert [e.sequence for e in store.current("leads")] == [1, 2, 3, 4, 5, 23, 24]
    with pytest.raises(OutsideError, match=r"read-?only"):
        store.add(event(Kind.STARTED))


def test_a_move_that_has_not_seen_the_last_one_is_refused_however_long_ago_that_was(ledger: Store) -> None:
    fill(ledger, 12)
    move = event(Kind.SERVED, 20, split={"v1": 1.0})
    for seen in (0, 3, 16):
        with pytest.raises(ConflictError, match=r"event 4 at 2025-10-31 12:00:00 UTC: cron put v1"):
            ledger.add(move, generation=seen)
    assert ledger.add(move, generation=4).sequence == 17
    assert ledger.add(event(Kind.MOVED, 21, detail={"stage": "sunset"}), generation=17).sequence == 18
    with pytest.raises(ConflictError, match="event 18"):
        ledger.add(move, generation=17)
