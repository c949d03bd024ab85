"""Feature files: ordinary SQL, read into a tree and refused with the reason where it could look ahead."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError

from foregate.core.errors import FeatureError
from foregate.warehouse.sources import Source

AS_OF = "as_of"
AT_CONTACT = "at contact"
AGGREGATES = (
    exp.Count,
    exp.CountIf,
    exp.Sum,
    exp.Avg,
    exp.Min,
    exp.Max,
    exp.ArgMax,
    exp.ArgMin,
    exp.LogicalOr,
    exp.LogicalAnd,
    exp.Stddev,
    exp.StddevSamp,
    exp.Variance,
    exp.Median,
    exp.PercentileCont,
)
_CLOCKS = (exp.CurrentDate, exp.CurrentTimestamp, exp.CurrentTime, exp.CurrentDatetime)
_CLOCK_NAMES = frozenset({"now", "today", "getdate", "clock_timestamp", "localtimestamp", "get_current_timestamp"})
_CHANCE = (exp.Rand, exp.Randn, exp.Uuid)
_CLAUSES = {
    "joins": "a second source in one file",
    "group": "GROUP BY (Foregate groups by lead)",
    "having": "HAVING",
    "order": "ORDER BY",
    "limit": "LIMIT",
    "offset": "OFFSET",
    "distinct": "SELECT DISTINCT",
    "qualify": "QUALIFY",
    "windows": "a WINDOW clause",
    "with_": "WITH",
    "sample": "a sample",
}


@dataclass(frozen=True)
class FeatureFile:
    """One file of features: its source (None: derived from other features), its outputs by name, its condition."""

    name: str
    path: str
    source: str | None
    outputs: Mapping[str, exp.Expr]
    where: exp.Expr | None
    of: str | None = None

    def columns(self) -> set[str]:
        """Return the names of all columns it reads, `as_of` apart."""
        trees = [*self.outputs.values(), *([self.where] if self.where else [])]
        return {column.name for tree in trees for column in tree.find_all(exp.Column)} - {AS_OF}


def read_features(folder: Path, of: Mapping[str, str]) -> list[FeatureFile]:
    """Return the feature files of a folder by name; raises FeatureError for one that can not be read."""
    paths = sorted(folder.glob("*.sql"))
    if not paths:
        raise FeatureError(
            str(folder), found="no .sql file", wanted="one SELECT of features per file", then="Write features/NAME.sql."
        )
    unknown = sorted(set(of) - {p.stem for p in paths})
    if unknown:
        raise FeatureError(
            f"foregate.toml [features.{unknown[0]}]",
            found=f"no file {folder / unknown[0]}.sql",
            wanted=f"one of {', '.join(p.stem for p in paths)}",
            then="Correct the name.",
        )
    return [parse_feature(p.stem, str(p), p.read_text(), of.get(p.stem)) for p in paths]


def parse_feature(name: str, path: str, sql: str, of: str | None = None) -> FeatureFile:
    """Return a feature file read from DuckDB's SQL; raises FeatureError naming the construct that is refused.

    >>> parse_feature("mobility", "m.sql", "select count(*) as jobs from employment").source
    'employment'
    """
    try:
        trees = [tree for tree in sqlglot.parse(sql, dialect="duckdb") if tree is not None]
    except ParseError as error:
        said = error.errors[0] if error.errors else {}
        raise FeatureError(
            f"{path} line {said.get('line', '?')}",
            found=f"{said.get('description', error)} near `{said.get('highlight', '')}`",
            wanted="one SELECT statement in DuckDB's SQL",
            then="Correct the statement.",
        ) from error
    if len(trees) != 1 or not isinstance(trees[0], exp.Select):
        raise _refused(path, f"{len(trees)} statements" if len(trees) != 1 else type(trees[0]).__name__.upper())
    select = trees[0]
    _refuse_clauses(path, select)
    _refuse_impure(path, select)
    tables = list(select.find_all(exp.Table))
    where = select.args.get("where")
    return FeatureFile(
        name=name,
        path=path,
        source=tables[0].name if tables else None,
        outputs=_outputs(path, select),
        where=where.this if where else None,
        of=of,
    )


def check_feature(file: FeatureFile, sources: Mapping[str, Source], columns: Mapping[str, Mapping[str, str]]) -> None:
    """Raise FeatureError where a file reads what was not yet known; `columns` are names and types by source."""
    if file.source is None:
        return
    source = sources.get(file.source)
    if source is None:
        raise _wrong(
            file, f"the source `{file.source}`", f"one of {', '.join(sorted(sources))}", "Declare it, or correct it."
        )
    if source.current_state or not source.has_history:
        raise _wrong(
            file,
            f"the source `{file.source}`, which "
            + (
                "is declared to hold today's state only"
                if source.current_state
                else "does not say when rows became known"
            ),
            "a source whose rows say when they became known",
            f'Say known = "<a date column>" or known_after in [sources.{file.source}], or leave it to the list.',
        )
    _check_columns(file, columns[file.source])
    for output, tree in file.outputs.items():
        _check_aggregated(file, output, tree)


def _check_columns(file: FeatureFile, known: Mapping[str, str]) -> None:
    if AS_OF in known:
        raise _wrong(
            file, f"a column named {AS_OF} in `{file.source}`", "no such column", "Rename it in a query source."
        )
    missing = sorted(file.columns() - set(known))
    if missing:
        raise _wrong(
            file, f"the column `{missing[0]}`", f"one of {', '.join(known)}", f"`{file.source}` has no such column."
        )


def _check_aggregated(file: FeatureFile, output: str, tree: exp.Expr) -> None:
    bare = [c.name for c in outside_aggregates(tree) if c.name != AS_OF]
    if bare:
        raise _wrong(
            file,
            f"`{bare[0]}` outside an aggregate in `{output}`",
            "one row per lead",
            f"Say max({bare[0]}), arg_max({bare[0]}, <date>) or another aggregate.",
        )


def outside_aggregates(tree: exp.Expr) -> Iterator[exp.Column]:
    """Yield the columns of an expression that stand outside every aggregate."""
    if isinstance(tree, (*AGGREGATES, exp.Filter)):
        return
    if isinstance(tree, exp.Column):
        yield tree
    for child in tree.iter_expressions():
        yield from outside_aggregates(child)


def _outputs(path: str, select: exp.Select) -> dict[str, exp.Expr]:
    found: dict[str, exp.Expr] = {}
    for projection in select.expressions:
        name = projection.alias_or_name
        if isinstance(projection, exp.Star) or not name or name == "*":
            raise _refused(path, f"`{projection.sql('duckdb')}` without a name", "an alias for every feature")
        if name in found or name == AS_OF:
            raise _refused(path, f"the name `{name}` twice or reserved", "one name per feature")
        bare = projection.this if isinstance(projection, exp.Alias) else projection
        found[name] = bare.copy().transform(_counted)
    return found


def _counted(node: exp.Expr) -> exp.Expr:
    """Return count_if as a count: over no rows at all it would be NULL on one engine and 0 on another."""
    if isinstance(node, exp.CountIf):
        return exp.Count(this=exp.case().when(node.this.copy(), exp.Literal.number(1)), big_int=True)
    return node


def _refuse_clauses(path: str, select: exp.Select) -> None:
    for key, words in _CLAUSES.items():
        if select.args.get(key):
            raise _refused(path, words)
    if select.find(exp.Subquery, exp.Union, exp.Exists) or len(list(select.find_all(exp.Select))) > 1:
        raise _refused(path, "a subquery")
    if len(list(select.find_all(exp.Table))) > 1:
        raise _refused(path, "a second source in one file")


def _refuse_impure(path: str, select: exp.Select) -> None:
    for node in select.walk():
        words = _impure(node)
        if words:
            raise _refused(path, f"{words} in `{node.sql('duckdb')}`")


def _impure(node: exp.Expr) -> str | None:
    """Return why a node can not stand in a feature, or None."""
    if isinstance(node, _CLOCKS) or (isinstance(node, exp.Anonymous) and node.name.lower() in _CLOCK_NAMES):
        return "the clock (say as_of)"
    if isinstance(node, _CHANCE):
        return "chance"
    if isinstance(node, exp.Window):
        return "a window over rows"
    if isinstance(node, exp.Anonymous):
        return "a function Foregate can not vouch for"
    if isinstance(node, exp.AggFunc) and not isinstance(node, AGGREGATES):
        return "an aggregate whose answer depends on the order of rows or on the engine"
    return None


def _refused(path: str, found: str, wanted: str = "one SELECT of aggregates over one source") -> FeatureError:
    return FeatureError(path, found=found, wanted=wanted, then="Write it as if the database had stopped at as_of.")


def _wrong(file: FeatureFile, found: str, wanted: str, then: str) -> FeatureError:
    return FeatureError(file.path, found=found, wanted=wanted, then=then)
