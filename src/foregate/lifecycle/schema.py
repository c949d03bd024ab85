"""The ledger's tables, their guards against change, and the version of both."""

from __future__ import annotations

import sqlalchemy as sa

SCHEMA = 2
META = sa.MetaData()
EVENTS = sa.Table(
    "foregate_events",
    META,
    sa.Column("model", sa.String(200), primary_key=True),
    sa.Column("sequence", sa.Integer, primary_key=True),
    sa.Column("at", sa.String(40), nullable=False),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("version", sa.String(80), nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("previous", sa.String(64), nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
)
ROW = tuple(EVENTS.c[name] for name in ("sequence", "at", "kind", "version", "body", "previous", "digest"))
_BY_KIND = sa.Index("foregate_events_by_kind", EVENTS.c.model, EVENTS.c.kind, EVENTS.c.sequence)
CHECKPOINTS = sa.Table(
    "foregate_checkpoints",
    META,
    sa.Column("model", sa.String(200), primary_key=True),
    sa.Column("sequence", sa.Integer, nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("body", sa.Text, nullable=False),
)
LEASES = sa.Table(
    "foregate_leases",
    META,
    sa.Column("model", sa.String(200), primary_key=True),
    sa.Column("holder", sa.String(200), nullable=False),
)
_ABOUT = sa.Table(
    "foregate_meta",
    META,
    sa.Column("name", sa.String(20), primary_key=True),
    sa.Column("value", sa.Integer, nullable=False),
)
_REFUSAL = "the ledger is append-only"
_GUARDS = {
    "sqlite": [
        *(
            f"CREATE TRIGGER IF NOT EXISTS foregate_no_{verb} BEFORE {verb} ON foregate_events "
            f"BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END"
            for verb in ("update", "delete")
        ),
        # INSERT OR REPLACE deletes without firing the trigger above
        "CREATE TRIGGER IF NOT EXISTS foregate_no_replace BEFORE INSERT ON foregate_events WHEN EXISTS "
        "(SELECT 1 FROM foregate_events WHERE model = NEW.model AND sequence = NEW.sequence) "
        "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END",
    ],
    "postgresql": [
        "CREATE OR REPLACE FUNCTION foregate_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{_REFUSAL}'; END $$",
        "DROP TRIGGER IF EXISTS foregate_append_only ON foregate_events",
        "CREATE TRIGGER foregate_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON foregate_events "
        "FOR EACH STATEMENT EXECUTE FUNCTION foregate_append_only()",
    ],
}
_ALL_THERE = {
    "sqlite": "SELECT count(*) = 5 FROM sqlite_master WHERE (type = 'trigger' AND name LIKE 'foregate_no_%') "
    "OR name IN ('foregate_events_by_kind', 'foregate_checkpoints')",
    "postgresql": "SELECT count(*) = 1 AND to_regclass('foregate_events_by_kind') IS NOT NULL "
    "AND to_regclass('foregate_checkpoints') IS NOT NULL FROM pg_trigger "
    "WHERE tgrelid = 'foregate_events'::regclass AND tgname = 'foregate_append_only'",
}
VERSION = sa.select(_ABOUT.c.value).where(_ABOUT.c.name == "schema")


def written_by(link: sa.Connection) -> int:
    """Return the version of the tables that are there; 0 when there are none, or none of them says."""
    if not sa.inspect(link).has_table(_ABOUT.name):
        return 0
    return link.execute(VERSION).scalar() or 0


def is_ready(link: sa.Connection, version: int) -> bool:
    """Return whether nothing is left to make: all is there, or a newer Foregate has seen to it.

    `version` is what `written_by` returned.
    """
    if version != SCHEMA:
        return version > SCHEMA
    return bool(link.exec_driver_sql(_ALL_THERE[link.dialect.name]).scalar())


def make(link: sa.Connection) -> None:
    """Create what is missing of tables, guards and index; the caller holds the lock on writing.

    Tables of an earlier version become those of this one; what a newer Foregate has made is left as it is.
    """
    version = written_by(link)
    if version > SCHEMA:
        return
    META.create_all(link)
    _BY_KIND.create(link, checkfirst=True)
    for guard in _GUARDS[link.dialect.name]:
        link.exec_driver_sql(guard)
    if not version:
        link.execute(_ABOUT.insert().values(name="schema", value=SCHEMA))
    else:
        link.execute(_ABOUT.update().where(_ABOUT.c.name == "schema").values(value=SCHEMA))
