"""A private Postgres server for the tests that need one, started once and thrown away."""

import gc
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

BINARIES = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True), Path("/usr/local/pgsql/bin")]


def _binaries() -> Path:
    found = [b for b in BINARIES if (b / "initdb").exists() and (b / "pg_ctl").exists()]
    if not found:
        pytest.skip("no Postgres server binaries: apt-get install postgresql")
    return found[0]


def _account() -> dict[str, Any]:
    """Return what makes a subprocess run as someone Postgres agrees to run as: it refuses root."""
    if os.geteuid() != 0:
        return {}
    try:
        return {"user": "postgres", "group": pwd.getpwnam("postgres").pw_gid, "extra_groups": []}
    except KeyError:
        pytest.skip("Postgres does not run as root, and there is no user postgres")


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """A Postgres cluster of its own on a unix socket; the URL of its first database."""
    binaries, account = _binaries(), _account()
    home = Path(tempfile.mkdtemp(prefix="fg-pg-"))
    if account:
        shutil.chown(home, "postgres")

    def call(*words: str) -> None:
        subprocess.run(words, check=True, cwd=home, stdout=subprocess.DEVNULL, timeout=60, **account)

    data, log = str(home / "data"), str(home / "log")
    call(str(binaries / "initdb"), "-D", data, "-A", "trust", "-U", "postgres", "--no-sync", "-E", "UTF8")
    switches = f"-k {home} -c listen_addresses='' -c fsync=off -c max_connections=30 -c shared_buffers=16MB"
    call(str(binaries / "pg_ctl"), "-D", data, "-l", log, "-w", "-o", switches, "start")
    try:
        yield f"postgresql+psycopg://postgres@/postgres?host={home}"
    finally:
        call(str(binaries / "pg_ctl"), "-D", data, "-m", "immediate", "-w", "stop")
        shutil.rmtree(home, ignore_errors=True)


def pytest_sessionfinish() -> None:
    """Let go of engines that a test's traceback still holds, before the interpreter counts what leaked."""
    gc.collect()
