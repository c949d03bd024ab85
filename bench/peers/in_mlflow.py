"""MLflow's way to move a pointer: an alias of a registered model, in its registry on SQLite."""

from __future__ import annotations

import logging
import sqlite3
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from mlflow import MlflowClient

from bench.timing import job
from bench.turns import answer

logging.disable(logging.WARNING)
NAME, ALIAS = "leads", "champion"


def pragmas(connection: Any, _record: object) -> None:
    """Sync at every commit, as SQLite does by default, said aloud."""
    connection.execute("PRAGMA synchronous=FULL")


def main() -> None:
    asked = job()
    path = Path(asked["folder"]) / "mlflow.sqlite"
    if asked["wal"]:
        sa.event.listen(sa.Engine, "connect", pragmas)
    client = MlflowClient(tracking_uri=f"sqlite:///{path}", registry_uri=f"sqlite:///{path}")
    client.create_registered_model(NAME)
    for number in (1, 2):
        client.create_model_version(NAME, source=str(path.with_name(f"v{number}")), run_id=None)
    if asked["wal"]:
        with sqlite3.connect(path) as link:
            link.execute("PRAGMA journal_mode=WAL")
    seen: list[tuple[str, int]] = []
    sa.event.listen(sa.Engine, "commit", lambda link: seen.append(_settings(link)) if not seen else None)
    served = 1

    def move() -> None:
        nonlocal served
        served = 3 - served
        client.set_registered_model_alias(NAME, ALIAS, str(served))
        if asked["tag"]:
            words = f"{datetime.now(UTC).isoformat()} sam: back to the last good one"
            client.set_model_version_tag(NAME, str(served), "moved", words)

    move()
    settings = dict(zip(("journal_mode", "synchronous"), seen[0], strict=True))
    answer(move, versions={"mlflow-skinny": version("mlflow-skinny")}, **settings)
    assert int(client.get_model_version_by_alias(NAME, ALIAS).version) == served


def _settings(link: Any) -> tuple[str, int]:
    cursor = link.connection.cursor()
    return (
        str(cursor.execute("PRAGMA journal_mode").fetchone()[0]),
        int(cursor.execute("PRAGMA synchronous").fetchone()[0]),
    )


if __name__ == "__main__":
    main()
