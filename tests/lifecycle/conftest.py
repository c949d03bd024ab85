"""A ledger on SQLite and one on a private Postgres server, both new for every test."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
import sqlalchemy as sa

from foregate.lifecycle.store import Store

NUMBERS = count(1)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.service)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty ledger."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    first = request.getfixturevalue("server")
    name = f"ledger_{next(NUMBERS)}"
    engine = sa.create_engine(first, isolation_level="AUTOCOMMIT")
    with engine.connect() as link:
        link.exec_driver_sql(f"CREATE DATABASE {name}")
    engine.dispose()
    return str(first).replace("/postgres?", f"/{name}?")


@pytest.fixture
def opened() -> Iterator[Callable[[str], Store]]:
    """Open ledgers that are closed at the end of the test."""
    stores: list[Store] = []

    def open_one(address: str) -> Store:
        stores.append(Store(address))
        return stores[-1]

    yield open_one
    for store in stores:
        store.close()


@pytest.fixture
def ledger(url: str, opened: Callable[[str], Store]) -> Store:
    """The ledger at the test's address."""
    return opened(url)


@pytest.fixture
def behind(url: str, ledger: Store) -> Iterator[Callable[..., None]]:
    """Run SQL on the ledger's tables past Foregate, with or without the database's guards."""
    engine = sa.create_engine(url)
    drop = {
        "sqlite": [f"DROP TRIGGER foregate_no_{verb}" for verb in ("update", "delete", "replace")],
        "postgresql": ["DROP TRIGGER foregate_append_only ON foregate_events"],
    }[engine.dialect.name]

    def run(*statements: str, guarded: bool = True) -> None:
        with engine.begin() as link:
            for statement in (*([] if guarded else drop), *statements):
                link.exec_driver_sql(statement)

    yield run
    engine.dispose()


@pytest.fixture
def python() -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Start Python programs in processes of their own; those still there at the end are killed."""
    started: list[subprocess.Popen[str]] = []

    def start(program: str, *words: str) -> "subprocess.Popen[str]":
        one = subprocess.Popen(
            [sys.executable, "-c", program, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(one)
        return one

    yield start
    for one in started:
        one.kill()
        one.communicate(timeout=30)
