"""What every ledger store keeps: order, one chain, no change, and a clear word when the outside fails."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest
import sqlalchemy as sa

from foregate.core.errors import ConfigurationError, LedgerBrokenError, OutsideError
from foregate.core.event import Event, Kind, digest_of_row, seal, to_json
from foregate.core.evidence import Evidence
from foregate.lifecycle import store as store_module
from foregate.lifecycle.store import Store

NOON = datetime(2025, 10, 31, 12, tzinfo=UTC)
Behind = Callable[..., None]
Opened = Callable[[str], Store]


def event(reason: str = "", **changes: Any) -> Event:
    return replace(Event(Kind.STARTED, NOON, "leads", "v1", "sam", reason=reason), **changes)


def fill(ledger: Store, rows: int) -> None:
    for n in range(1, rows + 1):
        ledger.add(event(f"event {n}"))


def test_events_come_back_whole_and_in_the_order_they_were_written(ledger: Store) -> None:
    found = Evidence("lift", float("inf"), 10, NOON.date(), "s", words="größer 😀 \x00 \n")
    odd = b"caf\xe9".decode("utf-8", "surrogateescape")
    written = [
        event("later", at=NOON + timedelta(days=9)),
        event(odd, kind=Kind.FAILED),
        event(kind=Kind.JUDGED, evidence=(found,), phase="train"),
        event(kind=Kind.SERVED, at=NOON - timedelta(days=9), split={"v1": 0.75, "v2": 0.25}),
        event("x" * 100_000),
    ]
    entries = [ledger.add(e) for e in written]
    assert [e.event for e in ledger.read("leads")] == written
    assert list(ledger.read("leads")) == entries
    assert [e.sequence for e in entries] == [1, 2, 3, 4, 5]
    assert [later.previous for later in entries] == ["", *(e.digest for e in entries[:-1])]


def test_each_model_has_its_own_chain(ledger: Store) -> None:
    for model in ("leads", "prices", "leads", "prices"):
        ledger.add(event(model=model))
    assert ledger.models() == ["leads", "prices"]
    assert [e.sequence for m in ledger.models() for e in ledger.read(m)] == [1, 2, 1, 2]
    assert list(ledger.read("funnel")) == []


def test_a_ledger_that_is_opened_again_goes_on_where_it_stood(url: str, opened: Opened) -> None:
    first = opened(url)
    fill(first, 2)
    first.close()
    again = opened(url)
    assert again.add(event()).sequence == 3
    assert len(list(again.read("leads"))) == 3


def test_a_place_is_given_once(ledger: Store, behind: Behind) -> None:
    fill(ledger, 1)
    with pytest.raises(sa.exc.IntegrityError):
        behind("INSERT INTO foregate_events SELECT * FROM foregate_events")


def test_what_is_written_while_a_reader_reads_is_for_the_next_reader(
    ledger: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "_PAGE", 2)
    fill(ledger, 5)
    seen = [ledger.add(event()).sequence for _ in ledger.read("leads")]
    assert seen == [6, 7, 8, 9, 10]
    assert [e.sequence for e in ledger.read("leads")] == list(range(1, 11))


WRITER = """
import sys
from datetime import UTC, datetime
from foregate.core.event import Event, Kind
from foregate.lifecycle.store import Store
sys.stdin.readline()
ledger = Store(sys.argv[1])
for n in range(int(sys.argv[3])):
    ledger.add(Event(Kind.STARTED, datetime.now(UTC), "leads", "v1", sys.argv[2], reason=str(n)))
ledger.close()
"""


def test_two_processes_that_write_at_once_leave_one_whole_chain(
    url: str, opened: Opened, python: "Callable[..., Popen[str]]"
) -> None:
    writers = [python(WRITER, url, name, "200") for name in ("ann", "ben")]
    for writer in writers:
        assert writer.stdin
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        _, errors = writer.communicate(timeout=120)
        assert writer.returncode == 0, errors
    entries = list(opened(url).read("leads"))
    assert [e.sequence for e in entries] == list(range(1, 401))
    assert all(later.previous == earlier.digest for earlier, later in pairwise(entries))
    for name in ("ann", "ben"):
        assert [e.event.reason for e in entries if e.event.actor == name] == [str(n) for n in range(200)]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE foregate_events SET version = 'v2' WHERE sequence = 2",
        "UPDATE foregate_events SET version = 'v2'",
        "DELETE FROM foregate_events WHERE sequence = 2",
        "DELETE FROM foregate_events",
    ],
)
def test_the_database_itself_refuses_to_change_or_remove_an_event(
    ledger: Store, behind: Behind, statement: str
) -> None:
    fill(ledger, 3)
    with pytest.raises(sa.exc.DBAPIError, match="append-only"):
        behind(statement)
    assert len(list(ledger.read("leads"))) == 3


def test_the_database_refuses_its_own_short_ways_round_the_guards(ledger: Store, behind: Behind) -> None:
    fill(ledger, 2)
    if ledger.url.startswith("sqlite"):
        statement = "INSERT OR REPLACE INTO foregate_events SELECT * FROM foregate_events WHERE sequence = 1"
    else:
        statement = "TRUNCATE foregate_events"
    with pytest.raises(sa.exc.DBAPIError, match="append-only"):
        behind(statement)


def test_guards_that_were_dropped_are_back_when_the_ledger_is_opened_again(
    ledger: Store, behind: Behind, opened: Opened
) -> None:
    fill(ledger, 1)
    behind(guarded=False)
    opened(ledger.url)
    with pytest.raises(sa.exc.DBAPIError, match="append-only"):
        behind("DELETE FROM foregate_events")


BEFORE_THE_FIRST = (
    "INSERT INTO foregate_events SELECT model, 0, at, kind, version, body, previous, digest "
    "FROM foregate_events WHERE sequence = 1"
)
SWAP = [
    "UPDATE foregate_events SET sequence = 99 WHERE sequence = 2",
    "UPDATE foregate_events SET sequence = 2 WHERE sequence = 3",
    "UPDATE foregate_events SET sequence = 3 WHERE sequence = 99",
]


@pytest.mark.parametrize("page", [1, 2, 2000])
@pytest.mark.parametrize(
    ("tampering", "place"),
    [
        (["UPDATE foregate_events SET body = replace(body, 'event 3', 'event x') WHERE sequence = 3"], 3),
        (["UPDATE foregate_events SET version = 'v2' WHERE sequence = 3"], 3),
        (["UPDATE foregate_events SET kind = 'signed' WHERE sequence = 3"], 3),
        (["UPDATE foregate_events SET at = '2020' WHERE sequence = 3"], 3),
        (["UPDATE foregate_events SET digest = previous WHERE sequence = 3"], 3),
        (["UPDATE foregate_events SET previous = digest WHERE sequence = 3"], 3),
        (["UPDATE foregate_events SET sequence = sequence - 9 WHERE sequence = 1"], 1),
        ([BEFORE_THE_FIRST], 1),
        (["DELETE FROM foregate_events WHERE sequence = 1"], 1),
        (["DELETE FROM foregate_events WHERE sequence = 3"], 3),
        (SWAP, 2),
    ],
)
def test_a_row_changed_removed_or_moved_behind_its_back_breaks_the_chain_at_that_event(
    ledger: Store, behind: Behind, monkeypatch: pytest.MonkeyPatch, page: int, tampering: list[str], place: int
) -> None:
    monkeypatch.setattr(store_module, "_PAGE", page)
    fill(ledger, 5)
    behind(*tampering, guarded=False)
    read = ledger.read("leads")
    for sequence in range(1, place):
        assert next(read).sequence == sequence
    with pytest.raises(LedgerBrokenError, match=rf"model leads, event {place}: ") as caught:
        next(read)
    assert caught.value.exit_code == 4
    assert "restore the ledger from a backup" in caught.value.then


def test_a_whole_chain_moved_to_another_model_is_found_out(ledger: Store, behind: Behind) -> None:
    fill(ledger, 2)
    behind("UPDATE foregate_events SET model = 'prices'", guarded=False)
    with pytest.raises(LedgerBrokenError, match="model prices, event 1: "):
        list(ledger.read("prices"))


def test_a_removed_tail_can_not_be_seen_by_the_chain_alone(ledger: Store, behind: Behind) -> None:
    fill(ledger, 3)
    behind("DELETE FROM foregate_events WHERE sequence = 3", guarded=False)
    assert [e.sequence for e in ledger.read("leads")] == [1, 2]
    assert "can not tell that the" in re.sub(r"\s+", " ", Store.__doc__ or "")


def test_a_ledger_of_a_newer_foregate_is_read_but_not_written(ledger: Store, behind: Behind, opened: Opened) -> None:
    fill(ledger, 2)
    behind("UPDATE foregate_meta SET value = 3")
    for one in (ledger, opened(ledger.url)):  # one that was open when it happened, and one opened after
        with pytest.raises(ConfigurationError, match="tables of version 3.*upgrade"):
            one.add(event())
        with pytest.raises(ConfigurationError, match="upgrade"), one.lease("leads", "sam"):
            pass
        assert len(list(one.read("leads"))) == 2


def test_a_ledger_from_before_the_tables_had_a_version_gets_one(ledger: Store, behind: Behind, opened: Opened) -> None:
    fill(ledger, 1)
    behind("DROP TABLE foregate_meta")
    assert opened(ledger.url).add(event()).sequence == 2
    behind("UPDATE foregate_meta SET value = 2 WHERE name = 'schema'")


def test_a_sealed_event_of_an_unknown_kind_says_that_a_newer_foregate_wrote_it(ledger: Store, behind: Behind) -> None:
    body = to_json(event()).replace('"started"', '"abducted"')
    digest = digest_of_row(1, "", body)
    behind(f"INSERT INTO foregate_events VALUES ('leads', 1, 'x', 'abducted', 'v1', '{body}', '', '{digest}')")
    with pytest.raises(OutsideError, match=r"event 1.*abducted.*upgrade"):
        list(ledger.read("leads"))


def test_a_tail_that_is_cut_off_while_it_is_read_is_a_broken_ledger(
    ledger: Store, behind: Behind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "_PAGE", 2)
    fill(ledger, 5)
    read = ledger.read("leads")
    next(read)
    behind("DELETE FROM foregate_events WHERE sequence > 2", guarded=False)
    next(read)
    with pytest.raises(LedgerBrokenError, match="event 3: found nothing, wanted the events up to 5"):
        next(read)


def test_an_entry_is_sealed_as_the_core_seals_it(ledger: Store) -> None:
    entry = ledger.add(event())
    assert entry == seal(event(), 1, "")


def test_another_program_that_keeps_the_ledger_locked_is_named_as_the_outside(
    url: str, ledger: Store, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "_PATIENCE_SECONDS", 1)
    fill(ledger, 2)
    engine = sa.create_engine(url)
    with engine.connect() as link:
        sqlite = engine.dialect.name == "sqlite"
        link.exec_driver_sql("BEGIN IMMEDIATE" if sqlite else "LOCK TABLE foregate_events IN EXCLUSIVE MODE")
        other = opened(url)  # a ledger can be opened and read while somebody writes
        assert len(list(other.read("leads"))) == 2
        with pytest.raises(OutsideError, match=r"ledger .*(locked|lock timeout).*not held by another") as caught:
            other.add(event())
        assert caught.value.exit_code == 4
        link.rollback()
    engine.dispose()
    assert ledger.add(event()).sequence == 3


def test_a_read_only_ledger_is_read_and_refuses_to_be_written_with_the_next_step(
    url: str, ledger: Store, opened: Opened
) -> None:
    fill(ledger, 2)
    if url.startswith("sqlite"):
        read_only = url.replace("sqlite:///", "sqlite:///file:") + "?mode=ro&uri=true"
    else:
        read_only = url + "&options=-cdefault_transaction_read_only=on"
    store = opened(read_only)
    assert len(list(store.read("leads"))) == 2
    with pytest.raises(OutsideError, match=r"read-?only.*Check that the file or server") as caught:
        store.add(event())
    assert caught.value.exit_code == 4
    with pytest.raises(OutsideError), store.lease("leads", "sam"):
        pass


def test_a_ledger_that_is_not_there_is_the_outside(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("this is no database, but it is long enough to be looked at closely" * 20)
    (tmp_path / "folder").mkdir()
    for address in (
        f"sqlite:///{tmp_path / 'text'}",
        f"sqlite:///{tmp_path / 'folder'}",
        f"sqlite:///{tmp_path / 'text' / 'ledger.sqlite'}",
        f"postgresql+psycopg://postgres@/nobody?host={tmp_path}",
    ):
        with pytest.raises(OutsideError) as caught:
            Store(address)
        assert caught.value.exit_code == 4
        assert "Check" in caught.value.then


@pytest.mark.parametrize(
    "address", ["", "nonsense", "mysql://host/name", "postgresql+psycopg2://h/n", "postgresql://u:hush@h:port/n"]
)
def test_an_address_that_is_no_ledger_is_a_matter_of_configuration(address: str) -> None:
    with pytest.raises(
        ConfigurationError, match=r"\[ledger\] url: found .*wanted sqlite:///path or postgres"
    ) as caught:
        Store(address)
    assert "hush" not in str(caught.value)


def test_a_postgres_ledger_without_its_driver_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "psycopg", None)
    with pytest.raises(ConfigurationError, match=r"foregate\[postgres\]"):
        Store("postgresql://host/name")


def test_a_password_is_in_no_message(tmp_path: Path) -> None:
    with pytest.raises(OutsideError) as caught:
        Store(f"postgresql://sam:hush@/name?host={tmp_path}")
    assert "hush" not in str(caught.value)
