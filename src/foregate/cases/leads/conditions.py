"""Conditions in tiers.toml: DuckDB SQL over the columns of one row, and nothing that looks beyond the row."""

from functools import cache

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, TokenError

from foregate.cases.leads.refusals import RefusalError

DIALECT = "duckdb"

# What DuckDB itself calls volatile or fixed only within a query (a test compares the lists), and the spellings
# sqlglot knows for them. Kept compact: a column of 33 lines would say no more.
# fmt: off
NOT_OF_THE_ROW = frozenset([
    "currval", "error", "gen_random_uuid", "get_current_time", "get_current_timestamp", "getdate",
    "getenv", "getvariable", "in_search_path", "localtime", "localtimestamp", "nextval", "now", "rand",
    "random", "setseed", "setval", "sleep_ms", "stats", "sysdate", "today", "transaction_timestamp",
    "txid_current", "utc_date", "utc_time", "utc_timestamp", "uuid", "uuidv4", "uuidv7", "vector_type",
    "version", "write_log",
])
# fmt: on
_BEYOND_THE_ROW: tuple[tuple[tuple[type[exp.Expr], ...], str], ...] = (
    ((exp.Query, exp.Exists, exp.Any, exp.All), "a subquery reads other rows"),
    ((exp.AggFunc,), "an aggregate reads other rows"),
    ((exp.Window,), "a window reads other rows"),
    ((exp.UDTF, exp.Explode), "it makes several rows of one"),
    ((exp.Star, exp.Columns), "a star names no column"),
    ((exp.Placeholder, exp.Parameter, exp.SessionParameter), "a placeholder has no value when the file is loaded"),
    ((exp.Alias, exp.Block), "it is more than one condition"),
)
_TRUTHS = (exp.Predicate, exp.Connector, exp.Not, exp.Column, exp.Boolean, exp.Func, exp.Case)


class ConditionNotSqlError(RefusalError):
    """A condition that DuckDB's grammar does not accept."""


class ConditionRefusedError(RefusalError):
    """A condition that is SQL, but not a predicate over the columns of one row."""


def parse(text: str, where: str) -> exp.Expr:
    """Return the condition as a syntax tree, all identifiers in lower case, as DuckDB compares them.

    `where` names file, tier and key for the messages. Raises ConditionNotSqlError, ConditionRefusedError.

    >>> parse("Firm_Reps <= 10 and not is_wirehouse", "tiers.toml").sql("duckdb")
    'firm_reps <= 10 AND NOT is_wirehouse'
    """
    try:
        tree = sqlglot.parse_one(text, dialect=DIALECT)
    except (ParseError, TokenError) as error:
        fault = " ".join(str(error).split())[:120]
        raise ConditionNotSqlError(
            where, found=f"{text!r} ({fault})", wanted="a DuckDB condition", then="Mend the SQL."
        ) from error
    tree = _lowered(tree)
    reason = _reason_to_refuse(tree)
    if reason:
        raise ConditionRefusedError(
            where,
            found=f"{text!r}: {reason}",
            wanted="a true-or-false condition over the columns of one row",
            then="Compute the value as a feature column, then compare that column here.",
        )
    return tree


def columns_of(tree: exp.Expr) -> set[str]:
    """Return the columns a condition reads, in lower case."""
    return {column.name for column in tree.find_all(exp.Column)}


def _lowered(tree: exp.Expr) -> exp.Expr:
    for node in tree.walk():
        node.comments = None
        if isinstance(node, exp.Identifier):
            node.set("this", node.this.lower())
    return tree.unnest()


def _reason_to_refuse(tree: exp.Expr) -> str | None:
    for node in tree.walk():
        reason = _beyond_the_row(node)
        if reason:
            return f"{node.sql(DIALECT)}: {reason}"
    if not isinstance(tree, _TRUTHS):
        return "it is a value, not a condition"
    if not columns_of(tree) and not isinstance(tree, exp.Boolean):
        return "it reads no column"
    return None


def _beyond_the_row(node: exp.Expr) -> str | None:
    for kinds, reason in _BEYOND_THE_ROW:
        if isinstance(node, kinds):
            return reason
    if isinstance(node, exp.Column) and node.table:
        return "a column is named alone, without its table"
    return _unstable(node) if isinstance(node, exp.Func) else None


def _unstable(node: exp.Func) -> str | None:
    unknown = isinstance(node, exp.Anonymous)
    names = {node.name.lower()} if unknown else {name.lower() for name in node.sql_names()}
    if names & NOT_OF_THE_ROW or any(name.startswith("current_") for name in names):
        return "its value depends on when or where the query runs"
    if unknown and names == {"age"} and len(node.expressions) == 1:
        return "age of one date counts from today"
    if unknown and not names <= _scalar_functions():
        return "DuckDB has no such function of one row"
    return None


@cache
def _scalar_functions() -> frozenset[str]:
    import duckdb  # only files with rarer functions pay for the engine

    with duckdb.connect() as engine:
        rows = engine.execute("SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_type = 'scalar'")
        return frozenset(name for (name,) in rows.fetchall())
